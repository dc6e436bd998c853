"""The pages' commands typed into real terminals, their outputs compared, their listings
and links checked.

What the text says is what is done: "in terminal **wsgi**:" before a block says where it
is typed, "Ctrl-C in terminal **wsgi**" presses it, a `diff` block is edited into the file
that the text names. A `text` block after it is what must be seen, there or, after
"Terminal **wsgi** shows:", by then in another terminal; after "On 2 cores:"
only where there are two. In it "..." stands for anything, and figures may be off by a
sixth part, or fourfold where cores count, which others may be using too: there
test_the_computing_rows_end_at_the_same_ceiling looks closer.
(pytest-codeblocks and byexample run a block to its end in one shell; the lesson needs
servers that go on in one terminal while another one talks to them.)
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest
from conftest import ROOT, wait_until
from markdown_it import MarkdownIt

from compare import is_free

PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md"))]
PROMPT = "<ready>"
PATIENCE = 150  # seconds for one command
FIGURE = r"(?<![\w.:/-])(\d+\.\d+|\d{4,}|(?<=\d )\d{3}(?! OK))(?![\w.:/-])"


def split_commands(block):
    """Return the commands of a shell block, each with all of its lines."""
    commands = [""]
    for line in block.splitlines():
        commands[-1] += line
        checked = subprocess.run(
            ["bash", "-nc", commands[-1]], check=False, stderr=subprocess.DEVNULL
        )
        if checked.returncode == 0:
            commands.append("")
        else:
            commands[-1] += "\n"
    return commands[:-1]


def read_tokens(page):
    """Return the Markdown tokens of the `page`, a path inside the repository."""
    return MarkdownIt("gfm-like", {"linkify": False}).parse((ROOT / page).read_text())


def read_steps(page):
    """Return the page's steps in order: [line, what to do, where, text, shown, cores].

    To do is "type", "press" or "see", in a terminal, or "edit", in a file.
    """
    steps, file = [], None
    for token in read_tokens(page):
        if token.type == "inline":
            cores = re.search(r"On (\d+) cores\b.*:$", token.content)
            if cores:
                steps[-1][5] = int(cores[1])
            file = ([file] + re.findall(r"`([\w/]+\.(?:py|conf))`", token.content))[-1]
            pressed = re.findall(
                r"Ctrl-([CD])\s+in\s+terminal\s+\*\*(\w+)\*\*", token.content
            )
            line = token.map[0] + 1
            broken = "traceback" * ("traceback" in token.content)
            steps += [[line, "press", name, key, broken, 0] for key, name in pressed]
            seen = re.search(r"Terminal\s+\*\*(\w+)\*\* shows:$", token.content)
            if seen:
                steps.append([line, "see", seen[1], "", "", 0])
            named = re.search(
                r"in\s+terminal\s+\*\*(\w+)\*\*:$", token.content, re.IGNORECASE
            )
            terminal = named[1] if named else "client"
        elif token.type == "fence" and token.info == "sh":
            for command in split_commands(token.content):
                steps.append([token.map[0] + 2, "type", terminal, command, "", 0])
        elif token.type == "fence" and token.info == "diff":
            steps.append([token.map[0] + 2, "edit", file, token.content, "", 0])
        elif token.type == "fence" and token.info == "text":
            steps[-1][4] = token.content
    return steps


def read_titles(page):
    """Return {title: line} of the page."""
    pairs = itertools.pairwise(read_tokens(page))
    return {b.content: a.map[0] for a, b in pairs if a.type == "heading_open"}


def read_inline(page):
    """Return what is in the page's sentences and tables: texts, links, inline code."""
    return [c for t in read_tokens(page) if t.type == "inline" for c in t.children]


