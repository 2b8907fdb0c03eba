"""Talking to whoever listens: at the keyboard, as a script, and as many at once."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import coloop
from coloop import Socket
from coshell.certificate import Certificate, Trust
from coshell.command import Arg, Command, CommandError, UsageError
from coshell.commands.ends import as_bytes, in_one_line, open_connection
from coshell.listening import PUBLIC, as_text, checked_address
from coshell.nc import Conversation, NcOptions
from coshell.nc_script import DEFAULT_TIMEOUT_S, Exchange, Script, Unexpected, play
from coshell.reach import is_for_datagrams
from coshell.text import plural, printable
from coshell.tls_options import CERT, CONNECT_TLS, KEY, TRY_TLS, certificate, in_words, trust
from coshell.values import Bytes, Duration

if TYPE_CHECKING:
    from coshell.shell import Shell

_LONE_NEWLINE: Final = re.compile(rb"(?<!\r)\n")


@dataclass(frozen=True)
class Crowd:
    """What many sessions came to, all held at once.

    Attributes:
        ok: how many went as expected.
        failed: how many did not.
        sent: bytes sent by those that did.
        received: bytes received by them.
        took: from the first to the last.
    """

    ok: int
    failed: int
    sent: Bytes
    received: Bytes
    took: Duration


@dataclass(frozen=True)
class Reached:
    """What `nc --zero` found: somebody listens there.

    Attributes:
        address: where.
        took: until the connection stood.
    """

    address: str
    took: Duration


@dataclass(frozen=True)
class Wish:
    """What `nc` was asked for; see its arguments. Over TLS it shows `shown`, or trusts as `trust` says."""

    send: tuple[Any, ...]
    expect: tuple[Any, ...]
    timeout: float
    wait: float | None
    crlf: bool
    many: int | None
    listen: bool
    zero: bool
    public: bool
    shown: Certificate | None
    trust: Trust | None

    @property
    def scripted(self) -> bool:
        """Whether nobody is to type."""
        return bool(self.send or self.expect or self.many is not None)

    def script(self) -> Script:
        """What to say and to hear."""
        texts = tuple(as_bytes(text) for text in self.send)
        if self.crlf:
            texts = tuple(_LONE_NEWLINE.sub(b"\r\n", text) for text in texts)
        return Script(texts, tuple(as_bytes(text) for text in self.expect), self.timeout, self.wait)


def nc(shell: Shell, address: Any, **asked: Any) -> Exchange | Crowd | Reached | None:
    """Talk to whoever listens: at the keyboard, or as a script."""
    address = _addressed(shell, address, udp=asked.pop("udp"), unix=asked.pop("unix"))
    wish = _wish(asked)
    if wish.zero:
        return _zero(shell, address, wish)
    if wish.many is not None:
        return _many(shell, address, wish)
    if not wish.scripted and shell.terminal is None:
        raise CommandError("nc: nobody can type here: give --send TEXT and --expect TEXT")
    if wish.listen:
        socket, took_s = _accepted(shell, address, wish)
    else:
        socket, took_s = open_connection(shell, address, wish.wait, wish.trust)
    try:
        if wish.scripted:
            return _scripted(shell, socket, wish)
        _at_keyboard(shell, socket, wish, took_s)
    finally:
        socket.close()
        shell.things.remove(socket)
    return None


def _addressed(shell: Shell, address: Any, *, udp: bool, unix: bool) -> Any:
    """The address, of the kind that -u or -U ask for if it does not say so itself."""
    if not (udp or unix):
        return address
    if udp and unix:
        raise UsageError(
            "nc: --udp is for hosts, and --unix for paths: give one of them; unixgram:/path is both"
        )
    text = as_text(shell.resolve_address(address))
    says_so = is_for_datagrams(text) if udp else text.startswith(("unix:", "unixgram:"))
    return text if says_so else f"{'udp' if udp else 'unix'}:{text}"


def _zero(shell: Shell, address: Any, wish: Wish) -> Reached:
    """Connect, and leave at once."""
    if wish.scripted or wish.listen:
        raise UsageError("nc: --zero says and hears nothing: leave out --send, --expect, --many and --listen")
    if is_for_datagrams(as_text(shell.resolve_address(address))):
        raise UsageError("nc: --zero cannot tell of datagrams, which nobody answers for: --send something")
    socket, took_s = open_connection(shell, address, wish.wait, wish.trust)
    with socket:
        return Reached(str(socket.peer), Duration(took_s))


def _wish(asked: dict[str, Any]) -> Wish:
    """What was asked for, if it goes together."""
    listen, tls = asked["listen"], asked["tls"]
    files = {name: asked.pop(name) for name in ("cert", "key")}
    terms = {name: asked.pop(name) for name in ("ca", "insecure", "servername")}
    del asked["tls"]
    for name, value in (terms if listen else files).items():
        if value:
            other = (
                "for who connects: leave out --listen" if listen else "for --listen: who connects shows none"
            )
            raise UsageError(f"nc: --{name} is {other}")
    if asked["public"] and not listen:
        raise UsageError("nc: --public is for --listen")
    if listen and asked["many"] is not None:
        raise UsageError("nc: --many connects, --listen waits for one: give one of them")
    shown = certificate("nc", tls=tls, **files) if listen else None
    return Wish(**asked, shown=shown, trust=None if listen else trust("nc", tls=tls, **terms))


def _accepted(shell: Shell, address: Any, wish: Wish) -> tuple[Socket, float]:
    """Whoever connects first, and how many seconds that took; a script waits as long as for its whole."""
    text = checked_address(address, wish.public)
    limit_s = wish.wait or (wish.timeout if wish.scripted else None)
    now = shell.scheduler.clock.now
    began_s = now()
    with in_one_line():
        context = None if wish.shown is None else wish.shown.context()
        with coloop.listen(text, tls=context) as listener:
            shell.notice(f"nc: listening on {listener.address}{' over TLS' if context else ''}")
            try:
                socket = listener.accept(limit_s)
            except coloop.Timeout:
                raise CommandError(
                    f"nobody has connected to {listener.address} within {limit_s:g}s"
                ) from None
        if isinstance(socket, coloop.TlsSocket):
            _shake_hands(socket)
    return socket, now() - began_s


def _shake_hands(socket: coloop.TlsSocket) -> None:
    try:
        socket.handshake()
    except BaseException:
        socket.abandon()
        raise


def _scripted(shell: Shell, socket: Socket, wish: Wish) -> Exchange:
    with in_one_line():
        try:
            return play(socket, wish.script(), shell.scheduler.clock.now)
        except Unexpected as error:
            raise CommandError(str(error)) from None


def _at_keyboard(shell: Shell, socket: Socket, wish: Wish, took_s: float) -> None:
    assert shell.terminal is not None
    name = shell.things.add("nc", socket).name
    tls = "" if socket.tls is None else socket.tls.version
    options = NcOptions(name, wish.crlf, wish.wait, shell.settings.ascii, took_s, tls)
    shell.terminal.converse(socket, options)


def _many(shell: Shell, address: Any, wish: Wish) -> Crowd:
    count = wish.many or 0
    if count < 1:
        raise UsageError(f"nc: --many {count}: at least one is needed")
    now = shell.scheduler.clock.now
    began_s = now()
    done: list[Exchange] = []
    failures: Counter[str] = Counter()

    def session() -> None:
        try:
            done.append(_once(shell, address, wish))
        except CommandError as error:
            failures[str(error)] += 1

    with coloop.Group() as crowd:
        for number in range(count):
            crowd.go(session, name=f"nc many/{number + 1}")
    if failures:
        ((worst, times),) = failures.most_common(1)
        raise CommandError(
            f"{len(done):,} ok, {failures.total():,} failed: {worst} ({plural(times, 'time')})"
        )
    sent, received = sum(each.sent for each in done), sum(each.received for each in done)
    return Crowd(len(done), 0, Bytes(sent), Bytes(received), Duration(now() - began_s))


def _once(shell: Shell, address: Any, wish: Wish) -> Exchange:
    """One scripted session on a connection of its own."""
    socket, _ = open_connection(shell, address, wish.wait, wish.trust)
    try:
        return _scripted(shell, socket, wish)
    finally:
        socket.close()


def _nc_lines(value: Exchange | Crowd | Reached | None, _: int) -> list[str]:
    if value is None:
        return []
    if isinstance(value, Reached):
        return [printable(f"ok  {value.address} listens: connected in {value.took}", keep="")]
    if isinstance(value, Crowd):
        return [f"{value.ok:,} ok, {value.failed:,} failed in {value.took}: {_amount(value)}"]
    conversation = Conversation(NcOptions(lines_per_s=None), lambda: 0.0)
    lines = [] if value.tls is None else [f". {in_words(value.tls, as_server=value.listened)}"]
    return [*lines, *conversation.received(value.data), f". {_amount(value)} in {value.took}"]


def _amount(value: Exchange | Crowd) -> str:
    return f"sent {plural(value.sent, 'byte')}, received {plural(value.received, 'byte')}"


COMMANDS: Final = (
    Command(
        "nc",
        "talk to whoever listens: at the keyboard, or as a script",
        nc,
        (
            Arg("address", "host:port, :port, [::1]:port, unix:/path, or the name of a server", "address"),
            Arg("--send", 'say this; text as in "hi\\n", or bytes that are put in', "value", repeat=True),
            Arg("--expect", "wait until this comes", "value", repeat=True),
            Arg("--timeout", "for the whole script", "duration", default=DEFAULT_TIMEOUT_S),
            Arg("--wait", "give up connecting, or a silent peer, after so long", "duration", "-w"),
            Arg("--crlf", "end lines with CR LF", "flag"),
            Arg("--many", "hold so many sessions at once", "int"),
            Arg("--listen", "let somebody connect to ADDRESS, once", "flag", "-l"),
            Arg("--udp", "send datagrams, as to udp:host:port", "flag", "-u"),
            Arg("--unix", "ADDRESS is a path, as in unix:/path", "flag", "-U"),
            Arg("--zero", "connect and leave: does anybody listen?", "flag", "-z"),
            PUBLIC,
            *CONNECT_TLS,
            CERT,
            KEY,
        ),
        (
            'echo :0 --as e\nnc e --send "hi\\n" --expect hi --timeout 2s',
            'echo :0 --as e\nnc e --many 50 --send "hi\\n" --expect hi',
        ),
        show=_nc_lines,
        details=(
            "At the keyboard a line is sent when it is entered; \\n \\r \\t \\0 \\e \\\\ \\xNN \\uNNNN are escapes."
            " Ctrl-D closes our half, Ctrl-] is a menu, Ctrl-C leaves. As a script the first --send is said, then"
            " the first --expect waited for, then the second of each, and so on. Without --expect our half is"
            " closed after the last --send, and all that comes is shown."
            " With --tls the server's certificate must be for the host of the address, and from an authority that"
            " this machine trusts, or --ca FILE; with --listen it is you who shows one."
            f" {TRY_TLS}"
        ),
    ),
)
