"""A chain is told in one line, or in several where it is too wide."""

from __future__ import annotations

from coshell.refs.chain import Chain, Link, chain_of, ring_of
from coshell.refs.roots import GLOBAL, Root

LONG = Chain("__main__.x", GLOBAL, "list", tuple(Link(f"[{n}]", "list") for n in range(20)))


def test_a_root_alone() -> None:
    assert str(Chain("__main__.x", GLOBAL, "list")) == "__main__.x (list, module global)"


def test_links_between_have_their_type_in_brackets_and_the_last_behind_it() -> None:
    chain = Chain("__main__.x", GLOBAL, "list", (Link("[1]", "dict"), Link("['k']", "bytearray")))
    assert str(chain) == "__main__.x (list, module global) -> [1] (dict) -> ['k'] -> bytearray"


def test_it_can_be_written_as_an_expression_as_far_as_python_has_words() -> None:
    links = (
        Link(".table", "dict"),
        Link("['k']", "partial"),
        Link("inside", "list"),
        Link("[0]", "bytearray"),
    )
    assert Chain("__main__.x", GLOBAL, "Box", links).written == "__main__.x.table['k'] -> inside[0]"
    assert Chain("", "nothing", remark="nothing else holds it").written == ""


def test_eight_links_are_shown_of_a_long_one() -> None:
    assert str(LONG).count("[") == 8
    assert "-> [3] (list) -> ... 12 more links ... -> [16] (list) ->" in str(LONG)


def test_it_is_broken_between_links() -> None:
    lines = LONG.lines(60)
    assert all(len(line) <= 60 for line in lines)
    assert " ".join(line.strip() for line in lines) == str(LONG)


def test_without_a_chain_the_reason_is_told() -> None:
    assert str(Chain("", "nothing", remark="nothing else holds it")) == "nothing else holds it"


def test_what_is_shown_at_the_prompt_is_the_chain() -> None:
    assert repr(Chain("__main__.x", GLOBAL, "list")) == "<__main__.x (list, module global)>"


def test_what_a_class_holds_is_a_class_attribute() -> None:
    class Cls:
        items = (bytearray(9),)

    chain = chain_of(Root(Cls, GLOBAL, "m", "Cls"), [Cls, Cls.items, Cls.items[0]])
    assert (chain.root, chain.kind, chain.type) == ("m.Cls.items", "class attribute", "tuple")
    assert chain.chain == (Link("[0]", "bytearray"),)


def test_names_from_elsewhere_cannot_reach_the_terminal() -> None:
    held = bytearray(9)
    chain = chain_of(Root({}, GLOBAL, "m", "\x1b]0;x\x07"), [{"\x1b[2J": held}, held])
    assert str(chain).isprintable()


def test_a_cycle() -> None:
    ring: list[object] = []
    ring.append(ring)
    assert ring_of([ring, ring]) == "list -> [0] (list)"
