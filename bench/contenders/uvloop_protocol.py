"""uvloop's callbacks instead of tasks: fastest there, and not blocking-style code. The code is in `_coroutines.py`."""

from __future__ import annotations

from collections.abc import Callable

import uvloop

from bench.certificate import server_context

from . import _coroutines


def echo_server(listening: Callable[[int], None]) -> None:
    """A protocol for each connection."""
    uvloop.run(_coroutines.protocol_server(listening))


def tls_echo_server(listening: Callable[[int], None], certificate: str, key: str) -> None:
    """A protocol for each connection, in TLS."""
    uvloop.run(_coroutines.protocol_server(listening, server_context(certificate, key)))
