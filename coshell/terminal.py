"""A person at a terminal: asks for a line, has the shell do it, and tells what came of it, until it is enough.

The main thread is the keyboard's. While a line is typed prompt_toolkit holds the terminal, and Ctrl-C is a
key; while a line is done nobody holds it, and Ctrl-C is a signal that interrupts what is waited for. Who
writes meanwhile, be it a coroutine or the monitor, writes above the prompt.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

import greenlet

import coloop
from coloop import Coroutine, Snapshot, Socket

from . import __version__
from .completion import ShellCompleter, World
from .config import LEVELS
from .config import keys as setting_names
from .ending import Quit
from .highlight import ShellLexer, label
from .history import open_history
from .keys import Desk, Gesture, Typed, bindings
from .lines import Line, LineError
from .monitor import MAX_PICTURES, Monitor, Sample
from .nc import Conversation, NcOptions
from .processes import ProcessPicture
from .sampling import HeapBySite, ShellFacts
from .shell import Result, Shell
from .text import plural
from .tls_options import in_words
from .toolbar import fragments

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples

    from .prompt import Prompt

MENU: Final = "(k)ill (w)here (c)ontinue (q)uit? "
ORIGIN: Final = "<co>"
SWITCH_INTERVAL_S: Final = 0.001  # a thread that computes lets the keyboard's go on after so long
WIDTH_WITHOUT_TERMINAL: Final = 80
_NEEDED: Final = (
    "coshell.above",
    "coshell.keyboard",
    "coshell.prompt",
    "prompt_toolkit.key_binding.bindings.search",
    "prompt_toolkit.output.vt100",
    "prompt_toolkit.patch_stdout",
    "psutil",
)


def prepare() -> None:
    """Import what a prompt needs: before allocations are traced, as it takes several times as long then."""
    from pygments.lexers.python import PythonLexer

    for name in _NEEDED:
        import_module(name)
    PythonLexer()  # the first one compiles its expressions


def run_terminal(shell: Shell) -> int:
    """Hold a session at the terminal; returns the exit code."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    seat = Seat(shell)
    shell.terminal = seat
    try:
        return seat.hold()
    finally:
        shell.terminal = None


