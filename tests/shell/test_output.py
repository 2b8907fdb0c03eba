"""Who prints, and what becomes of it."""

import errno
import io
import sys
import threading

import pytest

import coloop
from coloop.testing import MockClock
from coshell.console import Capture, StreamConsole
from coshell.output import ALL_LINES_PER_S, LINES_PER_S, MAX_AUTHORS, MAX_LINE_CHARS, Output
from tests.patience import wait_for


@pytest.fixture
def screen():
    return Capture()


@pytest.fixture
def output(screen):
    made = Output(screen)  # each test installs it itself: pytest exchanges sys.stdout after the setup
    yield made
    made.close()


def printing(*texts, end="\n", flush=False):
    for text in texts:
        print(text, end=end, flush=flush)


def in_a_coroutine(fn, *args, name="leaky", **kwargs):
    coloop.run(lambda: coloop.go(fn, *args, name=name, **kwargs).join(), clock=MockClock())


# -- foreground ------------------------------------------------------------------------------------


def test_what_the_main_thread_prints_goes_out_as_it_comes(output, screen):
    output.install()
    print("a", end="")
    assert screen.text == "a"
    print("b")
    assert screen.text == "ab\n"


def test_a_statement_in_the_foreground_prints_as_it_comes(output, screen):
    output.install()

    def statement():
        with output.foreground():
            print("50 %", end="")
            print("hi")

    in_a_coroutine(statement)
    assert screen.text == "50 %hi\n"


def test_errors_have_a_way_of_their_own(screen):
    errors = Capture()
    output = Output(screen, errors)
    output.install()
    print("to stderr", file=sys.stderr)
    output.notice("look")
    output.close()
    assert (screen.text, errors.text) == ("", "to stderr\nlook\n")


def test_control_characters_are_shown(output, screen):
    output.install()
    print("\x1b[2J\x07 \x9b2J \u202e tab\tstays")
    assert screen.text == "\\x1b[2J\\x07 \\x9b2J \\u202e tab\tstays\n"


def test_control_characters_pass_if_they_are_wanted(output, screen):
    output.install()
    output.raw = True
    print("\x1b[31mred")
    assert screen.text == "\x1b[31mred\n"


def test_what_is_said_is_printable(output, screen):
    output.install()
    output.say("a\x1b[2Jb\nc")
    assert screen.lines() == ["a\\x1b[2Jb", "c"]


# -- background ------------------------------------------------------------------------------------


def test_lines_from_the_background_have_their_author_in_front(output, screen):
    output.install()
    in_a_coroutine(printing, "one", "two")
    assert screen.lines() == ["[co#2 leaky] one", "[co#2 leaky] two"]


def test_a_line_from_the_background_waits_for_its_end(output, screen):
    output.install()
    in_a_coroutine(printing, "a", "b", "c\n", end="")
    assert screen.lines() == ["[co#2 leaky] abc"]


def test_a_line_without_an_end_is_shown_when_it_is_flushed(output, screen):
    output.install()
    in_a_coroutine(printing, "a", "b", end="", flush=True)
    assert screen.lines() == ["[co#2 leaky] a", "[co#2 leaky] b"]


def test_a_line_without_an_end_is_shown_in_the_end(output, screen):
    output.install()
    in_a_coroutine(printing, "a", end="")
    assert screen.lines() == []
    output.close()
    assert screen.lines() == ["[co#2 leaky] a"]


def test_names_of_coroutines_are_printable_too(output, screen):
    output.install()
    in_a_coroutine(printing, "hi", name="\x1b]0;title\x07")
    assert screen.lines() == ["[co#2 \\x1b]0;title\\x07] hi"]


def test_escape_sequences_from_the_background_never_pass(output, screen):
    output.install()
    output.raw = True
    in_a_coroutine(printing, "\x1b[2J")
    assert screen.lines() == ["[co#2 leaky] \\x1b[2J"]


def test_a_thread_is_an_author_too(output, screen):
    output.install()
    thread = threading.Thread(target=printing, args=("hi",), name="helper")
    thread.start()
    thread.join()
    assert screen.lines() == ["[helper] hi"]


def test_a_line_from_the_background_does_not_run_into_the_foregrounds(output, screen):
    output.install()
    print("half a line", end="")
    in_a_coroutine(printing, "hi")
    print("the rest")
    assert screen.lines() == ["half a line", "[co#2 leaky] hi", "the rest"]


