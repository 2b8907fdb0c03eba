"""Frozen pictures of what a scheduler holds: all that a monitor, a shell or a test ever needs to see.

A picture is taken on the scheduler's own thread, between two switches, so it is consistent. When
the scheduler does not come to it, because a coroutine computes without a pause, a *light* picture
is put together from another thread: it reads plain attributes only, and leaves out whatever
would need a walk over stacks. All sizes are bytes, all times seconds.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from ._account import Account
from ._asking import answered
from ._frames import Site, stack_of_thread, top_site
from ._memory import memory
from ._type_names import type_name

if TYPE_CHECKING:
    from ._coroutine import Coroutine
    from ._scheduler import Scheduler

T = TypeVar("T")

MAX_REPORTED: Final = 32  # coroutines that a deadlock is reported with
HOG_S: Final = 0.1  # who runs for so long without a switch is called a hog


@dataclass(frozen=True, slots=True)
class CoroutinePicture:
    """One coroutine at one moment.

    Attributes:
        id: its number.
        name: its name.
        state: `ready running waiting done failed cancelled`.
        parent_id: who started it, if a coroutine did.
        spawned_at: where, as `file.py:12 in function`.
        waiting_on: what it waits for, if it waits.
        where: the innermost place outside of the runtime, or where it was started if it runs nothing else;
            None in a light picture.
        age_s: since its start, on the scheduler's clock; up to its end for the dead.
        busy_s: how long it has run.
        switches: how many times it was switched to.
        running_for_s: how long it has been running without a switch; 0 for all but one.
        heap_bytes: its heap; None below level `heap`.
        heap_peak: the largest that was seen at a switch.
        allocated_total: the sum of all growth between switches.
        stack_bytes: saved C stack and data-stack chunks.
        frames: depth of its Python stack.
        sockets: open sockets that it made.
        timers: timers that are set for it.
        defers: calls that wait for its end.
        limit: its heap limit.
        stuck: nothing that is alive can ever wake it; only looked for on request.
        dropped_bytes: what it has dropped by closes that reset the connection: bytes that the other side had not
            confirmed.
        dropped_ago_s: since when; None if it has dropped nothing.
        outcome: how it ended; None while it lives.
        ended_ago_s: since when it is dead; None while it lives.
    """

    id: int
    name: str
    state: str
    parent_id: int | None
    spawned_at: str
    waiting_on: str | None
    where: str | None
    age_s: float
    busy_s: float
    switches: int
    running_for_s: float
    heap_bytes: int | None
    heap_peak: int | None
    allocated_total: int | None
    stack_bytes: int
    frames: int
    sockets: int = 0
    timers: int = 0
    defers: int = 0
    limit: int | None = None
    stuck: bool = False
    dropped_bytes: int = 0
    dropped_ago_s: float | None = None
    outcome: str | None = None
    ended_ago_s: float | None = None


@dataclass(frozen=True, slots=True)
class TlsPicture:
    """What both ends of a TLS connection have agreed on.

    Attributes:
        version: `TLSv1.3` ...
        cipher: `TLS_AES_256_GCM_SHA384` ...
        alpn: the protocol that was chosen for what is inside; None if none was offered.
        server_name: whom the client asked for (SNI); None if it did not say.
        peer_subject: whom the peer's certificate is for, if it was verified.
    """

    version: str
    cipher: str
    alpn: str | None
    server_name: str | None
    peer_subject: str | None


@dataclass(frozen=True, slots=True)
class SocketPicture:
    """One open socket or listener at one moment.

    Attributes:
        id: its serial number, which is never the descriptor's.
        fd: the descriptor.
        kind: `tcp`, `udp`, `unix` or `unixgram`.
        role: `listener`, `client`, `server` (an accepted connection) or `bound` (datagrams from anybody).
        local: its own address.
        peer: the other side's address, if it has one.
        state: what we think: `open`, `half-closed`, `closed by peer` ...
        kernel: what the kernel thinks: `ESTABLISHED`, `CLOSE_WAIT` ..., `UNCONN` for datagrams without a
            peer; None where it does not say.
        unread: bytes that wait to be received, of datagrams in the next one; None where the kernel does
            not say.
        unsent: bytes sent and not acknowledged yet; for UDP and unix sockets what the kernel still holds,
            its own records included; likewise.
        received: bytes received so far.
        sent: bytes given to the kernel so far.
        reader: the coroutine that waits to read.
        writer: the coroutine that waits to write.
        owner: the coroutine that made it (0: none).
        age_s: since it was made.
        tls: what was agreed on with the peer; None without TLS, and before the handshake.
        waiting: of a listener: connections that wait to be accepted; None where the kernel does not say.
    """

    id: int
    fd: int
    kind: str
    role: str
    local: str
    peer: str | None
    state: str
    kernel: str | None
    unread: int | None
    unsent: int | None
    received: int
    sent: int
    reader: int | None
    writer: int | None
    owner: int
    age_s: float
    tls: TlsPicture | None = None
    waiting: int | None = None


@dataclass(frozen=True, slots=True)
class ChannelPicture:
    """One channel at which somebody waits, at one moment.

    Attributes:
        id: its number.
        capacity: how many values it can buffer.
        buffered: how many it does.
        closed: whether it was closed.
        senders: the ids of the coroutines that wait to send, in ascending order.
        receivers: the ids of those that wait to receive; who waits in a `select` is among them.
    """

    id: int
    capacity: int
    buffered: int
    closed: bool
    senders: tuple[int, ...]
    receivers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment.

    Attributes:
        taken_at: on the scheduler's clock.
        responsive: False for a light picture, taken past a scheduler that does not answer.
        level: the level of accounting.
        coroutines: the living, by id, as many as were asked for.
        dead: those that ended last, oldest first.
        sockets: the open sockets and listeners.
        channels: those at which one of `coroutines` waits, by id.
        live: how many coroutines live.
        spawned: how many were ever started.
        peak: the largest `live` so far.
        failed: how many ended by an exception.
        ready: how many could run.
        waiting: how many wait.
        timers: how many timers are set.
        threads: calls that are under way on worker threads.
        switches: switches so far.
        lag_s: how long the scheduler took to answer.
        hog: the coroutine that has run for `HOG_S` or longer without a switch.
        hog_stack: where it stands, outermost frame first, as `file.py:12 in function`.
        heap_bytes: the sum of all living accounts' heaps; None below level `heap`.
        dead_bytes: what the dead left behind (residues).
        outside_bytes: what was allocated in no coroutine.
        traced_bytes: the total, which is the sum of these three.
        stack_bytes: the stacks of the pictured coroutines.
        cost: what the level of accounting costs, as measured.
        exact: heap figures are counted block by block; else they are read from tracemalloc at switches.
    """

    taken_at: float
    responsive: bool
    level: str
    coroutines: tuple[CoroutinePicture, ...]
    dead: tuple[CoroutinePicture, ...]
    sockets: tuple[SocketPicture, ...]
    channels: tuple[ChannelPicture, ...]
    live: int
    spawned: int
    peak: int
    failed: int
    ready: int
    waiting: int
    timers: int
    threads: int
    switches: int
    lag_s: float
    hog: CoroutinePicture | None
    hog_stack: tuple[str, ...]
    heap_bytes: int | None
    dead_bytes: int | None
    outside_bytes: int | None
    traced_bytes: int | None
    stack_bytes: int
    cost: str
    exact: bool = False


