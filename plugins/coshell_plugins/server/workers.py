"""One server, served by several processes: carries out what the pool decides, and tells it what happens.

All that happens goes through one line, to one coroutine that bears the server's name. It alone asks the pool, so
decisions are made one after the other, and when it ends, by whatever cause, there is no more server: its workers are
killed and its listener is closed. Each worker is minded by a coroutine `web/w1`, in whose `finally` the process ends.

The listener is made here and inherited by all workers. So it stays open while they come and go, and a connection
that comes when nobody accepts waits for the next one. (With a listener of its own for each, SO_REUSEPORT, what
waits at a worker that ends is lost: `python -m bench.listeners` saw 13 of 78,683 requests over 22 replacements, against
none of 94,138 over 16. They are dealt out more evenly there: the busier of two answers 50 % instead of 53 to 56 %.)
"""

from __future__ import annotations

import os
import random
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import coloop
from coloop import (
    Closed,
    Coroutine,
    CoroutinePicture,
    Event,
    Listener,
    Queue,
    QueueEmpty,
    Socket,
    SocketPicture,
)
from coshell_plugins.serving.recipe import Recipe
from coshell_plugins.serving.rules import Rules, finite_seconds
from coshell_plugins.worker.channel import Channel, ChannelError, Message
from coshell_plugins.worker.shipping import pack

from . import process
from .hearsay import Nonsense, answers_in, coroutine_in, count_in, list_in, socket_with_tls_in
from .logs import Log, LogLine, Splitter
from .pool import Action, Drain, GiveUp, Kill, Note, Pool, ReloadFailed, Say, Spawn
from .questions import Questions

REFRESH_S: Final = 0.5  # who does not answer within that is told of as he was
CHANGE_S: Final = 5.0
FAILURES_EVERY_S: Final = 5.0  # at most so often it is told that handlers have failed
OUTPUT_GRACE_S: Final = 0.5  # how long what a worker has printed may still come after its end

Happening = Callable[[float], list[Action]]


class CannotStart(Exception):
    """The workers never served; why."""


@dataclass(frozen=True)
class Version:
    """What is served, from one reload to the next.

    Attributes:
        offer: as workers are sent it.
        recipe: how it was come by.
    """

    offer: str
    recipe: Recipe


@dataclass
class Report:
    """What a worker told last.

    Attributes:
        at: when.
        connections: how many it has open.
        accepted: how many there were so far.
        rejected: how many it turned away.
        failed: how many handlers failed.
        requests: how many requests it has served.
        heap: what its ledger counts; None below level `heap`.
        rss: what the process holds.
        live: how many coroutines it has.
        trouble: its last warning.
        answers: how many of each hundred it has given, if its handler speaks HTTP.
    """

    at: float = 0.0
    connections: int = 0
    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    requests: int = 0
    heap: int | None = None
    rss: int | None = None
    live: int = 0
    trouble: str | None = None
    answers: Counter[int] | None = None


@dataclass
class Mate:
    """One worker, as its master knows it.

    Attributes:
        serial: its own number.
        number: that of its place.
        born_at: when it was ordered.
        process: its process; None before it is there.
        channel: leads to it.
        questions: where it is asked about its coroutines.
        lines: the numbers of the sockets that lead to it.
        report: what it told last.
        coroutines: pictures of its coroutines.
        sockets: pictures of its sockets.
        minder: the coroutine that looks after it.
        has_begun: it was sent what it serves.
        was_told: it was told to end.
        told_how: it has told whether its connections ended by themselves.
    """

    serial: int
    number: int
    born_at: float
    report: Report = field(default_factory=Report)
    process: process.Process | None = None
    channel: Channel | None = None
    questions: Questions | None = None
    lines: tuple[int, ...] = ()
    coroutines: tuple[CoroutinePicture, ...] = ()
    sockets: tuple[SocketPicture, ...] = ()
    minder: Coroutine | None = None
    has_begun: bool = False
    was_told: bool = False
    told_how: bool = False

    @property
    def heard_at(self) -> float:
        """When it told something last; when it was born, if it never has."""
        return self.report.at or self.born_at

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return None if self.process is None else self.process.popen.pid


