"""Each coroutine has context variables of its own: a copy of its spawner's, kept across switches, gone at its end."""

import contextvars
import decimal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from greenlet import getcurrent

from coloop import Channel, current, defer, go, run, sleep, suspend, to_thread, yield_now
from coloop import _threads as threads_module

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("mock_clock")]

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@contextmanager
def set_to(value: str) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def test_the_context_of_the_running_coroutine_is_the_one_in_force() -> None:
    assert variable not in current().context
    variable.set("here")
    assert current().context[variable] == "here"
    assert dict(contextvars.copy_context()) == dict(current().context)


def test_the_copy_is_taken_at_the_spawn() -> None:
    variable.set("before")
    child = go(lambda: (suspend(), variable.get())[1])
    variable.set("after")
    child.resume()
    assert child.result() == "before"


def test_a_grandchild_inherits_from_its_own_parent() -> None:
    def child() -> str:
        variable.set("child")
        grandchild = go(lambda: (sleep(1), variable.get())[1])
        variable.set("child again")
        result: str = grandchild.result()
        return result

    variable.set("main")
    assert (go(child).result(), variable.get()) == ("child", "main")


def test_what_is_set_and_reset_stays_with_each_across_switches() -> None:
    log: list[tuple[str, str]] = []

    def child(name: str) -> None:
        for depth in range(3):
            with set_to(f"{name}{depth}"):
                yield_now()
                log.append((f"{name}{depth}", variable.get()))
                sleep(1)
                log.append((f"{name}{depth}", variable.get()))
            assert variable.get() == "main"

    variable.set("main")
    children = [go(child, name) for name in "abc"]
    for each in children:
        each.result()
    assert len(log) == 18
    assert all(expected == found for expected, found in log)
    assert variable.get() == "main"


def in_a_thread_without_context(main: Callable[[], None]) -> None:
    """A new thread has set no variables yet, so its coroutines have nothing to copy."""
    failures: list[BaseException] = []

    def body() -> None:
        try:
            run(main)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert failures == []


def test_one_that_waits_without_a_frame_of_python_has_a_context_too() -> None:
    def main() -> None:
        waiting = go(Channel[int]().receive)
        try:
            assert variable not in waiting.context
        finally:
            waiting.cancel()

    in_a_thread_without_context(main)


def test_a_deferred_call_that_waits_without_a_frame_of_python_has_the_context_too() -> None:
    def body() -> None:
        defer(Channel[int]().receive)
        variable.set("body")

    def main() -> None:
        waiting = go(body)
        try:
            assert waiting.context[variable] == "body"
        finally:
            waiting.cancel()

    in_a_thread_without_context(main)


def test_a_token_is_of_no_use_in_another_coroutine() -> None:
    token = variable.set("main")
    with pytest.raises(ValueError, match="was created in a different Context"):
        go(variable.reset, token).result()
    variable.reset(token)
    assert variable.get() == "unset"


def test_a_local_decimal_context_is_for_its_own_coroutine() -> None:
    third: Channel[str] = Channel(2)

    def child(precision: int) -> None:
        with decimal.localcontext() as context:
            context.prec = precision
            sleep(1 / precision)
            third.send(str(decimal.Decimal(1) / 3))
            sleep(1)
        assert decimal.getcontext().prec == 28

    children = [go(child, precision) for precision in (3, 5)]
    assert str(decimal.Decimal(1) / 3) == "0.3333333333333333333333333333"
    assert [third.receive(), third.receive()] == ["0.33333", "0.333"]
    for each in children:
        each.result()


def test_deferred_calls_see_the_context_of_their_coroutine() -> None:
    seen: list[str] = []

    def child() -> None:
        defer(lambda: (yield_now(), seen.append(variable.get())))
        variable.set("child")

    go(child).result()
    assert seen == ["child"]


@pytest.mark.parametrize("end", ["return", "failure", "cancel"])
def test_the_next_user_of_a_worker_finds_nothing_of_the_one_before(end: str) -> None:
    def leaves_all_as_it_is() -> object:
        variable.set("left behind")
        decimal.localcontext(decimal.Context(prec=3)).__enter__()
        if end == "failure":
            raise ValueError
        if end == "cancel":
            suspend()
        return getcurrent()

    def looks() -> tuple[str, int, object]:
        return variable.get(), decimal.getcontext().prec, getcurrent()

    for _ in range(3):
        first = go(leaves_all_as_it_is)
        first.cancel()
        first.join()
        second = go(looks)
        assert second.result()[:2] == ("unset", 28)
        assert end != "return" or second.result()[2] is first.result()


def test_main_has_a_copy_of_its_callers() -> None:
    def main() -> str:
        found = variable.get()
        variable.set("main")
        return found

    def on_a_thread() -> list[str]:
        variable.set("caller")
        return [run(main), variable.get()]

    assert to_thread(on_a_thread) == ["caller", "caller"]


def test_who_ends_while_another_is_parked_leaves_its_context_alone() -> None:
    variable.set("main")
    parked = go(lambda: (variable.set("parked"), suspend(), variable.get())[2])
    for i in range(3):
        go(variable.set, f"short {i}").result()
    parked.resume()
    assert (parked.result(), variable.get()) == ("parked", "main")


def test_a_call_on_a_thread_sees_the_variables_of_its_coroutine() -> None:
    variable.set("main")
    child = go(lambda: (variable.set("child"), to_thread(variable.get))[1])
    assert to_thread(variable.get) == "main"
    assert child.result() == "child"


def test_what_a_call_on_a_thread_sets_is_seen_by_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by its coroutine, and not by the next call on that thread."""
    monkeypatch.setattr(threads_module, "MAX_THREADS", 1)
    monkeypatch.setattr(threads_module, "_pool", threads_module._Pool())
    variable.set("main")

    def pollute() -> int:
        variable.set("polluted")
        return threading.get_ident()

    thread = to_thread(pollute)
    assert variable.get() == "main"
    assert to_thread(lambda: (threading.get_ident(), variable.get())) == (thread, "main")
