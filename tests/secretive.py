"""Classes whose metaclass is somebody's own code: it fails whoever asks for their names, compares or hashes them."""

from __future__ import annotations

from typing import Any


class Asked(Exception):
    """Code of the user's has run where it must not."""


class Secretive(type):
    """Tells nothing."""

    def __getattribute__(cls, name: str) -> Any:
        if name in {"__name__", "__qualname__", "__module__"}:
            raise Asked(name)
        return super().__getattribute__(name)

    def __eq__(cls, other: object) -> bool:
        raise Asked("__eq__")

    __hash__ = None  # type: ignore[assignment]


class Secret(metaclass=Secretive):
    """Anything."""


class SecretError(Exception, metaclass=Secretive):
    """An error."""
