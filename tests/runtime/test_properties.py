"""Programs that hypothesis makes up, under schedules that a seed decides, against plain models.

A failure prints the smallest program it has found, as `test_x(capacities=[0], steps=[...], seed=7)`. All
that is random is in these arguments, so the same call fails again: run the test a second time, or
put `@example(capacities=[0], steps=[...], seed=7)` above it to have that one run first, also on
another machine and while the strategies change. `seed` is what `coloop.run(seed=)` takes; with None
the ready ones run first come first served.

The programs are the same in every run. `COLOOP_EXAMPLES=5000` tries so many of each, and new ones.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

import coloop
from coloop import (
    Cancelled,
    Channel,
    Closed,
    Coroutine,
    Event,
    NotSuspended,
    Timeout,
    current,
    current_scheduler,
    defer,
    go,
    run,
    select,
    sleep,
    suspend,
    yield_now,
)
from coloop.testing import MockClock, wait_until_idle

T = TypeVar("T")

EXAMPLES = int(os.environ.get("COLOOP_EXAMPLES", "0"))


def examples(count: int) -> settings:
    derandomize = not EXAMPLES
    return settings(
        max_examples=EXAMPLES or count,
        derandomize=derandomize,
        print_blob=False,
    )


SEEDS = st.one_of(st.none(), st.integers(0, 99))
CAPACITIES = st.lists(st.integers(0, 3), min_size=1, max_size=3)
CASE = st.tuples(st.sampled_from(["send", "receive"]), st.integers(0, 2))  # the channel modulo their number
CASES = st.lists(CASE, min_size=1, max_size=4)


def programs(step: st.SearchStrategy[T], size: int) -> st.SearchStrategy[list[T]]:
    """Lists of up to `size`, half of them long: left alone, hypothesis prefers some five."""
    return st.one_of(st.lists(step, max_size=size), st.lists(step, min_size=size // 2, max_size=size))


def play(main: Callable[[], None], seed: int | None) -> None:
    run(main, seed=seed, clock=MockClock())


def nobody_in_line(*channels: Channel[Any]) -> bool:
    """Not even one that does not count any more."""
    return all(channel._senders.is_empty() and channel._receivers.is_empty() for channel in channels)


# -- channels and select, step by step -----------------------------------------------------------

Case = tuple[str, int]


class ChannelModel:
    """What channels are to do with those who want one of several cases to happen, said plainly.

    Everybody is a number, and sends that number. Of each one whose wait has ended it is known how: in
    words, or as what came of which cases (there is more than one if it named the same line twice).
    """

    def __init__(self, capacities: list[int]) -> None:
        self.capacities = capacities
        self.buffers: list[deque[int]] = [deque() for _ in capacities]
        self.closed = [False for _ in capacities]
        self.cases: dict[int, list[Case]] = {}
        self.plain: set[int] = set()
        self.waiting: list[int] = []  # who, in the order of coming: of each line, too
        self.deadlines: dict[int, float] = {}
        self.ended: dict[int, Any] = {}

    def line(self, case: Case) -> list[int]:
        return [who for who in self.waiting if case in self.cases[who]]

    def can_go_ahead(self, case: Case) -> bool:
        verb, at = case
        if self.closed[at]:
            return True
        if verb == "send":
            return bool(self.line(("receive", at))) or len(self.buffers[at]) < self.capacities[at]
        return bool(self.line(("send", at))) or bool(self.buffers[at])

    def come(self, who: int, cases: list[Case], deadline: float | None, *, plain: bool) -> None:
        self.cases[who] = cases
        self.waiting.append(who)
        if deadline is not None:
            self.deadlines[who] = deadline
        if plain:
            self.plain.add(who)

    def do(self, who: int, case: Case) -> None:
        """Somebody that has just come goes ahead with one of its cases."""
        verb, at = case
        buffer = self.buffers[at]
        self.waiting.remove(who)
        if verb == "send":
            if self.closed[at]:
                self.ended[who] = "refused"
                return
            receivers = self.line(("receive", at))
            if receivers:
                self.end(receivers[0], ("receive", at), who)
            else:
                buffer.append(who)
            self.end(who, case, "sent")
            return
        senders = self.line(("send", at))
        if senders:
            buffer.append(senders[0])
            self.end(senders[0], ("send", at), "sent")
        if buffer:
            self.end(who, case, buffer.popleft())
        else:
            self.end_by_close(who, case)

    def end(self, who: int, case: Case, value: object) -> None:
        indices = [index for index, other in enumerate(self.cases[who]) if other == case]
        self.leave(who, (indices, value))

    def end_by_close(self, who: int, case: Case) -> None:
        if case[0] == "send" or who in self.plain:
            self.leave(who, "refused")
        else:
            self.end(who, case, "closed")

    def leave(self, who: int, how: Any) -> None:
        if who in self.waiting:
            self.waiting.remove(who)
        self.ended[who] = how

    def cancel(self, who: int) -> None:
        if who in self.waiting:
            self.leave(who, "cancelled")

    def close(self, at: int) -> None:
        if not self.closed[at]:
            for case in (("receive", at), ("send", at)):
                for who in self.line(case):
                    self.end_by_close(who, case)
            self.closed[at] = True

    def expire(self, now: float) -> None:
        for who in list(self.waiting):
            if self.deadlines.get(who, now + 1) <= now:
                self.leave(who, "late")


def accepts(expected: dict[int, Any], outcomes: dict[int, Any]) -> bool:
    if expected.keys() != outcomes.keys():
        return False
    for who, how in expected.items():
        said = outcomes[who]
        if isinstance(how, tuple) and isinstance(said, tuple):
            if said[0] not in how[0] or said[1] != how[1]:
                return False
        elif how != said:
            return False
    return True


TIMEOUTS = st.sampled_from([None, None, 1, 2])
STEPS = programs(
    st.one_of(
        st.tuples(st.just("plain"), CASE, TIMEOUTS),
        st.tuples(st.just("select"), CASES, TIMEOUTS),
        st.tuples(st.just("poll"), CASES),
        st.tuples(st.just("cancel"), st.integers(0, 100)),
        st.tuples(st.just("close"), st.integers(0, 2)),
        st.tuples(st.just("idle")),
        st.tuples(st.just("time")),
    ),
    40,
)


@examples(150)
@given(capacities=CAPACITIES, steps=STEPS, seed=SEEDS)
def test_channels_do_what_the_model_does(
    capacities: list[int], steps: list[tuple[Any, ...]], seed: int | None
) -> None:
    """Each step is decided at once, whether or not those whom it concerns have run since."""
    model = ChannelModel(capacities)
    outcomes: dict[int, Any] = {}
    channels: list[Channel[int]] = [Channel(capacity) for capacity in capacities]
    crowd: list[Coroutine] = []

    def note(who: int, call: Callable[[], Any]) -> None:
        me = current()
        assert me is not None
        crowd.append(me)
        try:
            outcomes[who] = call()
        except Closed:
            outcomes[who] = "refused"
        except Cancelled:
            outcomes[who] = "cancelled"
        except Timeout:
            outcomes[who] = "late"

    def do_plainly(who: int, verb: str, at: int, timeout: float | None) -> tuple[int, Any]:
        if verb == "send":
            channels[at].send(who, timeout)
            return 0, "sent"
        return 0, channels[at].receive(timeout)

    def do_selecting(who: int, cases: list[Case], **options: Any) -> Any:
        done = select(
            *(channels[at].sending(who) if verb == "send" else channels[at] for verb, at in cases), **options
        )
        if done == "nothing":
            return done
        verb, at = cases[done.index]
        assert done.channel is channels[at]
        return done.index, "sent" if verb == "send" else "closed" if done.closed else done.value

    def take_step(kind: str, *details: Any) -> None:
        who = len(crowd)
        if kind in ("plain", "select", "poll"):
            given_cases = [details[0]] if kind == "plain" else details[0]
            cases = [(verb, at % len(channels)) for verb, at in given_cases]
            timeout = None if kind == "poll" else details[1]
            if kind == "plain":
                go(note, who, partial(do_plainly, who, *cases[0], timeout))
            elif kind == "poll":
                go(note, who, partial(do_selecting, who, cases, default="nothing"))
            else:
                go(note, who, partial(do_selecting, who, cases, timeout=timeout))
            possible = [case for case in cases if model.can_go_ahead(case)]
            deadline = None if timeout is None else current_scheduler().clock.now() + timeout
            model.come(who, cases, deadline, plain=kind == "plain")
            if possible:
                said = outcomes[who]
                model.do(who, next(c for c in possible if says(model, cases, c, said, plain=kind == "plain")))
            elif kind == "poll":
                model.leave(who, "nothing")
        elif kind == "cancel" and crowd:
            number = details[0] % len(crowd)
            crowd[number].cancel()
            model.cancel(number)
        elif kind == "close":
            channels[details[0] % len(channels)].close()
            model.close(details[0] % len(channels))
        elif kind == "time":
            sleep(1)
            model.expire(current_scheduler().clock.now())
        elif kind == "idle":
            wait_until_idle()
            assert accepts(model.ended, outcomes)

    def main() -> None:
        for step in steps:
            current_scheduler()._turn_left = 64  # `go` takes no turns away here
            take_step(*step)
            for at, channel in enumerate(channels):
                assert list(channel._buffer) == list(model.buffers[at])
                assert len(channel._senders) == len(model.line(("send", at)))
                assert len(channel._receivers) == len(model.line(("receive", at)))
        for who in list(model.waiting):
            crowd[who].cancel()
            model.cancel(who)
        wait_until_idle()
        assert nobody_in_line(*channels)
        assert coloop.snapshot().timers == 0

    play(main, seed)
    assert accepts(model.ended, outcomes)


def says(model: ChannelModel, cases: list[Case], case: Case, said: Any, *, plain: bool) -> bool:
    """Whether that is what somebody says who has gone ahead with that case."""
    if said == "refused":
        return model.closed[case[1]] and (case[0] == "send" or plain)
    return cases[said[0]] == case


# -- channels and select, in a crowd -------------------------------------------------------------

ACTION = st.one_of(
    st.tuples(st.lists(CASE, min_size=1, max_size=3), st.sampled_from([None, None, 0, 1])),
    st.tuples(st.just([]), st.sampled_from([None, 1])),  # a pause
)
ACTORS = st.lists(st.lists(ACTION, min_size=1, max_size=6), min_size=2, max_size=6)
DISTURBANCES = programs(
    st.tuples(st.sampled_from(["cancel", "wait", "wait", "close"]), st.integers(0, 30)), 10
)


@examples(120)
@given(capacities=CAPACITIES, actors=ACTORS, disturbances=DISTURBANCES, seed=SEEDS)
def test_no_value_is_lost_doubled_or_reordered(
    capacities: list[int],
    actors: list[list[tuple[list[Case], float | None]]],
    disturbances: list[tuple[str, int]],
    seed: int | None,
) -> None:
    """What was sent, as its sender was told, has been received once; from each sender in its order."""
    channels: list[Channel[tuple[int, int]]] = [Channel(capacity) for capacity in capacities]
    sent: list[tuple[int, tuple[int, int]]] = []
    received: list[tuple[int | str, int, tuple[int, int]]] = []

    def act(me: int) -> None:
        for number, (cases, timeout) in enumerate(actors[me] * 3):
            places = [(verb, at % len(channels)) for verb, at in cases]
            try:
                if not places:
                    sleep(timeout or 0)
                    continue
                index, value = attempt(places, (me, number), timeout)
            except (Closed, Timeout):
                continue
            verb, at = places[index]
            if verb == "send":
                sent.append((at, (me, number)))
            elif value is not None:
                received.append((me, at, value))

    def attempt(places: list[Case], mine: tuple[int, int], timeout: float | None) -> tuple[int, Any]:
        if len(places) > 1:
            done = select(
                *(channels[at].sending(mine) if verb == "send" else channels[at] for verb, at in places),
                timeout=timeout,
            )
            return done.index, done.value
        [(verb, at)] = places
        return 0, channels[at].send(mine, timeout) if verb == "send" else channels[at].receive(timeout)

    def main() -> None:
        crowd = [go(act, me) for me in range(len(actors))]
        for kind, number in disturbances:
            if kind == "cancel":
                crowd[number % len(crowd)].cancel()
            elif kind == "close":
                channels[number % len(channels)].close()
            elif number % 3:
                sleep(number % 3)
            else:
                yield_now()
        while not all(child.ended for child in crowd):
            sleep(1)
            wait_until_idle()
            if coloop.snapshot().timers == 0:
                for channel in channels:
                    channel.close()
        for at, channel in enumerate(channels):
            channel.close()
            received.extend(("the end", at, value) for value in channel)
        assert nobody_in_line(*channels)
        assert coloop.snapshot().timers == 0

    play(main, seed)
    assert Counter((at, value) for _, at, value in received) == Counter(sent)
    assert len(set(received)) == len(received)
    for stream in streams(received).values():
        assert stream == sorted(stream)
    for who, at, (sender, _) in received:
        assert capacities[at] or who != sender


def streams(received: list[tuple[int | str, int, tuple[int, int]]]) -> dict[Any, list[int]]:
    """The numbers that each has received from each, on each channel."""
    found: dict[Any, list[int]] = {}
    for who, at, (sender, number) in received:
        found.setdefault((who, at, sender), []).append(number)
    return found


@examples(30)
@given(seed=SEEDS, capacity=st.integers(0, 3), consumers=st.integers(1, 4), selecting=st.booleans())
def test_several_consumers_share_the_work(
    seed: int | None, capacity: int, consumers: int, selecting: bool
) -> None:
    def main() -> None:
        work: Channel[int] = Channel(capacity)
        results: Channel[int] = Channel(capacity)

        def consume() -> None:
            while True:
                if selecting:
                    done = select(None, work)
                    if done.closed:
                        return
                    select(results.sending(done.value))
                else:
                    try:
                        results.send(work.receive())
                    except Closed:
                        return

        crowd = [go(consume) for _ in range(consumers)]
        go(lambda: [*map(work.send, range(40)), work.close()])
        assert sorted(results.receive() for _ in range(40)) == list(range(40))
        assert all(child.join() for child in crowd)
        assert nobody_in_line(work, results)

    play(main, seed)


@examples(15)
@given(seed=SEEDS, capacity=st.integers(0, 3))
def test_a_sieve_of_channels_finds_the_primes(seed: int | None, capacity: int) -> None:
    def main() -> None:
        def numbers(out: Channel[int]) -> None:
            for n in range(2, 60):
                out.send(n)
            out.close()

        def without(prime: int, source: Channel[int], out: Channel[int]) -> None:
            for n in source:
                if n % prime:
                    out.send(n)
            out.close()

        source: Channel[int] = Channel(capacity)
        go(numbers, source)
        primes = []
        while not (done := select(source)).closed:
            primes.append(done.value)
            out: Channel[int] = Channel(capacity)
            go(without, done.value, source, out)
            source = out
        assert primes == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]

    play(main, seed)


@examples(40)
@given(seed=SEEDS, capacity=st.integers(0, 3), ways=st.integers(2, 5))
def test_one_that_offers_a_value_to_several_gives_it_to_one(
    seed: int | None, capacity: int, ways: int
) -> None:
    """Each reader sees rising numbers, and all of them together see every number."""

    def main() -> None:
        channels: list[Channel[int]] = [Channel(capacity) for _ in range(ways)]
        seen: list[list[int]] = [[] for _ in channels]
        readers = [
            go(lambda log, channel: log.extend(channel), *pair) for pair in zip(seen, channels, strict=True)
        ]
        for n in range(60):
            select(*(channel.sending(n) for channel in channels))
        for channel in channels:
            channel.close()
        assert all(reader.join() for reader in readers)
        assert all(log == sorted(log) for log in seen)
        assert sorted(n for log in seen for n in log) == list(range(60))

    play(main, seed)


@examples(30)
@given(seed=SEEDS, capacities=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_all_who_send_and_receive_plainly_and_selecting_come_to_their_end(
    seed: int | None, capacities: list[int]
) -> None:
    """On each channel as much is sent as is received, so nobody may be left over."""

    def main() -> None:
        channels: list[Channel[int]] = [Channel(capacity) for capacity in capacities]
        left = {verb: [12] * 4 for verb in ("send", "receive")}
        balance = [0] * 4

        def plainly(verb: str, at: int) -> None:
            for _ in range(12):
                channels[at].send(1) if verb == "send" else channels[at].receive()
                balance[at] += 1 if verb == "send" else -1

        def selecting(verb: str) -> None:
            mine = left[verb]
            while any(mine):
                done = select(
                    *(
                        None
                        if not mine[at]
                        else channel.sending(1)
                        if verb == "send"
                        else channel.receiving()
                        for at, channel in enumerate(channels)
                    )
                )
                mine[done.index] -= 1
                balance[done.index] += 1 if verb == "send" else -1

        crowd = [go(plainly, verb, at) for verb in left for at in range(4)]
        crowd += [go(selecting, verb) for verb in left]
        assert all(child.join() for child in crowd)
        assert (balance, [len(channel) for channel in channels]) == ([0] * 4, [0] * 4)
        assert nobody_in_line(*channels)

    play(main, seed)


@examples(40)
@given(seed=SEEDS, leavers=st.lists(st.booleans(), min_size=1, max_size=8), cancels=st.booleans())
def test_those_whose_time_is_over_together_take_nothing_from_those_who_stay(
    seed: int | None, leavers: list[bool], cancels: bool
) -> None:
    def main() -> None:
        channel, other = Channel[int](), Channel[int]()
        got: list[tuple[int, int]] = []

        def wait(i: int) -> None:
            timeout = 1 if leavers[i] and not cancels else None
            try:
                value = channel.receive(timeout) if i % 2 else select(other, channel, timeout=timeout).value
            except Timeout:
                return
            got.append((i, value))

        crowd = [go(wait, i) for i in range(len(leavers))]
        if cancels:
            for i, child in enumerate(crowd):
                if leavers[i]:
                    child.cancel()
        else:
            sleep(1)
        staying = [i for i, leaves in enumerate(leavers) if not leaves]
        for value in range(len(staying)):
            channel.send(value, timeout=0)
        assert all(child.join() for child in crowd)
        assert sorted(got) == list(zip(staying, range(len(staying)), strict=True))
        assert nobody_in_line(channel, other)

    play(main, seed)


# -- timers --------------------------------------------------------------------------------------

DELAYS = st.integers(0, 4)


@examples(100)
@given(
    plan=st.lists(
        st.tuples(DELAYS, st.one_of(st.none(), DELAYS), st.one_of(st.none(), DELAYS)), min_size=1, max_size=12
    ),
    seed=SEEDS,
)
def test_timers_fire_in_the_order_of_their_deadlines_and_then_of_setting(
    plan: list[tuple[int, int | None, int | None]], seed: int | None
) -> None:
    """Each (delay, then, cancel): it sets another one when it fires; it is cancelled after so long."""
    fired: list[tuple[float, int, str]] = []

    def main() -> None:
        scheduler = current_scheduler()

        def fire(i: int, what: str, then: int | None) -> None:
            fired.append((scheduler.clock.now(), i, what))
            if then is not None:
                scheduler.call_later(then, fire, i, "then", None)

        for i, (delay, then, cancel) in enumerate(plan):
            timer = scheduler.call_later(delay, fire, i, "first", then)
            if cancel is not None:
                scheduler.call_later(cancel, timer.cancel)
        sleep(20)
        assert len(scheduler.timers) == 0

    play(main, seed)
    assert fired == list(fires(plan))


def fires(plan: list[tuple[int, int | None, int | None]]) -> Iterator[tuple[float, int, str]]:
    """What is to happen, found by looking through all that is due, again and again."""
    due: list[tuple[float, int, int, str]] = []
    for i, (delay, _, cancel) in enumerate(plan):
        due.append((delay, len(due), i, "first"))
        if cancel is not None:
            due.append((cancel, len(due), i, "cancel"))
    count = len(due)
    while due:
        now, order, i, what = min(due)
        due.remove((now, order, i, what))
        if what == "cancel":
            due = [entry for entry in due if entry[2:] != (i, "first")]
            continue
        yield now, i, what
        then = plan[i][1]
        if what == "first" and then is not None:
            due.append((now + then, count, i, "then"))
            count += 1


@examples(100)
@given(
    sleepers=programs(
        st.tuples(st.integers(1, 4), st.one_of(st.none(), st.integers(1, 4)), st.booleans()), 12
    ),
    seed=SEEDS,
)
def test_sleepers_wake_at_their_time_and_cancelled_ones_never(
    sleepers: list[tuple[int, int | None, bool]], seed: int | None
) -> None:
    """Each (delay, cancel, before): in the instant of both, what was set first counts."""
    woken: list[tuple[float, int]] = []

    def main() -> None:
        scheduler = current_scheduler()
        crowd: list[Coroutine] = []

        def nap(i: int) -> None:
            sleep(sleepers[i][0])
            woken.append((scheduler.clock.now(), i))

        def set_cancels(*, before: bool) -> None:
            for i, (_, cancel, comes_before) in enumerate(sleepers):
                if cancel is not None and before == comes_before:
                    scheduler.call_later(cancel, lambda i=i: crowd[i].cancel())

        set_cancels(before=True)
        crowd.extend(go(nap, i) for i in range(len(sleepers)))
        set_cancels(before=False)
        sleep(10)
        assert all(child.ended for child in crowd)
        assert coloop.snapshot().timers == 0

    play(main, seed)
    expected = [
        (delay, i)
        for i, (delay, cancel, before) in enumerate(sleepers)
        if cancel is None or delay < cancel or (delay == cancel and not before)
    ]
    assert sorted(woken) == sorted(expected)
    assert [at for at, _ in woken] == sorted(at for at, _ in woken)
    if seed is None:
        assert woken == sorted(expected)


# -- cancelling ----------------------------------------------------------------------------------


class Thrown(Exception):
    pass


@examples(100)
@given(
    causes=programs(st.tuples(st.sampled_from(["resume", "cancel", "throw", "run"]), st.integers(0, 2)), 30),
    seed=SEEDS,
)
def test_every_cause_ends_exactly_one_wait(causes: list[tuple[str, int]], seed: int | None) -> None:
    """The waits of each coroutine end as its causes say, in their order, and no wait ends without one."""
    log: list[list[object]] = [[], [], []]
    expected: list[list[object]] = [[], [], []]

    def wait_and_wait(i: int) -> None:
        while True:
            try:
                got = suspend()
            except Cancelled:
                got = "cancel"
            except Thrown as error:
                got = error.args[0]
            if got == "stop":
                return
            log[i].append(got)

    def main() -> None:
        crowd = [go(wait_and_wait, i) for i in range(3)]
        waiting = [True] * 3
        for number, (kind, i) in enumerate(causes):
            if kind == "run":
                wait_until_idle()
                waiting = [True] * 3
                assert log == expected
            elif kind == "resume":
                try:
                    crowd[i].resume(number)
                except NotSuspended:
                    assert not waiting[i]
                else:
                    assert waiting[i]
                    waiting[i] = False
                    expected[i].append(number)
            else:
                crowd[i].cancel() if kind == "cancel" else crowd[i].throw(Thrown(number))
                waiting[i] = False
                expected[i].append("cancel" if kind == "cancel" else number)
        wait_until_idle()
        for child in crowd:
            child.resume("stop")

    play(main, seed)
    assert log == expected


FOR_EVER_S = 1e6


class Patient:
    """A coroutine with three waits: the first for something, one in a `finally`, one in a deferred call."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.a: Channel[int] = Channel()
        self.b: Channel[int] = Channel()
        self.full: Channel[int] = Channel(1)
        self.event = Event()
        self.other: Coroutine | None = None
        self.log: list[str] = []
        self.coroutine = go(self.live)

    def live(self) -> None:
        defer(self.log.append, "deferred first")
        defer(self.attempt, "deferred wait", partial(sleep, 100))
        defer(self.log.append, "deferred last")
        try:
            self.attempt("wait", self.wait)
        finally:
            self.attempt("finally", partial(sleep, 100))

    def attempt(self, name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Cancelled:
            self.log.append(f"{name} cancelled")
            raise
        self.log.append(f"{name} over")

    def wait(self) -> None:
        if self.kind == "receive":
            self.a.receive(timeout=FOR_EVER_S)
        elif self.kind == "send":
            self.a.send(1)
        elif self.kind == "send to a full one":
            self.full.send(0)
            self.full.send(1)
        elif self.kind == "select":
            select(self.a, self.b.sending(1), self.full, self.a.sending(2), timeout=FOR_EVER_S)
        elif self.kind == "event":
            self.event.wait(timeout=FOR_EVER_S)
        elif self.kind == "join":
            self.other = go(suspend)
            self.other.join(timeout=FOR_EVER_S)
        elif self.kind == "limited block":
            with coloop.timeout(FOR_EVER_S):
                suspend()
        else:
            with coloop.Group() as group:
                self.other = group.go(suspend)

    def satisfy(self) -> None:
        """Bring about, or at least begin to, what the first wait is for."""
        if self.kind in ("receive", "select"):
            select(self.a.sending(1), default=None)
        elif self.kind == "send":
            select(self.a, default=None)
        elif self.kind == "send to a full one":
            select(self.full, default=None)
        elif self.kind == "event":
            self.event.set()
        elif self.kind == "limited block":
            self.resume(self.coroutine)
        else:
            self.resume(self.other)

    @staticmethod
    def resume(coroutine: Coroutine | None) -> None:
        if coroutine is not None and coroutine.waiting_on == "suspend":
            coroutine.resume()

    @property
    def leaves_no_trace(self) -> bool:
        """Of the first wait, when that is over."""
        return nobody_in_line(self.a, self.b, self.full) and self.event._waiters.is_empty()


class PatientModel:
    """The three waits, and what is still to strike at the next."""

    WAITS = ("wait", "finally", "deferred wait")

    def __init__(self) -> None:
        self.log: list[str] = []
        self.stage = 0
        self.answer: str | None = None
        self.pending = 0

    def cancel(self) -> None:
        if self.stage == 3:
            return
        if self.answer is None:
            self.answer = "cancelled"
        else:
            self.pending += 1

    def satisfy(self) -> None:
        if self.stage == 0 and self.answer is None:
            self.answer = "over"

    def pass_time(self) -> None:
        if self.stage in (1, 2) and self.answer is None:
            self.answer = "over"

    def run(self) -> None:
        while self.answer is not None:
            self.log.append(f"{self.WAITS[self.stage]} {self.answer}")
            self.answer = None
            self.stage += 1
            if self.stage == 2:
                self.log.append("deferred last")
            if self.stage == 3:
                self.log.append("deferred first")
            elif self.pending:
                self.pending -= 1
                self.answer = "cancelled"


KINDS = ["receive", "send", "send to a full one", "select", "event", "limited block"]


@examples(150)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    steps=programs(st.tuples(st.sampled_from(["cancel", "satisfy", "run", "time"]), st.integers(0, 3)), 20),
    seed=SEEDS,
)
def test_a_cancel_strikes_once_and_everything_is_cleaned_up(
    kinds: list[str], steps: list[tuple[str, int]], seed: int | None
) -> None:
    def main() -> None:
        crowd = [(Patient(kind), PatientModel()) for kind in kinds]

        def come_to_rest() -> None:
            wait_until_idle()
            for patient, model in crowd:
                model.run()
                assert patient.log == model.log
                assert patient.leaves_no_trace or model.stage == 0

        for kind, number in [*steps, *(("cancel", i) for i in range(len(kinds)))]:
            patient, model = crowd[number % len(crowd)]
            if kind == "cancel":
                patient.coroutine.cancel()
                model.cancel()
            elif kind == "satisfy":
                patient.satisfy()
                model.satisfy()
            elif kind == "run":
                come_to_rest()
            else:
                come_to_rest()
                sleep(100)
                for _, other in crowd:
                    other.pass_time()
        for _ in range(3):
            come_to_rest()
            sleep(100)
            for _, model in crowd:
                model.pass_time()
        come_to_rest()
        assert all(model.stage == 3 for _, model in crowd)
        assert coloop.snapshot().timers == 0
        assert current_scheduler().living == {1: current()}

    play(main, seed)


