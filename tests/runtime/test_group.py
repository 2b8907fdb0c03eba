"""None outlives its block; the first failure ends the rest; and what is raised tells of all that failed."""

import contextvars
import gc
import weakref
from typing import Any

import pytest

import coloop
from coloop import Cancelled, CoroutineError, Event, Group, current, go, run, sleep, suspend, yield_now
from coloop.testing import MockClock, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("mock_clock")]


class Oops(Exception):
    pass


def fail(text: str = "") -> None:
    raise Oops(text)


def fail_after(seconds: float, text: str = "") -> None:
    sleep(seconds)
    raise Oops(text)


# -- waiting -------------------------------------------------------------------------------------


def test_the_block_ends_when_all_children_have(mock_clock: MockClock) -> None:
    with Group() as group:
        children = [group.go(sleep, seconds) for seconds in (3, 1, 2)]
        assert group.children == frozenset(children)
    assert mock_clock.now() == 3.0
    assert [child.state for child in children] == ["done"] * 3
    assert group.children == frozenset()


def test_an_empty_group_and_one_whose_children_ended_at_once_do_not_wait() -> None:
    yield_now()
    switches = current().switches
    with Group():
        pass
    with Group() as group:
        child = group.go(lambda: 5)
    assert current().switches == switches + 1
    assert child.result() == 5


def test_a_child_may_start_siblings_while_the_host_waits_at_the_end(mock_clock: MockClock) -> None:
    log: list[str] = []

    def child(group: Group, more: int) -> None:
        sleep(1)
        log.append(f"{more} more")
        if more:
            group.go(child, group, more - 1)
            group.go(lambda: None)

    with Group() as group:
        group.go(child, group, 3)
    assert (log, mock_clock.now()) == (["3 more", "2 more", "1 more", "0 more"], 4.0)


def test_go_passes_on_what_it_is_given() -> None:
    def child(*args: Any, **options: Any) -> Any:
        return current().name, args, options

    with Group() as group:
        started = group.go(child, 1, name="n", key=2)
        with pytest.raises(ValueError, match="memory_limit needs level heap"):
            group.go(child, memory_limit=1000)
    assert started.result() == ("n", (1,), {"key": 2})


def test_groups_nest(mock_clock: MockClock) -> None:
    log: list[str] = []

    def family(name: str) -> None:
        with Group() as group:
            group.go(sleep, 1)
            group.go(sleep, 2)
        log.append(name)

    with Group() as outer:
        outer.go(family, "a")
        with Group() as inner:
            inner.go(family, "b")
        log.append("inner")
    assert sorted(log) == ["a", "b", "inner"]
    assert mock_clock.now() == 2.0


def test_a_child_that_is_cancelled_alone_disturbs_nobody(mock_clock: MockClock) -> None:
    with Group() as group:
        child = group.go(suspend)
        sibling = group.go(sleep, 2)
        child.cancel()
    assert (child.state, sibling.state, mock_clock.now()) == ("cancelled", "done", 2.0)


def test_cancelling_a_group_cancels_its_children_and_not_its_host() -> None:
    with Group() as group:
        children = [group.go(suspend) for _ in range(3)]
        group.cancel()
        yield_now()
    assert [child.state for child in children] == ["cancelled"] * 3


# -- results -------------------------------------------------------------------------------------


def test_results_can_be_asked_for_after_the_block_in_any_order() -> None:
    def square(n: int) -> int:
        sleep(n)
        return n * n

    with Group() as group:
        children = [group.go(square, n) for n in (3, 1, 2)]
    assert [child.result() for child in children] == [9, 1, 4]
    assert [child.result() for child in reversed(children)] == [4, 1, 9]


def test_a_result_can_be_waited_for_in_the_block(mock_clock: MockClock) -> None:
    with Group() as group:
        first = group.go(lambda: (sleep(1), "first")[1])
        last = group.go(lambda: (sleep(5), "last")[1])
        assert (first.result(), mock_clock.now()) == ("first", 1.0)
    assert (last.result(), mock_clock.now()) == ("last", 5.0)


def test_after_a_failure_each_tells_how_it_has_ended() -> None:
    with pytest.raises(Oops, match="second") as caught:
        with Group() as group:
            done = group.go(lambda: "done")
            failed = group.go(fail_after, 1, "second")
            cut = group.go(sleep, 9)
    assert done.result() == "done"
    with pytest.raises(Oops) as again:
        failed.result()
    assert again.value is caught.value
    with pytest.raises(coloop.WasCancelled, match="was cancelled and has no result"):
        cut.result()


def test_who_waits_for_the_result_of_one_that_fails_hears_of_it_from_the_group_once() -> None:
    with pytest.raises(Oops, match="first") as caught:
        with Group() as group:
            group.go(fail_after, 1, "first").result()
    assert not isinstance(caught.value, BaseExceptionGroup)


