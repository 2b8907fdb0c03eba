"""coloop once more, in a process of its own: how far apart two figures lie that ought to be the same."""

from .coloop import echo_server

__all__ = ["echo_server"]
