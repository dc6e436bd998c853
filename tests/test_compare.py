"""compare.py: what names a row, the table, its remarks, and a sentence for each trouble."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from unittest import mock

import pytest
from support import ROOT, burst, responding, serve

from burst import address

with mock.patch.dict(os.environ, LOCUST_SKIP_MONKEY_PATCH="1"):  # not this process
    import compare
    from measure import Result

pytestmark = pytest.mark.usefixtures("ports")
SYNC = "gunicorn -w 4 slow"  # a word that only the first row has
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def test_the_readmes_table_has_the_rows_of_compare():
    text = (ROOT / "README.md").read_text().split("# Fails\n")[1].split("  No times")[0]
    rows = [line for line in text.splitlines() if "$ " in line]
    assert rows == [str(row) for row in compare.waiting_rows(40)]


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the lesson, in a folder as people name them."""
    folder = tmp_path / "my léssons"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*"))
    return folder


def test_the_rows_have_the_slots_that_their_ceilings_count_on():
    """All seven at once, each on a port of its own. In whole seconds."""
    rows = compare.waiting_rows(40)
    urls = [f"http://127.0.0.1:{port}/" for port, _ in enumerate(rows, 9001)]
    how_many = [int(min(8, 2 * row.slots)) for row in rows]

    def seconds(number, url):
        burst(1, url)  # until all workers have started
        return burst(number, url)

    with contextlib.ExitStack() as servers, ThreadPoolExecutor(len(rows)) as clients:
        for row, url in zip(rows, urls, strict=True):
            option = "--port " if row.command.startswith("uvicorn") else "--bind 127.0.0.1:"
            command = row.command + f" {option}{address(url).port}"
            servers.enter_context(serve(row.folder, command, url))
        found = [*clients.map(seconds, how_many, urls)]
    assert found == [[1] * 4 + [2] * 4, *[[1] * 8] * 5, [1, 2]]


def test_ceilings():
    """Little's law, at 40 users and at 1,500, of which gevent takes no more than 1,000."""
    ceilings = [[row.ceiling(n) for row in compare.waiting_rows(n)] for n in (40, 1500)]
    assert ceilings[0] == [4, 40, 40, 40, 40, 40, 1]
    assert ceilings[1] == [4, 1500, 1500, 1000, 1500, 1500, 1]
    assert "-w 4 --threads 600 " in str(compare.waiting_rows(1500)[2])
    assert {row.ceiling(99) for row in compare.COMPUTING_ROWS} == {compare.CORES / 0.1}
    assert compare.Row("shop", "uvicorn main:app").ceiling(40) is None


ROWS = [*compare.waiting_rows(40), *compare.COMPUTING_ROWS]


def test_a_row_pasted_from_the_table_is_that_row():
    for row in ROWS:
        assert compare.named_rows(f" {row} ", 40) == [row] and row.ceiling(40)


@pytest.mark.parametrize(
    "name, commands",
    [
        ("", [row.command for row in ROWS[:7]]),
        ("wsgi", [row.command for row in ROWS[:7] if row.folder == "wsgi"]),
        ("cpu", [row.command for row in ROWS[7:]]),
        ("blocking", ["uvicorn blocking_app:app"]),
        ("../my shop$ uvicorn main:app", ["uvicorn main:app"]),
        ("wsgi$  gunicorn app:app", ["gunicorn app:app"]),
        ("http://127.0.0.1:9000/a b", ["http://127.0.0.1:9000/a%20b"]),
    ],
)
def test_what_names_a_row(name, commands):
    assert [row.command for row in compare.named_rows(name, 40)] == commands


def test_the_folder_of_ones_own_row_is_where_one_is():
    (own,) = compare.named_rows("~/shop$ uvicorn main:app", 40)
    (address,) = compare.named_rows("http://127.0.0.1:9000/", 40)
    assert str(own.place) == os.path.expanduser("~/shop") and own.ceiling(40) is None
    assert address.place is None and address.ceiling(40) is None
    assert {row.place for row in ROWS} == {ROOT / "wsgi", ROOT / "asgi"}


GOOD = Result(
    rate=4, mean=1, times=[1, 1], errors=[], unserved=0, late=0,
    locust=0.5, server=0, process=0, machine=0,
)  # fmt: skip
ERRORS = [SimpleNamespace(occurrences=3, error="x")]
OWN = {"alone": [1, 1], "inside": 4, "rate": 1}


