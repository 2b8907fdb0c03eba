"""Heap by stack is a tree whose sums are right."""

from __future__ import annotations

from coloop import HeapStack
from coshell.pictures.flame_tree import BY_COROUTINE, MAX_BOXES, MAX_DEPTH, boxes, largest, tree_of

MAIN, LOAD, PARSE = "a.py:1 in main", "a.py:9 in load", "b.py:5 in parse"
STACKS = (
    HeapStack(2, (MAIN, LOAD), 300, 3),
    HeapStack(2, (MAIN, LOAD, PARSE), 500, 5),
    HeapStack(3, (MAIN, PARSE), 200, 2),
    HeapStack(0, (PARSE,), 24, 1),
)


def test_a_call_has_what_was_allocated_by_it_and_below_it() -> None:
    root = tree_of(STACKS)
    main = root.below[MAIN]
    assert (root.heap_bytes, root.heap_blocks) == (1024, 11)
    assert (main.heap_bytes, main.below[LOAD].heap_bytes, main.below[LOAD].below[PARSE].heap_bytes) == (
        1000,
        800,
        500,
    )


def test_by_coroutine_each_has_a_tree_of_its_own() -> None:
    root = tree_of(STACKS, BY_COROUTINE, {2: "co#2 leaky", 3: "co#3"}.__getitem__)
    assert {label: node.heap_bytes for label, node in root.below.items()} == {
        "co#2 leaky": 800,
        "co#3": 200,
        "no coroutine": 24,
    }


def test_boxes_lie_within_their_callers_and_the_largest_at_the_left() -> None:
    drawn = boxes(tree_of(STACKS))
    assert [(box.label, box.depth, round(1024 * box.left), round(1024 * box.width)) for box in drawn] == [
        ("all", 0, 0, 1024),
        (MAIN, 1, 0, 1000),
        (LOAD, 2, 0, 800),
        (PARSE, 3, 0, 500),
        (PARSE, 2, 800, 200),
        (PARSE, 1, 1000, 24),
    ]


def test_what_is_too_small_to_be_seen_is_added_up_and_nothing_is_lost() -> None:
    stacks = [HeapStack(1, (f"a.py:{n} in f",), 1, 1) for n in range(500)] + [HeapStack(1, (MAIN,), 500, 1)]
    drawn = boxes(tree_of(stacks), min_share=0.01)
    assert [(box.label, box.heap_bytes, box.heap_blocks, box.is_rest) for box in drawn[1:]] == [
        (MAIN, 500, 1, False),
        ("500 smaller ones", 500, 500, True),
    ]


def test_a_huge_tree_has_a_bounded_number_of_boxes() -> None:
    stacks = [HeapStack(1, (f"a.py:{n} in f", f"b.py:{n} in g"), 1000 + n, 1) for n in range(20_000)]
    assert len(boxes(tree_of(stacks), min_share=0)) <= 2 * MAX_BOXES


def test_a_deep_stack_is_cut_and_a_long_label_too() -> None:
    root = tree_of([HeapStack(1, ("x" * 10_000,) * 500, 10, 1)])
    assert max(box.depth for box in boxes(root)) == MAX_DEPTH
    assert max(len(box.label) for box in boxes(root)) <= 300


def test_of_nothing_there_are_no_boxes() -> None:
    assert boxes(tree_of([])) == []
    assert boxes(tree_of([HeapStack(1, (MAIN,), -5, 1)])) == []


def test_the_places_that_hold_most_are_told_whatever_stack_they_stand_on() -> None:
    assert [(node.label, node.heap_bytes, node.heap_blocks) for node in largest(tree_of(STACKS), 2)] == [
        (PARSE, 724, 8),
        (LOAD, 300, 3),
    ]
