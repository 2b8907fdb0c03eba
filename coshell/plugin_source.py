"""A plugin's code comes from an installed distribution, a path or a module, and says which coshell it needs.

What it needs is read from its source, as a literal, before any of it runs: code written for another
version fails in ways that explain nothing, usually while it is imported.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import operator
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, Final

from .command import CommandError

ENTRY_POINT_GROUP: Final = "coshell.plugins"
REQUIREMENT: Final = "requires_coshell"

_CLAUSE: Final = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)\s*")
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


class _UncachedLoader(SourceFileLoader):
    """Compiles the source each time: a plugin under work is edited and loaded again within a second."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  the loader's protocol
        return self.source_to_code(self.get_data(self.path), self.path)


@dataclass(frozen=True)
class Source:
    """Where one plugin comes from. Making it runs nothing of the plugin.

    Attributes:
        name: what the plugin is called.
        origin: where it was found, for people.
        version: of the distribution that holds it; empty if none does.
        module: the name its module has, or gets.
        attribute: the object in that module, as an entry point may say; empty for the module itself.
        path: the file or the package's folder, if it was given by its path.
    """

    name: str
    origin: str
    version: str
    module: str
    attribute: str = ""
    path: Path | None = None

    def spec(self) -> ModuleSpec:
        """How to import it. Imports the packages above it, with all that this may raise."""
        spec = self._spec_of_path() if self.path else importlib.util.find_spec(self.module)
        if spec is None:
            hint = f"; a file is loaded by its path: plugin load ./{self.module}.py"
            raise CommandError(f"no module named {self.module!r}{hint if self.module.isidentifier() else ''}")
        return spec

    def load(self, spec: ModuleSpec) -> object:
        """Import the module; returns it, or the object in it that the entry point names."""
        if self.path:
            module = importlib.util.module_from_spec(spec)
            sys.modules[self.module] = module
            assert spec.loader is not None
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(self.module)
        return operator.attrgetter(self.attribute)(module) if self.attribute else module

    def forget(self) -> None:
        """Let the next import run the code again."""
        for name in [
            name for name in sys.modules if name == self.module or name.startswith(f"{self.module}.")
        ]:
            del sys.modules[name]

    def _spec_of_path(self) -> ModuleSpec | None:
        assert self.path is not None
        file = self.path / "__init__.py" if self.path.is_dir() else self.path
        folders = [str(self.path)] if self.path.is_dir() else None
        return importlib.util.spec_from_file_location(
            self.module,
            file,
            loader=_UncachedLoader(self.module, str(file)),
            submodule_search_locations=folders,
        )


def find(ref: str) -> Source:
    """The plugin that is meant by a path, by the name of an installed plugin, or by a module's name.

    Raises:
        CommandError: the path leads to no plugin.
    """
    if "/" in ref or ref.endswith(".py"):
        return _from_path(ref)
    installed = (source for source in installed_sources() if source.name == ref)
    return next(installed, None) or Source(ref.rpartition(".")[2], f"module {ref}", "", ref)


def installed_sources() -> Iterator[Source]:
    """The plugins of all installed distributions."""
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        distribution = entry.dist
        origin = f"{distribution.name} ({entry.value})" if distribution else entry.value
        version = distribution.version if distribution else ""
        yield Source(entry.name, origin, version, entry.module, entry.attr)


def home_of(spec: ModuleSpec) -> Path | None:
    """The file, or for a package the folder, in which a plugin's code stands; None if it is in neither."""
    if not spec.has_location or spec.origin is None:
        return None
    file = Path(spec.origin).resolve()
    return file.parent if spec.submodule_search_locations else file


def requirement_of(spec: ModuleSpec) -> str | None:
    """The literal that the source assigns to `requires_coshell` at its top level, without running it."""
    if spec.origin is None or not spec.origin.endswith(".py"):
        return None
    source = Path(spec.origin).read_bytes()
    if REQUIREMENT.encode() not in source:
        return None
    for statement in ast.parse(source, spec.origin).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))) if (
                name == REQUIREMENT
            ):
                return text
    return None


def satisfies(version: str, requirement: str) -> bool:
    """Whether a version meets a requirement such as `>=0.1, <2`.

    Raises:
        CommandError: the requirement cannot be read.
    """
    clauses = [_CLAUSE.fullmatch(clause) for clause in requirement.split(",")]
    if not all(clauses):
        raise CommandError(f"{REQUIREMENT} = {requirement!r} is not of the form '>=0.1, <2'")
    return all(_COMPARE[clause[1]](_numbers(version), _numbers(clause[2])) for clause in clauses if clause)


def _from_path(ref: str) -> Source:
    path = Path(ref).expanduser().resolve()
    if not path.exists():
        raise CommandError(f"no plugin at {ref!r}: no such file or folder")
    if path.is_dir() and not (path / "__init__.py").is_file():
        raise CommandError(f"no plugin at {ref!r}: the folder holds no __init__.py")
    name = path.name if path.is_dir() else path.stem
    return Source(name, ref, "", f"coshell_plugin_{name}", path=path)


def _numbers(version: str) -> tuple[int, ...]:
    """`1.2.0rc1` as (1, 2): its release numbers without zeros at the end, so that 1.2 equals 1.2.0."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
