"""The shell without a terminal: it reads a line, finds out what it means, does it, and tells what came of it.

The prompt, a script, a pipe and a test all stand before this same object. It prints what a line gives; what
went wrong is in the `Result`, because each of them tells that in its own way.

What waits runs in a coroutine on the scheduler's thread (`bridge.py`), so that waiting stops nobody else. What
must work while a coroutine lets nobody run, such as `kill`, runs on the thread that calls it.
"""

from __future__ import annotations

import builtins
import os
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import coloop
from coloop import Coroutine, CoroutinePicture, Scheduler, Snapshot
from coloop.testing import MockClock

from . import mishaps
from .bridge import Bridge, Hogged, deadlock_report
from .command import Command, CommandError, CommandTable, HelpAsked, UsageError
from .commands import built_in
from .config import Settings
from .console import Console, StreamConsole
from .ending import Quit, Terminated
from .evaluate import Interpreter
from .failures import Failures, death_of
from .lines import Line, LineError, classify, is_name
from .output import Output
from .render import json_line, table
from .showing import shown
from .steps import Grammar, LineSplitter, SessionError, Step
from .text import nearest
from .things import Things

__all__ = ["CommandFunction", "Functions", "Names", "Quit", "Result", "Shell", "Terminal"]

if TYPE_CHECKING:
    from .plugin import PluginManager

DEFAULT_WIDTH: Final = 80
HOG_PATIENCE_S: Final = 0.5
DRAIN_LOOK_S: Final = 0.02
SHELL_ID: Final = 1

# Builtins whose names are commands of ours: theirs would take the keyboard away, or end the process.
_REPLACED_BUILTINS: Final = frozenset({"help", "quit", "exit"})

Record = Any


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


@dataclass
class Result:
    """What came of a line.

    Attributes:
        ok: nothing went wrong.
        value: what a command returned, or the value of Python's last expression.
        error: what went wrong, in one line.
        traceback: where, if it is worth telling; text.
        kind: what the line was: `command python os help directive blank comment`.
        records: the value, if it is a list of records.
        exit_code: what a script that ends here ends with.
        hog: who holds the scheduler, if Ctrl-C was pressed because of that.
    """

    ok: bool = True
    value: Any = None
    error: str | None = None
    traceback: str | None = None
    kind: str = ""
    records: Any = None
    exit_code: int = 0
    hog: Coroutine | None = None


@dataclass(frozen=True)
class _Done:
    """What a call on the scheduler's thread brings back: a value, and how it is shown."""

    value: Any = None
    lines: tuple[str, ...] = field(default=())


class CommandFunction:
    """A command as a function: `co.ps()`."""

    def __init__(self, shell: Shell, command: Command) -> None:
        self.__name__ = command.name
        self.__doc__ = command.help()
        self._shell = shell
        self._command = command

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command; the same arguments as on its line, options by keyword."""
        return self._shell.call_command(self._command, args, kwargs)

    def __repr__(self) -> str:
        return f"<command {self._command.usage()}>"


class Functions:
    """`co`: every command as a function, whatever the user has bound its name to."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def __getattr__(self, name: str) -> CommandFunction:
        if name not in self._shell.commands:
            hint = nearest(name, self._shell.commands.names())
            raise AttributeError(f"no command {name!r}{f', did you mean {hint!r}?' if hint else ''}")
        return CommandFunction(self._shell, self._shell.commands.get(name))

    def __dir__(self) -> list[str]:
        return self._shell.commands.names()

    def __repr__(self) -> str:
        return "<commands as functions: co.NAME(...)>"


class Names:
    """The user's names, as far as the user has bound them; what the shell put there does not count."""

    def __init__(self, names: dict[str, Any], ours: Mapping[str, Any]) -> None:
        self._names = names
        self._ours = ours

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or name not in self._names:
            return False
        return name not in self._ours or self._names[name] is not self._ours[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in list(self._names) if name in self and not name.startswith("__"))


class _Now:
    """Names that are asked for each time: plugins come and go."""

    def __init__(self, names: Callable[[], Collection[str]]) -> None:
        self._names = names

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())