@examples(60)
@given(
    kinds=st.lists(st.sampled_from([*KINDS, "join", "group"]), min_size=1, max_size=5),
    steps=st.lists(
        st.tuples(st.sampled_from(["cancel", "satisfy", "yield"]), st.integers(0, 4)), max_size=20
    ),
    seed=SEEDS,
)
def test_whatever_happens_in_whatever_order_each_cleans_up_once_and_in_order(
    kinds: list[str], steps: list[tuple[str, int]], seed: int | None
) -> None:
    """Here the others run in between as they like; so it is only known what each has to do, not when."""

    def main() -> None:
        crowd = [Patient(kind) for kind in kinds]
        for kind, number in steps:
            patient = crowd[number % len(crowd)]
            if kind == "cancel":
                patient.coroutine.cancel()
            elif kind == "satisfy":
                patient.satisfy()
            else:
                yield_now()
        for patient in crowd:
            patient.coroutine.cancel()
            patient.coroutine.join()
            patient.resume(patient.other)
        wait_until_idle()
        for patient in crowd:
            said = [entry.removesuffix(" over").removesuffix(" cancelled") for entry in patient.log]
            assert said == ["wait", "finally", "deferred last", "deferred wait", "deferred first"]
            assert patient.leaves_no_trace
        assert coloop.snapshot().timers == 0
        assert current_scheduler().living == {1: current()}

    play(main, seed)
