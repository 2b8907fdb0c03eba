"""What is sent is received once, in order, by whoever came first; and a channel does what a plain model does."""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coloop
from coloop import Cancelled, Channel, Closed, Coroutine, Timeout, current, go, run, sleep, yield_now
from coloop.testing import MockClock, wait_until_idle

coroutine = pytest.mark.coroutine


# -- handing over --------------------------------------------------------------------------------


@coroutine
def test_without_a_buffer_every_send_meets_its_receive() -> None:
    channel: Channel[int] = Channel()
    sender = go(channel.send, 1)
    assert (sender.state, len(channel)) == ("waiting", 0)
    assert channel.receive() == 1
    receiver = go(channel.receive)
    channel.send(2)
    assert receiver.result() == 2
    assert sender.join()


@coroutine
def test_a_buffer_takes_as_many_as_it_has_room_for() -> None:
    channel: Channel[int] = Channel(3)
    for i in range(3):
        channel.send(i)
    sender = go(channel.send, 3)
    assert (len(channel), sender.state) == (3, "waiting")
    assert [channel.receive() for _ in range(4)] == [0, 1, 2, 3]
    assert sender.join()


@coroutine
@pytest.mark.parametrize("value", [None, False, (), Closed("a value like any other")])
def test_any_object_is_a_value(value: object) -> None:
    for capacity in (0, 1):
        channel: Channel[object] = Channel(capacity)
        go(channel.send, value)
        assert channel.receive() is value
        receiver = go(channel.receive)
        channel.send(value)
        assert receiver.result() is value


@pytest.mark.parametrize("capacity", [-1, 1.5, True, "1", None])
def test_the_capacity_is_a_number_of_values(capacity: Any) -> None:
    with pytest.raises(ValueError, match="capacity must be an integer >= 0, not"):
        Channel(capacity)


# -- order ---------------------------------------------------------------------------------------


@coroutine
@pytest.mark.parametrize("capacity", [0, 2])
def test_those_who_wait_to_receive_are_served_in_order(capacity: int) -> None:
    channel, log = Channel[int](capacity), []
    for i in range(4):
        go(lambda i=i: log.append((i, channel.receive())))
    for value in range(4):
        channel.send(value)
    wait_until_idle()
    assert log == [(i, i) for i in range(4)]


@coroutine
@pytest.mark.parametrize("capacity", [0, 2])
def test_those_who_wait_to_send_are_served_in_order(capacity: int) -> None:
    channel, log = Channel[int](capacity), []
    for i in range(6):
        go(lambda i=i: (channel.send(i), log.append(i)))
    assert [channel.receive() for _ in range(6)] == list(range(6))
    wait_until_idle()
    assert log == list(range(6))


@coroutine
def test_a_newcomer_that_sends_does_not_overtake_one_that_waits_to() -> None:
    """The receive makes room while the first sender is woken but has not run yet."""
    channel: Channel[str] = Channel(1)
    channel.send("buffered")
    go(channel.send, "waiting")
    assert channel.receive() == "buffered"
    newcomer = go(channel.send, "newcomer")
    assert newcomer.state == "waiting"
    assert [channel.receive(), channel.receive()] == ["waiting", "newcomer"]


@coroutine
def test_a_newcomer_that_receives_does_not_overtake_one_that_was_woken() -> None:
    channel: Channel[str] = Channel(1)
    first = go(channel.receive)
    channel.send("for the first")
    newcomer = go(channel.receive)
    assert newcomer.state == "waiting"
    channel.send("for the newcomer")
    assert (first.result(), newcomer.result()) == ("for the first", "for the newcomer")


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("capacity", [0, 1, 5])
def test_one_sender_and_one_receiver_keep_the_order_under_every_schedule(seed: int, capacity: int) -> None:
    def main() -> None:
        channel: Channel[int] = Channel(capacity)

        def produce() -> None:
            for i in range(200):
                channel.send(i)
            channel.close()

        go(produce)
        noise = go(lambda: [yield_now() for _ in range(50)])
        assert list(channel) == list(range(200))
        noise.join()

    run(main, seed=seed)


# -- leaving -------------------------------------------------------------------------------------


