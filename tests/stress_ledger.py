"""Threads full of coroutines that do to memory whatever can be done to it, while the ledger is audited.

    python tests/stress_ledger.py                            ten seconds
    python tests/stress_ledger.py --seconds 600 --seed 7     by hand; also under PYTHONMALLOC=debug ...

Blocks are handed over, freed by others, resized by others, older than the ledger; they die in cycles, in
finalizers that allocate, in tracebacks; coroutines are cancelled, killed, thrown at, run into their limits
and end with their scheduler. The ledger is checked in three ways that know nothing of each other:

* its counters against a walk over its whole map, again and again while all go on;
* the blocks on all accounts against those that the interpreter has handed out by its own count;
* what is left on the accounts when all coroutines have ended and garbage is collected.

With `--toggle` the level changes all the while, so that hooks come and go; then only the first is asked. What
is printed is one JSON object; `wrong` says in words what did not hold.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import coloop
from coloop import memory
from coloop._form import native

LIVING = 60  # coroutines of a thread
MAX_SHARED = 5_000
FOREIGN = 30_000
AUDIT_S = 0.05
SETTLE_S = 2.0
GREEDY = 0.15
GREED = 1_000  # objects; at levels that count no heap nothing else ends it
SLIP_BYTES = 1_000  # what is freed between two questions
DUST_BYTES = 20_000  # what type caches and free lists may keep on the accounts of all that have ended
# How many of those accounts there may be. CPython keeps up to 100 floats for reuse: one that a coroutine has made, and
# let go of, stays on its account when the scheduler notes a time in it. `--level sites --exact` shows them: 24 bytes each.
DUSTY = 20 + 100
NODES = 20
MOVES = 14


class Node:
    """One of a cycle."""


class Heir:
    """Allocates when it dies."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        self.left = [str(i) for i in range(20)]


class Quiet(coloop.Observer):
    """They are meant to fail."""

    def failed(self, failure: coloop.Failure) -> None:
        """Say nothing."""


