"""The chain that keeps an object alive, told as it would be written."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from coshell.commands.refs import COMMANDS
from tests.shell.aside import Aside, Seat
from tests.shell.sessions import Session, check_example, check_json, each_example


@pytest.fixture
def at_prompt(aside: Aside) -> Iterator[Seat]:
    with aside.session(clock="virtual", level="counts") as opened:
        yield opened


@each_example(*COMMANDS)
def test_every_example_runs_as_it_stands(aside: Aside, command, example) -> None:
    aside.do(check_example, command, example)


@each_example(*COMMANDS)
def test_every_command_speaks_json(aside: Aside, command, example) -> None:
    aside.do(check_json, command, example)


def test_a_global_list(at_prompt: Seat) -> None:
    at_prompt.type("cache = [0, bytearray(9)]")
    assert at_prompt.type("refs cache[1]") == ["__main__.cache (list, module global) -> [1] -> bytearray"]
    assert at_prompt.type("refs cache") == ["__main__.cache (list, module global)"]


def test_the_function_gives_a_record(at_prompt: Seat) -> None:
    at_prompt.type("cache = {'k': bytearray(9)}")
    found = at_prompt.value("refs(cache['k'])")
    assert (found.root, found.kind, found.type) == ("__main__.cache", "module global", "dict")
    assert [(link.at, link.type) for link in found.chain] == [("['k']", "bytearray")]
    assert at_prompt.value("refs(cache['k']).root == '__main__.cache'") is True


def test_the_class_of_what_is_asked_for_is_not_asked(at_prompt: Seat) -> None:
    at_prompt.type("from tests.secretive import Secret\ncache = [Secret()]")
    assert at_prompt.type("refs cache[0]") == ["__main__.cache (list, module global) -> [0] -> Secret"]
    assert at_prompt.value("refs(cache[0]).root") == "__main__.cache"


def test_json_has_the_links(at_prompt: Seat) -> None:
    at_prompt.type("cache = [bytearray(9)]")
    (line,) = at_prompt.type("refs cache[0] --json")
    assert json.loads(line) == {
        "root": "__main__.cache",
        "kind": "module global",
        "type": "list",
        "chain": [{"at": "[0]", "type": "bytearray"}],
        "remark": "",
    }


def test_a_long_chain_is_cut_in_its_middle_and_broken_between_links(at_prompt: Seat) -> None:
    at_prompt.type("x = bytearray(9)\nfor i in range(12): x = [x]\n")
    lines = at_prompt.type("refs " + "x" + "[0]" * 12)
    assert all(len(line) <= 80 for line in lines)
    text = " ".join(line.strip() for line in lines)
    assert text.count("[0]") == 8
    assert "-> ... 4 more links ... ->" in text
    assert text.startswith("__main__.x (list, module global) -> [0] (list)")
    assert text.endswith("-> [0] -> bytearray")


def test_several_chains_each_by_another_holder(at_prompt: Seat) -> None:
    at_prompt.type("x = bytearray(9)\na = [x]\nb = {'deep': [x]}")
    assert [str(chain) for chain in at_prompt.value("refs x --all 5")] == [
        "__main__.x (bytearray, module global)",
        "__main__.a (list, module global) -> [0] -> bytearray",
        "__main__.b (dict, module global) -> ['deep'] (list) -> [0] -> bytearray",
    ]
    assert len(at_prompt.value("refs x --all 2")) == 2
    assert at_prompt.refused("refs x --all 0") == "refs: --all 0: at least one is needed"


def test_nobody_but_the_question_holds_it(at_prompt: Seat) -> None:
    for line in (
        "refs bytearray(9)",
        "refs(bytearray(9))",
        "co.refs(bytearray(9))",
        "x = refs(bytearray(9))\nx",
    ):
        (told,) = at_prompt.type(line)
        assert told.strip("<>") == "nothing else holds it"


def test_asked_twice_it_answers_the_same(at_prompt: Seat) -> None:
    at_prompt.type("cache = [bytearray(9)]\ndef look(): return str(refs(cache[0], all=9))")
    for line in ("refs cache[0] --all 9", "str(refs(cache[0], all=9))", "look()"):
        first = at_prompt.type(line)
        at_prompt.value("__import__('gc').collect()")
        assert at_prompt.type(line) == first


def test_nothing_is_held_afterwards(at_prompt: Seat) -> None:
    at_prompt.type("import gc, weakref\nclass Thing: pass\ncache = [Thing()]\ngone = weakref.ref(cache[0])")
    at_prompt.type("refs cache[0]\nrefs(cache[0])\nr = refs(cache[0], all=5)")
    references = at_prompt.value("import sys\nsys.getrefcount(cache[0])")
    at_prompt.type("refs cache[0] --all 5")
    assert at_prompt.value("sys.getrefcount(cache[0])") == references
    at_prompt.type("gc.disable()")
    try:
        at_prompt.type("cache.clear()")
        assert at_prompt.value("gone() is None")
    finally:
        at_prompt.type("gc.enable()")


def test_the_collector_works_again_afterwards(at_prompt: Seat) -> None:
    at_prompt.type("import gc\nrefs bytearray(9)")
    assert at_prompt.value("gc.isenabled()")
    at_prompt.type("gc.disable()")
    try:
        at_prompt.type("refs bytearray(9)")
        assert not at_prompt.value("gc.isenabled()")
    finally:
        at_prompt.type("gc.enable()")


def test_a_coroutine_that_nobody_holds_is_held_by_the_scheduler(at_prompt: Seat) -> None:
    at_prompt.type("go sleep(60) --name nap")
    assert at_prompt.type("refs nap") == ["__main__.nap (Coroutine, module global)"]
    at_prompt.type("nap = None")
    told = at_prompt.value("refs co#2")
    assert told.kind == "only the scheduler"
    assert told.remark == "nobody holds co#2 but the scheduler: it lives, waiting on sleep 60s"
    assert at_prompt.value("refs 2") == told
    assert at_prompt.value("refs co#2 --all 3") == [told]
    assert at_prompt.value("refs(2)") == told


def test_a_dead_coroutine_whose_handle_is_held(at_prompt: Seat) -> None:
    at_prompt.type("handles = {'h': go(len, 'abc')}")
    assert at_prompt.type("refs co#2") == ["__main__.handles (dict, module global) -> ['h'] -> Coroutine"]
    at_prompt.type("handles.clear()")
    assert at_prompt.refused("refs co#2").startswith(
        "co#2 len has ended (returned a int), and nobody holds its handle; objects are not told at level counts"
    )


def name_of_a_thing(opened: Session) -> str:
    return str(next(iter(opened.shell.things)))


def test_servers_and_connections_by_name(at_prompt: Seat) -> None:
    at_prompt.type("serve :0 print as s\ns.cache = [bytearray(9)]")
    name = at_prompt.do(name_of_a_thing)
    assert at_prompt.type(f"refs {name}") == ["__main__.s (Server, module global)"]
    at_prompt.type("del s")
    assert at_prompt.type(f"refs {name}") == [f"{name} (Server, server)"]
    assert at_prompt.refused("refs nothing#7") == "nothing is called 'nothing#7' (ps and conns tell what is)"


def test_an_object_that_the_interpreter_never_frees(at_prompt: Seat) -> None:
    assert at_prompt.value("refs None").kind == "immortal"
    assert at_prompt.value("refs(True)").kind == "immortal"


def test_it_gives_up_when_told_so(at_prompt: Seat) -> None:
    told = at_prompt.value("refs bytearray(9) --limit 0")
    assert told.kind == "gave up"
    assert told.remark.startswith("gave up after 0s of computing: ")


def test_what_the_expression_raises_is_told(at_prompt: Seat) -> None:
    assert "NameError" in at_prompt.fail("refs nowhere.at_all")[0]
    assert at_prompt.fail("refs")[1] == 2


_HOSTILE = """\
class Meta(type):
    def __getattribute__(cls, name): raise RuntimeError('asked a class')
    def __eq__(cls, other): raise RuntimeError('compared a class')
    def __hash__(cls): raise RuntimeError('hashed a class')
