"""Deaths, told and remembered."""

import pytest

from coloop import Failure
from coshell.failures import MAX_KEPT, MAX_KEPT_CHARS, Failures, death_of


def failure(number=7, message="peer is gone", traceback="Traceback\nValueError: x\n", name="conn"):
    return Failure(number, name, 1.2, "ConnectionResetError", message, traceback)


def test_a_death_in_one_line():
    death = death_of(failure())
    assert death.line() == (
        "✗ co#7 conn died after 1.2s: ConnectionResetError: peer is gone (traceback: err 7)"
    )
    assert death.line(ascii_only=True).startswith("error: co#7 conn died")


def test_what_belongs_to_no_coroutine_has_a_line_too():
    line = death_of(failure(number=0, name="<lambda>", message="")).line()
    assert line == "✗ <lambda> died after 1.2s: ConnectionResetError (traceback: err)"


@pytest.mark.parametrize("field", ["message", "name", "traceback"])
def test_nothing_unprintable_is_kept(field):
    death = death_of(failure(**{field: "\x1b]0;x\x07"}))
    assert "\x1b" not in f"{death.line()}{death.traceback}"
    assert r"\x1b]0;x\x07" in f"{death.line()}{death.traceback}"


def test_a_long_message_is_cut():
    assert len(death_of(failure(message="x" * 100_000)).line()) < 700


def test_the_last_ones_are_remembered():
    failures = Failures()
    assert failures.latest() is None
    for number in range(MAX_KEPT + 10):
        failures.add(death_of(failure(number=number)))
    assert len(failures) == MAX_KEPT
    assert failures.count == MAX_KEPT + 10
    assert failures.of(3) is None
    assert failures.of(20).id == 20
    assert failures.latest().id == MAX_KEPT + 9
    assert [death.id for death in failures] == list(range(10, MAX_KEPT + 10))


def test_all_that_is_remembered_has_a_limit():
    failures = Failures()
    long = "\n".join(["x" * 400] * 30)
    for number in range(MAX_KEPT):
        failures.add(death_of(failure(number=number, traceback=long)))
    assert sum(len(death.traceback) for death in failures) <= MAX_KEPT_CHARS
    assert failures.latest().id == MAX_KEPT - 1
