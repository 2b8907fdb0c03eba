"""uvloop: what asyncio does, on libuv. The code is in `_coroutines.py`."""

from __future__ import annotations

from collections.abc import Callable

import uvloop

from bench import sample
from bench.certificate import server_context

from . import _coroutines


def spawn(n: int) -> sample.Sample:
    """Spawn and end."""
    return uvloop.run(_coroutines.spawn(n))


def yield_round(coroutines: int, rounds: int) -> sample.Sample:
    """Let the others run."""
    return uvloop.run(_coroutines.yield_round(coroutines, rounds))


def channel_hop(n: int) -> sample.Sample:
    """From one task to another."""
    return uvloop.run(_coroutines.channel_hop(n))


def fan(n: int) -> sample.Sample:
    """Out to the workers and in again."""
    return uvloop.run(_coroutines.fan(n))


def park(n: int, look: Callable[[], None]) -> sample.Sample:
    """Wait together."""
    return uvloop.run(_coroutines.park(n, look))


def growth(parked: int, n: int) -> sample.Sample:
    """A hop among many that are parked."""
    return uvloop.run(_coroutines.growth(parked, n))


def timers_cancelled(n: int) -> sample.Sample:
    """Set and cancel."""
    return uvloop.run(_coroutines.timers_cancelled(n))


def timers_fired(n: int) -> sample.Sample:
    """Set and wait for all."""
    return uvloop.run(_coroutines.timers_fired(n))


def echo_server(listening: Callable[[int], None]) -> None:
    """Streams."""
    uvloop.run(_coroutines.echo_server(listening))


def tls_echo_server(listening: Callable[[int], None], certificate: str, key: str) -> None:
    """Streams, in TLS."""
    uvloop.run(_coroutines.echo_server(listening, server_context(certificate, key)))