# Two halves, for two test workers; both begin with the three terminals.
STEPS, TITLES = read_steps("README.md"), read_titles("README.md")
SET_UP = range(TITLES["Three terminals"], TITLES["Basics: a callable"])
SECOND = range(TITLES["What the test really shows"], 10_000)
FIRST_HALF = [step for step in STEPS if step[0] not in SECOND]
SECOND_HALF = [step for step in STEPS if step[0] in SET_UP or step[0] in SECOND]
SEEN = {}  # what a typed command has printed
BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ  # so no figure is as on the page
FIRST_ROW, LAST_ROW = {}, {}  # seconds until it has printed one of a table, and all
TYPED = {step[3] for page in PAGES for step in read_steps(page)}
CODE = {
    p: [c.content for c in read_inline(p) if c.type == "code_inline"] for p in PAGES
}
COMMANDS = {c for page in PAGES for c in CODE[page]} - TYPED  # not in a block
COMMANDS = sorted(c for c in COMMANDS if re.match(r"(gunicorn|uvicorn) .*app:app", c))


def mask(text):
    """Return `text` without what belongs to a machine: colours, overwritten lines, names."""
    text = re.sub(r"[^\n]*\r\x1b\[K", "", text.replace("\r\n", "\n"))
    text = re.sub(r"\x1b\[[\d;]*m|Making the virtual environment.*\n", "", text)
    text = re.sub(r"Python \d[\d.]+", "Python 3", re.sub(r"\d+ cores", "cores", text))
    return "\n".join(re.sub("█+", "█", line).rstrip() for line in text.splitlines())


def agrees(shown, seen, whole, off=1 / 6):
    """Return whether `seen` begins with, or if `whole` is, what the page has `shown`.

    Figures may be `off` by this part of what is shown.
    """
    parts = re.split(FIGURE, re.sub(" +", " ", mask(shown).strip()))
    figures = parts[1::2]
    dots = r"\\\.\\\.\\\.(?!\\\.)"  # the last three of "0....", escaped
    words = [re.sub(dots, ".*?", re.escape(p)) for p in parts[::2]]
    words = [re.sub(r"(?m)^\.\*\?\\\n", r"(?:.*\n)*?", w) for w in words]
    words[-1] = re.sub(r"(?m)^\.\*\?$\Z", r"[\\s\\S]*", words[-1])
    pattern = r"\s*" + r"(\d+(?:\.\d+)?)".join(words)
    match = (re.fullmatch if whole else re.match)(
        pattern + (r"\s*" if whole else ""), re.sub(" +", " ", mask(seen))
    )
    return bool(match) and all(
        abs(float(a) - float(b)) <= float(b) * off
        for a, b in zip(match.groups(), figures, strict=True)
    )


