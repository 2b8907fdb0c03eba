"""Where a request goes: a URL taken apart, and only what can be asked for over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from .errors import HttpError

_PORTS: Final = {"http": 80, "https": 443}
_AS_THEY_ARE: Final = "%/?:@!$&'()*+,;=-._~[]|"  # in a target; all else that is no letter or digit is quoted


@dataclass(frozen=True, slots=True)
class Url:
    """One that can be asked for.

    Attributes:
        scheme: `http` or `https`.
        host: a name or a number, without brackets.
        port: its own or the scheme's.
        target: path and query, as they are sent.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Whom a secret that was meant for this URL may be told."""
        return self.scheme, self.host, self.port

    def joined(self, location: str) -> Url:
        """Where a redirect of this one leads."""
        return parse_url(urljoin(str(self), location))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> Url:
    """Take a URL apart; `:8080/x` and `host/x` are http, the first on this machine.

    Raises:
        HttpError: it cannot be asked for; the message says why.
    """
    given = text.strip()
    if not given or not given.isprintable() or " " in given:
        raise HttpError(f"{text!r} is no URL")
    if "://" not in given:
        given = f"http://{'127.0.0.1' if given.startswith(':') else ''}{given}"
    try:
        parts = urlsplit(given)
        host, port = parts.hostname, parts.port
        name = host if host is None or host.isascii() else host.encode("idna").decode("ascii")
    except ValueError as error:
        raise HttpError(f"{text}: {error}") from None
    if parts.scheme not in _PORTS:
        raise HttpError(f"{text}: only http and https can be asked for, not {parts.scheme}")
    if not name:
        raise HttpError(f"{text}: there is no host in it")
    if parts.username is not None or parts.password is not None:
        raise HttpError("a name or password in a URL ends up in logs: send an Authorization header")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(
        parts.scheme, name, _PORTS[parts.scheme] if port is None else port, quote(target, _AS_THEY_ARE)
    )