class Grave(NamedTuple):
    """What is kept of a coroutine that has ended: no object of its own among it."""

    id: int
    name: str
    state: str
    parent_id: int | None
    site: object
    age_s: float
    ended_at: float
    busy_s: float
    switches: int
    heap_bytes: int
    heap_peak: int
    allocated_total: int
    outcome: object


def grave_of(coroutine: Coroutine) -> tuple[object, ...]:
    """The fields of a `Grave`, as a bare tuple: this is on the path of every spawn."""
    heap, error = coroutine._heap, coroutine._error
    ended_at, number, site = coroutine._ended_at, coroutine.id, coroutine._site
    assert ended_at is not None
    if memory.tracing is not None:
        # The handle's were charged to the spawner; kept here, they would never be credited to it.
        number += 0  # a copy
        if isinstance(site, Site):
            site = Site(site.code, site.instruction + 0)
    return (
        number,
        coroutine.name,
        coroutine._state,
        coroutine.parent_id,
        site,
        ended_at - coroutine._started_at,
        ended_at,
        coroutine.busy_s,
        coroutine.switches,
        heap[0],
        heap[2],
        heap[3],
        type_name(type(coroutine._value)) if error is None else coroutine.outcome,
    )


def take(
    scheduler: Scheduler,
    limit: int | None,
    *,
    dead: bool = True,
    stuck: bool = False,
    sockets: int | None = None,
    lag_s: float = 0.0,
) -> Snapshot:
    """The whole picture, on the scheduler's own thread."""
    if scheduler.running is not None:
        scheduler.settle()
    living = scheduler.living.values()
    chosen = list(living) if limit is None else list(islice(living, limit))
    stuck_ids = _stuck_ids(scheduler) if stuck else frozenset()
    sockets_of = Counter(held.owner for held in scheduler.sockets.values())
    timers_of = Counter(timer.owner.id for timer in scheduler.timers if timer.owner is not None)
    pictures = tuple(
        picture_of(
            scheduler, co, sockets=sockets_of[co.id], timers=timers_of[co.id], stuck=co.id in stuck_ids
        )
        for co in chosen
    )
    graves = tuple(_dead_picture(scheduler, Grave._make(grave)) for grave in scheduler.graves) if dead else ()
    ends = tuple(held.info() for held in islice(scheduler.sockets.values(), sockets))
    channels = _channels(chosen)
    return _assemble(scheduler, pictures, graves, ends, channels, responsive=True, lag_s=lag_s)


