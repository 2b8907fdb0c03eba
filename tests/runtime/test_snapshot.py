"""A snapshot shows all that a monitor needs, is frozen, holds nothing, and can be asked for from any thread."""

import dataclasses
import gc
import threading
import weakref
from typing import Any

import pytest

import coloop
from coloop import (
    Channel,
    ChannelPicture,
    _asking,
    _snapshot,
    current,
    current_scheduler,
    go,
    select,
    snapshot,
    suspend,
)
from coloop.testing import MockClock, socket_pair, wait_until_idle
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("mock_clock")]


def test_it_shows_who_lives_and_who_has_ended() -> None:
    ended = go(lambda: 5, name="short")
    waiting = go(suspend, name="long")
    picture = snapshot()
    assert [(it.id, it.name, it.state) for it in picture.coroutines] == [
        (current().id, "partial", "running"),
        (waiting.id, "long", "waiting"),
    ]
    assert [(it.id, it.name, it.outcome) for it in picture.dead] == [(ended.id, "short", "returned a int")]
    assert (picture.live, picture.spawned, picture.waiting, picture.ready) == (2, 3, 1, 0)
    waiting.resume()


def test_it_shows_as_many_as_were_asked_for_and_counts_all() -> None:
    waiting = [go(suspend) for _ in range(5)]
    picture = snapshot(2)
    assert (len(picture.coroutines), picture.live) == (2, 6)
    for one in waiting:
        one.resume()


def test_it_shows_sockets_and_counts_timers(mock_clock: MockClock) -> None:
    left, right = socket_pair()
    timed = coloop.every(1, len, "")
    reader = go(left.recv)
    picture = snapshot()
    assert [(it.id, it.reader) for it in picture.sockets] == [(left.id, reader.id), (right.id, None)]
    assert picture.timers == 1
    assert picture.taken_at == mock_clock.now()
    timed.cancel()
    right.close()
    reader.join()
    left.close()


def test_it_looks_for_channels_at_no_more_coroutines_than_were_asked_for() -> None:
    channels = [Channel[int]() for _ in range(3)]
    waiting = [go(channel.receive) for channel in channels]
    assert [channel.id for channel in snapshot(2).channels] == [channels[0].id]  # main and the first
    assert [channel.id for channel in snapshot().channels] == [channel.id for channel in channels]
    for child in waiting:
        child.cancel()


def test_it_shows_the_channels_at_which_somebody_waits() -> None:
    full, empty, both, quiet = Channel[int](1), Channel[int](), Channel[int](), Channel[int](3)
    full.send(1)
    senders = [go(full.send, 2), go(full.send, 3)]
    receiver = go(empty.receive)
    chooser = go(select, empty, both.sending(1), both, None)
    assert snapshot().channels == (
        ChannelPicture(full.id, 1, 1, False, (senders[0].id, senders[1].id), ()),
        ChannelPicture(empty.id, 0, 0, False, (), (receiver.id, chooser.id)),
        ChannelPicture(both.id, 0, 0, False, (chooser.id,), (chooser.id,)),
    )
    for one in (*senders, receiver, chooser):
        one.cancel()
    wait_until_idle()
    quiet.send(1)
    assert snapshot().channels == ()


def test_who_was_woken_waits_at_no_channel_any_more() -> None:
    channel = Channel[int]()
    receiver = go(channel.receive)
    channel.send(1)
    assert receiver.state == "ready"
    assert snapshot().channels == ()


@pytest.mark.parametrize("picture", ["snapshot", "coroutine", "channel", "socket"])
def test_it_is_frozen(picture: str) -> None:
    left, right = socket_pair()
    waiting = go(Channel[int]().receive)
    whole = snapshot()
    pictures: dict[str, Any] = {
        "snapshot": whole,
        "coroutine": whole.coroutines[0],
        "channel": whole.channels[0],
        "socket": whole.sockets[0],
    }
    for field in dataclasses.fields(pictures[picture]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(pictures[picture], field.name, None)
    waiting.cancel()
    left.close()
    right.close()


def test_it_holds_nothing_of_what_it_shows() -> None:
    channel = Channel[int]()
    waiting = go(channel.receive)
    picture = snapshot()
    held = [weakref.ref(channel), weakref.ref(waiting)]
    waiting.cancel()
    waiting.join()
    del channel, waiting
    gc.collect()
    assert [it() for it in held] == [None, None]
    assert len(picture.channels) == 1


def test_another_thread_gets_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_asking, "STALE_QUESTION_S", PATIENCE_S)
    scheduler, waiting = current_scheduler(), go(suspend)
    picture = coloop.to_thread(scheduler.snapshot)
    assert picture.responsive
    assert [it.waiting_on for it in picture.coroutines] == ["thread snapshot", "suspend"]
    waiting.resume()


def test_another_thread_gets_a_light_picture_if_the_whole_one_fails(
    monkeypatch: pytest.MonkeyPatch, observer: Any
) -> None:
    def take(*_: object, **__: object) -> None:
        raise ValueError("spoilt")

    monkeypatch.setattr(_snapshot, "take", take)
    monkeypatch.setattr(_asking, "PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(_asking, "STALE_QUESTION_S", PATIENCE_S)
    asking = go(coloop.to_thread, current_scheduler().snapshot)
    asking.join(5)
    assert asking.ended
    assert not asking.result().responsive
    assert [failure.message for failure in observer.failures] == ["spoilt"]
    observer.failures.clear()


def test_another_thread_gets_a_light_picture_of_a_scheduler_that_does_not_answer() -> None:
    scheduler, told = current_scheduler(), []
    thread = threading.Thread(target=lambda: told.append(scheduler.snapshot()))
    thread.start()
    thread.join()  # which holds up the loop
    picture = told[0]
    assert not picture.responsive
    assert [it.state for it in picture.coroutines] == ["running"]
    assert (picture.sockets, picture.channels) == ((), ())
    assert picture.hog is not None
    assert picture.hog.id == current().id
    assert any("test_snapshot.py" in place for place in picture.hog_stack)


@pytest.mark.coroutine
def test_of_many_sockets_as_many_are_pictured_as_are_asked_for() -> None:
    pairs = [coloop.testing.socket_pair() for _ in range(3)]
    scheduler = coloop.current_scheduler()
    assert len(scheduler.snapshot(sockets=2).sockets) == 2
    assert len(scheduler.snapshot(sockets=0).sockets) == 0
    assert len(scheduler.snapshot().sockets) == 6
    for left, right in pairs:
        left.close()
        right.close()
