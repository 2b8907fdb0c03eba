"""Which workers there are, and what is to be done about it: decisions, and nothing that happens.

The machine is told what has happened and when (a worker is ready, has died, has served so many requests; somebody
wants a reload), and answers with what is to be done. It starts no process, sends nothing, and looks at no clock; so
all of it can be tried in no time, and whoever carries the orders out decides nothing.

A *slot* is one of the N places in the pool; its number is what people call a worker by. A *worker* is one process in
a slot, with a serial number of its own: while it is replaced there are two in its slot, because the new one comes
first, and the old one drains when the new one serves. A *generation* is one version of what is served; a reload
makes another one.

Who dies is replaced, after a pause that doubles each time and is forgotten after half a minute of life. When five in
a row have lived less than a second, the pool gives up: what dies at its birth would only die again, and who holds too
much before it has done anything would only be replaced by its like. A version that was never able to serve replaces
nobody: at the start that ends the pool at once, at a reload the old ones stay.

The first worker comes alone, and the others when it serves: it starts the server, before anybody is let in. If it
dies of that, the next one is the first.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from coshell_plugins.serving.rules import Rules

FIRST_PAUSE_S: Final = 0.1
MAX_PAUSE_S: Final = 30.0
SHORT_LIFE_S: Final = 1.0
MAX_SHORT_LIVES: Final = 5
BOOT_S: Final = 30.0  # who does not serve by then never will
KILL_GRACE_S: Final = 1.0  # what a worker has for ending itself after its last connection was cut off
JITTER: Final = 0.1


@dataclass(frozen=True)
class Spawn:
    """Start a worker with what `generation` serves; `first`: nobody has ever served."""

    serial: int
    number: int
    generation: int
    max_requests: int | None
    first: bool


@dataclass(frozen=True)
class Drain:
    """Tell a worker to accept no more, to finish within so many seconds, and to end."""

    serial: int
    seconds: float


@dataclass(frozen=True)
class Kill:
    """End a worker by force."""

    serial: int


@dataclass(frozen=True)
class Say:
    """Tell the user."""

    text: str


@dataclass(frozen=True)
class Note:
    """Write into the log."""

    text: str


@dataclass(frozen=True)
class GiveUp:
    """The pool has failed: close the listener."""

    why: str


Action = Spawn | Drain | Kill | Say | Note | GiveUp


@dataclass
class Worker:
    """One process.

    Attributes:
        serial: its own number, never used again.
        number: its slot's.
        generation: the version that it serves.
        born_at: when it was ordered.
        state: `starting`, `running`, `draining` or `killed`.
        max_requests: its own limit.
        pid: once it is there.
        ready_at: since when it serves.
        settles_at: when it will have lived long enough to be no failure.
        deadline: when it will be killed, if it is starting or draining.
        max_wait_s: how long it was given to drain.
        worn: why it is to be replaced; None as long as it is not.
    """

    serial: int
    number: int
    generation: int
    born_at: float
    max_requests: int | None
    state: str = "starting"
    pid: int | None = None
    ready_at: float | None = None
    settles_at: float | None = None
    deadline: float | None = None
    max_wait_s: float = 0.0
    worn: str | None = None

    def __str__(self) -> str:
        return f"worker {self.number}" + ("" if self.pid is None else f" (pid {self.pid})")


@dataclass
class _Slot:
    """A place for a worker.

    Attributes:
        number: from 1.
        deaths: how many workers have died here, until one lived long.
        due_at: when the next one is to be started; None if nobody has to be.
    """

    number: int
    deaths: int = 0
    due_at: float | None = None


class ReloadFailed(Exception):
    """A version was never able to serve; why."""


@dataclass(frozen=True)
class _Failure:
    """A reload that has failed, and for which of the versions that holds."""

    above: int
    up_to: int
    why: str


@dataclass
class Pool:
    """The workers of one server.

    Attributes:
        size: how many there are to be.
        rules: how long each may live.
        chance: decides how much more than `max_requests` each may serve.
        state: `starting`, `running`, `draining`, `stopped` or `failed`.
        why: why it has failed.
        wanted: the version that is to be served.
        good: the last version that was able to serve; 0 if there was none.
        restarts: how many workers have died that should not have.
    """

    size: int
    rules: Rules = field(default_factory=Rules)
    chance: random.Random = field(default_factory=random.Random)  # noqa: S311 - it only spreads
    state: str = "starting"
    why: str | None = None
    wanted: int = 1
    good: int = 0
    restarts: int = 0

    def __post_init__(self) -> None:
        """Nobody is there yet."""
        self.workers: dict[int, Worker] = {}
        self._slots: dict[int, _Slot] = {}
        self._serials = 0
        self._generations = 1
        self._short_lives = 0
        self._failure: _Failure | None = None

    # -- what one may ask ---------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether it has stopped, or failed and all its workers are gone."""
        return self.state in {"stopped", "failed"} and not self.workers

    @property
    def settled(self) -> bool:
        """Whether as many serve as are wanted, and nobody comes or goes."""
        return len(self.serving()) == len(self.workers) == self.size

    def serving(self) -> list[Worker]:
        """Those who accept connections, by number."""
        found = (one for one in self.workers.values() if one.state == "running")
        return sorted(found, key=lambda one: (one.number, one.serial))

    def latest(self, number: int) -> Worker | None:
        """Who serves in a slot; the younger one if there are two."""
        return next((one for one in reversed(self.serving()) if one.number == number), None)

    def reloaded(self, generation: int) -> bool:
        """Whether all serve this version or a newer one, and nobody of an older one is left.

        Raises:
            ReloadFailed: that version was never able to serve.
        """
        failure = self._failure
        if failure is not None and failure.above < generation <= failure.up_to:
            raise ReloadFailed(failure.why)
        return self.settled and all(one.generation >= generation for one in self.workers.values())

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        return min(self._deadlines(), default=None)

    # -- what may happen ----------------------------------------------------------------------------

    def start(self, now: float) -> list[Action]:
        """Begin."""
        return self.scale(self.size, now)

    def spawned(self, serial: int, pid: int) -> list[Action]:
        """A worker's process is there."""
        if serial in self.workers:
            self.workers[serial].pid = pid
        return []

    def ready(self, serial: int, now: float) -> list[Action]:
        """A worker serves; whoever was there before it can go."""
        worker = self.workers.get(serial)
        if worker is None or worker.state != "starting":
            return []
        worker.state, worker.ready_at, worker.settles_at, worker.deadline = (
            "running",
            now,
            now + SHORT_LIFE_S,
            None,
        )
        is_first, self.good = self.good == 0, max(self.good, worker.generation)
        others = self._vacancies_filled(now) if is_first else []
        if self.state == "starting" and len(self.serving()) == self.size:
            self.state = "running"
        before = [one for one in self.serving() if one.number == worker.number and one is not worker]
        return [*others, *self._drained(before, self.rules.max_wait_s, now), *self._roll(now)]

    def reported(self, serial: int, requests: int, heap_bytes: int | None, now: float) -> list[Action]:
        """How much a worker has served, and how much it holds."""
        worker = self.workers.get(serial)
        if worker is None or worker.state != "running" or worker.worn:
            return []
        memory = self.rules.max_memory
        if worker.max_requests is not None and requests >= worker.max_requests:
            worker.worn = f"has served {requests:,} requests"
        elif memory is not None and heap_bytes is not None and heap_bytes > memory:
            worker.worn = f"holds {heap_bytes:,} bytes, {memory:,} are allowed"
            return self._too_large(worker, now)
        return self._roll(now) if worker.worn else []

    def refused(self, serial: int, why: str, now: float) -> list[Action]:
        """A worker cannot serve what it was given, and says why; its death will follow."""
        worker = self.workers.get(serial)
        if worker is None or worker.state != "starting":
            return []
        worker.state, worker.deadline = "killed", now + KILL_GRACE_S
        return [*self._not_born(worker, why, now, hopeless=True), *self._roll(now)]

    def died(self, serial: int, how: str, now: float, *, in_order: bool = False) -> list[Action]:
        """A worker's process is gone.

        Args:
            serial: which.
            how: `killed by SIGKILL`, as it is told to the user.
            now: when.
            in_order: it has ended itself, after all that it was told to do.
        """
        worker = self.workers.pop(serial, None)
        if worker is None:
            return []
        actions: list[Action] = []
        if worker.state == "running":
            actions = self._lost(worker, how, now)
        elif worker.state == "starting":
            actions = self._not_born(worker, f"{worker} {how} before it could serve", now, hopeless=False)
        elif worker.state == "draining" and not in_order:
            actions = [Say(f"{worker} {how} while it drained")]
        if self.state == "draining" and not self.workers:
            self.state = "stopped"
        return [*actions, *self._roll(now)]

    def reload(self, now: float) -> tuple[int, list[Action]]:
        """Another version is to be served; those in between that nobody serves yet are skipped.

        Returns:
            Its number, and what is to be done.
        """
        self._generations += 1
        self.wanted = self._generations
        for slot in self._slots.values():
            if slot.due_at is not None:  # what the new version needs no pause for
                slot.deaths, slot.due_at = 0, now
        return self.wanted, self._roll(now)

    def scale(self, size: int, now: float) -> list[Action]:
        """So many are wanted from now on; without effect on what is to end."""
        if self.state not in {"starting", "running"}:
            return []
        self.size = size
        new = [number for number in range(1, size + 1) if number not in self._slots]
        self._slots.update((number, _Slot(number)) for number in new)
        actions = [action for number in new for action in self._spawned_in(number, now)]
        for number in [number for number in self._slots if number > size]:
            del self._slots[number]
        too_many = [one for one in self.workers.values() if one.number > size]
        return [*actions, *self._drained(too_many, self.rules.max_wait_s, now)]

    def stop(self, drain_s: float, now: float) -> list[Action]:
        """All are to end, within so many seconds; a second time it may be sooner."""
        if self.state not in {"failed", "stopped"}:
            self.state = "draining" if self.workers else "stopped"
        self._slots.clear()
        return self._drained(list(self.workers.values()), drain_s, now)

    def tick(self, now: float) -> list[Action]:
        """What is due by now."""
        actions: list[Action] = []
        for worker in list(self.workers.values()):
            if worker.settles_at is not None and now >= worker.settles_at:
                worker.settles_at, self._short_lives = None, 0
            if worker.deadline is not None and now >= worker.deadline:
                actions += self._overdue(worker, now)
        for slot in self._slots.values():
            if slot.due_at is not None and now >= slot.due_at:
                slot.due_at = None
                actions += self._spawned_in(slot.number, now)
        return [*actions, *self._roll(now)]

    # -- inside -------------------------------------------------------------------------------------

    def _deadlines(self) -> Iterator[float]:
        for worker in self.workers.values():
            yield from (at for at in (worker.deadline, worker.settles_at) if at is not None)
        yield from (slot.due_at for slot in self._slots.values() if slot.due_at is not None)

    def _in(self, number: int) -> list[Worker]:
        return [one for one in self.workers.values() if one.number == number]

    def _vacancies_filled(self, now: float) -> list[Action]:
        """Those who have waited for the first one."""
        vacant = [slot.number for slot in self._slots.values() if slot.due_at is None]
        return [
            action for number in vacant if not self._in(number) for action in self._spawned_in(number, now)
        ]

    def _spawned_in(self, number: int, now: float) -> list[Action]:
        is_first = self.good == 0
        rivals = self.workers.values() if is_first else self._in(number)
        if any(one.state == "starting" for one in rivals):
            return []
        self._serials += 1
        most = self.rules.max_requests
        spread = None if most is None else most + int(self.chance.random() * JITTER * most)
        worker = Worker(self._serials, number, self.wanted, now, spread, deadline=now + BOOT_S)
        self.workers[worker.serial] = worker
        return [Spawn(worker.serial, number, worker.generation, spread, is_first)]

    def _roll(self, now: float) -> list[Action]:
        """Replace the next one whose time is over: one after the other, so that the others serve."""
        if self.state != "running" or self._is_replacing():
            return []
        for slot in sorted(self._slots.values(), key=lambda slot: slot.number):
            current = self.latest(slot.number)
            is_old = current is not None and (current.generation < self.wanted or current.worn is not None)
            if is_old and slot.due_at is None:
                why = [Note(f"{current} is replaced: it {current.worn}")] if current and current.worn else []
                return [*why, *self._spawned_in(slot.number, now)]
        return []

    def _is_replacing(self) -> bool:
        starting = [one.number for one in self.workers.values() if one.state == "starting"]
        return any(self.latest(number) is not None for number in starting)

    def _drained(self, workers: list[Worker], seconds: float, now: float) -> list[Action]:
        actions: list[Action] = []
        for worker in workers:
            deadline = now + seconds + KILL_GRACE_S
            if worker.state == "starting":
                worker.state, worker.deadline = "killed", None
                actions.append(Kill(worker.serial))
            elif worker.state == "running" or (
                worker.state == "draining" and deadline < (worker.deadline or 0)
            ):
                worker.state, worker.deadline, worker.max_wait_s = "draining", deadline, seconds
                worker.settles_at = None
                actions.append(Drain(worker.serial, seconds))
        return actions

    def _overdue(self, worker: Worker, now: float) -> list[Action]:
        was, worker.state, worker.deadline = worker.state, "killed", None
        if was == "starting":
            why = f"{worker} did not begin to serve within {BOOT_S:g} s"
            return [Kill(worker.serial), *self._not_born(worker, why, now, hopeless=False)]
        said = [Say(f"{worker} did not end within {worker.max_wait_s:g} s and was killed")]
        return [Kill(worker.serial), *(said if was == "draining" else [])]

    def _lost(self, worker: Worker, how: str, now: float) -> list[Action]:
        """One that served has died."""
        self.restarts += 1
        slot = self._slots.get(worker.number)
        life_s = now - (worker.ready_at or now)
        actions: list[Action] = [Say(f"{worker} {how}")]
        if slot is None or any(one.state in {"starting", "running"} for one in self._in(worker.number)):
            return actions
        if life_s >= MAX_PAUSE_S:
            slot.deaths = 0
        why = f"{worker} {how} {_life(worker, now)}"
        return [*actions, *self._again(slot, why, now, is_short=life_s < SHORT_LIFE_S)]

    def _too_large(self, worker: Worker, now: float) -> list[Action]:
        """One holds too much. If it has done so from the beginning, so will its successor."""
        if worker.settles_at is not None and now < worker.settles_at:
            worker.settles_at = None
            why = f"{worker} {worker.worn}, {_life(worker, now)}"
            return self._short_life(why, now) or self._roll(now)
        return self._roll(now)

    def _not_born(self, worker: Worker, why: str, now: float, *, hopeless: bool) -> list[Action]:
        """One has never served. `hopeless`: it said that it cannot, so the next one cannot either."""
        slot = self._slots.get(worker.number)
        if slot is None:
            return []
        if worker.generation > self.good > 0:
            self._failure = _Failure(self.good, self._generations, why)
            self.wanted = self.good
            actions: list[Action] = [Say(f"reload failed, the old workers stay: {why}")]
            has_nobody = self.latest(worker.number) is None
            return actions + (self._again(slot, why, now, is_short=False) if has_nobody else [])
        if self.latest(worker.number) is not None:
            return [Say(why), *self._again(slot, why, now, is_short=False)]
        if hopeless and self.state == "starting":
            return self._given_up(why, 0.0, now)
        return [Say(why), *self._again(slot, why, now, is_short=True)]

    def _again(self, slot: _Slot, why: str, now: float, *, is_short: bool) -> list[Action]:
        """Another one, after a pause; unless it has been tried too often."""
        slot.deaths += 1
        if is_short and (the_end := self._short_life(why, now)):
            return the_end
        slot.due_at = now + min(FIRST_PAUSE_S * 2 ** (slot.deaths - 1), MAX_PAUSE_S)
        return []

    def _short_life(self, why: str, now: float) -> list[Action]:
        """One more; the end if it was one too many."""
        self._short_lives += 1
        if self._short_lives < MAX_SHORT_LIVES:
            return []
        often = f"{MAX_SHORT_LIVES} workers in a row lived less than {SHORT_LIFE_S:g} s; the last: {why}"
        return self._given_up(often, self.rules.max_wait_s, now)

    def _given_up(self, why: str, drain_s: float, now: float) -> list[Action]:
        self.state, self.why = "failed", why
        self._slots.clear()
        return [GiveUp(why), *self._drained(list(self.workers.values()), drain_s, now)]


def _life(worker: Worker, now: float) -> str:
    return f"{now - (worker.ready_at or now):.1f} s after it began to serve"
