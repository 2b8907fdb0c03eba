"""What workers tell is not believed unseen: whatever runs there may have written it.

A message is JSON, so a value in it has one of seven types, and to look at that is enough. A thousand pictures are
in a report, and two reports in a second: so it is `type` that is asked, in sets that are made once.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from types import NoneType
from typing import Any, Final, TypeVar, cast, get_args, get_type_hints

from coloop import CoroutinePicture, SocketPicture, TlsPicture
from coshell_plugins.worker.channel import Message
from coshell_plugins.worker.lookout import COROUTINE_FIELDS, SOCKET_FIELDS

MAX_NUMBER: Final = 2**63
MAX_SHOWN: Final = 80
TLS_FIELDS: Final = tuple(get_type_hints(TlsPicture))

T = TypeVar("T")


class Nonsense(Exception):
    """What is wrong with it."""


def coroutine_in(values: object) -> CoroutinePicture:
    """The picture of a coroutine, from its values in the order of `COROUTINE_FIELDS`; Nonsense if it is none."""
    return _made(CoroutinePicture, COROUTINE_FIELDS, values)


def socket_in(values: object) -> SocketPicture:
    """The picture of a socket, from its values in the order of `SOCKET_FIELDS`; Nonsense if it is none."""
    return _made(SocketPicture, SOCKET_FIELDS, values)


def socket_with_tls_in(values: object) -> SocketPicture:
    """Likewise, followed by what was agreed on by TLS, or None."""
    *plain, agreed = list_in(values, len(SOCKET_FIELDS) + 1)
    if agreed is None:
        return socket_in(plain)
    if not isinstance(agreed, dict) or set(agreed) != set(TLS_FIELDS):
        raise Nonsense(f"{_shown(agreed)} tells of no TLS")
    tls = _made(TlsPicture, TLS_FIELDS, [agreed[name] for name in TLS_FIELDS])
    return _made(SocketPicture, SOCKET_FIELDS, plain, tls=tls)


def count_in(message: Message, key: str) -> int | None:
    """A number of a message, if it is there; Nonsense if it is another thing."""
    value = message.get(key)
    return None if value is None else value_in(value, int)


def answers_in(message: Message) -> Counter[int] | None:
    """How many answers there were of each hundred, if that is told; Nonsense if it is another thing."""
    given = message.get("answers")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise Nonsense(f"{_shown(given)} is no counts")
    return Counter({hundred: count_in(given, str(hundred)) or 0 for hundred in range(1, 6)})


def list_in(value: object, length: int | None = None) -> list[Any]:
    """A list, of so many if that is said; Nonsense if it is none."""
    if not isinstance(value, list) or length not in {None, len(value)}:
        raise Nonsense(f"{_shown(value)} is no list{'' if length is None else f' of {length}'}")
    return value


def value_in(value: Any, kind: Any) -> Any:
    """A value of this type, which may be a union; Nonsense if it is another one."""
    return _checked(value, _types_of(kind))


def _made(kind: type[T], names: tuple[str, ...], values: object, **more: object) -> T:
    given = zip(names, list_in(values, len(names)), _types(cast("Any", kind), names), strict=True)
    return kind(**{name: _checked(value, allowed) for name, value, allowed in given}, **more)


def _checked(value: Any, allowed: frozenset[type]) -> Any:
    if type(value) not in allowed or (type(value) is int and not -MAX_NUMBER < value < MAX_NUMBER):
        raise Nonsense(f"{_shown(value)} is no {' or '.join(sorted(one.__name__ for one in allowed))}")
    return value


@cache
def _types(kind: type, names: tuple[str, ...]) -> tuple[frozenset[type], ...]:
    hints = get_type_hints(kind)
    return tuple(_types_of(hints[name]) for name in names)


@cache
def _types_of(hint: Any) -> frozenset[type]:
    """JSON writes a whole number as such, also where it may have a fraction."""
    types = frozenset(get_args(hint) or (NoneType if hint is None else hint,))
    return types | {int} if float in types else types


def _shown(value: object) -> str:
    return repr(str(value)[:MAX_SHOWN])
