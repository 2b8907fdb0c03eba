"""`server`: all that can be asked of servers, at the prompt and as a function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import coloop
from coshell.api import (
    ADDRESS,
    TRY_TLS,
    Arg,
    Command,
    CommandError,
    Duration,
    Shell,
    certificate,
    checked_address,
)
from coshell_plugins.serving import living
from coshell_plugins.serving.lifecycle import Lifecycle, now
from coshell_plugins.serving.recipe import Recipe, callbacks_in, event_name
from coshell_plugins.serving.records import LogRecord, ServerRecord, Stopped, lines
from coshell_plugins.serving.rules import Rules
from coshell_plugins.serving.starting import begin_again, checked_size, start
from coshell_plugins.serving.stopping import stop
from coshell_plugins.serving.terms import (
    DRAIN,
    EVENTS,
    KEYS,
    PUBLIC,
    RULES,
    TLS,
    WORKERS,
    rules_with,
    settings_of,
    value_of,
)

DRAIN_S: Final = 30.0  # how long `server drain` waits if it is not said

_ACTIONS: Final = {"--drain": ("stop", "restart"), "--tail": ("logs",)}  # the other options are for start

FORMS: Final = {
    "start": "NAME ADDRESS [HANDLER] [--on EVENT=EXPR]... [--workers N] [--public] "
    "[--tls --cert FILE --key FILE]",
    "list": "",
    "status": "NAME",
    "stop": "NAME [--drain SECONDS]",
    "reload": "NAME [HANDLER]",
    "restart": "NAME [--drain SECONDS]",
    "drain": "NAME [SECONDS]",
    "scale": "NAME WORKERS",
    "logs": "NAME [WORKER] [--tail N]",
    "on": "NAME EVENT [EXPR]",
    "set": "NAME KEY VALUE",
}


def server(
    shell: Shell,
    action: str,
    name: str | None,
    address: Any,
    handler: Any,
    **options: Any,
) -> Any:
    """Do one of these things."""
    name = getattr(name, "name", name)  # a server itself may be put in
    _check_call(action, name, options)
    words = [word for word in (name, address, handler) if word is not None]
    match action, words:
        case "start", [name, address, *handlers] if handlers or options["on"]:
            callbacks = callbacks_in(options["on"])
            shown = certificate("server", **{key: options[key] for key in ("tls", "cert", "key")})
            recipe = Recipe(
                handlers[0] if handlers else None, callbacks, settings_of(options), certificate=shown
            )
            return _start(shell, name, address, recipe, options)
        case "on", [name, event, *expressions]:
            return _on(shell, name, event_name(str(event)), expressions[0] if expressions else None)
        case "set", [name, key, value]:
            return _set(shell, name, str(key), value)
        case "list", []:
            return [one.record() for one in living.of(shell).values()]
        case "status", [name]:
            return living.known(shell, name).record()
        case "stop", [name]:
            return _stop(shell, name, options["drain"])
        case "drain", [name]:
            return _stop(shell, name, DRAIN_S)
        case "drain", [name, seconds]:
            return _stop(shell, name, _seconds(seconds))
        case "restart", [name]:
            return _restart(shell, name, options["drain"])
        case "reload", [name]:
            return _reload(shell, name)
        case "reload", [name, handler]:
            return _reload(shell, name, handler)
        case "scale", [name, size]:
            return _scale(shell, name, _whole(size, "WORKERS"))
        case "logs", [name]:
            return _logs(shell, name, None, options["tail"])
        case "logs", [name, worker]:
            return _logs(shell, name, _worker(worker), options["tail"])
    raise CommandError(f"it must read: server {action} {FORMS[action]}".rstrip())


def _check_call(action: str, name: object, options: dict[str, Any]) -> None:
    """What a call from Python may get wrong, and an option that would be without effect."""
    if action not in FORMS:
        raise CommandError(f"{action!r} is none of {', '.join(FORMS)}")
    if name is not None and not isinstance(name, str):
        raise CommandError(f"a server is meant by its name, and {name!r} is none")
    for option in SERVER.args:
        actions = _ACTIONS.get(option.name, ("start",))
        if option.is_option and action not in actions and options[option.key] != option.absent:
            raise CommandError(f"{option.name} is for server {' and '.join(actions)}")


def _start(shell: Shell, name: str, address: Any, recipe: Recipe, options: dict[str, Any]) -> ServerRecord:
    checked_address(address, options["public"])
    workers = options["workers"]
    if workers is None:
        for given in sorted(RULES):
            if options[given] is not None:
                raise CommandError(
                    f"--{given.replace('_', '-')} is for worker processes: give --workers N, too"
                )
    return start(shell, name, recipe, address, workers=workers, rules=_rules(options)).record()


def _rules(options: dict[str, Any]) -> Rules:
    if options["max_memory"] is not None and coloop.memory.level() not in {"heap", "sites"}:
        raise CommandError("--max-memory goes by the ledger of heap, which is not kept: set level heap")
    rules = Rules()
    for key in sorted(RULES):
        if options[key] is not None:
            rules = rules_with(rules, key, options[key])
    return rules


def _stop(shell: Shell, name: str, drain_s: float) -> Stopped:
    return stop(living.known(shell, name), drain_s)


def _restart(shell: Shell, name: str, drain_s: float) -> ServerRecord:
    """All of it anew, at the same address."""
    old = living.known(shell, name)
    return begin_again(old, lambda: stop(old, drain_s)).record()


def _reload(shell: Shell, name: str, handler: Any = None) -> ServerRecord:
    lifecycle = living.known(shell, name)
    if handler is None and lifecycle.recipe.is_fixed:
        raise CommandError(
            f"server {name!r} was given a function, not an expression that could be evaluated again: "
            f"server reload {name} HANDLER"
        )
    if handler is not None and lifecycle.recipe.handler is None:
        raise CommandError(f"server {name!r} has callbacks: server on {name} EVENT EXPR")
    recipe = lifecycle.recipe if handler is None else lifecycle.recipe.with_handler(handler)
    recipe.context()  # what is wrong with its files is said before anything is exchanged
    lifecycle.reload(recipe)
    return lifecycle.record()


def _on(shell: Shell, name: str, event: str, given: Any) -> ServerRecord:
    lifecycle = _changeable(shell, name)
    lifecycle.on(event, given)
    return lifecycle.record()


def _set(shell: Shell, name: str, key: str, given: Any) -> ServerRecord:
    lifecycle = _changeable(shell, name)
    lifecycle.set(key.replace("-", "_"), value_of(key, given))
    return lifecycle.record()


def _changeable(shell: Shell, name: str) -> Lifecycle:
    lifecycle = living.known(shell, name)
    if lifecycle.state == "draining":
        raise CommandError(f"server {name!r} is draining: nothing is changed any more")
    return lifecycle


def _scale(shell: Shell, name: str, size: int) -> ServerRecord:
    lifecycle = living.known(shell, name)
    lifecycle.scale(checked_size(size))
    return lifecycle.record()


def _logs(shell: Shell, name: str, worker: int | None, tail: int) -> Any:
    if tail < 1:
        raise CommandError(f"--tail must be 1 or more, not {tail}")
    lifecycle = living.known(shell, name)
    found = lifecycle.log_lines(worker)
    known = {None, *(mate.number for mate in lifecycle.workers.mates)} if lifecycle.workers else {None}
    if not found and worker not in known:
        raise CommandError(f"server {name!r} has no worker {worker}, and nothing of one is kept")
    moment = now()
    return [
        LogRecord(Duration(moment - one.at), one.worker, one.pid, one.text) for one in found[-tail:]
    ] or ()


def _seconds(given: Any) -> float:
    try:
        return float(Arg("seconds", kind="duration").converted(given))
    except (ValueError, TypeError) as error:
        raise CommandError(str(error)) from None


def _whole(given: Any, what: str) -> int:
    try:
        return int(Arg(what, kind="int").converted(given))
    except ValueError:
        raise CommandError(f"{what} is a number, and {given!r} is none") from None


def _worker(given: Any) -> int:
    """`w2` or 2."""
    try:
        return _whole(given.removeprefix("w") if isinstance(given, str) else given, "WORKER")
    except CommandError:
        raise CommandError(f"WORKER is a number, and {given!r} is none") from None


_SHOUT: Final = """\
def shout(conn):
    while data := conn.recv():
        conn.sendall(data.upper())
