"""Failures of one line."""

from coshell.command_error import CommandError, UsageError, did_you_mean


def test_a_failure_may_have_a_hint():
    assert str(CommandError("no socket 'x'")) == "no socket 'x'"
    assert str(CommandError("no socket 'x'", "conns lists them")) == "no socket 'x': conns lists them"
    assert CommandError("x", "y").hint == "y"


def test_misuse_has_another_exit_code():
    assert CommandError("x").exit_code == 1
    assert UsageError("x").exit_code == 2


def test_the_nearest_is_named_if_there_is_one():
    assert did_you_mean("ehco", ["echo", "ps"]) == ", did you mean 'echo'?"
    assert did_you_mean("zzz", ["echo", "ps"]) == ""