class Terminal:
    """A bash in a terminal of its own, as a reader has it."""

    def __init__(self, folder, environment):
        settings = ["--norc", "--noprofile", "--noediting"]
        self.folder = folder
        self.bash = pexpect.spawn(
            "bash", settings, cwd=folder, env=environment, echo=False, encoding="utf-8"
        )
        self.bash.setwinsize(50, 200)
        self.bash.sendline(f"PS1='{PROMPT}' PS2=''")
        self.bash.expect(f"{PROMPT}$")
        self.busy = False

    def type(self, command, shown, off):
        """Type `command`; return when it has ended, or goes on and has printed `shown`."""
        if self.busy:  # unless it is just ending, the page forgot to say "press Ctrl-C"
            self.bash.expect(PROMPT, timeout=3)
            self.busy = False
        self.bash.sendline(command)
        self.read(command, shown, off)

    def read(self, command, shown, off=1 / 6):
        """Return when `command` has ended, or goes on and has printed `shown`."""
        begin, settled = time.monotonic(), None
        until = begin + PATIENCE
        patience = 1.5 if command.startswith("curl -N") else 0.5  # nobody types faster
        while time.monotonic() < until:
            if "█" in str(self.bash.before) and command not in FIRST_ROW:
                FIRST_ROW[command] = time.monotonic() - begin
            try:
                self.bash.expect(PROMPT, timeout=0.2)
            except pexpect.TIMEOUT:
                so_far = shown and agrees(shown, self.bash.before, False, off)
                if settled is None and so_far:
                    settled = time.monotonic()
                if settled and time.monotonic() > settled + patience:
                    self.busy = True
                    return
                continue
            self.busy = False
            seen = re.sub(r"(\(\.venv\) )+$", "", self.bash.before)
            assert not shown or agrees(shown, seen, True, off), mask(seen)
            code = re.search(r"curl: \((\d+)\)", shown)  # the one that the page shows
            failed = command.startswith("diff") or "Error report" in shown
            expected = int(code[1]) if code else failed
            assert self.status() == expected, mask(seen)
            SEEN[command] = mask(seen)
            LAST_ROW[command] = time.monotonic() - begin
            return
        pytest.fail(f"no prompt, and not what the page shows, but:\n{self.bash.before}")

    def forget(self):
        """Forget what has been printed until now."""
        some = [f"(?s).*{PROMPT}", "(?s).+", pexpect.TIMEOUT]
        while (found := self.bash.expect(some, timeout=0.1)) < 2:
            self.busy = self.busy and found != 0

    def talk(self, command, shown):
        """Type `command`, then each line that is `shown` after "> "; see the others."""
        self.bash.sendline(command)
        for line in shown.splitlines():
            said = "> " if line.startswith("> ") else line
            self.bash.expect_exact(said, timeout=10)
            if said != line:
                self.bash.sendline(line[2:])
        self.busy = True

    def press(self, key, broken):
        """End what runs here, with exit code 0; no traceback unless requests are `broken`."""
        assert self.busy, "nothing runs here"
        self.bash.sendcontrol(key.lower())
        self.bash.expect(PROMPT, timeout=20)
        self.busy = False
        assert broken or "Traceback" not in self.bash.before
        assert self.status() == 0, self.bash.before

    def status(self):
        """Return the exit code of the last command."""
        self.bash.sendline("echo code=$?")
        self.bash.expect(rf"code=(\d+)[^<]*{PROMPT}", timeout=10)
        return int(self.bash.match[1])


@pytest.fixture(scope="class")
def terminals(tmp_path_factory, free_ports):
    """Terminals in a copy of the repository, made when a page first names them.

    With it goes the .venv that `make test` has just made (a second one would take 15
    seconds more); where there is none, `make compare` makes it here.
    """
    folder = tmp_path_factory.mktemp("clone") / "lesson"
    unwanted = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=unwanted)
    for git in ("init -q", "add -A", "-c user.name=a -c user.email=a commit -qm a"):
        subprocess.run(["git", *git.split()], cwd=folder, check=True)
    if (ROOT / ".venv" / "for-test").exists():
        heavy = shutil.ignore_patterns("lib")
        shutil.copytree(ROOT / ".venv", folder / ".venv", symlinks=True, ignore=heavy)
        (folder / ".venv" / "lib").symlink_to(ROOT / ".venv" / "lib")
    programs = tmp_path_factory.mktemp("bin")
    (programs / "python3").symlink_to(sys._base_executable)
    left_out = ("MAKELEVEL", "VIRTUAL_ENV", "PYTEST_", "PORT", "WEB_CONCURRENCY")
    env = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    path = [p for p in env["PATH"].split(":") if Path(p) != ROOT / ".venv" / "bin"]
    env |= {"PATH": ":".join([str(programs), *path]), "TERM": "xterm"}

    class Terminals(dict):
        def __missing__(self, name):
            self[name] = Terminal(folder, env)
            return self[name]

    terminals = Terminals()
    yield terminals
    for terminal in terminals.values():
        terminal.forget()  # a last prompt, perhaps
    busy = [name for name, terminal in terminals.items() if terminal.busy]
    for name in busy:
        terminals[name].bash.sendintr()
        terminals[name].bash.expect(PROMPT, timeout=20)
    for terminal in terminals.values():
        terminal.bash.close(force=True)
    assert not busy, "the page leaves servers running"
    assert is_free(8000) and is_free(8089)


