import pytest

from coshell.reading import ReadError, rewritten, source_of
from coshell.session import edit_for, load, parse
from coshell.steps import Grammar, SessionError

GRAMMAR = Grammar(commands={"echo", "go", "ps"}, python_commands={"go"})


def source(*lines, name="x.cosh"):
    return source_of("\n".join([*lines, ""]).encode(), name)


def parsed(*lines, name="x.cosh"):
    return list(parse(source(*lines, name=name), GRAMMAR))


def refusal_of(*lines, name="x.cosh"):
    with pytest.raises(SessionError) as caught:
        parsed(*lines, name=name)
    return str(caught.value)


def loaded(folder, name="a.cosh"):
    return load(str(folder / name), GRAMMAR)


def write(folder, **files):
    for stem, text in files.items():
        (folder / f"{stem}.cosh").write_text(text)


# -- scripts and transcripts ---------------------------------------------------------------------


@pytest.mark.parametrize("lines", [(), ("",), ("# only", "", "  # comments")])
def test_a_file_of_nothing_has_no_steps(lines):
    assert parsed(*lines) == []


def test_a_script_expects_nothing():
    step = parsed("ps")[0]
    assert (step.text, step.expected, step.transcript) == ("ps", None, False)


def test_in_a_transcript_what_stands_below_a_typed_line_is_expected():
    steps = parsed("co> ps", "one", "two", "co> x", "co> y", "", "three", "")
    assert [(step.text, step.expected) for step in steps] == [
        ("ps", ("one", "two")),
        ("x", None),
        ("y", ("", "three")),
    ]


def test_a_typed_block_goes_on_with_its_own_prompt():
    step = parsed("co> def f():", "..>     x", "..>", "out")[0]
    assert (step.text, step.expected) == ("def f():\n    x", ("out",))


def test_text_in_quotes_over_several_typed_lines_keeps_its_blanks():
    assert parsed("co> x = '''a  ", "..>   b'''")[0].text == "x = '''a  \n  b'''"


def test_what_looks_like_a_continuation_is_output_below_output():
    assert parsed("co> ps", "one", "..> two")[0].expected == ("one", "..> two")


def test_directives_and_comments_stand_between_the_lines_of_a_transcript():
    steps = parsed("# head", "@set timeout 5s", "co> ps", "# why", "co> x", "1", "@idle", "# end")
    assert [(step.kind, step.text, step.expected) for step in steps] == [
        ("set", "timeout 5s", None),
        ("input", "ps", None),
        ("input", "x", ("1",)),
        ("idle", "", None),
    ]


def test_a_directive_may_be_typed_and_a_decorator_is_none():
    steps = parsed("co> @assert (x ==", "..>     1)", "co> @cache", "..> def f(): pass")
    assert [(step.kind, step.text) for step in steps] == [
        ("assert", "(x ==\n    1)"),
        ("input", "@cache\ndef f(): pass"),
    ]


def test_output_may_be_expected_below_a_directive():
    assert parsed("co> ps", "@idle", "[co#3] hello")[1].expected == ("[co#3] hello",)


def test_a_line_that_belongs_to_nothing_is_refused():
    assert refusal_of("hello", "co> ps").startswith("x.cosh:1:1: a transcript begins with")
    assert refusal_of("co> ps", "one", "# two", "three").startswith(
        "x.cosh:4:1: output must stand right below"
    )


# -- Markdown ------------------------------------------------------------------------------------


def test_only_the_cosh_blocks_of_a_markdown_file_count():
    steps = parsed(
        "# Title", "co> not this", "```cosh", "co> ps", "one", "```", "```python", "f(", "```",
        "  ~~~~ cosh", "  echo :0", "  ~~~", "  ~~~~", "```cosh", "x",
        name="README.md",
    )  # fmt: skip
    assert [(step.text, step.line, step.expected, step.margin) for step in steps[:2]] == [
        ("ps", 4, ("one",), 4),
        ("echo :0", 11, None, 2),
    ]
    assert [step.text for step in steps[2:]] == ["~~~", "x"]


def test_a_fence_in_a_longer_fence_is_text():
    assert parsed("````text", "```cosh", "co> ps", "```", "````", name="x.markdown") == []


def test_errors_in_a_block_of_a_markdown_file_are_told_with_their_place_in_the_file(tmp_path):
    (tmp_path / "a.md").write_text("Text\n\n- item\n\n  ```cosh\n  co> f(1\n  ```\n")
    with pytest.raises(SessionError, match=r"a\.md:6:8: bracket opened here"):
        loaded(tmp_path, "a.md")


