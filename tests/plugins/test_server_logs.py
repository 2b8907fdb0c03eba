"""A log keeps the last lines, and never more than a bounded part of them."""

from coshell_plugins.server.logs import MAX_BYTES, MAX_LINE_BYTES, MAX_LINES, Log, Splitter


def test_lines_are_kept_in_their_order() -> None:
    log = Log()
    log.add(1.0, 1, 77, "first")
    log.add(2.0, None, None, "second")
    assert [(line.at, line.worker, line.pid, line.text) for line in log.lines()] == [
        (1.0, 1, 77, "first"),
        (2.0, None, None, "second"),
    ]


def test_of_too_many_lines_the_oldest_go() -> None:
    log = Log()
    for number in range(MAX_LINES + 5):
        log.add(0.0, 1, 77, str(number))
    assert log.lines()[0].text == "5"
    assert len(log.lines()) == MAX_LINES
    assert log.dropped == 5


def test_of_long_lines_fewer_are_kept() -> None:
    log = Log()
    for _ in range(1000):
        log.add(0.0, 1, 77, "x" * 10_000)
    assert sum(len(line.text) for line in log.lines()) <= MAX_BYTES
    assert len(log.lines()) == MAX_BYTES // MAX_LINE_BYTES


def test_lines_that_come_in_pieces_are_put_together() -> None:
    splitter = Splitter()
    assert splitter.feed(b"on") == []
    assert splitter.feed(b"e\r\ntwo\nthr") == ["one", "two"]
    assert splitter.close() == ["thr"]
    assert splitter.close() == []


def test_a_line_without_an_end_is_cut_before_it_grows_too_long() -> None:
    splitter = Splitter()
    pieces = [piece for _ in range(10) for piece in splitter.feed(b"x" * 1000)]
    assert all(len(piece) <= MAX_LINE_BYTES + 1000 for piece in pieces)
    assert pieces
    assert len("".join(pieces) + "".join(splitter.close())) == 10_000


def test_what_is_no_text_is_shown_as_what_it_is() -> None:
    assert Splitter().feed(b"\xff\n") == ["\\xff"]
