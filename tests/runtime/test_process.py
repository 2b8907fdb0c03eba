"""What the process holds is what the system says."""

from pathlib import Path
from typing import Any

import pytest

from coloop import _process, memory


def test_the_process_is_measured_by_the_system() -> None:
    held = memory.process()
    assert held.rss is not None
    if Path("/proc/self/smaps_rollup").exists():
        assert held.uss is not None
        assert held.pss is not None
        assert 0 < held.uss <= held.pss <= held.rss


def test_without_proc_the_peak_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> str:
        raise OSError

    monkeypatch.setattr(_process.Path, "read_text", missing)
    held = memory.process()
    assert held.rss is not None
    assert held.rss > 1 << 20
    assert (held.uss, held.pss) == (None, None)
