"""The words of the Study tutorial, for those who come from it: its scripts run almost as they stand.

    from coloop.study import Sco, Server, Sgo

    def serve():
        serv = Server("127.0.0.1", 8080)
        while True:
            connfd = serv.accept()
            while (data := serv.recv(connfd)) is not False:
                serv.send(connfd, data)
            serv.close(connfd)

    Sgo(serve)
    Sco.scheduler()

As there, `Sgo` works before the loop runs, the server's calls return False and set `errCode` when something is
wrong with a connection, and a connection is an integer. Unlike there, that integer is never the
descriptor's number, so one that is out of date reaches nobody; and what is wrong with the script
itself (`resume` of one that did not yield, a `sleep` that is too short) raises an exception.
"""
# ruff: noqa: N802 - the tutorial's names

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import Any, Final, Literal

from ._coroutine import default_name
from ._errors import AlreadyRunning, Busy, Cancelled, Closed, NotRunning, NotSuspended
from ._frames import calling_site
from ._listener import listen
from ._main_thread import signals_for
from ._scheduler import Scheduler, current_scheduler
from ._socket import RECV_BYTES, Socket
from ._timers import check_seconds

MIN_SLEEP_S: Final = 0.001

ST_ERROR_SESSION_CLOSED_BY_SERVER: Final = 1001
ST_ERROR_SESSION_CLOSED_BY_CLIENT: Final = 1002
ST_ERROR_SESSION_CLOSING: Final = 1003
ST_ERROR_SESSION_CLOSED: Final = 1004
ST_ERROR_SESSION_NOT_EXIST: Final = 1005
ST_ERROR_OUTPUT_BUFFER_OVERFLOW: Final = 1009
ST_ERROR_CO_HAS_BEEN_BOUND: Final = 10002
ST_ERROR_CO_CANNOT_CANCEL: Final = 10015
ST_ERROR_CO_NOT_EXISTS: Final = 10016
ST_ERROR_CO_CANCELED: Final = 10017
ST_ERROR_CO_TIMEDOUT: Final = 10018

_MESSAGES: Final = {
    ST_ERROR_SESSION_CLOSED_BY_SERVER: "Session closed by server",
    ST_ERROR_SESSION_CLOSED_BY_CLIENT: "Session closed by client",
    ST_ERROR_SESSION_CLOSED: "Session is closed",
    ST_ERROR_SESSION_NOT_EXIST: "Session does not exist",
    ST_ERROR_CO_HAS_BEEN_BOUND: "Session has already been bound to another coroutine",
}


class _Stage(threading.local):
    """Of each thread: the scheduler of what was started before the loop runs, and what ended the program."""

    scheduler: Scheduler | None = None
    ended_by: BaseException | None = None


_stage: Final = _Stage()


def Sgo(fn: Callable[..., Any], *args: Any) -> int:
    """Start `fn(*args)` now, in a coroutine; returns its id when it first parks or ends.

    Before `Sco.scheduler()` it works too; who has parked goes on then.
    """
    try:
        scheduler = current_scheduler()
    except NotRunning:
        return _go_early(fn, args)
    return scheduler.go(fn, args, spawned_at=calling_site(1) or "?").id


def _go_early(fn: Callable[..., Any], args: tuple[Any, ...]) -> int:
    if not callable(fn):
        raise TypeError(f"Sgo takes a function and its arguments, not {fn!r}")
    if _stage.scheduler is None:
        _stage.scheduler = Scheduler()
    site = calling_site(2) or "?"
    coroutine = _stage.scheduler.go_early(_first, (fn, args), name=default_name(fn), spawned_at=site)
    if _stage.ended_by is not None:
        error, _stage.ended_by = _stage.ended_by, None
        raise error
    return coroutine.id


