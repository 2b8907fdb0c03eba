import threading

import pytest

import coloop
from coloop.testing import MockClock, socket_pair
from coshell.claims import Finding
from coshell.patience import come_to_rest, wait_until
from tests.patience import PATIENCE_S


def in_coroutine(main):
    """Run it on a clock that jumps; returns what it returns, and the time on the clock then."""
    clock = MockClock()

    def timed():
        return main(), clock.now()

    return coloop.run(timed, clock=clock)


def claim(holds):
    return lambda: Finding(bool(holds()), "")


def test_a_fact_that_is_true_is_not_waited_for():
    found, seconds = in_coroutine(lambda: wait_until(claim(lambda: True), 5))
    assert found.holds
    assert seconds == 0


def test_a_fact_that_comes_true_when_others_run_needs_no_time():
    done = []

    def main():
        coloop.go(lambda: (coloop.yield_now(), done.append(1)))
        return wait_until(claim(lambda: done), 5)

    found, seconds = in_coroutine(main)
    assert found.holds
    assert seconds == 0


def test_on_a_virtual_clock_a_fact_that_comes_true_with_a_timer_is_seen_at_that_time():
    done, looks = [], []

    def main():
        coloop.go(lambda: (coloop.sleep(1), coloop.sleep(3600), done.append(1)))
        return wait_until(claim(lambda: looks.append(1) or done), 7200)

    found, seconds = in_coroutine(main)
    assert found.holds
    assert seconds == 3601
    assert len(looks) < 6


def test_on_a_real_clock_a_fact_that_comes_true_with_a_timer_is_seen_soon_after():
    done = []

    def main():
        coloop.go(lambda: (coloop.sleep(0.02), done.append(1)))
        return wait_until(claim(lambda: done), PATIENCE_S).holds

    assert coloop.run(main)


def test_while_io_is_under_way_a_virtual_clock_is_not_wound_far():
    received = []

    def main():
        left, right = socket_pair()
        coloop.go(lambda: received.append(right.recv()))
        sleeper = coloop.go(coloop.sleep, 3600)
        coloop.go(lambda: (coloop.sleep(0.5), left.sendall(b"a")))
        found = wait_until(claim(lambda: received), 60)
        sleeper.cancel()
        left.close()
        right.close()
        return found

    found, seconds = in_coroutine(main)
    assert found.holds
    assert seconds < 1


def test_a_fact_that_does_not_come_true_is_given_up_at_its_time():
    found, seconds = in_coroutine(lambda: wait_until(claim(lambda: False), 5))
    assert not found.holds
    assert seconds == pytest.approx(5)


def test_a_fact_about_the_rest_of_the_world_is_seen_too():
    event = threading.Event()
    threading.Timer(0.01, event.set).start()
    assert coloop.run(lambda: wait_until(claim(event.is_set), PATIENCE_S)).holds


def test_waiting_does_not_keep_the_machine_busy():
    looks = []
    coloop.run(lambda: wait_until(claim(lambda: looks.append(1)), 0.2))
    assert len(looks) < 20


def test_what_looking_raises_comes_out():
    with pytest.raises(ZeroDivisionError):
        in_coroutine(lambda: wait_until(claim(lambda: 1 / 0), 5))


def test_rest_is_when_all_others_wait_and_all_that_was_sent_is_dealt_with():
    received = []

    def main():
        left, right = socket_pair()
        coloop.go(lambda: [received.append(right.recv()) for _ in range(2)])
        left.sendall(b"a")
        assert come_to_rest(5)
        left.close()
        assert come_to_rest(5)
        right.close()

    in_coroutine(main)
    assert received == [b"a", b""]


def test_a_sleeper_is_at_rest():
    def main():
        sleeper = coloop.go(coloop.sleep, 60)
        assert come_to_rest(5)
        sleeper.cancel()

    assert in_coroutine(main)[1] == 0


def test_somebody_who_is_always_busy_is_given_up_also_on_a_clock_that_stands_still():
    def busy():
        while True:
            coloop.yield_now()

    def main():
        other = coloop.go(busy)
        assert not come_to_rest(0.05)  # on its own clock that time never comes
        other.cancel()

    in_coroutine(main)


def test_waiting_for_rest_leaves_no_thread_and_no_timer():
    def main():
        come_to_rest(3600)
        return len(coloop.snapshot().coroutines), coloop.snapshot().timers

    (coroutines, timers), _ = in_coroutine(main)
    assert (coroutines, timers) == (1, 0)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
