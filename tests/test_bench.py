"""The bench measures what it says, or says that it does not. Small runs, with coloop and asyncio only."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import coloop
from bench import listeners, measures, table
from bench.__main__ import Notes, chosen, installed, main, possible
from bench.certificate import NoCertificate, certificate
from bench.chart import chart
from bench.contenders import CONTENDERS, OURS, OURS_HTTP, UNCOUNTED, Contender
from bench.cores import Cores, ahead_of_others, may_go_ahead
from bench.document import document
from bench.figures import Spread, digits, extra_share, median, ratio, spread
from bench.machine import look
from bench.measures import (
    HTTP,
    HTTP_SERVERS,
    HTTP_WORKERS,
    MEASURES,
    PLAIN,
    TLS,
    TLS_SERVERS,
    YIELDERS,
    Measure,
    Row,
    Sizes,
    checked,
    serving,
)
from bench.native import NoCompiler, cache_folder, compiled, has_compiler
from bench.page import ALWAYS, explanations, page
from bench.process import ROOT, Failed, Process, load
from bench.prompt import Prompt
from bench.requests import cpu_s, request_load
from bench.rounds import Finding, Result, Table
from bench.sample import Turns, delays, sum_below
from coshell_plugins.http import Request, http
from tests.ports import free_port
from tests.thorough import sample

ANYWHERE = Cores(None, None)
OK = Finding(OURS, (1.0, 2.0, 3.0))
SVG = "{http://www.w3.org/2000/svg}"

needs_c = pytest.mark.skipif(
    not has_compiler() or not Path("/proc/self").exists(), reason="no C compiler, or no epoll"
)


needs_tls = pytest.mark.skipif(
    shutil.which("openssl") is None or not Path("/usr/include/openssl/ssl.h").exists(),
    reason="no openssl, or not its headers",
)


def found(unit: str = "us", *, more_is_better: bool = False) -> list[Result]:
    """Two rows: one with peers, one with none."""
    row = Row("a <hop> & back", unit, more_is_better, reach={"gevent": (4.0, 99.0)})
    peers = (Finding("gevent", (3.0, 6.0, 8.0)), Finding("asyncio", (0.5, 1.0, 2.0)))
    alone = Row("growth", "KiB", at_most=10.0)
    return [
        Result("hop", row, Finding(OURS, (1.0, 2.0, 4.0)), peers),
        Result("growth", alone, Finding(OURS, (12.0,)), ()),
    ]


# -- figures -------------------------------------------------------------------------------------


def test_a_median_is_the_middle_one_or_halfway_between_two() -> None:
    assert median([9.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 100.0]) == 3.0


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_a_spread_is_the_median_between_the_least_and_the_greatest() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


def test_a_ratio_is_formed_within_each_round() -> None:
    # Three times faster in each round, while the machine became ten times slower.
    assert ratio([1.0, 10.0], [3.0, 30.0], more_is_better=False) == Spread(3.0, 3.0, 3.0)


def test_above_one_the_first_is_better_for_costs_and_for_rates() -> None:
    assert ratio([1.0], [4.0], more_is_better=False).median == 4.0
    assert ratio([1.0], [4.0], more_is_better=True).median == 0.25


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_was_not_measured_cannot_be_compared(value: float) -> None:
    with pytest.raises(ValueError, match="is no measurement"):
        ratio([1.0], [value], more_is_better=False)


def test_rounds_must_pair_up() -> None:
    with pytest.raises(ValueError, match="1 rounds cannot be compared with 2"):
        ratio([1.0], [1.0, 2.0], more_is_better=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567.0, "1,230,000"), (45.64, "45.6"), (0.012345, "0.0123"), (0.0, "0"), (9.999, "10.00")],
)
def test_figures_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert digits(value) == text


def test_the_share_of_an_extra_cost_is_formed_within_each_round() -> None:
    assert extra_share([1.0, 10.0], [1.5, 15.0], [6.0, 60.0], more_is_better=False) == Spread(0.1, 0.1, 0.1)
    assert extra_share([12.0], [8.0], [4.0], more_is_better=True).median == 0.25


def test_of_no_extra_cost_there_is_no_share() -> None:
    assert extra_share([2.0], [3.0], [2.0], more_is_better=False).median == float("inf")
    assert extra_share([2.0], [2.0], [1.0], more_is_better=False).median == 0


# -- proofs --------------------------------------------------------------------------------------


def test_coroutines_that_ran_one_after_the_other_took_no_turns() -> None:
    turns = Turns(2)
    for _ in range(2):
        turns.begin()
        turns.end(10)
    assert turns.done == 0


def test_turns_count_when_all_had_begun_before_one_ended() -> None:
    turns = Turns(2)
    turns.begin()
    turns.begin()
    turns.end(10)
    turns.end(10)
    assert turns.done == 20


def test_a_sample_that_did_less_than_asked_is_refused() -> None:
    with pytest.raises(Failed, match="asked for 1000 and did 999"):
        checked({"seconds": 0.1, "done": 999}, 1000)


def test_delays_differ_and_stay_below_the_longest() -> None:
    wanted = delays(100, 5.0)
    assert len(set(wanted)) == 100
    assert 0 <= min(wanted) <= max(wanted) < 5.0


# -- reports -------------------------------------------------------------------------------------


def test_the_table_tells_ratio_spread_and_what_falls_short() -> None:
    lines = [" ".join(line.split()) for line in table.table(found()).splitlines()]
    assert lines == [
        "a <hop> & back: coloop 2.00 us",
        "coloop is 3.00 x gevent 2.00 - 3.00 6.00 us reach 4: short",
        "coloop is 0.500 x asyncio 1.00 us",
        "growth: coloop 12.0 KiB reach at most 10: short",
    ]


def section(text: str, title: str) -> list[str]:
    """The lines of the page below that heading, up to the next of its kind."""
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0].strip().splitlines()


def test_the_page_has_every_ratio_with_its_spread_and_says_what_it_ran_on() -> None:
    text = page(look(ANYWHERE, [OURS]), found(), ["trio is left out"])
    rows = section(text, "Ratios")
    assert rows[2:] == [
        "| a <hop> & back | 2.00 us (1.00 - 4.00) | **3.00** (2.00 - 3.00) | **0.500** |",
        "| growth | 12.0 KiB |  |  |",
    ]
    for word in ("date", "greenlet", "core", "load", "trio is left out"):
        assert word in text


LEDGER = Row(
    "echo", "us", reach={"coloop_heap": (0, 1.05)}, share={"coloop_heap": ("coloop_tracemalloc", 0.1)}
)
COSTS = Result(
    "ledger-echo",
    LEDGER,
    Finding(UNCOUNTED, (10.0,)),
    (Finding("coloop_heap", (14.0,)), Finding("coloop_tracemalloc", (30.0,))),
)


def test_the_cost_of_the_ledger_has_a_table_of_its_own_and_stands_beside_tracemallocs() -> None:
    text = page(look(ANYWHERE, [OURS]), [*found(), COSTS], [])
    assert section(text, "What accounting costs")[2:] == [
        "| measure | coloop_off | x coloop_heap | x coloop_tracemalloc |",
        "|---|---:|---:|---:|",
        "| echo | 10.0 us | **1.40** | **3.00** |",
    ]
    assert section(text, "What was to be reached")[-2:] == [
        "| echo | coloop_heap | 1.40 x |  | at most 1.05 x | **short** |",
        "| echo | coloop_heap | 0.200 of the extra cost of coloop_tracemalloc |  | at most 0.1 | **short** |",
    ]
    assert "echo" not in "".join(section(text, "Ratios"))


def test_the_terminal_and_the_json_tell_that_share_too() -> None:
    lines = [" ".join(line.split()) for line in table.table([COSTS]).splitlines()]
    heap_line = "coloop_off is 1.40 x coloop_heap 14.0 us reach at most 1.05: short"
    assert lines == [
        "echo: coloop_off 10.0 us",
        f"{heap_line}; 0.200 of what coloop_tracemalloc costs extra, reach at most 0.1: short",
        "coloop_off is 3.00 x coloop_tracemalloc 30.0 us",
    ]
    heap, other = json.loads(document(look(ANYWHERE, [OURS]), [COSTS], []))["results"][0]["peers"]
    assert heap["extra_cost"]["of"] == "coloop_tracemalloc"
    assert (heap["extra_cost"]["median"], heap["extra_cost"]["reached"]) == (pytest.approx(0.2), False)
    assert "extra_cost" not in other


def test_where_the_other_took_no_part_there_is_no_share() -> None:
    alone = Result("ledger-echo", LEDGER, COSTS.ours, COSTS.peers[:1])
    assert alone.share(alone.peers[0]) is None
    assert alone.shared(alone.peers[0]) is None


def test_the_page_names_neither_the_host_nor_its_folders() -> None:
    notes = Notes()
    notes.add(f"cannot compile {Path(measures.__file__).parent / 'native'} in {Path.home() / '.cache'}")
    text = page(look(ANYWHERE, [OURS]), found(), notes.said)
    assert "cannot compile ./bench/native in ~/.cache" in text
    for private in (socket.gethostname(), str(Path.home()), str(ROOT)):
        assert private not in text


def test_the_page_tells_of_each_reach_whether_it_was_reached() -> None:
    text = page(look(ANYWHERE, [OURS]), [*found(), Result("x", Row("near", "us", at_most=3), OK, ())], [])
    assert section(text, "What was to be reached")[2:] == [
        "| a <hop> & back | gevent | 3.00 x | 2.00 - 3.00 | 4 x | **short** |",
        "| growth |  | 12.0 KiB |  | at most 10 | **short** |",
        "| near |  | 2.00 us | 1.00 - 3.00 | at most 3 | yes |",
    ]


def test_what_falls_short_stands_with_its_explanation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "explanations.txt"
    written.write_text("how to write\n\n[hop]\nIt hops\nslowly.\n\n[other]\nNot of interest.\n")
    monkeypatch.setattr("bench.page.explanations", lambda: explanations(written))
    text = page(look(ANYWHERE, [OURS]), found(), [])
    assert section(text, "What falls short, and why") == [
        "### hop",
        "",
        "* a <hop> & back: 3.00 x gevent; asked for: 4 x",
        "",
        "It hops",
        "slowly.",
        "",
        "### growth",
        "",
        "* growth: 12.0 KiB; asked for: at most 10",
        "",
        "Not explained yet.",
    ]


def test_some_explanations_are_given_though_nothing_falls_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "explanations.txt"
    written.write_text("[x, always]\nThe machine is noisy.\n\n[other, always]\nNot taken.\n")
    monkeypatch.setattr("bench.page.explanations", lambda: explanations(written))
    text = page(look(ANYWHERE, [OURS]), [Result("x", Row("near", "us", at_most=3), OK, ())], [])
    assert section(text, "What else is to be known") == ["### x", "", "The machine is noisy."]


def test_each_explanation_is_of_a_measure() -> None:
    assert {name.removesuffix(ALWAYS) for name in explanations()} <= set(MEASURES)


def test_where_nothing_falls_short_nothing_is_explained() -> None:
    text = page(look(ANYWHERE, [OURS]), [Result("x", Row("near", "us", at_most=3), OK, ())], [])
    assert "falls short" not in text


def test_what_is_not_compared_has_figures_and_no_ratio() -> None:
    row = Row("server at work", "%", compared=False)
    told = [Result("echo", row, Finding(OURS, (90.0,)), (Finding("gevent", (0.0,)),))]
    machine = look(ANYWHERE, [OURS])
    assert table.table(told) == "server at work: coloop 90.0 %, gevent 0 %"
    text = page(machine, told, [])
    assert section(text, "Who was at work")[-1] == "| server at work | 90.0 % | 0 % |"
    assert len(section(text, "Ratios")) == 2
    assert "ratio" not in json.loads(document(machine, told, []))["results"][0]["peers"][0]
    assert not list(ET.fromstring(chart(machine, told, [])).iter(f"{SVG}circle"))


def test_json_keeps_every_value_and_every_ratio() -> None:
    read = json.loads(document(look(ANYWHERE, [OURS]), found(more_is_better=True), ["a note"]))
    hop, growth = read["results"]
    assert hop["ours"]["values"] == [1.0, 2.0, 4.0]
    assert hop["peers"][0]["ratio"] == {"median": 1 / 3, "low": 1 / 3, "high": 0.5, "reached": False}
    assert growth["peers"] == []
    assert read["machine"]["core"] in {"pure", "native"}
    assert read["notes"] == ["a note"]


def test_the_chart_is_well_formed_and_has_a_dot_for_each_ratio() -> None:
    root = ET.fromstring(chart(look(ANYWHERE, [OURS]), found(), ["left out: a < b"]))
    assert root.tag == f"{SVG}svg"
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles == [
        "a <hop> & back: coloop is 3.00 x gevent (2.00-3.00)",
        "a <hop> & back: coloop is 0.500 x asyncio (0.500-0.500)",
    ]


def test_a_dot_lies_right_of_the_line_exactly_if_coloop_is_better() -> None:
    root = ET.fromstring(chart(look(ANYWHERE, [OURS]), found(), []))
    (one,) = [line for line in root.iter(f"{SVG}line") if line.get("stroke") == "#000000"]
    dots = [group.find(f"{SVG}circle") for group in root.iter(f"{SVG}g")]
    better = [float(dot.get("cx", "")) > float(one.get("x1", "")) for dot in dots if dot is not None]
    assert better == [True, False]


def test_a_chart_of_nothing_is_well_formed_too() -> None:
    assert ET.fromstring(chart(look(ANYWHERE, [OURS]), [], [])).tag == f"{SVG}svg"


# -- contenders ----------------------------------------------------------------------------------


def test_each_peer_of_a_measure_has_a_file() -> None:
    folder = Path(measures.__file__).parent / "contenders"
    named = {peer for measure in MEASURES.values() for peer in (measure.ours, *measure.peers)}
    assert named == set(CONTENDERS)
    assert {path.stem for path in folder.glob("[a-z]*.py")} == set(CONTENDERS)


def test_a_peer_that_is_not_installed_is_left_out_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CONTENDERS, "ghost", Contender("ghost", "no-such-package"))
    notes = Notes()
    assert installed(["ghost", "asyncio"], notes) == ["asyncio"]
    assert notes.said == ["ghost is left out: no-such-package is not installed"]
    assert "ghost" in capsys.readouterr().err


@pytest.mark.parametrize("contender", [OURS, "asyncio"])
def test_a_contender_does_what_it_is_timed_for(contender: str) -> None:
    with Process(contender, ANYWHERE) as process:
        assert process.ask("spawn", 2000)["done"] == 2000
        assert process.ask("yield_round", YIELDERS, 3)["done"] == 3 * YIELDERS
        for call in ("channel_hop", "fan"):
            assert process.ask(call, 200)["done"] == sum_below(200)
        assert process.ask("growth", 10, 200)["done"] == sum_below(200)
        for call in ("timers_cancelled", "timers_fired", "park"):
            assert process.ask(call, 100)["done"] == 100


@pytest.mark.parametrize(
    "contender",
    sample(["coloop_heap", UNCOUNTED, "coloop_tracemalloc10"], 3),
)
def test_what_the_ledger_is_measured_with_is_done(contender: str) -> None:
    with Process(contender, ANYWHERE) as process:
        for call in ("small", "cold", "large", "documents", "pingpong", "requests", "births", "park"):
            assert process.ask(call, 40)["done"] == 40


def test_contenders_take_turns_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(Table, "_sample", lambda self, name: order.append(name))
    monkeypatch.setattr(Table, "_results", lambda self: ())
    Table(MEASURES["ledger-spawn"], Sizes(1, 3), ANYWHERE, print).run([UNCOUNTED, "coloop_heap"])
    assert order == [*(UNCOUNTED, "coloop_heap"), *("coloop_heap", UNCOUNTED), *(UNCOUNTED, "coloop_heap")]


@needs_c
def test_a_server_of_which_each_sample_has_one_of_its_own_is_warm_before_it() -> None:
    measure = MEASURES["ledger-echo"]
    assert measure.fresh
    assert measure.warm_up == Sizes(100, 1, measures.WARM_UP_S)
    told: list[str] = []
    results = Table(measure, Sizes(100, 2, 0.2), ANYWHERE, told.append).run([UNCOUNTED])
    assert [note for note in told if "disturbed" not in note] == []
    assert all(len(result.ours.values) == 2 for result in results)


def test_a_contender_that_ends_is_told_with_its_last_words() -> None:
    with Process(OURS, ANYWHERE) as process, pytest.raises(Failed, match="no_such_call"):
        process.ask("no_such_call")


def test_contenders_take_turns_and_each_row_gets_a_value_of_each_round() -> None:
    told: list[str] = []
    results = Table(MEASURES["memory"], Sizes(100, 2), ANYWHERE, told.append).run([OURS, "asyncio"])
    assert [note for note in told if "disturbed" not in note] == []
    assert [result.row.unit for result in results] == ["KiB", "us"]
    assert [len(result.ours.values) for result in results] == [2, 2]
    assert [[peer.contender for peer in result.peers] for result in results] == [["asyncio"], ["asyncio"]]


def test_who_fails_is_left_out_and_the_others_go_on() -> None:
    told: list[str] = []
    at_work = Table(MEASURES["hop"], Sizes(200, 1), ANYWHERE, told.append)
    (result,) = at_work.run([OURS, "c_epoll"])  # which has no channels
    assert at_work.failed == ["c_epoll"]
    assert told[0].startswith("hop: c_epoll is left out: channel_hop: it ended")
    assert (result.ours.contender, result.peers) == (OURS, ())


# -- over sockets --------------------------------------------------------------------------------


@needs_c
@pytest.mark.parametrize("contender", sample([OURS, "asyncio", "c_epoll", "asyncio_protocol"], 2))
def test_every_byte_comes_back(contender: str) -> None:
    with Process(contender, ANYWHERE) as process:
        port = int(process.ask("echo_server")["port"])
        closed = load(ANYWHERE, "closed", port, connections=2, size_bytes=64, seconds=5, limit=10)
        large = load(ANYWHERE, "closed", port, connections=1, size_bytes=1 << 20, seconds=5, limit=2)
        accepted = load(ANYWHERE, "accept", port, connections=2, size_bytes=64, seconds=5, limit=5)
    assert closed["messages"] >= 10
    assert closed["sent_bytes"] == closed["received_bytes"] >= 64 * (2 + 2 + 10)
    assert large["received_bytes"] >= 4 << 20
    assert (accepted["messages"], accepted["received_bytes"]) == (5, 5 * 64)


@needs_c
def test_at_a_fixed_rate_each_message_that_was_due_has_a_latency() -> None:
    with Process("c_epoll", ANYWHERE) as process:
        port = int(process.ask("echo_server")["port"])
        seen = load(ANYWHERE, "rate", port, connections=3, size_bytes=16, seconds=0.1, limit=1000)
    assert seen["messages"] == 100
    assert 0 < seen["p50_us"] <= seen["p99_us"] <= seen["p999_us"]
    assert 0 <= seen["held_up_s"] <= seen["seconds"]


@contextmanager
def bad_server(answer: bytes | None, stall_s: float = 0.0) -> Iterator[int]:
    """Takes one connection and echoes the first message; the second gets `answer`, or is echoed after a while."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            # A load generator that gives up leaves what it has not read, and that resets the connection.
            with listener.accept()[0] as connection, suppress(ConnectionError):
                connection.sendall(connection.recv(100))
                seen = connection.recv(100)
                threading.Event().wait(stall_s)
                connection.sendall(seen if answer is None else answer)
                while seen := connection.recv(100):
                    connection.sendall(seen)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@needs_c
