"""Servers and clients: opening them, talking through them, closing them, and looking at them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import coloop
from coloop import Server, Socket, SocketPicture, TlsPicture
from coshell.command import Arg, Command, CommandError, UsageError
from coshell.commands.ends import as_bytes, endpoint_of, in_one_line, name_of, open_connection, socket_of
from coshell.connections import COLUMNS, Connection, connections, connections_in, remarks
from coshell.lines import is_name
from coshell.listening import ADDRESS, PUBLIC, checked_address
from coshell.listing import Listing, lines_of, listing
from coshell.reach import is_local
from coshell.showing import shown
from coshell.text import plural, printable
from coshell.tls_options import CONNECT_TLS, SERVE_TLS, TRY_TLS, certificate, in_words, trust
from coshell.values import Bytes, Duration

if TYPE_CHECKING:
    from coshell.certificate import Certificate
    from coshell.shell import Shell

RECV_BYTES: Final = 65536


# -- servers ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Serving:
    """A server that was started.

    Attributes:
        name: what it is called from now on.
        address: where it listens, with the real port.
        coroutine: the number of the coroutine that accepts.
        public: whether other machines can reach it.
        workers: how many processes serve; 0 for this one.
    """

    name: str
    address: str
    coroutine: int
    public: bool
    workers: int = 0


def serve(shell: Shell, address: Any, handler: Any, as_: str | None, public: bool, **files: Any) -> Serving:
    """Start a server whose connections are handled by a function of the user's."""
    function = shell.evaluate(handler) if isinstance(handler, str) else handler
    if not callable(function):
        raise CommandError(
            f"serve: {handler!r} is no function of one connection but a {type(function).__name__}"
        )
    name = getattr(function, "__name__", "server")
    kind = name if is_name(name) else "server"
    return start_server(shell, kind, address, function, as_, public, tls=certificate("serve", **files))


def start_server(
    shell: Shell,
    kind: str,
    address: Any,
    handler: Callable[[Socket], Any],
    bound: str | None,
    public: bool,
    *,
    asked: str | None = None,
    tls: Certificate | None = None,
) -> Serving:
    """Serve an address by a handler; while a file is run again, give that to the server that does so already.

    Args:
        shell: where.
        kind: what it is called, with a number.
        address: where to listen.
        handler: of one connection.
        bound: a name for it that the user has chosen.
        public: whether other machines may connect.
        asked: the address as the user gave it; as above by default.
        tls: what it shows, if it is to be served over TLS.

    Raises:
        CommandError: it cannot be had.
    """
    text = checked_address(address, public)
    asked = str(text) if asked is None else asked
    known = shell.things.claim(asked, Server) if shell.rerunning else None
    context = None if tls is None else tls.context()
    if known is not None:
        name, server = known.name, known.value
        with in_one_line():
            server.renew_tls(context)
        server.handler = handler
    else:
        name = shell.things.next_name(kind)
        with in_one_line():
            server = coloop.serve(text, handler, name=name, tls=context)
        shell.things.add(kind, server, asked)
    if bound is not None:
        shell.bind(bound, server)
    return serving_of(shell, name, server)


def serving_of(shell: Shell, name: str, server: Any) -> Serving:
    """What is told of a server that runs."""
    acceptor = next((coroutine.id for coroutine in shell.living() if coroutine.name == server.name), 0)
    return Serving(name, str(server.address), acceptor, not is_local(str(server.address)))


def serving_lines(value: Serving, _: int) -> list[str]:
    """A server as it is shown."""
    warning = "; open to other machines" if value.public else ""
    who = plural(value.workers, "worker") if value.workers else f"co#{value.coroutine}"
    return [printable(f"ok  {value.name} listening on {value.address}  ({who}){warning}", keep="")]


# -- clients ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Connected:
    """A connection that was opened.

    Attributes:
        name: what it is called from now on.
        local: our address.
        peer: the other side's.
        took: how long it took.
        tls: what was agreed on with the peer; None without TLS.
    """

    name: str
    local: str
    peer: str
    took: Duration
    tls: TlsPicture | None = None


def connect(shell: Shell, address: Any, as_: str | None, timeout: float | None, **terms: Any) -> Connected:
    """Open a connection, and give it a name."""
    socket, took_s = open_connection(shell, address, timeout, trust("connect", **terms))
    name = shell.things.add("client", socket).name
    if as_ is not None:
        shell.bind(as_, socket)
    return Connected(as_ or name, str(socket.local), str(socket.peer), Duration(took_s), socket.tls)


