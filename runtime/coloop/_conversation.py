"""The order of what is said of a connection: connect, then each message, then close, exactly once.

All of it is said by the connection's own coroutine, one after another, so no two callbacks of one
connection ever run at the same time, and none after `on_close`. Whoever closes a connection only decides
its end and calls this coroutine away from its reading.

A close by us is gentle: what is queued is sent, then the end of our stream, and what the peer still sends
is read and dropped for a while, because a close over unread data resets the connection and may lose what
we sent.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ._connection import Connection
from ._errors import Busy, Cancelled, Closed, Timeout
from ._framing import Decoder, MessageTooLong
from ._timeouts import timeout as time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LINGER_S: Final = 1.0
NEWCOMER_S: Final = (
    3.0  # from connecting to the first message; longer only in trouble, or for who says nothing
)
PATIENCE_S: Final = 60.0  # with a peer that takes nothing of what is queued when it is closed; as nginx has


def converse(connection: Connection) -> None:
    """Lead a connection from its beginning to its end."""
    gently = True
    try:
        connection._vigil.begin()
        _call(connection, connection.server.callbacks.on_connect)
        _receive_all(connection)
    except BaseException as error:
        gently = False  # a failure is told when this coroutine ends, and `stop` has little patience
        _end_for(connection, error)
        raise
    finally:
        try:
            _call(connection, connection.server.callbacks.on_close)
        finally:
            _part(connection, gently=gently)


def _call(connection: Connection, callback: Callable[..., object] | None, *args: object) -> None:
    """`callback(connection, *args)`, if anybody wants to hear of it."""
    if callback is None:
        return
    connection._working = True
    try:
        callback(connection, *args)
    finally:
        connection._working = False


def _end_for(connection: Connection, error: BaseException) -> None:
    """A callback has failed, or somebody ends this coroutine."""
    if isinstance(error, Cancelled):
        connection._end("server", str(error) or "cancelled")
    elif isinstance(error, ConnectionResetError) and connection._socket._reset:
        connection._end("reset", str(error))
    elif isinstance(error, (ConnectionError, Closed)) and connection._socket.peer_gone:
        connection._end("peer", str(error))
    else:
        connection._end("error", f"a callback failed: {error!r}")


# -- receiving -----------------------------------------------------------------------------------


def _receive_all(connection: Connection) -> None:
    decoder = connection.framing.decoder()
    while connection.closed_by is None:
        data = _hear(connection, decoder)
        if data:
            connection._vigil.heard_at = connection._now()
            _deliver_all(connection, decoder, data)
        elif data is not None:
            _end_of_stream(connection, decoder)


def _hear(connection: Connection, decoder: Decoder) -> bytes | None:
    """What has come, `b""` at the end; None if this is to look again whether it is closed, or held up."""
    if connection._held:
        return connection._post.wait(connection._scheduler.park, "wait until resumed", connection)
    try:
        if connection._leaving and not decoder.rest:
            return connection._post.wait(_recv_within, connection, _time_to_speak_s(connection))
        return connection._post.wait(connection._socket.recv)
    except Timeout:
        connection._end("server", "its server stops")
    except ConnectionResetError as error:
        connection._end("reset", str(error))
    except (OSError, Closed) as error:
        _lost(connection, error)
    return None


def _recv_within(connection: Connection, seconds: float) -> bytes:
    return connection._socket.recv(timeout=seconds)


def _time_to_speak_s(connection: Connection) -> float:
    """Who has just come was promised to be heard: his first message may be on its way, also when all are to leave."""
    socket = connection._socket
    return 0.0 if socket.received else max(0.0, NEWCOMER_S - socket.age_s)


def _lost(connection: Connection, error: Exception) -> None:
    """Nothing can be received any more."""
    if connection._socket.peer_gone:
        connection._end("peer", str(error))
    elif connection._socket.closed:
        connection._end("server", str(error))
    else:
        connection._end("error", str(error))


def _end_of_stream(connection: Connection, decoder: Decoder) -> None:
    why = f"its peer {connection.peer} has ended it" if connection.peer else "its peer has ended it"
    unfinished = len(decoder.rest)
    if unfinished:
        why += f", {unfinished} bytes after the last whole message"
    connection._end("peer", why)


def _deliver_all(connection: Connection, decoder: Decoder, data: bytes) -> None:
    try:
        messages = decoder.feed(data)
    except MessageTooLong as error:
        _deliver_each(connection, error.before)
        if connection.closed_by is None:
            connection._end("error", str(error))
            connection.server._warn(f"{connection} was closed: {error}")
    else:
        _deliver_each(connection, messages)


def _deliver_each(connection: Connection, messages: Sequence[bytes]) -> None:
    server = connection.server
    for message in messages:
        while connection._held and connection.closed_by is None:
            connection._post.wait(connection._scheduler.park, "wait until resumed", connection)
        if connection.closed_by is not None:
            return
        server.requests += 1
        server.messages += 1
        _call(connection, server.callbacks.on_receive, message)


# -- ending --------------------------------------------------------------------------------------


def _part(connection: Connection, *, gently: bool) -> None:
    """Send what is queued, then our end; the socket itself is closed by who has called this."""
    end, socket = connection.closed_by, connection._socket
    assert end is not None
    if socket.closed:
        return
    if end.who == "reset" or not connection._outbox.empty(PATIENCE_S):
        connection._outbox.drop()
        socket.close(linger=0)
    elif gently and end.who in ("server", "error") and not socket.peer_gone:
        with suppress(OSError, Closed, Busy):
            socket.shutdown("write")
            with time_limit(LINGER_S):
                while socket.recv():
                    pass