def ask(scheduler: Scheduler, limit: int | None, *, dead: bool, stuck: bool, sockets: int | None) -> Snapshot:
    """From another thread: the whole picture, or a light one if the scheduler does not answer soon."""
    asked_at = time.perf_counter()

    def whole() -> Snapshot:
        lag_s = time.perf_counter() - asked_at
        return take(scheduler, limit, dead=dead, stuck=stuck, sockets=sockets, lag_s=lag_s)

    picture = answered(scheduler, whole)
    if picture is not None:
        return picture
    return take_light(scheduler, limit, lag_s=time.perf_counter() - asked_at)


def take_light(scheduler: Scheduler, limit: int | None, *, lag_s: float) -> Snapshot:
    """What can be told from another thread while the scheduler is busy."""
    living = steady_list(scheduler.living)
    pictures = tuple(_light_picture(scheduler, co) for co in living[:limit])
    return _assemble(scheduler, pictures, (), (), (), responsive=False, lag_s=lag_s)


def account_of(scheduler: Scheduler, coroutine: Coroutine) -> Account:
    """The account of one coroutine, as of now."""
    if coroutine is scheduler.running:
        scheduler.settle()
    stack_bytes, frames = scheduler.stack_of(coroutine)
    heap_bytes, heap_blocks, heap_peak, allocated_total = _heap_of(coroutine)
    return Account(
        heap_bytes=heap_bytes,
        heap_blocks=heap_blocks,
        heap_peak=heap_peak,
        allocated_total=allocated_total,
        stack_bytes=stack_bytes,
        frames=frames,
        sockets=sum(held.owner == coroutine.id for held in scheduler.sockets.values()),
        timers=sum(timer.owner is coroutine for timer in scheduler.timers),
        defers=len(coroutine._defers or ()),
        limit=None if coroutine._limit is None else coroutine._limit.bytes,
        **_loss_of(scheduler, coroutine.id),
    )


