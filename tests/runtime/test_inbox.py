"""Any thread puts, one coroutine takes, in order; and while somebody waits here there is hope."""

import threading
from typing import Any

import pytest

import coloop
from coloop import Cancelled, Inbox, current_scheduler, go, run, suspend, to_thread, yield_now
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine


@coroutine
def test_what_was_put_is_taken_in_order() -> None:
    inbox: Inbox[int] = Inbox()
    for i in range(5):
        inbox.put(i)
    assert [inbox.get() for _ in range(5)] == list(range(5))


@coroutine
def test_who_waits_is_woken_from_any_thread() -> None:
    inbox: Inbox[str] = Inbox()
    child = go(inbox.get)
    assert child.waiting_on == "prompt"
    to_thread(inbox.put, "from a thread")
    assert child.result() == "from a thread"


@coroutine
def test_many_threads_put_and_nothing_is_lost() -> None:
    inbox: Inbox[tuple[int, int]] = Inbox()

    def put(i: int) -> None:
        for k in range(1000):
            inbox.put((i, k))

    threads = [threading.Thread(target=put, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    found = [inbox.get() for _ in range(4000)]
    for thread in threads:
        thread.join()
    for i in range(4):
        assert [k for sender, k in found if sender == i] == list(range(1000))


@coroutine
def test_an_item_stays_for_the_next_when_the_one_who_waited_was_cancelled() -> None:
    inbox: Inbox[str] = Inbox()
    cancelled = go(inbox.get)
    cancelled.cancel()
    inbox.put("item")
    cancelled.join()
    assert inbox.get() == "item"


@coroutine
def test_one_that_was_woken_and_cancelled_has_its_item() -> None:
    log: list[Any] = []
    inbox: Inbox[str] = Inbox()

    def child() -> None:
        log.append(inbox.get())
        try:
            suspend()
        except Cancelled:
            log.append("cancelled")

    waiting = go(child)
    inbox.put("item")
    while waiting.waiting_on == "prompt":
        yield_now()
    waiting.cancel()
    waiting.join()
    assert log == ["item", "cancelled"]


@coroutine
def test_only_one_may_wait() -> None:
    inbox: Inbox[str] = Inbox()
    first = go(inbox.get)
    with pytest.raises(coloop.Busy, match="co#2 waits in this inbox already"):
        inbox.get()
    inbox.put("item")
    assert first.result() == "item"


@coroutine
def test_it_is_read_on_the_thread_of_its_scheduler() -> None:
    inbox: Inbox[str] = Inbox()

    def elsewhere() -> None:
        with pytest.raises(coloop.WrongThread, match="belongs to the scheduler that made it"):
            inbox.get()

    to_thread(elsewhere)


def test_after_the_end_of_its_scheduler_it_takes_nothing() -> None:
    inbox = run(Inbox)
    with pytest.raises(coloop.NotRunning):
        inbox.put("late")


def test_a_prompt_is_hope_and_a_standstill_is_told_once() -> None:
    stalls: list[list[str]] = []

    class Watcher(coloop.Observer):
        def stalled(self, coroutines: tuple[coloop.CoroutinePicture, ...]) -> None:
            stalls.append([co.name for co in coroutines])
            inboxes[0].put("go on")

    inboxes: list[Inbox[str]] = []

    def main() -> None:
        inboxes.append(Inbox())
        stuck = go(suspend, name="stuck")
        assert inboxes[0].get() == "go on"
        assert stalls == [["stuck"]]
        stuck.resume()
        stuck.join()

    run(main, observer=Watcher(), clock=MockClock())
    assert stalls == [["stuck"]]


def test_a_standstill_of_others_is_told_again() -> None:
    stalls: list[list[str]] = []

    class Watcher(coloop.Observer):
        def stalled(self, coroutines: tuple[coloop.CoroutinePicture, ...]) -> None:
            stalls.append([co.name for co in coroutines])
            inboxes[0].put("go on")

    inboxes: list[Inbox[str]] = []

    def main() -> None:
        inboxes.append(Inbox())
        first = go(suspend, name="a")
        inboxes[0].get()
        second = go(suspend, name="b")
        inboxes[0].get()
        first.resume()
        second.resume()

    run(main, observer=Watcher())
    assert stalls == [["a"], ["a", "b"]]


def test_whoever_asks_in_a_standstill_makes_nobody_look_at_every_coroutine_again() -> None:
    # A monitor asks twice a second; with a million parked each look would take a tenth of one.
    looks: list[int] = []

    class Living(dict[int, coloop.Coroutine]):
        def values(self) -> Any:
            looks.append(len(self))
            return super().values()

    class Watcher(coloop.Observer):
        def stalled(self, coroutines: tuple[coloop.CoroutinePicture, ...]) -> None:
            at_rest.set()

    at_rest = threading.Event()

    def main() -> None:
        inbox: Inbox[str] = Inbox()
        scheduler = current_scheduler()

        def ask() -> None:
            at_rest.wait()
            for _ in range(50):  # most of them find it waiting
                turned = threading.Event()
                scheduler.call_soon_threadsafe(turned.set)
                turned.wait()
            scheduler.call_soon_threadsafe(inbox.put, "enough")

        scheduler.living = Living(scheduler.living)
        stuck = go(suspend)
        thread = threading.Thread(target=ask)
        thread.start()
        inbox.get()
        assert len(looks) == 1
        stuck.cancel()
        thread.join()

    run(main, observer=Watcher())


def test_nobody_but_the_prompt_is_no_standstill() -> None:
    class Watcher(coloop.Observer):
        def stalled(self, coroutines: tuple[coloop.CoroutinePicture, ...]) -> None:
            raise AssertionError("nobody is stuck")

    def main() -> str:
        inbox: Inbox[str] = Inbox()
        scheduler = current_scheduler()
        idle = go(wait_until_idle)
        thread = threading.Thread(
            target=lambda: (asked.wait(), scheduler.call_soon_threadsafe(inbox.put, "late"))
        )
        asked = threading.Event()
        thread.start()
        scheduler.call_soon_threadsafe(asked.set)
        item = inbox.get()
        idle.join()
        thread.join()
        return item

    assert run(main, observer=Watcher()) == "late"
