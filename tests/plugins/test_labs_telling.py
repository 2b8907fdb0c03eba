"""What a lab tells of a result can be read by people, and its figures by programs."""

from __future__ import annotations

import pytest

from coshell_plugins.labs.telling import figure, figures_in, so


def test_figures_are_found_again_among_other_lines(capsys: pytest.CaptureFixture[str]) -> None:
    figure("heap_bytes", 4096)
    print("figure: it out yourself")
    figure("ratio", 1.23456)
    figure("named", "a = b")
    print("and = 7")
    figure("flat", True)
    found = dict(figures_in(capsys.readouterr().out.splitlines()))
    assert found == {"heap_bytes": 4096, "ratio": 1.2346, "named": "a = b", "flat": True}


def test_an_explanation_is_wrapped_to_the_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    so("""It is so,
       and not otherwise.""")
    assert capsys.readouterr().out == "so: It is so, and\n    not otherwise.\n"