@pytest.mark.parametrize(
    "change, expected",
    [
        ({}, []),
        ({"rate": 3.75}, []),  # one request of twenty is on the other side of the end
        ({"rate": 3.5}, ["Below its ceiling"]),
        ({"rate": 4.5}, ["Above its ceiling"]),
        ({"rate": 2, "locust": 0.95}, ["Locust used up a core"]),
        ({"rate": 4.5, "locust": 0.95}, ["Above its ceiling", "Locust used up a core"]),
        ({"unserved": 30}, ["No times: 30 users had no response yet"]),
        ({"rate": 0}, ["Nobody got a response"]),
        ({"late": 8}, ["Held up for 8 s"]),
        ({"rate": 0, "errors": ERRORS}, ["FAILED 3 times: x"]),
        (OWN | {"mean": 4}, ["1 s here, not 1 s: was slow_app.py", "Works like 1 slot: "]),
    ],
)  # fmt: skip
def test_what_a_row_says_of_itself(change, expected):
    said = [*compare.remarks(ROWS[0], GOOD._replace(**change), 4, 5)]
    assert len(said) == len(expected)
    assert all(line.startswith(start) for line, start in zip(said, expected, strict=True))


@pytest.mark.parametrize("rate, times, bar", [(2, "7", 10), (4, "7", 20), (0, "-", 0)])
def test_a_row_is_a_bar_and_figures(monkeypatch, capsys, rate, times, bar):
    """The longest bar stands for the highest ceiling; nobody's time is no figure."""
    result = GOOD._replace(rate=rate, times=[7, 7])
    monkeypatch.setattr(compare, "measure", lambda *_: result)
    assert compare.table(ROWS[:1], 4, 5, None, ()) == (rate == 0)
    figures = compare.LINE.format("█" * bar, f"{rate:.1f}", "4.0", times, times, 0)
    assert capsys.readouterr().out.splitlines()[:2] == [str(ROWS[0]), figures]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--users", "0"], "1 to 10000 users"),
        (["--users", "10001"], "1 to 10000 users"),
        (["--seconds", "601"], "1 to 600 seconds"),
        (["wsgi$ gunicorn 'app:app"], "No closing quotation"),
        (["wsgi$ "], "a command is missing"),
        (["wsgi$ ''"], "a command is missing"),
        (["40"], "--users 40"),
        (["nosuch"], "    wsgi$ gunicorn -k gevent slow_app:app\n"),
        (["nosuch$ uvicorn app:app"], "No such file or directory: nosuch"),
        (["wsgi$ nosuch app:app"], "No such file or directory: nosuch"),
        (["wsgi", "--path", "http://192.0.2.1/"], "is no http:// on this machine"),
        (["http://192.0.2.1/"], "is no http:// on this machine"),
        (["http://127.0.0.1:9/"], "is no good: Connection refused. Nothing was measured."),
        (["--header", "nonsense"], "'nonsense' is not of the form 'Name: value'"),
        (["http://127.0.0.1:9/", "--path", "/x"], "an address has its path in it"),
    ],
)
def test_what_cannot_be_measured(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["compare.py", *arguments])
    monkeypatch.setattr(compare, "leave_nothing", lambda: None)  # not these tests
    with pytest.raises(SystemExit) as end:
        sys.exit(compare.main())
    said = "".join(capsys.readouterr()) + str(end.value)
    assert message in said and end.value.code


def test_one_locust_cannot_be_many_users(monkeypatch, capsys):
    """Who ask an address that responds in no time."""
    line = "compare.py http://127.0.0.1:9000/ --users 9999"
    monkeypatch.setattr(sys, "argv", line.split())
    monkeypatch.setattr(compare, "leave_nothing", lambda: None)
    with responding(b"HTTP/1.1 200 OK\r\n\r\n", 9000):
        assert compare.main() == 1
    assert "and one Locust can ask some 1500 times.\n" in capsys.readouterr().out


def test_a_row_that_is_refused_does_not_end_the_others(monkeypatch, capsys):
    """Its sentence stands below it, and its command only once."""
    refusal = compare.Refusal("It has exited by itself, with code 3. It said:\n    x")
    measure = mock.Mock(side_effect=[refusal, GOOD])
    monkeypatch.setattr(compare, "measure", measure)
    assert compare.table(ROWS[:2], 4, 5, None, ())
    first, second = map(str, ROWS[:2])
    said = capsys.readouterr().out
    assert said.startswith(f"{first}\n  {refusal}\n{second}\n█") and "4.0" in said


