"""Pictures of memory: how it went, in the terminal, and where it comes from, in a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coloop import Coroutine, memory
from coshell import __version__
from coshell.command import Arg, Command, CommandError, UsageError
from coshell.command_error import did_you_mean
from coshell.naming import find, number_in
from coshell.pictures.files import check_place, write_file
from coshell.pictures.flame_html import flame_page
from coshell.pictures.flame_svg import flame_svg
from coshell.pictures.flame_tree import BY_STACK, WAYS, Node, tree_of
from coshell.pictures.heap_stacks import Names, Stacks, live_stacks, names_of, standard_error
from coshell.pictures.plot import Plot, Plotted, lines_of
from coshell.pictures.speedscope import speedscope
from coshell.pictures.timeline import Timeline, Trace
from coshell.sampling import watched
from coshell.text import plural, printable
from coshell.values import Bytes, Count

if TYPE_CHECKING:
    from coshell.shell import Shell

MAX_CURVES: Final = 8
MIN_WIDTH: Final = 20
WITHOUT_BRAILLE: Final = ("linux",)  # the kernel's console has no such letters
ALL: Final = "all coroutines"

# -- plot ------------------------------------------------------------------------------------------


def plot(shell: Shell, who: tuple[Any, ...], window: float | None, width: int | None, ascii: bool) -> Plot:  # noqa: A002
    """The heap over time, of some or of all together."""
    if width is not None and width < MIN_WIDTH:
        raise UsageError(f"plot: --width {width}: at least {MIN_WIDTH} columns are needed")
    if not memory.traces_heap():
        raise CommandError(f"heap is not traced at level {memory.level()!r}: set level heap")
    is_new = shell.monitor is None
    monitor = watched(shell)
    monitor.look()
    timeline = monitor.timeline
    traces = _unique(trace for ref in _flat(who) for trace in _traces(shell, timeline, ref))
    if not who:
        traces = [Trace(ALL, None, "", timeline.heap)]
    since_s = None if window is None else shell.scheduler.clock.now() - window
    curves = [curve for trace in traces if (curve := Plotted.of(trace, since_s)) is not None]
    if not curves:
        why = "a longer --window shows more" if timeline.heap else "a coroutine lets nobody else run (ps)"
        raise CommandError(f"nothing was seen: {why}")
    footer = [f"{len(curves) - MAX_CURVES} more"] if len(curves) > MAX_CURVES else []
    if is_new:
        footer.append(f"looking every {shell.settings.refresh} from now on: ask again")
    ascii_only = ascii or shell.settings.ascii or os.environ.get("TERM") in WITHOUT_BRAILLE
    return Plot(curves[:MAX_CURVES], width=width, ascii_only=ascii_only, footer=footer)


def _flat(refs: Iterable[Any]) -> Iterator[Any]:
    """All that are meant; a reference may also be a list of coroutines, as `go -n` binds it."""
    for ref in refs:
        yield from ref if isinstance(ref, (list, tuple, set)) else [ref]


def _traces(shell: Shell, timeline: Timeline, ref: Any) -> list[Trace]:
    """What is remembered of whoever is meant: a coroutine, those of one name, or those of one place of birth."""
    number = ref.id if isinstance(ref, Coroutine) else number_in(ref)
    if number is not None:
        return [_of_number(shell, timeline, number)]
    text = str(ref).strip()
    sites = [trace for trace in timeline.sites() if text and _is_place(text, trace.site)]
    named = timeline.named(text)
    if len(named) == 1:
        return named
    if named and len({trace.site for trace in named}) == 1:
        return [trace for trace in timeline.sites() if trace.site == named[0].site]
    bound = shell.names.get(text)
    if isinstance(bound, (Coroutine, list)) and not (named or sites):
        return [
            trace
            for one in _flat([bound])
            if isinstance(one, Coroutine)
            for trace in _traces(shell, timeline, one)
        ]
    if named or sites:
        return named or sites
    known = [one.name for one in shell.living()] + [trace.site for trace in timeline.sites()]
    raise CommandError(
        f"no coroutine and no place of birth {text!r}{did_you_mean(text, known)} (ps lists them)"
    )


def _of_number(shell: Shell, timeline: Timeline, number: int) -> Trace:
    trace = timeline.of(number)
    if trace is None:
        find(shell, number)
        raise CommandError(f"nothing is remembered of co#{number}: nobody looked while it lived")
    return trace


def _is_place(text: str, site: str) -> bool:
    """Whether a place is meant: `demo.cosh:12` is short for `demo.cosh:12 in handle`."""
    return site == text or site.startswith(f"{text} ")


def _unique(traces: Iterable[Trace]) -> list[Trace]:
    return list({(trace.id, trace.site): trace for trace in traces}.values())


# -- flame -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A picture that was written.

    Attributes:
        file: where.
        heap: what it shows.
        error: the standard error of that; 0 where every block is counted.
        blocks: in so many blocks.
        stacks: allocated below so many stacks.
    """

    file: str
    heap: Bytes
    error: Bytes
    blocks: Count
    stacks: Count


