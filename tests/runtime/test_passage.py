"""Both forms of a passage say the same of themselves; what they do is in `test_channel.py`."""

import gc
import inspect
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

import coloop
from coloop import Channel, Closed, Killed, current_scheduler, go, run
from coloop._form import native
from coloop._passage import Passage, closed_error
from coloop.testing import MockClock

COUNT = 50_000


@pytest.fixture
def nervous() -> Iterator[None]:
    """Threads change places at every opportunity."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


KillInside = Callable[[Callable[[], object], int], bool]


@pytest.mark.skipif(native is None, reason="the native core is not at work here")
@pytest.mark.parametrize("name", ["send", "receive"])
def test_the_native_form_is_documented_as_the_reference_is(name: str) -> None:
    reference, form = getattr(Passage, name), getattr(Channel, name)
    assert inspect.getdoc(form) == inspect.getdoc(reference)
    assert [
        (parameter.name, parameter.default) for parameter in inspect.signature(form).parameters.values()
    ] == [
        (parameter.name, parameter.default) for parameter in inspect.signature(reference).parameters.values()
    ]


@pytest.mark.coroutine
def test_arguments_may_be_named() -> None:
    channel: Channel[int] = Channel(1)
    channel.send(value=1, timeout=None)
    assert channel.receive(timeout=None) == 1
    with pytest.raises(coloop.Timeout):
        channel.receive(timeout=0)


@pytest.mark.coroutine
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"value": 1}), ((1,), {"timeout_s": 1}), ((), {"timeout": 1})],
)
def test_wrong_arguments_are_refused_with_nothing_done(args: Any, kwargs: Any) -> None:
    channel: Channel[int] = Channel(1)
    with pytest.raises(TypeError, match=r"send\(\)"):
        channel.send(*args, **kwargs)
    assert len(channel) == 0


@pytest.mark.coroutine
def test_the_buffer_keeps_the_order_while_it_grows_and_turns() -> None:
    channel: Channel[int] = Channel(1000)
    sent = received = 0
    for size in (1, 3, 200, 7, 1000, 0, 65):
        while len(channel) < size:
            channel.send(sent)
            sent += 1
        assert list(channel._buffer) == list(range(received, sent))
        while len(channel) > size // 3:
            assert channel.receive() == received
            received += 1


@pytest.mark.coroutine
def test_a_capacity_beyond_all_memory_is_one_too() -> None:
    channel: Channel[int] = Channel(10**30)
    channel.send(1)
    assert (channel.capacity, channel.receive()) == (10**30, 1)


@pytest.mark.coroutine
def test_what_was_received_is_held_no_longer() -> None:
    class Thing:
        pass

    for capacity in (0, 1, 100):
        channel: Channel[Any] = Channel(capacity)
        things = [Thing() for _ in range(capacity + 1)]
        references = [weakref.ref(thing) for thing in things]
        go(lambda channel=channel, things=things: [channel.send(things.pop()) for _ in range(len(things))])
        for _ in references:
            channel.receive()
        coloop.yield_now()
        assert [reference() for reference in references] == [None] * len(references)


@pytest.mark.coroutine
def test_a_channel_that_holds_itself_is_freed() -> None:
    channel: Channel[Any] = Channel(2)
    channel.send([channel])
    reference = weakref.ref(channel)
    del channel
    gc.collect()
    assert reference() is None


@pytest.mark.coroutine
def test_what_is_buffered_is_seen_by_the_garbage_collector() -> None:
    channel, thing = Channel[object](1), object()
    channel.send(thing)
    assert any(
        found is thing for held in [channel, *gc.get_referents(channel)] for found in gc.get_referents(held)
    )


@pytest.mark.coroutine
def test_every_operation_counts_and_after_64_the_others_run() -> None:
    channel, log = Channel[int](100), list[int]()
    go(lambda: [log.append(len(channel)) or coloop.yield_now() for _ in range(3)])
    coloop.yield_now()
    for i in range(100):
        channel.send(i)
    for _ in range(100):
        channel.receive()
    assert len(log) == 3
    assert 0 < log[2] <= 64


def test_outside_of_run_nothing_is_sent() -> None:
    channel: Channel[int] = Channel(1)
    with pytest.raises(coloop.NotRunning, match="no scheduler runs on this thread"):
        channel.send(1)
    assert len(channel) == 0


@pytest.mark.coroutine
def test_whoever_waits_on_another_thread_is_not_served() -> None:
    channel: Channel[int] = Channel()
    receiver = go(channel.receive)

    def elsewhere() -> None:
        for call in (partial(channel.send, 1), channel.close):
            with pytest.raises(coloop.WrongThread, match=r"co#\d+ waits here for somebody on its own thread"):
                run(call)

    coloop.to_thread(elsewhere)
    assert (receiver.state, channel.closed) == ("waiting", False)
    channel.send(2)
    assert receiver.result() == 2


@pytest.mark.coroutine
def test_a_pending_interrupt_strikes_at_the_wait_and_not_at_a_value_that_is_there() -> None:
    channel, log = Channel[int](1), list[Any]()

    def child() -> None:
        coloop.current().cancel()
        channel.send(1)
        log.append(channel.receive())
        channel.receive()

    go(child).join()
    assert (log, repr(channel)) == ([1], f"<Channel#{channel.id} 0/1, 0 sending, 0 receiving>")


@pytest.mark.coroutine
def test_wherever_a_kill_strikes_a_value_is_received_or_still_there(kill_inside: KillInside) -> None:
    for place in range(100):
        channel, log = Channel[int](1), list[int]()
        channel.send(1)
        struck = kill_inside(lambda channel=channel, log=log: log.append(channel.receive()), place)
        assert len(log) + len(channel) == 1 or struck
        if not struck:
            break
    assert log == [1]


@pytest.mark.coroutine
@pytest.mark.skipif(native is None, reason="there a shot may strike between taking a value and returning it")
@pytest.mark.usefixtures("nervous")
def test_a_storm_of_shots_takes_no_value_along() -> None:
    """Behind the call that hands a value over another thread may take its turn, and shoot."""
    assert native is not None
    shoot_at, scheduler, aim = native.shoot, current_scheduler(), threading.Event()
    channel: Channel[int] = Channel(COUNT)
    lost: list[int] = []
    struck = 0

    def receive_all() -> None:
        nonlocal struck
        value = -1
        while value < COUNT - 1:
            before = value
            scheduler._turn_left = COUNT * 3  # nor does it stop for others: they must meet it in the midst
            with suppress(Killed):
                struck += 1
                aim.set()
                while value < COUNT - 1:
                    value = channel.receive()
                    if value != before + 1:
                        lost.append(before + 1)
                    before = value
                    for _ in range(10):
                        abs(value)

    def shoot() -> None:
        while not victim.ended:
            if aim.wait(0.01):
                aim.clear()
                while not (shoot_at(scheduler, victim, Killed) or victim.ended):
                    time.sleep(0)

    while struck < 2:  # on a busy machine the other thread may come too late
        struck = 0
        for i in range(COUNT):
            channel.send(i)
        victim = go(lambda: (coloop.suspend(), receive_all()))
        thread = threading.Thread(target=shoot)
        thread.start()
        victim.resume()
        assert victim.join()
        thread.join()
        assert lost == []


@pytest.mark.coroutine
def test_one_that_runs_nothing_but_a_receive_stands_somewhere() -> None:
    """In the native core it has no Python code at all."""
    receiver = go(Channel[int]().receive)
    file = "_passage.py" if native is None else "test_passage.py"
    assert str(coloop.snapshot().coroutines[1].where).startswith(f"{file}:")
    with pytest.raises(coloop.Deadlock, match=rf"receive waits on receive from channel#\d+ at {file}:"):
        coloop.to_thread(run, lambda: go(Channel[int]().receive))
    receiver.cancel()


@pytest.mark.coroutine
def test_a_closed_one_says_so_by_name() -> None:
    channel: Channel[int] = Channel()
    assert str(closed_error(channel)) == f"channel#{channel.id} is closed"
    assert type(closed_error(channel)) is Closed


@pytest.mark.coroutine
@pytest.mark.parametrize("end", ["cancel", "timeout", "close", "receive", "select"])
def test_nothing_is_left_behind_however_a_wait_ends(end: str, mock_clock: MockClock) -> None:
    """Told by the references to a value that nobody else knows."""
    value = object()

    def attempt(channel: Channel[object]) -> None:
        with suppress(Closed, coloop.Timeout):
            channel.send(value, timeout=1 if end == "timeout" else None)

    def play() -> None:
        channel: Channel[object] = Channel()
        sender = go(attempt, channel)
        if end == "cancel":
            sender.cancel()
        elif end == "timeout":
            coloop.sleep(2)
        elif end == "close":
            channel.close()
        elif end == "receive":
            assert channel.receive() is value
        else:
            assert coloop.select(channel, Channel[int]()).value is value
            go(channel.receive)
            assert coloop.select(Channel[int](), channel.sending(value)).index == 1
        sender.join()

    before = sys.getrefcount(value)
    for _ in range(10):
        play()
    gc.collect()
    assert sys.getrefcount(value) == before
