"""Whether there is a C compiler: the one that `CC` names, else `cc`, as `bench` and setuptools take it."""

import os
import subprocess
from functools import cache


@cache
def has_compiler() -> bool:
    """Whether it can be run at all; `CC=/bin/false` is how to be without one."""
    compiler = os.environ.get("CC", "cc")
    try:
        return subprocess.run([compiler, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