def _connected_lines(value: Connected, _: int) -> list[str]:
    line = printable(f"ok  {value.name} connected {value.local} -> {value.peer} in {value.took}", keep="")
    return [line if value.tls is None else f"{line}  ({in_words(value.tls)})"]


@dataclass(frozen=True)
class Sent:
    """What was sent.

    Attributes:
        socket: through which socket.
        size: how many bytes.
    """

    socket: str
    size: Bytes


def send(shell: Shell, socket: Any, data: Any, timeout: float | None) -> Sent:
    """Send all of a text, or of bytes."""
    found, given = socket_of(shell, socket), as_bytes(data)
    with in_one_line():
        found.sendall(given, timeout=timeout)
    return Sent(name_of(shell, found), Bytes(len(given)))


def _sent_lines(value: Sent, _: int) -> list[str]:
    return [f"ok  {value.socket} sent {plural(value.size, 'byte')}"]


def recv(shell: Shell, socket: Any, count: int | None, timeout: float | None) -> bytes:
    """What has come; waits while there is nothing. Empty at the end of the stream."""
    found = socket_of(shell, socket)
    with in_one_line():
        return found.recv(RECV_BYTES if count is None else count, timeout=timeout)


def _received_lines(value: bytes, _: int) -> list[str]:
    return [shown(value)] if value else ["b''  the peer has closed its half"]


@dataclass(frozen=True)
class Ended:
    """What was closed, or shut down.

    Attributes:
        name: the socket or server.
        how: what was done, in a few words.
    """

    name: str
    how: str


def shutdown(shell: Shell, socket: Any, how: Any) -> Ended:
    """End one direction of a connection, or both."""
    found = socket_of(shell, socket)
    with in_one_line():
        found.shutdown(how)
    said = {
        "write": f"sent {'FIN' if found.tls is None else 'close_notify'}, and can still receive",
        "read": "receives no more",
        "both": "ended both directions",
    }
    return Ended(name_of(shell, found), said[how])


def close(shell: Shell, name: tuple[Any, ...], linger: float | None, reset: bool) -> Listing[Ended]:
    """Close sockets, and stop servers."""
    if reset and linger is not None:
        raise UsageError("close: --linger waits for the rest, --reset throws it away: give one of them")
    ends = [endpoint_of(shell, ref) for ref in name]
    with in_one_line():
        return listing(shell, [_close(shell, end, 0.0 if reset else linger) for end in ends])


def _close(shell: Shell, end: Any, linger_s: float | None) -> Ended:
    name = name_of(shell, end)
    if hasattr(end, "stop"):
        return Ended(name, _stop(shell, end, linger_s))
    if end.closed:
        return Ended(name, "was closed already")
    acknowledged = end.close(linger_s) if isinstance(end, Socket) else end.close()
    shell.things.remove(end)
    if linger_s == 0.0:
        return Ended(name, "reset")
    if not linger_s:
        return Ended(name, "closed")
    return Ended(name, f"closed, {'all' if acknowledged else 'not all'} acknowledged by the peer")


def _stop(shell: Shell, server: Any, drain_s: float | None) -> str:
    if server.state == "stopped":
        return "was stopped already"
    connections = len(getattr(server, "connections", ()))
    drained = server.stop(drain=drain_s or 0.0)
    shell.things.remove(server)
    if not connections:
        return "stopped"
    return f"stopped, {plural(connections, 'connection')} {'ended' if drained else 'cut off'}"


def _ended_line(value: Ended) -> str:
    return printable(f"ok  {value.name} {value.how}", keep="")


def _ended_lines(value: Ended | Listing[Ended], _: int) -> list[str]:
    return [_ended_line(ended) for ended in (value if isinstance(value, list) else [value])]


# -- conns -----------------------------------------------------------------------------------------


def conns(shell: Shell, all: bool) -> Listing[Connection]:  # noqa: A002 - the option's name
    """The open sockets and listeners; with `all` those too that the shell itself has opened to its workers."""
    processes = shell.plugins.processes()
    elsewhere = [each for process in processes for each in connections_in(process)]
    snapshot = shell.snapshot(0)
    if not snapshot.responsive:
        why = "the scheduler does not answer: sockets cannot be looked at now (ps)"
        return listing(shell, elsewhere, COLUMNS, [*remarks(elsewhere), why])
    own = set() if all else {line for process in processes for line in process.lines}
    sockets = [picture for picture in snapshot.sockets if picture.id not in own]
    found = connections(sockets, _names_by_number(shell, sockets)) + elsewhere
    return listing(shell, found, COLUMNS, remarks(found))