def test_an_altered_echo_is_found_out() -> None:
    with bad_server(b"x" * 16) as port, pytest.raises(Failed, match="an echo differs from what was sent"):
        load(ANYWHERE, "closed", port, connections=1, size_bytes=16, seconds=5, limit=5)


@needs_c
def test_a_server_that_makes_bytes_up_is_found_out() -> None:
    with (
        bad_server(b"x" * 99) as port,
        pytest.raises(Failed, match=r"an echo differs|more than it was given"),
    ):
        load(ANYWHERE, "closed", port, connections=1, size_bytes=16, seconds=5, limit=5)


@needs_c
def test_a_stall_delays_all_that_were_due_meanwhile() -> None:
    # One pause of 0.2 s in a run of 0.2 s: counted from the due time most messages were late; a generator
    # that waits for each answer before it sends would have seen one late message only.
    with bad_server(None, stall_s=0.2) as port:
        seen = load(ANYWHERE, "rate", port, connections=1, size_bytes=16, seconds=0.2, limit=500)
    assert seen["messages"] == 100
    assert seen["p50_us"] > 50_000


@needs_c
def test_it_is_told_how_long_others_held_the_load_generator_up() -> None:
    with Process("c_epoll", ANYWHERE) as process:
        port = str(process.ask(PLAIN)["port"])
        generator = psutil.Popen(
            [compiled("load"), "rate", port, "1", "16", "1", "500", "-1", "0"], stdout=subprocess.PIPE
        )
        while generator.cpu_times().user + generator.cpu_times().system < 0.02:
            pass  # it spins as soon as it measures, and not before
        generator.suspend()
        threading.Event().wait(0.3)
        generator.resume()
        seen = json.loads(generator.communicate()[0])
    assert 0.2 < seen["held_up_s"] < seen["seconds"]


