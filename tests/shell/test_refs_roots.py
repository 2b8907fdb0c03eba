"""Every kind of root is known by its name."""

from __future__ import annotations

import atexit
import re
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.patience import wait_for
from tests.shell.aside import Aside, Seat
from tests.shell.sessions import Session, session

_BOX = """\
import weakref
class Box(list):
    __slots__ = ('__weakref__',)
boxes = []
def box():
    made = Box()
    boxes.append(weakref.ref(made))
    return made
"""


@pytest.fixture
def at_prompt() -> Iterator[Session]:
    with session(clock="virtual", level="counts") as opened:
        opened.type(_BOX)
        yield opened


@pytest.fixture
def far_prompt(aside: Aside) -> Iterator[Seat]:
    with aside.session(clock="virtual", level="counts") as opened:
        opened.type(_BOX)
        yield opened


def unnumbered(told: object) -> str:
    return re.sub(r"(every|after|lambda>)#\d+", r"\1#", re.sub(r"<co:\d+>", "<co>", str(told)))


def chain(at_prompt: Session | Seat, source: str = "") -> str:
    """The chain to the box that has been made; numbers that count on from test to test are left out."""
    if source:
        at_prompt.type(source)
    (told,) = at_prompt.value("refs boxes[0]() --all 1")
    return unnumbered(told)


def keeper(value: Any) -> Callable[..., Any]:
    """A function whose closure holds it."""
    return lambda *_: value


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = box()", "__main__.x (Box, module global)"),
        ("import textwrap\ntextwrap.kept = [box()]", "textwrap.kept (list, module global) -> [0] -> Box"),
        ("class Cls:\n    items = box()\n", "__main__.Cls.items (Box, class attribute)"),
        (
            "class Outer:\n    class Inner:\n        items = [box()]\n",
            "__main__.Outer.Inner (class, class attribute) -> .items (list) -> [0] -> Box",
        ),
        (
            "def make(x):\n    def inner(): return x\n    return inner\nfn = make(box())",
            "x in __main__.fn (Box, closure)",
        ),
        (
            "def hold(mine):\n    sleep(60)\ngo hold(box())\nhold = None",
            "mine of co#2 hold at <co>:2 (Box, local variable)",
        ),
        (
            "def inner(mine):\n    sleep(60)\ndef outer():\n    inner(box())\ngo outer()",
            "mine of co#2 outer at <co>:2 (Box, local variable)",
        ),
        (
            "def hold():\n    defer(len, box())\n    sleep(60)\ngo hold()",
            "argument 0 of co#2 hold (Box, deferred call)",
        ),
        (
            "import contextvars\nuser = contextvars.ContextVar('user')\ndef f():\n    user.set(box())\n    sleep(60)\ngo f()",
            "user of co#2 f (Box, context variable)",
        ),
        ("t = every(60, len, box())\ndel t", "argument 0 of every# len (Box, timer)"),
        ("t = after(60, lambda x: 0, box())\ndel t", "argument 0 of after# <lambda> (Box, timer)"),
        (
            "import functools\nt = after(60, functools.partial(len, box()))\ndel t",
            "function of after# partial (partial, timer) -> .args (tuple) -> [0] -> Box",
        ),
        (
            "def make(x): return lambda conn: x\ns = serve(('127.0.0.1', 0), make(box()))\ndel s",
            "<lambda># (Server, server) -> .handler (function) -> closure x -> Box",
        ),
        (
            "s = serve(('127.0.0.1', 0), print, name='s')\ns.known = {'ann': box()}\ndel s",
            "s (Server, server) -> .known (dict) -> ['ann'] -> Box",
        ),
        (
            "class Thing: pass\nthing = Thing()\nf = weakref.finalize(thing, len, box())\ndel f",
            "argument 0 of a weakref.finalize (Box, weakref.finalize)",
        ),
        (
            "class Thing: pass\nthing = Thing()\nf = weakref.finalize(thing, dict, x=box())\ndel f",
            "argument x of a weakref.finalize (Box, weakref.finalize)",
        ),
        (
            "import types\nmodule = types.ModuleType('made')\nmodule.x = box()",
            "__main__.module (module, module global) -> .x -> Box",
        ),
        ("co2 = go(box)", "__main__.co2 (Coroutine, module global) -> .result -> Box"),
        (
            "def fail():\n    mine = box()\n    1 / 0\ntry:\n    fail()\nexcept ZeroDivisionError as e:\n    kept = e\n",
            "__main__.kept (ZeroDivisionError, module global) -> .__traceback__ (traceback) -> next (traceback) -> variable mine -> Box",
        ),
        (
            "def give():\n    mine = box()\n    yield\ng = give()\nnext(g)",
            "__main__.g (generator, module global) -> variable mine -> Box",
        ),
        (
            "def hold():\n    mine = box()\n    refs(mine)\n    sleep(60)\ngo hold()",
            "mine of co#2 hold at <co>:4 (Box, local variable)",
        ),
    ],
)
def test_a_root(far_prompt: Seat, source: str, told: str) -> None:
    assert chain(far_prompt, source) == told


