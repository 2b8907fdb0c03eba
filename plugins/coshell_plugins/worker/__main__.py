"""What a worker does: it serves what its master gave it, tells how it is, and ends when it is told to.

Its whole life is the channel. The first message says what to serve; after that it waits for orders, and when the
channel ends, because the master has gone, it drains and ends as well. Each half second it tells what it has served
and holds, with pictures of its coroutines and sockets, because nobody can look into it from outside; if taking those
takes long, it takes them less often.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import coloop
from coloop import Coroutine, Server, SocketPicture

from . import shipping
from .blame import in_one_line
from .channel import Channel, ChannelError, Message, is_from_parent
from .leash import die_with_parent
from .lookout import COROUTINE_FIELDS, SOCKET_FIELDS, Lookout
from .offer import Offer

REPORT_S: Final = 0.5
COUNT_S: Final = 0.05  # how often requests are counted if there is a limit to them
PICTURES: Final = 200
PICTURES_SHARE: Final = 20  # taking pictures may take a twentieth of the time
CANNOT_SERVE: Final = 3


class Worker:
    """One worker, from its first message to its end.

    Args:
        listener: the descriptor of what it accepts connections from.
        channel: leads to its master.
        questions: where its master asks about its coroutines.
    """

    def __init__(self, listener: int, channel: socket.socket, questions: socket.socket) -> None:
        self._listener = listener
        self._channel = Channel(channel)
        self._questions = questions
        self._own: set[int] = set()
        self._server: Server | None = None
        self._acceptor: Coroutine | None = None
        self._max_requests: int | None = None
        self._max_wait_s = 0.0
        self._pictures_due = 0.0
        self._ending = False
        self._ended = False

    def run(self) -> None:
        """Serve until the channel ends; raises SystemExit."""
        if not is_from_parent(self._channel.peer_pid):
            print(
                f"the channel was made by process {self._channel.peer_pid}, not by my parent", file=sys.stderr
            )
            raise SystemExit(CANNOT_SERVE)
        me, start = coloop.current(), self._channel.receive()
        if me is None or start is None:
            raise SystemExit(0)
        self._own.add(me.id)
        server = self._begin(start)
        self._channel.post({"event": "ready", **self._status(server)})
        self._own.add(coloop.go(self._report, server, name="report").id)
        self._own.add(coloop.go(self._end_on_sigterm, name="sigterm").id)
        self._own.add(coloop.go(self._end_with_server, server, name="watch").id)
        while (order := self._next_order()) is not None:
            self._obey(order, server)
        if not self._ended:
            self._ending = True
            _stop(server, self._max_wait_s)
        raise SystemExit(0)

    def _begin(self, start: Message) -> Server:
        try:
            _restore_path(start["path"])
            self._max_requests, self._max_wait_s = start["max_requests"], start["max_wait_s"]
            coloop.memory.set_level(start["level"])
            Lookout(self._questions, self._own).start()  # before what may hang for the first time
            self._server = self._serve(start)
        except BaseException as error:
            traceback.print_exc()
            self._channel.post({"event": "refused", "why": in_one_line(error)})
            self._channel.flush()
            raise SystemExit(CANNOT_SERVE) from None
        return self._server

    def _serve(self, start: Message) -> Server:
        offer: Offer = shipping.unpack(start["offer"])
        if not start["first"]:  # the server starts once, and each of its workers
            others = {event: call for event, call in offer.callbacks.items() if event != "on_start"}
            offer = replace(offer, callbacks=others)
        listener = offer.listen(f"fd:{self._listener}")
        server = offer.serve(listener, start["name"], worker=start["number"])
        if not server.draining:  # else its own callbacks have stopped it
            self._acceptor = coloop.current_scheduler().living[listener.owner]
            self._own.add(self._acceptor.id)
        server.postman = self._take
        return server

    def _next_order(self) -> Message | None:
        try:
            return self._channel.receive()
        except ChannelError as error:
            print(f"from the master: {error}", file=sys.stderr)
            return None

    def _obey(self, order: Message, server: Server) -> None:
        match order:
            case {"do": "drain", "seconds": seconds, "last": last}:
                if not last:
                    server.on("shutdown", None)
                coloop.go(self._end, server, seconds, name="drain")
            case {"do": "change", "number": number, "change": change}:
                why = _changed(server, change)
                self._channel.post({"event": "changed", "number": number, "why": why})
            case {"do": "deliver", "from": sender, "data": data}:
                server.deliver(sender, data)
            case {"do": "complain", "why": why}:
                print(why, file=sys.stderr)
            case {"do": "report"}:
                self._tell(server)
            case _:
                print(f"unknown order: {str(order)[:200]}", file=sys.stderr)

    def _take(self, to: int, data: object) -> None:
        """The server's postman."""
        try:
            self._channel.post({"event": "message", "to": to, "data": data})
        except ChannelError as error:
            raise ValueError(f"to worker {to}: {error}") from None

    # -- the end ------------------------------------------------------------------------------------

    def _end(self, server: Server, seconds: float) -> None:
        """Let nobody in any more, let those who are there finish, and close the channel: `run` ends then."""
        self._ending = True
        drained = _stop(server, seconds)
        if self._ended:
            return
        self._ended = True
        with suppress(ChannelError):
            self._channel.post({"event": "stopped", "drained": drained, **self._status(server)})
            self._channel.flush()
        self._channel.close()

    def _end_on_sigterm(self) -> None:
        """Somebody else than the master asks for the end: in order, too."""
        coloop.wait_signal(signal.SIGTERM)
        assert self._server is not None
        self._end(self._server, self._max_wait_s)

    def _end_with_server(self, server: Server) -> None:
        """Whoever accepts nobody any more, though nobody has told it to end, makes room for one that does."""
        how = "was stopped"
        if self._acceptor is not None:
            self._acceptor.join()
            how = str(self._acceptor.outcome)
        if self._ending:
            return
        print(f"nobody is accepted here any more, so this worker ends: {how}", file=sys.stderr)
        server.on("shutdown", None)  # it is this worker that ends, and not the server
        self._end(server, self._max_wait_s)

    # -- reports ------------------------------------------------------------------------------------

    def _report(self, server: Server) -> None:
        while True:
            self._wait_until_due(server)
            self._tell(server)

    def _tell(self, server: Server) -> None:
        report: Message = {"event": "status", **self._status(server)}
        with suppress(ChannelError):
            try:
                self._channel.post({**report, **self._pictures()})
            except ChannelError:  # too long
                self._channel.post(report)

    def _wait_until_due(self, server: Server) -> None:
        """Half a second, or until it has served what it may."""
        most = self._max_requests
        if most is None or server.requests >= most:
            coloop.sleep(REPORT_S)
            return
        for _ in range(round(REPORT_S / COUNT_S)):
            coloop.sleep(COUNT_S)
            if server.requests >= most:
                return

    def _status(self, server: Server) -> Message:
        scheduler = coloop.current_scheduler()
        now = server.statistics()
        return {
            "state": now.state,
            "connections": now.connections,
            "accepted": now.accepted,
            "rejected": now.rejected,
            "failed": now.failed,
            "requests": server.requests,
            "answers": _answers(server),
            "trouble": now.last_trouble,
            "live": len(scheduler.living),
            "heap": coloop.memory.usage(),
            "rss": _resident_bytes(),
        }

    def _pictures(self) -> Message:
        began = perf_counter()
        if began < self._pictures_due:
            return {}
        taken = coloop.current_scheduler().snapshot(PICTURES, dead=False, sockets=PICTURES)
        message = {
            "coroutines": [[getattr(one, name) for name in COROUTINE_FIELDS] for one in taken.coroutines],
            "sockets": [_socket_picture(one) for one in taken.sockets if one.id != self._channel.id],
        }
        self._pictures_due = began + PICTURES_SHARE * (perf_counter() - began)
        return message