@needs_c
def test_nobody_listens() -> None:
    with pytest.raises(Failed, match="Connection refused"):
        load(ANYWHERE, "closed", free_port(), connections=1, size_bytes=16, seconds=1)


@needs_c
def test_an_echo_measure_gives_a_rate_for_each_contender() -> None:
    told: list[str] = []
    at_work = Table(MEASURES["echo-100-64"], Sizes(100, 1, 0.2), ANYWHERE, told.append)
    by_clock, by_cpu, *at_work_rows = at_work.run([OURS, "asyncio"])
    assert [note for note in told if "disturbed" not in note] == []
    assert by_clock.ratio(by_clock.peers[0]).median > 0
    assert by_cpu.ratio(by_cpu.peers[0]).median > 0
    assert all(0 < result.ours.figure.median < 110 for result in at_work_rows)


class FakeProcess:
    """Notes what it is asked, and answers that it was done."""

    pid = 0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, call: str, *args: int | str) -> dict[str, float]:
        self.asked.append(call)
        return {"port": 80}


def test_a_server_is_asked_for_its_port_once() -> None:
    process = FakeProcess()
    server = serving(process, PLAIN)
    assert [server.ask(PLAIN), server.ask(PLAIN)] == [{"port": 80}] * 2
    assert process.asked == [PLAIN]