# -- includes ------------------------------------------------------------------------------------


def test_an_included_file_stands_where_it_is_included_and_keeps_its_places(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path, a="ps\n@include sub/b.cosh\nx\n")
    write(tmp_path / "sub", b="\n@include c.cosh\n", c="co> y\n1\n")
    session = loaded(tmp_path)
    assert [(step.text, step.place.removeprefix(f"{tmp_path}/")) for step in session.steps] == [
        ("ps", "a.cosh:1"),
        ("y", "sub/c.cosh:1"),
        ("x", "a.cosh:3"),
    ]
    assert [source.path.name for source in session.sources] == ["a.cosh", "b.cosh", "c.cosh"]


def test_a_file_that_includes_itself_is_refused_with_the_whole_way_round(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a="@include b.cosh\n", b="ps\n@include a.cosh\n")
    with pytest.raises(SessionError, match=r"^b\.cosh:2: include loop a\.cosh -> b\.cosh -> a\.cosh$"):
        load("a.cosh", GRAMMAR)


def test_a_loop_is_seen_through_links(tmp_path):
    write(tmp_path, a="@include b.cosh\n")
    (tmp_path / "b.cosh").symlink_to("a.cosh")
    with pytest.raises(SessionError, match="include loop"):
        loaded(tmp_path)


def test_the_same_file_may_be_included_twice(tmp_path):
    write(tmp_path, a="@include b.cosh\n@include 'b.cosh'\n", b="ps\n")
    assert len(loaded(tmp_path).steps) == 2


def test_sixteen_levels_of_includes_are_read_and_seventeen_are_not(tmp_path):
    write(tmp_path, **{f"f{n}": f"@include f{n + 1}.cosh\n" for n in range(1, 17)}, f17="ps\n")
    write(tmp_path, a="@include f2.cosh\n", b="@include f1.cosh\n")
    assert len(loaded(tmp_path, "a.cosh").steps) == 1
    with pytest.raises(SessionError, match="includes nested more than 16 deep"):
        loaded(tmp_path, "b.cosh")


def test_includes_that_multiply_are_stopped(tmp_path):
    write(tmp_path, a="@include b.cosh\n" * 40, b="@include c.cosh\n" * 40, c="ps\n")
    with pytest.raises(SessionError, match="more than 1000 includes"):
        loaded(tmp_path)


def test_an_include_that_cannot_be_read_is_told_with_the_line_that_asks_for_it(tmp_path):
    write(tmp_path, a="\n@include none.cosh\n")
    with pytest.raises(SessionError, match=r"a\.cosh:2: @include: .*none\.cosh: no such file or directory$"):
        loaded(tmp_path)


def test_a_wrong_line_in_an_included_file_is_found_before_anything_runs(tmp_path):
    write(tmp_path, a="ps\n@include b.cosh\n", b="x\nf(\n")
    with pytest.raises(SessionError, match=r"b\.cosh:2:2: bracket opened here is never closed$"):
        loaded(tmp_path)


def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path):
    with pytest.raises(ReadError, match=r"a\.cosh: no such file or directory$"):
        loaded(tmp_path)


# -- new expectations ----------------------------------------------------------------------------


def renewed(*lines, expected, step=0, name="x.cosh"):
    text = source(*lines, name=name)
    edit = edit_for(list(parse(text, GRAMMAR))[step], expected)
    return rewritten(text.raw, [edit]).decode().splitlines()


def test_new_expectations_take_the_place_of_the_old_ones():
    assert renewed("co> ps", "old", "older", "", "co> x", expected=["new"]) == ["co> ps", "new", "", "co> x"]
    assert renewed("co> def f():", "..>   x", "# c", expected=["a", "b"]) == [
        "co> def f():",
        "..>   x",
        "a",
        "b",
        "# c",
    ]
    assert renewed("co> ps", "old", "@idle", expected=[]) == ["co> ps", "@idle"]
    assert renewed("co> ps", "@idle", "old", expected=["new"], step=1) == ["co> ps", "@idle", "new"]


def test_new_expectations_stand_as_far_in_as_their_block():
    assert renewed(
        "- item", "  ```cosh", "  co> ps", "  old", "  ```", expected=["new", ""], name="x.md"
    ) == [
        "- item",
        "  ```cosh",
        "  co> ps",
        "  new",
        "",
        "  ```",
    ]