class Hostile(metaclass=Meta):
    def __init__(self, inner): object.__setattr__(self, 'inner', inner)
    def __getattribute__(self, name): raise RuntimeError('asked')
    def __repr__(self): raise RuntimeError('shown')
    def __eq__(self, other): raise RuntimeError('compared')
    def __hash__(self): raise RuntimeError('hashed')
    def __len__(self): raise RuntimeError('counted')
    def __iter__(self): raise RuntimeError('iterated')
    def __bool__(self): raise RuntimeError('doubted')
    @property
    def __class__(self): raise RuntimeError('classified')
class Closed:
    @property
    def __dict__(self): raise RuntimeError('opened')
class HostileList(list):
    def __iter__(self): raise RuntimeError('iterated')
    def __len__(self): raise RuntimeError('counted')
class HostileKey:
    def __repr__(self): raise RuntimeError('shown')
outer = Hostile(bytearray(99))
closed = Closed()
closed.inner = bytearray(96)
inside = HostileList([[bytearray(98)]])
keyed = {HostileKey(): bytearray(97)}
def sized(n):
    import gc
    found = []
    for one in gc.get_objects():
        found += [r for r in gc.get_referents(one) if type(r) is bytearray and len(r) == n]
    return found[0]
"""


def test_no_code_of_the_users_runs(at_prompt: Seat) -> None:
    at_prompt.type(_HOSTILE)
    assert at_prompt.type("refs sized(99)") == [
        "__main__.outer (Hostile, module global) -> .inner -> bytearray"
    ]
    assert at_prompt.type("refs list.__getitem__(inside, 0)[0]") == [
        "__main__.inside (HostileList, module global) -> [0] (list) -> [0] -> bytearray"
    ]
    assert at_prompt.type("refs sized(97)") == [
        "__main__.keyed (dict, module global) -> [<HostileKey>] -> bytearray"
    ]
    assert at_prompt.value("refs sized(96)").root == "__main__.closed"  # nobody can say where in it
    assert at_prompt.type("refs outer") == ["__main__.outer (Hostile, module global)"]
    assert at_prompt.type("refs Hostile") == ["__main__.Hostile (class, module global)"]


def test_it_refers_to_nothing_itself(at_prompt: Seat) -> None:
    """The record is text: what it tells of can go."""
    at_prompt.type("import weakref\nclass Thing: pass\nkept = [Thing()]\nheld = weakref.ref(kept[0])")
    at_prompt.type("record = refs(kept[0])")
    at_prompt.type("kept.clear()")
    assert at_prompt.value("held() is None")
    assert at_prompt.value("record.root") == "__main__.kept"
