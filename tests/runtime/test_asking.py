"""Another thread's question is answered on the scheduler's own, or not at all."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from coloop import Scheduler, _asking, current_scheduler, run, to_thread
from coloop._asking import answered
from tests.patience import PATIENCE_S

coroutine = pytest.mark.coroutine


def on_a_thread(call: Callable[[], Any]) -> Any:
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(call()))
    thread.start()
    thread.join()
    return told[0]


@coroutine
def test_it_is_answered_on_the_scheduler_s_own_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_asking, "STALE_QUESTION_S", PATIENCE_S)
    assert to_thread(answered, current_scheduler(), threading.get_ident) == threading.get_ident()


@coroutine
def test_who_lets_nobody_else_run_gives_no_answer() -> None:
    scheduler = current_scheduler()
    assert on_a_thread(lambda: answered(scheduler, lambda: 1)) is None


def test_one_that_nobody_runs_gives_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_asking, "PATIENCE_S", 0.001)
    monkeypatch.setattr(_asking, "STALE_QUESTION_S", 0.0)
    scheduler = Scheduler()
    assert on_a_thread(lambda: answered(scheduler, lambda: 1)) is None
    scheduler._shut_down()


def test_one_that_is_over_has_none() -> None:
    assert on_a_thread(lambda: answered(run(current_scheduler), lambda: 1)) is None


@coroutine
def test_a_question_that_fails_has_no_answer_and_is_reported(
    monkeypatch: pytest.MonkeyPatch, observer: Any
) -> None:
    def fail() -> None:
        raise ValueError("spoilt")

    monkeypatch.setattr(_asking, "PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(_asking, "STALE_QUESTION_S", PATIENCE_S)
    assert to_thread(answered, current_scheduler(), fail) is None
    assert [failure.message for failure in observer.failures] == ["spoilt"]
    observer.failures.clear()


@coroutine
def test_a_question_that_has_grown_old_is_not_asked_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(_asking, "STALE_QUESTION_S", 0.0)
    assert to_thread(answered, current_scheduler(), lambda: asked.append(1)) is None
    assert asked == []
