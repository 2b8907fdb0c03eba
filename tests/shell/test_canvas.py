"""Dots become characters."""

from __future__ import annotations

from coshell.pictures.canvas import Canvas


def drawn(canvas: Canvas) -> list[str]:
    return list(canvas.lines())


def test_a_braille_letter_has_two_dots_by_four() -> None:
    canvas = Canvas(1, 1)
    assert (canvas.width, canvas.height) == (2, 4)
    for x in range(2):
        for y in range(4):
            canvas.dot(x, y)
    assert drawn(canvas) == ["⣿"]


def test_dots_are_counted_from_the_lower_left_corner() -> None:
    canvas = Canvas(2, 2)
    canvas.dot(0, 0)
    canvas.dot(3, 7)
    assert drawn(canvas) == [" ⠈", "⡀ "]


def test_an_ascii_character_has_an_upper_and_a_lower_dot() -> None:
    canvas = Canvas(3, 1, ascii_only=True)
    for x, y in ((0, 0), (1, 1), (2, 0), (2, 1)):
        canvas.dot(x, y)
    assert drawn(canvas) == [".':"]


def test_outside_there_are_no_dots() -> None:
    canvas = Canvas(1, 1)
    for x, y in ((-1, 0), (0, -1), (2, 0), (0, 4)):
        canvas.dot(x, y)
    assert drawn(canvas) == [" "]


def test_a_line_has_no_gaps_and_both_its_ends() -> None:
    canvas = Canvas(4, 1, ascii_only=True)
    canvas.line((0, 0), (3, 1))
    assert drawn(canvas) == ["..''"]
    steep = Canvas(1, 3, ascii_only=True)
    steep.line((0, 0), (0, 5))
    assert drawn(steep) == [":", ":", ":"]