def test_a_very_long_line_is_broken(output, screen):
    output.install()
    in_a_coroutine(printing, "x" * (2 * MAX_LINE_CHARS + 1))
    in_a_coroutine(printing, "y" * (MAX_LINE_CHARS + 1), end="")
    output.close()
    assert [len(line) - len("[co#2 leaky] ") for line in screen.lines()] == [
        MAX_LINE_CHARS,
        MAX_LINE_CHARS,
        1,
        MAX_LINE_CHARS,
        1,
    ]


def test_authors_who_have_ended_are_forgotten(output):
    output.install()

    def many():
        for _ in range(2 * MAX_AUTHORS):
            coloop.go(printing, "x").join()

    coloop.run(many)
    assert len(output._authors) <= MAX_AUTHORS


# -- limits ----------------------------------------------------------------------------------------


class Time:
    now_s = 0.0

    def __call__(self):
        return self.now_s


class Reticent(Output):
    """It tells of held lines when it is closed, and no sooner: the second after which it would is a real one."""

    def _tell_later(self, author):
        pass


@pytest.fixture
def limited(screen):
    made = Reticent(screen, limited=True, clock=Time())
    yield made
    made.close()


def test_a_terminal_shows_so_many_lines_of_an_author_and_counts_the_others(limited, screen):
    limited.install()
    in_a_coroutine(printing, *range(1500))
    limited.close()
    assert len(screen.lines()) == LINES_PER_S + 1
    assert screen.lines()[-1] == "[co#2 leaky] ... 1,300 lines held back (more than 200 a second)"


def test_in_the_next_second_there_is_room_again(limited, screen):
    limited.install()
    in_a_coroutine(printing, *range(LINES_PER_S))
    limited._clock.now_s = 1.0
    in_a_coroutine(printing, "more")
    assert screen.lines()[-1] == "[co#2 leaky] more"


def test_held_lines_are_told_of_soon(screen):
    told = threading.Event()

    class Telling(Output):
        def _tell_later(self, author):
            super()._tell_later(author)
            told.set()

    output = Telling(screen, limited=True, clock=Time())
    output.install()
    try:
        in_a_coroutine(printing, *range(LINES_PER_S + 5))
        wait_for(told)
        assert screen.lines()[-1] == "[co#2 leaky] ... 5 lines held back (more than 200 a second)"
    finally:
        output.close()


def test_many_authors_have_a_limit_together(limited, screen):
    limited.install()

    def many():
        for _ in range(ALL_LINES_PER_S + 100):
            coloop.go(printing, "x")

    coloop.run(many)
    limited.close()
    assert len(screen.lines()) == ALL_LINES_PER_S + 1
    assert screen.lines()[-1] == "[background] ... 100 lines held back (more than 1000 a second)"


def test_the_foreground_has_no_limit(limited, screen):
    limited.install()
    printing(*range(LINES_PER_S * 2))
    assert len(screen.lines()) == LINES_PER_S * 2


def test_a_script_shows_all(output, screen):
    output.install()
    in_a_coroutine(printing, *range(1500))
    assert len(screen.lines()) == 1500


def test_deaths_have_a_limit_too(limited, screen):
    limited.install()
    for number in range(LINES_PER_S + 7):
        limited.report(f"died {number}")
    limited.close()
    assert len(screen.lines()) == LINES_PER_S + 1
    assert "7 lines held back" in screen.lines()[-1]


# -- when nobody listens ---------------------------------------------------------------------------


class Deaf(io.StringIO):
    def __init__(self, code):
        super().__init__()
        self.code = code

    def write(self, text):
        raise OSError(self.code, "cannot")


def test_a_closed_pipe_is_noted_and_raises_nothing():
    output = Output(StreamConsole(Deaf(errno.EPIPE)))
    output.printed("x\n")
    output.say("x")
    assert output.broken
    assert output.failure is None


def test_a_full_disk_is_noted_and_raises_nothing():
    output = Output(StreamConsole(Deaf(errno.ENOSPC)))
    output.printed("x\n")
    assert output.failure == "cannot"
    assert not output.broken


# -- the place of sys.stdout -----------------------------------------------------------------------


def test_the_old_streams_come_back(screen):
    before = sys.stdout, sys.stderr
    output = Output(screen)
    output.install()
    assert sys.stdout is not before[0]
    output.close()
    assert (sys.stdout, sys.stderr) == before


def test_the_new_stream_is_one(output, screen):
    output.install()
    assert sys.stdout.write("abc") == 3
    sys.stdout.writelines(["d", "e\n"])
    sys.stdout.flush()
    assert screen.text == "abcde\n"
    assert sys.stdout.encoding
    assert not sys.stdout.isatty()
    with pytest.raises(TypeError, match="takes a str, not bytes"):
        sys.stdout.write(b"x")
