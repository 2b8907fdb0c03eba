"""Where code stands: spawn sites and stacks, with the runtime's own frames left out.

A parked greenlet's frames hang together by `f_back`, but on CPython 3.12 and later some of the
links run through the C stack, which is elsewhere while the greenlet is switched out. They may
therefore only be walked on the thread of its scheduler, where nothing can switch in between.
"""

from __future__ import annotations

import faulthandler
import linecache
import os
import re
import sys
import tempfile
import traceback
from pathlib import Path
from types import CodeType, FrameType
from typing import Final, NamedTuple

OURS: Final = str(Path(__file__).resolve().parent) + os.sep
_DUMPED_FRAME: Final = re.compile(r'  File "(?P<path>.*)", line (?P<line>\d+|\?\?\?) in (?P<function>.*)')
SWITCH_LOOKS_AT_ALL: Final = sys.version_info >= (3, 12)
MAX_FRAMES: Final = 64  # of a stack that is shown: the innermost, as in a traceback of a runaway recursion


class Site(NamedTuple):
    """A place in the code, kept so that noting it costs nothing: the line is decoded when it is shown."""

    code: CodeType
    instruction: int

    @property
    def line(self) -> int:
        """The line number, 1-based; the function's first where the table has none."""
        for start, end, line in self.code.co_lines():
            if start <= self.instruction < end and line is not None:
                return line
        return self.code.co_firstlineno

    def __str__(self) -> str:
        return f"{short_path(self.code.co_filename)}:{self.line} in {self.code.co_name}"


def site_of(frame: FrameType) -> Site:
    """Where this frame stands."""
    return Site(frame.f_code, frame.f_lasti)


def short_path(filename: str) -> str:
    """The last part of a path; a name such as `<co:3>` stays as it is."""
    return filename.rpartition(os.sep)[2]


def is_ours(code: CodeType) -> bool:
    """Whether this code belongs to the runtime."""
    return code.co_filename.startswith(OURS)


def calling_site(depth: int = 1) -> Site | None:
    """The innermost place outside of the runtime, at least `depth` calls above the one who asks.

    Every frame that is looked at becomes an object, which costs a third of a spawn: hence `depth`.
    """
    try:
        frame: FrameType | None = sys._getframe(depth + 1)
    except ValueError:  # it was called by no Python code
        return None
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(OURS):
            return site_of(frame)
        frame = frame.f_back
    return None


def user_frames(frame: FrameType | None) -> list[FrameType]:
    """The frames from `frame` outwards that are not the runtime's, innermost first."""
    frames = []
    while frame is not None:
        if not is_ours(frame.f_code):
            frames.append(frame)
        frame = frame.f_back
    return frames


def top_site(frame: FrameType | None) -> str | None:
    """The innermost place outside of the runtime; where there is none, as in `go(suspend)`, its entrance."""
    entrance = None
    while frame is not None:
        if not is_ours(frame.f_code):
            return str(site_of(frame))
        if not frame.f_code.co_filename.endswith(("_scheduler.py", "_switching.py", "_timing.py")):
            entrance = frame
        frame = frame.f_back
    return None if entrance is None else str(site_of(entrance))


def make_objects(frame: FrameType | None) -> None:
    """Make objects of `frame` and, from CPython 3.12 on, of all outwards of it; to be called before a switch.

    A frame becomes an object when somebody looks at it, and stays one until it returns. A switch looks:
    at the innermost, since CPython 3.12 at all. Objects that are made in a switch are charged to nobody,
    but credited to the coroutine when its frames return: it would seem to give memory back, without end.
    """
    while frame is not None and SWITCH_LOOKS_AT_ALL:
        frame = frame.f_back


def summaries(frame: FrameType | None) -> list[traceback.FrameSummary]:
    """A stack as `traceback` shows it: outermost first, at most `MAX_FRAMES` of the innermost."""
    frames = user_frames(frame)[:MAX_FRAMES]
    places = [(f, f.f_lineno) for f in reversed(frames)]
    linecache.checkcache()
    return list(traceback.StackSummary.extract(iter(places), lookup_lines=True))


def trimmed(error: BaseException) -> BaseException:
    """The same error, without the runtime's frames at the head of its traceback."""
    tb = error.__traceback__
    while tb is not None and is_ours(tb.tb_frame.f_code) and tb.tb_next is not None:
        tb = tb.tb_next
    return error.with_traceback(tb)


def stack_of_thread(thread_id: int) -> tuple[str, ...]:
    """Where another thread stands at this moment, outermost first, without the runtime's frames.

    `faulthandler` walks the stack in C without letting go of the interpreter, so the thread cannot
    switch greenlets under its feet; following `f_back` from Python would not be safe.
    """
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        dump = file.read().decode("utf-8", "backslashreplace")
    return tuple(reversed(_places_of_thread(dump, thread_id)))


def _places_of_thread(dump: str, thread_id: int) -> list[str]:
    """Innermost first. A thread begins with `Thread 0x... (most recent call first):`, up to a blank line."""
    places = []
    inside = False
    for line in dump.splitlines():
        if "hread 0x" in line:
            inside = int(line.split("0x", 1)[1].split()[0], 16) == thread_id
        elif inside and (found := _DUMPED_FRAME.match(line)) and not found["path"].startswith(OURS):
            places.append(f"{short_path(found['path'])}:{found['line']} in {found['function']}")
    return places
