"""Each question gets its own answer, or a reason why there is none."""

import socket
from collections.abc import Callable

import pytest

import coloop
from coloop.testing import MockClock
from coshell_plugins.server.questions import HasEnded, NoAnswer, Questions
from coshell_plugins.worker.channel import Channel
from coshell_plugins.worker.lookout import MAX_ANSWER
from tests.patience import PATIENCE_S


def run(main: Callable[[Questions, Channel], None], clock: MockClock | None = None) -> None:
    def live() -> None:
        left, right = socket.socketpair()
        questions, there = Questions(left, "answers"), Channel(right)
        main(questions, there)
        there.close()
        questions.close()

    coloop.run(live, clock=clock)


def test_two_who_ask_at_once_each_get_their_own_answer() -> None:
    def main(questions: Questions, there: Channel) -> None:
        asking = [coloop.go(questions.ask, {"ask": what}, PATIENCE_S) for what in "ab"]
        received = [there.receive(), there.receive()]
        for message in reversed(received):
            assert message is not None
            there.post({"number": message["number"], "said": message["ask"]})
        assert [one.result()["said"] for one in asking] == ["a", "b"]

    run(main)


def test_one_that_does_not_answer_is_not_waited_for_and_its_late_answer_is_nobodys() -> None:
    def main(questions: Questions, there: Channel) -> None:
        with pytest.raises(NoAnswer, match=r"^does not answer within 0.5 s"):
            questions.ask({"ask": "a"}, 0.5)
        first = there.receive()
        asking = coloop.go(questions.ask, {"ask": "b"}, PATIENCE_S)
        second = there.receive()
        assert first is not None
        assert second is not None
        there.post({"number": first["number"], "said": "a"})
        there.post({"number": [1], "said": "nonsense"})
        there.post({"number": second["number"], "said": "b"})
        assert asking.result()["said"] == "b"

    run(main, MockClock(autojump=True))


@pytest.mark.parametrize("again", [False, True])
def test_who_has_ended_answers_nobody(again: bool) -> None:
    def main(questions: Questions, there: Channel) -> None:
        asking = coloop.go(questions.ask, {"ask": "a"}, PATIENCE_S)
        coloop.yield_now()
        there.close()
        with pytest.raises(HasEnded, match=r"^has ended$"):
            asking.result()
        if again:
            with pytest.raises(HasEnded, match=r"^has ended$"):
                questions.ask({"ask": "b"}, PATIENCE_S)

    run(main)


def test_an_answer_that_is_too_long_is_not_read() -> None:
    def main(questions: Questions, there: Channel) -> None:
        asking = coloop.go(questions.ask, {"ask": "a"}, PATIENCE_S)
        coloop.yield_now()
        there.post({"number": 1, "text": "x" * MAX_ANSWER})
        with pytest.raises(HasEnded, match=r"^answers nonsense: a message of"):
            asking.result()

    run(main)


def test_who_is_cancelled_while_he_waits_leaves_nothing_behind() -> None:
    def main(questions: Questions, there: Channel) -> None:
        asking = coloop.go(questions.ask, {"ask": "a"}, PATIENCE_S)
        coloop.yield_now()
        asking.cancel()
        asking.join()
        there.post({"number": 1})
        again = coloop.go(questions.ask, {"ask": "b"}, PATIENCE_S)
        coloop.yield_now()
        there.post({"number": 2, "said": "b"})
        assert again.result()["said"] == "b"

    run(main)
