"""A flame graph as a drawing."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from coloop import HeapStack
from coshell.pictures.flame_svg import LETTER_WIDTH, WIDTH, fitting, flame_svg
from coshell.pictures.flame_tree import tree_of

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "]]></script><script>alert(1)</script>\x00\x1b\ud800.py:1 in x"
STACKS = (HeapStack(2, ("a.py:1 in main", "a.py:9 in load"), 3072, 3), HeapStack(2, (EVIL,), 1024, 1))


def drawn(stacks=STACKS) -> ET.Element:
    return ET.fromstring(flame_svg(tree_of(stacks), EVIL, EVIL))


def test_it_is_well_formed_and_has_only_our_script_whatever_the_names() -> None:
    assert len(list(drawn().iter(f"{SVG}script"))) == 1


def test_each_box_has_its_text_and_its_words() -> None:
    groups = list(drawn().iter(f"{SVG}g"))
    assert [group.findtext(f"{SVG}text") for group in groups][:3] == [
        "all",
        "a.py:1 in main",
        "a.py:9 in load",
    ]
    assert groups[2].findtext(f"{SVG}title") == "a.py:9 in load: 3.0K in 3 blocks, 75.0%"


def test_every_box_lies_on_the_paper() -> None:
    root = drawn()
    for rect in root.iter(f"{SVG}rect"):
        assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= WIDTH
        assert float(rect.get("y", 0)) + float(rect.get("height", 0)) <= float(root.get("height", 0))


def test_a_label_is_cut_to_its_box() -> None:
    assert fitting("a.py:1 in main", 500) == "a.py:1 in main"
    assert fitting("a.py:1 in main", 8 * LETTER_WIDTH + 6) == "a.py:1 …"
    assert fitting("a.py:1 in main", 20) == ""


def test_of_nothing_it_says_so() -> None:
    assert "nothing is alive" in flame_svg(tree_of([]), "t", "a")