def edit(file, changes):
    """Make in `file` the `changes` of a diff: "+" lines go where " " or "-" lines are."""
    lines, at = file.read_text().splitlines(), None
    for change in changes.splitlines():
        kind, line = change[0], change[1:]
        if kind == "+":
            at += 1
            lines.insert(at, line)
        else:
            at = lines.index(line)
        if kind == "-":
            del lines[at]
            at -= 1
    file.write_text("\n".join(lines) + "\n")


def each(steps):
    """Return the decorator that makes a test of each of the `steps`."""
    return pytest.mark.parametrize(
        "line, do, where, text, shown, cores",
        steps,
        ids=lambda value: str(value).splitlines()[0][:60] if value else "",
    )


def take(terminals, do, where, text, shown, cores):
    """Do what one step of the page says, and compare."""
    if text == "make test":
        pytest.skip("this is that very run")
    if text == "python docs/costs.py":
        pytest.skip("it takes five minutes; test_sizing.py does parts of it")
    if text.startswith("wrk") and not shutil.which("wrk"):
        pytest.skip("wrk is not installed")
    if do == "press":
        terminals[where].press(text, shown)
    elif do == "see":
        terminals[where].read("", shown)
        terminals[where].forget()
    elif text.startswith("python -m websockets"):
        terminals[where].talk(text, shown)
    elif do == "type" and text.startswith("python compare.py") and BESIDE_OTHERS:
        rows = [line for line in shown.splitlines() if "$ " in line]
        terminals[where].type(text, "", 0)
        assert all(row in SEEN[text] for row in rows if cores == os.cpu_count())
    elif do == "type" and cores:
        terminals[where].type(text, shown if cores == os.cpu_count() else "", 3)
    elif do == "type":
        terminals[where].type(text, shown, 1 / 6)
    elif not shown:
        edit(terminals["client"].folder / where, text)
    else:  # a server that reloads says so
        server = terminals[where.split("/")[0]]
        server.forget()
        edit(terminals["client"].folder / where, text)
        server.read("", shown)


class TestFirstHalf:
    @each(FIRST_HALF)
    def test_step(self, terminals, line, do, where, text, shown, cores):
        take(terminals, do, where, text, shown, cores)

    def test_from_clone_to_table(self, record_property):
        """The lesson starts quickly; beside other tests it may take twice the time."""
        if "SET_UP" not in os.environ:
            pytest.skip("only when all tests are run")
        noted = Path(os.environ["SET_UP"], "seconds")
        wait_until(noted.exists, 120)
        if not noted.read_text():
            pytest.skip("the requirements could not be installed; no network?")
        set_up, command = int(noted.read_text()), "make compare"
        first, last = set_up + FIRST_ROW[command], set_up + LAST_ROW[command]
        record_property("seconds from git clone to the first row", round(first))
        record_property("seconds from git clone to the last row", round(last))
        assert first < 2 * 45 and last < 2 * 180


class TestSecondHalf:
    @each(SECOND_HALF)
    def test_step(self, terminals, line, do, where, text, shown, cores):
        take(terminals, do, where, text, shown, cores)

    def test_the_computing_rows_end_at_the_same_ceiling(self):
        """Nothing exceeds cores / seconds; other users of the cores slow all rows down."""
        seen = SEEN["python compare.py cpu --users 8"]
        shares = [float(share) for share in re.findall(r"█ .* (\d\.\d\d) ", seen)]
        assert len(shares) == 4
        assert max(shares) <= 1.1 and min(shares) >= (0.1 if BESIDE_OTHERS else 0.25)


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
class TestProduction:
    @each(read_steps("docs/production.md"))
    def test_step(self, terminals, line, do, where, text, shown, cores):
        take(terminals, do, where, text, shown, cores)


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
class TestSizing:
    @each(read_steps("docs/sizing.md"))
    def test_step(self, terminals, line, do, where, text, shown, cores):
        take(terminals, do, where, text, shown, cores)

    def test_two_hundred_and_fifty_to_one(self):
        """Beside other tests a little less; no request fails, and one queue grows."""
        rows = re.findall(r"█ +(.*)", SEEN["python compare.py --users 1000"])
        rates = [float(row.split()[0]) for row in rows]
        assert len(rows) == 6 and all(row.split()[-1] == "0" for row in rows), rows
        assert 3.5 < rates[0] < 4.5 and "growing growing" in re.sub(" +", " ", rows[0])
        assert min(rates[1:5]) > (500 if BESIDE_OTHERS else 900), rows


