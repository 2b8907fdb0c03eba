"""The form of the hot path is the one that was asked for, and says so."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

import coloop
from coloop import _switching
from coloop._form import native
from coloop._line import JointWait, WaitQueue

NOT_BUILT = pytest.mark.skipif(
    find_spec("coloop._native") is None, reason="the native core is not built here"
)
TELL_FORM = "import coloop; print(coloop.FORM, coloop.Coroutine.__mro__[1].__module__)"

TELL_HELP = """
import inspect, json, coloop

def told(thing):
    try:
        takes = list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        takes = None
    return inspect.getdoc(thing), takes

help = {}
for name, thing in vars(coloop).items():
    if not name.startswith("_") and callable(thing):
        help[name] = told(thing)
        for member in dir(thing) if inspect.isclass(thing) else ():
            if not member.startswith("_") and callable(getattr(thing, member)):
                help[f"{name}.{member}"] = told(getattr(thing, member))
print(json.dumps(help))
"""


def form(**environ: str) -> str:
    return python(TELL_FORM, **environ).strip()


def python(program: str, **environ: str) -> str:
    """What a new process prints."""
    paths = os.pathsep.join(sys.path)
    kept = {name: value for name, value in os.environ.items() if name != "COLOOP_PURE"}
    command = [sys.executable, "-c", program]
    told = subprocess.run(
        command, env={**kept, "PYTHONPATH": paths, **environ}, capture_output=True, text=True, check=True
    )
    return told.stdout


def test_the_pure_form_can_be_asked_for() -> None:
    assert form(COLOOP_PURE="1") == "pure coloop._coroutine_state"


@NOT_BUILT
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


@pytest.mark.skipif(native is None, reason="this process has the pure form")
@pytest.mark.parametrize("name", ["SLICE_SWITCHES", "SLICE_S", "TURN_OPERATIONS", "KEPT_DEAD"])
def test_both_forms_work_with_the_same_numbers(name: str) -> None:
    assert getattr(native, name) == getattr(_switching, name)


@NOT_BUILT
def test_help_says_the_same_in_both_forms() -> None:
    pure: dict[str, Any] = json.loads(python(TELL_HELP, COLOOP_PURE="1"))
    ours: dict[str, Any] = json.loads(python(TELL_HELP))
    assert ours.keys() == pure.keys()
    assert {name: ours[name][0] for name in ours} == {name: pure[name][0] for name in pure}
    made_by_hand = ours.keys() - {"Coroutine"}  # that one is made by `go`
    assert {name: ours[name][1] for name in made_by_hand} == {name: pure[name][1] for name in made_by_hand}
