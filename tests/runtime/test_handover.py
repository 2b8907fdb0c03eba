"""A busy loop leaves other threads a chance."""

import threading

import coloop
from coloop._handover import CHANCE_S, EVERY_S, Handover


def handover(others=True):
    pauses = []
    return Handover(lambda: others, pauses.append), pauses


def test_polls_that_wait_are_chance_enough():
    told, pauses = handover()
    for turn in range(100):
        told.polled(turn * EVERY_S, turn * EVERY_S + 2 * CHANCE_S)
    assert pauses == []


def test_a_loop_that_never_waits_stands_back_once_in_an_interval():
    told, pauses = handover()
    told.polled(0, EVERY_S)
    for turn in range(1, 100):
        now_s = EVERY_S + turn * EVERY_S / 10
        told.polled(now_s, now_s)
    assert pauses == [CHANCE_S] * 9


def test_who_is_alone_never_stands_back():
    told, pauses = handover(others=False)
    for turn in range(100):
        told.polled(turn, turn)
    assert pauses == []


def test_another_thread_gets_its_turns_beside_a_loop_that_never_rests():
    """Each of its turns took 0.3 s before, and the limit of a test is 60 s."""
    turns = 0

    def take_turns():
        nonlocal turns
        pause = threading.Event()
        for _ in range(100):
            pause.wait(0.0001)
            turns += 1

    def main():
        thread = threading.Thread(target=take_turns)
        thread.start()
        while thread.is_alive():
            coloop.yield_now()
        thread.join()

    coloop.run(main)
    assert turns == 100
