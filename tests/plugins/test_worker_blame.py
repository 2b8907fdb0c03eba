"""What is told of an error in a worker: the place is one of the user's, or none."""

from __future__ import annotations

import json
from pathlib import Path

import coloop
from coshell.api import Certificate
from coshell_plugins.worker.blame import in_one_line

KNOWN = {"coloop": coloop, "json": json, "certificate": Certificate(Path("/none.pem"))}


def told(source: str, filename: str) -> str:
    """What is told of the error that this code ends with."""
    try:
        exec(compile(source, filename, "exec"), dict(KNOWN))
    except Exception as error:
        frames = error.__traceback__
        assert frames is not None
        return in_one_line(error.with_traceback(frames.tb_next))  # without this file
    raise AssertionError("it did not fail")


def test_the_place_is_the_last_one_in_code_of_the_users() -> None:
    assert told("\n\n1 / 0", "<co:7>") == "ZeroDivisionError: division by zero (<co:7>:3)"
    assert told("\njson.loads('x')", "/home/me/serve.cosh").endswith(" (serve.cosh:2)")
    assert told("coloop.serve(':0', 5)", "<co:1>").endswith(" (<co:1>:1)")


def test_code_that_was_made_by_a_library_is_no_place_of_the_users() -> None:
    """Of data classes and named tuples: it is compiled from text."""
    assert told("1 / 0", "<string>") == "ZeroDivisionError: division by zero"


def test_our_own_files_are_none_either() -> None:
    why = told("certificate.context()", "<string>")
    assert why == "CommandError: no certificate and key can be had from /none.pem: no such file or directory"
