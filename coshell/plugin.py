"""A plugin is a module whose hooks the shell calls: what the hooks are, and how a plugin comes and goes.

Three ways lead in, and no other: an entry point of an installed distribution (group `coshell.plugins`),
a path, a module's name. The last two must be typed by somebody; nothing is loaded because it happens to
lie in the current folder. What a plugin declares (commands, columns, lints, directives) is asked for once,
when it is loaded, and checked as a whole: a plugin whose declarations are wrong, or that would redefine
a name which belongs to somebody else, is refused and leaves no trace.

Code that runs on a plugin's behalf is charged to it by a context variable, which coroutines inherit from
whoever starts them. So the shell knows which of them live only by that plugin, and can stop these
before the code under them is unloaded.
"""

from __future__ import annotations

import contextvars
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pluggy

import coloop

from . import __version__
from .command import Command, CommandError, HelpAsked
from .contain import PASSES_THROUGH, PATIENCE_S, Guard, Home, Watchdog, describe
from .plugin_source import Source, find, home_of, installed_sources, requirement_of, satisfies
from .processes import ProcessPicture, Sight
from .roster import Row, key_of
from .shell import Quit, Shell
from .socket_lints import LINT_NAMES
from .steps import DIRECTIVES
from .text import nearest, printable
from .values import Duration

if TYPE_CHECKING:
    from coloop import CoroutinePicture

    from .certificate import Certificate
    from .monitor import Sample

STOP_TIMEOUT_S: Final = 1.0

hookspec = pluggy.HookspecMarker("coshell")
hookimpl = pluggy.HookimplMarker("coshell")

in_charge: Final = contextvars.ContextVar[str | None]("coshell_plugin", default=None)

# What a row of `ps` consists of already; some of it has another name in the table than in `--json`.
_ROW_KEYS: Final = (*(entry.name for entry in fields(Row)), "label", "doing", "warnings")

_WORD: Final = re.compile(r"[A-Za-z][\w-]*")

Directive = Callable[[Shell, str], Any]
T = TypeVar("T")


@dataclass(frozen=True)
class PsColumn:
    """A column that a plugin adds to `ps`.

    Attributes:
        header: as shown above it; in lower case it is the key in `--json`.
        value: from a coroutine's picture to what is shown: text, a number or a typed value; None is blank.
    """

    header: str
    value: Callable[[CoroutinePicture], Any]


@dataclass(frozen=True)
class Lint:
    """A warning that a plugin adds.

    Attributes:
        name: what `--deny` and the settings call it.
        check: from a coroutine's picture to a sentence about that coroutine, or None if all is well.
    """

    name: str
    check: Callable[[CoroutinePicture], str | None]