server start web :0 shout"""

_FORMS_TEXT: Final = "\n".join(f"  server {action} {form}".rstrip() for action, form in FORMS.items())

_NAME: Final = Arg("name", "a server", "server")
_HANDLER: Final = Arg("handler", "a function of one connection, or {an expression}", "value", optional=True)
_EVENT: Final = Arg("event", "when", "choice", choices=EVENTS)
_PLACES: Final[dict[str, tuple[Arg, ...]]] = {
    "list": (),
    "status": (_NAME,),
    "stop": (_NAME,),
    "reload": (_NAME, _HANDLER),
    "restart": (_NAME,),
    "drain": (_NAME, Arg("seconds", kind="duration")),
    "scale": (_NAME, Arg("workers", kind="int")),
    "logs": (_NAME, Arg("worker", kind="int")),
    "on": (_NAME, _EVENT, Arg("expression", kind="value")),
    "set": (_NAME, Arg("key", kind="choice", choices=KEYS), Arg("value", kind="value")),
}

SERVER: Final = Command(
    "server",
    "start, list, stop, reload and scale servers that outlive their handlers",
    server,
    (
        Arg("action", "what to do", "choice", choices=tuple(FORMS)),
        Arg("name", "a Python name for the server", "server", optional=True),
        replace(ADDRESS, optional=True),
        _HANDLER,
        WORKERS,
        Arg(
            "--on",
            "start: call EXPR for EVENT, as in --on receive=answer or --on close={lambda connection: ...}",
            "pair",
            repeat=True,
            choices=tuple(f"{event}=" for event in _EVENT.choices),
        ),
        Arg(
            "--framing", "start: how messages are told apart: raw, line, delimiter:\\r\\n, length:4", "value"
        ),
        Arg("--limit", "start: how long a message may be", "size"),
        Arg("--idle", "start: close connections on which nothing moves for so long", "duration"),
        Arg("--heartbeat", "start: ask silent peers whether they live", "duration"),
        Arg(
            "--max-connections",
            "start: who comes when so many are open, of each worker, is turned away",
            "int",
        ),
        Arg("--max-requests", "start: replace a worker that has served so many", "int"),
        Arg("--max-memory", "start: replace a worker whose heap is larger", "size"),
        Arg("--max-wait", "start: how long a worker that is replaced may finish (3s)", "duration"),
        DRAIN,
        Arg("--tail", "logs: so many lines", "int", default=50),
        PUBLIC,
        *TLS,
    ),
    (
        f"{_SHOUT}\nserver list\nserver stop web --drain 2s",
        f"{_SHOUT}\ndef shout(conn): conn.sendall(b'hi')\nserver reload web\nnc web --expect hi",
    ),
    show=lines,
    forms=_PLACES,
    details=(
        f"{_FORMS_TEXT}\nA reload evaluates HANDLER again, or the expression that was given at the start. Connections "
        "that are open keep the handler that they began with; new ones get the new one.\n"
        "With --workers the handler is sent to processes of their own, with a copy of what it refers to.\n"
        f"With --tls a reload also reads the certificate and its key anew. {TRY_TLS}"
    ),
)
