"""A handle tells what there is to know of a coroutine, living or dead, and hands every request on."""

import re
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import coloop
from coloop import (
    Channel,
    Coroutine,
    Event,
    Inbox,
    NotSuspended,
    Timeout,
    current,
    go,
    sleep,
    suspend,
    timeout,
    to_thread,
    yield_now,
)
from coloop._coroutine import default_name
from coloop._poller import READ
from coloop.testing import MockClock, socket_pair, wait_until_idle
from tests.secretive import Secret, SecretError

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("mock_clock")]


class Oops(Exception):
    pass


class Kept:
    pass


def fail(text: str = "") -> None:
    raise Oops(text)


# -- what it tells -------------------------------------------------------------------------------


def test_ids_count_from_one_and_parents_are_known() -> None:
    me = current()
    child = go(lambda: go(lambda: current()).result())
    grandchild = child.result()
    assert (me.id, child.id, grandchild.id) == (1, 2, 3)
    assert (me.parent_id, child.parent_id, grandchild.parent_id) == (None, 1, 2)
    assert go(lambda: None).id == 4


def test_one_that_a_callback_started_has_no_parent() -> None:
    found: list[Coroutine] = []
    coloop.call_soon_threadsafe(lambda: found.append(go(lambda: None)))
    wait_until_idle()
    assert found[0].parent_id is None


def test_its_states_from_first_to_last() -> None:
    seen: list[str] = []

    def child() -> None:
        seen.append(current().state)
        suspend()

    waiting = go(child)
    seen.append(waiting.state)
    waiting.resume()
    seen.append(waiting.state)
    waiting.join()
    assert [*seen, waiting.state] == ["running", "waiting", "ready", "done"]
    assert current().state == "running"


@pytest.mark.parametrize(
    ("body", "state", "outcome"),
    [
        (lambda: None, "done", "returned"),
        (list, "done", "returned a list"),
        (lambda: fail("why"), "failed", "Oops: why"),
        (lambda: current().cancel() and yield_now(), "cancelled", "cancelled"),
    ],
)
def test_its_outcome_in_a_few_words(body: Callable[[], object], state: str, outcome: str) -> None:
    child = go(body)
    assert child.outcome is None or child.ended
    child.join()
    assert (child.state, child.ended) == (state, True)
    assert (child.outcome or "").endswith(outcome)


def end_secretly() -> None:
    raise SecretError


@pytest.mark.parametrize(
    ("body", "outcome"), [(lambda: Secret(), "returned a Secret"), (end_secretly, "SecretError")]
)
def test_its_end_does_not_hang_on_a_class_of_a_user_s(body: Callable[[], object], outcome: str) -> None:
    child = go(body)
    with suppress(SecretError):
        child.result()
    assert (child.outcome, coloop.snapshot().dead[-1].outcome) == (outcome, outcome)


def test_the_place_where_it_was_started() -> None:
    child = go(lambda: None)
    assert re.fullmatch(r"test_coroutine\.py:\d+ in test_the_place_where_it_was_started", child.spawned_at)


def test_ages_stand_still_at_the_end() -> None:
    child = go(sleep, 5)
    sleep(2)
    assert child.age_s == 2.0
    sleep(10)
    assert child.age_s == 5.0


def test_switches_are_counted_and_time_that_it_was_busy() -> None:
    def child() -> None:
        for _ in range(3):
            yield_now()
        sum(range(100_000))

    one, other = go(child), go(child)
    assert one.switches == other.switches == 1
    one.join()
    other.join()
    assert one.switches == other.switches == 4
    assert one.busy_s > 0


def test_a_coroutine_that_waits_is_not_busy() -> None:
    child = go(suspend)
    before = child.busy_s
    sum(range(100_000))
    yield_now()
    assert child.busy_s == before
    child.resume()


WAITS: list[tuple[Callable[[], object], str]] = [
    (lambda: sleep(0.25), r"sleep 0\.25s"),
    (suspend, "suspend"),
    (lambda: Channel[int]().receive(), r"receive from channel#\d+"),
    (lambda: Channel[int]().send(1), r"send to channel#\d+"),
    (lambda: Event().wait(), r"wait for event#\d+"),
    (lambda: go(sleep, 1).join(), r"join co#\d+"),
    (lambda: Inbox[int]().get(), "prompt"),
]


@pytest.mark.parametrize(("wait", "text"), WAITS)
def test_what_it_waits_for(wait: Callable[[], object], text: str) -> None:
    child = go(wait)
    assert re.fullmatch(text, child.waiting_on or "")
    assert re.fullmatch(rf"<co#2 .* waiting on {text}>", repr(child))
    child.cancel()
    assert child.waiting_on is None
    child.join()
    assert child.waiting_on is None


def test_the_rest_of_a_sleep_is_told() -> None:
    child = go(sleep, 5)
    sleep(2)
    assert child.waiting_on == "sleep 3s"
    child.join()


def test_it_prints_as_its_number() -> None:
    child = go(suspend, name="worker")
    assert str(child) == "co#2"
    child.resume()
    assert repr(child) == "<co#2 worker ready>"
    child.join()
    assert repr(child) == "<co#2 worker done>"


def test_its_stack_leaves_the_runtime_out() -> None:
    def inner() -> None:
        suspend()

    def outer() -> None:
        inner()

    child = go(outer)
    assert [frame.name for frame in child.stack()] == ["outer", "inner"]
    assert child.stack()[-1].line == "suspend()"
    child.resume()
    child.join()
    assert child.stack() == []


def test_ones_own_stack_ends_where_one_asks() -> None:
    assert current().stack()[-1].name == "test_ones_own_stack_ends_where_one_asks"


