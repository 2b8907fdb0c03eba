"""The pages in a real browser: no complaint, no request, no sideways scrolling on a phone.

They run where Chromium is installed; with REQUIRE_PEERS a browser that is missing is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coloop import HeapStack
from coshell.pictures.curve import Point
from coshell.pictures.flame_html import flame_page
from coshell.pictures.flame_svg import flame_svg
from coshell.pictures.flame_tree import tree_of
from coshell.pictures.run_page import Happening, run_page
from coshell.pictures.timeline import Trace
from tests.shell import browser
from tests.shell.browser import Page
from tests.shell.test_run_page import EVIL, Verdict, run

LONG = "a_name_without_any_blank_" * 20
POINTS = tuple(Point(n / 10, 1000 * n * n) for n in range(200))
STACKS = [HeapStack(2, ("a.py:1 in main", f"b.py:{n} in {LONG}", EVIL), 1000 * n, n) for n in range(1, 40)]

pytestmark = pytest.mark.skipif(
    browser.program() is None and not os.environ.get("REQUIRE_PEERS"), reason="chromium is not installed"
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.page(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    root = tree_of(STACKS)
    happenings = [
        Happening("assert", True, f"{LONG}.cosh:3", f"@assert {LONG}"),
        Happening("error", False, f"{LONG}.cosh:4", "", EVIL + LONG, (LONG * 5, EVIL)),
    ]
    whole = run(
        name=LONG,
        happenings=happenings,
        heap=POINTS,
        coroutines=POINTS,
        connections=POINTS,
        sites=[Trace(LONG, 2, LONG, POINTS), Trace(EVIL, None, EVIL, POINTS)],
        verdicts=[Verdict("LEAK", LONG, because=EVIL), Verdict("steady", LONG), Verdict("warming up", EVIL)],
        flames={"stack": root},
    )
    texts = {
        "report.html": run_page([whole, run()], happenings, 1, "today"),
        "flame.html": flame_page(root, EVIL, LONG),
        "flame.svg": flame_svg(root, EVIL, LONG),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in texts}


NAMES = ("report.html", "flame.html", "flame.svg")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dark", [False, True])
def test_the_browser_fetches_nothing_else_and_complains_of_nothing(
    opened: Page, files: dict[str, Path], name: str, dark: bool
) -> None:
    opened.open(files[name], dark=dark)
    assert opened.value("document.readyState") == "complete"
    assert [url for url in opened.requests if not url.startswith("data:")] == [files[name].as_uri()]
    assert opened.complaints == []


@pytest.mark.parametrize("name", ["report.html", "flame.html"])
def test_on_a_phone_nothing_sticks_out(opened: Page, files: dict[str, Path], name: str) -> None:
    opened.open(files[name], width=375)
    assert opened.value("document.documentElement.scrollWidth") == 375
    assert opened.value("document.body.scrollWidth") <= 375


@pytest.mark.parametrize("name", ["report.html", "flame.html"])
def test_dark_is_dark_and_light_is_light(opened: Page, files: dict[str, Path], name: str) -> None:
    colours = []
    for dark in (False, True):
        opened.open(files[name], dark=dark)
        found = opened.value("getComputedStyle(document.body).backgroundColor")
        colours.append(int(found.removeprefix("rgb(").split(",")[0]))
    assert colours[0] > 200
    assert colours[1] < 60


def test_a_click_takes_a_box_for_the_whole_and_one_above_it_goes_back(
    opened: Page, files: dict[str, Path]
) -> None:
    opened.open(files["flame.html"])
    width = "document.querySelectorAll('.box')[{}].getBoundingClientRect().width"
    whole, before = opened.value(width.format(0)), opened.value(width.format(2))
    assert before < whole / 2
    opened.value("document.querySelectorAll('.box')[2].click()")
    assert opened.value(width.format(2)) == pytest.approx(whole)
    assert "b.py:39" in opened.value("document.querySelector('.told').textContent")
    opened.value("document.querySelectorAll('.box')[0].click()")
    assert opened.value(width.format(2)) == pytest.approx(before)


def test_a_click_zooms_the_drawing_too(opened: Page, files: dict[str, Path]) -> None:
    opened.open(files["flame.svg"])
    width = "document.querySelectorAll('g.box')[2].querySelector('rect').getBBox().width"
    before = opened.value(width)
    opened.value("document.querySelectorAll('g.box')[2].dispatchEvent(new MouseEvent('click'))")
    assert opened.value(width) > 2 * before


def test_pointing_at_a_curve_tells_what_was_so_then(opened: Page, files: dict[str, Path]) -> None:
    opened.open(files["report.html"])
    opened.value(
        "(() => { const area = document.querySelector('.area'), box = area.getBoundingClientRect();"
        " area.dispatchEvent(new PointerEvent('pointermove', {clientX: box.right - 1})); })()"
    )
    assert opened.value("document.querySelector('.curve .told').textContent").endswith("at 19.90s")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_read_without_scripts(opened: Page, files: dict[str, Path], name: str) -> None:
    opened.open(files[name], scripts=False)
    opened._ask("Emulation.setScriptExecutionDisabled", value=False)
    assert "a.py:1 in main" in opened.value("document.documentElement.textContent")
    assert opened.complaints == []