@needs_c
def test_the_cpu_time_of_the_server_is_told_beside_that_of_the_load() -> None:
    with Process("c_epoll", ANYWHERE) as process:
        port = int(process.ask(PLAIN)["port"])
        seen = load(
            ANYWHERE, "closed", port, connections=2, size_bytes=64, seconds=5, limit=500, pid=process.pid
        )
        unknown = load(ANYWHERE, "closed", port, connections=2, size_bytes=64, seconds=5, limit=5)
    assert 0 < seen["server_cpu_s"] < seen["seconds"] * 1.1
    assert 0 < seen["load_cpu_s"] < seen["seconds"] * 1.1
    assert unknown["server_cpu_s"] == 0


@needs_c
@needs_tls
@pytest.mark.parametrize("contender", sample([OURS, "asyncio", "asyncio_protocol"], 3))
def test_every_byte_comes_back_through_tls(contender: str) -> None:
    with Process(contender, ANYWHERE) as process:
        port = int(process.ask(TLS, *certificate())["port"])
        small = load(ANYWHERE, "closed", port, connections=2, size_bytes=64, seconds=5, limit=10, tls=True)
        large = load(
            ANYWHERE, "closed", port, connections=1, size_bytes=1 << 20, seconds=5, limit=2, tls=True
        )
        accepted = load(ANYWHERE, "accept", port, connections=2, size_bytes=64, seconds=5, limit=5, tls=True)
    assert small["messages"] >= 10
    assert small["sent_bytes"] == small["received_bytes"] >= 64 * (2 + 2 + 10)
    assert large["received_bytes"] >= 4 << 20
    assert (accepted["messages"], accepted["received_bytes"]) == (5, 5 * 64)