def _names_by_number(shell: Shell, sockets: Iterable[SocketPicture]) -> dict[int, str]:
    """What sockets are called: by the user, else by us, else as the coroutine that they belong to."""
    owners = {picture.id: shell.scheduler.coroutine(picture.owner) for picture in sockets}
    theirs = {number: owner.name for number, owner in owners.items() if owner is not None}
    ours = {thing.value.id: name for name, thing in shell.things.items() if isinstance(thing.value, Socket)}
    values = {name: shell.names.get(name) for name in shell.bound}
    return theirs | ours | {value.id: name for name, value in values.items() if isinstance(value, Socket)}


# -- the table -------------------------------------------------------------------------------------

_PEER: Final = Arg("address", "host:port, :port, [::1]:port, unix:/path, or the name of a server", "address")
AS: Final = Arg("--as", "a Python name for it", "name")
_SOCKET: Final = Arg("socket", "a name, or a number from conns", "socket")
_TIMEOUT: Final = Arg("--timeout", "wait at most so long", "duration")
_SHOUT: Final = """\
def shout(conn):
    while data := conn.recv():
        conn.sendall(data.upper())
serve :0 shout --as s
nc s --send hi --expect HI"""
_TALK: Final = "echo :0 --as e\nconnect e as c"

COMMANDS: Final = (
    Command(
        "serve",
        "start a server whose connections are handled by a function",
        serve,
        (
            ADDRESS,
            Arg("handler", "a function of one connection, or {an expression}", "value"),
            AS,
            PUBLIC,
            *SERVE_TLS,
        ),
        (
            _SHOUT,
            "serve :0 {lambda conn: conn.sendall(b'bye')} --as s\nnc s --expect bye",
        ),
        show=serving_lines,
        details=(
            "Each connection has a coroutine of its own, and is closed when the function returns. " + TRY_TLS
        ),
    ),
    Command(
        "connect",
        "open a connection, and give it a name",
        connect,
        (_PEER, AS, _TIMEOUT, *CONNECT_TLS),
        (f'{_TALK}\nsend c "hi\\n"\nrecv c',),
        show=_connected_lines,
        details=(
            "`connect e as c` is `connect e --as c`. The called form, connect(...), is coloop's and returns the socket."
            " With --tls the server's certificate must be for the host of the address, and from an authority that"
            " this machine trusts, or --ca FILE."
        ),
    ),
    Command(
        "send",
        "send a text through a connection",
        send,
        (_SOCKET, Arg("data", 'text, as in "hi\\n", or bytes that are put in', "value"), _TIMEOUT),
        (f'{_TALK}\nsend c "hi\\n"', f"{_TALK}\nsend c {{bytes(range(4))}}"),
        show=_sent_lines,
        details="What is typed is sent as it stands, in UTF-8, and nothing is added to it.",
    ),
    Command(
        "recv",
        "receive what has come, or wait for something to come",
        recv,
        (_SOCKET, Arg("count", "at most so many bytes", "int", optional=True), _TIMEOUT),
        (f"{_TALK}\nsend c hello\nrecv c --timeout 2s",),
        show=_received_lines,
    ),
    Command(
        "shutdown",
        "end one direction of a connection, or both",
        shutdown,
        (
            _SOCKET,
            Arg(
                "how",
                "which direction",
                "choice",
                default="write",
                optional=True,
                choices=("read", "write", "both"),
            ),
        ),
        (f"{_TALK}\nshutdown c\nrecv c",),
        show=_ended_lines,
    ),
    Command(
        "close",
        "close connections, and stop servers",
        close,
        (
            Arg("name", "a name, or a number from conns", "socket", repeat=True),
            Arg("--linger", "wait at most so long for the peer, or for a server's connections", "duration"),
            Arg("--reset", "tear the connection down; what was not sent is lost", "flag"),
        ),
        (f"{_TALK}\nclose c --linger 1s\nclose e", f"{_TALK}\nclose c --reset"),
        show=_ended_lines,
        details="Without an option the kernel sends the rest in the background, and a server cuts its connections off.",
    ),
    Command(
        "conns",
        "list sockets and listeners, as we see them and as the kernel does",
        conns,
        (Arg("--all", "those too by which the shell talks to its worker processes", "flag"),),
        (f"{_TALK}\nconns",),
        lane="any",
        show=lines_of,
    ),
)