def _stop(server: Server, seconds: float) -> bool:
    """Whatever its last callbacks do, this goes on."""
    try:
        return server.stop(drain=seconds)
    except Exception:
        traceback.print_exc()
        return not server.connections


def _answers(server: Server) -> dict[int, int] | None:
    """How many of each hundred, if its handler counts such."""
    tell = getattr(server.handler, "answers_at", None)
    return None if tell is None else dict(tell(server))


def _changed(server: Server, change: str) -> str | None:
    """Have something changed; why it cannot be."""
    try:
        what, key, value = shipping.unpack(change)
        if what == "on":
            server.on(key, value)
        else:
            server.set(key, value)
    except Exception as error:
        return in_one_line(error)
    return None


def _socket_picture(picture: SocketPicture) -> list[Any]:
    tls = None if picture.tls is None else asdict(picture.tls)
    return [*(getattr(picture, name) for name in SOCKET_FIELDS), tls]


def _resident_bytes() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return None


def _restore_path(path: str | None) -> None:
    """What the handlers start shall not inherit what was meant for us."""
    if path is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = path


def main() -> None:
    """Called with the descriptors of listener, channel and questions, the parent's pid, and a title to be seen."""
    listener, channel, questions, parent = map(int, sys.argv[1:5])
    die_with_parent(parent)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for descriptor in (listener, channel, questions):
        os.set_inheritable(descriptor, False)

    def live() -> None:
        Worker(listener, socket.socket(fileno=channel), socket.socket(fileno=questions)).run()

    run: Callable[..., Any] = coloop.run
    run(live)


if __name__ == "__main__":
    main()