@dataclass(frozen=True)
class Totals:
    """Counts of all workers, those that are gone included."""

    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    requests: int = 0
    answers: Counter[int] | None = None

    def plus(self, report: Report) -> Totals:
        """With those of one more worker."""
        return Totals(
            self.accepted + report.accepted,
            self.rejected + report.rejected,
            self.failed + report.failed,
            self.requests + report.requests,
            self.answers if report.answers is None else report.answers + (self.answers or Counter()),
        )


class Workers:
    """A server whose connections are dealt with by worker processes. Made in a coroutine, and used there.

    Args:
        name: of the server; its workers are `NAME/w1`, `NAME/w2` ...
        listener: where it listens; belongs to the workers from now on.
        version: what they serve.
        size: how many there are.
        rules: when they are replaced.
        chance: spreads that.
        say: tells the user a line.
        given_up: called with the reason when the workers cannot be kept up.

    Attributes:
        log: what they print, and what was said of them.
        pool: who is there.
        started_at: when it was made.
        reloads: how often another version took over.
    """

    def __init__(
        self,
        name: str,
        listener: Listener,
        version: Version,
        *,
        size: int,
        rules: Rules,
        chance: random.Random,
        say: Callable[[str], None],
        given_up: Callable[[str], None],
    ) -> None:
        self.name = name
        self.log = Log()
        self.pool = Pool(size, rules, chance)
        self.reloads = 0
        self._reloading: set[int] = set()
        self._say = say
        self._given_up = given_up
        self._listener = listener
        self._raw = socket.socket(fileno=os.dup(listener.fileno()))
        scheduler = coloop.current_scheduler()
        scheduler.poller.forget(listener)  # it is the workers who want to hear of connections
        self._clock = scheduler.clock
        self.started_at = self._clock.now()
        self._versions = {self.pool.wanted: version}
        self._mates: dict[int, Mate] = {}
        self._gone = Totals()
        self._cut = 0
        self._failed_untold = 0
        self._failures_due = 0.0
        self._over = False
        self._has_served = False
        self._has_told_last = False
        self._changes = 0
        self._replies: dict[int, dict[int, str | None]] = {}
        self._happenings: Queue[Happening] = Queue()
        self._changed = Event()
        self._master: Coroutine = coloop.go(self._preside, name=name)
        listener.owner = self._master.id

    # -- what one may ask ---------------------------------------------------------------------------

    @property
    def address(self) -> Any:
        """Where it listens, with the real port."""
        return self._listener.address

    @property
    def version(self) -> Version:
        """What is to be served; after a reload that has failed, what was served before."""
        return self._versions[self.pool.wanted]

    @version.setter
    def version(self, version: Version) -> None:
        self._versions[self.pool.wanted] = version

    @property
    def tls(self) -> bool:
        """Whether they serve over TLS."""
        return self.version.recipe.certificate is not None

    @property
    def state(self) -> str:
        """`starting`, `running`, `draining`, `stopped` or `failed`."""
        if self.pool.state in {"stopped", "failed"}:
            return self.pool.state
        return "stopped" if self._over else self.pool.state

    @property
    def closed(self) -> bool:
        """Whether it serves no more."""
        return self.state in {"stopped", "failed"}

    @property
    def mates(self) -> list[Mate]:
        """The workers that are there, by number; from any thread."""
        return sorted(self._mates.copy().values(), key=lambda mate: (mate.number, mate.serial))

    @property
    def connections(self) -> int:
        """How many are open."""
        return sum(mate.report.connections for mate in self.mates)

    def totals(self) -> Totals:
        """What has been counted since the start."""
        totals = self._gone
        for mate in self._mates.values():
            totals = totals.plus(mate.report)
        return totals

    def since(self, at: float) -> float:
        """How long ago that was; from any thread."""
        return max(0.0, self._clock.now() - at)

    def __repr__(self) -> str:
        return f"<Workers {self.name} on {self.address} {self.state}, {len(self._mates)} workers>"

    # -- what one may do ----------------------------------------------------------------------------

    def start(self) -> None:
        """Park until all workers serve.

        Raises:
            CannotStart: they cannot; all is closed again.
        """
        try:
            self._happens(self.pool.start)
            self._wait_until(lambda: self.pool.state != "starting" or self._over)
        except BaseException:
            self._master.cancel()
            raise
        if self.state != "running":
            self._wait_until(lambda: self._over and not self._mates)
            raise CannotStart(self.pool.why or "it was stopped before it began")
        self._has_served = True

    def reload(self, version: Version) -> None:
        """Replace all workers by others that serve this, one after the other; park until that is done.

        Whoever is cancelled meanwhile does not wait any more; the workers are replaced all the same.

        Raises:
            CannotStart: the new ones cannot serve; the old ones stay.
        """
        generation = 0

        def wanted(now: float) -> list[Action]:
            nonlocal generation
            generation, actions = self.pool.reload(now)
            self._versions[generation] = version
            self._reloading.add(generation)
            return actions

        self._happens(wanted)
        try:
            self._wait_until(
                lambda: self.state != "running" or (generation and self.pool.reloaded(generation))
            )
        except ReloadFailed as error:
            self._wait_until(lambda: all(one.state != "killed" for one in self.pool.workers.values()))
            raise CannotStart(str(error)) from None
        if self.state != "running":
            raise CannotStart(self.pool.why or "it was stopped meanwhile")

    def scale(self, size: int) -> None:
        """Have so many workers from now on; park until that is so.

        Raises:
            CannotStart: it does not run any more, or another number was asked for meanwhile.
        """
        begun = False

        def scaled(now: float) -> list[Action]:
            nonlocal begun
            begun = True
            return self.pool.scale(size, now)

        self._happens(scaled)
        self._wait_until(
            lambda: self.state != "running" or (begun and (self.pool.size != size or self.pool.settled))
        )
        if self.state != "running":
            raise CannotStart(self.pool.why or "it does not run any more")
        if self.pool.size != size:
            raise CannotStart(f"overtaken by scale {self.pool.size}")

    def stop(self, drain: float = 0.0) -> bool:
        """Close the listener, give the open connections some time, and end all workers; park until they are gone.

        Returns:
            True if all connections ended by themselves.

        Raises:
            ValueError: drain is negative, infinite or NaN.
        """
        seconds = finite_seconds(drain, "drain")
        cut_before = self._cut
        self._happens(lambda now: self.pool.stop(seconds, now))
        self._wait_until(lambda: self._over and not self._mates)
        return self._cut == cut_before

    def change(self, what: str, key: str, value: Any, changed: Callable[[Recipe], Version]) -> None:
        """Change a callback (`on`) or a setting (`set`) of all workers, those to come included; park until it is done.

        Only what those who run have taken is given to those to come: else a change that is refused would be what
        their successors begin with, and die of. Who does not answer, because he computes or is stopped, takes it when
        he comes to it; the user is told of him.

        Args:
            what: `on` or `set`.
            key: of which event, or setting.
            value: what it is from now on.
            changed: a version with that changed.

        Raises:
            CannotStart: one could not, and why; or nobody was there to take it.
        """
        order: Message = {"do": "change", "change": pack((what, key, value))}
        changed(self.version.recipe)  # whether it can be sent
        asked = self._listeners()
        replies = self._replies_to(order, asked)
        for why in filter(None, replies.values()):
            raise CannotStart(why)
        silent = [mate for mate in asked if mate.serial in self._mates and mate.serial not in replies]
        if not replies and not silent:
            raise CannotStart("no worker is there that could take it")
        self._adopt(changed)
        for mate in self._listeners():
            if mate not in asked:  # it has begun meanwhile, with what held before
                self._order(mate.serial, {**order, "number": 0})
        if silent:
            names = ", ".join(f"worker {mate.number} (pid {mate.pid})" for mate in silent)
            self.tell(f"{key} is not changed yet in {names}: no answer within {CHANGE_S:g} s")

    def _replies_to(self, order: Message, asked: list[Mate]) -> dict[int, str | None]:
        """What each of them has told, by its serial: why it cannot do it, or None."""
        number = self._changes = self._changes + 1
        replies: dict[int, str | None] = {}
        self._replies[number] = replies
        try:
            for mate in asked:
                self._order(mate.serial, {**order, "number": number})
            with suppress(coloop.Timeout), coloop.timeout(CHANGE_S):
                self._wait_until(
                    lambda: all(one.serial in replies or one.serial not in self._mates for one in asked)
                )
        finally:
            del self._replies[number]
        return replies

    def _adopt(self, changed: Callable[[Recipe], Version]) -> None:
        """Give this to those to come, be it after a reload that goes on, or that fails yet."""
        for generation, version in self._versions.copy().items():
            self._versions[generation] = changed(version.recipe)

    def _listeners(self) -> list[Mate]:
        return [mate for mate in self.mates if mate.has_begun and not mate.was_told]

    def refresh(self) -> None:
        """Ask all workers how they are; park until they have told, or for half a second."""
        asked_at = self._clock.now()
        asked = [mate for mate in self._mates.values() if mate.report.at and not mate.was_told]
        for mate in asked:
            self._order(mate.serial, {"do": "report"})
        with suppress(coloop.Timeout), coloop.timeout(REFRESH_S):
            self._wait_until(
                lambda: all(one.report.at > asked_at or one.serial not in self._mates for one in asked)
            )

    # -- the master ---------------------------------------------------------------------------------

    def _happens(self, happening: Happening) -> None:
        with suppress(Closed):
            self._happenings.put(happening)

    def _wait_until(self, is_so: Callable[[], Any]) -> None:
        while not is_so():
            self._changed.wait()

    def _tell_those_who_wait(self) -> None:
        """Each change has an event of its own, so nobody can take it down under another one's feet."""
        changed, self._changed = self._changed, Event()
        changed.set()

    def _preside(self) -> None:
        try:
            while not self.pool.over:
                happening = self._next_happening()
                now = self._clock.now()
                if happening is not None:
                    self._carry_out(happening(now))
                self._carry_out(self.pool.tick(now))
                self._forget_old_versions()
                self._count_reloads()
                self._tell_those_who_wait()
        finally:
            self._close()

    def _next_happening(self) -> Happening | None:
        deadline = self.pool.next_deadline()
        wait_s = None if deadline is None else max(0.0, deadline - self._clock.now())
        try:
            return self._happenings.get(timeout=wait_s)
        except QueueEmpty:
            return None

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Spawn():
                    self._spawn(action)
                case Drain(serial, seconds):
                    self._order(serial, {"do": "drain", "seconds": seconds, "last": self._is_last()})
                case Kill(serial):
                    self._kill(serial)
                case Say(text):
                    self.tell(text)
                case Note(text):
                    self._log(None, None, text)
                case GiveUp(why):
                    self._close_listener()
                    self._log(None, None, f"given up: {why}")
                    if self._has_served:
                        self._given_up(why)
        if self.pool.state == "draining":
            self._close_listener()

    def _is_last(self) -> bool:
        """Whether the server ends, and not only a worker: that is told to one of them."""
        if self.pool.state == "running" or self._has_told_last:
            return False
        self._has_told_last = True
        return True

    def _close(self) -> None:
        """The end, whatever it was."""
        self._happenings.close()
        self._close_listener()
        for mate in self._mates.values():
            if mate.minder is not None:
                mate.minder.cancel()
        self._over = True
        self._tell_those_who_wait()

    def _close_listener(self) -> None:
        self._raw.close()
        self._listener.close()

    def _forget_old_versions(self) -> None:
        for generation in [one for one in self._versions if one not in {self.pool.wanted, self.pool.good}]:
            if not any(one.generation == generation for one in self.pool.workers.values()):
                del self._versions[generation]

    def _count_reloads(self) -> None:
        """Here, because nobody may wait for them any more."""
        for generation in tuple(self._reloading):
            try:
                is_through = self.pool.reloaded(generation)
            except ReloadFailed:
                self._reloading.remove(generation)
            else:
                if is_through:
                    self._reloading.remove(generation)
                    self.reloads += 1

    def tell(self, text: str) -> None:
        """A line for the user, and for the log."""
        self._log(None, None, text)
        self._say(f"{self.name}: {text}")

    def _log(self, number: int | None, pid: int | None, text: str) -> None:
        self.log.add(self._clock.now(), number, pid, text)

    # -- workers ------------------------------------------------------------------------------------

    def _order(self, serial: int, order: Message) -> None:
        mate = self._mates.get(serial)
        if mate is None or mate.channel is None:
            return
        mate.was_told = mate.was_told or order["do"] == "drain"
        try:
            mate.channel.post(order)
        except ChannelError as error:
            self.tell(f"worker {mate.number} cannot be told to {order['do']}: {error}")

    def _kill(self, serial: int) -> None:
        mate = self._mates.get(serial)
        if mate is not None:
            mate.was_told = True
            if mate.process is not None:
                mate.process.popen.kill()

    def _spawn(self, action: Spawn) -> None:
        mate = self._mates[action.serial] = Mate(action.serial, action.number, self._clock.now())
        mate.minder = coloop.go(self._mind, mate, action, name=f"{self.name}/w{action.number}")

    def _start_message(self, action: Spawn) -> Message:
        return {
            "do": "start",
            "name": self.name,
            "number": action.number,
            "first": action.first,
            "offer": self._versions[action.generation].offer,
            "level": coloop.memory.level(),
            "path": os.environ.get("PYTHONPATH"),
            "max_requests": action.max_requests,
            "max_wait_s": self.pool.rules.max_wait_s,
        }

    def _mind(self, mate: Mate, action: Spawn) -> None:
        """The life of a worker, from here; when this ends, so has its process."""
        how = "was left alone"  # this coroutine was cancelled
        try:
            made = process.start(self._raw, f"{self.name}/w{mate.number}")
            try:
                how = self._accompany(mate, made, action)
            finally:
                made.end()
        except (OSError, ChannelError) as error:
            how = f"could not be started: {error}"
        finally:
            del self._mates[mate.serial]
            self._gone = self._gone.plus(mate.report)
            self._cut += 0 if mate.told_how else mate.report.connections
            self._happens(partial(self.pool.died, mate.serial, how, in_order=mate.told_how))
            self._tell_those_who_wait()

    def _accompany(self, mate: Mate, made: process.Process, action: Spawn) -> str:
        """Until it has ended; how it did."""
        channel = mate.channel = Channel(made.channel)
        questions = mate.questions = Questions(made.questions, f"{self.name}/w{mate.number}/answers")
        output = Socket(made.output, "client", None)
        mate.lines = (channel.id, questions.id, output.id)
        mate.process = made
        if mate.was_told:  # to end, before it had begun
            made.popen.kill()
        self._happens(lambda _: self.pool.spawned(mate.serial, made.popen.pid))
        try:
            with _side_by_side(
                coloop.go(self._listen, mate, channel, name=f"{self.name}/w{mate.number}/channel"),
                coloop.go(self._read_output, mate, output, name=f"{self.name}/w{mate.number}/output"),
            ):
                try:
                    channel.post(self._start_message(action))
                    mate.has_begun = True
                    code = coloop.wait_child(made.popen)
                finally:
                    made.end()
        finally:
            channel.close()
            questions.close()
            output.close()
        return process.how_it_ended(code, was_told=mate.was_told)

    def _listen(self, mate: Mate, channel: Channel) -> None:
        try:
            while (message := channel.receive()) is not None:
                self._hear(mate, message)
        except ChannelError as error:
            self.tell(f"worker {mate.number} (pid {mate.pid}) talks nonsense and is killed: {error}")
            self._kill(mate.serial)

    def _hear(self, mate: Mate, message: Message) -> None:
        match message:
            case {"event": "ready"}:
                self._note(mate, message)
                self._happens(partial(self.pool.ready, mate.serial))
                self._reported(mate)
            case {"event": "refused", "why": str(why)}:
                self._happens(partial(self.pool.refused, mate.serial, why))
            case {"event": "stopped", "drained": drained}:
                mate.told_how = True
                self._cut += 0 if drained else max(1, mate.report.connections)
                self._note(mate, message)
            case {"event": "message", "to": to, "data": data}:
                self._deliver(mate, to, data)
            case {"event": "changed", "number": int(number), "why": str() | None as why}:
                if number in self._replies:
                    self._replies[number][mate.serial] = why
                    self._tell_those_who_wait()
            case {"event": "status"}:
                self._note(mate, message)
                self._reported(mate)

    def _reported(self, mate: Mate) -> None:
        requests, heap = mate.report.requests, mate.report.heap
        self._happens(lambda now: self.pool.reported(mate.serial, requests, heap, now))

    def _deliver(self, sender: Mate, to: object, data: object) -> None:
        """Take a message from one worker to another; whoever cannot be reached is told of to the sender."""
        worker = self.pool.latest(to) if isinstance(to, int) else None
        mate = None if worker is None else self._mates.get(worker.serial)
        why = "it is not there"
        if mate is not None and mate.channel is not None:
            try:
                mate.channel.post({"do": "deliver", "from": sender.number, "data": data})
            except ChannelError as error:
                why = str(error)
            else:
                return
        self._order(sender.serial, {"do": "complain", "why": f"a message to worker {to} is lost: {why}"})

    def _note(self, mate: Mate, message: Message) -> None:
        try:
            report = _report(message, self._clock.now())
            if "coroutines" in message:
                mate.coroutines = tuple(map(coroutine_in, list_in(message["coroutines"])))
                mate.sockets = tuple(map(socket_with_tls_in, list_in(message.get("sockets"))))
        except Nonsense as error:
            raise ChannelError(str(error)) from None
        self._count_failures(max(0, report.failed - mate.report.failed))
        mate.report = report
        self._tell_those_who_wait()

    def _count_failures(self, more: int) -> None:
        """Say that handlers have failed: the shell hears of those in other processes by this count only."""
        self._failed_untold += more
        now = self._clock.now()
        if self._failed_untold > 0 and now >= self._failures_due:
            failures = (
                "1 handler has" if self._failed_untold == 1 else f"{self._failed_untold:,} handlers have"
            )
            self._say(f"{self.name}: {failures} failed in the workers: server logs {self.name}")
            self._failed_untold, self._failures_due = 0, now + FAILURES_EVERY_S

    def _read_output(self, mate: Mate, output: Socket) -> None:
        splitter = Splitter()
        with suppress(OSError, Closed):
            while data := output.recv():
                for line in splitter.feed(data):
                    self._log(mate.number, mate.pid, line)
        for line in splitter.close():
            self._log(mate.number, mate.pid, line)

    def log_lines(self, number: int | None = None) -> list[LogLine]:
        """What was printed by one worker, or by all, and said about them."""
        return [line for line in self.log.lines() if number is None or line.worker == number]


def _report(message: Message, at: float) -> Report:
    return Report(
        at=at,
        connections=count_in(message, "connections") or 0,
        accepted=count_in(message, "accepted") or 0,
        rejected=count_in(message, "rejected") or 0,
        failed=count_in(message, "failed") or 0,
        requests=count_in(message, "requests") or 0,
        live=count_in(message, "live") or 0,
        heap=count_in(message, "heap"),
        rss=count_in(message, "rss"),
        trouble=str(message["trouble"]) if message.get("trouble") else None,
        answers=answers_in(message),
    )


@contextmanager
def _side_by_side(*companions: Coroutine) -> Any:
    """At the end of the block these get a moment to end by themselves."""
    try:
        yield
        for one in companions:
            one.join(timeout=OUTPUT_GRACE_S)
    finally:
        for one in companions:
            one.cancel()
