"""A server lives longer than any one version of its handler.

`server start` keeps the expression that the handler came from. `server reload` evaluates it again, so a function
that was defined anew in the meantime takes over without the listener ever being closed. Connections that are
open live on with the handler that they began with, as a function that runs cannot be exchanged under
its feet; every new one gets the new handler. `server stop` closes the listener first, then gives the
open connections time to end by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import coloop
from coloop import Server
from coshell.api import (
    Arg,
    Bytes,
    Column,
    Command,
    CommandError,
    Count,
    Duration,
    Shell,
    hookimpl,
    is_local,
    is_name,
    plural,
    printable,
    table,
)

_FORMS: Final = {
    "start": "NAME ADDRESS HANDLER [--public]",
    "list": "",
    "status": "NAME",
    "stop": "NAME [--drain SECONDS]",
    "reload": "NAME [HANDLER]",
}


@dataclass
class _Lifecycle:
    """A server, and what is remembered of its start."""

    server: Server
    expression: str | None  # None if the handler was given as an object
    handler_name: str
    started_at: float
    reloads: int = 0


_lifecycles: Final[WeakKeyDictionary[Shell, dict[str, _Lifecycle]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class ServerRecord:
    """One server at one moment.

    Attributes:
        name: what it is called; its coroutines are NAME, NAME/c1, NAME/c2 ...
        state: `accepting`, `pausing` (out of descriptors or memory) or `stopped`.
        address: where it listens, with the real port.
        handler: the expression that gives the handler, or the handler's own name.
        connections: how many are open.
        accepted: how many there were so far.
        rejected: how many were turned away because of a limit.
        failed: how many handlers failed, peers that left not counted.
        reloads: how often the handler was replaced.
        heap: what its coroutines hold; None below level `heap`.
        age: since its start.
        trouble: the last warning; None if there was none.
    """

    name: str
    state: str
    address: str
    handler: str
    connections: Count
    accepted: Count
    rejected: Count
    failed: Count
    reloads: Count
    heap: Bytes | None
    age: Duration
    trouble: str | None


@dataclass(frozen=True)
class Stopped:
    """What `server stop` did.

    Attributes:
        name: the server.
        connections: how many were open.
        drained: whether all of them ended by themselves.
    """

    name: str
    connections: int
    drained: bool


_COLUMNS: Final = (
    Column("name", "NAME"),
    Column("state", "STATE"),
    Column("address", "ADDRESS"),
    Column("connections", "CONNS", ">"),
    Column("accepted", "ACCEPTED", ">", drop=4),
    Column("rejected", "REJECTED", ">", drop=7),
    Column("failed", "FAILED", ">", drop=3),
    Column("reloads", "RELOADS", ">", drop=5),
    Column("heap", "HEAP", ">", drop=2),
    Column("age", "AGE", ">", drop=6),
    Column("handler", "HANDLER", drop=1),
)


def server(
    shell: Shell, action: str, name: str | None, address: Any, handler: Any, drain: float, public: bool
) -> Any:
    """Do one of the five things."""
    words = [word for word in (name, address, handler) if word is not None]
    match action, words:
        case "start", [name, address, handler]:
            return _start(shell, name, address, handler, public=public)
        case "list", []:
            return _list(shell)
        case "status", [name]:
            return _record(name, _known(shell, name), coloop.snapshot())
        case "stop", [name]:
            return _stop(shell, name, drain)
        case "reload", [name]:
            return _reload(shell, name)
        case "reload", [name, handler]:
            return _reload(shell, name, handler)
    raise CommandError(f"it must read: server {action} {_FORMS[action]}".rstrip())


def _start(shell: Shell, name: str, address: Any, handler: Any, *, public: bool) -> ServerRecord:
    if not is_name(name):
        raise CommandError(f"a server's name must be a Python name, and {name!r} is none")
    if name in _living(shell):
        raise CommandError(f"server {name!r} is running: server stop {name}, or server reload {name}")
    if not (public or is_local(_as_text(address))):
        raise CommandError(
            f"other machines could connect to {_as_text(address)}: give --public if that is what you want"
        )
    expression, function = _handler_of(shell, handler)
    with _in_one_line():
        listener = coloop.listen(address)
        started = coloop.serve(listener, function, name=name)
    shell.bind(name, started)
    shell.things.add("server", started)
    lifecycle = _Lifecycle(started, expression, _called(function, expression), _now())
    _lifecycles.setdefault(shell, {})[name] = lifecycle
    snapshot = coloop.snapshot()
    listener.owner = next((one.id for one in snapshot.coroutines if one.name == name), listener.owner)
    return _record(name, lifecycle, snapshot)


def _list(shell: Shell) -> list[ServerRecord]:
    snapshot = coloop.snapshot()
    return [_record(name, lifecycle, snapshot) for name, lifecycle in _living(shell).items()]


def _stop(shell: Shell, name: str, drain_s: float) -> Stopped:
    running = _known(shell, name).server
    connections = len(running.connections)
    drained = running.stop(drain=drain_s)
    shell.things.remove(running)
    return Stopped(name, connections, drained)


def _reload(shell: Shell, name: str, handler: Any = None) -> ServerRecord:
    lifecycle = _known(shell, name)
    if handler is None and lifecycle.expression is None:
        raise CommandError(
            f"server {name!r} was given a function, not an expression that could be evaluated again: "
            f"server reload {name} HANDLER"
        )
    expression, function = _handler_of(shell, lifecycle.expression if handler is None else handler)
    lifecycle.expression, lifecycle.handler_name = expression, _called(function, expression)
    lifecycle.server.handler = function
    lifecycle.reloads += 1
    return _record(name, lifecycle, coloop.snapshot())


def _handler_of(shell: Shell, handler: Any) -> tuple[str | None, Callable[..., Any]]:
    """The expression, if there is one, and the function that it gives."""
    expression = handler if isinstance(handler, str) else None
    function = handler if expression is None else _evaluated(shell, expression)
    if not callable(function):
        raise CommandError(f"{handler!r} is no function of one connection but a {type(function).__name__}")
    return expression, function


def _evaluated(shell: Shell, expression: str) -> Any:
    try:
        return shell.evaluate(expression)
    except Exception as error:
        raise CommandError(f"{expression}: {type(error).__name__}: {error}") from error


def _called(function: Callable[..., Any], expression: str | None) -> str:
    return expression or str(getattr(function, "__name__", type(function).__name__))


def _known(shell: Shell, name: str) -> _Lifecycle:
    living = _living(shell)
    if name not in living:
        raise CommandError(f"no server {name!r} was started here; there is {', '.join(living) or 'none'}")
    return living[name]


def _living(shell: Shell) -> dict[str, _Lifecycle]:
    """Those that are not stopped, by this plugin or otherwise; the others are forgotten."""
    known = _lifecycles.setdefault(shell, {})
    for name in [name for name, lifecycle in known.items() if lifecycle.server.state == "stopped"]:
        del known[name]
    return known


def _record(name: str, lifecycle: _Lifecycle, snapshot: coloop.Snapshot) -> ServerRecord:
    now = lifecycle.server.statistics()
    return ServerRecord(
        name=name,
        state=now.state,
        address=now.address,
        handler=lifecycle.handler_name,
        connections=Count(now.connections),
        accepted=Count(now.accepted),
        rejected=Count(now.rejected),
        failed=Count(now.failed),
        reloads=Count(lifecycle.reloads),
        heap=_heap_of(name, snapshot),
        age=Duration(_now() - lifecycle.started_at),
        trouble=now.last_trouble,
    )


def _heap_of(name: str, snapshot: coloop.Snapshot) -> Bytes | None:
    if snapshot.heap_bytes is None:
        return None
    pictures = snapshot.coroutines
    return Bytes(
        sum(one.heap_bytes or 0 for one in pictures if one.name == name or one.name.startswith(f"{name}/"))
    )


def _now() -> float:
    return coloop.current_scheduler().clock.now()


def _as_text(address: Any) -> str:
    """An address as one would type it."""
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)


@contextmanager
def _in_one_line() -> Iterator[None]:
    """An address that cannot be had is no bug of anybody's."""
    try:
        yield
    except (OSError, ValueError, TypeError, coloop.CoroutineError) as error:
        raise CommandError(str(error)) from None