class Hooks:
    """What a plugin may implement; each takes as many of the arguments as it wants."""

    @hookspec
    def coshell_commands(self) -> Iterable[Command]:  # type: ignore[empty-body]
        """The commands that the plugin adds."""

    @hookspec
    def coshell_ps_columns(self) -> Iterable[PsColumn]:  # type: ignore[empty-body]
        """The columns that it adds to `ps`."""

    @hookspec
    def coshell_lints(self) -> Iterable[Lint]:  # type: ignore[empty-body]
        """The warnings that it adds to `ps`, the bar, and `--deny`."""

    @hookspec
    def coshell_directives(self) -> Mapping[str, Directive]:  # type: ignore[empty-body]
        """The `@name TEXT` lines that it adds to session files, each with what runs it."""

    @hookspec
    def coshell_toolbar(self, sample: Sample) -> str | None:
        """A segment of the bar, asked for at each refresh; None for nothing."""

    @hookspec
    def coshell_processes(self, shell: Shell) -> Iterable[ProcessPicture]:  # type: ignore[empty-body]
        """The processes that work for it, as they were when they reported last.

        Asked for at each refresh of the bar and by `ps`, `conns` and `status`, on any thread, also while a
        coroutine lets nobody run: it tells what is known and waits for nothing.
        """

    @hookspec(firstresult=True)
    def coshell_start_workers(
        self,
        shell: Shell,
        name: str,
        address: Any,
        handler: Callable[..., Any],
        workers: int,
        certificate: Certificate | None,
    ) -> Any:
        """Start worker processes that serve an address together, for a command that is not the plugin's.

        Runs in a coroutine, and does what the plugin's own command would do: the name is bound, and what was
        started is among `shell.things`. It has an `address` with the real port, `stop(drain=)` and a `state`.
        The handler can be pickled, and so can the certificate, which is there if they are to serve over TLS: each
        worker reads its files. While `shell.rerunning`, what runs by that name already is given the new handler
        and certificate, and returned. None leaves it to the next plugin.

        Raises:
            CommandError: they cannot be started; one line that says why.
        """

    @hookspec(firstresult=True)
    def coshell_look(self, shell: Shell, process: str, coroutine: int) -> Sight | None:
        """Ask a process that works for it about one of its coroutines; None if it is none of its own.

        Runs in a coroutine. Takes a second at most, also if that process hangs.

        Raises:
            CommandError: there is no such coroutine, or no answer; one line that says why.
        """

    @hookspec(firstresult=True)
    def coshell_end(
        self, shell: Shell, process: str, coroutine: int, grace_s: float | None
    ) -> tuple[str, str] | None:
        """End a coroutine of a process that works for it; None if that is none of its own.

        Runs in a coroutine. With `grace_s` it is killed, and has so long to clean up; else it is cancelled.
        Gives its name, and how it went: `ended`, `had ended`, `cleaning up`, `zombie` or `unstoppable`.

        Raises:
            CommandError: there is no such coroutine, or no answer; one line that says why.
        """

    @hookspec
    def coshell_level_changed(self, shell: Shell, level: str) -> None:
        """What the shell counts is changed: have the processes that work for it do likewise.

        On any thread; it waits for nothing. What cannot be done is told in a notice.
        """

    @hookspec
    def coshell_loaded(self, shell: Shell) -> None:
        """All that it declared is in place. Runs in a coroutine."""

    @hookspec
    def coshell_unloading(self, shell: Shell) -> Iterable[str] | None:
        """Stop what lives by this plugin; returns one label for each thing that was stopped.

        Runs in a coroutine. Those started by its commands and hooks that are left after this are cancelled.
        """


@dataclass(frozen=True)
class PluginRecord:
    """What `plugins` shows of one plugin.

    Attributes:
        name: what it is called.
        state: `loaded`; `disabled` when a hook of it is called no more; `refused`.
        version: its distribution's, or its own `__version__`; empty if it has none.
        source: where it came from.
        commands: the names of its commands.
        time: how long it took to load.
        why: why it was refused; else the last failure and the slow hooks, if there are any.
    """

    name: str
    state: str
    version: str
    source: str
    commands: tuple[str, ...]
    time: Duration
    why: str


class Refused(Exception):
    """Why a plugin is not loaded, in a few words."""


@dataclass
class _Plugin:
    """One that is loaded, or about to be."""

    source: Source
    guard: Guard
    module: object = None
    hooks: dict[str, pluggy.HookImpl] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()
    ps_columns: tuple[PsColumn, ...] = ()
    lints: tuple[Lint, ...] = ()
    directives: dict[str, Directive] = field(default_factory=dict)
    took_s: float = 0.0

    @property
    def name(self) -> str:
        return self.source.name

    def record(self) -> PluginRecord:
        return PluginRecord(
            name=self.name,
            state="disabled" if self.guard.has_disabled() else "loaded",
            version=self.source.version or str(getattr(self.module, "__version__", "")),
            source=self.source.origin,
            commands=tuple(command.name for command in self.commands),
            time=Duration(self.took_s),
            why=self.guard.remarks(),
        )


