"""How a server came by what it serves, so that it can be made anew.

What was typed is kept as it was typed: `server reload` evaluates it again, and whatever has been defined anew in
the meantime takes over. An object that was put in stays the object that it is.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import coloop
from coshell.api import Certificate, CommandError, Shell, called
from coshell_plugins.worker.offer import Offer


@dataclass(frozen=True)
class Recipe:
    """What was asked for.

    Attributes:
        handler: an expression, or a function; None if there are callbacks.
        callbacks: likewise, by their names.
        settings: on which terms, see `Offer`.
        wrap: makes the handler of what `handler` gives, if that is none yet.
        certificate: what is shown, over TLS; None for no TLS.
    """

    handler: Any
    callbacks: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    wrap: Callable[[Any], Callable[..., Any]] | None = None
    certificate: Certificate | None = None

    @cached_property
    def name(self) -> str:
        """What it is called."""
        if self.handler is not None:
            return _name_of(self.handler)
        return ",".join(_name_of(given) for given in self.callbacks.values())

    @property
    def is_fixed(self) -> bool:
        """Whether evaluating it again would change nothing; a certificate is read again."""
        return self.certificate is None and not any(
            isinstance(given, str) for given in (self.handler, *self.callbacks.values())
        )

    def offer(self, shell: Shell) -> Offer:
        """What it gives now.

        Raises:
            CommandError: it gives nothing that can be served.
        """
        handler = None if self.handler is None else self._handler(shell)
        callbacks = {event: _function(shell, given) for event, given in self.callbacks.items()}
        tls = None if self.certificate is None else self.certificate.context
        offer = Offer(handler, callbacks, dict(self.settings), tls)
        try:
            offer.check()
        except (ValueError, TypeError) as error:
            raise CommandError(str(error)) from None
        return offer

    def context(self) -> ssl.SSLContext | None:
        """Its certificate as the files hold it now, None for no TLS; raises CommandError."""
        return None if self.certificate is None else self.certificate.context()

    def _handler(self, shell: Shell) -> Callable[..., Any]:
        if self.wrap is None:
            return _function(shell, self.handler, "of one connection ")
        return self.wrap(_evaluated(shell, self.handler))

    def with_handler(self, handler: Any) -> Recipe:
        """The same with another handler."""
        return replace(self, handler=handler)

    def with_callback(self, event: str, given: Any) -> Recipe:
        """The same with one callback replaced; None for nobody."""
        others = {name: call for name, call in self.callbacks.items() if name != event}
        return replace(self, callbacks=others if given is None else {**others, event: given})

    def with_setting(self, key: str, value: Any) -> Recipe:
        """The same with one setting changed."""
        return replace(self, settings={**self.settings, key: value})


def callbacks_in(given: Iterable[Any]) -> dict[str, Any]:
    """The callbacks in `EVENT=EXPRESSION` texts, or in mappings from an event to a function.

    Raises:
        CommandError: one is no such thing; of an event that there is not, the nearest one is named.
    """
    found: dict[str, Any] = {}
    for one in given:
        if isinstance(one, Mapping):
            found.update({event_name(str(event)): call for event, call in one.items()})
            continue
        event, equals, expression = str(one).partition("=")
        if not (equals and expression.strip()):
            raise CommandError(f"--on takes EVENT=EXPRESSION, as in --on receive=answer, not {one!r}")
        found[event_name(event.strip())] = expression.strip()
    return found


def event_name(event: str) -> str:
    """Its name among the arguments of `coloop.serve`; raises CommandError."""
    try:
        coloop.Callbacks().having(event, None)
    except ValueError as error:
        raise CommandError(str(error)) from None
    return event if event.startswith("on_") else f"on_{event}"


def _function(shell: Shell, given: Any, what: str = "") -> Callable[..., Any]:
    function = _evaluated(shell, given)
    if not callable(function):
        raise CommandError(f"{given!r} is no function {what}but a {type(function).__name__}")
    found: Callable[..., Any] = function
    return found


def _evaluated(shell: Shell, given: Any) -> Any:
    try:
        return shell.evaluate(given) if isinstance(given, str) else given
    except Exception as error:
        raise CommandError(f"{given}: {type(error).__name__}: {error}") from error


def _name_of(given: Any) -> str:
    return given if isinstance(given, str) else called(given)
