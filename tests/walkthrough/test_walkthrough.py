"""Types every command of every page into real terminals, and compares what is printed.

Each page is one test, in a copy of the repository of its own. What is printed must be what
the page shows, line by line. In it `...` stands for anything, bars of any length are alike,
burst.py's seconds are rounded to whole ones and its equal lines counted. In the rows of
other tables figures may be off by a sixth; where the page says "On 2 cores" before a table,
they, and burst.py's seconds, need only be figures. That a row is below its ceiling may be said on a busy machine.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time

import pexpect
import psutil
import pytest
from pages import PAGES, endless, steps
from support import ROOT

PROMPT = "<ready>"
NOT_TYPED = "git clone ADDRESS lesson", "cd lesson"  # the fixture `terminals` does
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-z]|\x1b[78=>]|\(\.venv\) |" + PROMPT)
BURST = re.compile(r" *(?:(\d+) )?█+ (\d+\.\d) s")
ROW = re.compile(r"(█ )?(-|[\d.,]+)( (-|[\d.,]+)){3,}")


class Difference(Exception):
    """What was printed is not what the page shows."""


class Terminal:
    """A bash in a terminal, as a reader has it; all `others` are read, too, lest they fill."""

    def __init__(self, folder, environment, others=()):
        bash = ["--norc", "--noprofile", "--noediting"]
        size = {"dimensions": (50, 200), "encoding": "utf-8", "echo": False}
        self.bash = pexpect.spawn("bash", bash, cwd=folder, env=environment, **size)
        self.printed, self.last, self.others = "", "", others
        self.bash.sendline(f"PS1='{PROMPT}' PS2=")
        self.wait_for(self.is_idle)

    def read(self, timeout=0.1):
        """Return all that was printed since the page last showed some of it."""
        with contextlib.suppress(pexpect.TIMEOUT):
            while True:
                more = self.bash.read_nonblocking(100_000, timeout)
                self.printed += more
                self.last = (self.last + more)[-20:]
        return self.printed

    def is_idle(self, prompt=PROMPT):
        """Return whether the last that was printed is the prompt."""
        self.read()
        return self.last.endswith(prompt)

    def send(self, line):
        """Type a line."""
        self.printed, self.last = "", ""
        self.bash.sendline(line)

    def is_asleep(self):
        """Return whether all that runs here has printed something and waits, for a while."""
        for _ in range(5):
            time.sleep(0.1)
            running = psutil.Process(self.bash.pid).children(recursive=True)
            for process in running:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.status() not in ("sleeping", "idle"):
                        return False
        return self.is_idle() or bool(running and self.printed)

    def wait_for(self, condition, seconds=60):
        """Return whether `condition()` comes true within so many `seconds`."""
        until = time.monotonic() + seconds
        while not (true := condition()) and time.monotonic() < until:
            for other in self.others:
                if not other.bash.closed:
                    other.read(timeout=0)
            time.sleep(0.1)
        return true

    def do(self, step):
        """Type what a Step has typed; return when it has printed what the page shows.

        If it goes on then, like a server, it must also have come to rest.
        """
        inside = re.match(r"(>>>|>|\(Pdb\)) (.*)", step.typed)
        if step.typed in ("^C", "^D"):
            self.bash.sendcontrol(step.typed[1].lower())
        elif inside:  # typed into the program that runs
            if not self.wait_for(lambda: self.is_idle(f"{inside[1]} ")):
                raise Difference(self.printed)
            self.send(inside[2])
        elif step.typed:
            if not self.wait_for(self.is_idle):
                raise Difference(f"{self.printed}... and something still runs here")
            self.send(step.typed)
        if step.typed == "" or step.goes_on or inside:
            if not self.wait_for(lambda: agrees(step, self.read(), whole=False)):
                raise Difference(self.printed)
            if not inside:
                self.wait_for(self.is_asleep, seconds=5)
                self.printed = ""  # what comes later is shown later
        else:
            silent = step.typed in ("^C", "^D") and not step.printed
            if not self.wait_for(self.is_idle, seconds=600) or not (
                silent or agrees(step, self.printed)
            ):
                raise Difference(self.printed)


def lines(text):
    """Return the `text` as lines, without what belongs to one machine or one moment."""
    found = []
    for line in re.split(r"\r*\n", text):
        line = CONTROL.sub("", line.rsplit("\r", 1)[-1])
        burst = BURST.fullmatch(line)
        if burst:
            found += [f"{round(float(burst[2]))} s"] * int(burst[1] or 1)
        elif not re.match("Making the virtual environment|  Below its ceiling", line):
            line = re.sub("█+", "█", re.sub(" +", " ", line)).strip()
            line = re.sub(r"\d+ cores;", "cores;", line)
            found.append(re.sub(r"Python 3\.[\d.]+", "Python 3", line))
    while found and not found[-1]:
        found.pop()
    return found


def agrees(step, printed, whole=True):
    """Return whether what was `printed` is, or unless `whole` begins with, the page's."""
    pattern, figures = "", []
    if step.typed.startswith("> "):  # websockets' client moves about on the screen
        pattern = r"(?:.*\n)*?"
    for line in lines(step.printed):
        if line == "...":
            pattern += r"(?:.*\n)*?"
        elif step.cores and re.fullmatch(r"\d+ s", line):
            pattern += r"\d+ s\n"
        elif ROW.fullmatch(line):
            pattern += re.sub(r"(-|[\d.,]+)", r"(-|[\\d.,]+)", line) + r"\n"
            figures += re.findall(r"(-|[\d.,]+)", line)
        else:
            pattern += re.escape(line).replace(r"\.\.\.", ".*?") + r"\n"
    text = "".join(f"{line}\n" for line in lines(printed))
    match = (re.fullmatch if whole else re.match)(pattern, text)
    return bool(match) and all(map(near, match.groups(), figures, [step] * len(figures)))