@coroutine
def test_a_value_goes_past_a_receiver_that_was_cancelled_a_moment_before() -> None:
    channel: Channel[int] = Channel()
    cancelled, next_one = go(channel.receive), go(channel.receive)
    cancelled.cancel()
    channel.send(1)
    assert next_one.result() == 1
    assert cancelled.join()


@coroutine
def test_with_only_a_cancelled_receiver_a_send_waits() -> None:
    channel: Channel[int] = Channel()
    cancelled = go(channel.receive)
    cancelled.cancel()
    sender = go(channel.send, 1)
    assert sender.state == "waiting"
    assert channel.receive() == 1
    assert cancelled.join()


@coroutine
def test_the_value_of_a_sender_that_was_cancelled_is_not_taken() -> None:
    for capacity in (0, 1):
        channel: Channel[str] = Channel(capacity)
        if capacity:
            channel.send("buffered")
        cancelled, next_one = go(channel.send, "cancelled"), go(channel.send, "next")
        cancelled.cancel()
        if capacity:
            assert channel.receive() == "buffered"
        assert channel.receive() == "next"
        assert cancelled.join()
        assert next_one.join()
        assert len(channel) == 0


@coroutine
def test_a_receiver_that_was_given_a_value_and_then_cancelled_has_it() -> None:
    channel: Channel[int] = Channel()
    log: list[Any] = []

    def child() -> None:
        log.append(channel.receive())
        try:
            yield_now()
        except Cancelled:
            log.append("cancelled")

    receiver = go(child)
    channel.send(1)
    receiver.cancel()
    receiver.join()
    assert log == [1, "cancelled"]


@coroutine
def test_a_limit_on_receiving_and_on_sending(mock_clock: MockClock) -> None:
    channel: Channel[int] = Channel()
    with pytest.raises(Timeout, match=r"receive from channel#\d+: timed out after 2s"):
        channel.receive(timeout=2)
    with pytest.raises(Timeout, match=r"send to channel#\d+: timed out after 3s"):
        channel.send(1, timeout=3)
    assert mock_clock.now() == 5.0
    receiver = go(channel.receive, timeout=1)
    channel.send(2, timeout=1)
    assert receiver.result() == 2
    assert coloop.snapshot().timers == 0


@coroutine
def test_a_value_sent_after_the_deadline_goes_to_the_next(fails: Any, mock_clock: MockClock) -> None:
    """The late one's time is over, but it has not run yet when the value comes."""
    channel: Channel[int] = Channel()
    late, next_one = fails(channel.receive, 1), go(channel.receive)
    coloop.current_scheduler().call_later(1, lambda: go(channel.send, 1))
    assert next_one.result() == 1
    assert isinstance(late.result(), Timeout)


@coroutine
def test_a_cancel_never_takes_a_value_along() -> None:
    """However often a busy receiver is interrupted, what was sent is received, once."""
    channel: Channel[int] = Channel(1000)
    for i in range(1000):
        channel.send(i)
    channel.close()
    received: list[int] = []

    def child() -> None:
        while True:
            try:
                received.append(channel.receive())
            except Cancelled:
                continue
            except Closed:
                return

    receiver = go(child)
    while not receiver.ended:
        receiver.cancel()
        yield_now()
    assert received == list(range(1000))


# -- closing -------------------------------------------------------------------------------------


@coroutine
def test_a_closed_channel_is_drained_and_then_says_so() -> None:
    channel: Channel[int] = Channel(3)
    channel.send(1)
    channel.send(2)
    channel.close()
    assert channel.closed
    assert (channel.receive(), channel.receive()) == (1, 2)
    for _ in range(2):
        with pytest.raises(Closed, match=r"channel#\d+ is closed"):
            channel.receive()
    with pytest.raises(Closed):
        channel.send(3)


@coroutine
def test_closing_wakes_all_who_wait_to_receive() -> None:
    channel: Channel[int] = Channel()
    receivers = [go(channel.receive) for _ in range(3)]
    channel.close()
    for receiver in receivers:
        with pytest.raises(Closed):
            receiver.result()


@coroutine
def test_closing_wakes_all_who_wait_to_send_and_their_values_are_not_received() -> None:
    channel: Channel[int] = Channel(1)
    channel.send(0)
    senders = [go(channel.send, i) for i in (1, 2, 3)]
    channel.close()
    assert list(channel) == [0]
    for sender in senders:
        with pytest.raises(Closed):
            sender.result()


