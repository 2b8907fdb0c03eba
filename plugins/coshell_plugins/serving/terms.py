"""The terms on which a server serves, as they are typed: what can be set, and what a word for it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Final

import coloop
from coshell.api import PUBLIC as TO_ALL
from coshell.api import SERVE_TLS, Arg, CommandError

from .rules import Rules, finite_seconds

WORKERS: Final = Arg("--workers", "start: have so many processes serve", "int")
PUBLIC: Final = replace(TO_ALL, help=f"start: {TO_ALL.help}")
TLS: Final = tuple(replace(arg, help=f"start: {arg.help}") for arg in SERVE_TLS)
DRAIN: Final = Arg(
    "--drain", "stop: let open connections end by themselves for so long", "duration", default=0.0
)

EVENTS: Final = tuple(entry.name.removeprefix("on_") for entry in fields(coloop.Callbacks))

_KINDS: Final = {
    "high_water": "size",
    "low_water": "size",
    "idle": "duration",
    "heartbeat": "duration",
    "max_connections": "int",
    "max_requests": "int",
    "max_memory": "size",
    "max_wait": "duration",
}
_MAY_BE_NONE: Final = frozenset({"idle", "heartbeat", "max_connections", "max_requests", "max_memory"})

KEYS: Final = (
    *_KINDS,
    "framing",
    "overflow",
    "heartbeat_message",
)


def value_of(key: str, given: Any) -> Any:
    """What was typed for a setting, or put in.

    Raises:
        CommandError: there is no such setting, or it cannot be that.
    """
    name = key.replace("-", "_")
    if name not in KEYS:
        raise CommandError(f"no setting {key!r}: there are {', '.join(sorted(KEYS))}")
    if (given is None or (isinstance(given, str) and given == "none")) and name in _MAY_BE_NONE:
        return None
    if name == "heartbeat_message":
        if not isinstance(given, (str, bytes)):
            raise CommandError(f"{key} must be text or bytes, not {given!r}")
        return given.encode() if isinstance(given, str) else given
    try:
        return Arg(name, kind=_KINDS[name]).converted(given) if name in _KINDS else given
    except (ValueError, TypeError, OverflowError) as error:
        raise CommandError(f"{key}: {error}") from None


def settings_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the options of `server start` say, as arguments of `coloop.serve`.

    Raises:
        CommandError: it makes no sense.
    """
    settings = {
        key: options[key] for key in ("idle", "heartbeat", "max_connections") if options[key] is not None
    }
    framing, limit = options["framing"], options["limit"]
    if limit is not None and framing in {None, "raw"}:
        raise CommandError(
            "--limit is for messages, which raw framing does not tell apart: give --framing, too"
        )
    if framing is not None or limit is not None:
        with_limit = {} if limit is None else {"limit": limit}
        settings["framing"] = _told(
            lambda: (
                framing if hasattr(framing, "decoder") else coloop.framing_of(framing or "raw", **with_limit)
            )
        )
    if "heartbeat" in settings:
        settings["heartbeat_message"] = b"\n" if framing is None else b""
    return settings


def check(key: str, value: Any) -> None:
    """Whether a server would take this; raises CommandError."""
    if key == "max_connections":
        if value is not None and value < 1:
            raise CommandError(f"max_connections must be 1 or more, not {value}")
        return
    message = b"\n" if key == "heartbeat" else b""
    _told(lambda: replace(coloop.Settings(), heartbeat_message=message).having(key, value))


def rules_with(rules: Rules, key: str, value: Any) -> Rules:
    """The rules with one changed; raises CommandError."""
    if key == "max_wait":
        return replace(rules, max_wait_s=_told(lambda: finite_seconds(value, key)))
    if value is not None and value < 1:
        raise CommandError(f"{key} must be 1 or more, not {value}")
    return replace(rules, **{key: value})


RULES: Final = frozenset({"max_requests", "max_memory", "max_wait"})


def _told(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (ValueError, TypeError) as error:
        raise CommandError(str(error)) from None
