"""How much, and for how long, a stranger may ask of us.

Whoever connects can send a header that never ends, announce a gigabyte, or send a byte a minute. Each of these
has a bound here, so that neither memory nor the number of open connections is the stranger's to decide.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes from its clients.

    Attributes:
        line_bytes: of the request line (414) and of each header (431).
        headers: how many there may be (431).
        head_bytes: of all of it together (431).
        body_bytes: of a request's body (413).
        head_s: seconds for a head to be complete, from its first byte on (408).
        idle_s: seconds without a request, after which the connection is closed.
        body_s: seconds without a byte of a body that was announced (408).
        send_s: seconds in which a client must take 256 KiB of an answer, or the rest of it.

    Raises:
        ValueError: one of them is not more than 0.
    """

    line_bytes: int = 16 * 1024
    headers: int = 100
    head_bytes: int = 64 * 1024
    body_bytes: int = 16 * 1024 * 1024
    head_s: float = 30.0
    idle_s: float = 75.0
    body_s: float = 30.0
    send_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what would let nothing through."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} must be more than 0, not {value!r}")
