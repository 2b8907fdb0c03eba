"""Whoever asks a worker about its coroutines is answered from beside them, also while one lets nobody run."""

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import coloop
from coshell_plugins.worker.channel import packed, receive_blocking
from coshell_plugins.worker.lookout import (
    COROUTINE_FIELDS,
    MAX_ANSWER,
    MAX_TEXT,
    SOCKET_FIELDS,
    Lookout,
)

ID, NAME, OUTCOME = (COROUTINE_FIELDS.index(name) for name in ("id", "name", "outcome"))


def run(main: Callable[[Lookout], object]) -> None:
    """As coroutine 1, with a lookout that would end nobody else; all others are cancelled at its end."""

    def live() -> None:
        with socket.socket() as unused:
            main(Lookout(unused, {1}))
        raise SystemExit

    with pytest.raises(SystemExit):
        coloop.run(live)


def asked(prepare: Callable[[], Any], *questions: dict[str, Any]) -> list[Any]:
    """What is answered, from a thread, while the scheduler does what `prepare` has started."""
    answers: list[Any] = []

    def main(lookout: Lookout) -> None:
        prepare()
        coloop.to_thread(lambda: answers.extend(map(lookout.answer, questions)))

    run(main)
    return answers


def sleeper() -> None:
    coloop.sleep(3600)


def parent() -> None:
    coloop.go(sleeper, name="child")
    coloop.sleep(3600)


def family() -> None:
    coloop.go(parent, name="parent")  # 2, and its child 3


def test_a_look_tells_where_one_stands_who_started_it_and_whom_it_has_started() -> None:
    there, child = asked(family, {"ask": "look", "id": 2}, {"ask": "look", "id": 3})
    assert (there["picture"][NAME], there["children"], there["responsive"]) == ("parent", [3], True)
    assert there["stack"][-1][0].endswith(" in parent")
    assert there["stack"][-1][1] == "coloop.sleep(3600)"
    assert [one[NAME] for one in child["coroutines"]] == ["child", "parent", "live"]
    assert len(child["picture"]) == len(COROUTINE_FIELDS)


def test_its_sockets_are_told_and_no_one_elses() -> None:
    def listen() -> None:
        coloop.listen(":0")
        coloop.sleep(3600)

    def prepare() -> None:
        coloop.go(listen)
        coloop.go(listen)

    (there,) = asked(prepare, {"ask": "look", "id": 2})
    (held,) = there["sockets"]
    assert (held[SOCKET_FIELDS.index("role")], held[SOCKET_FIELDS.index("owner")]) == ("listener", 2)


def test_one_that_has_ended_is_told_of_by_how_and_one_that_never_was_by_that() -> None:
    def fail() -> None:
        raise ValueError("x" * 1000)

    def prepare() -> None:
        coloop.go(fail).join()

    dead, never, zero = asked(prepare, *({"ask": "look", "id": number} for number in (2, 99, 0)))
    assert dead["picture"][OUTCOME] == f"ValueError: {'x' * 1000}"[:MAX_TEXT] + "..."
    assert [one[NAME] for one in dead["coroutines"]] == ["live"]
    assert never == zero == {"unknown": "there has been none"}


def while_hogged(*questions: dict[str, Any]) -> list[Any]:
    """Asked while coroutine 3 computes without a pause; the last question must end it."""
    answers: list[Any] = []

    def spin() -> None:
        while True:
            time.sleep(0.001)

    def main(lookout: Lookout) -> None:
        scheduler = coloop.current_scheduler()
        coloop.go(sleeper, name="calm")

        def ask() -> None:
            while scheduler.snapshot(0).hog is None:
                time.sleep(0.01)
            answers.extend(map(lookout.answer, questions))

        asking = threading.Thread(target=ask)
        asking.start()
        hog = coloop.go(spin, name="hog")
        hog.join()
        asking.join()

    run(main)
    return answers


def test_who_lets_nobody_run_is_seen_where_he_computes_and_can_be_killed() -> None:
    hog, calm, cancelled, own, killed = while_hogged(
        {"ask": "look", "id": 3},
        {"ask": "look", "id": 2},
        {"ask": "cancel", "id": 2},
        {"ask": "kill", "id": 1, "grace_s": 1.0},
        {"ask": "kill", "id": 3, "grace_s": 0.3},
    )
    assert hog["stack"][-1][0].endswith(" in spin")
    assert (hog["hog"][ID], hog["responsive"]) == (3, False)
    assert (calm["stack"], calm["hog"][ID], calm["picture"][NAME]) == (None, 3, "calm")
    assert [one[NAME] for one in calm["coroutines"]] == ["calm", "live"]
    assert cancelled == {"hog": 3, "name": "hog"}
    assert "the worker's own" in own["error"]
    assert killed == {"name": "hog", "how": "ended"}


def test_what_could_not_be_cancelled_in_time_is_not_cancelled_later() -> None:
    def main(lookout: Lookout) -> None:
        calm = coloop.go(sleeper)
        asking = threading.Thread(target=lookout.answer, args=({"ask": "cancel", "id": calm.id},))
        asking.start()
        asking.join()  # lets nobody run meanwhile
        for _ in range(3):
            coloop.yield_now()
        assert not calm.ended

    run(main)


def test_a_cancel_tells_whether_it_was_enough() -> None:
    gate = []

    def stubborn() -> None:
        gate.append(coloop.Event())
        try:
            coloop.sleep(3600)
        finally:
            gate[0].wait()

    def main(lookout: Lookout) -> None:
        coloop.go(sleeper, name="calm")
        coloop.go(stubborn)
        ended, again, cleaning, own, never = [
            coloop.to_thread(lookout.answer, {"ask": "cancel", "id": number}) for number in (2, 2, 3, 1, 99)
        ]
        gate[0].set()
        assert ended == {"name": "calm", "how": "ended"}
        assert again == {"name": "calm", "how": "had ended"}
        assert cleaning == {"name": "stubborn", "how": "cleaning up"}
        assert "the worker's own" in own["error"]
        assert never == {"unknown": "there has been none"}

    run(main)


def test_each_question_has_an_answer_that_bears_its_number_and_is_bounded() -> None:
    here, there = socket.socketpair()
    replies: list[Any] = []

    def talk() -> None:
        for question in (
            {"ask": "level", "level": "counts"},
            {"ask": "level", "level": "everything"},
            {"ask": "what" * 1000},
            {},
        ):
            here.sendall(packed({"number": len(replies), **question}))
            replies.append(receive_blocking(here))
        here.sendall(packed({"number": 4, "ask": "look", "id": 2}))
        length = int.from_bytes(here.recv(4, socket.MSG_WAITALL), "big")
        replies.append(json.loads(here.recv(length, socket.MSG_WAITALL)))
        assert length <= MAX_ANSWER
        here.close()

    def main() -> None:
        Lookout(there, {1}).start()
        coloop.go(sleeper, name="\N{SNOWMAN}" * 100_000)
        coloop.to_thread(talk)
        raise SystemExit

    with pytest.raises(SystemExit):
        coloop.run(main)
    assert [reply["number"] for reply in replies] == [0, 1, 2, 3, 4]
    assert replies[0]["level"] == "counts"
    assert replies[1]["error"].startswith("ValueError: no such level: 'everything'")
    assert replies[2]["error"].startswith("unknown question")
    assert len(replies[2]["error"]) < 400
    assert len(replies[4]["picture"][NAME]) == MAX_TEXT + 3
