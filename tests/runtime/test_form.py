"""The form of the hot path is the one that was asked for, and says so."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

import coloop
from coloop._line import JointWait, WaitQueue

TELL_FORM = "import coloop; print(coloop.FORM, coloop.Coroutine.__mro__[1].__module__)"


def form(**environ: str) -> str:
    paths = os.pathsep.join(sys.path)
    kept = {name: value for name, value in os.environ.items() if name != "COLOOP_PURE"}
    command = [sys.executable, "-c", TELL_FORM]
    told = subprocess.run(
        command, env={**kept, "PYTHONPATH": paths, **environ}, capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


def test_the_pure_form_can_be_asked_for() -> None:
    assert form(COLOOP_PURE="1") == "pure coloop._coroutine_state"


@pytest.mark.skipif(find_spec("coloop._native") is None, reason="the native core is not built here")
def test_the_native_form_is_used_where_it_is_built() -> None:
    assert form() == "native coloop._native"


def test_this_process_has_the_form_it_says() -> None:
    forms = [
        coloop.Coroutine.__mro__[1],
        coloop.Scheduler.__mro__[1],
        coloop.Channel.__mro__[1],
        WaitQueue,
        JointWait,
    ]
    assert {"_native" in form.__module__ for form in forms} == {coloop.FORM == "native"}
