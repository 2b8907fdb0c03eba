"""What a server offers, and on which terms; the same in the shell's own process and in a worker."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import coloop
from coloop import Callbacks, Listener, Server, Settings


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

    def check(self) -> None:
        """Whether a server would take it; raises ValueError and TypeError."""
        Callbacks(**self.callbacks).check_beside(self.handler)
        self._treatment().check_beside(self.handler)

    def take_over(self, server: Server) -> None:
        """Have a server that runs serve this from now on, and nothing else; raises what `coloop.serve` raises.

        Connections that are open keep their handler, or their framing.
        """
        if (self.handler is None) != (server.handler is None):
            raise ValueError("a handler cannot take over from callbacks, nor callbacks from a handler")
        server.renew_tls(self._context())
        server.renew_settings(self._treatment())
        server.set("max_connections", self.settings.get("max_connections"))
        server.handler = self.handler
        server.callbacks = Callbacks(**self.callbacks)

    def _treatment(self) -> Settings:
        settings = {key: value for key, value in self.settings.items() if key != "max_connections"}
        framing = settings.get("framing")
        if isinstance(framing, str):
            settings["framing"] = coloop.framing_of(framing)
        return Settings(**settings)

    def _context(self) -> ssl.SSLContext | None:
        return None if self.tls is None else self.tls()