def _heap_of(coroutine: Coroutine) -> tuple[int | None, int | None, int | None, int | None]:
    return coroutine._heap if memory.traces_heap() else (None, None, None, None)


def picture_of(
    scheduler: Scheduler, coroutine: Coroutine, *, sockets: int = 0, timers: int = 0, stuck: bool = False
) -> CoroutinePicture:
    """One living coroutine, on the scheduler's own thread."""
    stack_bytes, frames = scheduler.stack_of(coroutine)
    return _picture(
        scheduler,
        coroutine,
        where=top_site(scheduler.frame_of(coroutine)) or coroutine.spawned_at,
        stack_bytes=stack_bytes,
        frames=frames,
        sockets=sockets,
        timers=timers,
        stuck=stuck,
    )


def _light_picture(scheduler: Scheduler, coroutine: Coroutine) -> CoroutinePicture:
    return _picture(scheduler, coroutine, where=None, stack_bytes=0, frames=0)


def _picture(scheduler: Scheduler, coroutine: Coroutine, **measured: Any) -> CoroutinePicture:
    heap_bytes, _, heap_peak, allocated_total = _heap_of(coroutine)
    running = scheduler.running is coroutine
    now = time.perf_counter()
    running_for_s = now - scheduler.running_since if running else 0.0
    return CoroutinePicture(
        id=coroutine.id,
        name=coroutine.name,
        state=coroutine.state,
        parent_id=coroutine.parent_id,
        spawned_at=coroutine.spawned_at,
        waiting_on=coroutine.waiting_on,
        age_s=coroutine.age_s,
        busy_s=coroutine.busy_s + (now - scheduler.charged_at if running else 0.0),
        switches=coroutine.switches,
        running_for_s=running_for_s,
        heap_bytes=heap_bytes,
        heap_peak=heap_peak,
        allocated_total=allocated_total,
        defers=len(coroutine._defers or ()),
        limit=None if coroutine._limit is None else coroutine._limit.bytes,
        **_loss_of(scheduler, coroutine.id),
        **measured,
    )


def _loss_of(scheduler: Scheduler, coroutine: int) -> dict[str, Any]:
    loss = scheduler.losses.of(coroutine)
    if loss is None:
        return {}
    return {"dropped_bytes": loss.size, "dropped_ago_s": scheduler.clock.now() - loss.at_s}


def _dead_picture(scheduler: Scheduler, grave: Grave) -> CoroutinePicture:
    traced = memory.traces_heap()
    outcome = grave.outcome
    if grave.state == "done":
        outcome = "returned" if outcome == "NoneType" else f"returned a {outcome}"
    elif grave.state == "cancelled":
        outcome = "cancelled"
    return CoroutinePicture(
        id=grave.id,
        name=grave.name,
        state=grave.state,
        parent_id=grave.parent_id,
        spawned_at=str(grave.site),
        waiting_on=None,
        where=None,
        age_s=grave.age_s,
        busy_s=grave.busy_s,
        switches=grave.switches,
        running_for_s=0.0,
        heap_bytes=grave.heap_bytes if traced else None,
        heap_peak=grave.heap_peak if traced else None,
        allocated_total=grave.allocated_total if traced else None,
        stack_bytes=0,
        frames=0,
        **_loss_of(scheduler, grave.id),
        outcome=str(outcome),
        ended_ago_s=scheduler.clock.now() - grave.ended_at,
    )


