"""What flame graphs are drawn from."""

from __future__ import annotations

import pytest

from coloop import HeapSite, HeapStack, memory
from coshell.command import CommandError
from coshell.pictures import heap_stacks
from coshell.pictures.flame_tree import BY_COROUTINE, BY_STACK
from tests.shell.sessions import session


class Ledger:
    """Stands for the ledger."""

    exact = True

    def __init__(self, *stacks: HeapStack, level: str = "sites") -> None:
        self._stacks = stacks
        self._level = level

    def level(self) -> str:
        return self._level

    def stacks(self) -> tuple[HeapStack, ...]:
        return self._stacks


@pytest.mark.parametrize(
    ("frames", "shown"),
    [
        (
            "bridge.py:9 in _serve|call.py:31 in make|evaluate.py:7 in run|<co:3>:1 in f|_socket.py:7 in recv",
            "<co:3>:1 in f|_socket.py:7 in recv",
        ),
        ("_server.py:270 in _converse|shell.py:2 in handle", "shell.py:2 in handle"),
        ("shell.py:2 in main|_channel.py:3 in send", "shell.py:2 in main|_channel.py:3 in send"),
        ("<frozen runpy>:1 in run|__main__.py:3 in main|a.py:1 in <module>", "a.py:1 in <module>"),
    ],
)
def test_our_own_calls_at_the_root_are_left_out_and_no_file_of_the_user_s_that_is_called_so(
    monkeypatch: pytest.MonkeyPatch, frames: str, shown: str
) -> None:
    monkeypatch.setattr(heap_stacks, "memory", Ledger(HeapStack(2, tuple(frames.split("|")), 5, 1)))
    assert heap_stacks.live_stacks(BY_COROUTINE) == [(2, tuple(shown.split("|")), 5, 1)]


def test_a_stack_of_nothing_else_is_told_by_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = ("_switching.py:9 in start", "_channel.py:3 in send")
    monkeypatch.setattr(heap_stacks, "memory", Ledger(HeapStack(2, frames, 5, 1)))
    assert heap_stacks.live_stacks(BY_STACK) == [(2, (heap_stacks.MACHINERY, "_channel.py:3 in send"), 5, 1)]


def test_what_the_picture_itself_takes_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = ("_switching.py:9 in start", "heap_stacks.py:50 in live_stacks", "_memory.py:1 in stacks")
    monkeypatch.setattr(heap_stacks, "memory", Ledger(HeapStack(2, frames, 5, 1)))
    assert heap_stacks.live_stacks(BY_STACK) == []


def test_below_level_sites_it_is_told_how_to_turn_that_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap_stacks, "memory", Ledger(level="heap"))
    with pytest.raises(CommandError, match=r"not kept at level 'heap': set level sites$"):
        heap_stacks.live_stacks(BY_STACK)


def test_without_the_native_ledger_nobody_knows_whose_a_block_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    ledger.exact = False
    monkeypatch.setattr(heap_stacks, "memory", ledger)
    with pytest.raises(CommandError, match="flame --by stack"):
        heap_stacks.live_stacks(BY_COROUTINE)


def test_what_is_sampled_has_an_error_and_what_is_counted_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    ledger.sites = lambda top: [HeapSite("a.py:1 in f", 100, 1, 30), HeapSite("b.py:1 in g", 100, 1, 40)]
    monkeypatch.setattr(heap_stacks, "memory", ledger)
    assert heap_stacks.standard_error() == 50
    ledger.exact = False
    assert heap_stacks.standard_error() == 0


def test_the_living_and_the_dead_have_names() -> None:
    with session(clock="virtual") as opened:
        opened.type("go sleep(60) --name nap\ngo print(1) --name gone")
        name_of = heap_stacks.names_of(opened.shell)
        assert [name_of(number) for number in (2, 3, 9)] == ["co#2 nap", "co#3 gone", "co#9"]


def test_what_a_line_allocates_is_found_below_that_line() -> None:
    with session(level="sites") as opened:
        opened.type("kept = [bytearray(5_000_000)]")
        stacks = heap_stacks.live_stacks(BY_STACK)
        held = max(stacks, key=lambda stack: stack.heap_bytes)
        assert held.heap_bytes == pytest.approx(5_000_000, rel=0.01)
        assert held.frames[-1].endswith(":1 in <module>")
    assert memory.level() != "sites"
