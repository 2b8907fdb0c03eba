"""One at a time, in order of arrival; and whoever holds a lock is named."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coloop
from coloop import (
    Cancelled,
    Coroutine,
    Deadlock,
    Lock,
    LockMisused,
    RLock,
    Timeout,
    call_soon_threadsafe,
    current,
    current_scheduler,
    go,
    run,
    sleep,
    suspend,
    timeout,
    to_thread,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine
both = pytest.mark.parametrize("kind", [Lock, RLock])
Kind = type[Lock]
KillInside = Callable[[Callable[[], object], int], bool]


def kept_by_a_dead_one(lock: Lock) -> Coroutine:
    """A coroutine that has ended, and has not given `lock` back."""
    return go(lock.acquire, name="careless")


# -- holding -------------------------------------------------------------------------------------


@coroutine
@both
def test_one_at_a_time(kind: Kind) -> None:
    lock, inside, most = kind(), 0, 0

    def child() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            yield_now()
            inside -= 1

    children = [go(child) for _ in range(5)]
    assert lock.locked()
    for each in children:
        each.result()
    assert (most, lock.locked(), lock.holder) == (1, False, None)


@coroutine
@both
def test_those_who_wait_hold_it_in_the_order_in_which_they_came(kind: Kind) -> None:
    lock, log = kind(), list[int]()

    def child(i: int) -> None:
        with lock:
            log.append(i)
            yield_now()

    lock.acquire()
    children = [go(child, i) for i in range(5)]
    lock.release()
    for each in children:
        each.result()
    assert log == list(range(5))


@coroutine
@both
def test_a_newcomer_does_not_overtake_one_that_was_handed_the_lock_and_has_not_run(kind: Kind) -> None:
    lock = kind()
    lock.acquire()
    heir = go(lock.acquire)
    lock.release()
    assert (lock.holder, heir.state) == (heir, "ready")
    assert lock.acquire(timeout=0) is False
    assert (lock.holder, heir.ended) == (heir, True)


@coroutine
@both
def test_the_block_gives_it_back_also_after_an_error(kind: Kind) -> None:
    lock = kind()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert not lock.locked()


@coroutine
@both
def test_one_that_never_waits_lets_others_run_now_and_then(kind: Kind) -> None:
    lock, log = kind(), list[str]()
    other = go(lambda: (yield_now(), log.append("ran")))
    for _ in range(100_000):
        with lock:
            pass
        if log:
            break
    assert log
    other.join()


# -- leaving early -------------------------------------------------------------------------------


@coroutine
@both
def test_the_time_to_wait_can_be_limited(kind: Kind, mock_clock: MockClock) -> None:
    lock = kind()
    lock.acquire()
    late, patient = go(lock.acquire, timeout=2), go(lock.acquire, timeout=4)
    sleep(3)
    assert late.result() is False
    lock.release()
    assert patient.result() is True
    assert lock.holder is patient
    assert coloop.snapshot().timers == 0


@coroutine
@both
def test_a_lock_given_back_in_the_instant_of_the_deadline_is_held_or_not(
    kind: Kind, mock_clock: MockClock
) -> None:
    lock = kind()

    def holder() -> None:
        with lock:
            sleep(1)

    go(holder)
    held = lock.acquire(timeout=1)
    assert held == (lock.holder is current())
    wait_until_idle()
    assert held or not lock.locked()


@coroutine
@both
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_is_cancelled_in_line_is_passed_over(kind: Kind, place: int) -> None:
    lock, log = kind(), list[int]()

    def child(i: int) -> None:
        with lock:
            log.append(i)

    lock.acquire()
    children = [go(child, i) for i in range(3)]
    children[place].cancel()
    lock.release()
    for each in children:
        each.join()
    assert log == [i for i in range(3) if i != place]
    assert not lock.locked()


@coroutine
@both
@pytest.mark.parametrize("end", ["cancel", "throw", "kill"])
def test_one_that_is_handed_the_lock_and_ended_at_the_same_moment_passes_it_on(kind: Kind, end: str) -> None:
    """It holds the lock; what ends it comes at its next wait, inside the block."""
    lock, log = kind(), list[str]()

    def child() -> None:
        with lock:
            log.append("held")
            suspend()

    lock.acquire()
    first, second = go(child), go(lock.acquire)
    lock.release()
    if end == "cancel":
        first.cancel()
    elif end == "throw":
        first.throw(Cancelled())
    else:
        current_scheduler().kill(first)
    assert second.result() is True
    assert (log, first.ended, lock.holder) == (["held"], True, second)


@coroutine
@both
def test_a_limit_around_the_block_leaves_nobody_in_line(kind: Kind, mock_clock: MockClock) -> None:
    lock = kind()
    lock.acquire()

    def child() -> None:
        with pytest.raises(Timeout), timeout(1), lock:
            pass

    go(child).result()
    assert repr(lock).endswith("0 waiting>")
    lock.release()
    assert not lock.locked()


@coroutine
@both
def test_wherever_a_kill_strikes_the_lock_is_passed_on_or_names_the_dead(
    kind: Kind, kill_inside: KillInside
) -> None:
    kept = passed = 0
    for place in range(200):
        lock, log = kind(), list[int]()

        def hold(i: int, lock: Lock = lock, log: list[int] = log) -> None:
            with lock:
                log.append(i)
                yield_now()

        def victim(lock: Lock = lock) -> None:
            with lock:
                for i in (1, 2):
                    go(hold, i)

        struck = kill_inside(victim, place)
        if lock.holder is not None and lock.holder.ended:
            kept += 1
            assert lock.holder.name == "victim"
            assert "held by co#" in repr(lock)
            assert "'victim' (which has ended: cancelled)" in repr(lock)
            lock.release()
        else:
            passed += 1
        wait_until_idle()
        assert log in ([1, 2], [1], [])  # as many as the victim had started
        assert repr(lock) == f"<{kind.__name__}#{lock.id} free, 0 waiting>"
        if not struck:
            break
    assert not struck
    assert kept > 2
    assert passed > 2


@coroutine
@both
@pytest.mark.usefixtures("mock_clock")
def test_from_the_wake_up_to_the_block_a_kill_does_not_strike(kind: Kind, kill_inside: KillInside) -> None:
    """So whoever was handed the lock either never had it, or was inside the block."""
    kept = 0
    for place in range(200):
        lock, log = kind(), list[str]()

        def hold(lock: Lock = lock) -> None:
            with lock:
                sleep(1)

        def victim(lock: Lock = lock, log: list[str] = log) -> None:
            with lock:
                log.append("inside")

        go(hold)
        struck = kill_inside(victim, place)
        sleep(2)
        if lock.locked():
            kept += 1
            assert log == ["inside"]
        if not struck:
            break
    assert not struck
    assert kept > 0


# -- mistakes ------------------------------------------------------------------------------------


@coroutine
@both
def test_giving_back_what_another_one_holds_names_both(kind: Kind) -> None:
    lock = kind()
    holder = go(lambda: (lock.acquire(), suspend()), name="holder")
    text = rf"^co#1 '.*' cannot release r?lock#{lock.id}: it is held by {holder} 'holder'$"
    with pytest.raises(LockMisused, match=text):
        lock.release()
    assert lock.holder is holder
    holder.cancel()


@coroutine
@both
def test_giving_back_what_nobody_holds_is_refused(kind: Kind) -> None:
    lock = kind()
    with pytest.raises(LockMisused, match=r"cannot release r?lock#\d+: it is free"):
        lock.release()
    with lock:
        pass
    with pytest.raises(RuntimeError):
        lock.release()


@coroutine
def test_taking_a_plain_lock_twice_is_refused_at_once() -> None:
    lock = Lock()
    with lock:
        with pytest.raises(LockMisused, match=r"^co#1 '.*' holds lock#\d+ already .*: use an RLock$"):
            lock.acquire()
        assert lock.holder is current()
    assert not lock.locked()


@coroutine
@both
def test_a_lock_whose_holder_has_ended_names_it_and_keeps_nobody_waiting(kind: Kind) -> None:
    lock = kind()
    dead = kept_by_a_dead_one(lock)
    assert dead.ended
    assert repr(lock).endswith(f"held by {dead} 'careless' (which has ended: returned a bool), 0 waiting>")
    assert str(lock).endswith(f"lock#{lock.id} of {dead}, which has ended")
    with pytest.raises(LockMisused, match=rf"co#1 '.*' would wait for ever: .* held by {dead} 'careless'"):
        lock.acquire()


@coroutine
@both
def test_what_a_dead_one_holds_anybody_may_give_back(kind: Kind) -> None:
    lock = kind()
    kept_by_a_dead_one(lock)
    lock.release()
    assert lock.acquire()
    assert lock.holder is current()


@both
def test_those_who_wait_for_a_dead_one_are_told_so_in_the_deadlock(kind: Kind) -> None:
    lock = kind()

    def main() -> None:
        careless = go(lambda: (lock.acquire(), suspend()), name="careless")
        waiter = go(lock.acquire)
        assert waiter.waiting_on is not None
        assert waiter.waiting_on.endswith(f"lock#{lock.id} of {careless}")
        careless.resume()

    with pytest.raises(Deadlock, match=rf"acquire r?lock#{lock.id} of co#2, which has ended"):
        run(main)


@coroutine
@both
def test_a_callback_can_neither_take_nor_give_back(kind: Kind, observer: Any) -> None:
    lock = kind()
    lock.acquire()
    call_soon_threadsafe(lock.release)
    wait_until_idle()
    assert [failure.exception_type for failure in observer.failures] == ["LockMisused"]
    lock.release()
    call_soon_threadsafe(lock.acquire)
    wait_until_idle()
    assert [failure.exception_type for failure in observer.failures] == ["LockMisused", "NotRunning"]
    observer.failures.clear()
    assert not lock.locked()


@both
def test_outside_of_run_it_cannot_be_taken(kind: Kind) -> None:
    lock = kind()
    with pytest.raises(coloop.NotRunning):
        lock.acquire()
    assert not lock.locked()


@coroutine
@both
def test_a_lock_belongs_to_one_scheduler(kind: Kind) -> None:
    lock = kind()

    def elsewhere() -> None:
        for call in (lock.acquire, lock.release):
            with pytest.raises(coloop.WrongThread, match=r"is held by co#1 '.*' of another scheduler"):
                run(call)

    with lock:
        to_thread(elsewhere)
    assert not lock.locked()


@coroutine
@both
def test_a_bad_limit_leaves_nobody_in_line(kind: Kind) -> None:
    lock = kind()
    go(lambda: (lock.acquire(), suspend()), name="holder")
    with pytest.raises(ValueError, match="timeout must be finite"):
        lock.acquire(timeout=float("nan"))
    assert repr(lock).endswith("0 waiting>")
    assert lock.holder is not None
    lock.holder.cancel()


# -- taking it again -----------------------------------------------------------------------------


@coroutine
def test_its_holder_may_take_an_rlock_again_and_gives_it_back_as_often() -> None:
    lock = RLock()
    waiter = go(lambda: None)
    with lock, lock, lock:
        assert repr(lock) == f"<RLock#{lock.id} held 3 times by co#1 {current().name!r}, 0 waiting>"
        waiter = go(lock.acquire)
        lock.release()
        lock.release()
        assert lock.holder is current()
        lock.release()
        assert lock.holder is waiter
        wait_until_idle()
        lock.release()  # what a dead one holds
        for _ in range(3):
            lock.acquire()
    assert not lock.locked()


@coroutine
def test_an_heir_holds_an_rlock_once() -> None:
    lock = RLock()
    lock.acquire()
    lock.acquire()

    def child() -> None:
        with lock:
            assert "held by" in repr(lock)

    heir = go(child)
    lock.release()
    lock.release()
    heir.result()
    assert not lock.locked()


@coroutine
def test_what_a_dead_one_holds_several_times_is_given_back_at_once() -> None:
    lock = RLock()
    go(lambda: (lock.acquire(), lock.acquire()), name="careless")
    lock.release()
    assert not lock.locked()


# -- looking -------------------------------------------------------------------------------------


@coroutine
@both
def test_it_tells_who_holds_it_and_how_many_wait(kind: Kind) -> None:
    lock, name = kind(), kind.__name__
    assert (str(lock), repr(lock)) == (f"{name.lower()}#{lock.id}", f"<{name}#{lock.id} free, 0 waiting>")
    lock.acquire()
    waiter = go(lock.acquire)
    assert repr(lock) == f"<{name}#{lock.id} held by co#1 {current().name!r}, 1 waiting>"
    assert waiter.waiting_on == f"acquire {name.lower()}#{lock.id} of co#1"
    waiter.cancel()
    lock.release()


# -- against a model -----------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.just(("acquire", 0)),
        st.just(("release", 0)),
        st.tuples(st.just("cancel"), st.integers(0, 1000)),
        st.just(("idle", 0)),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(steps=STEPS, seed=st.one_of(st.none(), st.integers(0, 5)), kind=st.sampled_from([Lock, RLock]))
def test_it_does_what_a_line_does(steps: list[tuple[str, int]], seed: int | None, kind: Kind) -> None:
    """The model is a line of those who came, the first of whom holds the lock."""

    def main() -> None:
        lock, line = kind(), list[Coroutine]()

        def child() -> None:
            with lock:
                suspend()

        for step, amount in steps:
            current_scheduler()._turn_left = 64  # `go` takes no turns away here
            if step == "acquire":
                line.append(go(child))
            elif step == "idle":
                wait_until_idle()
            elif line:
                leaver = line.pop(amount % len(line) if step == "cancel" else 0)
                held = leaver is lock.holder
                leaver.cancel()
                if held:
                    wait_until_idle()
            assert lock.holder is (line[0] if line else None)
            assert list(lock._waiters) == line[1:]
        while line:
            line.pop(0).cancel()
            wait_until_idle()
            assert lock.holder is (line[0] if line else None)

    run(main, seed=seed, clock=MockClock())


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_in_a_crowd_that_comes_and_goes_one_is_inside_and_it_is_free_in_the_end(seed: int) -> None:
    dice = random.Random(seed)

    def main() -> None:
        lock, inside = Lock(), list[Coroutine]()

        def child(limit_s: int | None) -> None:
            if not lock.acquire(timeout=limit_s):
                return
            try:
                assert inside == []
                inside.append(current())
                sleep(dice.choice([0, 1]))
            finally:
                inside.clear()
                lock.release()

        crowd = []
        for _ in range(60):
            crowd.append(go(child, dice.choice([None, 0, 1, 2])))
            if dice.random() < 0.2:
                dice.choice(crowd).cancel()
            if dice.random() < 0.3:
                sleep(dice.choice([0, 1]))
        for each in crowd:
            each.join()
        assert {each.state for each in crowd} <= {"done", "cancelled"}
        assert repr(lock) == f"<Lock#{lock.id} free, 0 waiting>"

    run(main, seed=seed, clock=MockClock())
