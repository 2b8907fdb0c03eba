"""Builds the native core with the package, where there is a compiler; where there is none, coloop is pure Python.

Everything is compiled in a folder of its own: an old object file would still link when the compiler is gone.
An editable install runs from the source tree, so there the result is put beside the sources.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"


def _suits_this_python() -> bool:
    """It reads Linux's clocks as CPython does there, and relies on the interpreter lock."""
    gil = not sysconfig.get_config_var("Py_GIL_DISABLED")
    return sys.platform == "linux" and sys.implementation.name == "cpython" and gil


class NativeCore(BuildHookInterface[Any]):
    """Called by hatchling before it packs a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and have the result packed; `version` is `editable` or `standard`."""
        if self.target_name != "wheel" or not _suits_this_python():
            return
        self._folder = Path(tempfile.mkdtemp())
        beside = Path(self.root, "runtime", "coloop", NAME)
        if version == "editable":
            beside.unlink(missing_ok=True)
        built = self._build()
        if built is None:
            self.app.display_warning(
                "coloop: no native core (it needs a C compiler); pure Python is used instead"
            )
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version == "editable":
            shutil.copy(built, beside)
        else:
            build_data["force_include"][str(built)] = f"coloop/{NAME}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Take the folder away."""
        shutil.rmtree(getattr(self, "_folder", ""), ignore_errors=True)

    def _build(self) -> Path | None:
        with suppress(Exception, SystemExit):  # a compiler may be missing, broken, or lack Python's headers
            self._compile()
        return next(self._folder.rglob(NAME), None)

    def _compile(self) -> None:
        import greenlet
        from setuptools import Distribution, Extension

        extension = Extension(
            "_native",
            sorted(map(str, Path(self.root, "runtime", "native").glob("*.c"))),
            include_dirs=[str(Path(greenlet.__file__).parent)],
        )
        command = Distribution({"ext_modules": [extension]}).get_command_obj("build_ext")
        command.build_lib = command.build_temp = str(self._folder)
        command.ensure_finalized()
        command.run()
