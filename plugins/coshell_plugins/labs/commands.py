"""The command `labs`: list the experiments, be led through one, run one, or check them."""

from __future__ import annotations

import weakref
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from coshell.api import Arg, Column, Command, CommandError, Shell, plural, table

from .checking import Checked, checked, lines_of_checked
from .clearing import SHELL_ID, Belongings
from .guide import Guide
from .reading import Lab, read_lab

FOLDER: Final = Path(__file__).parent
MODULE: Final = "module "  # how the source of a plugin begins that was loaded by its module's name

OPEN, NEXT, AGAIN, CLOSE = WORDS = ("open", "next", "again", "close")

_guides: Final[weakref.WeakKeyDictionary[Shell, Guide]] = weakref.WeakKeyDictionary()
_left: Final[weakref.WeakKeyDictionary[Shell, Belongings]] = weakref.WeakKeyDictionary()  # by `labs NAME`


def all_labs() -> list[Lab]:
    """The labs that come with coshell, by name."""
    return [read_lab(path) for path in sorted(FOLDER.glob("*.cosh"))]


def labs(shell: Shell, what: str | None, name: str | None, check: bool) -> list[Lab] | list[Checked] | None:
    """List the labs, lead through one, run one here, or check them."""
    if name is not None and what != OPEN:
        raise CommandError(f"labs {what} takes no name; labs open {name} opens one")
    if what in WORDS:
        if check:
            raise CommandError(f"labs {what} checks nothing: labs --check, or labs NAME --check")
        _lead(shell, what, name)
        return None
    chosen = all_labs() if what is None else [_named(what)]
    if check:
        plugins = _loaded_by_hand(shell)
        return _all_passed(shell, [checked(lab, plugins) for lab in chosen])
    if what is None:
        return chosen
    _run_here(shell, chosen[0])
    return None


def _run_here(shell: Shell, lab: Lab) -> None:
    """Run all of it; what it has made stays until the next lab begins."""
    close_lab(shell)
    _refuse_those_who_live_by_another_clock(shell, lab)
    belongings = _left[shell] = Belongings(shell)
    try:
        with belongings.noted():
            shell.call_command(shell.commands.get("run"), (lab.file,))
    except CommandError as failed:  # it names the file, as what has failed in it has done already
        told = CommandError(f"{lab.name} has failed")
        told.exit_code = failed.exit_code
        raise told from None


def _loaded_by_hand(shell: Shell) -> list[str]:
    """The modules of the plugins that are loaded here and would not be elsewhere."""
    loaded = [record.source for record in shell.plugins.records() if record.state == "loaded"]
    modules = [source.removeprefix(MODULE) for source in loaded if source.startswith(MODULE)]
    installed = {entry.module for entry in entry_points(group="coshell.plugins")}
    return [module for module in modules if module not in installed]


def _named(name: str) -> Lab:
    known = {lab.name: lab for lab in all_labs()}
    if name not in known:
        raise CommandError(f"no lab {name!r}; there are {', '.join(known)}")
    return known[name]


def _lead(shell: Shell, what: str, name: str | None) -> None:
    if what == OPEN:
        _open(shell, name)
        return
    if what == CLOSE:
        if not close_lab(shell):
            raise CommandError("labs close: no lab is open, and none has left anything")
        return
    guide = _guides.get(shell)
    if guide is None:
        raise CommandError(f"labs {what}: no lab is open; labs open NAME opens one")
    guide.next() if what == NEXT else guide.again()


def _open(shell: Shell, name: str | None) -> None:
    if name is None:
        raise CommandError(f"labs open: which one? There are {', '.join(lab.name for lab in all_labs())}")
    lab = _named(name)
    close_lab(shell)
    _refuse_those_who_live_by_another_clock(shell, lab)
    guide = _guides[shell] = Guide(shell, lab)
    guide.open()


def _refuse_those_who_live_by_another_clock(shell: Shell, lab: Lab) -> None:
    """A clock is for all coroutines, and cannot be changed while there are any: say so before the story is told."""
    others = [one for one in shell.living() if one.id != SHELL_ID]
    if not lab.sets_clock or not others:
        return
    first, more = others[0], len(others) - 1
    who = f"co#{first.id} {first.name}" + (f" and {plural(more, 'other')}" if more else "")
    raise CommandError(
        f"{lab.name} sets a clock of its own, and {who} live{'' if more else 's'} by the {shell.settings.clock} one: "
        f"close {'them' if more else 'it'} (ps, kill {first.id}), or open the lab in a new shell"
    )


def close_lab(shell: Shell) -> bool:
    """Clear away what the last lab has made; False if there was none."""
    found = False
    for kept in (_guides, _left):
        if shell in kept:
            kept[shell].clear()
            del kept[shell]
            found = True
    return found


def _all_passed(shell: Shell, results: list[Checked]) -> list[Checked]:
    failed = [result.name for result in results if result.state == "failed"]
    if failed:
        for line in lines_of(results, shell.width):
            shell.say(line)
        raise CommandError(f"{len(failed)} of {len(results)} labs failed: {', '.join(failed)}")
    return results


_COLUMNS: Final = (Column("name", "NAME"), Column("about", "ABOUT", minimum=20))


def lines_of(value: list[Lab] | list[Checked] | None, width: int) -> list[str]:
    """What the command shows."""
    if not value:
        return []
    results = [one for one in value if isinstance(one, Checked)]
    return lines_of_checked(results, width) if results else table(value, _COLUMNS, width)


def command() -> Command:
    """The one command."""
    names = tuple(lab.name for lab in all_labs())
    return Command(
        "labs",
        "the built-in experiments: list them, be led through one, run one, or check them",
        labs,
        (
            Arg(
                "what",
                "open, next, again, close, or the name of one to run",
                choices=(*WORDS, *names),
                optional=True,
            ),
            Arg("name", "which one to open", choices=names, optional=True),
            Arg("--check", "run it, or all of them, each in a process of its own", "flag"),
        ),
        ("labs", "labs --json", "labs open one-loop", "labs next", "labs again", "labs close"),
        lane="any",
        show=lines_of,
        details=(
            "labs open NAME tells the story and shows the first step; Enter runs it, and then it tells what came of it. "
            "Between two steps the prompt is yours: ps, heap, refs, conns show what the lab has made. labs next goes "
            "on, labs again does the last step once more from a clean start, labs close clears away what the lab has made. "
            "labs NAME runs all of it here, and what it made stays until the next lab begins, or labs close."
        ),
    )