@needs_c
@needs_tls
def test_a_load_in_tls_is_refused_by_a_server_without() -> None:
    with Process("c_epoll", ANYWHERE) as process, pytest.raises(Failed, match="load: TLS: "):
        port = int(process.ask(PLAIN)["port"])
        load(ANYWHERE, "closed", port, connections=1, size_bytes=64, seconds=1, tls=True)


@needs_c
@needs_tls
def test_a_measure_of_tls_gives_a_rate_for_each_contender() -> None:
    told: list[str] = []
    results = Table(MEASURES["tls"], Sizes(100, 1, 0.2), ANYWHERE, told.append).run([OURS])
    assert [note for note in told if "disturbed" not in note] == []
    assert all(result.ours.figure.median > 0 for result in results)


def test_each_peer_that_serves_does_so_in_tls_too() -> None:
    folder = Path(measures.__file__).parent / "contenders"
    for name in TLS_SERVERS:
        assert f"def {TLS}(" in (folder / f"{name}.py").read_text()


# -- over HTTP -----------------------------------------------------------------------------------


def test_each_server_of_http_serves_with_one_worker_and_with_two() -> None:
    folder = Path(measures.__file__).parent / "contenders"
    for name in (OURS_HTTP, *HTTP_SERVERS):
        text = (folder / f"{name}.py").read_text()
        assert f"def {HTTP}(" in text
        assert f"def {HTTP_WORKERS}(" in text