def _lines(value: Any, width: int) -> list[str]:
    """What a command shows: a table of records, or a line about what was done."""
    if isinstance(value, Stopped):
        ended = "ended" if value.drained else "cut off"
        connections = f", {plural(value.connections, 'connection')} {ended}" if value.connections else ""
        return [printable(f"ok  {value.name} stopped{connections}", keep="")]
    records = value if isinstance(value, list) else [value]
    lines = table(records, _COLUMNS, width) or ["no servers"]
    return lines + [printable(f"! {one.name}: {one.trouble}", keep="") for one in records if one.trouble]


_SHOUT: Final = """\
def shout(conn):
    while data := conn.recv():
        conn.sendall(data.upper())
server start web :0 shout"""


@hookimpl
def coshell_commands() -> list[Command]:
    """The one command, with five forms."""
    forms = "\n".join(f"  server {action} {form}".rstrip() for action, form in _FORMS.items())
    return [
        Command(
            "server",
            "start, list, stop and reload servers that outlive their handlers",
            server,
            (
                Arg("action", "what to do", "choice", choices=tuple(_FORMS)),
                Arg("name", "a Python name for the server", "name", optional=True),
                Arg(
                    "address",
                    "host:port, :port or unix:/path; port 0 takes a free one",
                    "address",
                    optional=True,
                ),
                Arg("handler", "a function of one connection, or {an expression}", "value", optional=True),
                Arg(
                    "--drain",
                    "stop: let open connections end by themselves for so long",
                    "duration",
                    default=0.0,
                ),
                Arg("--public", "start: let other machines connect", "flag"),
            ),
            (
                f"{_SHOUT}\nserver list\nserver stop web --drain 2s",
                f"{_SHOUT}\ndef shout(conn): conn.sendall(b'hi')\nserver reload web\nnc web --expect hi",
            ),
            show=_lines,
            details=(
                f"{forms}\nA reload evaluates HANDLER again, or the expression that was given at the start. Connections "
                "that are open keep the handler that they began with; new ones get the new one."
            ),
        )
    ]


@hookimpl
def coshell_unloading(shell: Shell) -> list[str]:
    """Stop all servers that were started here."""
    return [
        f"server {name} ({plural(_stop(shell, name, 0.0).connections, 'connection')})"
        for name in list(_living(shell))
    ]
