"""What a word of a network command means: an address, a server, a connection, bytes to be sent.

What has a name of the user's is found by that, what the shell has opened by ours (`echo#1`), and whatever
is open by the number that `conns` shows for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import coloop
from coloop import Socket
from coshell.command import CommandError
from coshell.text import nearest

if TYPE_CHECKING:
    from coshell.shell import Shell

_NUMBER: Final = re.compile(r"(?:socket#|listener#)?(\d+)")


@contextmanager
def in_one_line() -> Iterator[None]:
    """What the network refuses is no bug of anybody's: one line, and no traceback."""
    try:
        yield
    except (OSError, ValueError, TypeError, coloop.CoroutineError) as error:
        raise CommandError(str(error)) from None


def as_bytes(data: Any) -> bytes:
    """Bytes as they are; text in UTF-8.

    Raises:
        CommandError: it is neither.
    """
    if isinstance(data, str):
        return data.encode("utf-8", "surrogateescape")
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise CommandError(f"text or bytes can be sent, not {type(data).__name__}")


def open_connection(shell: Shell, address: Any, timeout_s: float | None) -> tuple[Socket, float]:
    """Connect to what is meant, and tell how many seconds it took.

    Raises:
        CommandError: it cannot be reached.
    """
    target = target_of(shell, address)
    now = shell.scheduler.clock.now
    began_s = now()
    with in_one_line():
        socket = coloop.connect(target, timeout=timeout_s)
    return socket, now() - began_s


def target_of(shell: Shell, ref: Any) -> Any:
    """The address that is meant: of a server, or as it was written."""
    target = shell.resolve_address(ref)
    if not isinstance(target, str) or ":" in target:
        return target
    servers = [name for name in (*shell.bound, *shell.things) if shell.resolve_address(name) is not name]
    hint = nearest(target, servers)
    meant = f", did you mean {hint!r}?" if hint else "; an address is host:port, :port or unix:/path"
    raise CommandError(f"no server {target!r}{meant}")


def socket_of(shell: Shell, ref: Any) -> Socket:
    """The connection that is meant."""
    found = _numbered(shell, ref)
    if found is None:
        found = shell.find_socket(ref)
    if not isinstance(found, Socket):
        raise CommandError(f"{ref!r} is no connection but a {type(found).__name__.lower()}")
    return found


def endpoint_of(shell: Shell, ref: Any) -> Any:
    """A socket, a listener or a server."""
    found = _numbered(shell, ref)
    if found is not None:
        return found
    try:
        return shell.find_server(ref)
    except CommandError:
        return shell.find_socket(ref)


def _numbered(shell: Shell, ref: Any) -> Any:
    """What `conns` lists under that number."""
    found = _NUMBER.fullmatch(ref) if isinstance(ref, str) else None
    number = int(found[1]) if found else ref if isinstance(ref, int) else None
    return None if number is None else shell.scheduler.sockets.get(number)


def name_of(shell: Shell, value: Any) -> str:
    """What the user calls it, else what we do."""
    bound = next((name for name in shell.bound if shell.names.get(name) is value), None)
    return bound or shell.things.name_of(value) or str(value)
