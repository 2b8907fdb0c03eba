"""What a word of a network command means: an address, a server, a connection, bytes to be sent.

What has a name of the user's is found by that, what the shell has opened by ours (`echo#1`), and whatever
is open by the number that `conns` shows for it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import coloop
from coloop import Socket
from coshell.command import CommandError
from coshell.processes import Number
from coshell.reach import is_for_datagrams
from coshell.text import nearest

if TYPE_CHECKING:
    from coshell.certificate import Trust
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


def open_connection(
    shell: Shell, address: Any, timeout_s: float | None, trust: Trust | None = None
) -> tuple[Socket, float]:
    """Connect to what is meant, and tell how many seconds it took.

    Args:
        shell: where.
        address: as it was typed, or put in.
        timeout_s: None for as long as `coloop.connect` waits.
        trust: for TLS, whom to believe; None for no TLS.

    Raises:
        CommandError: it cannot be reached, or not be trusted.
    """
    target = target_of(shell, address)
    if trust is not None:
        _check_for_tls(target, trust)
    now = shell.scheduler.clock.now
    began_s = now()
    with in_one_line():
        if trust is None:
            socket = coloop.connect(target, timeout=timeout_s)
        else:
            socket = _connect_over_tls(target, timeout_s, trust)
    return socket, now() - began_s


def _check_for_tls(target: Any, trust: Trust) -> None:
    place = str(target)
    if is_for_datagrams(place):
        raise CommandError("--tls is for connections, and datagrams have none")
    if place.startswith("unix:") and not (trust.insecure or trust.servername):
        raise CommandError(f"{place} is no host that a certificate could be for: give --servername NAME, too")


def _connect_over_tls(target: Any, timeout_s: float | None, trust: Trust) -> Socket:
    context = trust.context()
    try:
        return coloop.connect(target, timeout=timeout_s, tls=context, server_hostname=trust.servername)
    except ssl.SSLCertVerificationError as error:
        raise CommandError(trust.advice(error)) from None


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
    is_ours = isinstance(ref, int) and not isinstance(ref, Number)
    number = int(found[1]) if found else ref if is_ours else None
    return None if number is None else shell.scheduler.sockets.get(number)


def name_of(shell: Shell, value: Any) -> str:
    """What the user calls it, else what we do."""
    bound = next((name for name in shell.bound if shell.names.get(name) is value), None)
    return bound or shell.things.name_of(value) or str(value)
