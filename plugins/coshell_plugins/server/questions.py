"""The master's end of where a worker is asked: a question has a number, and its answer the same.

So several may be asked at once, and an answer that comes when nobody waits any more is dropped. A worker answers
from a thread that does nothing else; one that does not is in C code which keeps the interpreter to itself, or stopped.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

import coloop
from coloop import Coroutine, Event
from coshell_plugins.worker.channel import Channel, ChannelError, Message
from coshell_plugins.worker.lookout import MAX_ANSWER


class NoAnswer(Exception):
    """Why there is none."""


class HasEnded(NoAnswer):
    """There is nobody to answer any more."""


@dataclass
class _Question:
    come: Event = field(default_factory=Event)
    answer: Message | None = None


class Questions:
    """One worker's. Made in a coroutine.

    Args:
        raw: leads to the worker; belongs to this from now on.
        name: of the coroutine that receives answers, when somebody has asked for the first time.
    """

    def __init__(self, raw: socket.socket, name: str) -> None:
        self._channel = Channel(raw, MAX_ANSWER)
        self._name = name
        self._asked = 0
        self._open: dict[int, _Question] = {}
        self._receiver: Coroutine | None = None
        self._end: str | None = None

    @property
    def id(self) -> int:
        """The number of its socket."""
        return self._channel.id

    def ask(self, question: Message, patience_s: float) -> Message:
        """The answer; parks until it has come.

        Raises:
            NoAnswer: it does not come in time.
            HasEnded: it never will.
        """
        if self._receiver is None:
            self._receiver = coloop.go(self._receive, name=self._name)
        if self._end is not None:
            raise HasEnded(self._end)
        self._asked += 1
        number, asked = self._asked, _Question()
        self._open[number] = asked
        try:
            self._channel.post({**question, "number": number})
            if not asked.come.wait(timeout=patience_s):
                raise NoAnswer(f"does not answer within {patience_s:g} s: it is stopped, or computes in C")
        except ChannelError as error:
            raise NoAnswer(f"cannot be asked: {error}") from None
        finally:
            del self._open[number]
        if asked.answer is None:
            raise HasEnded(str(self._end))
        return asked.answer

    def _receive(self) -> None:
        end = "is not listened to any more"
        try:
            while (answer := self._channel.receive()) is not None:
                self._take(answer)
            end = "has ended"
        except ChannelError as error:
            end = f"answers nonsense: {error}"
        finally:
            self._end = end
            for asked in self._open.values():
                asked.come.set()

    def _take(self, answer: Message) -> None:
        number = answer.get("number")
        asked = self._open.get(number) if isinstance(number, int) else None
        if asked is not None:
            asked.answer = answer
            asked.come.set()

    def close(self) -> None:
        """It has ended."""
        self._channel.close()
