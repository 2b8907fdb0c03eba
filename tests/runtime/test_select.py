"""Of several operations exactly one goes ahead, the first that can; and nobody is left in line."""

from collections import Counter, OrderedDict
from itertools import pairwise
from typing import Any

import pytest

import coloop
from coloop import (
    Cancelled,
    Channel,
    Closed,
    Coroutine,
    Killed,
    Operation,
    Selected,
    Timeout,
    go,
    run,
    select,
    sleep,
    suspend,
    to_thread,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine


def nobody_in_line(*channels: Channel[Any]) -> bool:
    """Not even one that does not count any more."""
    return all(channel._senders.is_empty() and channel._receivers.is_empty() for channel in channels)


def full() -> Channel[Any]:
    channel: Channel[Any] = Channel(1)
    channel.send("buffered")
    return channel


# -- what can go ahead at once -------------------------------------------------------------------


@coroutine
def test_the_one_that_can_go_ahead_does() -> None:
    empty, ready = Channel[int](), Channel[int](1)
    ready.send(5)
    assert select(empty, ready) == Selected(1, ready, 5)
    assert select(full().sending(1), ready.sending(6)) == Selected(1, ready)
    assert select(empty.receiving(), ready.receiving()) == Selected(1, ready, 6)
    assert (len(ready), nobody_in_line(empty, ready)) == (0, True)


@coroutine
def test_it_meets_those_who_wait_already() -> None:
    empty, channel = Channel[int](), Channel[int]()
    sender = go(channel.send, 1)
    assert select(empty, channel).value == 1
    receiver = go(channel.receive)
    assert select(empty, channel.sending(2)).index == 1
    assert receiver.result() == 2
    assert sender.join()


@coroutine
def test_to_receive_makes_room_for_one_that_waits_to_send() -> None:
    channel = full()
    sender = go(channel.send, "waiting")
    assert select(channel).value == "buffered"
    wait_until_idle()
    assert (sender.state, len(channel)) == ("done", 1)


@coroutine
def test_only_one_of_many_goes_ahead() -> None:
    channels = [Channel[int](1) for _ in range(4)]
    done = select(*(channel.sending(1) for channel in channels))
    assert [len(channel) for channel in channels] == [int(i == done.index) for i in range(4)]
    assert done.channel is channels[done.index]


@coroutine
@pytest.mark.parametrize("value", [None, False, (), Closed("a value like any other")])
def test_any_object_is_a_value(value: object) -> None:
    channel: Channel[object] = Channel()
    go(channel.send, value)
    assert select(channel) == Selected(0, channel, value)
    waiting = go(select, channel)
    channel.send(value)
    assert waiting.result() == Selected(0, channel, value)


@coroutine
def test_an_operation_is_a_value_too_and_can_be_used_again() -> None:
    channel: Channel[Any] = Channel(1)
    send = channel.sending("x")
    channel.send(send)
    assert select(channel).value is send
    for _ in range(2):
        assert select(send) == Selected(0, channel)
        assert channel.receive() == "x"


# -- which of several ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_those_that_can_go_ahead_each_has_the_same_chance(seed: int | None, count: int) -> None:
    def main() -> None:
        ready = [Channel[int](1) for _ in range(count)]
        silent = Channel[int]()
        drawn: Counter[int] = Counter()
        for _ in range(200 * count):
            drawn[select(silent, *(channel.sending(0) for channel in ready)).index] += 1
            for channel in ready:
                if len(channel):
                    channel.receive()
        assert sorted(drawn) == list(range(1, count + 1))
        assert min(drawn.values()) > 140  # of 200 expected; the draws are the same in every run

    run(main, seed=seed)


@coroutine
def test_two_that_select_in_step_starve_nothing() -> None:
    """Taking turns by a common counter would give each of them always the same one."""
    drawn: Counter[tuple[str, int]] = Counter()

    def select_from(name: str) -> None:
        for _ in range(100):
            drawn[name, select(full(), full()).index] += 1
            yield_now()

    for child in [go(select_from, "one"), go(select_from, "two")]:
        child.join()
    assert min(drawn[name, index] for name in ("one", "two") for index in (0, 1)) > 25


@pytest.mark.parametrize("waits", [False, True])
@coroutine
def test_of_two_on_the_same_channel_either_is_drawn(waits: bool) -> None:
    """How Go's specification makes random bits; also when they meet a receiver only later."""
    bits: Channel[int] = Channel()
    sender = go(lambda: [select(bits.sending(0), bits.sending(1)) for _ in range(200)])
    received: Counter[int] = Counter()
    for _ in range(200):
        if waits:
            wait_until_idle()
        received[bits.receive()] += 1
    assert sender.join()
    assert set(received) == {0, 1}
    assert min(received.values()) > 60


def test_the_seed_decides() -> None:
    def main() -> list[int]:
        return [select(full(), full(), full()).index for _ in range(20)]

    drawn = [run(main, seed=seed) for seed in (None, 1, 2)]
    assert drawn == [run(main, seed=seed) for seed in (None, 1, 2)]
    assert len(set(map(tuple, drawn))) == 3


# -- waiting -------------------------------------------------------------------------------------


@coroutine
def test_the_first_that_comes_decides_and_the_others_are_free() -> None:
    a, b, c = Channel[str](), Channel[str](), Channel[str]()
    waiting = go(select, a, b, c.sending("mine"))
    b.send("first")
    late = go(a.send, "late"), go(c.receive)
    assert waiting.result() == Selected(1, b, "first")
    assert [child.state for child in late] == ["waiting", "waiting"]
    assert a.receive() == "late"
    c.send("other")
    assert late[1].result() == "other"
    assert nobody_in_line(a, b, c)


@coroutine
def test_what_it_would_have_sent_is_taken_once() -> None:
    a, b = Channel[int](), Channel[int]()
    waiting = go(select, a.sending(1), b.sending(2))
    assert b.receive() == 2
    assert go(a.receive).state == "waiting"
    assert waiting.result() == Selected(1, b)
    a.send(0)


@coroutine
def test_one_that_stands_in_the_middle_of_a_line_leaves_it() -> None:
    a, b, log = Channel[int](), Channel[int](), []
    for name in ("first", "last"):
        go(lambda name=name: log.append((name, a.receive())))
        if name == "first":
            waiting = go(select, b, a)
    b.send(0)
    assert waiting.result().index == 0
    a.send(1)
    a.send(2)
    wait_until_idle()
    assert log == [("first", 1), ("last", 2)]


@coroutine
def test_those_who_select_and_those_who_do_not_are_served_in_the_order_of_coming() -> None:
    channel, other, log = Channel[int](), Channel[int](), []

    def plain(i: int) -> None:
        log.append((i, channel.receive()))

    def selecting(i: int) -> None:
        log.append((i, select(other, channel).value))

    for i in range(6):
        go(selecting if i % 2 else plain, i)
    for i in range(6):
        channel.send(i)
    wait_until_idle()
    assert log == [(i, i) for i in range(6)]


@coroutine
def test_those_who_send_are_served_in_the_order_of_coming() -> None:
    channel, other = Channel[int](), Channel[int]()
    for i in range(6):
        go(select, other, channel.sending(i)) if i % 2 else go(channel.send, i)
    assert [channel.receive() for _ in range(6)] == list(range(6))
    wait_until_idle()
    assert nobody_in_line(channel, other)


@coroutine
def test_a_newcomer_does_not_overtake() -> None:
    channel: Channel[str] = Channel(1)
    channel.send("buffered")
    go(channel.send, "waiting")
    newcomer = go(select, channel.sending("newcomer"))
    assert newcomer.state == "waiting"
    assert select(channel, default=None) == Selected(0, channel, "buffered")
    assert [channel.receive(), channel.receive()] == ["waiting", "newcomer"]


@coroutine
def test_one_that_sends_and_receives_on_a_channel_does_not_meet_itself() -> None:
    channel: Channel[str] = Channel()
    waiting = go(select, channel.sending("own"), channel)
    assert waiting.state == "waiting"
    channel.send("from another")
    assert waiting.result() == Selected(1, channel, "from another")
    waiting = go(select, channel.sending("own"), channel)
    assert channel.receive() == "own"
    assert waiting.result() == Selected(0, channel)
    assert nobody_in_line(channel)


@coroutine
def test_two_that_send_and_receive_meet_each_other() -> None:
    channel: Channel[int] = Channel()
    pairs: Counter[int] = Counter()
    for _ in range(100):
        crowd = [go(select, channel.sending(i), channel) for i in range(2)]
        one, other = (child.result() for child in crowd)
        assert {one.index, other.index} == {0, 1}
        assert (one.value, other.value) in ((None, 0), (1, None))
        pairs[one.index] += 1
    assert min(pairs.values()) > 25
    assert nobody_in_line(channel)


@coroutine
def test_many_that_select_over_each_other_all_find_somebody() -> None:
    a, b = Channel[int](), Channel[int]()
    got: list[int] = []

    def trade(i: int) -> None:
        give, take = (a, b) if i % 2 else (b, a)
        done = select(give.sending(i), take)
        if done.channel is take:
            got.append(done.value)

    crowd = [go(trade, i) for i in range(100)]
    for child in crowd:
        child.join()
    assert len(got) == len(set(got)) == 50
    assert nobody_in_line(a, b)


@coroutine
def test_the_same_operation_twice_happens_once() -> None:
    channel: Channel[int] = Channel()
    waiting = go(select, channel, channel, channel)
    channel.send(1)
    newcomer = go(channel.send, 2)
    assert newcomer.state == "waiting"
    assert waiting.result().value == 1
    assert channel.receive() == 2
    assert nobody_in_line(channel)


@coroutine
def test_a_value_is_forwarded_through_a_chain_that_selects() -> None:
    channels = [Channel[int]() for _ in range(50)]
    never = Channel[int]()

    def forward(left: Channel[int], right: Channel[int]) -> None:
        for _ in range(3):
            value = select(never, left).value
            select(right.sending(value + 1), never)

    for left, right in pairwise(channels):
        go(forward, left, right)
    for i in range(3):
        channels[0].send(i)
        assert channels[-1].receive() == i + 49
    wait_until_idle()
    assert nobody_in_line(never, *channels)


# -- timeout and default -------------------------------------------------------------------------


@coroutine
def test_a_default_is_taken_at_once_when_nothing_can_go_ahead(mock_clock: MockClock) -> None:
    empty, ready = Channel[int](), full()
    for default in (None, "nothing", Timeout("an object like any other")):
        assert select(empty, ready.sending(1), default=default) is default
        assert select(empty.sending(1), default=default) is default
    assert select(empty, ready, default=None) == Selected(1, ready, "buffered")
    assert (mock_clock.now(), nobody_in_line(empty, ready)) == (0, True)


@coroutine
def test_a_limit_on_waiting(mock_clock: MockClock) -> None:
    a, b = Channel[int](), Channel[int]()
    with pytest.raises(Timeout, match=rf"select receive from {a} or send to {b}: timed out after 2s"):
        select(a, b.sending(1), timeout=2)
    assert (mock_clock.now(), nobody_in_line(a, b)) == (2, True)
    assert select(a, timeout=3, default="nothing") == "nothing"
    assert mock_clock.now() == 5
    go(lambda: (sleep(1), b.send(7)))
    assert select(a, b, timeout=2, default=None) == Selected(1, b, 7)
    assert (coloop.snapshot().timers, nobody_in_line(a, b)) == (0, True)


@coroutine
def test_what_can_go_ahead_at_once_beats_a_limit_of_nothing() -> None:
    assert select(full(), timeout=0).value == "buffered"
    with pytest.raises(Timeout):
        select(Channel[int](), timeout=0)


@coroutine
def test_a_value_that_comes_in_the_instant_of_the_deadline_but_later_is_not_taken(
    mock_clock: MockClock,
) -> None:
    a, b = Channel[int](), Channel[int]()
    late = go(select, a, b, timeout=1, default="late")
    coloop.current_scheduler().call_later(1, lambda: go(a.send, 1))
    next_one = go(a.receive)
    assert next_one.result() == 1
    assert late.result() == "late"


@coroutine
def test_a_block_s_limit_is_not_taken_for_its_own() -> None:
    channel: Channel[int] = Channel()
    with pytest.raises(Timeout), coloop.timeout(1):
        select(channel, timeout=5, default=None)
    assert nobody_in_line(channel)


@coroutine
def test_none_is_an_operation_that_never_goes_ahead(mock_clock: MockClock) -> None:
    ready = full()
    assert select(None, ready, None) == Selected(1, ready, "buffered")
    assert select(None, default="nothing") == "nothing"
    assert select(default="nothing") == "nothing"
    assert select(None, timeout=1, default="nothing") == "nothing"
    with pytest.raises(Timeout):
        select(timeout=1)
    assert mock_clock.now() == 2


# -- closing -------------------------------------------------------------------------------------


@coroutine
def test_a_closed_channel_is_drained_and_then_says_so() -> None:
    channel, empty = full(), Channel[int]()
    channel.close()
    assert select(empty, channel) == Selected(1, channel, "buffered")
    for _ in range(2):
        assert select(empty, channel) == Selected(1, channel, closed=True)
        assert select(channel, default="nothing").closed


@coroutine
def test_to_send_on_a_closed_channel_is_refused_as_a_plain_send_is() -> None:
    channel, other = Channel[int](1), Channel[int]()
    channel.close()
    with pytest.raises(Closed, match=rf"{channel} is closed"):
        select(other, channel.sending(1))
    assert nobody_in_line(channel, other)


@coroutine
def test_closing_ends_the_wait_of_those_who_would_receive() -> None:
    a, b = Channel[int](), Channel[int]()
    waiting = [go(select, a, b) for _ in range(3)]
    plain = go(b.receive)
    b.close()
    assert [child.result() for child in waiting] == [Selected(1, b, closed=True)] * 3
    with pytest.raises(Closed):
        plain.result()
    assert nobody_in_line(a, b)


@coroutine
def test_closing_ends_the_wait_of_those_who_would_send_each_with_an_exception_of_its_own() -> None:
    a, b = Channel[int](), Channel[int]()
    waiting = [go(select, a, b.sending(i)) for i in range(2)]
    b.close()
    errors = set()
    for child in waiting:
        with pytest.raises(Closed, match=rf"{b} is closed") as caught:
            child.result()
        errors.add(id(caught.value))
    assert (len(errors), nobody_in_line(a, b)) == (2, True)


@coroutine
def test_one_that_was_given_a_value_has_it_though_the_channels_are_closed() -> None:
    a, b = Channel[int](), Channel[int]()
    waiting = go(select, a, b)
    a.send(1)
    a.close()
    b.close()
    assert waiting.result() == Selected(0, a, 1)


# -- leaving early -------------------------------------------------------------------------------


@coroutine
@pytest.mark.parametrize("leave", ["cancel", "throw", "kill", "timeout"])
def test_who_leaves_is_out_of_every_line_at_once(leave: str, mock_clock: MockClock) -> None:
    a, b = Channel[int](), Channel[int]()

    def attempt() -> str:
        try:
            select(a, b.sending(1), a.sending(2), timeout=1 if leave == "timeout" else None)
        except (Cancelled, Closed, Timeout) as error:
            assert nobody_in_line(a, b)
            suspend()
            return type(error).__name__
        return "went ahead"

    waiting = go(attempt)
    if leave == "cancel":
        waiting.cancel()
    elif leave == "throw":
        waiting.throw(Closed("x"))
    elif leave == "kill":
        coloop.current_scheduler().interrupt(waiting, Killed("x"))
    else:
        sleep(1)
    others = go(a.send, 1), go(a.receive), go(b.receive), go(b.send, 2)
    assert [other.ended for other in others] == [False, True, False, True]
    wait_until_idle()
    waiting.resume()
    names = {"cancel": "Cancelled", "throw": "Closed", "kill": "Killed", "timeout": "Timeout"}
    assert waiting.result().endswith(names[leave])
    assert nobody_in_line(a, b)


@coroutine
def test_one_that_was_served_and_then_cancelled_has_what_it_was_given() -> None:
    a, b = Channel[int](), Channel[int]()
    log: list[Any] = []

    def child() -> None:
        log.append(select(a, b).value)
        try:
            yield_now()
        except Cancelled:
            log.append("cancelled")

    waiting = go(child)
    b.send(1)
    waiting.cancel()
    waiting.join()
    assert (log, nobody_in_line(a, b)) == ([1, "cancelled"], True)


@coroutine
@pytest.mark.skipif(coloop.FORM == "native", reason="in the native core it leaves all lines in one step")
def test_a_kill_while_it_leaves_the_lines_leaves_nothing_that_counts() -> None:
    """From another thread it strikes anywhere, also between the first line and the second."""

    class StruckLine(OrderedDict[Any, Any]):
        def pop(self, *args: Any) -> Any:
            raise Killed("struck")

    a, b = Channel[int](), Channel[int]()
    line: Any = a._receivers
    line._line = StruckLine()

    def child() -> Any:
        try:
            select(a, b)
        except Killed:
            return suspend()

    for _ in range(10):  # either of the two may be the first that it leaves
        waiting = go(child)
        a.send(1)
        wait_until_idle()
        assert waiting.waiting_on == "suspend"
        assert select(a.sending(2), b.sending(2), default="nobody") == "nobody"
        waiting.resume("undisturbed")
        assert waiting.result() == "undisturbed"


@coroutine
def test_one_that_was_abandoned_is_not_served() -> None:
    a, b = Channel[int](), Channel[int]()

    def stubborn() -> None:
        while True:
            try:
                select(a, b)
            except Killed:
                continue

    zombie = go(stubborn)
    assert coloop.current_scheduler().kill(zombie) == "zombie"
    assert select(a.sending(1), b.sending(1), default="nobody") == "nobody"


@coroutine
def test_a_cancel_never_takes_a_value_along() -> None:
    a, b = Channel[int](1000), Channel[int](1000)
    for i in range(1000):
        (a if i % 2 else b).send(i)
    received: list[int] = []

    def child() -> None:
        while len(received) < 1000:
            try:
                received.append(select(a, b).value)
            except Cancelled:
                continue

    receiver = go(child)
    while not receiver.ended:
        receiver.cancel()
        yield_now()
    assert sorted(received) == list(range(1000))
    assert [i for i in received if i % 2] == list(range(1, 1000, 2))


# -- others, and misuse --------------------------------------------------------------------------


@coroutine
def test_those_who_always_find_something_let_the_others_run() -> None:
    channel, ticks = Channel[int](1), []
    other = go(lambda: [(yield_now(), ticks.append(0)) for _ in range(3)])
    while not other.ended:
        select(channel.sending(1), channel)
    assert len(ticks) == 3


@coroutine
def test_it_is_shown_with_all_it_waits_for() -> None:
    a, b = Channel[int](), Channel[int]()
    waiting = go(select, a, b.sending(1), None)
    assert waiting.waiting_on == f"select receive from {a} or send to {b}"
    assert repr(a).endswith("0 sending, 1 receiving>")
    assert repr(b).endswith("1 sending, 0 receiving>")
    assert repr(b.sending(1)) == f"<Operation: send to {b}>"
    assert (b.sending(1).value, b.sending(1).sends, a.receiving().sends) == (1, True, False)
    a.send(1)
    assert repr(b).endswith("0 sending, 0 receiving>")
    assert waiting.result().index == 0


@coroutine
def test_it_is_stuck_when_nobody_knows_any_of_its_channels() -> None:
    known: Channel[int] = Channel()

    def start(*channels: Channel[int]) -> Coroutine:
        return go(lambda: select(*channels))

    lost, hopeful = start(Channel(), Channel()), start(Channel(), known)
    named = [picture.id for picture in coloop.snapshot(stuck=True).coroutines if picture.stuck]
    assert named == [lost.id]
    lost.cancel()
    known.close()
    hopeful.join()


def test_all_that_select_from_each_other_for_ever_are_a_deadlock() -> None:
    def main() -> None:
        select(Channel[int](), Channel[int]().sending(1))

    with pytest.raises(coloop.Deadlock, match=r"select receive from channel#\d+ or send to channel#\d+"):
        run(main)


@pytest.mark.parametrize("wrong", [5, "channel", object(), Channel])
@coroutine
def test_only_channels_and_their_operations_are_taken(wrong: Any) -> None:
    channel: Channel[int] = Channel(1)
    with pytest.raises(TypeError, match=r"select takes channels, channel.receiving\(\) and"):
        select(channel.sending(1), wrong)
    assert len(channel) == 0


@coroutine
def test_to_wait_for_nothing_for_ever_is_refused() -> None:
    for nothing in ((), (None,), (None, None)):
        with pytest.raises(ValueError, match="select needs a channel, a timeout or a default"):
            select(*nothing)


@coroutine
@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "1"])
def test_a_bad_limit_leaves_nobody_in_line(timeout: Any) -> None:
    a, b = Channel[int](), Channel[int]()
    with pytest.raises((ValueError, TypeError), match="timeout must be"):
        select(a, b.sending(1), timeout=timeout)
    assert nobody_in_line(a, b)


