"""Looks at schedulers that do not exist, for what only judges looks."""

from typing import Any

from coloop import SpawnSite
from coshell.leaks.look import Look
from coshell.leaks.suspects import Suspect

SITE = "server.py:12 in handle"


def line(site: str = SITE, **known: Any) -> SpawnSite:
    usual: dict[str, Any] = {
        "function": site.partition(" in ")[2],
        "live": 0,
        "finished": 0,
        "spawned": 0,
        "waiting": 0,
        "first_id": 2,
        "live_bytes": 0,
        "residue_bytes": 0,
        "residue_blocks": 0,
        "oldest_s": 0.0,
    }
    usual |= known
    usual["spawned"] = known.get("spawned", usual["live"] + usual["finished"])
    return SpawnSite(site=site, **usual)


def look(at_s: float, *lines: SpawnSite, **known: Any) -> Look:
    usual: dict[str, Any] = {"exact": True, "collected": True, "total_bytes": 10_000_000}
    return Look(at_s=at_s, sites={one.site: one for one in lines}, **(usual | known))


def series(count: int = 12, **rules: Any) -> list[Look]:
    """Looks at one place, a second apart; each field is what its rule gives for the number of the look."""
    of_look = {key: rules.pop(key) for key in ("garbage", "garbage_objects", "found_unasked") if key in rules}
    shared = {key: rules.pop(key) for key in ("exact", "collected") if key in rules}
    return [
        look(
            float(at),
            line(**{field: rule(at) for field, rule in rules.items()}),
            **{field: rule(at) for field, rule in of_look.items()},
            **shared,
        )
        for at in range(count)
    ]


def suspect(**known: Any) -> Suspect:
    """A list that has grown by as many items as have ended in `LEAKING`, and by as many bytes."""
    usual: dict[str, Any] = {
        "kind": "list",
        "items": 130,
        "grown": 110,
        "dead": 0,
        "what": "",
        "size": 66_000,
        "held_by": "__main__.kept",
    }
    return Suspect(**(usual | known))


LEAKING = series(finished=lambda at: 10 * at, residue_bytes=lambda at: 10 * at * 600)
CYCLIC = series(
    finished=lambda at: 10 * at, garbage=lambda at: {SITE: 5000 * (at > 0)}, garbage_objects=lambda _: 20
)
CALM = series(finished=lambda at: 10 * at)
RISING = series(finished=lambda at: 10 * at, residue_bytes=lambda at: min(at, 4) * 9000)