class Seat:
    """The terminal as the shell and its commands see it, and the session that is held there."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._monitor = Monitor(
            _Facts(shell),
            shell.notice,
            refresh_s=shell.settings.refresh,
            on_sample=self._sampled,
            processes=shell.plugins.processes,
            by_site=HeapBySite(),
        )
        self._history = open_history(os.environ, "history", shell.notice)
        self._prompt: Prompt = self._make_prompt()
        shell.monitor = self._monitor

    def hold(self) -> int:
        """Ask and do until it is enough; returns the exit code."""
        self._shell.say(banner(self._shell.settings.level))
        self._monitor.start()
        keep = ""
        try:
            while True:
                try:
                    keep = self._answer(self._prompt.read(keep))
                except KeyboardInterrupt:
                    self._shell.say("")
                except EOFError:  # the terminal is gone
                    return 0
        except Quit as quitting:
            return quitting.code
        finally:
            self._monitor.stop()

    # -- what commands may ask ---------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Columns."""
        try:
            return max(1, os.get_terminal_size(sys.__stdout__.fileno()).columns) if sys.__stdout__ else 1
        except (OSError, ValueError):
            return WIDTH_WITHOUT_TERMINAL

    def choose(self, question: str, keys: str) -> str:
        """Ask for one of some keys; empty for none of them."""
        return self._prompt.choose(question, keys)

    def confirm(self, question: str) -> bool:
        """Ask for yes or no; the end of input means yes: who presses Ctrl-D twice wants to leave."""
        try:
            return self._prompt.choose(f"{question} [y/N] ", "yn") == "y"
        except EOFError:
            return True

    def converse(self, socket: Socket, options: NcOptions) -> None:
        """Hold an nc session at the keyboard; parks."""
        from .nc_prompt import KEYS_HINT, Session

        conversation = Conversation(options, self._shell.scheduler.clock.now)
        history = open_history(os.environ, "history-nc", self._shell.notice)
        called = socket.role == "server"
        caller, other = (socket.peer, socket.local) if called else (socket.local, socket.peer)
        self._shell.say(f"{conversation.opened(str(caller), str(other))}   {KEYS_HINT}")
        if socket.tls is not None:
            self._shell.say(f". {in_words(socket.tls, as_server=called)}")
        # On a thread, as half a megabyte of a prompt is no cost of whoever holds the session.
        side = coloop.to_thread(self._prompt.beside, f"{options.label}> ", history)
        Session(socket, conversation, side, self._shell.say, self._prompt.choose).hold()

    # -- what was typed ----------------------------------------------------------------------------

    def _answer(self, answer: Typed | Gesture) -> str:
        """Do what was asked for; returns what is to stand at the prompt again."""
        if isinstance(answer, Typed):
            self._do(answer.text)
            return answer.keep
        if answer is Gesture.LEAVE:
            self._leave()
        elif answer is Gesture.MENU:
            self._menu(self._hog())
        return ""

    def _do(self, text: str) -> None:
        try:
            result = self._shell.execute(text, origin=ORIGIN)
        except KeyboardInterrupt:
            self._shell.say("KeyboardInterrupt", "error")
            return
        self._tell(result)
        if result.hog is not None:
            self._menu(result.hog)

    def _tell(self, result: Result) -> None:
        if result.ok:
            return
        if result.traceback:
            for line in result.traceback.split("\n"):
                self._shell.say(line, "dim")
        if result.error and not (result.traceback or "").endswith(result.error):
            self._shell.say(f"error: {result.error}", "error")

    def _leave(self) -> None:
        shell = self._shell
        running = what_runs(shell.snapshot(0), len(shell.living()) - 1, shell.plugins.processes())
        if not running or self.confirm(f"{running} running; leave?"):
            raise Quit(0)

    def _menu(self, hog: Coroutine | None) -> None:
        """A coroutine lets nobody else run: ask what to do about it."""
        if hog is None or hog.ended:
            return
        self._shell.say(f"{hog} {hog.name} lets nobody else run", "notice")
        match self._prompt.choose(MENU, "kwcq"):
            case "k":
                self._do(f":kill {hog.id}")
            case "w":
                self._do(f":where {hog.id}")
            case "q":
                raise Quit(130)

    # -- the prompt --------------------------------------------------------------------------------

    def _make_prompt(self) -> Prompt:
        from .prompt import PlainPrompt

        if os.environ.get("TERM", "dumb") in {"", "dumb", "unknown"}:
            return PlainPrompt(self._shell.needs_more, self._history)
        return self._make_editing_prompt()

    def _make_editing_prompt(self) -> Prompt:
        from prompt_toolkit.output import ColorDepth, create_output

        from .above import AbovePrompt
        from .keyboard import Keyboard
        from .prompt import STYLE, Device, EditingPrompt, Face

        output = create_output(sys.__stdout__)
        keyboard = Keyboard(sys.stdin, output)
        above = AbovePrompt(output, STYLE)
        self._shell.output.console = self._shell.output.errors = above
        depth = ColorDepth.DEPTH_1_BIT if _is_colourless(self._shell.settings.color) else None
        face = Face(
            message=self._message,
            right=lambda: label_of(current_text(), self._classify),
            bar=self._bar if self._shell.settings.toolbar else None,
            keys=bindings(self._desk(above.write_line)),
            lexer=ShellLexer(self._classify),
            completer=ShellCompleter(world_of(self._shell)),
            history=self._history,
            vi=self._shell.settings.vi,
        )
        return EditingPrompt(Device(keyboard, output, above), face, depth)

    def _desk(self, say: Callable[..., None]) -> Desk:
        shell = self._shell
        return Desk(
            needs_more=shell.needs_more,
            is_hogged=lambda: self._hog() is not None,
            is_command=lambda name: name in shell.commands,
            say=lambda text: say(text, "notice"),
            cycle_level=self._cycle_level,
        )

    def _cycle_level(self) -> None:
        following = LEVELS[(LEVELS.index(self._shell.settings.level) + 1) % len(LEVELS)]
        self._shell.change_setting("level", following, "F2")
        self._shell.notice(f"accounting: {following}")  # a narrow bar has no room for it
        self._monitor.sample()

    def _message(self) -> StyleAndTextTuples:
        from .prompt import HOGGED_PROMPT, PROMPT

        return [("class:prompt.hogged", HOGGED_PROMPT)] if self._hog() else [("class:prompt", PROMPT)]

    def _bar(self) -> StyleAndTextTuples:
        return [*fragments(self._monitor.latest, self.width, ascii_only=self._shell.settings.ascii)]

    def _sampled(self) -> None:
        """On the monitor's thread."""
        self._shell.watch.glance()
        self._prompt.refresh()

    def _classify(self, line: str) -> Line:
        try:
            return self._shell.classify(line)
        except LineError:
            return Line("python", "", line, 1)

    def _hog(self) -> Coroutine | None:
        """Who lets nobody else run, as of the last sample."""
        sample = self._monitor.latest
        hog = None if sample is None else sample.snapshot.hog
        return None if hog is None or sample is None else self._shell.scheduler.coroutine(hog.id)