@pytest.mark.parametrize("command", COMMANDS)
def test_command_in_the_text(serve, command):
    folder = "asgi" if re.search(r"^uvicorn|-k", command) else "wsgi"
    with serve(folder, command):
        pass  # it has answered


def test_the_page_was_read():
    assert len(STEPS) > 30 and len(COMMANDS) >= 4 and len(PAGES) > 1


def test_listings_are_the_files():
    found, before = [], ""
    for token in read_tokens("README.md"):
        if token.type == "inline":
            before = token.content
        if token.type == "fence" and token.info == "python":
            path = re.search(r"`([^`]+\.py)`", before)[1]
            assert token.content == (ROOT / path).read_text(), path
            found.append(path)
    assert found, "the page lists no file"


@pytest.mark.parametrize("page", PAGES)
def test_links_and_paths_exist(page):
    here = (ROOT / page).parent
    parts = read_inline(page)
    links = [c.attrs["href"] for c in parts if c.type == "link_open"]
    links += [c.attrs["src"] for c in parts if c.type == "image"]
    inner = [link for link in links if "//" not in link]
    assert inner
    for link in inner:
        path, _, anchor = link.partition("#")
        target = (here / path).resolve() if path else ROOT / page
        assert target.exists(), link
        if anchor:
            titles = read_titles(target.relative_to(ROOT))
            assert anchor in [t.lower().replace(" ", "-") for t in titles], link
    for path in CODE[page]:
        if re.fullmatch(r"[\w./-]+\.(py|conf|txt)|\w+/", path):
            twins = (ROOT / "wsgi" / path).exists() and (ROOT / "asgi" / path).exists()
            assert twins or (ROOT / path).exists(), path


def test_the_lesson_is_not_too_long():
    """Words that are seen: with those in `code`, without those that describe pictures."""
    inline = [t.content for t in read_tokens("README.md") if t.type == "inline"]
    seen = [re.sub(r"!\[[^]]*\]", "", text) for text in inline]
    assert sum(len(text.split()) for text in seen) <= 2200


def test_the_comparison_itself_can_fail():
    shown = "1.00 s\n...\n40 users, 10009 ms\n[...] 27.0.1\n"
    assert agrees(shown, "1.02 s\nmany\nlines\n40 users, 10000 ms\n[x] 27.0.1\n", True)
    assert agrees(shown, "1.02 s\n\n40 users, 10000 ms\n[x] 27.0.1\nand more", False)
    assert not agrees(shown, "2.02 s\n\n40 users, 10000 ms\n[x] 27.0.1\n", True)
    assert not agrees(shown, "1.02 s\n\n41 users, 10000 ms\n[x] 27.0.1\n", True)
    assert not agrees(shown, "1.02 s\n\n40 users, 10000 ms\n[x] 27.0.2\n", True)
    assert not agrees(shown, "1.02 s\n\n40 users, 10000 ms\n[x] 27.0.1\nmore", True)
    assert agrees("0.... s", "0.0123 s", True)
    assert not agrees("0.... s", "1.0123 s", True)
    assert not agrees("yes", "no", False) and not agrees("yes", "", False)
    assert agrees("0.97 410 0", "0.90 600 0", True, 1 / 2)
    assert not agrees("0.97 410 0", "0.90 700 0", True, 1 / 2)
    assert agrees("a\n...", "a\nb\nc\n", True) and not agrees("a\n...", "b\nc", True)
    assert not agrees("HTTP/1.1 200 OK", "HTTP/1.1 201 OK", True)
    assert not agrees("'status': 200", "'status': 201", True)