@pytest.mark.parametrize("status, hint", [("401", "--header '"), ("404", "--path /")])
def test_a_status_that_an_option_may_help_against(monkeypatch, capsys, status, hint):
    refusal = compare.Refusal(f"http://127.0.0.1:8000/ is no good: {status}.")
    monkeypatch.setattr(compare, "measure", mock.Mock(side_effect=refusal))
    assert compare.table(ROWS[:1], 4, 5, None, ())
    assert hint in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    "option, said",
    [
        ("-S", "Locust is missing. Activate the environment: . .venv"),
        ("-P", "measure.py was not found. If it is there, type: unset PYTHONSAFEPATH"),
    ],
)
def test_without_the_environment(option, said):
    command = [sys.executable, option, "compare.py"]
    result = subprocess.run(command, cwd=ROOT, check=False, **PIPES)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith(said)


def test_nobody_reads_on():
    """As in `python compare.py | head -1`, but before the first line."""
    with subprocess.Popen([sys.executable, "compare.py"], cwd=ROOT, **PIPES) as process:
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait() == 1


@pytest.mark.parametrize(
    "kind, before, code",
    [
        (signal.SIGINT, "importing", -signal.SIGINT),
        (signal.SIGTERM, "wsgi$ gunicorn -w 4 slow_app:app", 128 + signal.SIGTERM),
    ],
)
def test_a_signal_leaves_neither_a_server_nor_a_traceback(tmp_path, kind, before, code):
    """While Locust is imported, and when a row has begun; `nothing_is_left` looks."""
    env = dict(os.environ)
    if before == "importing":
        (tmp_path / "locust").mkdir()
        text = "import time; print('importing', flush=True); time.sleep(20)"
        (tmp_path / "locust" / "__init__.py").write_text(text)
        env["PYTHONPATH"] = str(tmp_path)
    command = [sys.executable, "compare.py", SYNC]
    with subprocess.Popen(command, cwd=ROOT, env=env, **PIPES) as process:
        assert any(line.strip() == before for line in process.stdout)
        process.send_signal(kind)
        assert process.communicate(timeout=20)[1] == "" and process.returncode == code


def make(folder, *arguments):
    """Run make in `folder`; return what it prints, and whether it was content."""
    command = ["make", *arguments]
    made = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
    return made.stdout, made.returncode == 0


def test_make_sets_up_what_is_missing_or_old(copy):
    """Without installing anything: `make -n` prints what it would do."""
    assert "pip install" in make(copy, "-n", "compare")[0]
    (copy / ".venv").mkdir()
    for name in ("for-compare", "for-test"):
        (copy / ".venv" / name).touch()
    assert "pip install" not in make(copy, "-n", "compare", "test")[0]
    for file in ("requirements.txt", "constraints.txt"):
        os.utime(copy / file, (2e9, 2e9))
        assert "pip install" in make(copy, "-n", "compare")[0]
        os.utime(copy / file, (1e9, 1e9))


OLD = "#!/bin/sh\nexit 1\n"
PIP = '#!/bin/sh\n[ "$1" = -c ] && exit; echo "{}" >&2; exit 1\n'


@pytest.mark.parametrize(
    "there, python, said",
    [
        (False, OLD, "needs Python 3.11 or newer, and {} is not: rm -rf .venv"),
        (True, OLD, "needs Python 3.11 or newer, and .venv/bin/python is not: rm -rf"),
        (True, PIP.format("connection broken"), "Are you offline? Then nothing is broken:"),
        (True, PIP.format("No module named pip"), "named pip\nTo make .venv anew: rm"),
    ],
)  # fmt: skip
def test_make_says_why_it_cannot_set_up(copy, there, python, said):
    """A .venv that is there may be another Python's; one that is not is not made."""
    program = copy / (".venv/bin/python" if there else "py thon")
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(python)
    program.chmod(0o755)
    printed, content = make(copy, "compare", f"PYTHON={program}")
    assert said.format(program) in printed and not content
    assert (copy / ".venv").exists() is there
