"""Results as JSON: every single value, so that others can compute what we did not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .machine import Machine
from .rounds import Finding, Result


def document(machine: Machine, results: Sequence[Result], notes: Sequence[str]) -> str:
    """One object: `machine`, `notes`, and `results` with the values of each round and the ratios."""
    found = {
        "machine": asdict(machine),
        "notes": list(notes),
        "results": [_result(result) for result in results],
    }
    return json.dumps(found, indent=2) + "\n"


def _result(result: Result) -> dict[str, Any]:
    return {
        "measure": result.measure,
        "title": result.row.title,
        "unit": result.row.unit,
        "compared": result.row.compared,
        "more_is_better": result.row.more_is_better,
        "at_most": result.row.at_most,
        "ours": _finding(result.ours),
        "peers": [_peer(result, peer) for peer in result.peers],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {"contender": finding.contender, "values": list(finding.values), **asdict(finding.figure)}


def _peer(result: Result, peer: Finding) -> dict[str, Any]:
    if not result.row.compared:
        return _finding(peer)
    ratio = {**asdict(result.ratio(peer)), "reached": result.reached(peer)}
    share = result.share(peer)
    if share is None:
        return {**_finding(peer), "ratio": ratio}
    of, at_most = result.row.share[peer.contender]
    shared = {"of": of, **asdict(share), "at_most": at_most, "reached": result.shared(peer)}
    return {**_finding(peer), "ratio": ratio, "extra_cost": shared}
