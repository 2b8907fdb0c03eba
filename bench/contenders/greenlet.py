"""Bare greenlets that switch to each other in a ring: the floor under every yield, and under a parked coroutine."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from greenlet import getcurrent, greenlet

from bench.sample import Sample, Turns


def yield_round(coroutines: int, rounds: int) -> Sample:
    """Each switches to the next, the last to the first."""
    turns = Turns(coroutines)
    main = getcurrent()

    def body(place: int) -> None:
        following = ring[(place + 1) % coroutines]
        turns.begin()
        for _ in range(rounds):
            following.switch(place + 1)  # what is sent is read by a first switch only
        turns.end(rounds)
        if place == coroutines - 1:
            main.switch()
        else:
            following.switch()

    ring = [greenlet(body) for _ in range(coroutines)]
    begin = perf_counter()
    ring[0].switch(0)
    return Sample(perf_counter() - begin, turns.done)


def park(n: int, look: Callable[[], None]) -> Sample:
    """Each switches back to the main one at once."""
    main = getcurrent()
    waiting = woken = 0

    def body() -> None:
        nonlocal waiting, woken
        waiting += 1
        main.switch()
        woken += 1

    begin = perf_counter()
    parked = [greenlet(body) for _ in range(n)]
    for each in parked:
        each.switch()
    seconds = perf_counter() - begin
    assert waiting == n
    look()
    for each in parked:
        each.switch()
    return Sample(seconds, woken)
