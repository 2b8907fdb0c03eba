"""Where a socket is to be found: the forms in which people write it down, and what they mean.

    ("localhost", 9501)   "localhost:9501"   ":9501"   "[::1]:9501"   "unix:/run/echo.sock"
    "udp:localhost:9501"   "udp::9501"   "unixgram:/run/log.sock"   "unix:@name"

What kind of socket it is stands in front, as with `unix:`, and not in an argument beside it: so an
address that was printed can be typed again, at a prompt, in a file or as somebody's peer. Where only
datagrams make sense (`bind`, `sendto`) a bare host and port mean UDP, elsewhere TCP. A name behind
`@` is abstract: Linux keeps it without a file.

No host means the loopback, both for who connects and for who listens: a laboratory must not be
open to the neighbours because somebody left a word out. Whatever the resolver or the kernel would
refuse with an overflow, a codec error or a silent cut is refused here, by the argument's name.

A numeric host is translated on the spot. A name may take a name server seconds, so it is asked
for on a thread.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from ._threads import to_thread

LOOPBACK: Final = "127.0.0.1"
MAX_LABEL_CHARACTERS: Final = 63  # of a host name, between two dots
MAX_HOST_CHARACTERS: Final = 253
MAX_UNIX_PATH_BYTES: Final = 107  # 108 in `struct sockaddr_un`, with the NUL at its end
ABSTRACT: Final = "@"  # stands for the NUL with which the kernel's form of an abstract name begins

_FORMS: Final = "host:port, :port, [::1]:port or unix:/path, for datagrams udp:host:port or unixgram:/path"

AddressLike: TypeAlias = "str | tuple[str, int] | Address"
Target: TypeAlias = tuple[int, Any]  # address family and what the kernel takes there


@dataclass(frozen=True, slots=True)
class Address:
    """One end of a connection; `str()` gives the form that can be typed again.

    Attributes:
        host: a name or a numeric address; "" for a unix socket.
        port: 0 to 65535; 0 for a unix socket.
        path: of a unix socket, `@name` if it is abstract, "" if it has no name; None otherwise.
        datagram: whether it is reached with datagrams (UDP, unix datagrams) and not by a connection.
    """

    host: str = ""
    port: int = 0
    path: str | None = None
    datagram: bool = False

    @property
    def kind(self) -> str:
        """`tcp`, `udp`, `unix` or `unixgram`."""
        return kind_of(unix=self.path is not None, datagram=self.datagram)

    @property
    def file(self) -> str | None:
        """Where a unix socket has its file; None if it has none."""
        return self.path if self.path and not self.path.startswith(ABSTRACT) else None

    def __str__(self) -> str:
        if self.path is not None:
            return f"{self.kind}:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"udp:{host}:{self.port}" if self.datagram else f"{host}:{self.port}"


def kind_of(*, unix: bool, datagram: bool) -> str:
    """`tcp`, `udp`, `unix` or `unixgram`."""
    return ("unixgram" if datagram else "unix") if unix else ("udp" if datagram else "tcp")


def parse_address(given: AddressLike) -> Address:
    """Understand an address in any of its forms, without looking up names.

    Args:
        given: `(host, port)`, `"host:port"`, `":port"`, `"[::1]:port"`, `"unix:/path"` or `"unix:@name"`;
            for datagrams `"udp:host:port"` ..., `"unixgram:/path"`, `"unixgram:@name"`; or an `Address`.

    Raises:
        ValueError: what is wrong with which part of it.
        TypeError: it is nothing of this kind.
    """
    if isinstance(given, Address):
        return given
    if isinstance(given, tuple) and len(given) == 2:
        return Address(_check_host(given[0]), _check_port(given[1]))
    if not isinstance(given, str):
        raise TypeError(f"an address is a string or a pair (host, port), not {given!r}")
    for scheme in ("unix:", "unixgram:"):
        if given.startswith(scheme):
            path = _check_path(given.removeprefix(scheme), scheme)
            return Address(path=path, datagram=scheme == "unixgram:")
    if given.startswith("udp:"):
        return replace(_parse_host_and_port(given.removeprefix("udp:"), given), datagram=True)
    return _parse_host_and_port(given, given)


def _parse_host_and_port(text: str, given: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"address {given!r} has no port: write {_FORMS}")
    return Address(_check_host(_without_brackets(host, given)), _check_port(port))


def parse_datagram_address(given: AddressLike) -> Address:
    """As `parse_address`, where only datagrams make sense: `host:port` means UDP.

    Raises:
        ValueError: it is the address of a stream, or what is wrong with it.
        TypeError: it is nothing of this kind.
    """
    place = parse_address(given)
    if place.datagram:
        return place
    if place.path is not None:
        raise ValueError(f"{place} is the address of a stream: for datagrams write unixgram:{place.path}")
    return replace(place, datagram=True)


def address_of(raw: Any, *, datagram: bool = False) -> Address:
    """What the kernel calls one end of a socket, as an `Address`; None is for an end without a name."""
    if isinstance(raw, tuple):
        zone = f"%{raw[3]}" if len(raw) == 4 and raw[3] else ""  # of a link-local address
        return Address(raw[0] + zone, raw[1], datagram=datagram)
    if isinstance(raw, bytes):
        name = os.fsdecode(raw)
        return Address(path=ABSTRACT + name[1:] if name.startswith("\0") else name, datagram=datagram)
    path = raw or ""
    return Address(path=f"./{path}" if path.startswith(ABSTRACT) else path, datagram=datagram)


def resolve(address: Address) -> list[Target]:
    """All that the kernel may be given for `address`, best first; parks while a name is looked up.

    Raises:
        socket.gaierror: there is no such host.
    """
    if address.path is not None:
        return [(socket.AF_UNIX, _kernel_name(address.path))]
    host = _encoded(address.host)
    try:
        found = _look_up(host, address.port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        try:
            found = to_thread(_look_up, host, address.port, 0)
        except socket.gaierror as error:
            raise _no_such_host(address.host, error) from None
    return [(family, raw) for family, _, _, _, raw in found]


def _kernel_name(path: str) -> str | bytes:
    return b"\0" + os.fsencode(path[1:]) if path.startswith(ABSTRACT) else path


def _look_up(host: bytes, port: int, flags: int) -> list[tuple[Any, ...]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)


def _no_such_host(host: str, error: socket.gaierror) -> socket.gaierror:
    plain = error.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
    reason = "" if plain or not error.strerror else f" ({error.strerror.lower()})"
    told = socket.gaierror(f"no such host: {host!r}{reason}")
    told.errno = error.errno
    return told


def _without_brackets(host: str, given: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    if ":" in host:
        raise ValueError(f"address {given!r} has too many colons: write an IPv6 address as [::1]:port")
    return host


def _check_host(host: object) -> str:
    if not isinstance(host, str):
        raise TypeError(f"host must be a string, not {host!r}")
    if "\0" in host:
        raise ValueError(f"host {host!r} has a NUL in it")
    if len(host) > MAX_HOST_CHARACTERS:
        raise ValueError(
            f"host has {len(host)} characters, more than {MAX_HOST_CHARACTERS}: {host[:20]!r}..."
        )
    labels = host.removesuffix(".").split(".") if host else []
    for label in labels:
        if not label:
            raise ValueError(f"host {host!r} has an empty part")
        if len(label) > MAX_LABEL_CHARACTERS:
            raise ValueError(
                f"host has a part of {len(label)} characters, more than {MAX_LABEL_CHARACTERS}: {label[:20]!r}..."
            )
    _encoded(host)
    return host or LOOPBACK


def _encoded(host: str) -> bytes:
    """As bytes: the library would load its codec for international names for plain ones too."""
    if host.isascii():
        return host.encode("ascii")
    try:
        return host.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"host {host!r} is no host name: {error}") from None


def _check_port(port: object) -> int:
    if isinstance(port, str):
        if not (port.isascii() and port.removeprefix("-").isdigit() and len(port) < 20):
            raise ValueError(f"port must be a number, not {port!r}")
        port = int(port)
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port must be a number, not {port!r}")
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be 0 to 65535, not {port}")
    return port


def _check_path(path: str, scheme: str) -> str:
    if not path:
        raise ValueError(f"unix path is empty: write {scheme}/path")
    if path == ABSTRACT:
        raise ValueError(f"unix name is empty: write {scheme}@name")
    if path.startswith(ABSTRACT) and sys.platform != "linux":
        raise ValueError(f"only Linux has abstract names: write {scheme}./{path} for a file of that name")
    if "\0" in path:
        raise ValueError(f"unix path {path!r} has a NUL in it")
    size_bytes = len(path.encode("utf-8", "surrogateescape"))
    if size_bytes > MAX_UNIX_PATH_BYTES:
        raise ValueError(f"unix path has {size_bytes} bytes, more than {MAX_UNIX_PATH_BYTES}: {path!r}")
    return path
