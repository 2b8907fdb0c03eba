"""What went wrong in a worker, told in one line to somebody who does not see its stack."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Final

MAX_TEXT: Final = 500
_PACKAGES: Final = ("coloop", "coshell", "coshell_plugins")


def in_one_line(error: BaseException) -> str:
    """What it is and, if it was in code of the user's, where."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_TEXT]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return f"{text} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else text


def _is_users(filename: str) -> bool:
    """Whether it was written by whoever reads this: no library, and no code that a library has made."""
    if filename.startswith(("<frozen", "<string>")):
        return False
    loaded = [sys.modules[name] for name in _PACKAGES if name in sys.modules]
    return not any(Path(filename).is_relative_to(folder) for folder in map(_folder, (os, *loaded)))


def _folder(module: ModuleType) -> Path:
    return Path(str(module.__file__)).parent
