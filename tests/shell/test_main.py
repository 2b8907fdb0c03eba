"""The program as others call it: what it prints, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coshell.__main__ import main
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
SOURCES = os.pathsep.join(str(ROOT / source) for source in ("", "runtime", "plugins"))


@pytest.fixture
def here(tmp_path):
    """An empty folder to run in, and an empty home."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def environment(here, **more):
    kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
    return {**kept, "PYTHONPATH": SOURCES, "HOME": str(here.parent / "home"), "LANG": "C.UTF-8", **more}


def coshell(here, *arguments, stdin="", env=None, **more):
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, "-m", "coshell", *arguments],
        input=None if "stdin_file" in more else stdin,
        stdin=more.pop("stdin_file", None),
        capture_output="stdout" not in more,
        cwd=here,
        env=environment(here, **(env or {})),
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **more,
    )


PROGRAM = "import sys, coshell.__main__ as program; program.DRAIN_S = 3600.0; sys.exit(program.main())"


class Process:
    """The program while it runs; who is connected at its end gets an hour, and not a moment."""

    def __init__(self, here, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=here,
            env=environment(here),
            text=True,
            bufsize=1,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait_for(self, line):
        while (found := self.process.stdout.readline()) and found != f"{line}\n":
            pass
        assert found

    def signalled(self, number):
        """Its exit code and its last lines."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, rest


# -- pipes -----------------------------------------------------------------------------------------

CONVERSATION = """\
echo 127.0.0.1:0 --as e
connect e as c
send c "hi\\n"
@assert recv(c) == b"hi\\n"
ps --json
"""


def test_a_pipe_feeds_lines_and_gets_no_escape_codes(here):
    ended = coshell(here, stdin=CONVERSATION)
    assert ended.returncode == 0, ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    assert ended.stdout.startswith("ok  echo#1 listening on 127.0.0.1:")
    assert ended.stdout.count('{"id": ') == 3
    assert ended.stderr == ""


def test_a_claim_that_fails_ends_it_with_1_and_its_place(here):
    ended = coshell(here, stdin=CONVERSATION.replace('== b"hi', '== b"ho'))
    assert ended.returncode == 1
    assert ended.stderr == "<stdin>:4: @assert recv(c) == b\"ho\\n\" failed: b'hi\\n'\n"
    assert '{"id": ' not in ended.stdout


def test_lines_may_stand_on_the_command_line(here):
    ended = coshell(here, "-c", "x = 1", "-c", "x + 1", "-c", "1 / 0", "-c", "x")
    assert ended.stdout == "2\n"
    assert ended.stderr.startswith("-c:3: ZeroDivisionError: division by zero\n")
    assert ended.returncode == 1


def test_files_come_first_then_lines_then_the_pipe(here):
    (here / "a.cosh").write_text("x = [1]\n")
    (here / "b.cosh").write_text("x.append(2)\n")
    ended = coshell(here, "a.cosh", "b.cosh", "-c", "x.append(3)", "-i", stdin="x\n")
    assert ended.stdout == "[1, 2, 3]\n", ended.stderr


def test_without_i_the_pipe_is_not_read(here):
    assert coshell(here, "-c", "1", stdin="2\n").stdout == "1\n"


def test_what_a_pipe_needs_is_all_that_is_imported(here):
    line = "import sys; sorted({'prompt_toolkit', 'pygments', 'psutil'} & set(sys.modules))"
    assert coshell(here, "-c", line).stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["nowhere.cosh"], 2, "nowhere.cosh: no such file or directory"),
        (["docter"], 2, "coshell: no file 'docter', did you mean 'doctor'?"),
        (["--plugin", "nowhere.py"], 2, "coshell: "),
        (["--levle"], 2, "unrecognized arguments: --levle"),
        (["--rc", "nowhere.py"], 2, "coshell: nowhere.py: "),
        (["-c", "x = Channel().receive()"], 3, "-c:1: deadlock: nothing can wake any of these"),
        (["-c", "quit 7"], 7, ""),
        (["-c", "x = go(lambda: 1 / 0)", "-c", "sleep(0)"], 1, "✗ co#2 <lambda> died after "),
        (["config"], 2, "usage: coshell config show"),
        (["run"], 2, "the following arguments are required: FILE"),
    ],
)
def test_every_end_has_its_exit_code(here, monkeypatch, capfd, arguments, code, error):
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(here))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    before = signal.getsignal(signal.SIGTERM)
    assert code_of(arguments) == code
    told = capfd.readouterr().err
    assert error in told
    assert "Traceback" not in told
    assert signal.getsignal(signal.SIGTERM) is before


def code_of(arguments):
    try:
        return main(arguments)
    except SystemExit as ended:  # so argparse does it
        return ended.code


def test_what_still_runs_at_the_end_is_cancelled_and_keeps_nobody_waiting(here):
    lines = (
        "def work():\n    try:\n        sleep(3600)\n    finally:\n        print('cleaned')\nx = go(work)\n"
    )
    ended = coshell(here, stdin=lines)
    assert (ended.returncode, ended.stdout) == (0, "[co#2 work] cleaned\n")


def test_somebody_who_lets_nobody_run_is_stopped_at_the_end(here):
    lines = "import threading\ndef spin():\n    while True: pass\n"
    lines += "x = threading.Timer(0.1, scheduler.call_soon_threadsafe, [go, spin])\n"
    ended = coshell(here, stdin=f"scheduler = current_scheduler()\n{lines}x.start()\nx.join()\n")
    assert ended.returncode == 0, ended.stderr


# -- streams ---------------------------------------------------------------------------------------


def test_a_reader_who_leaves_is_no_failure(here):
    command = f"{sys.executable} -m coshell | head -n 1"
    ended = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
        input="".join(f"print('{n:<100}')\n" for n in range(3000)),  # more than a pipe holds
        capture_output=True,
        cwd=here,
        env=environment(here),
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.stdout == f"{0:<100}\n141\n"
    assert ended.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_is_told_in_one_line(here):
    with Path("/dev/full").open("w") as full:
        ended = coshell(here, stdin="print(1)\n", stdout=full, stderr=subprocess.PIPE)
    assert ended.returncode == 1
    assert ended.stderr == "coshell: cannot write: no space left on device\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_trouble(here, closed):
    command = f"{sys.executable} -m coshell -c 'serve((\"127.0.0.1\", 0), print); print(1)' {closed}; echo $? > code"
    subprocess.run(["bash", "-c", command], cwd=here, env=environment(here), timeout=PATIENCE_S, check=True)
    assert (here / "code").read_text() == "0\n"


def test_whatever_is_printed_can_be_encoded(here):
    ended = coshell(
        here,
        "-c",
        "print('é')",
        "-c",
        "x = go(lambda: 1 / 0)",
        "-c",
        "sleep(0)",
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert ended.stdout == "\\xe9\n"
    assert ended.stderr.startswith("error: co#2 <lambda> died after ")


def test_the_command_line_is_utf_8_in_every_locale(here):
    locale = {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert coshell(here, "-c", "len('é')", env=locale).stdout == "1\n"


# -- signals ---------------------------------------------------------------------------------------

SERVING = """\
echo 127.0.0.1:0 --as e
connect e as c
def work():
    try:
        sleep(3600)
    finally:
        print("cleaned")
x = go(work)
print("ready")
"""


@pytest.mark.parametrize(
    ("number", "last"), [(signal.SIGTERM, "sleep(3600)\n"), (signal.SIGTERM, ""), (signal.SIGHUP, "")]
)
def test_a_signal_ends_it_in_order(here, number, last):
    with Process(here) as running:
        running.process.stdin.write(SERVING + last)
        running.process.stdin.flush()
        running.wait_for("ready")
        code, rest = running.signalled(number)
    assert code == 143, rest
    assert "[co#4 work] cleaned\n" in rest
    assert "Traceback" not in rest


def test_who_is_connected_gets_a_moment(here):
    lines = "s = serve(('127.0.0.1', 0), lambda c: [c.sendall(c.recv()) for _ in range(2)])\nprint(s.address.port)\n"
    with Process(here) as running:
        running.process.stdin.write(lines)
        running.process.stdin.flush()
        port = int(running.process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"one")
            assert client.recv(100) == b"one"
            running.process.send_signal(signal.SIGTERM)
            while is_listening(port):
                time.sleep(0.01)
            client.sendall(b"two")
            assert client.recv(100) == b"two"
        assert running.process.wait(PATIENCE_S) == 143


def test_standard_input_is_read_so_that_signals_are_heard(here):
    """How, is in `test_standard_input.py`."""
    done = coshell(
        here, stdin="import sys\nprint(type(sys.stdin.buffer.raw).__module__)\nprint(input())\nhello\n"
    )
    assert done.stdout == "coshell.standard_input\nhello\n"


def test_a_script_that_asks_for_input_gets_the_next_line_and_goes_on_behind_it(here):
    done = coshell(here, stdin="one = input()\nhello\ntwo = input()\nyou\nprint(one, two)\n")
    assert done.stdout == "hello you\n"


def test_standard_input_that_cannot_be_read_is_told_of(here, tmp_path):
    with (tmp_path / "file").open("w") as for_writing:
        done = coshell(here, stdin_file=for_writing)
    assert (done.returncode, done.stderr) == (2, "<stdin>: cannot be read: bad file descriptor\n")


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_ctrl_c_ends_a_script(here):
    with Process(here, "-c", "print('ready'); sleep(3600)", "-c", "print('never')") as running:
        running.wait_for("ready")
        code, rest = running.signalled(signal.SIGINT)
    assert (code, rest) == (130, "-c:1: interrupted\n")


def test_ctrl_c_ends_a_script_that_computes(here):
    line = "print('ready', flush=True)\nwhile True: pass"
    with Process(here, "-c", f"if 1:\n    {line.replace(chr(10), chr(10) + '    ')}") as running:
        running.wait_for("ready")
        code, rest = running.signalled(signal.SIGINT)
    assert code == 130, rest


# -- what is around --------------------------------------------------------------------------------


def test_modules_of_the_current_folder_are_not_taken_for_pythons(here):
    for name in ("random", "argparse", "greenlet", "signal", "tomllib", "pluggy"):
        (here / f"{name}.py").write_text("print('PWNED')")
    (here / "plugins").mkdir()
    ended = coshell(here, "-c", "1")
    assert (ended.stdout, ended.stderr) == ("1\n", "")


def test_settings_come_from_everywhere(here):
    (here / "coshell.toml").write_text('level = "counts"\ntimeout = "1s"\n')
    ended = coshell(here, "--level", "off", "-c", "set --json", env={"COSHELL_REFRESH": "2s"})
    settings = {line.split('"')[3]: line for line in ended.stdout.splitlines()}
    assert '"value": "off", "origin": "the command line"' in settings["level"]
    assert '"value": 1.0, "origin": "coshell.toml"' in settings["timeout"]
    assert '"value": 2.0, "origin": "COSHELL_REFRESH"' in settings["refresh"]


def test_wrong_settings_are_told_and_ignored(here):
    (here / "coshell.toml").write_text("levle = 1\n")
    ended = coshell(here, "-c", "1")
    assert ended.stdout == "1\n"
    assert ended.stderr == "coshell: coshell.toml: no setting 'levle', did you mean 'level'?; ignored\n"


def test_results_can_be_json(here):
    assert coshell(here, "--json", "-c", "[1]", "-c", "set vi").stdout.splitlines() == [
        '{"value": [1]}',
        '{"key": "vi", "value": false, "origin": "default", "about": "keys as in vi"}',
    ]


def test_something_can_be_run_first(here):
    (here / "mine.py").write_text("def double(n):\n    return 2 * n\n")
    (here / "mine.cosh").write_text("x = 21\n")
    assert coshell(here, "--rc", "mine.py", "-c", "double(4)").stdout == "8\n"
    assert coshell(here, "--rc", "mine.cosh", "-c", "x").stdout == "21\n"
    (here / "mine.py").write_text("1 / 0\n")
    ended = coshell(here, "--rc", "mine.py", "-c", "1")
    assert ended.returncode == 1
    assert ended.stderr.endswith("mine.py: ZeroDivisionError: division by zero\n")


def test_an_installed_plugin_brings_a_word_for_the_command_line(here):
    (here / "tides.py").write_text(
        "from coshell.api import Arg, Command, hookimpl\n"
        "@hookimpl\n"
        "def coshell_commands():\n"
        "    args = (Arg('port'), Arg('--high', kind='flag'))\n"
        "    return [Command('tide', 'tell it', lambda shell, port, high: f'{port} {high}', args)]\n"
    )
    info = here / "tides-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tides\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[coshell.plugins]\ntides = tides\n")
    installed = {"PYTHONPATH": os.pathsep.join([SOURCES, str(here)])}
    ended = coshell(here.parent, "tide", "Le Havre", "--high", env=installed)
    assert ended.stdout == "Le Havre True\n", ended.stderr
    assert "tides" in coshell(here.parent, "plugins", env=installed).stdout
    assert coshell(here.parent, "tide", env=installed).returncode == 2
    assert coshell(here.parent, "--no-plugins", "-c", ":tide Brest", env=installed).returncode == 2


def test_the_shell_tells_about_itself(here):
    assert coshell(here, "-V").stdout.startswith("coshell 0.")
    assert coshell(here, "doctor").stdout.startswith("ok    coshell")
    assert coshell(here, "plugins").stdout
    assert coshell(here, "config", "show").stdout.startswith("KEY")


def test_a_folder_that_is_gone_is_no_trouble(here):
    command = f'cd "{here}" && rmdir "{here}" && {sys.executable} -m coshell -c 1'
    ended = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        env=environment(here),
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "1\n"), ended.stderr


def test_a_run_without_a_plugin_that_was_asked_for_ends_with_2(here):
    (here / "a.cosh").write_text("1 + 1\n")
    ended = coshell(here, "run", "--plugin", "nosuch", "a.cosh")
    assert ended.returncode == 2
    assert "plugin 'nosuch' not loaded" in ended.stderr


def test_a_run_leaves_a_page_and_replaces_none_unless_it_is_told_to(here):
    (here / "a.cosh").write_text("@assert 1 + 1 == 2\n")
    done = coshell(here, "run", "a.cosh", "--report", "out.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert "@assert 1 + 1 == 2" in (here / "out.html").read_text()
    (here / "out.html").write_text("mine")
    done = coshell(here, "run", "a.cosh", "--report", "out.html")
    told = "coshell run: --report out.html: there already (-f replaces it)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)
    assert (here / "out.html").read_text() == "mine"
    assert coshell(here, "run", "a.cosh", "--report", "out.html", "-f").returncode == 0
    assert (here / "out.html").read_text().startswith("<!DOCTYPE html>")


def test_a_run_that_a_signal_ends_leaves_its_page(here):
    (here / "a.cosh").write_text("echo 127.0.0.1:0\nsleep(3600)\n")
    with Process(here, "run", "a.cosh", "--report", "out.html") as running:
        running.process.stdout.readline()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE_S) == 143
    assert "ended by a signal" in (here / "out.html").read_text()