def test_after_a_cancel_those_that_were_done_have_their_results() -> None:
    with Group() as group:
        done, cut = group.go(lambda: "done"), group.go(suspend)
        group.cancel()
        late = group.go(lambda: "late")
    assert (done.result(), late.result()) == ("done", "late")
    with pytest.raises(coloop.WasCancelled):
        cut.result()


def test_a_host_that_was_cancelled_leaves_the_results_to_others() -> None:
    children: list[Any] = []

    def host() -> None:
        with Group() as group:
            children.extend([group.go(lambda: "done"), group.go(suspend)])

    waiting = go(host)
    waiting.cancel()
    waiting.join()
    assert children[0].result() == "done"
    with pytest.raises(coloop.WasCancelled):
        children[1].result()


def test_the_group_itself_holds_nobody_who_has_ended() -> None:
    class Result:
        pass

    with Group() as group:
        child: Any = group.go(Result)
        result = weakref.ref(child.result())
        held = weakref.ref(child)
        del child
        gc.collect()
        assert (held(), result()) == (None, None)


# -- failing -------------------------------------------------------------------------------------


def test_the_first_failure_cancels_the_rest_and_is_raised_as_it_is(mock_clock: MockClock) -> None:
    error = Oops("first")

    def child() -> None:
        sleep(1)
        raise error

    others = []
    with pytest.raises(Oops) as caught:
        with Group() as group:
            group.go(child)
            others = [group.go(suspend), group.go(sleep, 100), group.go(Event().wait)]
    assert caught.value is error
    assert [other.state for other in others] == ["cancelled"] * 3
    assert mock_clock.now() == 1.0


def test_a_failure_ends_the_hosts_wait_in_the_block() -> None:
    log: list[str] = []
    with pytest.raises(Oops):
        with Group() as group:
            group.go(fail_after, 1)
            try:
                sleep(100)
            except Cancelled:
                log.append("the host was interrupted")
                raise
    assert log == ["the host was interrupted"]


def test_a_child_that_fails_at_once_lets_go_return_and_ends_the_block_at_its_next_wait() -> None:
    log: list[str] = []
    with pytest.raises(Oops, match="at once"):
        with Group() as group:
            child = group.go(fail, "at once")
            log.append(child.state)
            with pytest.raises(CoroutineError, match="this group is ending"):
                group.go(fail)
            yield_now()
            log.append("never")
    assert log == ["failed"]


def test_a_failure_in_a_block_that_never_waits_again_is_raised_at_its_end() -> None:
    with pytest.raises(Oops, match="at once"):
        with Group() as group:
            group.go(fail, "at once")
    yield_now()


def test_a_host_that_swallows_the_interruption_still_hears_of_the_failure() -> None:
    with pytest.raises(Oops, match="child"):
        with Group() as group:
            group.go(fail_after, 1, "child")
            try:
                suspend()
            except BaseException:
                sleep(1)


def test_the_hosts_own_failure_cancels_the_children_and_is_raised_as_it_is() -> None:
    error, log = Oops("host"), []

    def child() -> None:
        try:
            suspend()
        finally:
            sleep(1)
            log.append("cleaned up")

    with pytest.raises(Oops) as caught:
        with Group() as group:
            children = [group.go(child) for _ in range(2)]
            raise error
    assert caught.value is error
    assert [child.state for child in children] == ["cancelled"] * 2
    assert log == ["cleaned up"] * 2


def test_a_child_that_swallows_its_cancel_is_waited_for_and_has_a_result(mock_clock: MockClock) -> None:
    def stubborn() -> str:
        try:
            suspend()
        except Cancelled:
            sleep(5)
        return "done all the same"

    with pytest.raises(Oops, match="first"):
        with Group() as group:
            child = group.go(stubborn)
            group.go(fail_after, 1, "first")
    assert (mock_clock.now(), child.result()) == (6.0, "done all the same")


def test_a_child_that_fails_in_the_cleaning_up_after_a_failure_is_told_of_too(mock_clock: MockClock) -> None:
    def clumsy() -> None:
        try:
            suspend()
        finally:
            sleep(1)
            fail("second")

    with pytest.raises(ExceptionGroup) as caught:
        with Group() as group:
            group.go(clumsy)
            group.go(fail_after, 1, "first")
    assert [str(error) for error in caught.value.exceptions] == ["first", "second"]
    assert mock_clock.now() == 2.0


def test_children_begin_with_the_context_of_who_starts_them() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("host")
    with Group() as group:
        child = group.go(lambda: (yield_now(), variable.get(), variable.set("child"))[1])
        variable.set("later")
    assert (child.result(), variable.get()) == ("host", "later")


def test_several_failures_are_raised_together() -> None:
    def child(text: str) -> None:
        try:
            suspend()
        except Cancelled:
            fail(text)

    with pytest.raises(ExceptionGroup) as caught:
        with Group() as group:
            group.go(child, "a")
            group.go(child, "b")
            group.go(fail_after, 1, "first")
    assert [str(error) for error in caught.value.exceptions] == ["first", "a", "b"]


