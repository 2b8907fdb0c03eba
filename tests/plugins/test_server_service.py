"""Workers of a session file that is served without a prompt: signals to the shell are what they live by."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.plugins.service import Service

FILE = """\
import os
def who(conn): conn.sendall(b'%s %%d' %% os.getpid())
server start web :%d who --workers %d
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.close()


def write(service: Service, word: str, workers: int = 2) -> None:
    service.file.write_text(FILE % (word, service.port, workers))


def test_sigterm_ends_it_in_order_and_leaves_nobody(service: Service) -> None:
    write(service, "one")
    service.start()
    service.until(lambda: service.ask()[0] == "one")
    pids = {service.ask()[1] for _ in range(20)}
    service.signal(signal.SIGTERM)
    code, output = service.ended()
    assert code == 0, output
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_sighup_brings_a_new_version_with_new_workers_and_as_many_as_it_says(service: Service) -> None:
    write(service, "one", workers=1)
    service.start()
    service.until(lambda: service.ask()[0] == "one")
    old = service.ask()[1]
    write(service, "two", workers=2)
    service.signal(signal.SIGHUP)
    service.until(lambda: service.ask()[0] == "two")
    service.until(
        lambda: not Path(f"/proc/{old}").exists()
    )  # new ones come first, and for a moment both serve
    assert {service.ask()[0] for _ in range(10)} == {"two"}
    service.signal(signal.SIGTERM)
    assert service.ended()[0] == 0


def test_a_broken_file_leaves_the_old_workers(service: Service) -> None:
    write(service, "one", workers=1)
    service.start()
    service.until(lambda: service.ask()[0] == "one")
    old = service.ask()[1]
    service.file.write_text(f"server start web :{service.port} nonsense --workers 1\n")
    service.signal(signal.SIGHUP)
    assert service.process is not None
    assert service.process.stdout is not None
    assert any("nonsense" in line for line in service.process.stdout)  # as far as that line
    assert service.ask() == ("one", old)
    service.signal(signal.SIGTERM)
    assert service.ended()[0] == 0


def test_workers_that_cannot_be_kept_up_end_it_with_three(service: Service) -> None:
    service.file.write_text(
        f"import os\ndef die(conn): os._exit(1)\nserver start web :{service.port} die --workers 1\n"
    )
    service.start()
    deadline = time.monotonic() + PATIENCE_S
    assert service.process is not None
    while service.process.poll() is None and time.monotonic() < deadline:
        try:
            service.ask()
        except OSError:
            time.sleep(0.02)
    code, output = service.ended()
    assert code == 3, output
    assert re.search(r"server web is given up: 5 workers in a row lived less than 1 s", output)


def test_workers_that_cannot_start_are_a_failure_of_the_file(service: Service) -> None:
    service.file.write_text(
        "def explode(): raise RuntimeError('no luck')\n"
        "class Bomb:\n    def __reduce__(self): return (explode, ())\n    def __call__(self, conn): ...\n"
        f"bomb = Bomb()\nserver start web :{service.port} bomb --workers 1\n"
    )
    service.start()
    code, output = service.ended()
    assert code == 3, output
    assert "RuntimeError: no luck" in output
