"""The command `labs`: list the experiments, be led through one, run one, or check them."""

from __future__ import annotations

import weakref
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from coshell.api import Arg, Column, Command, CommandError, Shell, table

from .checking import Checked, checked, lines_of_checked
from .clearing import patience_without_end
from .guide import Guide
from .reading import Lab, read_lab

FOLDER: Final = Path(__file__).parent
MODULE: Final = "module "  # how the source of a plugin begins that was loaded by its module's name

OPEN, NEXT, AGAIN = WORDS = ("open", "next", "again")

_guides: Final[weakref.WeakKeyDictionary[Shell, Guide]] = weakref.WeakKeyDictionary()


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
    with patience_without_end(shell):
        shell.call_command(shell.commands.get("run"), (chosen[0].file,))
    return None


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
    guide = _guides.get(shell)
    if guide is None:
        raise CommandError(f"labs {what}: no lab is open; labs open NAME opens one")
    guide.next() if what == NEXT else guide.again()


def _open(shell: Shell, name: str | None) -> None:
    if name is None:
        raise CommandError(f"labs open: which one? There are {', '.join(lab.name for lab in all_labs())}")
    lab = _named(name)
    close_guide(shell)
    guide = _guides[shell] = Guide(shell, lab)
    guide.open()


def close_guide(shell: Shell) -> bool:
    """Clear away what the open lab has made; False if none is open."""
    guide = _guides.pop(shell, None)
    if guide is not None:
        guide.clear()
    return guide is not None


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
                "open, next, again, or the name of one to run",
                choices=(*WORDS, *names),
                optional=True,
            ),
            Arg("name", "which one to open", choices=names, optional=True),
            Arg("--check", "run it, or all of them, each in a process of its own", "flag"),
        ),
        ("labs", "labs --json", "labs open one-loop", "labs next", "labs again"),
        lane="any",
        show=lines_of,
        details=(
            "labs open NAME tells the story and shows the first step; Enter runs it, and then it tells what came of it. "
            "Between two steps the prompt is yours: ps, heap, refs, conns show what the lab has made. labs next goes "
            "on, labs again does the last step once more from a clean start. labs NAME runs all of it here."
        ),
    )