@pytest.mark.parametrize("name", sample(["http-workers", "http"], 2))
def test_a_measure_of_http_gives_a_rate_and_whose_time_it_took(name: str) -> None:
    told: list[str] = []
    at_work = Table(MEASURES[name], Sizes(4, 1, 0.3), ANYWHERE, told.append)
    by_clock, by_cpu, *shares = at_work.run([OURS_HTTP])
    assert [note for note in told if "disturbed" not in note] == []
    assert by_clock.ours.figure.median > 0
    assert by_cpu.ours.figure.median > 0
    assert all(0 < result.ours.figure.median < 100 * (os.cpu_count() or 1) + 10 for result in shares)


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Says this to whoever comes, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def say() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(answer)

        thread = threading.Thread(target=say, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.0 404 No\r\n\r\n", "it answers 404 b''"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "it answers 200 b'hello'"),
        (b"nonsense\r\n\r\n", "it does not answer"),
        (b"", "it does not answer"),
    ],
)
def test_a_server_that_answers_something_else_is_found_out(answer: bytes, why: str) -> None:
    with answering(answer) as port, pytest.raises(Failed, match=why):
        request_load(None, port, os.getpid(), 1, 1.0)


def test_a_server_that_answers_well_only_at_first_is_found_out() -> None:
    good = [True]

    def app(_: Request) -> object:
        return "hello, world\n" if good and good.pop() else (404, "no")

    def main() -> None:
        with coloop.serve(":0", http(app)) as server, pytest.raises(Failed, match="Non-2xx"):
            coloop.to_thread(request_load, None, server.address.port, os.getpid(), 2, 1.0)

    coloop.run(main)