class PluginManager:
    """Finds, loads, asks and unloads plugins; nothing that they do comes out of it but a line of text.

    Args:
        shell: what the plugins' commands and hooks are given.
        notice: shows one line to the user, from any thread.
        patience_s: how long code of a plugin may take before it is named while it runs.
    """

    def __init__(self, shell: Shell, notice: Callable[[str], None], patience_s: float = PATIENCE_S) -> None:
        self._shell = shell
        self._notice = notice
        self._watchdog = Watchdog(notice, patience_s)
        self._pluggy = pluggy.PluginManager("coshell")
        self._pluggy.add_hookspecs(Hooks)
        self._loaded: dict[str, _Plugin] = {}
        self._refused: dict[str, PluginRecord] = {}

    def load_entry_points(self) -> None:
        """Load what installed distributions offer; give a notice of each that is refused."""
        for source in installed_sources():
            try:
                self._admit(source)
            except CommandError as error:
                self._notice(str(error))

    def load(self, ref: str) -> PluginRecord:
        """Load the plugin that a path, an installed plugin's name or a module's name means.

        Raises:
            CommandError: it cannot be loaded; one line that says why.
        """
        return self._admit(find(ref))

    def unload(self, name: str) -> tuple[str, ...]:
        """Stop what lives by a plugin, and take away all that it added.

        Returns:
            A label for each thing that was stopped.

        Raises:
            CommandError: no such plugin is loaded.
        """
        plugin = self._loaded.get(name)
        if plugin is None:
            hint = nearest(name, self._loaded)
            raise CommandError(f"no plugin {name!r} is loaded{f', did you mean {hint!r}?' if hint else ''}")
        stopped = (*self._stopped_by_itself(plugin), *self._stop_coroutines(plugin))
        self._take_out(plugin)
        return stopped

    def close(self) -> None:
        """End the watchdog."""
        self._watchdog.close()

    def records(self) -> list[PluginRecord]:
        """All that were loaded or refused, by name."""
        records = self._refused | {name: plugin.record() for name, plugin in self._loaded.items()}
        return [records[name] for name in sorted(records)]

    def commands(self) -> list[Command]:
        """The commands of all plugins; they are in the shell's table already."""
        return [command for plugin in self._all() for command in plugin.commands]

    def ps_columns(self) -> list[PsColumn]:
        """The columns of all plugins; a value that raises is None."""
        return [column for plugin in self._all() for column in plugin.ps_columns]

    def lints(self) -> list[Lint]:
        """The lints of all plugins; a check that raises finds nothing."""
        return [lint for plugin in self._all() for lint in plugin.lints]

    def directives(self) -> dict[str, Directive]:
        """The directives of all plugins; one that raises gives a `CommandError`."""
        return {name: run for plugin in self._all() for name, run in plugin.directives.items()}

    def processes(self) -> list[ProcessPicture]:
        """What the plugins tell of the processes that work for them; from any thread."""
        told = (
            self._call(plugin, "coshell_processes", through=_pictures_in, shell=self._shell)
            for plugin in self._all()
        )
        return [picture for pictures in told for picture in pictures or ()]

    def start_workers(
        self,
        name: str,
        address: Any,
        handler: Callable[..., Any],
        workers: int,
        certificate: Certificate | None = None,
    ) -> Any:
        """Let the first plugin that can start worker processes; in a coroutine.

        Returns:
            What was started.

        Raises:
            CommandError: no plugin can, or it failed; one line that says why.
        """
        given = {"name": name, "address": address, "handler": handler, "workers": workers}
        needed = () if certificate is None else ("certificate",)
        started = self._first("coshell_start_workers", {**given, "certificate": certificate}, needed)
        if started is None:
            raise CommandError(
                "no plugin is loaded that starts worker processes (plugins lists those that are)"
            )
        return started

    def look(self, process: str, coroutine: int) -> Sight | None:
        """Have a process asked about one of its coroutines; in a coroutine.

        Raises:
            CommandError: it cannot tell; one line that says why.
        """
        sight = self._first("coshell_look", {"process": process, "coroutine": coroutine})
        return sight if isinstance(sight, Sight) else None

    def end(self, process: str, coroutine: int, grace_s: float | None) -> tuple[str, str] | None:
        """Have a coroutine of a process cancelled, or killed; its name, and how that went; in a coroutine.

        Raises:
            CommandError: it cannot be ended; one line that says why.
        """
        given = {"process": process, "coroutine": coroutine, "grace_s": grace_s}
        ending: tuple[str, str] | None = self._first("coshell_end", given)
        return ending

    def level_changed(self, level: str) -> None:
        """Let processes count what the shell does; from any thread."""
        for plugin in self._all():
            self._call(plugin, "coshell_level_changed", shell=self._shell, level=level)

    def _first(self, name: str, given: Mapping[str, Any], needed: Iterable[str] = ()) -> Any:
        """What the first plugin gives that gives something, and takes what is needed; None if none does.

        Raises:
            CommandError: it failed; one line.
        """
        arguments = {"shell": self._shell, **given}
        for plugin in self._all():
            hook = plugin.hooks.get(name)
            if hook is not None and set(needed) <= set(hook.argnames):
                run = _contained(plugin.guard, name, hook.function)
                answer = run(*(arguments[argument] for argument in hook.argnames))
                if answer is not None:
                    return answer
        return None

    def toolbar(self, sample: Sample) -> list[str]:
        """The plugins' segments of the bar, as printable text."""
        segments = (self._call(plugin, "coshell_toolbar", sample=sample) for plugin in self._all())
        return [printable(str(segment), keep="") for segment in segments if segment]

    def _all(self) -> list[_Plugin]:
        return list(self._loaded.values())

    def _admit(self, source: Source) -> PluginRecord:
        present = self._loaded.get(source.name)
        if present is not None:
            raise CommandError(
                f"plugin {source.name!r} is already loaded, from {present.source.origin}: plugin unload {source.name}"
            )
        begin_s = time.perf_counter()
        plugin = _Plugin(source, Guard(source.name, Home(source.path), self._watchdog, self._notice))
        try:
            self._bring_in(plugin)
        except BaseException as error:
            self._take_out(plugin)
            plugin.took_s = time.perf_counter() - begin_s
            why = self._why_refused(plugin, error)
            self._refused[source.name] = replace(plugin.record(), state="refused", commands=(), why=why)
            if isinstance(error, coloop.Cancelled):
                raise
            self._stop_coroutines(plugin)
            raise CommandError(f"plugin {source.name!r} not loaded: {why}") from error
        plugin.took_s = time.perf_counter() - begin_s
        self._refused.pop(source.name, None)
        return plugin.record()

    def _why_refused(self, plugin: _Plugin, error: BaseException) -> str:
        match error:
            case Refused() | CommandError():
                return str(error)
            case KeyboardInterrupt() | coloop.Cancelled():
                return f"skipped by Ctrl-C while it was loading ({plugin.guard.home.line_of(error)})"
            case _:
                return describe(error, plugin.guard.home)

    def _bring_in(self, plugin: _Plugin) -> None:
        """All the steps of loading; raises whatever a step raises, with some of them done."""
        self._import(plugin)
        self._register(plugin)
        self._declare(plugin)
        self._loaded[plugin.name] = plugin
        if "coshell_loaded" in plugin.hooks:
            self._shell.bridge.call(partial(self._ask, plugin, "coshell_loaded", shell=self._shell))

    def _import(self, plugin: _Plugin) -> None:
        source = plugin.source
        with self._loading(plugin):
            spec = source.spec()
        plugin.guard.home = Home(home_of(spec))
        required = requirement_of(spec)
        if required is not None and not satisfies(__version__, required):
            raise Refused(f"it needs coshell {required}, and this is {__version__}")
        with self._loading(plugin):
            plugin.module = source.load(spec)

    @contextmanager
    def _loading(self, plugin: _Plugin) -> Iterator[None]:
        subject = f"loading plugin {plugin.name!r}"
        with (
            _charged_to(plugin.name),
            self._watchdog.watching(subject, plugin.guard.home, "; Ctrl-C skips it"),
        ):
            yield

    def _register(self, plugin: _Plugin) -> None:
        try:
            self._pluggy.register(plugin.module, plugin.name)
        except pluggy.PluginValidationError as error:
            _, *lines = str(error).split("\n")
            raise Refused(", ".join(lines)) from error
        for caller in self._pluggy.get_hookcallers(plugin.module) or ():
            hook = next(impl for impl in caller.get_hookimpls() if impl.plugin is plugin.module)
            if not caller.has_spec():
                hint = nearest(caller.name, _hook_names())
                raise Refused(
                    f"there is no hook {caller.name!r}{f', did you mean {hint!r}?' if hint else ''}"
                )
            if hook.wrapper or hook.hookwrapper:
                raise Refused(f"{caller.name} is a wrapper, and each plugin is asked for itself alone")
            plugin.hooks[caller.name] = hook

    def _declare(self, plugin: _Plugin) -> None:
        """Ask for everything first, and put it in place when all of it is right."""
        guard = plugin.guard
        commands = self._declared(plugin, "coshell_commands", Command)
        columns = self._declared(plugin, "coshell_ps_columns", PsColumn)
        lints = self._declared(plugin, "coshell_lints", Lint)
        directives = self._ask(plugin, "coshell_directives") or {}
        self._refuse_taken("column", [key_of(column.header) for column in columns], _ROW_KEYS, _columns_of)
        self._refuse_taken("lint", [lint.name for lint in lints], LINT_NAMES, _lints_of)
        self._refuse_taken("directive", list(directives), DIRECTIVES, _directives_of)
        plugin.ps_columns = tuple(
            replace(column, value=partial(guard.call, f"column {column.header}", column.value))
            for column in columns
        )
        plugin.lints = tuple(
            replace(lint, check=partial(guard.call, f"lint {lint.name}", lint.check)) for lint in lints
        )
        plugin.directives = {name: _contained(guard, f"@{name}", run) for name, run in directives.items()}
        for command in commands:
            run = _contained(guard, f"command {command.name!r}", command.run)
            self._put_in_place(plugin, replace(command, run=run, owner=plugin.name))

    def _declared(self, plugin: _Plugin, hook: str, kind: type[T]) -> tuple[T, ...]:
        declared = tuple(self._ask(plugin, hook) or ())
        for thing in declared:
            if not isinstance(thing, kind):
                raise Refused(f"{hook} gives a {type(thing).__name__}, not only {kind.__name__} objects")
        return declared

    def _refuse_taken(
        self, kind: str, names: Iterable[str], ours: Iterable[str], theirs: Callable[[_Plugin], Iterable[str]]
    ) -> None:
        owners = {name: f"plugin {other.name!r}" for other in self._all() for name in theirs(other)}
        owners |= dict.fromkeys(ours, "the shell itself")
        for name in names:
            if name in owners:
                raise Refused(f"{kind} {name!r} belongs to {owners[name]}")
            if not _WORD.fullmatch(name):
                raise Refused(f"a {kind} cannot be named {name!r}")
            owners[name] = "this plugin itself"

    def _put_in_place(self, plugin: _Plugin, command: Command) -> None:
        self._shell.commands.register(command)
        plugin.commands += (command,)

    def _take_out(self, plugin: _Plugin) -> None:
        """Undo whatever `_bring_in` has done."""
        for command in plugin.commands:
            self._shell.commands.unregister(command.name)
        if self._pluggy.has_plugin(plugin.name):
            self._pluggy.unregister(name=plugin.name)
        self._loaded.pop(plugin.name, None)
        plugin.source.forget()

    def _ask(self, plugin: _Plugin, hook: str, **args: object) -> Any:
        """What a plugin's hook gives; None if it has none.

        Raises:
            Refused: it raised.
        """
        implementation = plugin.hooks.get(hook)
        if implementation is None:
            return None
        try:
            with _charged_to(plugin.name):
                given = (args[name] for name in implementation.argnames)
                return plugin.guard.timed(hook, implementation.function, *given)
        except PASSES_THROUGH:
            raise
        except BaseException as error:
            raise Refused(f"{hook} failed: {describe(error, plugin.guard.home)}") from error

    def _call(
        self,
        plugin: _Plugin,
        hook: str,
        *,
        through: Callable[[Any], Any] = lambda given: given,
        **args: object,
    ) -> Any:
        """What a plugin's hook gives; None if it has none, raises, or has raised too often.

        What `through` makes of it counts as the plugin's own work: it may give a generator, or nonsense.
        """
        implementation = plugin.hooks.get(hook)
        if implementation is None:
            return None
        given = [args[name] for name in implementation.argnames]
        with _charged_to(plugin.name):
            return plugin.guard.call(hook, lambda: through(implementation.function(*given)))

    def _stopped_by_itself(self, plugin: _Plugin) -> tuple[str, ...]:
        call = partial(self._call, plugin, "coshell_unloading", shell=self._shell)
        labels = self._shell.bridge.call(call) if "coshell_unloading" in plugin.hooks else None
        return tuple(printable(str(label), keep="") for label in labels or ())

    def _stop_coroutines(self, plugin: _Plugin) -> tuple[str, ...]:
        stopped: tuple[str, ...] = self._shell.bridge.call(_stop_coroutines_of, plugin.name)
        return stopped


