"""What was typed arrives in another process and works there; what cannot is named."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coshell.evaluate import Interpreter
from coshell_plugins.worker.offer import Offer
from coshell_plugins.worker.shipping import NotShippable, pack, unpack

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(str(ROOT / root) for root in (".", "runtime", "plugins"))
THERE = """\
import sys, traceback
from coshell_plugins.worker.shipping import unpack
handler = unpack(sys.stdin.read()).handler
try: print(handler())
except Exception: traceback.print_exc()
"""


@pytest.fixture
def prompt() -> Iterator[Interpreter]:
    interpreter = Interpreter()
    yield interpreter
    interpreter.forget_all()


def elsewhere(text: str) -> str:
    """What the handler returns in another process."""
    done = subprocess.run(
        [sys.executable, "-c", THERE],
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
        check=False,
    )
    return (done.stdout + done.stderr).strip()


def offer(prompt: Interpreter, expression: str) -> Offer:
    return Offer(prompt.evaluate(expression))


def test_a_function_of_the_prompt_works_elsewhere(prompt: Interpreter) -> None:
    prompt.run(
        "import math\nfactor = 2\ndef inner(x): return x * factor\ndef outer(): return inner(math.floor(3.7))"
    )
    assert elsewhere(pack(offer(prompt, "outer"))) == "6"


def test_functions_that_share_a_global_share_it_elsewhere(prompt: Interpreter) -> None:
    prompt.run("n = 0\ndef bump():\n    global n\n    n += 1\n    return n")
    prompt.run("def read(): return n")
    packed = unpack(pack(Offer(prompt.names["bump"], {"on_close": prompt.names["read"]})))
    packed.handler()
    packed.handler()
    assert packed.callbacks["on_close"]() == 2
    assert prompt.names["n"] == 0


def test_a_traceback_elsewhere_shows_the_line_that_was_typed(prompt: Interpreter) -> None:
    prompt.run("def bad():\n    raise ValueError('here')  # this very line")
    assert "# this very line" in elsewhere(pack(offer(prompt, "bad")))


def test_also_of_a_function_that_it_calls(prompt: Interpreter) -> None:
    prompt.run("def bad():\n    raise ValueError('here')  # this very line")
    prompt.run("def outer(): bad()")
    assert "# this very line" in elsewhere(pack(offer(prompt, "outer")))


@pytest.mark.parametrize(
    ("source", "expression", "blamed"),
    [
        ("gate = threading.Lock()\ndef f(): return gate", "f", "f uses 'gate'"),
        ("gate = threading.Lock()\ndef f(): return gate\ndef g(): f()", "g", "f uses 'gate'"),
        (
            "def make():\n    held = threading.Lock()\n    def f(): return held\n    return f",
            "make()",
            "uses 'held'",
        ),
        (
            "held = (x for x in [])\ndef f():\n    def inner(): return held\n    inner()",
            "f",
            "f uses 'held'",
        ),
        ("held = [threading.Lock()]\ndef f(): return held", "f", "f uses 'held'"),
        (
            "class A:\n    def __init__(self): self.gate = threading.Lock()\n    def f(self): ...",
            "A().f",
            "'self'",
        ),
    ],
)
def test_what_cannot_be_sent_is_named(prompt: Interpreter, source: str, expression: str, blamed: str) -> None:
    prompt.run(f"import threading\n{source}")
    with pytest.raises(NotShippable) as caught:
        pack(offer(prompt, expression))
    text = str(caught.value)
    assert "\n" not in text
    assert blamed in text
    assert "cannot be sent to a worker" in text


def test_what_is_too_large_is_told_before_it_is_sent(prompt: Interpreter) -> None:
    prompt.run("data = bytes(2_000_000)\ndef f(): return data")
    with pytest.raises(NotShippable, match="too large"):
        pack(offer(prompt, "f"))


def test_what_refers_to_itself_is_no_trouble(prompt: Interpreter) -> None:
    prompt.run("def f(n=3): return n and f(n - 1)")
    assert elsewhere(pack(offer(prompt, "f"))) == "0"


def test_what_is_no_pickle_is_refused() -> None:
    with pytest.raises(NotShippable, match="no pickle"):
        unpack("§§")
