"""The shell without a terminal: it reads a line, finds out what it means, does it, and tells what came of it.

The prompt, a script, a pipe and a test all stand before this same object. It prints what a line gives; what
went wrong is in the `Result`, because each of them tells that in its own way.

What waits runs in a coroutine on the scheduler's thread (`bridge.py`), so that waiting stops nobody else. What
must work while a coroutine lets nobody run, such as `kill`, runs on the thread that calls it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import coloop
from coloop import Coroutine, Scheduler, Snapshot
from coloop.testing import MockClock

from . import finding, system_line
from .bridge import Bridge, Hogged
from .command import Command, CommandError, CommandTable, HelpAsked
from .commands import built_in
from .config import Settings
from .console import Console, StreamConsole
from .ending import Quit
from .evaluate import Interpreter
from .failures import Failures
from .finding import Finder
from .herald import Herald
from .leaks.marks import Marks
from .leaks.watch import Watch
from .lines import Line, classify
from .namespace import Namespace
from .naming import ranges
from .output import Output
from .presenting import json_lines, lines_of
from .result import WRONG, Result, failure
from .showing import shown
from .steps import Grammar, LineSplitter, SessionError, Step
from .text import plural, printable
from .things import Things

__all__ = ["Quit", "Result", "Shell", "Terminal"]

if TYPE_CHECKING:
    from .monitor import Monitor
    from .plugin import PluginManager

DEFAULT_WIDTH: Final = 80
HOG_PATIENCE_S: Final = 0.5
DRAIN_LOOK_S: Final = 0.02
STOP_S: Final = 2.0  # workers that did not end by themselves have to be killed, too
SHELL_ID: Final = 1


class Terminal(Protocol):
    """What commands may ask of a terminal, if there is one."""

    @property
    def width(self) -> int:
        """Columns."""

    def converse(self, socket: Any, options: Any) -> Any:
        """Hold an nc session at the keyboard; parks."""

    def confirm(self, question: str) -> bool:
        """Ask for yes or no."""

    def choose(self, question: str, keys: str) -> str:
        """Ask for one of some keys."""


@dataclass(frozen=True)
class _Done:
    """What a call on the scheduler's thread brings back: a value, and how it is shown."""

    value: Any = None
    lines: tuple[str, ...] = field(default=())


class _Now:
    """Names that are asked for each time: plugins come and go."""

    def __init__(self, names: Callable[[], Collection[str]]) -> None:
        self._names = names

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())


