"""What most of a crowd of objects have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coshell.refs.holding import Holding, held_by
from tests.shell.sessions import Session, session


@pytest.fixture
def at_prompt() -> Iterator[Session]:
    with session(clock="virtual", level="counts") as opened:
        opened.type(
            "import weakref\nclass Data(bytearray): pass\nmade = []\ndef data():\n    one = Data()\n"
            "    made.append(weakref.ref(one))\n    return one"
        )
        yield opened


def holding(at_prompt: Session) -> Holding | None:
    return held_by(at_prompt.shell, (one() for one in at_prompt.shell.names["made"]))


def test_a_list_that_grows(at_prompt: Session) -> None:
    at_prompt.type("cache = [data() for _ in range(984)]")
    found = holding(at_prompt)
    assert str(found) == "__main__.cache  list, 984 items"
    assert found is not None
    assert (found.kind, found.share) == ("module global", 1.0)


def test_objects_that_hold_each_other_count_once(at_prompt: Session) -> None:
    at_prompt.type("cache = {}\nfor i in range(9):\n    cache[i] = data()\n    cache[i].other = data()\n")
    assert str(holding(at_prompt)) == "__main__.cache  dict, 9 items"


def test_each_in_a_wrapper_of_its_own(at_prompt: Session) -> None:
    at_prompt.type("cache = [{'conn': [data()]} for _ in range(50)]")
    assert str(holding(at_prompt)) == "__main__.cache  list, 50 items"


def test_a_container_deep_inside(at_prompt: Session) -> None:
    at_prompt.type("class Server: pass\ns = Server()\ns.tables = {'open': [data() for _ in range(7)]}")
    assert str(holding(at_prompt)) == "__main__.s.tables['open']  list, 7 items"


def test_a_few_elsewhere_do_not_matter(at_prompt: Session) -> None:
    at_prompt.type("cache = [data() for _ in range(20)]\nother = [data() for _ in range(5)]")
    found = holding(at_prompt)
    assert str(found) == "__main__.cache  list, 20 items"
    assert found is not None
    assert found.share == pytest.approx(0.8)


def test_a_variable_of_many_coroutines(at_prompt: Session) -> None:
    at_prompt.type("def hold(mine):\n    sleep(60)\nfor i in range(7): go(hold, data())\n")
    found = holding(at_prompt)
    assert found is not None
    assert found.root.startswith("mine of 7 coroutines at <co:")
    assert (found.kind, found.type, found.items) == ("local variable", "Data", None)


def test_a_list_in_a_variable_of_many_coroutines(at_prompt: Session) -> None:
    at_prompt.type("def hold(mine):\n    sleep(60)\nfor i in range(7): go(hold, [data()])\n")
    found = holding(at_prompt)
    assert found is not None
    assert found.root.startswith("mine of 7 coroutines at <co:")


def test_garbage_is_held_by_nobody(at_prompt: Session) -> None:
    at_prompt.type("import gc as collector\ncollector.disable()\nx = data()\nx.me = x\ndel x")
    try:
        assert holding(at_prompt) is None
    finally:
        at_prompt.type("collector.enable()")


def test_no_objects_no_holder(at_prompt: Session) -> None:
    assert held_by(at_prompt.shell, []) is None