class Stress:
    """What the threads share.

    Args:
        seed: decides what each coroutine does; not how threads take turns.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.over = threading.Event()
        self.counts: Counter[str] = Counter()
        self.died: list[str] = []
        self.shared: deque[object] = deque(maxlen=MAX_SHARED)  # what falls out is freed by whoever pushed
        self.foreign: list[list[Any]] = [[str(i), {i: i}, bytearray(i % 3000)] for i in range(FOREIGN)]
        self.lock = threading.Lock()

    # -- a thread ----------------------------------------------------------------------------------

    def thread(self, number: int) -> None:
        """Keep a scheduler full until it is over."""
        chance = random.Random(self.seed * 100 + number)
        try:
            coloop.run(self._keep_full, chance, seed=self.seed, observer=Quiet())
        except BaseException as error:
            self.died.append(f"thread {number} has died of {error!r}")

    def _keep_full(self, chance: random.Random) -> None:
        live: list[coloop.Coroutine] = []
        while not self.over.is_set():
            while len(live) < LIVING:
                live.append(self._spawned(chance))
            place = chance.randrange(len(live))
            self._harass(live[place], chance)
            if live[place].state not in {"ready", "running", "waiting"}:
                self.counts[live[place].state] += 1
                live[place] = live[-1]
                live.pop()
            coloop.yield_now()
        for coroutine in live[: LIVING // 2]:
            coroutine.cancel()  # the others end with the scheduler

    def _spawned(self, chance: random.Random) -> coloop.Coroutine:
        self.counts["spawned"] += 1
        if chance.random() < GREEDY:
            with suppress(ValueError):  # at this level there are no limits
                return coloop.go(self._greedy, chance, memory_limit=chance.randrange(20_000, 300_000))
        return coloop.go(self._work, chance)

    @staticmethod
    def _harass(coroutine: coloop.Coroutine, chance: random.Random) -> None:
        what = chance.random()
        if what < 0.002:
            coloop.current_scheduler().kill(coroutine)
        elif what < 0.01:
            coroutine.cancel()
        elif what < 0.015:
            with suppress(coloop.CoroutineError):
                coroutine.throw(ValueError("x" * chance.randrange(1000)))

    # -- a coroutine -------------------------------------------------------------------------------

    def _greedy(self, chance: random.Random) -> None:
        kept: list[object] = []
        for _ in range(GREED):
            kept.append([bytes(chance.randrange(20, 4000)), {chance.random(): 1}])
            if chance.random() < 0.1:
                coloop.yield_now()

    def _work(self, chance: random.Random) -> int:
        mine: list[Any] = [Heir()]
        coloop.defer(mine.clear)
        for _ in range(chance.randrange(5, 40)):
            self._move(chance.randrange(MOVES), mine, chance)
            self.counts["moves"] += 1
            coloop.yield_now()
        return len(mine)

    def _move(self, move: int, mine: list[Any], chance: random.Random) -> None:
        match move:
            case 0:
                mine.append(bytearray(chance.randrange(1, 5000)))
            case 1:
                _grow(chance.choice(mine), chance)
            case 2:
                mine.append(list(range(chance.randrange(500))))
            case 3:
                mine.append({str(i): [i] for i in range(chance.randrange(60))})
            case 4:
                _cycle(chance.randrange(1, NODES))
            case 5:
                self.shared.append(mine.pop() if len(mine) > 1 else mine[0])
            case 6 | 7:
                with suppress(IndexError):
                    mine.append(self.shared.popleft()) if move == 6 else self.shared.popleft()
            case 8:
                self._foreign(chance)
            case 9:
                mine.append(_failure(chance))
            case 10:
                _deep(chance.randrange(60))
            case 11:
                paused = _paused(chance.randrange(200))
                next(paused)
                mine.append(paused)
            case 12:
                child = coloop.go(self._move, 3, mine, chance)
                child.join()
                mine.append(child)
            case _:
                mine.append(f"{chance.getrandbits(2000)}")

    def _foreign(self, chance: random.Random) -> None:
        """Free a block that is older than the ledger, or resize one."""
        with self.lock:
            if not self.foreign:
                return
            if chance.random() < 0.5:
                self.foreign.pop()
            else:
                self.foreign[-1][2] += bytes(chance.randrange(5000))


def _grow(kept: Any, chance: random.Random) -> None:
    if isinstance(kept, bytearray):
        kept += bytes(chance.randrange(3000))
    elif isinstance(kept, list):
        kept.extend(range(chance.randrange(300)))
    elif isinstance(kept, dict):
        kept.update((chance.random(), None) for _ in range(50))


def _cycle(size: int) -> None:
    first: Any = Node()
    first.others = [Node() for _ in range(size)]
    for other in first.others:
        other.up = first
    first.heir = Heir()


def _failure(chance: random.Random) -> BaseException:
    local = bytes(chance.randrange(1000))
    try:
        raise ValueError(local)
    except ValueError as error:
        return error  # with its traceback, and the frame in that


def _deep(depth: int) -> None:
    if depth:
        _deep(depth - 1)
    else:
        coloop.yield_now()


def _paused(size: int) -> Iterator[list[int]]:
    kept = list(range(size))
    yield kept
    yield kept


class Books:
    """Compares the ledger with what others say.

    Args:
        toggles: whether the level changes meanwhile.
        wrong: where to write down what does not hold.
    """

    def __init__(self, *, toggles: bool, wrong: list[str]) -> None:
        self.wrong = wrong
        self.audits = 0
        self._toggles = toggles
        self._difference()  # the first question lets go of some older blocks between its two halves
        self._before = self._difference()

    def audit(self) -> None:
        """Walk over the map."""
        self.audits += 1
        accounts, _, _ = native.ledger_audit()
        if accounts:
            self.wrong.append(f"audit {self.audits}: {accounts} accounts disagree with the map")

    @staticmethod
    def _difference() -> int:
        """What the interpreter has handed out less what is on accounts: what is older than the ledger."""
        for _ in range(3):
            gc.collect()
        foreign = memory.bookkeeping()
        assert foreign is not None
        gone = foreign.foreign_frees + foreign.foreign_resizes
        handed_out = sys.getallocatedblocks()
        _, _, counted = native.ledger_audit()
        return handed_out - counted + gone

    def close(self) -> dict[str, Any]:
        """When all coroutines have ended; what was found, for those who like numbers."""
        after = self._difference()
        end_s = time.monotonic() + SETTLE_S
        while after != self._before and not self._toggles and time.monotonic() < end_s:
            time.sleep(AUDIT_S)  # greenlet frees what it had of a thread some time after that has ended
            after = self._difference()
        has_count = sys.getallocatedblocks() > 0  # not under PYTHONMALLOC=malloc
        if has_count and not self._toggles and after != self._before:
            self.wrong.append(f"{after - self._before} blocks are handed out and on no account")
        held, books, residues = memory.held(), memory.bookkeeping(), memory.residues()
        assert held is not None
        assert books is not None
        if held.living or books.open_accounts:
            self.wrong.append(f"{books.open_accounts} accounts with {held.living} bytes live on")
        if books.closed_accounts > DUSTY or held.dead > DUST_BYTES:
            self.wrong.append(f"{held.dead} bytes are left on {books.closed_accounts} accounts")
        left = sum(residue.heap_bytes for residue in residues)
        if abs(left - held.dead) > SLIP_BYTES:
            self.wrong.append(f"residues {residues} do not add up to {held.dead}")
        if books.unmapped_blocks:
            self.wrong.append(f"{books.unmapped_blocks} blocks found no place in the map")
        self.audit()
        return {
            "audits": self.audits,
            "counted_by_interpreter": has_count,
            "held": held._asdict(),
            "bookkeeping": books._asdict(),
            "trouble": memory.cost() if not memory.traces_heap() else "",
        }


def main() -> int:
    """Stress it, and print what was found; 1 if something did not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--level", default="heap", choices=("heap", "sites"))
    parser.add_argument("--exact", action="store_true", help="note every block's place at level `sites`")
    parser.add_argument("--toggle", action="store_true", help="change the level all the while")
    options = parser.parse_args()
    stress = Stress(options.seed)
    unraisable: list[str] = []
    sys.unraisablehook = lambda problem: unraisable.append(repr(problem.exc_value))
    memory.set_level(options.level, exact=options.exact)
    if not memory.exact:
        print(json.dumps({"skipped": "this form has no native ledger"}))
        return 0
    books = Books(toggles=options.toggle, wrong=stress.died)
    threads = [threading.Thread(target=stress.thread, args=(number,)) for number in range(options.threads)]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + options.seconds
    toggle = random.Random(options.seed)
    while time.monotonic() < end_s:
        time.sleep(AUDIT_S)
        if options.toggle:
            memory.set_level(toggle.choice(("off", "counts", "heap", "sites")))
        books.audit()
    stress.over.set()
    for thread in threads:
        thread.join()
    memory.set_level(options.level, exact=options.exact)
    stress.shared.clear()
    stress.foreign.clear()
    del threads
    found = books.close()
    found |= {"counts": dict(stress.counts), "unraisable": unraisable[:5], "wrong": books.wrong}
    print(json.dumps(found))
    return 1 if books.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
