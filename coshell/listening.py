"""Where to listen: how commands are told, and that a toy is not open to everybody by accident."""

from __future__ import annotations

from typing import Any, Final

from .arg import Arg
from .command import CommandError
from .reach import is_local

ADDRESS: Final = Arg(
    "address", "host:port, :port, [::1]:port or unix:/path; port 0 takes a free one", "address"
)
PUBLIC: Final = Arg("--public", "let other machines connect", "flag")


def checked_address(address: Any, public: bool) -> Any:
    """The address, if it may be listened on.

    Args:
        address: as it was typed, or put in.
        public: whether other machines may connect, `--public`.

    Raises:
        CommandError: they may not, and could.
    """
    given = as_text(address)
    if ":" in given and not (public or is_local(given)):
        raise CommandError(f"other machines could connect to {given}: give --public if that is what you want")
    return address


def as_text(address: Any) -> str:
    """An address as one would type it."""
    return ":".join(map(str, address)) if isinstance(address, tuple) else str(address)
