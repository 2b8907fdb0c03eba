"""What a plugin does wrong is one line with its name, and ends there."""

import json
import queue
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import coloop
from coshell import contain
from coshell.contain import FAILURES_ALLOWED, Guard, Home, Watchdog, describe

NOWHERE = Home(None)
AN_HOUR_S = 3600.0


class Notices(queue.SimpleQueue[str]):
    def next(self) -> str:
        return self.get(timeout=30)


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def watchdog(notices: Notices) -> Iterator[Watchdog]:
    watchdog = Watchdog(notices.put, patience_s=AN_HOUR_S)
    yield watchdog
    watchdog.close()


@pytest.fixture
def impatient(notices: Notices) -> Iterator[Watchdog]:
    watchdog = Watchdog(notices.put, patience_s=0.001)
    yield watchdog
    watchdog.close()


@pytest.fixture
def guard(watchdog: Watchdog, notices: Notices) -> Guard:
    return Guard("mine", NOWHERE, watchdog, notices.put)


def run_file(path: Path, source: str) -> ModuleType:
    path.write_text(source)
    module = ModuleType(path.stem)
    exec(compile(source, str(path), "exec"), vars(module))
    return module


def fail(error: BaseException) -> Callable[..., None]:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("it did not raise")


# -- describe


def test_an_error_is_named_with_the_plugins_own_line_and_not_the_librarys(tmp_path: Path) -> None:
    module = run_file(tmp_path / "mine.py", "import json\n\ndef parse(text):\n    return json.loads(text)\n")
    error = caught(lambda: module.parse("nonsense"))
    assert describe(error, Home(tmp_path / "mine.py")) == (
        "JSONDecodeError: Expecting value: line 1 column 1 (char 0) (mine.py:4 in parse)"
    )


def test_a_folder_owns_the_files_in_it(tmp_path: Path) -> None:
    module = run_file(tmp_path / "inner.py", "def boom():\n    return [][0]\n")
    assert describe(caught(module.boom), Home(tmp_path)).endswith("(inner.py:2 in boom)")


def test_without_a_line_of_the_plugin_the_innermost_one_is_named() -> None:
    line = describe(caught(lambda: json.loads("nonsense")), NOWHERE)
    assert line.endswith(" in raw_decode)")


def test_a_syntax_error_is_named_with_its_own_place(tmp_path: Path) -> None:
    error = caught(lambda: run_file(tmp_path / "mine.py", "x = 1\ndef broken(:\n"))
    assert describe(error, NOWHERE) == "SyntaxError: invalid syntax (mine.py:2)"


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert describe(ValueError("early"), NOWHERE) == "ValueError: early (unknown place)"


def test_an_error_without_a_message_is_its_type() -> None:
    assert describe(ValueError(), NOWHERE) == "ValueError (unknown place)"


def test_a_message_cannot_reach_the_terminal_nor_break_the_line() -> None:
    assert "\x1b" not in describe(ValueError("\x1b]0;title\x07\nnext"), NOWHERE)
    assert "\n" not in describe(ValueError("\x1b]0;title\x07\nnext"), NOWHERE)


def test_an_error_that_cannot_be_shown_is_still_named() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert describe(Mute(), NOWHERE) == "Mute: <its __str__ raised RuntimeError> (unknown place)"


# -- the watchdog


def test_what_takes_long_is_named_while_it_runs_with_the_line_where_it_is(
    tmp_path: Path, impatient: Watchdog, notices: Notices
) -> None:
    module = run_file(
        tmp_path / "mine.py", "def wait(watching, told):\n    with watching:\n        return told()\n"
    )
    home = Home(tmp_path / "mine.py")
    line = module.wait(impatient.watching("loading plugin 'mine'", home, "; Ctrl-C skips it"), notices.next)
    assert re.fullmatch(
        r"loading plugin 'mine' has taken \S+ so far, at mine.py:[23] in wait; Ctrl-C skips it", line
    )


def test_it_is_told_once_however_long_it_takes(impatient: Watchdog, notices: Notices) -> None:
    with impatient.watching("first", NOWHERE):
        notices.next()
        with impatient.watching("second", NOWHERE):
            assert notices.next().startswith("second")
    assert notices.empty()


def test_what_is_done_in_time_is_not_named(watchdog: Watchdog, notices: Notices) -> None:
    with watchdog.watching("quick", NOWHERE):
        pass
    watchdog.close()
    assert notices.empty()


def test_a_watchdog_that_never_watched_can_be_closed(notices: Notices) -> None:
    Watchdog(notices.put).close()


# -- the guard


def test_what_a_hook_returns_comes_through(guard: Guard) -> None:
    assert guard.call("hook", max, 1, 3) == 3
    assert guard.remarks() == ""


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), GeneratorExit(), BaseException("x")])
def test_whatever_a_hook_raises_stays_in_it(guard: Guard, error: BaseException) -> None:
    assert guard.call("hook", fail(error)) is None
    assert guard.remarks().startswith(f"plugin 'mine': hook failed: {type(error).__name__}")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), coloop.Cancelled()])
def test_a_wish_to_end_passes_through(guard: Guard, error: BaseException) -> None:
    with pytest.raises(type(error)):
        guard.call("hook", fail(error))
    assert not guard.failures


def test_a_hook_that_failed_too_often_is_not_called_again_and_this_is_told_once(
    guard: Guard, notices: Notices
) -> None:
    calls: list[int] = []
    for _ in range(FAILURES_ALLOWED + 3):
        guard.call("coshell_toolbar", lambda: calls.append(1) or {}[0])
    assert len(calls) == FAILURES_ALLOWED
    assert "coshell_toolbar failed: KeyError" in (line := notices.next())
    assert line.endswith("; disabled after 5 failures")
    assert notices.empty()
    assert guard.has_disabled()


def test_one_failure_less_disables_nothing(guard: Guard, notices: Notices) -> None:
    for _ in range(FAILURES_ALLOWED - 1):
        guard.call("hook", fail(ValueError("x")))
    assert guard.call("hook", max, 1, 3) == 3
    assert notices.empty()
    assert not guard.has_disabled()


def test_one_hook_that_is_disabled_leaves_the_others_alone(guard: Guard) -> None:
    for _ in range(FAILURES_ALLOWED):
        guard.call("bad", fail(ValueError("x")))
    assert guard.call("good", max, 1, 3) == 3


def test_a_slow_hook_is_named_with_its_time(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    guard.call("coshell_toolbar", max, 1, 3)
    monkeypatch.setattr(contain, "HOOK_BUDGET_S", 0.0)
    assert guard.remarks().startswith("coshell_toolbar took ")


def test_a_hook_that_always_takes_long_is_named_the_first_time_only(
    impatient: Watchdog, notices: Notices
) -> None:
    guard = Guard("mine", NOWHERE, impatient, notices.put)

    def as_long_as_another() -> str:
        with impatient.watching("another", NOWHERE):
            return notices.next()

    assert guard.call("hook", notices.next).startswith("plugin 'mine': hook has taken ")
    assert guard.call("hook", as_long_as_another).startswith("another has taken ")