def test_outside_of_run_nothing_is_taken() -> None:
    channel: Channel[int] = Channel(1)
    run(channel.send, 1)
    with pytest.raises(coloop.NotRunning):
        select(channel)
    assert (len(channel), run(select, channel).value) == (1, 1)


@coroutine
def test_a_callback_may_select_what_needs_no_waiting(observer: Any) -> None:
    channel: Channel[int] = Channel(1)
    for _ in range(2):
        coloop.call_soon_threadsafe(select, channel.sending(1))
    wait_until_idle()
    assert [failure.exception_type for failure in observer.failures] == ["NotRunning"]
    observer.failures.clear()
    assert (len(channel), nobody_in_line(channel)) == (1, True)


@coroutine
def test_one_that_waits_on_another_thread_is_not_met() -> None:
    channel, other = Channel[int](), Channel[int]()
    waiting = go(select, channel, other)

    def elsewhere() -> None:
        for attempt in (lambda: select(channel.sending(1)), lambda: channel.send(1), channel.close):
            with pytest.raises(coloop.WrongThread, match=rf"{waiting} waits here for somebody on its own"):
                run(attempt)

    to_thread(elsewhere)
    assert (waiting.state, channel.closed) == ("waiting", False)
    other.send(1)
    assert waiting.result().channel is other


@coroutine
def test_an_operation_made_by_hand_is_the_same() -> None:
    channel = full()
    assert select(Operation(channel)).value == "buffered"
