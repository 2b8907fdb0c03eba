"""`http` at the prompt: start a server for an app, and ask any server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import coloop
from coshell.api import (
    CA,
    INSECURE,
    TRY_TLS,
    Arg,
    Bytes,
    Column,
    Command,
    CommandError,
    Count,
    Duration,
    Shell,
    Trust,
    certificate,
    checked_address,
    cut,
    plural,
    printable,
    table,
)
from coshell_plugins.hypertext.errors import HttpError
from coshell_plugins.hypertext.face import http as face
from coshell_plugins.serving import living
from coshell_plugins.serving.in_shell import InShell
from coshell_plugins.serving.lifecycle import Lifecycle
from coshell_plugins.serving.recipe import Recipe
from coshell_plugins.serving.records import (
    BRIEF_WIDTH,
    CONNECTIONS,
    NAMED,
    Stopped,
    certificates,
    stopped_line,
)
from coshell_plugins.serving.rules import Rules
from coshell_plugins.serving.starting import begin, is_running, refuse_if_running, rerun
from coshell_plugins.serving.stopping import stop
from coshell_plugins.serving.terms import DRAIN, PUBLIC, TLS, WORKERS

if TYPE_CHECKING:
    from coshell_plugins.hypertext.client import Reply
    from coshell_plugins.hypertext.server import Handler

MAX_SHOWN_CHARS: Final = 8192

_FORMS: Final = {
    "start": "ADDRESS HANDLER [--as NAME] [--workers N] [--public] [--tls --cert FILE --key FILE]",
    "get": "URL [--header K:V]... [--timeout SECONDS] [--ca FILE | --insecure]",
    "head": "URL [--header K:V]... [--timeout SECONDS] [--ca FILE | --insecure]",
    "post": "URL [--data D] [--header K:V]... [--timeout SECONDS] [--ca FILE | --insecure]",
    "list": "",
    "stop": "NAME [--drain SECONDS]",
}


@dataclass(frozen=True)
class HttpRecord:
    """One HTTP server at one moment.

    Attributes:
        name: what it is called; its coroutines are NAME, NAME/c1, NAME/c2 ...
        state: `accepting`, `pausing` or `stopped`.
        address: where it listens, with the real port.
        app: the expression that gives the app, or the app's own name.
        connections: how many are open.
        requests: how many were answered so far.
        good: of these, with a status below 400.
        refused: with 400 to 499.
        failed: with 500 and more.
        workers: how many processes serve it; None if the shell itself does.
        age: since its start.
        certificate: the file of what it shows over TLS; None without.
    """

    name: str
    state: str
    address: str
    app: str
    connections: Count
    requests: Count
    good: Count
    refused: Count
    failed: Count
    workers: Count | None
    age: Duration
    certificate: str | None

    @property
    def brief(self) -> str:
        """The app, as long as a table allows."""
        return cut(self.app, BRIEF_WIDTH)


_COLUMNS: Final = (
    *NAMED,
    CONNECTIONS,
    Column("requests", "REQUESTS", ">"),
    Column("good", "GOOD", ">", drop=4),
    Column("refused", "4XX", ">", drop=3),
    Column("failed", "5XX", ">", drop=2),
    Column("workers", "WORKERS", ">", drop=6),
    Column("age", "AGE", ">", drop=5),
    Column("brief", "APP", drop=1),
)


def http(shell: Shell, action: str, target: Any, handler: Any, **options: Any) -> Any:
    """Do one of the six things."""
    _check_form(action, target, handler)
    _check_tls(action, options)
    match action:
        case "start":
            return _start(shell, target, handler, options)
        case "list":
            return [_record(one) for one in _living(shell)]
        case "stop":
            return _stop(shell, target, options["drain"])
        case _:
            return _ask(shell, action, target, options)


def _check_form(action: str, target: Any, handler: Any) -> None:
    given = sum(one is not None for one in (target, handler))
    wanted = {"start": 2, "list": 0}.get(action, 1)
    if given != wanted:
        raise CommandError(f"it must read: http {action} {_FORMS[action]}".rstrip())


def _check_tls(action: str, options: dict[str, Any]) -> None:
    """A server shows a certificate, and a client judges it."""
    if action != "start" and any(options[key] for key in ("tls", "cert", "key")):
        raise CommandError("--tls, --cert and --key are for http start; an https URL is asked for over TLS")
    if action == "start" and (options["ca"] or options["insecure"]):
        raise CommandError("--ca and --insecure are for who asks: http get URL")


# -- servers ---------------------------------------------------------------------------------------


def _start(shell: Shell, address: Any, app: Any, options: dict[str, Any]) -> HttpRecord:
    as_, workers = options["as_"], options["workers"]
    checked_address(address, options["public"])
    shown = certificate("http", **{key: options[key] for key in ("tls", "cert", "key")})
    recipe = Recipe(app, wrap=_handler_of, certificate=shown)
    asked = f"http {address}"
    known_as = _name_of_before(shell, asked)  # claimed also if it has a name: the next one means another
    name = as_ or known_as or shell.things.next_name("http")
    if not shell.rerunning:
        refuse_if_running(shell, name)
    if workers is not None:
        _start_workers(shell, as_, address, recipe, workers)
    elif is_running(shell, name):
        rerun(living.known(shell, name), recipe, address, None, Rules())
    else:
        begin(InShell(shell, name, recipe, address, kind="http", is_bound=as_ is not None))
    lifecycle = living.known(shell, name)
    shell.things.note_asked(lifecycle.server, asked)
    return _record(lifecycle)


def _name_of_before(shell: Shell, asked: str) -> str | None:
    """In a rerun what serves that address already, under the name that it was given."""
    known = shell.things.claim(asked, object) if shell.rerunning else None
    living_now = living.of(shell).values()
    return next((one.name for one in living_now if known is not None and one.server is known.value), None)


def _start_workers(shell: Shell, name: str | None, address: Any, recipe: Recipe, workers: int) -> None:
    if name is None:
        raise CommandError("workers belong to a server with a name: give --as NAME")
    if workers < 1:
        raise CommandError(f"--workers must be 1 or more, not {workers}")
    handler = recipe.offer(shell).handler
    assert handler is not None
    shell.plugins.start_workers(name, address, handler, workers, recipe.certificate)
    lifecycle = living.known(shell, name)
    lifecycle.kind = "http"
    lifecycle.recipe = recipe  # so that a reload asks for the app, and not for a handler


def _handler_of(app: Any) -> Handler:
    """The handler of connections; one that was made by `http(app)` is taken as it is."""
    from coshell_plugins.hypertext.server import Handler

    if not callable(app):
        raise CommandError(f"{app!r} is no function of one request but a {type(app).__name__}")
    return app if isinstance(app, Handler) else Handler(app)


def _living(shell: Shell) -> list[Lifecycle]:
    """Those that speak HTTP, whichever command has started them."""
    return [one for one in living.of(shell).values() if one.kind == "http" or one.answers is not None]


def _record(one: Lifecycle) -> HttpRecord:
    told = one.record()
    answers = one.answers or {}
    return HttpRecord(
        name=told.name,
        state=told.state,
        address=told.address,
        app=told.handler,
        connections=told.connections,
        requests=told.requests,
        good=Count(answers.get(2, 0) + answers.get(3, 0)),
        refused=Count(answers.get(4, 0)),
        failed=Count(answers.get(5, 0)),
        workers=Count(len(told.workers)) if told.workers else None,
        age=told.age,
        certificate=told.certificate,
    )


def _stop(shell: Shell, ref: Any, drain_s: float) -> Stopped:
    found = _living(shell)
    one = next((one for one in found if ref in (one.name, one.server)), None)
    if one is None:
        names = ", ".join(one.name for one in found) or "none"
        raise CommandError(f"no http server {ref!r} was started here; there is {names}")
    return stop(one, drain_s)


def stop_all(shell: Shell) -> list[str]:
    """Stop what was started here; a label for each server."""
    labels = [
        f"http {one.name} ({plural(stop(one, 0.0).connections, 'connection')})"
        for one in _living(shell)
        if one.kind == "http"
    ]
    from coshell_plugins.hypertext.pool import current_pool

    current_pool().close()
    return labels


# -- clients ---------------------------------------------------------------------------------------


def _ask(shell: Shell, action: str, target: Any, options: dict[str, Any]) -> Reply:
    data = options["data"]
    if data is not None and action != "post":
        raise CommandError(f"http {action} sends no data: http post URL --data D")
    given = {} if options["timeout"] is None else {"timeout": options["timeout"]}
    trust = Trust(options["ca"], options["insecure"])
    if trust != Trust():
        given["tls"] = trust.context()
    with _in_one_line():
        headers = [_header(text) for text in options["header"]]
        try:
            return face.request(action.upper(), _url(shell, target), headers=headers, data=data, **given)
        except ssl.SSLCertVerificationError as error:
            raise CommandError(trust.advice(error, can_name=False)) from None


def _url(shell: Shell, target: Any) -> str:
    """A URL as it was given; a server's name, or a server, stands for its address."""
    first, slash, path = target.partition("/") if isinstance(target, str) else (target, "", "")
    found = shell.resolve_address(first)
    if isinstance(target, str) and (found is first or first.endswith(":")):
        return target
    if str(found).startswith("unix:"):
        raise CommandError(f"{found} is no host: curl --unix-socket can ask there, http cannot")
    return f"http{'s' if _is_over_tls(shell, first) else ''}://{found}{slash}{path}"


