"""What holds for all tests."""

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

# The same examples every time, and as long as they take: on a busy machine any may be beyond a deadline.
settings.register_profile(
    "deterministic",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("deterministic")


def pytest_configure() -> None:
    """Hear Ctrl-C, here and in the programs that tests start, and keep what was compiled.

    A shell that starts a job in the background has Ctrl-C ignored there. And where Python is told to write no
    bytecode, each of some two hundred programs would compile all of its sources anew.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: tests wait for terminals and other programs a third of their time."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)
