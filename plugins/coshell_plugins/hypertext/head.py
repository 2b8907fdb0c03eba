"""The head of an answer. To check one takes longer than all else about it, and most are like the last.

So those of this second are kept: the date is a part of them, and in the next second they are others.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import h11

SERVER_NAME: Final = b"coshell"
MAX_KEPT: Final = 256

_REASONS: Final = {int(status): status.phrase for status in HTTPStatus}

_Pairs = tuple[tuple[bytes, bytes], ...]


class _Kept:
    """The heads of one second, by all that they consist of."""

    def __init__(self) -> None:
        self.second = 0
        self.heads: dict[tuple[int, _Pairs, int | None, bool], h11.Response] = {}


_kept: Final = _Kept()


def head_of(status: int, headers: _Pairs, length: int | None, *, ends: bool) -> h11.Response:
    """An answer's head.

    Args:
        status: its number.
        headers: what there is besides the date, the server, the length and the end.
        length: bytes of its body; None if that is not known, or there is none.
        ends: whether the connection ends with it.

    Raises:
        h11.LocalProtocolError: it could not be sent.
    """
    now = int(time.time())
    if now != _kept.second or len(_kept.heads) >= MAX_KEPT:
        _kept.second = now
        _kept.heads.clear()
    key = (status, headers, length, ends)
    found = _kept.heads.get(key)
    if found is None:
        found = _kept.heads[key] = _made(status, headers, length, ends=ends, now=now)
    return found


def _made(status: int, headers: _Pairs, length: int | None, *, ends: bool, now: int) -> h11.Response:
    pairs = [*headers, (b"date", formatdate(now, usegmt=True).encode("ascii")), (b"server", SERVER_NAME)]
    if length is not None:
        pairs.append((b"content-length", b"%d" % length))
    if ends:
        pairs.append((b"connection", b"close"))
    return h11.Response(status_code=status, headers=pairs, reason=reason_of(status).encode("ascii"))


def reason_of(status: int) -> str:
    """The usual word for a status; empty if there is none."""
    return _REASONS.get(status, "")