def _is_over_tls(shell: Shell, server: Any) -> bool:
    try:
        return bool(getattr(shell.find_server(server), "tls", False))
    except CommandError:
        return False


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise CommandError(f"a header is given as NAME:VALUE, and {text!r} is none")
    return name.strip(), value.strip()


@contextmanager
def _in_one_line() -> Iterator[None]:
    """What a server, the network or a URL does wrong is no bug of anybody's here."""
    try:
        yield
    except (HttpError, OSError, ValueError, TypeError, coloop.CoroutineError) as error:
        raise CommandError(str(error)) from None


# -- what is shown ---------------------------------------------------------------------------------


def _lines(value: Any, width: int) -> list[str]:
    if isinstance(value, Stopped):
        return [stopped_line(value)]
    if isinstance(value, (list, HttpRecord)):
        records = value if isinstance(value, list) else [value]
        return [*table(records, _COLUMNS, width), *certificates(records)] or ["no http servers"]
    return _reply_lines(value)


def _reply_lines(reply: Reply) -> list[str]:
    length = f"{Bytes(len(reply.body))} bytes" if len(reply.body) != 1 else "1 byte"
    lines = [f"via {url}" for url in reply.redirects]
    lines.append(f"{reply.status} {reply.reason}  {length} in {Duration(reply.timings.total_s)}")
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    shown = [printable(line, keep="") for line in lines]
    if reply.body:
        text = reply.text
        shown += ["", *printable(text[:MAX_SHOWN_CHARS]).removesuffix("\n").split("\n")]
        if len(text) > MAX_SHOWN_CHARS:
            shown.append(f"... ({len(text):,} characters; --json gives all)")
    return shown


