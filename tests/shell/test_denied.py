import pytest

from coshell.command import CommandError
from coshell.denied import Denied
from coshell.leaks.verdict import KEPT_DEAD
from tests.shell.sessions import hogged_session, session


def found(opened, *names, source=""):
    with Denied(opened.shell, names) as denied:
        if source:
            opened.type(source)
    return [str(finding) for finding in denied.found]


def test_a_run_without_trouble_has_no_findings():
    with session(level="counts") as opened:
        assert found(opened, "hog", "stuck", "died-unseen", source="go sleep(0)") == []


def test_a_death_that_nobody_saw_is_found():
    with session(level="counts") as opened:
        lines = found(
            opened, "died-unseen", source="go 1 / 0 --name boom" if False else "def f(): 1 / 0\ngo f()"
        )
        assert lines == ["co#2 f died, and nobody waited for it: ZeroDivisionError: division by zero (err 2)"]


RESET = """
def rude():
    with listen("127.0.0.1:0") as listener:
        sender, reader = connect(listener.address), listener.accept()
        sender.send(bytes(8 << 20))
        sender.close(linger=0)
        reader.close()

go rude()
sleep(0)"""


def test_a_reset_over_what_was_not_confirmed_is_found():
    with session(level="counts") as opened:
        (line,) = found(opened, "dropped-unsent", source=RESET)
        assert line.startswith("co#2 rude closed over ")


def test_it_is_found_also_of_one_whom_nobody_remembers_any_more():
    with session(level="counts") as opened:
        many_more = f"\nfor _ in range({KEPT_DEAD + 1}): go(len, '').join()"
        assert (
            len(
                found(
                    opened, "dropped-unsent", source=RESET.replace("\nsleep(0)", "\nsleep(0)\n") + many_more
                )
            )
            == 1
        )
        assert 2 not in {picture.id for picture in opened.shell.snapshot().dead}


DEAF = """
listener = listen("127.0.0.1:0")
client = connect(listener.address)"""


def test_clients_that_nobody_accepts_are_found():
    with session(level="counts") as opened:
        (line,) = found(opened, "not-accepting", source=DEAF)
        assert "lets 1 client wait at 127.0.0.1:" in line


def test_somebody_whom_nothing_can_wake_is_found():
    with session(level="counts") as opened:
        lines = found(opened, "stuck", source="go Channel().receive() --name lost")
        assert len(lines) == 1
        assert lines[0].startswith("co#2 lost can never be woken")


def test_somebody_who_lets_nobody_run_is_found_while_it_does():
    with hogged_session() as opened:
        assert any(line.startswith("co#3 hog has run for") for line in found(opened, "hog"))


def test_what_is_not_denied_is_not_told():
    with session(level="counts") as opened:
        assert found(opened, "hog", source="go Channel().receive()") == []


def test_a_lint_that_does_not_exist_is_refused():
    with (
        session(level="counts") as opened,
        pytest.raises(CommandError, match="no lint 'hogg', did you mean 'hog'"),
    ):
        Denied(opened.shell, ["hogg"])
