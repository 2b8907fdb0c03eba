import errno
import io
import json

import pytest

from coshell.console import Capture
from coshell.output import Output
from coshell.reading import ReadError
from coshell.report import Event, JsonReport, PlainReport, ShellReport, ending_line, event_of, refusal
from coshell.steps import SessionError, Step

FACTS = {
    "commands": 6,
    "asserts": 2,
    "failed": 1,
    "updated": 0,
    "seconds": 0.2149,
    "virtual_seconds": None,
    "files": 1,
}


def summary(file="leak.cosh", **facts):
    return Event("summary", file, None, {**FACTS, **facts})


def plain(*events):
    """What standard output and standard error show."""
    out, errors = io.StringIO(), io.StringIO()
    report = PlainReport(out, errors)
    for event in events:
        report.tell(event)
    return out.getvalue(), errors.getvalue()


def as_json(*events):
    out = io.StringIO()
    report = JsonReport(out)
    for event in events:
        report.tell(event)
    return [json.loads(line) for line in out.getvalue().splitlines()]


class Full(io.StringIO):
    """A disk that is full."""

    def write(self, _text):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({}, "leak.cosh: 6 commands, 2 asserts passed, 1 failed in 0.21s"),
        ({"failed": 0, "asserts": 1}, "leak.cosh: 6 commands, 1 assert passed in 0.21s"),
        ({"failed": 0, "commands": 1}, "leak.cosh: 1 command, 2 asserts passed in 0.21s"),
        ({"failed": 0, "updated": 3}, "leak.cosh: 6 commands, 2 asserts passed, 3 updated in 0.21s"),
        (
            {"virtual_seconds": 10.0},
            "leak.cosh: 6 commands, 2 asserts passed, 1 failed in 0.21s (10.00s virtual)",
        ),
    ],
)
def test_a_file_ends_with_a_line_that_counts(facts, line):
    assert ending_line(summary(**facts)) == line


def test_people_are_shown_what_went_wrong_and_the_ending_line():
    out, errors = plain(
        Event("input", "a.cosh", 1, {"text": "ps"}),
        Event("output", "a.cosh", 1, {"text": "ID"}),
        Event("assert", "a.cosh", 2, {"text": "@assert x", "ok": True}),
        Event("assert", "a.cosh", 3, {"text": "@assert y", "ok": False, "message": "@assert y failed: 0"}),
        Event("error", "a.cosh", 4, {"message": "boom", "details": ["  here", "  there"]}),
        Event("warning", "a.cosh", None, {"message": "odd"}),
        summary(),
    )
    assert errors.splitlines() == [
        "a.cosh:3: @assert y failed: 0",
        "a.cosh:4: boom",
        "  here",
        "  there",
        "a.cosh: warning: odd",
    ]
    assert out == "leak.cosh: 6 commands, 2 asserts passed, 1 failed in 0.21s\n"


def test_a_total_is_shown_only_for_several_files():
    assert plain(summary(None))[0] == ""
    assert plain(summary(None, files=2))[0].startswith("total: 6 commands")


def test_nothing_that_a_terminal_obeys_is_shown():
    assert plain(Event("error", "a\x1b[2J.cosh", 1, {"message": "\x9b2J", "details": ["\u202e"]}))[1] == (
        "a\\x1b[2J.cosh:1: \\x9b2J\n\\u202e\n"
    )


def test_programs_are_told_everything_one_object_a_line():
    told = as_json(Event("output", "a.cosh", 1, {"text": "\u202e"}), summary())
    assert told[0] == {"event": "output", "file": "a.cosh", "line": 1, "text": "\u202e"}
    assert told[1] == {"event": "summary", "file": "leak.cosh", "line": None, **FACTS}


def test_a_closed_report_tells_nothing():
    out = io.StringIO()
    report = JsonReport(out)
    report.close()
    report.tell(summary())
    assert out.getvalue() == ""


@pytest.mark.parametrize("report", [JsonReport(Full()), PlainReport(Full(), Full())])
def test_when_nothing_can_be_written_that_is_remembered_and_nothing_raised(report):
    report.tell(summary())
    report.tell(summary())
    assert report.problem.errno == errno.ENOSPC


def test_within_a_shell_only_what_went_wrong_is_shown_as_a_notice():
    console, errors = Capture(), Capture()
    report = ShellReport(Output(console, errors))
    report.tell(Event("error", "a.cosh", 4, {"message": "boom"}))
    report.tell(summary())
    report.close()
    assert (console.text, errors.text) == ("", "a.cosh:4: boom\n")


def test_an_event_belongs_to_a_step_or_to_none():
    step = Step("input", "ps", "a.cosh", 3)
    assert event_of(step, "input", {}).place == "a.cosh:3"
    assert event_of(None, "error", {}).place == ""


def test_a_file_that_is_not_run_is_told_with_the_place_and_the_reason():
    assert plain(refusal(SessionError("a.cosh", 12, 5, "bad")))[1] == "a.cosh:12:5: bad\n"
    assert plain(refusal(SessionError("a.cosh", 12, None, "bad")))[1] == "a.cosh:12: bad\n"
    assert plain(refusal(ReadError("a.cosh: no such file")))[1] == "a.cosh: no such file\n"
    assert as_json(refusal(SessionError("a.cosh", 12, 5, "bad"))) == [
        {"event": "error", "file": "a.cosh", "line": 12, "column": 5, "message": "bad"}
    ]