def _first(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Ctrl-C and `sys.exit` in what the script itself has started are for the script."""
    try:
        return fn(*args)
    except (KeyboardInterrupt, SystemExit) as error:
        _stage.ended_by = error
        if _stage.scheduler is None:  # the loop runs
            current_scheduler().call_soon_threadsafe(_end_program)
        raise Cancelled("the program ends") from None


def _end_program() -> None:
    error, _stage.ended_by = _stage.ended_by, None
    if error is not None:
        raise error


class Sco:
    """What is said of coroutines."""

    create = staticmethod(Sgo)

    @staticmethod
    def getCid() -> int:
        """The id of the running coroutine; -1 outside of one."""
        try:
            running = current_scheduler().running
        except NotRunning:
            return -1
        return -1 if running is None else running.id

    @staticmethod
    def isExist(cid: int) -> bool:
        """Whether a coroutine of that id lives."""
        return _scheduler_here().coroutine(cid) is not None

    @staticmethod
    def yield_() -> None:
        """Park until somebody calls `resume` with this coroutine's id."""
        current_scheduler().park("suspend")

    @staticmethod
    def resume(cid: int) -> None:
        """Let one that called `yield_` go on; it has run, up to its next wait, when this returns.

        Outside of a coroutine it goes on when the loop runs.

        Raises:
            NotSuspended: it did not yield by itself, has ended, or never existed.
        """
        scheduler = _scheduler_here()
        coroutine = scheduler.coroutine(cid)
        if coroutine is None:
            fate = "has ended" if 0 < cid <= scheduler.spawned else "never existed"
            raise NotSuspended(f"resume error: co#{cid} {fate}")
        try:
            coroutine.resume()
        except NotSuspended as error:
            raise NotSuspended(f"resume error: {error}") from None
        if scheduler.running is not None:
            scheduler.yield_now()

    @staticmethod
    def sleep(seconds: float) -> None:
        """Park for so many seconds, 0.001 at least."""
        if check_seconds(seconds, "sleep") < MIN_SLEEP_S:
            raise ValueError(f"Timer must be greater than or equal to {MIN_SLEEP_S}")
        current_scheduler().sleep(seconds)

    @staticmethod
    def scheduler() -> None:
        """Run the loop until all coroutines that were started before, and all of theirs, have ended.

        Raises:
            AlreadyRunning: it runs: in a coroutine, or at the prompt of a shell, leave this line out.
            Deadlock: all that are left wait for each other.
            BaseException: Ctrl-C, or `SystemExit` of a coroutine that the script itself has started.
        """
        try:
            current_scheduler()
        except NotRunning:
            scheduler, _stage.scheduler = _stage.scheduler, None
        else:
            raise AlreadyRunning(
                "Sco.scheduler: a scheduler runs on this thread already: leave this line out"
            )
        if scheduler is not None:
            with signals_for(scheduler):
                scheduler.run_main(_nothing, ())


def _nothing() -> None:
    """What the loop begins with: all there is to do was started before."""


def _scheduler_here() -> Scheduler:
    return current_scheduler() if _stage.scheduler is None or Sco.getCid() >= 0 else _stage.scheduler


class Server:
    """A listening socket and its connections, which are known by integers.

    Args:
        host: an address or a name of this machine.
        port: 0 for any that is free.

    Attributes:
        host: as given.
        port: the real one.
        errCode: what was wrong with the last call, 0 if nothing: one of `ST_ERROR_...`, or the system's `errno`.
        errMsg: the same in words.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, host: str, port: int) -> None:
        self._listener = listen((host, port))
        self._sessions: dict[int, Socket] = {}
        self.host = host
        self.port = self._listener.address.port
        self.errCode = 0
        self.errMsg = ""

    def accept(self) -> int | Literal[False]:
        """The next connection; parks until there is one. False if it failed."""
        self._succeed()
        try:
            session = self._listener.accept()
        except (Closed, Busy, OSError) as error:
            return self._fail(error, ST_ERROR_SESSION_CLOSED, "accept")
        self._sessions[session.id] = session
        return session.id

    def recv(self, fd: int, length: int = RECV_BYTES) -> bytes | Literal[False]:
        """What has come, at most `length` bytes; parks while there is nothing.

        False when the client has closed the connection (`errCode` 1002), or it failed.
        """
        self._succeed()
        session = self._sessions.get(fd)
        if session is None:
            return self._refuse(ST_ERROR_SESSION_NOT_EXIST)
        try:
            data = session.recv(length)
        except (Closed, Busy, OSError) as error:
            return self._fail(error, self._closed_by(session), "recv")
        return data or self._refuse(ST_ERROR_SESSION_CLOSED_BY_CLIENT)

    def send(self, fd: int, data: bytes | str) -> int | Literal[False]:
        """Send all of `data` (text as UTF-8); returns how many bytes that were, or False if it failed."""
        self._succeed()
        session = self._sessions.get(fd)
        if session is None:
            return self._refuse(ST_ERROR_SESSION_NOT_EXIST)
        sent = data.encode() if isinstance(data, str) else data
        try:
            session.sendall(sent)
        except (Closed, Busy, OSError) as error:
            return self._fail(error, self._closed_by(session), "send")
        return len(sent)

    def close(self, fd: int) -> bool:
        """Close a connection; False if there is none of that number (any more)."""
        self._succeed()
        session = self._sessions.pop(fd, None)
        if session is None:
            return self._refuse(ST_ERROR_SESSION_NOT_EXIST)
        session.close()
        return True

    def shutdown(self) -> None:
        """Listen no more; who waits in `accept` gets False. The connections live on."""
        self._listener.close()

    @staticmethod
    def _closed_by(session: Socket) -> int:
        return ST_ERROR_SESSION_CLOSED_BY_SERVER if session.closed else ST_ERROR_SESSION_CLOSED_BY_CLIENT

    def _succeed(self) -> None:
        self.errCode, self.errMsg = 0, ""

    def _refuse(self, code: int) -> Literal[False]:
        self.errCode, self.errMsg = code, _MESSAGES[code]
        return False

    def _fail(self, error: Exception, code_if_closed: int, verb: str) -> Literal[False]:
        if isinstance(error, Busy):
            return self._refuse(ST_ERROR_CO_HAS_BEEN_BOUND)
        if isinstance(error, (Closed, ConnectionError)):
            return self._refuse(code_if_closed)
        number = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
        self.errCode, self.errMsg = number, os.strerror(number)
        current_scheduler().observer.warned(f"{verb} error: {error}")
        return False