@coroutine
def test_each_is_told_with_an_exception_of_its_own() -> None:
    channel: Channel[int] = Channel()
    receivers = [go(channel.receive) for _ in range(2)]
    channel.close()
    errors = set()
    for receiver in receivers:
        with pytest.raises(Closed) as caught:
            receiver.result()
        errors.add(id(caught.value))
    assert len(errors) == 2


@coroutine
def test_closing_twice_is_closing_once() -> None:
    channel: Channel[int] = Channel()
    channel.close()
    channel.close()
    assert channel.closed


@coroutine
def test_a_receiver_that_was_given_a_value_has_it_though_the_channel_is_closed() -> None:
    channel: Channel[int] = Channel()
    receiver = go(channel.receive)
    channel.send(1)
    channel.close()
    assert receiver.result() == 1


@coroutine
@pytest.mark.usefixtures("mock_clock")
def test_one_that_was_cancelled_hears_nothing_of_the_closing() -> None:
    channel: Channel[int] = Channel()
    log: list[str] = []

    def child() -> None:
        try:
            channel.receive()
        except Cancelled:
            sleep(1)
            log.append("cleaned up undisturbed")

    waiting = go(child)
    waiting.cancel()
    channel.close()
    waiting.join()
    assert log == ["cleaned up undisturbed"]


@coroutine
def test_iteration_ends_when_the_channel_is_closed_and_drained() -> None:
    channel: Channel[int] = Channel(2)
    consumer = go(list, channel)
    for i in range(5):
        channel.send(i)
    channel.close()
    assert consumer.result() == [0, 1, 2, 3, 4]


@coroutine
def test_a_closed_that_somebody_sends_as_an_exception_does_not_end_an_iteration() -> None:
    channel: Channel[int] = Channel()
    consumer = go(list, channel)
    consumer.throw(Closed("something else"))
    with pytest.raises(Closed, match="something else"):
        consumer.result()


# -- looking -------------------------------------------------------------------------------------


@coroutine
def test_it_tells_what_it_holds_and_who_waits() -> None:
    channel: Channel[int] = Channel(2)
    assert repr(channel) == f"<Channel#{channel.id} 0/2, 0 sending, 0 receiving>"
    receiver = go(channel.receive)
    assert repr(channel) == f"<Channel#{channel.id} 0/2, 0 sending, 1 receiving>"
    assert receiver.waiting_on == f"receive from channel#{channel.id}"
    receiver.cancel()
    for i in range(2):
        channel.send(i)
    sender = go(channel.send, 2)
    assert repr(channel) == f"<Channel#{channel.id} 2/2, 1 sending, 0 receiving>"
    assert sender.waiting_on == f"send to channel#{channel.id}"
    channel.close()
    assert repr(channel) == f"<Channel#{channel.id} 2/2 closed, 0 sending, 0 receiving>"
    with pytest.raises(Closed):
        sender.result()


def test_outside_of_run_nothing_is_taken() -> None:
    channel: Channel[int] = Channel(1)
    run(channel.send, 1)
    with pytest.raises(coloop.NotRunning):
        channel.receive()
    assert len(channel) == 1
    assert run(channel.receive) == 1


@coroutine
def test_a_callback_may_send_where_there_is_room_and_is_refused_where_there_is_none(observer: Any) -> None:
    channel: Channel[int] = Channel(1)
    for i in range(2):
        coloop.call_soon_threadsafe(channel.send, i)
    wait_until_idle()
    assert [failure.exception_type for failure in observer.failures] == ["NotRunning"]
    observer.failures.clear()
    assert (channel.receive(), len(channel)) == (0, 0)
    assert repr(channel).endswith("0 sending, 0 receiving>")


# -- against a model -----------------------------------------------------------------------------


