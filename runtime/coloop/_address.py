"""Where a socket is to be found: the forms in which people write it down, and what they mean.

    ("localhost", 9501)   "localhost:9501"   ":9501"   "[::1]:9501"   "unix:/run/echo.sock"

No host means the loopback, both for who connects and for who listens: a laboratory must not be
open to the neighbours because somebody left a word out. Whatever the resolver or the kernel would
refuse with an overflow, a codec error or a silent cut is refused here, by the argument's name.

A numeric host is translated on the spot. A name may take a name server seconds, so it is asked
for on a thread.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ._threads import to_thread

LOOPBACK: Final = "127.0.0.1"
MAX_LABEL_CHARACTERS: Final = 63  # of a host name, between two dots
MAX_HOST_CHARACTERS: Final = 253
MAX_UNIX_PATH_BYTES: Final = 107  # 108 in `struct sockaddr_un`, with the NUL at its end

AddressLike: TypeAlias = "str | tuple[str, int] | Address"
Target: TypeAlias = tuple[int, Any]  # address family and what the kernel takes there


@dataclass(frozen=True, slots=True)
class Address:
    """One end of a connection; `str()` gives the form that can be typed again.

    Attributes:
        host: a name or a numeric address; "" for a unix socket.
        port: 0 to 65535; 0 for a unix socket.
        path: of a unix socket, "" if it has no name; None otherwise.
    """

    host: str = ""
    port: int = 0
    path: str | None = None

    @property
    def kind(self) -> str:
        """`tcp` or `unix`."""
        return "tcp" if self.path is None else "unix"

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(given: AddressLike) -> Address:
    """Understand an address in any of its forms, without looking up names.

    Args:
        given: `(host, port)`, `"host:port"`, `":port"`, `"[::1]:port"`, `"unix:/path"` or an `Address`.

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
    if given.startswith("unix:"):
        return Address(path=_check_path(given.removeprefix("unix:")))
    host, colon, port = given.rpartition(":")
    if not colon:
        raise ValueError(f"address {given!r} has no port: write host:port, :port, [::1]:port or unix:/path")
    return Address(_check_host(_without_brackets(host, given)), _check_port(port))


def address_of(raw: Any) -> Address:
    """What the kernel calls one end of a socket, as an `Address`."""
    if isinstance(raw, tuple):
        return Address(raw[0], raw[1])
    return Address(path=raw if isinstance(raw, str) else raw.decode("utf-8", "backslashreplace"))


def resolve(address: Address) -> list[Target]:
    """All that the kernel may be given for `address`, best first; parks while a name is looked up.

    Raises:
        socket.gaierror: there is no such host.
    """
    if address.path is not None:
        return [(socket.AF_UNIX, address.path)]
    host = _encoded(address.host)
    try:
        found = _look_up(host, address.port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        try:
            found = to_thread(_look_up, host, address.port, 0)
        except socket.gaierror as error:
            raise _no_such_host(address.host, error) from None
    return [(family, raw) for family, _, _, _, raw in found]


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


def _check_path(path: str) -> str:
    if not path:
        raise ValueError("unix path is empty: write unix:/path")
    if "\0" in path:
        raise ValueError(f"unix path {path!r} has a NUL in it")
    size_bytes = len(path.encode("utf-8", "surrogateescape"))
    if size_bytes > MAX_UNIX_PATH_BYTES:
        raise ValueError(f"unix path has {size_bytes} bytes, more than {MAX_UNIX_PATH_BYTES}: {path!r}")
    return path
