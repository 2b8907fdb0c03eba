"""Where text ends up."""

import io

from coshell.console import Capture, StreamConsole


def test_a_stream_gets_text_and_lines():
    stream = io.StringIO()
    console = StreamConsole(stream)
    console.write("a")
    console.write_line("b", "error")
    console.flush()
    assert stream.getvalue() == "ab\n"


def test_styles_become_colours_where_there_are_any():
    stream = io.StringIO()
    console = StreamConsole(stream, color=True)
    console.write_line("bad", "error")
    console.write_line("plain")
    console.write_line("odd", "no such style")
    assert stream.getvalue() == "\x1b[31mbad\x1b[0m\nplain\nodd\n"


def test_a_capture_remembers():
    console = Capture()
    assert console.lines() == []
    console.write("a\nb")
    console.write_line("c", "error")
    console.flush()
    assert console.text == "a\nbc\n"
    assert console.lines() == ["a", "bc"]
