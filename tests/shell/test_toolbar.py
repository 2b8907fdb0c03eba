import pytest
from hypothesis import given
from hypothesis import strategies as st

from coshell.lints import Finding
from coshell.monitor import Sample, ServerLine
from coshell.text import width_of
from coshell.toolbar import fragments
from tests.shell.pictures import coroutine, snapshot

K = 1024
BUSY = Sample(
    snapshot=snapshot(coroutine(1), coroutine(2), coroutine(3), live=4, waiting=3, heap_bytes=1_700 * K),
    heap_rate=40.1 * K,
    heap_history=(1, 2, 3, 4, 5, 6, 7, 8),
    lag_s=0.0004,
    rss_bytes=31 * K * K,
    findings=(Finding("heap-growing", 2, "leaky", "has a heap that rose 20 samples in a row"),),
    servers=(ServerLine("echo#1", "127.0.0.1:40213", 1),),
    stack_bytes=5_900,
    stack_frames=12,
)


def bar(sample: Sample | None, width: int) -> str:
    return "".join(text for _, text in fragments(sample, width, ascii_only=True))


def test_a_wide_bar_shows_everything_in_the_order_of_its_worth() -> None:
    assert bar(BUSY, 200) == (
        " RUN 1 WAIT 3 | !1 heap-growing | stack 5.8K/12 | heap 1.7M .:-=+*#@ +40.1K/s | rss 31.0M | lag 400us"
        " | echo#1 :40213 1c | F1 help  F2 heap "
    )


def test_a_narrow_bar_drops_from_the_right() -> None:
    texts = [bar(BUSY, width).strip() for width in (120, 80, 60, 40, 20, 10, 1)]
    assert texts == [
        " RUN 1 WAIT 3 | !1 heap-growing | stack 5.8K/12 | heap 1.7M .:-=+*#@ +40.1K/s | rss 31.0M | lag 400us | :40213 1c".strip(),
        "RUN 1 WAIT 3 | !1 heap-growing | stack 5.8K/12 | heap 1.7M .:-=+*#@ +40.1K/s",
        "RUN 1 WAIT 3 | !1 heap-growing | stack 5.8K/12 | heap 1.7M",
        "RUN 1 WAIT 3 | !1 heap-growing",
        "RUN 1 WAIT 3 | !1",
        "",
        "",
    ]


def test_a_hog_comes_first_and_is_named_on_the_narrowest_bar() -> None:
    hog = coroutine(7, "spin", state="running", running_for_s=2.34)
    hogged = Sample(snapshot=snapshot(hog, hog=hog, responsive=False, waiting=0))
    assert bar(hogged, 100).startswith(" HOG co#7 spin 2.3s (^C) | RUN 1")
    assert bar(hogged, 12) == " HOG co#7 "
    assert fragments(hogged, 100)[1][0] == "class:bar.alarm"


def test_without_a_ledger_the_bar_says_so_instead_of_a_number() -> None:
    assert "| heap counts |" in bar(Sample(snapshot=snapshot(level="counts", heap_bytes=None)), 200)


def test_a_shrinking_heap_has_a_minus() -> None:
    assert "heap 0 -1.0K/s" in bar(Sample(snapshot=snapshot(), heap_rate=-1024.0), 200)


def test_plugins_add_segments_and_many_servers_are_counted() -> None:
    servers = tuple(ServerLine("echo", f"127.0.0.1:{port}", 0) for port in (1, 2, 3, 4, 5))
    text = bar(Sample(snapshot=snapshot(), servers=servers, segments=("http 3 rps",)), 300)
    assert "echo :1 0c | echo :2 0c | echo :3 0c | +2 servers | http 3 rps" in text


def test_before_the_first_sample_there_is_no_bar() -> None:
    assert fragments(None, 80) == []


@pytest.mark.parametrize("width", [0, 1, 2, 3, 40, 80])
@given(names=st.lists(st.text(max_size=30), max_size=3), segment=st.text(max_size=30))
def test_the_bar_is_never_wider_than_the_terminal_and_always_printable(
    width: int, names: list[str], segment: str
) -> None:
    hog = coroutine(7, "".join(names), running_for_s=1.0)
    servers = tuple(ServerLine(name, name, 1) for name in names)
    sample = Sample(snapshot=snapshot(hog, hog=hog), servers=servers, segments=(segment,))
    text = "".join(part for _, part in fragments(sample, width))
    assert width_of(text) <= max(width, 0)
    assert text.isprintable()


def test_workers_are_counted_before_their_clients() -> None:
    sample = Sample(snapshot=snapshot(), servers=(ServerLine("web", "127.0.0.1:8080", 5, 2),))
    assert "| web :8080 2w 5c |" in bar(sample, 200)
    unknown = Sample(snapshot=snapshot(), servers=(ServerLine("web", "", 0, 2),))
    assert "| web 2w 0c |" in bar(unknown, 200)
