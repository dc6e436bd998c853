"""Types every command of every page into real terminals, and compares what is printed.

Each page is one test, in a copy of the repository of its own. What is printed must be what
the page shows, line by line. In it `...` stands for anything, bars of any length are alike,
burst.py's seconds are rounded to whole ones and its equal lines counted. In the rows of
other tables, and in compare.py's sentences below them, figures may be off by a sixth. If a
page says "On 2 cores" before a table, they and burst.py's seconds need only be figures. On
a busy machine it may be said of a row that it is below its ceiling. The versions that pages
name are compared by tests/test_pages.py, not here.

One page: pytest tests/walkthrough -k conversations. With -s you see what is being typed.
"""

import contextlib
import itertools
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
NOT_TYPED = "git clone URL lesson", "cd lesson"  # the fixture `terminals` does
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-z]|\x1b[78=>]|\(\.venv\) |" + PROMPT)
BURST = re.compile(r" *(?:(\d+) )?█* ?(\d+\.\d) s(?:  (\S.*))?")
FIGURE = r"(-|\d[\d,]*(?:\.\d+)?)"
ROW = re.compile(rf"(?:█ )?{FIGURE}(?: {FIGURE}){{3,}}")
VERSION = re.compile(r"\b(Python|gunicorn|uvicorn|locust) \d+\.\d+\.\d+", re.IGNORECASE)
REMARK = re.compile("(Works like|At least|The processor was|No slots:|It still worked) .*")


class Terminal:
    """A bash in a terminal, as a reader has it; `others` are read, too, lest they fill."""

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
        """Return whether all that runs here has printed something and waits for a while."""
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
        """Type what a Step has typed, and wait until it has printed what the page shows.

        If it goes on then, like a server, it must also have come to rest. Return None, or
        what was printed instead of what the page shows.
        """
        inside = re.match(r"(>>>|>|\(Pdb\)) (.*)", step.typed)
        if step.typed in ("^C", "^D"):
            self.bash.sendcontrol(step.typed[1].lower())
        elif inside:  # typed into the program that runs
            if not self.wait_for(lambda: self.is_idle(f"{inside[1]} ")):
                return self.printed
            self.send(inside[2])
        elif step.typed:
            if not self.wait_for(self.is_idle):
                return f"{self.printed}... and something still runs here"
            self.send(step.typed)
        if step.typed == "" or step.goes_on or inside:
            if not self.wait_for(lambda: agrees(step, self.read(), whole=False)):
                return self.printed
            if not inside:
                self.wait_for(self.is_asleep, seconds=5)
                self.printed = ""  # what comes later is shown later
            return None
        if not self.wait_for(self.is_idle, seconds=600):
            return f"{self.printed}... and it still runs after ten minutes"
        if step.typed in ("^C", "^D") and not step.printed:
            return None  # what a server says when it is stopped need not be shown
        return None if agrees(step, self.printed) else self.printed


def lines(text):
    """Return the `text` as lines, without what belongs to one machine or one moment."""
    found = []
    for line in re.split(r"\r*\n", text):
        line = CONTROL.sub("", line.rsplit("\r", 1)[-1])
        burst = BURST.fullmatch(line)
        if burst:
            what = f"{round(float(burst[2]))} s {burst[3] or ''}".strip()
            found += [what] * int(burst[1] or 1)
        elif not re.match("Making the virtual environment|  Below its ceiling", line):
            line = re.sub("█+", "█", re.sub(" +", " ", line)).strip()
            line = re.sub(r"\d+ cores;", "cores;", line)
            found.append(VERSION.sub(r"\1", line))
    while found and not found[-1]:
        found.pop()
    return found


def counted(text):
    """Return the lines of the `text` for a reader: equal ones once, with their number."""
    groups = [(line, len([*same])) for line, same in itertools.groupby(lines(text))]
    return [f"{number} x {line}" if number > 1 else line for line, number in groups]


def agrees(step, printed, whole=True):
    """Return whether what was `printed` is, or unless `whole` begins with, the page's."""
    pattern, figures = "", []
    if step.typed.startswith("> "):  # websockets' client moves about on the screen
        pattern = r"(?:.*\n)*?"
    for line in lines(step.printed):
        if line == "...":
            pattern += r"(?:.*\n)*?"
        elif step.cores and re.match(r"\d+ s\b", line):
            pattern += r"\d+" + re.escape(line.lstrip("0123456789")) + r"\n"
        elif ROW.fullmatch(line) or REMARK.fullmatch(line):
            words = re.split(FIGURE, line)  # every second one is a figure
            pattern += FIGURE.join(map(re.escape, words[::2])) + r"\n"
            figures += words[1::2]
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


class Terminals(dict):
    """Terminals in the `folder` of a lesson, each opened when the page first names it."""

    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment

    def __missing__(self, name):
        place = self.folder / name
        place = place if place.is_dir() else self.folder
        self[name] = Terminal(place, self.environment, self.values())
        return self[name]


@pytest.fixture
def terminals(tmp_path):
    """Terminals in a clone of the repository, with the .venv of `make walkthrough`."""
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
    terminals = Terminals(folder, env)
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
        if not shutil.which(program, path=terminals.environment["PATH"]):
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
        actual = terminals[step.terminal].do(step)
        if actual is not None:
            shown = ["--- the page:", *counted(step.printed)]
            printed = ["--- printed:", *counted(actual)]
            pytest.fail("\n".join([where, *shown, *printed]), pytrace=False)
    for name, terminal in terminals.items():
        assert terminal.is_idle(), f"the page leaves something running at {name}$"
