"""What objects are called, without asking them: no code of the user's runs.

`repr`, `==` and even the name of a class may be somebody's code, which may raise, print, or park. So
names are read from where C code keeps them, and what cannot be read that way is told by its type.
"""

from __future__ import annotations

from typing import Any, Final

from coshell.text import cut, printable

MAX_KEY_WIDTH: Final = 40
MAX_KEY_PARTS: Final = 4
_PLAIN: Final = frozenset({str, int, float, complex, bool, bytes, type(None)})


def type_name(value: object) -> str:
    """The name of a value's type; of a class, that it is one."""
    kind = type(value)
    if issubclass(kind, type):
        return "class"
    return printable(str(type.__dict__["__name__"].__get__(kind)), keep="")


def class_name(kind: type) -> str:
    """A class's qualified name."""
    return printable(str(type.__dict__["__qualname__"].__get__(kind)), keep="")


def key_text(key: Any) -> str:
    """A key as it would be typed, if it is of Python's own plain types, else its type: `<Point>`."""
    # Compared by identity: a type may have an `__eq__` or a `__hash__` from its metaclass.
    kind = type(key)
    if any(kind is plain for plain in _PLAIN):
        if kind is int and key.bit_length() > 256:
            return "<int>"
        if kind is str or kind is bytes:
            return cut(printable(repr(key[:MAX_KEY_WIDTH]), keep=""), MAX_KEY_WIDTH, middle=True)
        return repr(key)
    if kind is tuple:
        parts = [key_text(part) for part in key[:MAX_KEY_PARTS]]
        more = ", ..." if len(key) > MAX_KEY_PARTS else "," if len(key) == 1 else ""
        return f"({', '.join(parts)}{more})"
    if issubclass(kind, type):
        return class_name(key)
    return f"<{type_name(key)}>"
