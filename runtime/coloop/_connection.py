"""One connection of a server with callbacks: who it is, what is sent to it, and how it ends.

Its end is decided once, by whoever comes first: the peer, one of us, a failure, silence. From that moment
on nothing can be sent, and who tries is told who has closed it, when, where and why. What follows
(on_close, sending what is queued, the end of the stream) is done by the connection's own coroutine, so
nobody who closes has to wait, and nothing comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._elsewhere import carried
from ._errors import Closed
from ._frames import calling_site
from ._framing import Bytes, Framing
from ._outbox import Outbox
from ._post import Post
from ._shelter import shelter
from ._silence import Vigil
from ._wire import Ending

if TYPE_CHECKING:
    from ._address import Address
    from ._scheduler import Scheduler
    from ._server import Server
    from ._socket import Socket


@dataclass(frozen=True, slots=True)
class ClosedBy:
    """How a connection has come to its end.

    Attributes:
        who: `peer` (it has ended its stream), `server` (a `close` of ours), `idle` (it was silent for too
            long), `error` (of a callback, or of what came), or `reset` (by either side: what was on its
            way is lost).
        at_s: when, on the scheduler's clock.
        where: the line of code that closed it, as `file.py:3 in function`; "" if it was none.
        why: the rest, in words.
    """

    who: Ending
    at_s: float
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.why} at {self.where}" if self.where else self.why


class Connection:
    """One connection of a server with callbacks. It is made by the server and handed to each of them.

    Attributes:
        id: its number, counted from 1 by its server and never used again.
        server: whose it is.
        framing: how its messages are told apart.
        data: whatever the callbacks want to keep with it; None at first.
        closed_by: how it has come to its end; None while it is open.
    """

    __slots__ = (
        "__weakref__",
        "_leaving",
        "_outbox",
        "_paused",
        "_post",
        "_scheduler",
        "_socket",
        "_vigil",
        "_working",
        "closed_by",
        "data",
        "framing",
        "id",
        "server",
    )

    def __init__(self, server: Server, socket: Socket, number: int) -> None:
        self.id = number
        self.server = server
        self.framing: Framing = server.settings.framing
        self.data: Any = None
        self.closed_by: ClosedBy | None = None
        self._socket = socket
        self._scheduler: Scheduler = socket._scheduler
        self._post = Post(self._scheduler)
        self._outbox = Outbox(socket, str(self), server.settings, self._broken, server._site)
        self._working = False  # whether a callback runs
        self._leaving = False  # whether it ends as soon as what has come is answered
        self._paused = False
        self._vigil = Vigil(self)

    @property
    def peer(self) -> Address | None:
        """The other end's address; None where it has none."""
        return self._socket.peer

    @property
    def age_s(self) -> float:
        """Seconds on the scheduler's clock since it was accepted."""
        return self._socket.age_s

    @property
    def closed(self) -> bool:
        """Whether its end was decided, by whomever."""
        return self.closed_by is not None

    @property
    def queued(self) -> int:
        """Bytes to be sent that the kernel has not taken yet."""
        return self._outbox.queued

    @property
    def received(self) -> int:
        """Bytes received so far."""
        return self._socket.received

    @property
    def sent(self) -> int:
        """Bytes given to the kernel so far."""
        return self._socket.sent

    # -- sending ---------------------------------------------------------------------------------

    def send(self, message: Bytes) -> None:
        """Send a message, put in the framing of the connection. Messages arrive in the order of these calls.

        What the kernel does not take is queued. While more than `high_water` is, this parks until it is no
        more than `low_water`; what was not queued when its sender is interrupted is not sent.

        Raises:
            Closed: it is closed; the message tells who has closed it, when, where and why.
            OutputFull: too much is queued, and `overflow` is `fail`.
            ConnectionError: the peer has gone.
            ValueError: the message cannot be put in the framing.
            TypeError: it is not bytes.
        """
        frame = self.framing.encode(message)
        self._scheduler.check_thread("send")
        self._scheduler.checkpoint()
        self._check_open()
        self._vigil.sent_at = self._now()
        self._outbox.put(frame)

    def _offer(self, frame: bytes) -> bool:
        """As `send`, of what is framed; False instead of waiting, and if it is closed. Never parks."""
        if self.closed_by is not None:
            return False
        self._vigil.sent_at = self._now()
        try:
            return self._outbox.offer(frame)
        except (OSError, Closed):
            return False

    def _check_open(self) -> None:
        if self.closed_by is not None:
            raise self._refusal()

    def _refusal(self) -> Closed:
        """What somebody gets who wants to send, or was waiting to."""
        end = self.closed_by
        assert end is not None
        ago = max(0.0, self._now() - end.at_s)
        return Closed(f"{self} is closed: {end}, {ago:.3g}s ago")

    # -- closing ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Close it. Returns at once; a second time nothing happens.

        No message is delivered any more. When the callback that runs has returned, `on_close` is called;
        then what is queued is sent, and the end of the stream. What the peer still sends is read and
        dropped for a second, because a close over unread data would reset the connection and could lose
        the answer.
        """
        self._scheduler.check_thread("close")
        if self.closed_by is None:
            self._end("server", f"closed by {self._me()}", _where())

    def reset(self) -> None:
        """Tear it down at once: what is queued is dropped, and the peer gets a reset instead of an end."""
        self._scheduler.check_thread("reset")
        if self.closed_by is None:
            self._end("reset", f"reset by {self._me()}", _where())
        self._outbox.drop()
        self._socket.close(linger=0)

    def _me(self) -> str:
        me = self._scheduler.running
        return "the scheduler" if me is None else f"{me} {me.name!r}"

    def _end(self, who: Ending, why: str, where: str = "") -> None:
        """Decide its end, if nobody has yet. Never parks."""
        if self.closed_by is not None:
            return
        with shelter(self._scheduler):
            self.closed_by = ClosedBy(who, self._now(), where, why)
            self.server._count_end(who)
            self._vigil.end()
            if who == "reset" or (who == "idle" and self.queued):
                self._outbox.drop()
            self._outbox.refuse(self._refusal)
            self._post.call_away()

    def _broken(self, error: BaseException) -> None:
        """Nothing can be sent any more."""
        if isinstance(error, ConnectionResetError):
            self._end("reset", str(error))
        elif isinstance(error, (OSError, Closed)):
            self._end("peer" if self._socket.peer_gone else "error", str(error))
        else:
            self._end("error", f"its writer failed: {error!r}")
        self._outbox.drop()

    def _leave(self) -> None:
        """End as soon as what has come is answered."""
        self._leaving = True
        self._post.call_away()

    def _let_go(self) -> None:
        """All is over: what serves it knows it no more, so that it is freed with its last holder and is no garbage."""
        self._outbox.let_go()
        self._vigil.let_go()

    # -- pausing ---------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether its messages are held up, by itself and not by its server."""
        return self._paused

    def pause(self) -> None:
        """Read no more, until `resume`: then the peer will soon be able to send no more. Returns at once."""
        self._scheduler.check_thread("pause")
        self._hold(paused=True)

    def resume(self) -> None:
        """Read again. Returns at once."""
        self._scheduler.check_thread("resume")
        self._hold(paused=False)

    def _hold(self, *, paused: bool) -> None:
        with shelter(self._scheduler):
            self._paused = paused
            self._post.call_away()

    @property
    def _held(self) -> bool:
        """Whether messages are held up; at a drain nobody is left to resume."""
        return (self._paused or self.server._paused) and not self._leaving

    def _now(self) -> float:
        return self._scheduler.clock.now()

    def __reduce__(self) -> tuple[Any, ...]:
        return carried(self, f"{self} from {self.peer}" if self.peer else str(self))

    def __str__(self) -> str:
        return f"{self.server.name}/c{self.id}"

    def __repr__(self) -> str:
        state = "open" if self.closed_by is None else f"closed by {self.closed_by.who}"
        return f"<Connection {self} {self.peer} {state}>"


def _where() -> str:
    site = calling_site(2)
    return "" if site is None else str(site)