def test_the_processes_that_a_server_has_started_count_as_its_own() -> None:
    program = "import sys, time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nsys.stdin.read()"
    starts = (
        f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {program!r}]).returncode)"
    )
    before = cpu_s(os.getpid())
    with subprocess.Popen([sys.executable, "-c", starts], stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while cpu_s(process.pid) < 0.2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert cpu_s(process.pid) >= 0.2
        assert cpu_s(os.getpid()) - before >= 0.2
    assert cpu_s(process.pid) == 0


def test_without_wrk_what_needs_none_is_still_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.__main__.wrk", lambda: None)
    notes = Notes()
    left = possible([MEASURES["http"], MEASURES["http-workers"], MEASURES["hop"]], Cores(0, 1), notes)
    assert [measure.name for measure in left] == ["hop"]
    assert "all measures of HTTP are left out: wrk is not installed" in notes.said


def test_contenders_warm_up_with_a_sample_that_is_not_counted() -> None:
    taken: list[int] = []

    def take(_: object, sizes: Sizes, __: Cores) -> tuple[float, ...]:
        taken.append(sizes.n)
        return (float(len(taken)),)

    measure = Measure("x", (Row("x", "us"),), (), take, full=Sizes(50, 2), quick=Sizes(5, 1))
    (result,) = Table(measure, measure.full, ANYWHERE, print).run([OURS])
    assert taken == [5, 50, 50]
    assert result.ours.values == (2.0, 3.0)


def test_nobody_warms_up_where_each_sample_begins_anew_or_is_long() -> None:
    assert MEASURES["memory"].warm_up is None
    assert MEASURES["growth"].warm_up is None


def test_a_server_warms_up_with_its_own_load_for_a_moment() -> None:
    measure = MEASURES["connections"]
    assert measure.warm_up == Sizes(measure.full.n, 1, measures.WARM_UP_S)


def test_it_is_told_if_contenders_had_to_wait_for_their_core(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([(1.0, 0.0), (1.9, 0.1)])
    monkeypatch.setattr("bench.rounds.waited_s", lambda _: next(clock))
    told: list[str] = []
    measure = Measure("x", (Row("x", "us"),), (), lambda *_: (1.0,), Sizes(1, 1), None)
    Table(measure, measure.full, ANYWHERE, told.append).run([OURS])
    assert told == ["x: disturbed: 10% of their time the contenders waited for a core"]


@needs_c
def test_a_program_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = compiled("epoll_echo")
    made_at = program.stat().st_mtime_ns
    assert compiled("epoll_echo").stat().st_mtime_ns == made_at
    assert list(cache_folder().iterdir()) == [program]


@needs_c
def test_a_compiler_may_come_with_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "cc -pipe")
    assert has_compiler()
    assert compiled("epoll_echo").exists()


def test_without_a_compiler_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NoCompiler, match="no C compiler"):
        compiled("load")


def test_without_a_compiler_what_needs_none_is_still_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    notes = Notes()
    left = possible([MEASURES["accept"], MEASURES["hop"]], Cores(0, 1), notes)
    assert [measure.name for measure in left] == ["hop"]
    assert "over sockets are left out: no C compiler" in capsys.readouterr().err


@needs_c
def test_without_openssl_tls_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise NoCertificate("no openssl is installed")

    monkeypatch.setattr("bench.__main__.certificate", none)
    monkeypatch.setattr("bench.__main__.compiled", lambda *_: None)
    notes = Notes()
    left = possible([MEASURES["tls"], MEASURES["accept"]], Cores(0, 1), notes)
    assert [measure.name for measure in left] == ["accept"]
    assert notes.said == ["all measures of TLS are left out: no openssl is installed"]


