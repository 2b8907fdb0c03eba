"""Help that follows from the declaration."""

from coshell.arg import Arg
from coshell.command import Command


def command(*args, **more):
    return Command("try_it", "try something", lambda shell: None, args, **more)


def test_help_tells_everything_that_is_declared():
    asked = command(
        Arg("address", "where to", "address"),
        Arg("--as", "a name", "name"),
        Arg("--all", "everything", "flag", "-a"),
        examples=("try_it :80 as c", "go:\n    pass"),
        details="More about it.",
        owner="tides",
    )
    assert asked.help() == (
        "try_it: try something\n\n"
        "usage: try_it ADDRESS [--as NAME] [-a] [--json]\n\n"
        "More about it.\n\n"
        "  ADDRESS     where to\n"
        "  --as NAME   a name\n"
        "  -a, --all   everything\n"
        "  --json      one JSON object per line\n"
        "  -h, --help  this text\n\n"
        "examples:\n  try_it :80 as c\n  go:\n      pass\n\n"
        "from plugin tides"
    )


def test_usage_shows_what_may_be_left_out_and_what_may_come_again():
    several = command(Arg("files", repeat=True), Arg("to", optional=True), Arg("--deny", repeat=True))
    assert several.usage() == "try_it FILES... [TO] [--deny TEXT] [--json]"
    choosing = command(
        Arg("action", kind="choice", choices=("load", "unload")), Arg("--wait", kind="duration")
    )
    assert choosing.usage() == "try_it load|unload [--wait SECONDS] [--json]"


def test_forms_in_the_details_keep_their_lines():
    form = "  try_it start NAME ADDRESS [--with A --very LONG --list OF --options THAT --goes ON]"
    told = command(details=f"{form}\n  try_it stop NAME\nMore about it.").help()
    assert f"\n{form}\n  try_it stop NAME\nMore about it.\n" in told


def test_long_details_are_broken_into_lines():
    told = command(details="word " * 100).help()
    assert max(map(len, told.split("\n"))) <= 80
