"""How a server ends that somebody stops: those who wait are told how many connections are left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import coloop
from coshell.api import Duration, plural

from . import living
from .lifecycle import Lifecycle, now
from .records import Stopped

PROGRESS_S: Final = 1.0


def stop(lifecycle: Lifecycle, drain_s: float) -> Stopped:
    """Stop it, and forget it; parks until its connections have ended, at most for so long."""
    with _progress(lifecycle):
        stopped = lifecycle.stop(drain_s)
    living.forget(lifecycle.shell, lifecycle)
    return stopped


@contextmanager
def _progress(lifecycle: Lifecycle) -> Iterator[None]:
    """Tell each second how many connections are left, if it takes so long."""

    def tell() -> None:
        began = now()
        while True:
            coloop.sleep(PROGRESS_S)
            left = lifecycle.connections
            lifecycle.shell.notice(
                f"{lifecycle.name}: {plural(left, 'connection')} left after {Duration(round(now() - began))}"
            )

    telling = coloop.go(tell, name=f"{lifecycle.name}/progress")
    try:
        yield
    finally:
        telling.cancel()
