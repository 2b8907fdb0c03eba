from typing import Any

import pytest

from coloop._callbacks import EVENTS, KEYS, Callbacks, Settings, as_framing
from coloop._framing import LengthPrefixed, Lines, Raw


def nothing(*_: object) -> None:
    """A callback."""


@pytest.mark.parametrize("event", EVENTS)
def test_one_is_replaced_by_its_name_with_or_without_on(event: str) -> None:
    for name in (event, event.removeprefix("on_")):
        callbacks = Callbacks().having(name, nothing)
        assert getattr(callbacks, event) is nothing
        assert callbacks.having(name, None) == Callbacks()


@pytest.mark.parametrize(
    ("event", "advice"),
    [
        ("on_recieve", "no such event 'on_recieve': did you mean 'on_receive'?"),
        ("connected", "did you mean 'on_connect'"),
        ("xyzzy", "there are on_start, on_worker_start"),
    ],
)
def test_an_unknown_event_is_refused_with_the_nearest(event: str, advice: str) -> None:
    with pytest.raises(ValueError, match=f"{advice}".replace("?", r"\?")):
        Callbacks().having(event, nothing)


def test_what_cannot_be_called_is_no_callback() -> None:
    with pytest.raises(TypeError, match="on_close must be a function, not 'text'"):
        Callbacks(on_close="text")  # type: ignore[arg-type]


def test_the_first_of_those_of_connections_is_the_one_that_answers() -> None:
    assert Callbacks().of_connections == ()
    assert Callbacks(on_start=nothing).of_connections == ()
    assert Callbacks(on_close=nothing, on_receive=print).of_connections == (print, nothing)


def test_a_setting_is_changed_by_its_name() -> None:
    assert Settings().having("idle", 5).idle == 5
    assert Settings().having("framing", "line").framing == Lines()
    assert "high_water" in KEYS


@pytest.mark.parametrize(
    ("key", "near"), [("highwater", "high_water"), ("heart_beat", "heartbeat"), ("idel", "idle")]
)
def test_an_unknown_setting_is_refused_with_the_nearest(key: str, near: str) -> None:
    with pytest.raises(ValueError, match=rf"no such setting '{key}': did you mean '{near}'\?"):
        Settings().having(key, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"high_water": 10, "low_water": 11},
        {"high_water": 0, "low_water": 0},
        {"low_water": -1},
        {"high_water": True},
        {"high_water": "1M"},
        {"overflow": "drop"},
        {"idle": 0},
        {"idle": -1},
        {"idle": float("nan")},
        {"heartbeat": 0},
        {"heartbeat": 5, "framing": Raw()},
        {"heartbeat": 5, "framing": Lines(), "heartbeat_message": "text"},
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_line(options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        Settings(**options)
    assert "\n" not in str(caught.value)


def test_a_heartbeat_may_be_an_empty_message_where_that_is_something() -> None:
    assert Settings(heartbeat=5, framing=LengthPrefixed()).heartbeat_message == b""


def test_a_framing_is_given_as_such_or_by_name() -> None:
    assert as_framing(None) == Raw()
    assert as_framing("length:2") == LengthPrefixed(2)
    assert as_framing(Lines(5)) == Lines(5)
    for wrong in (5, b"\n"):
        with pytest.raises((TypeError, ValueError), match=r"framing must be Raw\(\)"):
            as_framing(wrong)
