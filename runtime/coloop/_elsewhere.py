"""Things that belong to one process, and what somebody gets who takes them to another.

A connection is shared by nobody: two processes that read from one would each get a part, and answers would
reach the wrong one. A coroutine or a channel means nothing where its scheduler does not run. A pickle
carries none of them: it carries who they were, and what comes out of it in another process raises
`WrongProcess` as soon as it is used, with the numbers of both and the advice to open it there. In the
process it comes from, the thing itself comes out.
"""

from __future__ import annotations

import itertools
import os
from typing import Any, Final, NoReturn
from weakref import WeakValueDictionary

from ._errors import WrongProcess

ADVICE: Final = "open it where it is used, in on_worker_start"

_numbers: Final = itertools.count(1)
_sent: Final[WeakValueDictionary[int, object]] = WeakValueDictionary()


class Here:
    """This process. Its number may be another one's later, so it has a secret too."""

    pid = os.getpid()
    token = os.urandom(8)

    @classmethod
    def renew(cls) -> int:
        """In a child; returns the number of the parent."""
        parent, cls.pid, cls.token = cls.pid, os.getpid(), os.urandom(8)
        return parent


# -- pickles -------------------------------------------------------------------------------------


def carried(thing: object, what: str, opened: str = "opened", advice: str = ADVICE) -> tuple[Any, ...]:
    """For `__reduce__`: what is put into a pickle in the place of `thing`.

    Args:
        thing: that belongs to this process.
        what: which one it is, in words.
        opened: what was done to it here: opened, started, made.
        advice: what to do instead.
    """
    number = next(_numbers)
    _sent[number] = thing
    return arrive, (Here.pid, Here.token, number, f"{what} was {opened}", advice)


def arrive(pid: int, token: bytes, number: int, what: str, advice: str) -> object:
    """What comes out of a pickle: the thing itself where it belongs, else its shadow."""
    if token == Here.token:
        thing = _sent.get(number)
        if thing is not None:
            return thing
    return Elsewhere(pid, token, number, what, advice)


class Elsewhere:
    """Stands for a thing of another process; every use of it raises `WrongProcess`."""

    __slots__ = ("__weakref__", "_carried")

    def __init__(self, *carried: Any) -> None:
        object.__setattr__(self, "_carried", carried)

    def __reduce__(self) -> tuple[Any, ...]:
        return arrive, object.__getattribute__(self, "_carried")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") and name.endswith("__"):  # asked for by copy, inspect and the like
            raise AttributeError(name)
        _refuse(self)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        _refuse(self)

    def _refused(self, *_: object) -> NoReturn:
        _refuse(self)

    __enter__ = __exit__ = __iter__ = __next__ = __len__ = __bool__ = __call__ = __contains__ = _refused
    __getitem__ = __setitem__ = __delattr__ = _refused

    def __repr__(self) -> str:
        pid, _, _, what, _ = object.__getattribute__(self, "_carried")
        return f"<{what} in process {pid}>"


def _refuse(shadow: Elsewhere) -> NoReturn:
    pid, token, _, what, advice = object.__getattribute__(shadow, "_carried")
    if token == Here.token:
        raise WrongProcess(f"{what} in this process, and is gone")
    raise wrong_process(what, pid, advice)


def wrong_process(what: str, pid: int, advice: str = ADVICE) -> WrongProcess:
    """What to raise in this process for a thing that belongs to `pid`."""
    return WrongProcess(f"{what} in process {pid} and is used in process {os.getpid()}: {advice}")
