"""Which form of the hot path this process uses: the native core if it was built, else pure Python.

The pure form is the reference, and `COLOOP_PURE=1` in the environment selects it. Both behave the same:
the same tests run on both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def _load() -> ModuleType | None:
    if os.environ.get("COLOOP_PURE") == "1":
        return None
    try:
        from . import _native
    except ImportError:
        return None
    return _native


native: Final = _load()
FORM: Final = "pure" if native is None else "native"


def quick(method: Method) -> Method:
    """`method`; where there is a native core, what is usual of it is done there, and the rest by `method`."""
    quickened: Method = method if native is None else native.quick(method)
    return quickened