def near(actual, expected, step):
    """Return whether a figure is off by a sixth at most, or any if cores decide on it."""
    if "-" in (actual, expected):
        return actual == expected
    actual, expected = (float(f.replace(",", "")) for f in (actual, expected))
    return step.cores or abs(actual - expected) <= expected / 6


@pytest.fixture
def terminals(tmp_path):
    """Terminals in a clone of the repository, each opened when the page first names it.

    With the clone goes the .venv that `make walkthrough` has just made.
    """
    folder = tmp_path / "lesson"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    for git in ("init -q", "add -A", "-c user.name=a -c user.email=a commit -qm a"):
        subprocess.run(["git", *git.split()], cwd=folder, check=True)
    heavy = shutil.ignore_patterns("lib")
    shutil.copytree(ROOT / ".venv", folder / ".venv", symlinks=True, ignore=heavy)
    (folder / ".venv" / "lib").symlink_to(ROOT / ".venv" / "lib")
    for stamp in ("for-compare", "for-test"):
        (folder / ".venv" / stamp).touch()  # newer than the clone's requirements
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys._base_executable)
    env = os.environ | {"TERM": "xterm", "PYTHON_BASIC_REPL": "1"}
    path = [p for p in env["PATH"].split(":") if ".venv" not in p]
    env["PATH"] = ":".join([str(tmp_path / "bin"), *path, "/usr/sbin"])

    class Terminals(dict):
        def __missing__(self, name):
            place = folder / name if (folder / name).is_dir() else folder
            self[name] = Terminal(place, env, self.values())
            return self[name]

    terminals = Terminals()
    terminals.folder, terminals.path = folder, env["PATH"]
    yield terminals
    for terminal in terminals.values():
        for _ in range(2):  # a test that has failed may leave anything
            terminal.bash.sendcontrol("c")
            terminal.wait_for(terminal.is_idle, seconds=5)
        terminal.bash.close(force=True)


def edit(file, changes):
    """Make in `file` the `changes` of a diff: "+" lines go after the " " and "-" lines."""
    found, at = file.read_text().splitlines(), -1
    for change in changes.splitlines():
        kind, line = change[0], change[1:]
        if kind == "+":
            at += 1
            found.insert(at, line)
        else:
            at = found.index(line, max(at, 0))
        if kind == "-":
            del found[at]
            at -= 1
    file.write_text("\n".join(found) + "\n")


@pytest.mark.parametrize("page", PAGES)
def test_page(terminals, page):
    todo = [step for step in steps(page) if step.typed not in NOT_TYPED]
    programs = {step.typed.split()[0] for step in todo if step.typed and not step.edits}
    for program in programs & {"nginx", "wrk"}:
        if not shutil.which(program, path=terminals.path):
            pytest.skip(f"{program} is not installed")
    if found := endless(todo):
        pytest.fail("\n".join([page, *found]), pytrace=False)
    for step in todo:
        where = f"{page}, line {step.line}: {step.terminal}$ {step.typed}"
        print(where, flush=True)
        if step.edits == "file":
            (terminals.folder / step.terminal).write_text(step.typed)
        elif step.edits:
            edit(terminals.folder / step.terminal, step.typed)
        if step.edits:
            continue
        try:
            terminals[step.terminal].do(step)
        except Difference as difference:
            expected, actual = lines(step.printed), lines(str(difference))
            parts = [where, "--- expected:", *expected, "--- actual:", *actual]
            pytest.fail("\n".join(parts), pytrace=False)
    for name, terminal in terminals.items():
        assert terminal.is_idle(), f"the page leaves something running at {name}$"
