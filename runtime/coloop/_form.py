"""Which form of the hot path this process uses: the native core if it was built, else pure Python.

The pure form is the reference, and `COLOOP_PURE=1` in the environment selects it. Both behave the same:
the same tests run on both.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Final


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