def test_names_come_from_what_is_called() -> None:
    class Caller:
        def __call__(self) -> None:
            pass

    class Odd(Caller):
        __name__ = 5  # type: ignore[assignment]

    assert default_name(fail) == "fail"
    assert default_name(Caller()) == "Caller"
    assert default_name(Odd()) == "Odd"
    assert default_name(len) == "len"


# -- joining -------------------------------------------------------------------------------------


def test_joining_waits_for_the_end_and_says_whether_it_came(mock_clock: MockClock) -> None:
    child = go(sleep, 5)
    assert child.join(timeout=2) is False
    assert mock_clock.now() == 2.0
    assert child.join() is True
    assert mock_clock.now() == 5.0
    assert child.join(timeout=0) is True


def test_many_may_join_one() -> None:
    child = go(lambda: (sleep(1), "result")[1])
    assert [joiner.result() for joiner in [go(child.result) for _ in range(5)]] == ["result"] * 5


def test_an_end_in_the_instant_of_the_deadline_counts() -> None:
    child = go(sleep, 2)
    assert child.join(timeout=2) is True


def test_a_failure_is_raised_as_it_is_each_time_that_it_is_asked_for() -> None:
    child = go(fail, "why")
    errors = []
    for _ in range(2):
        with pytest.raises(Oops, match="why") as caught:
            child.result()
        errors.append(caught.value)
    assert errors[0] is errors[1]


def test_a_failure_does_not_hold_those_who_have_asked_for_it_before() -> None:
    child = go(fail, "why")
    frames, kept = [], []

    def ask() -> None:
        mine = Kept()
        kept.append(weakref.ref(mine))
        try:
            child.result()
        except Oops as error:
            frames.append([entry.name for entry in traceback.extract_tb(error.__traceback__)])

    for _ in range(3):
        go(ask).join()
    assert [ref() is None for ref in kept[:-1]] == [True, True]
    assert frames == [["ask", "result", "fail"]] * 3


def test_the_result_of_one_that_takes_too_long_is_a_timeout() -> None:
    child = go(sleep, 5)
    with pytest.raises(Timeout, match=r"join co#2: timed out after 1s"):
        child.result(timeout=1)
    assert child.result() is None


def test_a_cancelled_one_has_no_result() -> None:
    child = go(suspend)
    child.cancel()
    with pytest.raises(coloop.WasCancelled, match="co#2 was cancelled and has no result"):
        child.result()


def test_a_timeout_that_ended_it_is_its_failure_and_not_the_joiners() -> None:
    def child() -> None:
        with timeout(1):
            suspend()

    failed = go(child)
    assert failed.join(timeout=5) is True
    with pytest.raises(Timeout, match=r"^timed out after 1s$"):
        failed.result(timeout=5)


def test_nobody_can_wait_for_its_own_end() -> None:
    for wait in (current().join, current().result):
        with pytest.raises(RuntimeError, match="co#1 cannot wait for its own end"):
            wait()


def test_a_joiner_that_is_cancelled_leaves_no_trace() -> None:
    child = go(suspend)
    joiner = go(child.join)
    joiner.cancel()
    joiner.join()
    assert not child._watchers
    child.resume()
    child.join()


# -- resuming ------------------------------------------------------------------------------------


def ended(how: Callable[[], object]) -> Coroutine:
    child = go(how)
    child.cancel()
    child.join()
    return child


def test_only_a_suspended_one_can_be_resumed_and_the_error_says_what_it_does_instead() -> None:
    ready, gone = go(suspend), ended(suspend)
    ready.resume()
    cases = [
        (go(lambda: None), r"co#\d+ cannot be resumed: it has ended \(done\)"),
        (gone, r"it has ended \(cancelled\)"),
        (go(sleep, 5), r"it is not suspended but waits on sleep 5s"),
        (go(Channel[int]().receive), r"it is not suspended but waits on receive from channel#\d+"),
        (current(), "it is running"),
        (ready, "it is ready to run already"),
    ]
    for coroutine, message in cases:
        with pytest.raises(NotSuspended, match=message):
            coroutine.resume()
    for coroutine, _ in cases:
        if coroutine is not current():
            coroutine.cancel()


def test_resuming_one_in_io_says_on_which_descriptor() -> None:
    ours, theirs = socket_pair()
    child = go(ours.recv)
    with pytest.raises(NotSuspended, match=rf"it is not suspended but waits on recv {re.escape(str(ours))}"):
        child.resume()
    theirs.close()
    child.join()
    ours.close()


def test_resuming_twice_is_refused_the_second_time_and_the_first_value_counts() -> None:
    child = go(suspend)
    child.resume(1)
    with pytest.raises(NotSuspended):
        child.resume(2)
    assert child.result() == 1


def test_a_wait_of_another_kind_with_the_same_poller_is_no_suspend() -> None:
    scheduler = coloop.current_scheduler()
    ours, theirs = socket_pair()

    def child() -> None:
        scheduler.poller.expect(ours, READ, current())
        try:
            scheduler.park("recv", "fd")
        finally:
            scheduler.poller.withdraw(ours, READ)

    waiting = go(child)
    with pytest.raises(NotSuspended, match="waits on recv fd"):
        waiting.resume()
    waiting.cancel()
    waiting.join()
    ours.close()
    theirs.close()


def test_looking_from_another_thread_disturbs_nothing() -> None:
    child = go(suspend)

    def look() -> list[Any]:
        return [
            child.id,
            child.name,
            child.state,
            child.waiting_on,
            child.spawned_at,
            child.age_s,
            child.ended,
            child.outcome,
            repr(child),
        ]

    assert to_thread(look)[2:4] == ["waiting", "suspend"]
    child.resume("undisturbed")
    assert child.result() == "undisturbed"
