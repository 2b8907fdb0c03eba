import copy
import gc
import os
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import coloop
from coloop._connect import connect
from coloop._elsewhere import Elsewhere
from coloop._listener import listen
from coloop._server import serve

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]

Things = dict[str, tuple[Any, str]]


@pytest.fixture
def with_things() -> Callable[[Callable[[Things], None]], None]:
    """Call something with one of each kind, and with what is said of it in another process."""

    def call(use: Callable[[Things], None]) -> None:
        with (
            serve(":0", name="web", on_receive=lambda *_: None) as server,
            connect(server.address) as client,
            listen(":0") as listener,
        ):
            coloop.sleep(0.01)
            one, channel = server.clients[0], coloop.Channel[int]()
            coroutine = coloop.go(coloop.suspend, name="c")
            use(
                {
                    "client": (client, f"client#{client.id} to {server.address} was opened"),
                    "accepted": (server.connections[0], f"from {client.local} was opened"),
                    "listener": (listener, f"listener#{listener.id} on {listener.address} was opened"),
                    "connection": (one, f"web/c1 from {client.local} was opened"),
                    "server": (server, f"server web on {server.address} was started"),
                    "channel": (channel, f"{channel} was made"),
                    "coroutine": (coroutine, f"{coroutine} 'c' was started"),
                }
            )
            coroutine.cancel()

    return call


def test_in_its_own_process_the_thing_itself_comes_out(with_things: Any) -> None:
    def use(things: Things) -> None:
        for thing, _ in things.values():
            assert pickle.loads(pickle.dumps(thing)) is thing
            assert copy.copy(thing) is thing
            assert copy.deepcopy([thing])[0] is thing

    with_things(use)


USE = """
import pickle, sys
import coloop
for name, pickled in pickle.load(sys.stdin.buffer).items():
    thing = pickle.loads(pickled)
    print(name, repr(thing), sep="\\t")
    for use in (
        lambda: thing.send(b"x"), lambda: thing.id, lambda: thing(), lambda: len(thing), lambda: list(thing),
        lambda: thing.__enter__(), lambda: setattr(thing, "data", 1), lambda: bool(thing), lambda: thing[0],
    ):
        try:
            use()
        except coloop.WrongProcess as error:
            print(name, error, sep="\\t")
        else:
            print(name, "was used", sep="\\t")
    pickle.dumps(thing)
"""


def test_in_another_process_every_use_is_refused_with_both_numbers(with_things: Any) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def use(things: Things) -> None:
        pickles = pickle.dumps({name: pickle.dumps(thing) for name, (thing, _) in things.items()})
        with subprocess.Popen(
            [sys.executable, "-c", USE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        ) as process:
            output, _ = coloop.to_thread(process.communicate, pickles, 60)
        lines = [line.split("\t") for line in output.decode().splitlines()]
        assert len(lines) == 10 * len(things)
        for name, line in lines:
            assert things[name][1] in line
            assert f"in process {os.getpid()}" in line
        refused = [line for _, line in lines if not line.startswith("<")]
        assert len(refused) == 9 * len(things)
        assert all(f" and is used in process {process.pid}: " in line for line in refused)
        assert any(line.endswith(": open it where it is used, in on_worker_start") for line in refused)

    with_things(use)


def test_what_is_gone_is_told_to_be_gone() -> None:
    pickled = pickle.dumps(coloop.Channel[int]())
    gc.collect()
    shadow = pickle.loads(pickled)
    assert isinstance(shadow, Elsewhere)
    with pytest.raises(coloop.WrongProcess, match="was made in this process, and is gone"):
        shadow.receive()


def test_a_pickle_keeps_nothing_alive() -> None:
    pickle.dumps(channel := coloop.Channel[int]())
    held = weakref.ref(channel)  # its address may be another's by the time one looks
    del channel
    gc.collect()
    assert held() is None


def test_a_shadow_can_be_passed_on_and_inspected() -> None:
    shadow: Any = Elsewhere(1, b"other", 1, "client#3 to x:1 was opened", "open it there")
    again = pickle.loads(pickle.dumps(shadow))
    assert repr(again) == repr(shadow) == "<client#3 to x:1 was opened in process 1>"
    assert not hasattr(shadow, "__wrapped__")
    with pytest.raises(
        coloop.WrongProcess, match=r"x:1 was opened in process 1 and is used in process \d+: open it"
    ):
        shadow.recv()
