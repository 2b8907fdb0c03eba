"""The parts in C, compiled on the spot and kept in the user's cache folder until their source changes."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from pathlib import Path

FLAGS = ("-O2", "-std=gnu11")
WITH_TLS = ("-DTLS", "-lssl", "-lcrypto")


class NoCompiler(RuntimeError):
    """There is no C compiler, or it refused: measures that need C are left out."""


def compiled(name: str, more: tuple[str, ...] = ()) -> Path:
    """The program made of `name.c`, with `more` flags for the compiler and its linker.

    Raises:
        NoCompiler: there is none, or it failed; the message tells which.
    """
    source = Path(__file__).with_name(f"{name}.c")
    digest = hashlib.sha256(source.read_bytes() + " ".join((*FLAGS, *more)).encode()).hexdigest()[:16]
    program = cache_folder() / f"{name}-{digest}"
    if not program.exists():
        _compile(source, program, more)
    return program


def compiler() -> list[str]:
    """The C compiler, as setuptools takes it: the command that `CC` names, else `cc`."""
    return shlex.split(os.environ.get("CC", "")) or ["cc"]


def has_compiler() -> bool:
    """Whether it can be run at all; `CC=/bin/false` is how to be without one."""
    try:
        return subprocess.run([*compiler(), "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def cache_folder() -> Path:
    """Where the programs are kept, made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "coshell-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _compile(source: Path, program: Path, more: tuple[str, ...]) -> None:
    if not has_compiler():
        raise NoCompiler(f"no C compiler ({shlex.join(compiler())}) can be run")
    draft = program.with_suffix(f".{os.getpid()}")  # another run may be compiling the same
    command = [*compiler(), *FLAGS, "-o", str(draft), str(source), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoCompiler(f"{source.name} does not compile here: {done.stderr.strip()[:500]}")
    draft.replace(program)