def test_the_hosts_failure_comes_first_among_several() -> None:
    def child() -> None:
        try:
            suspend()
        finally:
            fail("child")

    with pytest.raises(ExceptionGroup) as caught:
        with Group() as group:
            group.go(child)
            fail("host")
    assert [str(error) for error in caught.value.exceptions] == ["host", "child"]


def test_a_failure_that_is_no_exception_makes_a_base_group() -> None:
    def child(error: BaseException) -> None:
        try:
            suspend()
        finally:
            raise error

    with pytest.raises(BaseExceptionGroup) as caught:
        with Group() as group:
            group.go(child, SystemExit(3))
            fail("host")
    assert not isinstance(caught.value, ExceptionGroup)


def test_failures_of_children_are_not_reported_besides(observer: Any) -> None:
    with pytest.raises(Oops):
        with Group() as group:
            group.go(fail_after, 1)
            group.go(suspend)
    wait_until_idle()
    assert observer.failures == []


def test_the_failure_of_an_inner_group_passes_through_the_outer(mock_clock: MockClock) -> None:
    with pytest.raises(Oops, match="inner"):
        with Group() as outer:
            outsider = outer.go(suspend)
            with Group() as inner:
                inner.go(fail_after, 1, "inner")
                insider = inner.go(suspend)
    assert (outsider.state, insider.state) == ("cancelled", "cancelled")
    assert mock_clock.now() == 1.0


def test_the_failure_of_an_outer_groups_child_ends_the_inner_group_around_the_host() -> None:
    log: list[str] = []
    with pytest.raises(Oops, match="outer"):
        with Group() as outer:
            outer.go(fail_after, 1, "outer")
            with Group() as inner:
                insider = inner.go(suspend)
            log.append("never")
    assert (insider.state, log) == ("cancelled", [])


def test_after_a_group_that_failed_its_host_owes_nothing() -> None:
    for _ in range(3):
        with pytest.raises(Oops):
            with Group() as group:
                group.go(fail)
    assert not current()._interrupts
    sleep(1)


# -- a host that is cancelled --------------------------------------------------------------------


@pytest.mark.parametrize("where", ["in the block", "at its end"])
def test_a_cancelled_host_cancels_its_children_and_waits_for_them(where: str) -> None:
    log: list[Any] = []

    def child() -> None:
        try:
            suspend()
        finally:
            sleep(3)
            log.append("child cleaned up")

    def host() -> None:
        try:
            with Group() as group:
                group.go(child)
                if where == "in the block":
                    suspend()
        finally:
            log.append("host")

    cancelled = go(host)
    sleep(1)
    cancelled.cancel()
    cancelled.join()
    assert (cancelled.state, cancelled.age_s) == ("cancelled", 4.0)
    assert log == ["child cleaned up", "host"]


def test_a_host_that_is_cancelled_twice_still_leaves_no_child_behind() -> None:
    children = []

    def stubborn() -> None:
        try:
            suspend()
        except Cancelled:
            sleep(10)

    def host() -> None:
        with Group() as group:
            children.append(group.go(stubborn))

    cancelled = go(host)
    cancelled.cancel()
    sleep(1)
    cancelled.cancel()
    cancelled.join()
    assert (cancelled.state, cancelled.age_s) == ("cancelled", 1.0)
    assert children[0].state == "cancelled"


def test_a_timeout_at_the_end_of_the_block_is_raised_when_the_children_are_gone() -> None:
    with pytest.raises(coloop.Timeout):
        with coloop.timeout(1), Group() as group:
            child = group.go(suspend)
    assert child.state == "cancelled"


# -- misuse --------------------------------------------------------------------------------------


def test_children_are_started_inside_the_block_only() -> None:
    group = Group()
    with pytest.raises(CoroutineError, match="this group's block is not open"):
        group.go(fail)
    with group:
        pass
    with pytest.raises(CoroutineError, match="this group's block is not open"):
        group.go(fail)


def test_a_block_is_entered_once() -> None:
    group = Group()
    with group:
        with pytest.raises(CoroutineError, match="entered once"):
            group.__enter__()
    with pytest.raises(CoroutineError, match="entered once"):
        group.__enter__()


def test_who_waits_for_it_says_so() -> None:
    def host() -> None:
        with Group() as group:
            group.go(suspend)
            group.go(suspend)

    waiting = go(host)
    assert waiting.waiting_on == "wait for group of 2"
    waiting.cancel()
    waiting.join()


@pytest.mark.parametrize("seed", range(10))
def test_whatever_the_order_no_child_outlives_its_block(seed: int) -> None:
    def main() -> None:
        ended = []

        def child(i: int) -> None:
            try:
                for _ in range(i):
                    yield_now()
                if i == 5:
                    fail()
                suspend()
            finally:
                yield_now()
                ended.append(i)

        with pytest.raises(Oops):
            with Group() as group:
                for i in range(10):
                    group.go(child, i)
                suspend()
        assert sorted(ended) == list(range(10))

    coloop.to_thread(lambda: run(main, seed=seed))
