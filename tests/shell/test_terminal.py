"""The shell at a real pseudo-terminal: keys in, screen out."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.shell.pseudo_terminal import PseudoTerminal
from tests.shell.seats import enter, seat

CTRL_C, CTRL_D, CTRL_BRACKET = "\x03", "\x04", "\x1d"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[PseudoTerminal]:
    with seat(tmp_path) as opened:
        yield opened


def at_empty_prompt(terminal: PseudoTerminal) -> bool:
    return re.fullmatch(r"co>\s*(cmd|py)?", terminal.cursor_line()) is not None


# -- Ctrl-C ----------------------------------------------------------------------------------------


def test_ctrl_c_at_an_empty_prompt_tells_how_to_leave(terminal: PseudoTerminal) -> None:
    terminal.type(CTRL_C)
    terminal.wait_for("Ctrl-D or quit leaves")


def test_ctrl_c_clears_what_is_typed(terminal: PseudoTerminal) -> None:
    terminal.type("some text")
    terminal.wait_for(lambda: "some text" in terminal.cursor_line())
    terminal.type(CTRL_C)
    terminal.wait_for(lambda: at_empty_prompt(terminal))


def test_ctrl_c_in_a_block_gives_it_up(terminal: PseudoTerminal) -> None:
    enter(terminal, "for x in y:", "..>")
    terminal.type(CTRL_C)
    terminal.wait_for(lambda: at_empty_prompt(terminal))


def test_ctrl_c_interrupts_the_statement_and_nobody_else(terminal: PseudoTerminal) -> None:
    enter(terminal, "go sleep(1000) --name bystander", "bystander")
    enter(terminal, "print('it', 'sleeps'); sleep(999)", "it sleeps")
    terminal.type(CTRL_C)
    terminal.wait_for("interrupted")
    enter(terminal, "'alive:', snapshot().coroutines[1].name", "('alive:', 'bystander')")


def test_ctrl_c_ends_a_statement_that_computes_without_end(terminal: PseudoTerminal) -> None:
    terminal.type("def spin():\rprint('it', 'spins')\rwhile True: pass\r\r")
    enter(terminal, "spin()", "it spins")
    terminal.type(CTRL_C)
    terminal.wait_for("interrupted")
    enter(terminal, "6 * 7", "42")


# -- Ctrl-D ----------------------------------------------------------------------------------------


def test_ctrl_d_leaves(terminal: PseudoTerminal) -> None:
    terminal.type(CTRL_D)
    assert terminal.wait_for_end() == 0


def test_ctrl_d_asks_before_it_ends_what_is_alive(terminal: PseudoTerminal) -> None:
    enter(terminal, "echo :0 --as e", "listening on")
    terminal.wait_for(lambda: at_empty_prompt(terminal))
    terminal.type(CTRL_D)
    terminal.wait_for("1 server, 1 coroutine running; leave? [y/N]")
    terminal.type("n")
    terminal.wait_for(lambda: at_empty_prompt(terminal))
    terminal.type(CTRL_D)
    terminal.wait_for(lambda: "leave?" in terminal.cursor_line())
    terminal.type("y")
    assert terminal.wait_for_end() == 0


# -- nc --------------------------------------------------------------------------------------------


def test_nc_talks_half_closes_and_tells_who_has_closed(terminal: PseudoTerminal) -> None:
    enter(terminal, "echo :0 --as e", "listening on")
    enter(terminal, "nc e", "nc#1>")
    enter(terminal, "hello", "< hello")
    terminal.type(CTRL_D)
    terminal.wait_for("sent FIN")
    terminal.wait_for("peer closed after")
    terminal.wait_for(lambda: at_empty_prompt(terminal))


def test_nc_talks_over_tls_and_tells_with_whom(terminal: PseudoTerminal, files: SimpleNamespace) -> None:
    enter(terminal, f"echo :0 --tls --cert {files.both} --as e", "listening on")
    enter(terminal, f"nc e --tls --ca {files.ca}", "certificate of organizationName=trustme")
    enter(terminal, "hello", "< hello")
    terminal.type(CTRL_D)
    terminal.wait_for("sent close_notify, still reading")
    terminal.wait_for("peer closed after")
    terminal.wait_for(lambda: at_empty_prompt(terminal))


def test_nc_waits_for_who_calls_and_ctrl_c_ends_that(terminal: PseudoTerminal) -> None:
    enter(terminal, "nc -l :0", "nc: listening on 127.0.0.1:")
    terminal.type(CTRL_C)
    terminal.wait_for(lambda: at_empty_prompt(terminal))
    enter(terminal, "len(conns())", "0")


def test_ctrl_c_leaves_nc_and_only_nc(terminal: PseudoTerminal) -> None:
    enter(terminal, "echo :0 --as e", "listening on")
    enter(terminal, "nc e", "nc#1>")
    terminal.type(CTRL_C)
    terminal.wait_for(lambda: at_empty_prompt(terminal))
    enter(terminal, "6 * 7", "42")


def test_ctrl_c_leaves_nc_also_while_the_peer_sends_more_than_can_be_shown(terminal: PseudoTerminal) -> None:
    terminal.type("def flood(conn):\rwhile True: conn.sendall(b'drop\\n' * 10000)\r\r")
    enter(terminal, "serve :0 flood --as s", "listening on")
    enter(terminal, "nc s", "< drop")
    terminal.type(CTRL_C)
    terminal.wait_for(lambda: at_empty_prompt(terminal))
    enter(terminal, "6 * 7", "42")


def test_the_menu_of_nc_tells_how_much_was_said(terminal: PseudoTerminal) -> None:
    enter(terminal, "echo :0 --as e", "listening on")
    enter(terminal, "nc e", "nc#1>")
    terminal.type(CTRL_BRACKET)
    terminal.wait_for("(s)tatus")
    terminal.type("s")
    terminal.wait_for("received 0 bytes")


# -- the screen ------------------------------------------------------------------------------------


def test_what_is_printed_in_the_background_leaves_what_is_typed_alone(terminal: PseudoTerminal) -> None:
    enter(terminal, "def tell(): sleep(0.3); print('from the background')", "co>")
    terminal.type("\r")
    enter(terminal, "go tell() --name teller", "ok  co#")
    terminal.type("half a li")
    terminal.wait_for("teller] from the background")
    terminal.type("ne")
    terminal.wait_for(lambda: terminal.cursor_line().startswith("co> half a line"))


def test_a_flood_of_lines_leaves_the_prompt_usable(terminal: PseudoTerminal) -> None:
    terminal.type("def flood():\rfor i in range(20000):\rprint(i)\ryield_now()\r\r")
    enter(terminal, "go flood() --name flood", "lines held")
    terminal.type("6 * 7")
    terminal.wait_for(lambda: "6 * 7" in terminal.cursor_line())
    terminal.type("\r")
    terminal.wait_for("42")


def test_escape_sequences_of_others_never_reach_the_terminal(terminal: PseudoTerminal) -> None:
    hostile = r"\x1b]0;owned\x07\x9b2J\u202e"
    enter(terminal, f'k = go(sleep, 99, name="{hostile}")', "co>")
    enter(terminal, "ps", r"\x1b]0;owned")
    enter(terminal, "echo :0 --as e", "listening on")
    enter(terminal, "connect e as c", "connected")
    enter(terminal, f'c.sendall("{hostile}".encode()); print(c.recv().decode())', r"\u202e")
    for sequence in (b"\x1b]0;owned", b"\x07", "\x9b".encode(), "\u202e".encode()):
        assert sequence not in bytes(terminal.raw)


def test_no_size_of_the_window_is_too_small_or_too_large(terminal: PseudoTerminal) -> None:
    for rows, columns in ((1, 1), (2, 5), (500, 3), (3, 500), (24, 80)):
        terminal.resize(rows, columns)
    enter(terminal, "6 * 7", "42")


def test_without_colours_there_is_none(tmp_path: Path) -> None:
    with seat(tmp_path, NO_COLOR="1") as terminal:
        enter(terminal, "ps", "1 coroutine")
        assert not re.search(rb"\x1b\[[0-9;]*(3[0-7]|9[0-7]|38;5)[0-9;]*m", bytes(terminal.raw))


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    with seat(tmp_path, TERM="dumb") as terminal:
        enter(terminal, "6 * 7", "42")
        terminal.type(CTRL_D)
        assert terminal.wait_for_end() == 0
        assert b"\x1b" not in bytes(terminal.raw)


def test_a_terminal_that_never_tells_where_its_cursor_is_can_be_used(tmp_path: Path) -> None:
    from tests.shell.seats import COSHELL, environ

    with PseudoTerminal(COSHELL, environ(tmp_path), answers=False) as terminal:
        terminal.wait_for("co>")
        enter(terminal, "6 * 7", "42")


# -- keys, help, history ---------------------------------------------------------------------------


def test_tab_completes_commands_names_and_coroutines(terminal: PseudoTerminal) -> None:
    enter(terminal, "go sleep(99) --name sleepyhead", "sleepyhead")
    terminal.type("kill sleepyh\t")
    terminal.wait_for(lambda: "kill sleepyhead" in terminal.cursor_line())


def test_what_is_typed_ahead_stands_at_the_prompt_once(terminal: PseudoTerminal, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    terminal.type("import os\r")
    terminal.type(
        f"def hold():\rprint('b' + 'usy')\rwhile not os.path.exists({str(go_on)!r}): sleep(0.01)\r\r"
    )
    terminal.wait_for(lambda: at_empty_prompt(terminal))
    enter(terminal, "hold()", "busy\n")
    terminal.wait_for(lambda: terminal.cursor_line() == "")
    terminal.type("6 * ")  # the kernel echoes it
    terminal.wait_for(lambda: terminal.cursor_line() == "6 *")
    go_on.touch()
    terminal.wait_for(lambda: re.fullmatch(r"co> 6 \*\s*(py)?", terminal.cursor_line()) is not None)
    enter(terminal, "7", "42")
    assert "6 *\n" not in terminal.text()


def test_f2_goes_on_to_the_next_level(terminal: PseudoTerminal) -> None:
    terminal.type("\x1b[12~")
    terminal.wait_for("accounting: sites\n")
    terminal.type("\x1b[12~")
    terminal.wait_for("accounting: off\n")


def test_ctrl_d_typed_while_a_line_runs_counts_when_it_is_done(terminal: PseudoTerminal) -> None:
    enter(terminal, "print('b' + 'usy'); sleep(0.5)", "busy")
    terminal.type(CTRL_D)
    assert terminal.wait_for_end() == 0


def test_the_history_outlives_the_session(tmp_path: Path) -> None:
    with seat(tmp_path) as terminal:
        enter(terminal, "6 * 7", "42")
        terminal.wait_for(lambda: at_empty_prompt(terminal))
        terminal.type(CTRL_D)
        assert terminal.wait_for_end() == 0
    with seat(tmp_path) as terminal:
        terminal.type("\x1b[A")
        terminal.wait_for(lambda: "co> 6 * 7" in terminal.cursor_line())


# -- the end ---------------------------------------------------------------------------------------


def test_sigterm_restores_the_terminal_and_ends_with_143(terminal: PseudoTerminal) -> None:
    enter(terminal, "def tidy():", "..>")
    terminal.type("try: sleep(99)\rfinally: print('tidied')\r\r")
    enter(terminal, "go tidy()", "ok  co#")
    terminal.process.kill(signal.SIGTERM)
    assert terminal.wait_for_end() == 143
    assert "tidied" in terminal.text()


# -- workers ---------------------------------------------------------------------------------------

WORKERS = """\
from coloop import SocketPicture
from coshell.api import ProcessPicture, hookimpl

LISTENER = SocketPicture(
    id=1, fd=3, kind="tcp", role="listener", local="127.0.0.1:8080", peer=None, state="listening",
    kernel="LISTEN", unread=None, unsent=None, received=0, sent=0, reader=2, writer=None, owner=2, age_s=1.0,
)

@hookimpl
def coshell_processes(shell):
    return [ProcessPicture(f"web/w{n}", 70 + n, "running", 4, (), (LISTENER,), clients=n) for n in (1, 2)]
"""


def test_the_bar_counts_workers_and_their_clients_and_so_does_who_wants_to_leave(tmp_path: Path) -> None:
    (tmp_path / "workers.py").write_text(WORKERS)
    with seat(tmp_path, "--plugin", str(tmp_path / "workers.py"), columns=160) as terminal:
        terminal.wait_for("| web :8080 2w 3c |")
        terminal.type(CTRL_D)
        terminal.wait_for("2 workers, 3 clients")