class _Facts(ShellFacts):
    """What the monitor looks at, with what plugins add to the bar."""

    def segments(self, sample: Sample) -> Iterable[str]:
        """See `Facts`."""
        return self._shell.plugins.toolbar(sample)


def world_of(shell: Shell) -> World:
    """What completion may offer."""
    return World(
        commands=shell.commands,
        names=shell.names,
        bound=shell.bound,
        coroutines=lambda: shell.snapshot(MAX_PICTURES).coroutines,
        servers=lambda: _named(shell, "stop"),
        sockets=lambda: _named(shell, "recv"),
        settings=setting_names,
        plugins=lambda: [record.name for record in shell.plugins.records()],
        marks=lambda: tuple(shell.marks),
        places=lambda: _places(shell),
        processes=shell.plugins.processes,
    )


def _places(shell: Shell) -> list[str]:
    """Where coroutines were born, as far as it is remembered, without the function."""
    sites = shell.monitor.timeline.sites() if shell.monitor is not None else []
    return [trace.site.rpartition(" in ")[0] for trace in sites]


def _named(shell: Shell, method: str) -> list[str]:
    """The names of the things that can do this."""
    bound = [name for name in shell.bound if hasattr(type(shell.names[name]), method)]
    return [*bound, *(name for name, thing in shell.things.items() if hasattr(type(thing.value), method))]


def _is_colourless(color: str) -> bool:
    return color == "never" or (color == "auto" and bool(os.environ.get("NO_COLOR")))


def what_runs(snapshot: Snapshot, coroutines: int, processes: Sequence[ProcessPicture] = ()) -> str:
    """What would be ended by leaving, in words; empty for nothing."""
    servers = sum(socket.role == "listener" for socket in snapshot.sockets)
    clients = sum(socket.role == "server" for socket in snapshot.sockets)
    clients += sum(process.clients for process in processes)
    counted = (
        (servers, "server"),
        (len(processes), "worker"),
        (clients, "client"),
        (coroutines, "coroutine"),
    )
    return ", ".join(plural(count, noun) for count, noun in counted if count)


def label_of(text: str, classify: Callable[[str], Line]) -> str:
    """What Enter will take the text for."""
    return label(text, classify)


def current_text() -> str:
    """What is being typed."""
    from prompt_toolkit.application.current import get_app

    return get_app().current_buffer.text


def banner(level: str) -> str:
    """The first lines of a session."""
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"coshell {__version__}  Python {python}  greenlet {greenlet.__version__}   accounting: {level} (F2)\n"
        "Commands and Python at one prompt: help, Tab, F1.   First: echo :0 --as e"
    )
