"""A worker that computes and answers nobody can still be looked into: a thread of its own waits for questions.

The channel is read by a coroutine, so a handler that lets nobody run makes the worker deaf to orders. Questions come
on a second connection, to a thread which does nothing else. Where one of the coroutines stands it has the scheduler
tell, if that comes to it; if not, it tells who holds the scheduler and where that one computes, which can be read
from beside. Only code in C that keeps the interpreter to itself keeps this thread from answering too.

Each answer is bounded, as long as the names in it may be: who asks has no use for more.
"""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeVar

import coloop
from coloop import Coroutine, CoroutinePicture, Scheduler, Snapshot, SocketPicture

from .channel import ChannelError, Message, packed, receive_blocking

MAX_ANSWER: Final = 256 * 1024
MAX_ANCESTORS: Final = 20
MAX_CHILDREN: Final = 1000
MAX_SOCKETS: Final = 20
MAX_TEXT: Final = 200
PATIENCE_S: Final = 0.25  # for the scheduler, while a coroutine holds it
MOST_S: Final = 0.75  # for the scheduler, whatever it does: who asks waits for a second

COROUTINE_FIELDS: Final = tuple(entry.name for entry in fields(CoroutinePicture))
SOCKET_FIELDS: Final = tuple(entry.name for entry in fields(SocketPicture) if entry.name != "tls")
_UNSEEN: Final = {"where": None, "running_for_s": 0.0, "stuck": False, "ended_ago_s": None}
_NO_ACCOUNT: Final = {
    **dict.fromkeys(("heap_bytes", "heap_peak", "allocated_total", "limit", "dropped_ago_s")),
    **dict.fromkeys(("stack_bytes", "frames", "sockets", "timers", "defers", "dropped_bytes"), 0),
}

T = TypeVar("T")
Graves = dict[int, CoroutinePicture]


