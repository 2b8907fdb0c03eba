"""What a server offers, and on which terms; the same in the shell's own process and in a worker."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import coloop
from coloop import Listener, Server

_LAST: Final = frozenset({"heartbeat"})  # which needs a message that fits the framing


@dataclass(frozen=True)
class Offer:
    """All that has to be known to serve.

    Attributes:
        handler: the function of one connection; None if there are callbacks.
        callbacks: what else is called, by the names that `coloop.serve` has for it.
        settings: further arguments of `coloop.serve`.
        tls: reads the certificate that is shown, in whichever process it is called; None for no TLS.
    """

    handler: Callable[..., Any] | None
    callbacks: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    tls: Callable[[], ssl.SSLContext] | None = None

    def listen(self, address: Any) -> Listener:
        """Listen there, over TLS if that is offered; raises what `coloop.listen` raises, and `tls`."""
        return coloop.listen(address, tls=self._context())

    def serve(self, listener: Listener, name: str, *, worker: int = 0) -> Server:
        """Serve it; raises what `coloop.serve` raises."""
        terms: dict[str, Any] = {**self.callbacks, **self.settings}
        return coloop.serve(listener, self.handler, name=name, worker=worker, **terms)

    def take_over(self, server: Server) -> None:
        """Have a server that runs serve this from now on; connections that are open keep what they have."""
        server.renew_tls(self._context())
        if self.handler is not None:
            server.handler = self.handler
        for event, call in self.callbacks.items():
            server.on(event, call)
        for key in sorted(self.settings, key=_LAST.__contains__):
            server.set(key, self.settings[key])

    def _context(self) -> ssl.SSLContext | None:
        return None if self.tls is None else self.tls()
