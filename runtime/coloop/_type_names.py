"""What a type is called, read from where C code keeps it.

`kind.__name__` asks the metaclass first, which may be somebody's code: it may raise, print or park. Where the runtime
tells of a type in the midst of its own business, at the end of a coroutine say, no code of a user's must run.
"""

from __future__ import annotations

from typing import Any, Final

_NAME: Final[Any] = type.__dict__["__name__"]
_MODULE: Final[Any] = type.__dict__["__module__"]


def type_name(kind: type) -> str:
    """Its `__name__`."""
    return str.__str__(_NAME.__get__(kind))  # a subclass of str has its own


def type_module(kind: type) -> str:
    """Its `__module__`, which anybody may set to anything."""
    found = _MODULE.__get__(kind)
    return found if type(found) is str else ""