class Model:
    """What a channel is to do, said plainly: two lines and a buffer. Outcomes are noted by number."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.buffer: deque[int] = deque()
        self.senders: deque[int] = deque()
        self.receivers: deque[int] = deque()
        self.closed = False
        self.outcomes: dict[int, Any] = {}

    def send(self, number: int) -> None:
        if self.closed:
            self.outcomes[number] = "closed"
        elif self.receivers:
            self.outcomes[self.receivers.popleft()] = number
            self.outcomes[number] = "sent"
        elif len(self.buffer) < self.capacity:
            self.buffer.append(number)
            self.outcomes[number] = "sent"
        else:
            self.senders.append(number)

    def receive(self, number: int) -> None:
        if self.buffer:
            self.outcomes[number] = self.buffer.popleft()
            if self.senders:
                self.buffer.append(self._next_sender())
        elif self.senders:
            self.outcomes[number] = self._next_sender()
        elif self.closed:
            self.outcomes[number] = "closed"
        else:
            self.receivers.append(number)

    def _next_sender(self) -> int:
        sender = self.senders.popleft()
        self.outcomes[sender] = "sent"
        return sender

    def cancel(self, number: int) -> None:
        for line in (self.senders, self.receivers):
            if number in line:
                line.remove(number)
                self.outcomes[number] = "cancelled"

    def close(self) -> None:
        self.closed = True
        for line in (self.senders, self.receivers):
            self.outcomes.update(dict.fromkeys(line, "closed"))
            line.clear()


STEPS = st.lists(
    st.one_of(
        st.just(("send", 0)),
        st.just(("receive", 0)),
        st.tuples(st.just("cancel"), st.integers(0, 1000)),
        st.just(("idle", 0)),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(
    capacity=st.integers(0, 3),
    steps=STEPS,
    close_after=st.one_of(st.none(), st.integers(0, 60)),
    seed=st.one_of(st.none(), st.integers(0, 5)),
)
def test_it_does_what_the_model_does(
    capacity: int, steps: list[tuple[str, int]], close_after: int | None, seed: int | None
) -> None:
    """Every step is decided at once, whether or not those whom it concerns have run meanwhile."""
    model, outcomes = Model(capacity), dict[int, Any]()

    def main() -> None:
        channel: Channel[int] = Channel(capacity)
        coroutines: list[Coroutine] = []

        def note(call: Callable[..., Any], *args: Any) -> None:
            number = len(coroutines)
            coroutines.append(current())
            try:
                value = call(*args)
                outcomes[number] = "sent" if value is None else value
            except Closed:
                outcomes[number] = "closed"
            except Cancelled:
                outcomes[number] = "cancelled"

        for place, (step, amount) in enumerate(steps):
            coloop.current_scheduler()._turn_left = 64  # `go` takes no turns away here
            if place == close_after:
                channel.close()
                model.close()
            if step == "send":
                number = len(coroutines)
                go(note, channel.send, number)
                model.send(number)
            elif step == "receive":
                number = len(coroutines)
                go(note, channel.receive)
                model.receive(number)
            elif step == "cancel" and coroutines:
                number = amount % len(coroutines)
                coroutines[number].cancel()
                model.cancel(number)
            else:
                wait_until_idle()
                assert outcomes == model.outcomes
            assert len(channel) == len(model.buffer)
            assert len(channel._senders) == len(model.senders)
            assert len(channel._receivers) == len(model.receivers)
        for number in [*model.senders, *model.receivers]:
            coroutines[number].cancel()
            model.cancel(number)

    run(main, seed=seed, clock=MockClock())
    assert outcomes == model.outcomes


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), capacity=st.integers(0, 3))
def test_in_a_crowd_that_comes_and_goes_every_value_is_sent_or_not_and_received_once(
    seed: int, capacity: int
) -> None:
    dice = random.Random(seed)
    sent: list[int] = []
    received: list[int] = []

    def main() -> None:
        channel: Channel[int] = Channel(capacity)

        def produce(value: int) -> None:
            channel.send(value, timeout=dice.choice([None, 0, 1, 2]))
            sent.append(value)

        def consume() -> None:
            received.append(channel.receive(timeout=dice.choice([None, 0, 1, 2])))

        crowd = []
        for value in range(80):
            child = go(produce, value) if dice.random() < 0.5 else go(consume)
            crowd.append(child)
            if dice.random() < 0.2:
                dice.choice(crowd).cancel()
            if dice.random() < 0.3:
                sleep(dice.choice([0, 1]))
        wait_until_idle()
        channel.close()
        for child in crowd:
            child.join()
        received.extend(channel)

    run(main, seed=seed, clock=MockClock())
    assert sorted(received) == sorted(sent)
