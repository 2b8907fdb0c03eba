"""The machine's clock never goes back, and whoever wants another one hands it in."""

import time

import pytest

import coloop
from coloop import MonotonicClock


def test_it_tells_the_machines_monotonic_time() -> None:
    before = time.monotonic()
    now = MonotonicClock().now()
    assert before <= now <= time.monotonic()


def test_it_says_how_long_to_sleep_and_never_less_than_nothing() -> None:
    clock = MonotonicClock()
    assert 99 < clock.real_seconds_until(clock.now() + 100) <= 100
    assert clock.real_seconds_until(clock.now() - 100) == 0.0


def test_real_time_cannot_be_skipped() -> None:
    clock = MonotonicClock()
    assert clock.patience_s is None
    clock.skip_to(clock.now() + 1000)
    assert clock.now() <= time.monotonic()


def test_a_changed_wall_clock_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        monkeypatch.setattr(time, "time", lambda: -1e9)
        coloop.sleep(0.001)

    coloop.run(main)


def test_any_object_that_tells_the_time_will_do() -> None:
    class Counter:
        patience_s = 0.0

        def __init__(self) -> None:
            self.time = 100.0

        def now(self) -> float:
            return self.time

        def real_seconds_until(self, deadline: float) -> float:
            return 0.0

        def skip_to(self, deadline: float) -> None:
            self.time = deadline

    clock = Counter()
    coloop.run(coloop.sleep, 7, clock=clock)
    assert clock.time == 107.0
