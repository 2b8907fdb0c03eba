"""How a server fares: what it has counted, as a picture for those who look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """A server at one moment; what is counted is counted from its start.

    How a connection has ended is counted once, by what came first. With a handler that is what the handler has
    met: an end of the stream that it has not read is none, and one that is silent is so when a call on it timed out,
    nothing has moved since, and the handler ended it then, or fails with that `Timeout`.

    Attributes:
        name: its name.
        address: where it listens.
        state: `accepting`, `pausing` (out of descriptors or memory), `paused` (on request) or `stopped`.
        connections: how many are open.
        max_connections: how many may be; None for no limit.
        accepted: how many were handed to the handler so far.
        rejected: how many were turned away because of a limit.
        failed: how many handlers failed, peers that left not counted.
        last_trouble: the last warning; None if there was none.
        draining: whether it was told to stop.
        peak_connections: how many were open at once at most.
        requests: messages that were delivered, or else handlers that have finished, or what they counted.
        messages: messages that were delivered to callbacks.
        bytes_in: bytes received, from those that are open and those that were.
        bytes_out: bytes given to the kernel, likewise.
        queued_bytes: bytes that wait to be given to the kernel now.
        closed_by_peer: connections that ended because their peer has ended its stream.
        closed_by_server: connections that we have closed, or shut down, or whose handler has returned or was
            cancelled.
        closed_idle: connections that were silent for too long.
        closed_by_error: connections that ended by a failure, of ours or of a TLS handshake.
        resets: connections that were torn down, by either side.
    """

    name: str
    address: str
    state: str
    connections: int
    max_connections: int | None
    accepted: int
    rejected: int
    failed: int
    last_trouble: str | None
    draining: bool = False
    peak_connections: int = 0
    requests: int = 0
    messages: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    queued_bytes: int = 0
    closed_by_peer: int = 0
    closed_by_server: int = 0
    closed_idle: int = 0
    closed_by_error: int = 0
    resets: int = 0
