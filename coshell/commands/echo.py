"""`echo`: over streams, TLS, unix sockets and datagrams, in this process or in workers, well done or badly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import coloop
from coshell.command import Arg, Command, UsageError
from coshell.commands.ends import in_one_line, name_of
from coshell.commands.network import AS, Serving, serving_lines, serving_of, start_server
from coshell.datagram_echo import SENSELESS, DatagramEcho
from coshell.echoing import Faults, echo_handler
from coshell.listening import ADDRESS, PUBLIC, as_text, checked_address
from coshell.reach import is_for_datagrams, is_local
from coshell.tls_options import SERVE_TLS, TRY_TLS, certificate

if TYPE_CHECKING:
    from coshell.certificate import Certificate
    from coshell.shell import Shell

_FILES: Final = ("unix:", "unixgram:")


@dataclass(frozen=True)
class _Wish:
    """What is asked for, but for the faults."""

    address: Any
    public: bool
    workers: int | None
    udp: bool
    unix: bool
    tls: bool
    cert: Path | None
    key: Path | None

    @property
    def datagrams(self) -> bool:
        return self.udp or is_for_datagrams(str(self.address))

    @property
    def a_file(self) -> bool:
        return self.unix or str(self.address).startswith(_FILES)

    def check(self) -> None:
        """What goes together with what."""
        if self.address is None and not self.unix:
            raise UsageError("echo: ADDRESS is missing; only --unix finds one by itself")
        if self.unix and self.udp is False and str(self.address).startswith("udp:"):
            raise UsageError(f"echo: --unix takes a path, and {self.address} is none")
        if self.datagrams and (self.tls or self.workers is not None):
            other = "--tls" if self.tls else "--workers"
            raise UsageError(f"echo: {other} is for connections, and datagrams have none")


def echo(shell: Shell, as_: str | None, **given: Any) -> Serving:
    """Start a server that sends back whatever it receives, as well as the faults allow."""
    wish = _Wish(**{name: given.pop(name) for name in _Wish.__dataclass_fields__})
    numbers = given | {"workers": wish.workers}
    for name, value in numbers.items():
        if value is not None and value <= 0:
            raise UsageError(f"echo: --{name.replace('_', '-')} must be more than 0, not {value}")
    wish.check()
    faults = _faults(given, wish)
    shown = certificate("echo", tls=wish.tls, cert=wish.cert, key=wish.key)
    asked, place = _place(shell, wish)
    if wish.datagrams:
        return _start_datagrams(shell, asked, place, faults, as_, wish.public)
    if wish.workers is not None:
        return _start_workers(shell, asked, place, faults, as_, wish, shown)
    return start_server(shell, "echo", place, echo_handler(faults), as_, wish.public, asked=asked, tls=shown)


def _faults(given: dict[str, Any], wish: _Wish) -> Faults:
    senseless = [name for name in SENSELESS if wish.datagrams and given[name]]
    if senseless:
        option = f"--{senseless[0].replace('_', '-')}"
        raise UsageError(f"echo: {option} makes no sense for datagrams: each comes whole, or not at all")
    delay_s = given["delay"] or 0.0
    return Faults(delay_s, **{name: value or 0 for name, value in given.items() if name != "delay"})


def _place(shell: Shell, wish: _Wish) -> tuple[str, Any]:
    """The address as it was asked for, by which a rerun knows it again, and as it is."""
    if not wish.a_file:
        text = str(wish.address)
        if not wish.datagrams or is_for_datagrams(text):
            return text, wish.address
        text = f"udp:{as_text(wish.address)}"
        return text, text
    scheme = "unixgram:" if wish.datagrams else "unix:"
    path = "" if wish.address is None else str(wish.address)
    for prefix in _FILES:
        path = path.removeprefix(prefix)
    asked = f"{scheme}{path}"
    if path:
        return asked, asked
    return asked, f"{scheme}{shell.private_folder() / shell.things.next_name('echo')}"


def _start_datagrams(
    shell: Shell, asked: str, place: str, faults: Faults, bound: str | None, public: bool
) -> Serving:
    checked_address(place, public)
    known = shell.things.claim(asked, DatagramEcho) if shell.rerunning else None
    if known is not None:
        name, server = known.name, known.value
        server.faults = faults
    else:
        name = shell.things.next_name("echo")
        with in_one_line():
            server = DatagramEcho(coloop.bind(place), faults, name)
        shell.things.add("echo", server, asked)
    if bound is not None:
        shell.bind(bound, server)
    return serving_of(shell, name, server)


def _start_workers(
    shell: Shell,
    asked: str,
    place: Any,
    faults: Faults,
    bound: str | None,
    wish: _Wish,
    shown: Certificate | None,
) -> Serving:
    checked_address(place, wish.public)
    known_as = _name_of_before(shell, asked)  # claimed also if it has a name: the next one means another
    name = bound or known_as or next(f"echo{n}" for n in count(1) if f"echo{n}" not in shell.names)
    workers = wish.workers or 1
    server = shell.plugins.start_workers(name, place, echo_handler(faults), workers, shown)
    shell.things.note_asked(server, asked)
    address = str(server.address)
    return Serving(name, address, 0, not is_local(address), workers)


def _name_of_before(shell: Shell, asked: str) -> str | None:
    """In a rerun what serves that address already, under the name that it was given."""
    known = shell.things.claim(asked, object) if shell.rerunning else None
    return None if known is None else name_of(shell, known.value)


COMMANDS: Final = (
    Command(
        "echo",
        "start a server that sends back what it receives",
        echo,
        (
            replace(ADDRESS, optional=True),
            AS,
            PUBLIC,
            Arg("--workers", "let so many processes serve", "int"),
            Arg("--udp", "datagrams, not connections", "flag"),
            Arg("--unix", "ADDRESS is a path; without it a private one is made", "flag"),
            *SERVE_TLS,
            Arg("--delay", "each answer waits so long", "duration"),
            Arg("--chunk", "answers go out in pieces of so many bytes", "size"),
            Arg("--drop", "each so-manieth piece that comes gets no answer", "int"),
            Arg("--corrupt", "each so-manieth comes back with a bit turned over", "int"),
            Arg("--reset-after", "tear the connection down behind so many bytes", "size"),
            Arg(
                "--half-close-after",
                "send the end behind so many bytes, and only receive from then on",
                "size",
            ),
            Arg("--slow-read", "read so many bytes a second", "size"),
        ),
        (
            "echo :0",
            'echo :0 --as e\nnc e --send "hi\\n" --expect hi',
            'echo :0 --as e --corrupt 1\nnc e --send "hi\\n" --expect ii',
            'echo :0 --as e --chunk 1 --delay 10ms\nnc e --send "hi\\n" --expect hi',
            "echo :0 --udp --as e --delay 10ms\nconnect e as c\nsend c hi\nrecv c",
            'echo --unix --as e\nnc e --send "hi\\n" --expect hi',
        ),
        show=serving_lines,
        details=(
            "Its coroutines are called echo#1 for the one that accepts, and echo#1/c1, echo#1/c2 ... for connections."
            " The options from --delay on are faults, to try clients against. They are counted and not drawn: ends"
            " come at the same byte each time, the others at the same piece, as the network delivers them. Of"
            " datagrams each is a piece: --chunk and the two ends make no sense there."
            f" {TRY_TLS}"
        ),
    ),
)
