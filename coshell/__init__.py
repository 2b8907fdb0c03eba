"""coshell: a terminal shell that hosts a live coroutine scheduler."""

__version__ = "0.1.0"
