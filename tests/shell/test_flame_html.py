"""A flame graph as a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from coloop import HeapStack
from coshell.pictures.flame_html import flame, flame_page
from coshell.pictures.flame_tree import tree_of

EVIL = "<script>alert(1)</script>.py:1 in \"x\" onmouseover='alert(1)'"
STACKS = (HeapStack(2, ("a.py:1 in main", "a.py:9 in load"), 3072, 3), HeapStack(2, (EVIL,), 1024, 1))


class Tags(HTMLParser):
    """The tags of a page, and the attributes that would run something."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.seen.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in {"meta", "link", "br", "!doctype"}:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def test_boxes_are_shares_of_the_width_and_are_told_in_words() -> None:
    made = "\n".join(flame(tree_of(STACKS)))
    assert 'style="left:0.0000%;width:75.0000%;top:20px"' in made
    assert 'title="a.py:9 in load: 3.0K in 3 blocks, 75.0%"' in made


def test_labels_are_read_without_a_script() -> None:
    assert "<span>a.py:9 in load</span>" in "\n".join(flame(tree_of(STACKS)))


def test_no_name_becomes_markup() -> None:
    tags = Tags()
    tags.feed(flame_page(tree_of(STACKS), EVIL, EVIL))
    assert tags.seen.count("script") == 1
    assert tags.handlers == []
    assert tags.open == []


def test_the_places_that_hold_most_stand_below() -> None:
    made = flame_page(tree_of(STACKS), "t", "a")
    rows = re.findall(r'<tr><td class="code">(.*?)</td><td class="number">(.*?)</td>', made)
    assert rows[0] == ("a.py:9 in load", "3.0K")


def test_of_nothing_it_says_so() -> None:
    assert "nothing is alive" in flame_page(tree_of([]), "t", "a")
