"""burst.py and silent_clients.py: what they draw, and a sentence for each mistake."""

import subprocess
import sys

import pytest
from support import ROOT, serve

PROGRAMS = {
    name: [sys.executable, ROOT / f"{name}.py"] for name in ("burst", "silent_clients")
}


def run(program, *arguments):
    """Run the program to its end; return its exit code, and what it has printed."""
    command = [*PROGRAMS[program], *arguments]
    ended = subprocess.run(command, capture_output=True, check=False, text=True)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout + ended.stderr


ECHO = """
def app(environ, start_response):
    found = [environ["QUERY_STRING"], environ["PATH_INFO"], environ.get("HTTP_LOGIN")]
    good = found == ["x=1&y=é", "/a b", "me"]
    away = environ["PATH_INFO"] == "/away"
    status = "302 Found" if away else "200 OK" if good else "404 Not Found"
    start_response(status, [("Location", "http://192.0.2.1/")])
    return []
"""


def test_a_path_a_header_and_another_port(tmp_path):
    """A redirect is not followed; an error is drawn like any other response."""
    (tmp_path / "main.py").write_text(ECHO.replace("é", "%C3%A9"))
    address = "http://localhost:9000"
    command = "gunicorn --threads 3 --bind 127.0.0.1:9000 main:app"
    with serve(str(tmp_path), command, url=f"{address}/away", status="302"):
        path = f"{address}/a b?x=1&y=é"
        assert run("burst", "2", path, "--header", "Login: me") == (0, " 0.0 s\n" * 2)
        assert run("burst", "2", f"{address}/away") == (0, " 0.0 s\n" * 2)
        assert run("burst", "3", path) == (1, " 0.0 s  404\n" * 3)


def test_a_server_that_hangs_up_is_drawn(tmp_path):
    """The worker dies: each request in progress has its line, and says why."""
    (tmp_path / "main.py").write_text("""
import os

def app(environ, start_response):
    if environ["PATH_INFO"] == "/die":
        os._exit(1)
    start_response("200 OK", [])
    return []
""")
    with serve(str(tmp_path), "gunicorn main:app"):
        code, said = run("burst", "1", "/die")
    assert code == 1 and said.count("\n") == 1
    assert "reset" in said or "closed" in said


@pytest.mark.parametrize(
    "line, message",
    [
        ("burst", "http://127.0.0.1:8000/: Connection refused. Does a server run there?"),
        ("burst 3 http://127.0.0.1:9/x", "http://127.0.0.1:9/x: Connection refused"),
        ("burst 0", "python burst.py 12 /"),
        ("burst 1001", "python burst.py 12 /"),
        ("burst many", "invalid int value: 'many'"),
        ("burst 3 http://example.com/", "is not on this machine"),
        ("burst 3 https://127.0.0.1:8000/", "is not on this machine"),
        ("burst 3 / --header nonsense", "--header"),
        ("burst 1 http://127.0.0.1:99999/", "Port out of range"),
        ("silent_clients", "how_many"),
        ("silent_clients many", "invalid int value: 'many'"),
        ("silent_clients 0", "python silent_clients.py 4"),
        ("silent_clients 4 --port 99999", "python silent_clients.py 4"),
        ("silent_clients 4", "Does a server listen at port 8000?"),
    ],
)
def test_a_sentence_for_each_mistake(line, message):
    code, said = run(*line.split())
    assert code != 0 and message in said
