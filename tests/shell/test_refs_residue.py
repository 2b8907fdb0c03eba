"""What a coroutine has left is held by somebody, by nobody, or there is nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coloop._form import native
from tests.shell.aside import Aside, Seat

pytestmark = pytest.mark.skipif(native is None, reason="only the native core knows whose an object is")


@pytest.fixture
def at_prompt(aside: Aside) -> Iterator[Seat]:
    with aside.session(clock="virtual", level="heap") as opened:
        opened.type("cache = {}\nclass Node: pass")
        yield opened


def test_what_holds_most_of_it(at_prompt: Seat) -> None:
    at_prompt.type("def leak():\n    cache['x'] = [bytearray(99) for _ in range(50)]\ngo leak()\nleak = None")
    first, second = at_prompt.type("refs co#2")
    assert first.startswith("co#2 leak has ended (returned), and has left 5")
    assert first.endswith(" objects; most are held by:")
    assert second == "__main__.cache['x'] (list, module global)"
    told = at_prompt.value("refs(2)")
    assert (told.root, told.kind) == ("__main__.cache['x']", "module global")
    assert len(at_prompt.value("refs co#2 --all 3")) == 1


def test_garbage_is_held_by_nobody(at_prompt: Seat) -> None:
    at_prompt.type("import gc\ngc.disable()")
    try:
        at_prompt.type("def leak():\n    n = Node()\n    n.me = n\ngo leak()\nleak = None")
        told = at_prompt.value("refs co#2")
    finally:
        at_prompt.type("gc.enable()")
    assert told.kind == "cycle"
    assert "that no root leads to: only the collector frees them (gc)" in told.remark


def test_one_that_was_clean_leads_to_its_handle(at_prompt: Seat) -> None:
    at_prompt.type("def clean(): pass\nkept = go(clean)")
    assert at_prompt.value("refs co#2").root == "__main__.kept"
    at_prompt.type("kept = None")
    refused = at_prompt.refused("refs co#2")
    assert refused == "co#2 clean has ended (returned), has left nothing, and nobody holds its handle"