def _as_record(value: Any) -> Any:
    """What JSON tells of an answer: its body as text."""
    if not hasattr(value, "timings"):
        return value
    return {
        "method": value.method,
        "url": value.url,
        "status": value.status,
        "reason": value.reason,
        "headers": dict(value.headers),
        "body": value.text,
        "bytes": len(value.body),
        "connect_s": value.timings.connect_s,
        "first_byte_s": value.timings.first_byte_s,
        "total_s": value.timings.total_s,
        "reused": value.reused,
        "redirects": list(value.redirects),
    }


_TICKS: Final = """\
def ticks(request):
    return (f"tick {n}\\n" for n in range(3))
serve :0 {http(ticks)} --as web
http get web/"""
_HELLO: Final = """\
def app(request):
    return f"hello, {request.query.get('name', 'world')}\\n"
http start :0 app --as web"""


_TARGET: Final = Arg(
    "target", "an address to listen on, a URL, or the name of a server", "address", optional=True
)

COMMAND: Final = Command(
    "http",
    "serve HTTP by a function of one request, and ask HTTP servers",
    http,
    (
        Arg("action", "what to do", "choice", choices=tuple(_FORMS)),
        _TARGET,
        Arg("handler", "start: a function of one request, or {an expression}", "value", optional=True),
        Arg("--as", "start: a Python name for the server", "name"),
        WORKERS,
        PUBLIC,
        *TLS,
        CA,
        INSECURE,
        Arg("--header", "get, head, post: a header, as NAME:VALUE; may be given again", repeat=True),
        Arg("--data", "post: what is sent; {a dict} is sent as a form", "value"),
        Arg("--timeout", "get, head, post: wait at most so long", "duration"),
        DRAIN,
    ),
    (
        f"{_HELLO}\nhttp get web/?name=co\nhttp list\nhttp stop web --drain 2s",
        f'{_HELLO}\nhttp head web --header "Accept: text/plain"\nhttp.get(f"http://{{web.address}}/").status == 200',
        "http start :0 {lambda request: (201, request.body.upper())} --as up\nhttp post up/ --data shout",
        _TICKS,
    ),
    show=_lines,
    forms={"list": (), **dict.fromkeys(("stop", "get", "head", "post"), (_TARGET,))},
    record=_as_record,
    details=(
        "\n".join(f"  http {action} {form}".rstrip() for action, form in _FORMS.items())
        + "\nHANDLER gets a request (method path query headers body text json() stream() peer) and returns str,"
        " bytes, dict or list (JSON), an iterator (streamed), (status, body), (status, headers, body) or"
        " http.Response. With --workers it is the server command that looks after it: server status NAME, server"
        " scale NAME ... In Python http(app) makes a handler for serve and server start of it, and http.get(url),"
        " http.post(url, data=...) give the answer: status headers body text json() timings. " + TRY_TLS
    ),
    function=face,
)
