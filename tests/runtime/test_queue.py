"""What is put is got once, in order; and a queue does what a plain model does."""

import queue
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coloop
from coloop import (
    Cancelled,
    Closed,
    Coroutine,
    Queue,
    QueueEmpty,
    QueueFull,
    Timeout,
    call_soon_threadsafe,
    current,
    current_scheduler,
    go,
    run,
    sleep,
    to_thread,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine
KillInside = Callable[[Callable[[], object], int], bool]


# -- handing over --------------------------------------------------------------------------------


@coroutine
def test_without_a_limit_whatever_is_put_is_taken_in() -> None:
    tasks: Queue[int] = Queue()
    for i in range(1000):
        tasks.put(i)
    assert (tasks.qsize(), tasks.full(), tasks.empty()) == (1000, False, False)
    assert [tasks.get() for _ in range(1000)] == list(range(1000))
    assert tasks.empty()


@coroutine
def test_with_a_limit_one_waits_for_room() -> None:
    tasks: Queue[int] = Queue(2)
    tasks.put(0)
    assert not tasks.full()
    tasks.put(1)
    putter = go(tasks.put, 2)
    assert (tasks.full(), tasks.qsize(), putter.state) == (True, 2, "waiting")
    assert [tasks.get() for _ in range(3)] == [0, 1, 2]
    assert putter.join()


@coroutine
@pytest.mark.parametrize("maxsize", [0, 1])
def test_those_who_wait_to_get_are_served_in_order(maxsize: int) -> None:
    tasks: Queue[int] = Queue(maxsize)
    getters = [go(tasks.get) for _ in range(4)]
    for i in range(4):
        tasks.put(i)
    assert [getter.result() for getter in getters] == [0, 1, 2, 3]
    assert tasks.unfinished_tasks == 4


@coroutine
def test_a_newcomer_that_puts_does_not_overtake_one_that_waits_to() -> None:
    tasks: Queue[str] = Queue(1)
    tasks.put("in it")
    go(tasks.put, "waiting")
    assert tasks.get() == "in it"
    newcomer = go(tasks.put, "newcomer")
    assert newcomer.state == "waiting"
    assert [tasks.get(), tasks.get()] == ["waiting", "newcomer"]


@coroutine
def test_a_newcomer_that_gets_does_not_overtake_one_that_was_woken() -> None:
    tasks: Queue[str] = Queue()
    first = go(tasks.get)
    tasks.put("for the first")
    newcomer = go(tasks.get)
    assert (newcomer.state, tasks.qsize()) == ("waiting", 0)
    tasks.put("for the newcomer")
    assert (first.result(), newcomer.result()) == ("for the first", "for the newcomer")


@coroutine
@pytest.mark.parametrize("item", [None, False, (), Closed("an item like any other")])
def test_any_object_is_an_item(item: object) -> None:
    tasks: Queue[object] = Queue()
    getter = go(tasks.get)
    tasks.put(item)
    tasks.put(item)
    assert tasks.get() is item
    assert getter.result() is item


@coroutine
def test_one_that_never_waits_lets_others_run_now_and_then() -> None:
    tasks: Queue[int] = Queue()
    log: list[str] = []
    other = go(lambda: (yield_now(), log.append("ran")))
    for i in range(100_000):
        tasks.put(i)
        tasks.get()
        if log:
            break
    assert log
    other.join()


# -- not waiting, or not for long ----------------------------------------------------------------


@coroutine
def test_one_that_does_not_wait_hears_that_there_is_nothing_or_no_room() -> None:
    tasks: Queue[int] = Queue(1)
    with pytest.raises(QueueEmpty, match=r"queue#\d+ is empty"):
        tasks.get_nowait()
    tasks.put_nowait(1)
    with pytest.raises(QueueFull, match=r"queue#\d+ is full \(1 items\)"):
        tasks.put_nowait(2)
    with pytest.raises(QueueFull):
        tasks.put(2, False)
    assert (tasks.get_nowait(), tasks.unfinished_tasks) == (1, 1)
    with pytest.raises(QueueEmpty):
        tasks.get(False)


@coroutine
def test_one_that_does_not_wait_does_not_overtake() -> None:
    tasks: Queue[str] = Queue(1)
    tasks.put("in it")
    waiting = go(tasks.put, "waiting")
    assert tasks.get_nowait() == "in it"
    with pytest.raises(QueueFull):
        tasks.put_nowait("newcomer")
    assert tasks.get_nowait() == "waiting"
    assert waiting.join()


@coroutine
def test_the_time_to_wait_can_be_limited(mock_clock: MockClock) -> None:
    tasks: Queue[int] = Queue(1)
    with pytest.raises(QueueEmpty, match=r"get from queue#\d+: timed out after 2s"):
        tasks.get(timeout=2)
    tasks.put(1)
    with pytest.raises(QueueFull, match=r"put to queue#\d+: timed out after 3s"):
        tasks.put(2, timeout=3)
    assert mock_clock.now() == 5.0
    assert (tasks.get(timeout=1), tasks.qsize(), tasks.unfinished_tasks) == (1, 0, 1)
    assert coloop.snapshot().timers == 0


@coroutine
@pytest.mark.parametrize("kind", [Timeout, TimeoutError, coloop.CoroutineError, queue.Empty, queue.Full])
def test_its_errors_are_those_of_the_library_and_timeouts(kind: type[Exception]) -> None:
    is_a = {Timeout: (True, True), TimeoutError: (True, True), queue.Empty: (True, False)}
    is_a[queue.Full] = (False, True)
    expected = is_a.get(kind, (False, False))
    assert (issubclass(QueueEmpty, kind), issubclass(QueueFull, kind)) == expected


@coroutine
def test_the_limit_of_a_block_is_no_error_of_the_queue(mock_clock: MockClock) -> None:
    tasks: Queue[int] = Queue()
    with pytest.raises(Timeout) as caught, coloop.timeout(1):
        tasks.get(timeout=2)
    assert not isinstance(caught.value, queue.Empty)
    assert mock_clock.now() == 1.0


# -- leaving early -------------------------------------------------------------------------------


@coroutine
def test_one_that_is_cancelled_in_line_is_passed_over() -> None:
    tasks: Queue[str] = Queue(1)
    cancelled, getter = go(tasks.get), go(tasks.get)
    cancelled.cancel()
    tasks.put("for the next")
    assert getter.result() == "for the next"
    tasks.put("in it")
    cancelled, putter = go(tasks.put, "cancelled"), go(tasks.put, "next")
    cancelled.cancel()
    assert (tasks.get(), tasks.get()) == ("in it", "next")
    assert putter.join()
    assert tasks.unfinished_tasks == 3


@coroutine
def test_one_that_is_handed_an_item_and_cancelled_at_the_same_moment_has_it() -> None:
    tasks: Queue[int] = Queue()
    log: list[object] = []

    def child() -> None:
        log.append(tasks.get())
        try:
            yield_now()
        except Cancelled:
            log.append("cancelled")

    getter, other = go(child), go(tasks.get)
    tasks.put(1)
    getter.cancel()
    getter.join()
    assert (log, other.state) == ([1, "cancelled"], "waiting")
    other.cancel()


@coroutine
def test_one_whose_item_was_taken_in_and_that_is_cancelled_at_the_same_moment_has_put_it() -> None:
    tasks: Queue[int] = Queue(1)
    log: list[str] = []
    tasks.put(0)
    putter = go(lambda: (tasks.put(1), log.append("put")))
    assert tasks.get() == 0
    putter.cancel()
    putter.join()
    assert (log, tasks.get(), tasks.unfinished_tasks) == (["put"], 1, 2)


@coroutine
def test_wherever_a_kill_strikes_an_item_is_put_and_counted_or_neither(kill_inside: KillInside) -> None:
    for prepare in (0, 1):
        seen = set()
        for place in range(100):
            tasks: Queue[str] = Queue()
            getters = [go(tasks.get) for _ in range(prepare)]
            struck = kill_inside(lambda tasks=tasks: tasks.put("item"), place)
            wait_until_idle()
            got = sum(getter.state == "done" for getter in getters)
            seen.add((tasks.qsize() + got, tasks.unfinished_tasks))
            for getter in getters:
                getter.cancel()
            if not struck:
                break
        assert not struck
        assert seen == {(0, 0), (1, 1)}


@coroutine
def test_wherever_a_kill_strikes_one_that_gets_the_room_goes_to_the_first_who_waits(
    kill_inside: KillInside,
) -> None:
    """The item itself may be lost with the one that was killed: it had it."""
    seen = set()
    for place in range(100):
        tasks: Queue[int] = Queue(1)
        tasks.put(0)
        putters = [go(tasks.put, i) for i in (1, 2)]
        struck = kill_inside(tasks.get, place)
        assert tasks.full()
        putters.append(go(tasks.put, 3))
        rest = []
        while not tasks.empty():
            rest.append(tasks.get())
        assert all(putter.join() for putter in putters)
        seen.add(tuple(rest))
        if not struck:
            break
    assert not struck
    assert seen == {(0, 1, 2, 3), (1, 2, 3)}


@coroutine
def test_wherever_a_kill_strikes_all_who_join_go_on_or_none(kill_inside: KillInside) -> None:
    seen = set()
    for place in range(100):
        tasks: Queue[int] = Queue()
        tasks.put(0)
        joiners = [go(tasks.join) for _ in range(2)]
        struck = kill_inside(tasks.task_done, place)
        wait_until_idle()
        seen.add((tasks.unfinished_tasks, *(joiner.ended for joiner in joiners)))
        for joiner in joiners:
            joiner.cancel()
        if not struck:
            break
    assert not struck
    assert seen == {(1, False, False), (0, True, True)}


# -- tasks ---------------------------------------------------------------------------------------


@coroutine
def test_one_can_wait_until_every_task_is_done() -> None:
    tasks: Queue[int] = Queue(2)
    done: list[int] = []

    def worker() -> None:
        for task in tasks:
            yield_now()
            done.append(task)
            tasks.task_done()

    workers = [go(worker) for _ in range(3)]
    for i in range(10):
        tasks.put(i)
    assert tasks.join()
    assert (sorted(done), tasks.unfinished_tasks) == (list(range(10)), 0)
    tasks.close()
    for each in workers:
        each.result()
    assert tasks.join()


@coroutine
def test_the_time_to_join_can_be_limited(mock_clock: MockClock) -> None:
    tasks: Queue[int] = Queue()
    tasks.put(1)
    assert tasks.join(timeout=2) is False
    current_scheduler().call_later(1, tasks.task_done)
    assert tasks.join(timeout=2) is True
    assert mock_clock.now() == 3.0


@coroutine
def test_a_task_that_waits_to_be_put_counts_from_the_moment_when_it_is() -> None:
    tasks: Queue[int] = Queue(1)
    tasks.put(1)
    putter = go(tasks.put, 2)
    assert tasks.unfinished_tasks == 1
    tasks.get()
    assert tasks.unfinished_tasks == 2
    assert putter.join()


@coroutine
def test_no_more_can_be_done_than_was_put() -> None:
    tasks: Queue[int] = Queue()
    with pytest.raises(
        ValueError, match=r"queue#\d+: task_done\(\) was called more often than items were put"
    ):
        tasks.task_done()


# -- closing -------------------------------------------------------------------------------------


@coroutine
def test_a_closed_queue_is_emptied_and_then_says_so() -> None:
    tasks: Queue[int] = Queue()
    tasks.put(1)
    tasks.put(2)
    tasks.close()
    tasks.close()
    assert tasks.closed
    with pytest.raises(Closed, match=r"queue#\d+ is closed"):
        tasks.put(3)
    with pytest.raises(Closed):
        tasks.put_nowait(3)
    assert (tasks.get(), tasks.get_nowait()) == (1, 2)
    for call in (tasks.get, tasks.get_nowait):
        with pytest.raises(Closed):
            call()
    assert tasks.unfinished_tasks == 2


@coroutine
def test_closing_wakes_all_who_wait_each_with_an_exception_of_its_own() -> None:
    empty: Queue[int] = Queue()
    full: Queue[int] = Queue(1)
    full.put(0)
    waiting = [go(empty.get), go(empty.get), go(full.put, 1), go(full.put, 2)]
    empty.close()
    full.close()
    errors = set()
    for each in waiting:
        with pytest.raises(Closed) as caught:
            each.result()
        errors.add(id(caught.value))
    assert len(errors) == 4
    assert (list(full), full.unfinished_tasks) == ([0], 1)


@coroutine
def test_those_who_join_wait_on_for_what_is_in_a_closed_queue() -> None:
    tasks: Queue[int] = Queue()
    tasks.put(1)
    joiner = go(tasks.join)
    tasks.close()
    wait_until_idle()
    assert joiner.state == "waiting"
    assert list(tasks) == [1]
    tasks.task_done()
    assert joiner.result() is True


@coroutine
def test_a_closed_that_somebody_throws_does_not_end_an_iteration() -> None:
    tasks: Queue[int] = Queue()
    worker = go(list, tasks)
    worker.throw(Closed("something else"))
    with pytest.raises(Closed, match="something else"):
        worker.result()


# -- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("maxsize", [1.5, True, "1", None])
def test_its_limit_is_a_number_of_items(maxsize: Any) -> None:
    with pytest.raises(ValueError, match="maxsize must be an integer, not"):
        Queue(maxsize)


def test_outside_of_run_nothing_is_put_or_taken() -> None:
    tasks: Queue[int] = Queue()
    with pytest.raises(coloop.NotRunning):
        tasks.put(1)
    assert tasks.empty()
    run(tasks.put, 1)
    with pytest.raises(coloop.NotRunning):
        tasks.get()
    assert run(tasks.get) == 1


@coroutine
def test_a_callback_may_put_where_there_is_room_and_is_refused_where_there_is_none(observer: Any) -> None:
    tasks: Queue[int] = Queue(1)
    for i in range(2):
        call_soon_threadsafe(tasks.put, i)
    wait_until_idle()
    assert [failure.exception_type for failure in observer.failures] == ["NotRunning"]
    observer.failures.clear()
    assert (tasks.get(), tasks.qsize(), tasks.unfinished_tasks) == (0, 0, 1)


@coroutine
def test_it_belongs_to_one_scheduler() -> None:
    tasks: Queue[int] = Queue()
    getter = go(tasks.get)

    def elsewhere() -> None:
        with pytest.raises(coloop.WrongThread):
            run(tasks.put, 1)

    to_thread(elsewhere)
    assert (getter.state, tasks.qsize(), tasks.unfinished_tasks) == ("waiting", 0, 0)
    tasks.put(2)
    assert getter.result() == 2


@coroutine
def test_a_bad_limit_leaves_nobody_in_line() -> None:
    tasks: Queue[int] = Queue(1)
    with pytest.raises(ValueError, match="timeout must be finite"):
        tasks.get(timeout=float("nan"))
    tasks.put(1)
    with pytest.raises(ValueError, match="timeout must be finite"):
        tasks.put(2, timeout=float("nan"))
    assert repr(tasks).endswith("1 unfinished, 0 putting, 0 getting, 0 joining>")


@coroutine
def test_it_tells_what_it_holds_and_who_waits() -> None:
    tasks: Queue[int] = Queue(1)
    getter = go(tasks.get)
    assert (str(tasks), getter.waiting_on) == (f"queue#{tasks.id}", f"get from queue#{tasks.id}")
    text = "0/1, 0 unfinished, 0 putting, 1 getting, 0 joining"
    assert repr(tasks) == f"<Queue#{tasks.id} {text}>"
    tasks.put(0)
    tasks.put(1)
    putter, joiner = go(tasks.put, 2), go(tasks.join)
    assert putter.waiting_on == f"put to queue#{tasks.id}"
    assert joiner.waiting_on == f"join queue#{tasks.id}"
    text = "1/1, 2 unfinished, 1 putting, 0 getting, 1 joining"
    assert repr(tasks) == f"<Queue#{tasks.id} {text}>"
    tasks.close()
    assert " 1/1 closed, " in repr(tasks)
    assert " 0 items, " in repr(Queue())
    joiner.cancel()
    with pytest.raises(Closed):
        putter.result()


# -- against a model -----------------------------------------------------------------------------


class Model:
    """What a queue is to do, said plainly: two lines, a buffer and a count. Outcomes are noted by number."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.items: deque[int] = deque()
        self.putters: deque[int] = deque()
        self.getters: deque[int] = deque()
        self.unfinished = 0
        self.closed = False
        self.outcomes: dict[int, object] = {}

    def put(self, number: int, block: bool) -> None:
        if self.closed:
            self.outcomes[number] = "closed"
        elif self.getters:
            self.outcomes[self.getters.popleft()] = number
            self._count(number)
        elif not self.maxsize or len(self.items) < self.maxsize:
            self.items.append(number)
            self._count(number)
        elif block:
            self.putters.append(number)
        else:
            self.outcomes[number] = "full"

    def _count(self, number: int) -> None:
        self.outcomes[number] = "put"
        self.unfinished += 1

    def get(self, number: int, block: bool) -> None:
        if self.items:
            self.outcomes[number] = self.items.popleft()
            if self.putters:
                self.items.append(self.putters[0])
                self._count(self.putters.popleft())
        elif self.closed:
            self.outcomes[number] = "closed"
        elif block:
            self.getters.append(number)
        else:
            self.outcomes[number] = "empty"

    def cancel(self, number: int) -> None:
        for line in (self.putters, self.getters):
            if number in line:
                line.remove(number)
                self.outcomes[number] = "cancelled"

    def close(self) -> None:
        self.closed = True
        for line in (self.putters, self.getters):
            self.outcomes.update(dict.fromkeys(line, "closed"))
            line.clear()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "get"]), st.sampled_from([1, 1, 1, 0])),
        st.tuples(st.just("cancel"), st.integers(0, 1000)),
        st.sampled_from([("done", 0), ("idle", 0)]),
    ),
    max_size=60,
)
ERRORS = {Closed: "closed", QueueEmpty: "empty", QueueFull: "full", Cancelled: "cancelled"}


@settings(max_examples=200)
@given(
    maxsize=st.integers(0, 3),
    steps=STEPS,
    close_after=st.one_of(st.none(), st.integers(0, 60)),
    seed=st.one_of(st.none(), st.integers(0, 5)),
)
def test_it_does_what_the_model_does(
    maxsize: int, steps: list[tuple[str, int]], close_after: int | None, seed: int | None
) -> None:
    """Every step is decided at once, whether or not those whom it concerns have run meanwhile."""
    model, outcomes = Model(maxsize), dict[int, object]()

    def main() -> None:
        tasks: Queue[int] = Queue(maxsize)
        coroutines: list[Coroutine] = []

        def note(call: Callable[..., Any], *args: Any) -> None:
            number = len(coroutines)
            coroutines.append(current())
            try:
                item = call(*args)
                outcomes[number] = "put" if item is None else item
            except tuple(ERRORS) as error:
                outcomes[number] = ERRORS[type(error)]

        for place, (step, amount) in enumerate(steps):
            current_scheduler()._turn_left = 64  # `go` takes no turns away here
            if place == close_after:
                tasks.close()
                model.close()
            number = len(coroutines)
            if step == "put":
                go(note, tasks.put, number, bool(amount))
                model.put(number, bool(amount))
            elif step == "get":
                go(note, tasks.get, bool(amount))
                model.get(number, bool(amount))
            elif step == "cancel" and coroutines:
                coroutines[amount % number].cancel()
                model.cancel(amount % number)
            elif step == "done" and model.unfinished:
                tasks.task_done()
                model.unfinished -= 1
            else:
                wait_until_idle()
                assert outcomes == model.outcomes
            assert list(tasks._items) == list(model.items)
            assert tasks.unfinished_tasks == model.unfinished
            assert (len(tasks._putters), len(tasks._getters)) == (len(model.putters), len(model.getters))
        for number in [*model.putters, *model.getters]:
            coroutines[number].cancel()
            model.cancel(number)

    run(main, seed=seed, clock=MockClock())
    assert outcomes == model.outcomes


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), maxsize=st.integers(0, 3))
def test_in_a_crowd_that_comes_and_goes_every_item_is_put_or_not_and_got_once(
    seed: int, maxsize: int
) -> None:
    dice = random.Random(seed)
    put: list[int] = []
    got: list[int] = []

    def main() -> None:
        tasks: Queue[int] = Queue(maxsize)

        def produce(item: int) -> None:
            tasks.put(item, timeout=dice.choice([None, 0, 1, 2]))
            put.append(item)

        def consume() -> None:
            got.append(tasks.get(timeout=dice.choice([None, 0, 1, 2])))
            tasks.task_done()

        crowd = []
        for item in range(80):
            crowd.append(go(produce, item) if dice.random() < 0.5 else go(consume))
            if dice.random() < 0.2:
                dice.choice(crowd).cancel()
            if dice.random() < 0.3:
                sleep(dice.choice([0, 1]))
        wait_until_idle()
        tasks.close()
        for child in crowd:
            child.join()
        for item in tasks:
            got.append(item)
            tasks.task_done()
        assert tasks.join(timeout=0)

    run(main, seed=seed, clock=MockClock())
    assert sorted(got) == sorted(put)