def test_what_does_not_fit_into_memory_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1 << 30))
    notes = Notes()
    left = possible([MEASURES["memory-million"], MEASURES["hop"]], Cores(0, 1), notes)
    assert [measure.name for measure in left] == ["hop"]
    assert notes.said == ["memory-million is left out: it needs 8 GiB of memory"]


@pytest.mark.parametrize(("held_up", "told"), [([0.0], 0), ([0.1, 0.3, 0.0], 2), ([0.5] * 3, 2)])
def test_what_a_load_generator_saw_that_was_held_up_does_not_count(
    held_up: list[float], told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = iter(enumerate(held_up))

    def seen(*_: object, **__: object) -> dict[str, float]:
        number, held_up_s = next(attempts)
        return {"p50_us": number, "p99_us": 2, "p999_us": 3, "seconds": 1, "held_up_s": held_up_s}

    monkeypatch.setattr("bench.measures.load", seen)
    sample = MEASURES["latency"].take(FakeProcess(), Sizes(1, 1, 1.0), ANYWHERE)
    assert sample == (told, 2, 3, held_up[told] * 100)
    assert next(attempts, None) is None


@needs_c
@pytest.mark.skipif(not may_go_ahead(), reason="not allowed")
def test_whose_latency_is_measured_goes_ahead_of_others_meanwhile() -> None:
    with Process("c_epoll", ANYWHERE) as process:
        with ahead_of_others(process.pid):
            assert os.sched_getscheduler(process.pid) == os.SCHED_FIFO
        assert os.sched_getscheduler(process.pid) == os.SCHED_OTHER
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@needs_c
def test_who_may_not_go_ahead_is_measured_all_the_same_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.sched_setscheduler", refused, raising=False)
    with ahead_of_others(0):
        pass
    notes = Notes()
    assert possible([MEASURES["latency"]], Cores(0, 1), notes) == [MEASURES["latency"]]
    assert "may not go ahead of them" in notes.said[0]


def test_latency_needs_a_core_of_its_own() -> None:
    notes = Notes()
    left = possible([MEASURES["latency"], MEASURES["hop"]], ANYWHERE, notes)
    assert [measure.name for measure in left] == ["hop"]
    assert "latency is left out" in notes.said[1]


# -- the shell -----------------------------------------------------------------------------------


def test_the_shell_parks_and_answers_lines_and_keys() -> None:
    with Prompt() as prompt:
        assert prompt.park(50) > 0
        assert prompt.line() > 0
        prompt.count_at("heap")
        assert prompt.line() > 0  # the answer before is not taken for this one
        assert prompt.key() > 0
        assert prompt.resident_bytes() > 1 << 20


def test_a_shell_that_has_ended_is_told() -> None:
    with Prompt() as prompt:
        prompt._process.kill()
        prompt._process.wait()
        with pytest.raises(Failed, match="the shell ended before it showed '<line 1>'"):
            prompt.line()


# -- the command ---------------------------------------------------------------------------------


def test_the_command_writes_all_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / name for name in ("json", "svg", "markdown")}
    options = [argument for name, path in files.items() for argument in (f"--{name}", str(path))]
    assert main(["hop", "--quick", "--against", "asyncio", *options]) == 0
    printed = capsys.readouterr().out
    assert "channel hop: coloop" in printed
    assert " x  asyncio " in printed
    assert json.loads(files["json"].read_text())["results"][0]["measure"] == "hop"
    assert ET.fromstring(files["svg"].read_text()).tag == f"{SVG}svg"
    assert "| channel hop |" in files["markdown"].read_text()


def test_measures_are_chosen_by_name_or_by_the_word_they_begin_with() -> None:
    assert [measure.name for measure in chosen(["hop"])] == ["hop"]
    assert [measure.name for measure in chosen(["memory"])] == ["memory"]  # not `memory-million`
    assert {measure.ours for measure in chosen(["ledger"])} == {UNCOUNTED}
    assert len(chosen([])) == len(MEASURES)
    assert chosen(["ho"]) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["jump"], "there is no measure 'jump'"), (["--against", "twisted"], "there is no peer 'twisted'")],
)
def test_a_name_that_is_not_known_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_no_request_is_lost_where_workers_inherit_one_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    told: list[str] = []
    listeners.measure("inherited", 0.1, told.append)
    (line,) = told
    assert re.match(r" *inherited: 0 of [\d,]+ requests lost while 1 workers were replaced; ", line)