def flame(shell: Shell, file: Path, by: str, force: bool) -> Drawn:
    """Write live heap by stack, or by coroutine and stack, into a file whose name tells its form."""
    draw = next((draw for ending, draw in _FORMS.items() if file.name.lower().endswith(ending)), None)
    if draw is None:
        raise UsageError(f"flame: {file.name!r}: the name must end with {' or '.join(_FORMS)}")
    check_place(file, force=force)
    stacks = live_stacks(by)
    error = Bytes(standard_error())
    write_file(file, draw(Drawing(stacks, by, error), names_of(shell)), force=force)
    return Drawn(
        str(file),
        Bytes(sum(stack.heap_bytes for stack in stacks)),
        error,
        Count(sum(stack.heap_blocks for stack in stacks)),
        Count(len(stacks)),
    )


@dataclass(frozen=True)
class Drawing:
    """What is to be drawn."""

    stacks: Stacks
    by: str
    error: Bytes

    @property
    def title(self) -> str:
        """What it is called."""
        return f"live heap by {self.by}"

    def about(self, root: Node) -> str:
        """What it shows."""
        give_or_take = f" (standard error {self.error}, by sampling)" if self.error else ""
        blocks = plural(root.heap_blocks, "block")
        return f"{Bytes(root.heap_bytes)}{give_or_take} in {blocks}, allocated since level sites was set"


def _as_svg(drawing: Drawing, name_of: Names) -> str:
    root = tree_of(drawing.stacks, drawing.by, name_of)
    return flame_svg(root, drawing.title, drawing.about(root))


def _as_html(drawing: Drawing, name_of: Names) -> str:
    root = tree_of(drawing.stacks, drawing.by, name_of)
    return flame_page(root, drawing.title, drawing.about(root))


def _as_speedscope(drawing: Drawing, name_of: Names) -> str:
    return speedscope(drawing.stacks, drawing.by, drawing.title, f"coshell {__version__}", name_of)


_FORMS: Final[Mapping[str, Callable[[Drawing, Names], str]]] = {
    ".svg": _as_svg,
    ".html": _as_html,
    ".speedscope.json": _as_speedscope,
}


def _flame_lines(value: Drawn, _: int) -> list[str]:
    give_or_take = f" (error {value.error})" if value.error else ""
    shown = f"{value.heap}{give_or_take} in {value.blocks} blocks, {value.stacks} stacks"
    return [printable(f"ok  {value.file}: {shown}", keep="")]


COMMANDS: Final = (
    Command(
        "plot",
        "draw the heap over time: of all coroutines, of some, or by where they were born",
        plot,
        (
            Arg(
                "who",
                "numbers or names of coroutines, or places of birth as file:line; all together by default",
                "coroutine",
                optional=True,
                repeat=True,
            ),
            Arg("--window", "only the last so many seconds", "duration"),
            Arg("--width", "columns; as wide as the screen by default", "int"),
            Arg("--ascii", "draw with ASCII", "flag"),
        ),
        (
            "plot",
            "go sleep(60) --name nap\nplot nap --window 30s",
            "go -n 3 sleep(60 + i) --name nap\nplot nap --ascii --width 60",
            "plot --json",
        ),
        lane="any",
        show=lines_of,
        details=(
            "The prompt looks twice a second; in a script the first plot begins that. What lies far back is kept in"
            " less detail, and its peaks always. A place of birth is shown with what its dead have left."
            " Coroutines of one name that were born at one place are shown together."
        ),
    ),
    Command(
        "flame",
        "draw a flame graph of live heap: by stack, or by coroutine and stack",
        flame,
        (
            Arg("file", "NAME.svg, NAME.html or NAME.speedscope.json", "path"),
            Arg("--by", "what stands at the root", "choice", default=BY_STACK, choices=WAYS),
            Arg("--force", "replace a file that is there", "flag", "-f"),
        ),
        (
            "set level sites\nflame heap.html --force",
            "set level sites\nflame heap.svg --by stack --force",
            "set level sites\nflame heap.speedscope.json --force",
        ),
        lane="any",
        show=_flame_lines,
        details=(
            "The page and the drawing need no network: open them in a browser; a click takes a box for the whole."
            " speedscope.app opens the last form. What was allocated is known by place at level sites only, from when"
            " it was set. --by coroutine takes the native core."
        ),
    ),
)
