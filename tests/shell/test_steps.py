import pytest

from coshell.steps import Grammar, LineSplitter, SessionError

GRAMMAR = Grammar(
    commands={"echo": 1, "send": 1, "go": 1, "ps": 1, "plugin": 1},
    python_commands={"go"},
    directives={"fault"},
)


def fed(*lines, **options):
    """What a splitter gives for each line, and at the end, as (kind, text, line)."""
    splitter = LineSplitter(GRAMMAR, "x.cosh", **options)
    given = [splitter.feed(line) for line in lines]
    given.append(splitter.close())
    return [[(step.kind, step.text, step.line) for step in steps] for steps in given]


def steps_of(*lines, **options):
    return [step for steps in fed(*lines, **options) for step in steps]


@pytest.mark.parametrize(
    "line", ["ps", "x = 1", "echo :0 --as e", "send c 'a ('", "!ls (", "?ps", ":ps", "go f(1)", "it's wrong"]
)
def test_a_line_that_is_complete_is_given_at_once(line):
    assert fed(line) == [[("input", line, 1)], []]


def test_empty_lines_and_comments_are_no_steps_but_count():
    assert steps_of("", "# c", "  # c", "   ", "ps") == [("input", "ps", 5)]


def test_line_endings_do_not_belong_to_the_text():
    assert steps_of("ps\r\n", "ps\n") == [("input", "ps", 1), ("input", "ps", 2)]


def test_a_block_is_given_with_the_line_behind_it():
    assert fed("def f():", "    x", "", "ps") == [
        [],
        [],
        [],
        [("input", "def f():\n    x", 1), ("input", "ps", 4)],
        [],
    ]


def test_a_block_is_given_with_the_empty_line_behind_it_if_asked_for():
    assert fed("def f():", "    x", "", blank_ends=True)[2] == [("input", "def f():\n    x", 1)]


def test_a_block_at_the_end_is_given_at_the_end():
    assert fed("go:", "    x") == [[], [], [("input", "go:\n    x", 1)]]


def test_python_behind_a_command_may_run_over_lines():
    assert steps_of("go f(", "  1)", "ps") == [("input", "go f(\n  1)", 1), ("input", "ps", 3)]


def test_brackets_in_the_words_of_a_command_open_nothing():
    assert steps_of("send c (", "ps") == [("input", "send c (", 1), ("input", "ps", 2)]


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ("@assert x < 64K", "assert", "x < 64K"),
        ("@assert(x)", "assert", "(x)"),
        ("@wait x within 5s", "wait", "x within 5s"),
        ("@idle", "idle", ""),
        ("@set timeout  5s ", "set", "timeout  5s"),
        ("@require plugin echo", "require", "plugin echo"),
        ("@include a b.cosh", "include", "a b.cosh"),
        ("@fault e 0.5", "directive", "e 0.5"),
    ],
)
def test_a_directive_is_known_by_its_name(line, kind, text):
    assert steps_of(line) == [(kind, text, 1)]


def test_the_expression_of_a_directive_may_run_over_lines():
    assert steps_of("@assert sum(", "  x) == 1", "ps")[0] == ("assert", "sum(\n  x) == 1", 1)


def test_a_decorator_belongs_to_its_function_also_below_a_directive():
    assert steps_of("@idle", "@cache", "@fast(1)", "def f():", "    x") == [
        ("idle", "", 1),
        ("input", "@cache\n@fast(1)\ndef f():\n    x", 2),
    ]


def test_what_could_be_a_decorator_and_decorates_nothing_is_a_directive_that_nobody_knows():
    splitter = LineSplitter(GRAMMAR)
    assert [step for line in ("@later 0.5", "@never", "@idle") for step in splitter.feed(line)][
        -1
    ].kind == "idle"
    assert steps_of("@later 0.5", "@never", "@idle", "x") == [
        ("directive", "0.5", 1),
        ("directive", "", 2),
        ("idle", "", 3),
        ("input", "x", 4),
    ]


def test_a_line_that_is_indented_without_a_block_is_refused_with_its_place():
    with pytest.raises(SessionError, match=r"^x.cosh:2:1: unexpected indent$"):
        fed("x = 1", "  y")


def test_lines_may_be_fed_on_after_one_that_was_refused():
    splitter = LineSplitter(GRAMMAR)
    with pytest.raises(SessionError):
        splitter.feed("  y")
    assert splitter.feed("ps")[0].line == 2


def test_a_splitter_tells_whether_it_waits_for_more():
    splitter = LineSplitter(GRAMMAR)
    assert not splitter.pending
    splitter.feed("go:")
    assert splitter.pending
    splitter.close()
    assert not splitter.pending


def test_a_command_hidden_by_the_users_name_is_python():
    grammar = Grammar(commands={"go"}, python_commands={"go"}, bound={"go"})
    assert LineSplitter(grammar).feed("go (")[:1] == []


def test_lines_may_be_numbered_from_anywhere():
    assert steps_of("ps", first_line=7) == [("input", "ps", 7)]


def test_a_step_knows_its_place_and_how_it_was_typed():
    step = LineSplitter(GRAMMAR, "x.cosh").feed("@assert x == 1")[0]
    assert step.place == "x.cosh:1"
    assert str(step) == "@assert x == 1"