class Lookout:
    """Answers questions about the coroutines of a worker; made in one of them.

    Args:
        raw: where they come; belongs to it from now on.
        own: the numbers of coroutines that are the worker's own, and are not ended.
    """

    def __init__(self, raw: socket.socket, own: Collection[int]) -> None:
        self._raw = raw
        self._own = own
        self._scheduler: Scheduler = coloop.current_scheduler()

    def start(self) -> None:
        """From now on."""
        threading.Thread(target=self._run, name="coshell lookout", daemon=True).start()

    def _run(self) -> None:
        coloop.memory.own_thread()
        with self._raw, suppress(OSError, ChannelError):
            while (question := receive_blocking(self._raw)) is not None:
                self._raw.sendall(self._reply(question))

    def _reply(self, question: Message) -> bytes:
        number = {"number": question.get("number")}
        try:
            return packed({**number, **self.answer(question)}, MAX_ANSWER)
        except Exception as error:
            return packed({**number, "error": _cut(f"{type(error).__name__}: {error}")}, MAX_ANSWER)

    def answer(self, question: Message) -> Message:
        """What is told to whoever asks; `error` if it is none, `unknown` if there is no such coroutine."""
        match question:
            case {"ask": "look", "id": int(number)}:
                return self._look(number)
            case {"ask": "cancel", "id": int(number)}:
                return self._end(number, self._cancel)
            case {"ask": "kill", "id": int(number), "grace_s": int() | float() as grace_s}:
                return self._end(number, lambda one: self._scheduler.kill(one, grace_s))
            case {"ask": "level", "level": str(level)}:
                coloop.memory.set_level(level)
                return {"level": level}
            case _:
                return {"error": f"unknown question: {_cut(str(question))}"}

    # -- looking ------------------------------------------------------------------------------------

    def _look(self, number: int) -> Message:
        around = self._scheduler.snapshot(0, sockets=0)
        graves = {picture.id: picture for picture in around.dead}
        coroutine = self._scheduler.coroutine(number)
        if coroutine is None:
            return self._grave(number, graves)
        near = self._asked(lambda: self._near(coroutine, graves)) if around.responsive else None
        if near is not None:
            return near
        return self._far(coroutine, around, graves)

    def _far(self, coroutine: Coroutine, around: Snapshot, graves: Graves) -> Message:
        """What can be seen past a scheduler that does not come to it."""
        hog = around.hog
        computes = hog is not None and hog.id == coroutine.id
        seen = {one.id: one for one in self._scheduler.snapshot(dead=False, sockets=0).coroutines}
        known = picture_values(seen[coroutine.id]) if coroutine.id in seen else _sketched(coroutine)
        ancestors, dead = self._ancestors(coroutine.parent_id, graves)
        return {
            "picture": known,
            "stack": [[_cut(line), ""] for line in around.hog_stack] if computes else None,
            "coroutines": [known, *ancestors],
            "dead": dead,
            "responsive": False,
            "hog": None if hog is None else picture_values(hog),
        }

    def _grave(self, number: int, graves: Graves) -> Message:
        picture = graves.get(number)
        if picture is None:
            lived = 0 < number <= self._scheduler.spawned
            return {"unknown": "it ended long ago" if lived else "there has been none"}
        ancestors, dead = self._ancestors(picture.parent_id, graves)
        return {"picture": picture_values(picture), "coroutines": ancestors, "dead": dead, "responsive": True}

    def _near(self, coroutine: Coroutine, graves: Graves) -> Message:
        """On the scheduler's thread."""
        if coroutine.ended:
            return {"unknown": "it has just ended"}
        me, living = coroutine.id, self._scheduler.living
        known = _sketched(coroutine, coroutine.account)
        ancestors, dead = self._ancestors(coroutine.parent_id, graves)
        children = [one.id for one in living.values() if one.parent_id == me]
        ends = [held for held in self._scheduler.sockets.values() if held.owner == me]
        return {
            "picture": known,
            "stack": _places(coroutine.stack()),
            "coroutines": [known, *ancestors],
            "dead": dead,
            "children": children[:MAX_CHILDREN],
            "sockets": [socket_values(held.info()) for held in ends[:MAX_SOCKETS]],
            "responsive": True,
        }

    def _ancestors(self, parent_id: int | None, graves: Graves) -> tuple[list[list[Any]], list[list[Any]]]:
        """Those who started it, who started that one, and so on: the living, and the dead."""
        living, dead = [], []
        for _ in range(MAX_ANCESTORS):
            parent = None if parent_id is None else self._scheduler.coroutine(parent_id)
            if parent is not None:
                living.append(_sketched(parent))
                parent_id = parent.parent_id
            elif parent_id in graves:
                dead.append(picture_values(graves[parent_id]))
                parent_id = graves[parent_id].parent_id
            else:
                break
        return living, dead

    # -- ending -------------------------------------------------------------------------------------

    def _end(self, number: int, end: Callable[[Coroutine], str | None]) -> Message:
        coroutine = self._scheduler.coroutine(number)
        if coroutine is None:
            graves = {picture.id: picture for picture in self._scheduler.snapshot(0, sockets=0).dead}
            dead = graves.get(number)
            return {"name": _cut(dead.name), "how": "had ended"} if dead else self._grave(number, {})
        if number in self._own:
            return {"error": "it is the worker's own: server scale, reload and stop end workers"}
        how = end(coroutine)
        return self._who_holds() if how is None else {"name": _cut(coroutine.name), "how": how}

    def _cancel(self, coroutine: Coroutine) -> str | None:
        was_alive = self._asked(coroutine.cancel)
        if was_alive:
            self._asked(lambda: True)  # a turn later
            return "ended" if coroutine.ended else "cleaning up"
        return None if was_alive is None else "had ended"

    def _who_holds(self) -> Message:
        hog = self._scheduler.snapshot(0, sockets=0).hog
        return {"error": "its scheduler is busy"} if hog is None else {"hog": hog.id, "name": _cut(hog.name)}

    # -- the scheduler ------------------------------------------------------------------------------

    def _asked(self, question: Callable[[], T]) -> T | None:
        """What a function gives on the scheduler's thread, which must not park; None if it does not come to it.

        It is not called any more then.
        """
        answers: list[T] = []
        turn = threading.Lock()
        done = threading.Event()

        def answer() -> None:
            if turn.acquire(blocking=False):
                try:
                    answers.append(question())
                finally:
                    done.set()

        scheduler = self._scheduler
        scheduler.call_soon_threadsafe(answer)
        asked_at = monotonic()
        while not done.wait(PATIENCE_S):
            is_held = scheduler.running is not None or monotonic() - asked_at > MOST_S
            if is_held and turn.acquire(blocking=False):
                return None
        return answers[0] if answers else None


def picture_values(picture: CoroutinePicture) -> list[Any]:
    """A picture as it is sent."""
    return [_cut(getattr(picture, name)) for name in COROUTINE_FIELDS]


def socket_values(picture: SocketPicture) -> list[Any]:
    """Likewise, without what was agreed on by TLS."""
    return [_cut(getattr(picture, name)) for name in SOCKET_FIELDS]


def _sketched(coroutine: Coroutine, account: object = None) -> list[Any]:
    """What a handle tells, and its account if that can be read, as a picture is sent."""
    costs = _NO_ACCOUNT if account is None else {name: getattr(account, name) for name in _NO_ACCOUNT}
    known = {**_UNSEEN, **costs}
    return [_cut(known[name] if name in known else getattr(coroutine, name)) for name in COROUTINE_FIELDS]


def _places(stack: Iterable[traceback.FrameSummary]) -> list[list[str]]:
    return [
        [
            _cut(f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"),
            _cut((frame.line or "").strip()),
        ]
        for frame in stack
    ]


def _cut(value: Any) -> Any:
    return f"{value[:MAX_TEXT]}..." if isinstance(value, str) and len(value) > MAX_TEXT else value
