import pytest

from coshell.console import Capture
from coshell.output import Output
from coshell.recording import Recording
from coshell.steps import Step

SCRIPT = Step("input", "f()", "x.cosh", 3)
TYPED = Step("input", "f()", "x.cosh", 4, transcript=True)


class Listener:
    """A report that remembers."""

    problem = None

    def __init__(self, *, takes_output):
        self.takes_output = takes_output
        self.told = []

    def tell(self, event):
        self.told.append((event.kind, event.place, *event.facts.values()))

    def close(self):
        pass


@pytest.fixture(params=[False, True], ids=["plain", "json"])
def listener(request):
    return Listener(takes_output=request.param)


@pytest.fixture
def screen():
    return Capture()


@pytest.fixture
def output(screen):
    return Output(screen)


def test_what_a_script_prints_goes_its_own_way_or_is_told_but_never_both(listener, screen, output):
    recording = Recording(listener)
    with recording.attached(output):
        recording.begin(SCRIPT)
        output.printed("one\ntw")
        output.printed("o\n")
        output.say("three")
    assert screen.lines() == ([] if listener.takes_output else ["one", "two", "three"])
    lines = [(kind, place, text) for kind, place, text in listener.told]
    assert lines == (
        [("output", "x.cosh:3", text) for text in ("one", "two", "three")] * listener.takes_output
    )


def test_what_a_transcript_prints_is_kept_and_not_shown(listener, screen, output):
    recording = Recording(listener)
    with recording.attached(output):
        recording.begin(TYPED)
        output.printed("one\ntwo")
        output.notice("died", "error")
        assert recording.lines() == ["one", "two", "died"]
    assert screen.text == ""


def test_a_line_without_an_end_counts_as_one(listener, output):
    recording = Recording(listener)
    with recording.attached(output):
        recording.begin(TYPED)
        output.printed("one")
        assert recording.lines() == ["one"]
        recording.add(["error: two"])
        assert recording.lines() == ["one", "error: two"]


def test_every_step_begins_with_an_empty_page(listener, output):
    recording = Recording(listener)
    with recording.attached(output):
        recording.begin(TYPED)
        output.say("one")
        recording.begin(TYPED)
        assert recording.lines() == []


def test_what_is_said_aside_is_nobodys_output(screen, output):
    recording = Recording(Listener(takes_output=False))
    with recording.attached(output):
        recording.begin(TYPED)
        with recording.aside():
            output.notice("it failed")
        output.say("one")
        assert recording.lines() == ["one"]
    assert screen.lines() == ["it failed"]


def test_errors_and_warnings_are_told_as_such(output):
    listener = Listener(takes_output=True)
    recording = Recording(listener)
    with recording.attached(output):
        output.notice("note")
        recording.begin(SCRIPT)
        output.notice("died", "error")
        output.notice("odd", "warning")
    assert listener.told == [
        ("output", "", "note"),
        ("error", "x.cosh:3", "died"),
        ("warning", "x.cosh:3", "odd"),
    ]


def test_afterwards_output_goes_where_it_went_before(listener, screen, output):
    with Recording(listener).attached(output):
        pass
    output.say("one")
    assert screen.lines() == ["one"]
    assert listener.told == []