class _CommandsWithNames(CommandTable):
    """A table whose commands are also functions in the user's names, where nothing else has the name."""

    def __init__(self, shell: Shell) -> None:
        super().__init__()
        self._shell = shell

    def register(self, command: Command) -> None:
        super().register(command)
        self._shell._offer(command)  # noqa: SLF001 - a part of the shell

    def unregister(self, name: str) -> None:
        super().unregister(name)
        self._shell._withdraw(name)  # noqa: SLF001


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
        monitor: what samples the scheduler, if there is a prompt.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        console: Console | None = None,
        errors: Console | None = None,
        interactive: bool = False,
    ) -> None:
        import sys

        self.settings = settings if settings is not None else Settings()
        self.origins: dict[str, str] = {}
        self.interactive = interactive
        self.output = Output(
            console if console is not None else StreamConsole(sys.stdout), errors, limited=interactive
        )
        self.interpreter = Interpreter()
        self.names = self.interpreter.names
        self._ours: dict[str, Any] = {}
        self.bound = Names(self.names, self._ours)
        self.commands: CommandTable = _CommandsWithNames(self)
        self.failures = Failures()
        self.things = Things()
        self.terminal: Terminal | None = None
        self.monitor: Any = None
        self.bridge = self._new_bridge()
        self._told_standstill: set[int] = set()
        self._level_before = coloop.memory.level()
        self._fill_names()
        for command in built_in():
            self.commands.register(command)

    # -- life --------------------------------------------------------------------------------------

    def start(self, *, plugins: bool = False) -> None:
        """Start the scheduler, and load the installed plugins if they are wanted."""
        self.output.raw = self.settings.raw
        self.bridge.start()
        if plugins:
            self.plugins.load_entry_points()
        # Last, because imports take several times as long while allocations are traced.
        self._level_before = coloop.memory.level()
        coloop.memory.set_level(self.settings.level)

    def close(self) -> bool:
        """Cancel all coroutines and let go of everything; False if a coroutine could not be ended."""
        ended = self.bridge.stop()
        coloop.memory.set_level(self._level_before)
        if "plugins" in self.__dict__:
            self.plugins.close()
        self.output.close()
        self.interpreter.forget_all()
        return ended

    def drain(self, timeout_s: float) -> None:
        """Let nobody in any more, and give those who are connected some time to finish."""
        self.bridge.call(self._drain, timeout_s, name="drain")

    def _drain(self, timeout_s: float) -> None:
        scheduler = self.scheduler
        for held in list(scheduler.sockets.values()):
            if (
                isinstance(held, coloop.Listener) or held.owner == SHELL_ID
            ):  # nobody will type for these any more
                held.close()
        deadline = scheduler.clock.now() + timeout_s
        while self._has_clients() and scheduler.clock.now() < deadline:
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
            return Result(ok=False, error=error.reason, exit_code=2, kind="python")
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
        return classify(line, self.commands, self.bound, strict=strict)

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

    def _run_line(self, found: Line, source: str) -> Result:
        match found.kind:
            case "command":
                _, newline, block = source.partition("\n")
                return self._run_command(self.commands.get(found.name), found.rest + newline + block)
            case "python":
                done = self.bridge.call(self._in_foreground, self._run_python, source)
                return self._told(done, "python")
            case "os":
                return self._run_program(found.rest)
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
        text = json_line({"value": value}) if self.settings.json else shown(value)
        return _Done(value, tuple(text.split("\n")))

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
            values = command.parse(text, self.evaluate)
        except HelpAsked:
            return _Done(None, tuple(command.help().split("\n")))
        as_json = values.pop("json") or self.settings.json
        value = command.run(self, **values)
        return _Done(value, tuple(self.lines_of(command, value, as_json=as_json)))

    def lines_of(self, command: Command, value: Any, *, as_json: bool = False) -> Iterable[str]:
        """How the value of a command is shown."""
        if as_json:
            return _json_lines(value)
        if command.show is not None:
            return command.show(value, self.width)
        if value is None:
            return ()
        if isinstance(value, str):
            return value.split("\n") if value else ()
        if isinstance(value, (list, tuple)):
            return self.table(value, command.columns)
        return self.table([value], command.columns)

    def table(self, records: Iterable[Record], columns: tuple[Any, ...] = ()) -> list[str]:
        """Records as a table that fits the screen."""
        settings = self.settings
        return table(
            list(records), columns or None, self.width, ascii_only=settings.ascii, bytes_exact=settings.bytes
        )

    def _told(self, done: _Done, kind: str) -> Result:
        for line in done.lines:
            self.output.say(line)
        records = done.value if isinstance(done.value, list) else None
        return Result(value=done.value, kind=kind, records=records)

    def _run_program(self, text: str) -> Result:
        """`!`: a line for the system's shell."""
        if not text:
            raise UsageError("! needs a command for the system's shell")
        self.output.flush()
        if self.terminal is not None:
            code = subprocess.run(text, shell=True, check=False).returncode  # noqa: S602 - that is what it is for
        else:
            code = self._run_program_quietly(text)
        if code:
            raise CommandError(f"exit status {code}")
        return Result(kind="os")

    def _run_program_quietly(self, text: str) -> int:
        """Without a terminal: its input is nobody's, and what it prints goes where all output goes."""
        with subprocess.Popen(  # noqa: S602
            text,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                self.output.say(line.removesuffix("\n"))
        return process.returncode

    # -- what went wrong ---------------------------------------------------------------------------

    def result_of(self, error: BaseException, kind: str = "") -> Result:
        """A failure as a result; it holds nothing of the error itself.

        Raises:
            Quit: this is no failure.
            Terminated: likewise.
        """
        if isinstance(error, (Quit, Terminated)):
            raise error
        failed = Result(ok=False, kind=kind, exit_code=1, error=mishaps.one_line(error))
        match error:
            case KeyboardInterrupt():
                failed.error, failed.exit_code = "interrupted", 130
            case CommandError():
                failed.exit_code = error.exit_code
            case LineError():
                failed.error, failed.exit_code = str(error), 2
            case Hogged():
                failed.error, failed.hog = str(error), error.hog if error.interrupted else None
            case coloop.Deadlock():
                failed.error, _, failed.traceback = str(error).partition("\n")
                failed.exit_code = 3
            case _:
                failed.exit_code = 2 if isinstance(error, SyntaxError) else 1
                failed.traceback = mishaps.told(error, self.settings.errors)
        return failed

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

    # -- names -------------------------------------------------------------------------------------

    def bind(self, name: str, value: Any) -> None:
        """Give a value a name of the user's.

        Raises:
            CommandError: it cannot be a Python name.
        """
        if not is_name(name):
            raise CommandError(f"{name!r} cannot be a Python name")
        self.names[name] = value

    def _fill_names(self) -> None:
        for name in dir(coloop):
            if not name.startswith("_"):
                self._bind_ours(name, getattr(coloop, name))
        self._bind_ours("coloop", coloop)
        self._bind_ours("co", Functions(self))

    def _bind_ours(self, name: str, value: Any) -> None:
        self._ours[name] = value
        self.names[name] = value

    def _offer(self, command: Command) -> None:
        name = command.name
        is_builtin = hasattr(builtins, name) and name not in _REPLACED_BUILTINS
        if not is_builtin and name not in self.names:
            self._bind_ours(name, CommandFunction(self, command))

    def _withdraw(self, name: str) -> None:
        ours = self._ours.get(name)
        if isinstance(ours, CommandFunction):
            del self._ours[name]
            if self.names.get(name) is ours:
                del self.names[name]

    # -- what is there -----------------------------------------------------------------------------

    def snapshot(self, limit: int | None = None, *, stuck: bool = False) -> Snapshot:
        """A picture of the scheduler, also while a coroutine holds it."""
        return self.bridge.scheduler.snapshot(limit, stuck=stuck)

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler."""
        return self.bridge.scheduler

    def find_coroutine(self, ref: Coroutine | int | str) -> Coroutine:
        """The living coroutine that is meant.

        Args:
            ref: itself, its id, `co#3`, its name, or a name of the user's that is bound to it.

        Raises:
            CommandError: there is none, or several; the message names them, or the nearest.
        """
        if isinstance(ref, Coroutine):
            return ref
        text = str(ref).strip()
        number = text.removeprefix("co#")
        if number.isdecimal():
            return self._coroutine_by_id(int(number))
        living = self.living()
        named = [coroutine for coroutine in living if coroutine.name == text]
        if len(named) > 1:
            raise CommandError(f"{len(named)} coroutines are named {text!r}: {_listed(named)}")
        if named:
            return named[0]
        bound = self.names.get(text)
        if isinstance(bound, Coroutine):
            return bound
        hint = nearest(text, [coroutine.name for coroutine in living])
        raise CommandError(
            f"no coroutine {text!r}{f', did you mean {hint!r}?' if hint else ' (ps lists them)'}"
        )

    def _coroutine_by_id(self, number: int) -> Coroutine:
        found = self.scheduler.coroutine(number)
        if found is not None:
            return found
        dead = next((picture for picture in self.scheduler.snapshot(0).dead if picture.id == number), None)
        if dead is not None:
            raise CommandError(f"co#{number} {dead.name} has ended ({dead.outcome})")
        known = "it ended long ago" if number <= self.scheduler.spawned else "there has been none"
        raise CommandError(f"no coroutine co#{number}: {known}")

    def living(self) -> list[Coroutine]:
        """The coroutines that have not ended, by id; from any thread."""
        return [coroutine for _, coroutine in sorted(self.scheduler.living.copy().items())]

    def find_socket(self, ref: Any) -> Any:
        """The open socket that is meant: itself, a name of the user's, or its name among `things`."""
        return self._find(ref, "socket", lambda value: hasattr(value, "recv"))

    def find_server(self, ref: Any) -> Any:
        """The server that is meant: itself, a name of the user's, or its name among `things`."""
        return self._find(ref, "server", lambda value: hasattr(value, "stop") and hasattr(value, "address"))

    def resolve_address(self, ref: Any) -> Any:
        """An address: of a server, if one is meant; else what was given."""
        if not isinstance(ref, str):
            return getattr(ref, "address", ref)
        value = self._named(ref)
        address = getattr(value, "address", None)
        return ref if address is None else address

    def _named(self, name: str) -> Any:
        if name in self.bound:
            return self.names[name]
        return self.things[name].value if name in self.things else None

    def _find(self, ref: Any, what: str, fits: Callable[[Any], bool]) -> Any:
        value = self._named(ref) if isinstance(ref, str) else ref
        if value is not None and fits(value):
            return value
        if value is not None:
            raise CommandError(f"{ref!r} is no {what} but a {type(value).__name__}")
        candidates = [name for name in (*self.bound, *self.things) if fits(self._named(name))]
        hint = nearest(str(ref), candidates)
        raise CommandError(
            f"no {what} {ref!r}{f', did you mean {hint!r}?' if hint else ' (conns lists them)'}"
        )

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
        if name == "raw":
            self.output.raw = changed.raw

    def _change_scheduler(self, changed: Settings, key: str) -> None:
        """A clock and a seed are a scheduler's for life: take another one, as long as it has nothing to do."""
        others = len(self.living()) - 1
        if others:
            raise CommandError(
                f"set {key}: {others} coroutines live by the old one; set it before they start"
            )
        if coloop.current() is not None:
            raise CommandError(f"set {key}: not from within a coroutine")
        self.settings = changed
        self.bridge.stop()
        self.bridge = self._new_bridge()
        self.bridge.start()

    def _new_bridge(self) -> Bridge:
        clock = MockClock() if self.settings.clock == "virtual" else None
        bridge = Bridge(clock=clock, seed=self.settings.seed)
        bridge.deadlock_fails = not self.interactive
        bridge.hog_patience_s = HOG_PATIENCE_S if self.interactive else None
        bridge.on_failure = self._tell_failure
        bridge.on_warning = self.notice
        bridge.on_stall = self._tell_standstill
        bridge.on_late = self._tell_late
        return bridge

    # -- what happens meanwhile; on the scheduler's thread -----------------------------------------

    def _tell_failure(self, failure: coloop.Failure) -> None:
        death = death_of(failure)
        self.failures.add(death)
        self.output.report(death.line(ascii_only=self.settings.ascii))

    def _tell_standstill(self, coroutines: tuple[CoroutinePicture, ...]) -> None:
        """Whoever waits alone may be waiting for what is typed next; several wait for each other."""
        waiting = {
            picture.id for picture in coroutines if not (picture.waiting_on or "").startswith("suspend")
        }
        if self.interactive and len(waiting) > 1 and not waiting & self._told_standstill:
            self._told_standstill = waiting
            self.notice(deadlock_report(coroutines))

    def _tell_late(self, value: Any, error: BaseException | None) -> None:
        """A call that was not waited for has ended."""
        if error is not None:
            self.output.notice(mishaps.one_line(error), "error")
        elif isinstance(value, _Done):
            for line in value.lines:
                self.output.notice(line, "")


def _json_lines(value: Any) -> list[str]:
    if value is None:
        return []
    return [json_line(record) for record in (value if isinstance(value, (list, tuple)) else [value])]


def _listed(coroutines: Iterable[Coroutine]) -> str:
    found = [str(coroutine) for coroutine in coroutines]
    return ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