class Shell:
    """One session.

    Args:
        settings: how it behaves.
        console: where output goes; standard output by default.
        errors: where notices and reports of deaths go; the console by default.
        interactive: somebody sits there: a coroutine that lets nobody run is not waited for, a standstill is
            told and fails nothing, and what is printed in the background is limited.

    Attributes:
        names: the user's names.
        bound: those of them that the user has bound.
        commands: the commands.
        interpreter: runs Python in the names.
        bridge: leads to the scheduler.
        settings: how it behaves now.
        origins: where settings that are not at their default came from.
        output: sends what is written where it belongs.
        failures: the last coroutines that died of an exception that nobody joined.
        things: what commands have opened, by name.
        terminal: the terminal, if there is one.
        monitor: what samples the scheduler, if anybody wants that.
        watch: what remembers how heaps went on, and watches them when it is asked to.
        marks: the moments that `mark` has named.
        rerunning: the session file is being run again, on what it has opened before: whoever would open that
            once more replaces it.
        lost: the servers that cannot be kept up, each with the reason.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        console: Console | None = None,
        errors: Console | None = None,
        interactive: bool = False,
    ) -> None:
        self.settings = settings if settings is not None else Settings()
        self.origins: dict[str, str] = {}
        self.interactive = interactive
        screen = console if console is not None else StreamConsole(sys.stdout)
        self.output = Output(screen, errors, limited=interactive)
        self.interpreter = Interpreter()
        self.names = self.interpreter.names
        self._namespace = Namespace(self.names, self.call_command)
        self.bound = self._namespace.bound
        self.commands: CommandTable = self._namespace.commands
        self.failures = Failures()
        self.things = Things()
        self._finder = Finder(self.names, self.bound, self.things)
        self.terminal: Terminal | None = None
        self.monitor: Monitor | None = None
        self.watch = Watch(self)
        self.marks = Marks()
        self._folder: Path | None = None
        self.rerunning = False
        self.lost: dict[str, str] = {}
        self._herald = Herald(self.output, self.failures, lambda: self.settings.ascii, _lines_in)
        self.bridge = self._new_bridge()
        self._level_before = coloop.memory.level()
        for command in built_in():
            self.commands.register(command)

    # -- life --------------------------------------------------------------------------------------

    def start(self, *, plugins: bool = False) -> None:
        """Start the scheduler, and load the installed plugins if they are wanted."""
        self.output.raw = self.settings.raw
        self.bridge.start()
        if plugins:
            self.plugins.load_entry_points()
        coloop.memory.own_thread()  # that of the keyboard
        # Last, because imports take several times as long while allocations are traced.
        self._level_before = coloop.memory.level()
        coloop.memory.set_level(self.settings.level)

    def close(self) -> bool:
        """Cancel all coroutines and let go of everything; False if a coroutine could not be ended."""
        if self.monitor is not None:
            self.monitor.stop()
        ended = self.bridge.stop()
        coloop.memory.set_level(self._level_before)
        coloop.memory.own_thread(own=False)
        if "plugins" in self.__dict__:
            self.plugins.close()
        self.output.close()
        self.interpreter.forget_all()
        if self._folder is not None:
            import shutil

            shutil.rmtree(self._folder, ignore_errors=True)
        return ended

    def given_up(self, name: str, why: str) -> None:
        """A server cannot be kept up: told here, and the end of the session is a failure; from any thread."""
        self.lost[name] = why
        self.output.notice(printable(f"server {name} is given up: {why}", keep=""), "error")

    def private_folder(self) -> Path:
        """A folder for the sockets of this session, which nobody else may enter; it goes when the shell does."""
        if self._folder is None:
            import tempfile

            self._folder = Path(tempfile.mkdtemp(prefix="coshell-"))
        return self._folder

    @contextmanager
    def rerun(self) -> Iterator[None]:
        """In this block a session file is run again."""
        self.things.claim_none()
        self.rerunning = True
        try:
            yield
        finally:
            self.rerunning = False

    def drain(self, timeout_s: float) -> None:
        """Let nobody in any more, and give those who are connected some time to finish.

        What has been opened and can `stop(drain=)` is stopped in its own way: servers, and pools of workers.
        A coroutine that lets nobody run in all of that time is waited for no longer.
        """
        self.bridge.hog_patience_s = timeout_s
        with suppress(Hogged):
            self.bridge.call(self._drain, timeout_s, name="drain")

    def _drain(self, timeout_s: float) -> None:
        scheduler = self.scheduler
        stoppable = [thing for thing in self.things.as_they_are() if hasattr(thing.value, "stop")]
        stopping = [
            coloop.go(thing.value.stop, drain=timeout_s, name=f"stop {thing.name}") for thing in stoppable
        ]
        for held in list(scheduler.sockets.values()):
            is_typed_for = held.owner == SHELL_ID  # and nobody will type any more
            if is_typed_for or isinstance(held, coloop.Listener):
                held.close()
        deadline = scheduler.clock.now() + timeout_s
        while self._has_clients() and scheduler.clock.now() < deadline:
            coloop.sleep(DRAIN_LOOK_S)
        while (
            any(one.id in scheduler.living for one in stopping) and scheduler.clock.now() < deadline + STOP_S
        ):
            coloop.sleep(DRAIN_LOOK_S)

    def _has_clients(self) -> bool:
        return any(getattr(held, "role", "") == "server" for held in self.scheduler.sockets.values())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def plugins(self) -> PluginManager:
        """The plugins; their library is imported when they are first asked for."""
        from .plugin import PluginManager

        return PluginManager(self, self.notice)

    # -- lines -------------------------------------------------------------------------------------

    def execute(self, source: str, *, origin: str = "<stdin>", line: int = 1, strict: bool = False) -> Result:
        """Do what a line, a block, or several of them say; stop at the first that fails.

        Args:
            source: the text.
            origin: the name of the file that it stands in.
            line: the number of its first line there.
            strict: a command that is hidden by a name of the user's is an error.

        Returns:
            What came of the last one that was done.

        Raises:
            Quit: it says so.
        """
        try:
            steps = self._steps(source, origin, line)
        except SessionError as error:
            return Result(ok=False, error=error.reason, exit_code=WRONG, kind="python")
        result = Result(kind="blank")
        for step in steps:
            result = self.perform(step, strict=strict)
            if not result.ok:
                break
        return result

    def needs_more(self, source: str) -> bool:
        """Whether what was typed so far is the beginning of something; an empty line ends a block."""
        splitter = LineSplitter(self.grammar(), blank_ends=True)
        try:
            for line in source.split("\n"):
                splitter.feed(line)
        except SessionError:
            return False
        return splitter.pending

    def classify(self, line: str, *, strict: bool = False) -> Line:
        """Whether a line is a command or Python; raises `LineError`."""
        found = classify(line, self.commands, self.bound, strict=strict)
        if found.kind == "directive" and self.grammar().directive_in(line) is None:  # a decorator
            return Line("python", "", line.strip(), 1)
        return found

    def grammar(self) -> Grammar:
        """What words mean, whenever they are looked at."""
        return Grammar(
            commands=_Now(self.commands.names),
            python_commands=_Now(lambda: [c.name for c in self.commands if c.tail == "python"]),
            text_commands=_Now(lambda: [c.name for c in self.commands if c.tail == "rest"]),
            directives=_Now(lambda: self.plugins.directives() if "plugins" in self.__dict__ else ()),
            bound=self.bound,
        )

    def _steps(self, source: str, origin: str, line: int) -> list[Step]:
        splitter = LineSplitter(self.grammar(), origin, first_line=line)
        steps = [step for text in source.split("\n") for step in splitter.feed(text)]
        return steps + splitter.close()

    def perform(self, step: Step, *, strict: bool = False) -> Result:
        """Do one step; see `execute`."""
        kind = "directive"
        try:
            if step.kind != "input":
                return self._direct(step)
            found = self.classify(step.text.partition("\n")[0], strict=strict)
            kind = found.kind
            return self._run_line(found, step.text)
        except BaseException as error:
            return self.result_of(error, kind)
        finally:
            self.output.flush()
            self.watch.glance()

    def _run_line(self, found: Line, source: str) -> Result:
        match found.kind:
            case "command":
                _, newline, block = source.partition("\n")
                return self._run_command(self.commands.get(found.name), found.rest + newline + block)
            case "python":
                done = self.bridge.call(self._in_foreground, self._run_python, source)
                return self._told(done, "python")
            case "os":
                self.output.flush()
                system_line.run(found.rest, at_terminal=self.terminal is not None, say=self.say)
                return Result(kind="os")
            case "help":
                return self._run_command(self.commands.get("help"), found.name, "help")
            case _:
                return Result(kind=found.kind)

    def _direct(self, step: Step) -> Result:
        from .directives import run_directive

        return run_directive(self, step)

    # -- Python ------------------------------------------------------------------------------------

    def evaluate(self, expression: str) -> Any:
        """The value of a Python expression, found in a coroutine; raises whatever it raises."""
        return self.bridge.call(self._in_foreground, self.interpreter.evaluate, expression)

    def _put_in(self, expression: str) -> Any:
        return self.bridge.call(self._in_foreground, self.interpreter.put_in, expression)

    def run_python(self, source: str) -> Result:
        """Run Python that was not typed: a file of the user's."""
        try:
            self.bridge.call(self._in_foreground, self.interpreter.run, source)
        except BaseException as error:
            return self.result_of(error, "python")
        return Result(kind="python")

    def _run_python(self, source: str) -> _Done:
        value = self.interpreter.run(source)
        if value is None:
            return _Done()
        if self.settings.json:
            return _Done(value, tuple(json_lines({"value": value})))
        return _Done(value, tuple(shown(value).split("\n")))

    def _in_foreground(self, fn: Callable[..., Any], *args: Any) -> Any:
        with self.output.foreground():
            return fn(*args)

    # -- commands ----------------------------------------------------------------------------------

    def call_command(
        self, command: Command, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a command as a function; returns and raises what it does."""
        run = partial(command.run, self, **command.bound(args, kwargs or {}))
        return run() if command.lane == "any" else self.bridge.call(run)

    def _run_command(self, command: Command, text: str, kind: str = "command") -> Result:
        run = partial(self._perform, command, text)
        done = run() if command.lane == "any" else self.bridge.call(self._in_foreground, run)
        return self._told(done, kind)

    def _perform(self, command: Command, text: str) -> _Done:
        """Run a command and make lines of what it gives; in a coroutine, if that is its lane."""
        try:
            values = command.parse(text, self._put_in)
        except HelpAsked:
            return _Done(None, tuple(command.help().split("\n")))
        as_json = values.pop("json") or self.settings.json
        value = command.run(self, **values)
        return _Done(value, tuple(lines_of(command, value, self.settings, self.width, as_json=as_json)))

    def _told(self, done: _Done, kind: str) -> Result:
        for line in done.lines:
            self.output.say(line)
        records = done.value if isinstance(done.value, list) else None
        return Result(value=done.value, kind=kind, records=records)

    def result_of(self, error: BaseException, kind: str = "") -> Result:
        """A failure as a result; raises it again if it is none: `Quit`, `Terminated`."""
        return failure(error, kind, self.settings.errors)

    # -- what is shown -----------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Columns of the screen."""
        if self.terminal is not None:
            return self.terminal.width
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdecimal() and int(columns) > 0 else DEFAULT_WIDTH

    def say(self, text: str, style: str = "") -> None:
        """A command's output."""
        self.output.say(text, style)

    def notice(self, text: str) -> None:
        """A line that nobody asked for; from any thread."""
        self.output.notice(text)

    def bind(self, name: str, value: Any) -> None:
        """Give a value a name of the user's; raises CommandError if it cannot be a Python name."""
        self._namespace.bind(name, value)

    # -- what is there -----------------------------------------------------------------------------

    def snapshot(self, limit: int | None = None, *, dead: bool = True, stuck: bool = False) -> Snapshot:
        """A picture of the scheduler, also while a coroutine holds it."""
        return self.bridge.scheduler.snapshot(limit, dead=dead, stuck=stuck)

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler."""
        return self.bridge.scheduler

    def living(self) -> list[Coroutine]:
        """The coroutines that have not ended, by id; from any thread."""
        return finding.living(self.scheduler)

    def find_coroutine(self, ref: Coroutine | int | str) -> Coroutine:
        """The living coroutine that is meant by itself, its id, `co#3`, its name, or a name of the user's.

        Raises:
            CommandError: there is none, or several; the message names them, or the nearest.
        """
        return finding.coroutine(self.scheduler, self.names, ref)

    def find_socket(self, ref: Any) -> Any:
        """The socket that is meant by itself, a name of the user's, or its own; raises CommandError."""
        return self._finder.socket(ref)

    def find_server(self, ref: Any) -> Any:
        """The server that is meant, likewise."""
        return self._finder.server(ref)

    def resolve_address(self, ref: Any) -> Any:
        """The address of a server, if one is meant; else what was given."""
        return self._finder.address(ref)

    # -- settings ----------------------------------------------------------------------------------

    def change_setting(self, key: str, value: Any, origin: str = "set") -> None:
        """Change a setting, and whatever depends on it.

        Raises:
            SettingError: no such setting or value.
            CommandError: it cannot be changed now.
        """
        changed = self.settings.changed(key, value)
        name = key.replace("-", "_")
        if name in {"clock", "seed"} and self.bridge.running:
            self._change_scheduler(changed, name)
        self.settings = changed
        self.origins[name] = origin
        if name == "level":
            coloop.memory.set_level(changed.level)
            if "plugins" in self.__dict__:
                self.plugins.level_changed(changed.level)
        if name == "raw":
            self.output.raw = changed.raw

    def _change_scheduler(self, changed: Settings, key: str) -> None:
        """A clock and a seed are a scheduler's for life: take another one, as long as it has nothing to do."""
        others = [one.id for one in self.living() if one.id != SHELL_ID]
        if others:
            raise CommandError(
                f"set {key}: {plural(len(others), 'coroutine')} live{'s' if len(others) == 1 else ''} by the old one"
                f" ({ranges(others)}): kill them first, or set it in a new shell"
            )
        if coloop.current() is not None:
            raise CommandError(f"set {key}: not from within a coroutine")
        self.settings = changed
        self.bridge.stop()
        self.bridge = self._new_bridge()
        self.bridge.start()
        if self.monitor is not None:
            self.monitor.timeline.clear()

    def _new_bridge(self) -> Bridge:
        clock = MockClock() if self.settings.clock == "virtual" else None
        bridge = Bridge(clock=clock, seed=self.settings.seed)
        bridge.deadlock_fails = not self.interactive
        bridge.hog_patience_s = HOG_PATIENCE_S if self.interactive else None
        self._herald.listen_to(bridge, standstills=self.interactive)
        return bridge


def _lines_in(value: Any) -> tuple[str, ...]:
    return value.lines if isinstance(value, _Done) else ()