def test_what_stands_in_the_place_of_a_module(at_prompt: Session) -> None:
    at_prompt.type("import sys\nclass Odd: pass\nsys.modules['odd'] = Odd()\nsys.modules['odd'].x = box()")
    try:
        assert chain(at_prompt) == "sys.modules['odd'] (Odd, module) -> .x -> Box"
    finally:
        del sys.modules["odd"]


def test_the_running_function_of_the_user(at_prompt: Session) -> None:
    at_prompt.type("def look():\n    mine = box()\n    return refs(mine)")
    assert unnumbered(at_prompt.value("look()")) == "mine of co#1 shell at <co>:3 (Box, local variable)"


def test_a_value_that_waits_in_a_channel(at_prompt: Session) -> None:
    told = chain(at_prompt, "channel = Channel(1)\nchannel.send(box())")
    assert told.startswith("__main__.channel (Channel, module global) -> ")
    assert told.endswith(" -> Box")


def test_a_value_that_waits_to_be_sent(at_prompt: Session) -> None:
    """To nobody but its sender, who waits there."""
    told = chain(at_prompt, "go Channel().send(box()) --name sender")
    assert "of co#2 sender" in told


def test_what_a_queued_call_holds(at_prompt: Session) -> None:
    at_prompt.type("def queue():\n    s = coloop.current_scheduler()\n    s.call_soon_threadsafe(len, box())")
    at_prompt.type("def look():\n    queue()\n    return refs(boxes[0](), all=1)[0]")
    assert str(at_prompt.value("look()")) == "argument 0 (Box, queued call)"


def test_an_open_socket_holds_itself(at_prompt: Session) -> None:
    at_prompt.type("l = listen(('127.0.0.1', 0))")
    name = str(at_prompt.shell.names["l"])
    at_prompt.type("del l")
    assert at_prompt.type(f"refs {name}") == [f"{name} (Listener, open socket)"]


def test_a_signal_handler(at_prompt: Session) -> None:
    at_prompt.type("temporary = box()")
    before = signal.signal(signal.SIGUSR2, keeper(at_prompt.shell.names.pop("temporary")))
    try:
        assert chain(at_prompt) == "handler of SIGUSR2 (function, signal handler) -> closure value -> Box"
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_an_atexit_callback(at_prompt: Session) -> None:
    at_prompt.type("temporary = box()")
    callback = atexit.register(keeper(at_prompt.shell.names.pop("temporary")))
    number = weakref.ref(callback)
    del callback
    try:
        assert chain(at_prompt) == "atexit callback (function, atexit) -> closure value -> Box"
        assert number() is not None  # it is still registered
    finally:
        atexit.unregister(number())


def test_a_variable_of_a_thread(at_prompt: Session) -> None:
    begun, over = threading.Event(), threading.Event()
    at_prompt.shell.names.update(begun=begun, over=over)
    at_prompt.type("def hold():\n    mine = box()\n    begun.set()\n    over.wait()")
    at_prompt.type("import threading\nt = threading.Thread(target=hold, name='worker')\nt.start()")
    try:
        wait_for(begun)
        assert chain(at_prompt) == "mine of thread worker at <co>:4 (Box, local variable)"
    finally:
        over.set()
        at_prompt.shell.names["t"].join()


def test_of_two_chains_of_one_length_the_users_own_name_is_told(at_prompt: Session) -> None:
    at_prompt.type("import textwrap\nthing = box()\ntextwrap.kept = thing")
    assert chain(at_prompt) == "__main__.thing (Box, module global)"
    at_prompt.type("del thing")
    assert chain(at_prompt) == "textwrap.kept (Box, module global)"
    at_prompt.type("del textwrap.kept")


def test_what_the_shell_holds_is_left_out(at_prompt: Session) -> None:
    """The result of a line, the frames that evaluate, the history, the tests' own variables."""
    at_prompt.type("x = box()")
    kept = at_prompt.value("x")
    assert [str(told) for told in at_prompt.value("refs x --all 9")] == ["__main__.x (Box, module global)"]
    assert kept is at_prompt.shell.names["x"]