def _assemble(
    scheduler: Scheduler,
    pictures: tuple[CoroutinePicture, ...],
    dead: tuple[CoroutinePicture, ...],
    sockets: tuple[SocketPicture, ...],
    channels: tuple[ChannelPicture, ...],
    *,
    responsive: bool,
    lag_s: float,
) -> Snapshot:
    live, held = len(scheduler.living), memory.held()
    hog = next((picture for picture in pictures if picture.running_for_s >= HOG_S), None)
    if hog is None and not responsive:
        hog = _hog_among(scheduler)
    ready = scheduler.ready_count
    return Snapshot(
        taken_at=scheduler.clock.now(),
        responsive=responsive,
        level=memory.level(),
        coroutines=pictures,
        dead=dead,
        sockets=sockets,
        channels=channels,
        live=live,
        spawned=scheduler.spawned,
        peak=scheduler.peak,
        failed=scheduler.failures,
        ready=ready,
        waiting=max(0, live - ready - (scheduler.running is not None)),
        timers=len(scheduler.timers),
        threads=scheduler.threads_pending,
        switches=scheduler.switches,
        lag_s=lag_s,
        hog=hog,
        hog_stack=stack_of_thread(scheduler.thread_id) if hog is not None and not responsive else (),
        heap_bytes=None if held is None else held.living,
        dead_bytes=None if held is None else held.dead,
        outside_bytes=None if held is None else sum(held.outside),
        traced_bytes=None if held is None else held.total,
        stack_bytes=sum(picture.stack_bytes for picture in pictures),
        cost=memory.cost(),
        exact=memory.exact,
    )


def _hog_among(scheduler: Scheduler) -> CoroutinePicture | None:
    running = scheduler.running
    if running is None or time.perf_counter() - scheduler.running_since < HOG_S:
        return None
    return _light_picture(scheduler, running)


def steady_list(living: dict[int, Coroutine]) -> list[Coroutine]:
    """The values of a dict that another thread may be changing."""
    while True:
        try:
            return list(living.values())
        except RuntimeError:
            continue


def _channels(coroutines: Iterable[Coroutine]) -> tuple[ChannelPicture, ...]:
    """Where these wait: a look at all would take a tenth of a second of a million."""
    from ._channel import Channel, Operation

    at: dict[Channel[Any], tuple[set[int], set[int]]] = {}  # who sends and who receives
    for coroutine in coroutines:
        subject = coroutine._subject
        if isinstance(subject, Channel):
            sends = coroutine._verb == "send to"
            at.setdefault(subject, (set(), set()))[not sends].add(coroutine.id)
        elif coroutine._verb == "select":
            for operation in _held(subject, Operation):
                at.setdefault(operation.channel, (set(), set()))[not operation.sends].add(coroutine.id)
    return tuple(
        ChannelPicture(
            channel.id,
            channel.capacity,
            len(channel),
            channel.closed,
            tuple(sorted(senders)),
            tuple(sorted(receivers)),
        )
        for channel, (senders, receivers) in sorted(at.items(), key=lambda item: item[0].id)
    )


def _held(holder: object, kind: type[T]) -> list[T]:
    """What `holder` holds of that kind in a list; it may be native, and show no fields."""
    lists = (held for held in gc.get_referents(holder) if isinstance(held, (list, tuple)))
    return [item for held in lists for item in held if isinstance(item, kind)]


def _stuck_ids(scheduler: Scheduler) -> frozenset[int]:
    from ._stuck import find_stuck

    return frozenset(co.id for co in find_stuck(scheduler))


def deadlock_report(pictures: Iterable[CoroutinePicture], total: int) -> str:
    """Who waits for what, and where; a line for each and one for the rest."""
    lines = [f"deadlock: {total} coroutine{'s' * (total != 1)} parked, and nothing can wake any of them"]
    shown = 0
    for picture in pictures:
        shown += 1
        lines.append(f"  co#{picture.id} {picture.name} waits on {picture.waiting_on} at {picture.where}")
    if total > shown:
        lines.append(f"  and {total - shown} more")
    return "\n".join(lines)