@contextmanager
def _charged_to(plugin: str) -> Iterator[None]:
    """Coroutines that are started in this block belong to the plugin."""
    token = in_charge.set(plugin)
    try:
        yield
    finally:
        in_charge.reset(token)


def _contained(guard: Guard, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function on the plugin's account; what it raises becomes one line that names it."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _charged_to(guard.plugin):
            try:
                return function(*args, **kwargs)
            except (CommandError, HelpAsked, Quit, *PASSES_THROUGH):
                raise
            except BaseException as error:
                raise CommandError(guard.blame(what, error)) from error

    return run


def _pictures_in(given: Iterable[ProcessPicture] | None) -> tuple[ProcessPicture, ...]:
    pictures = tuple(given or ())
    for picture in pictures:
        if not isinstance(picture, ProcessPicture):
            raise TypeError(f"it gives a {type(picture).__name__}, not only ProcessPicture objects")
    return pictures


def _columns_of(plugin: _Plugin) -> Iterable[str]:
    return (key_of(column.header) for column in plugin.ps_columns)


def _lints_of(plugin: _Plugin) -> Iterable[str]:
    return (lint.name for lint in plugin.lints)


def _directives_of(plugin: _Plugin) -> Iterable[str]:
    return plugin.directives


def _hook_names() -> list[str]:
    return [name for name in vars(Hooks) if name.startswith("coshell_")]


def _stop_coroutines_of(plugin: str) -> tuple[str, ...]:
    """Cancel the coroutines that live on a plugin's account, and wait a moment for them to end."""
    scheduler = coloop.current_scheduler()
    living = [scheduler.coroutine(picture.id) for picture in scheduler.snapshot(dead=False).coroutines]
    charged = [co for co in living if co and co is not coloop.current() and co.context]
    theirs = [co for co in charged if co.context and co.context.get(in_charge) == plugin]
    for coroutine in theirs:
        coroutine.cancel()
    return tuple(_label_at_end(coroutine) for coroutine in theirs)


def _label_at_end(coroutine: coloop.Coroutine) -> str:
    ended = coroutine.join(timeout=STOP_TIMEOUT_S)
    return printable(f"{coroutine} {coroutine.name}{'' if ended else ' (did not end)'}", keep="")
