"""burst.py and silent_clients.py: what they draw, and a sentence for each mistake."""

import argparse
import re
import shlex
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import ROOT, responding

import burst

pytestmark = pytest.mark.usefixtures("ports")
GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /login/\r\nContent-Length: 0\r\n\r\n"


def run(line):
    """Run a program to its end; return its exit code, and what it has printed."""
    program, *arguments = shlex.split(line)
    command = [sys.executable, ROOT / f"{program}.py", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "text, url",
    [
        ("/", "http://127.0.0.1:8000/"),
        ("", "http://127.0.0.1:8000/"),
        ("orders?x=1", "http://127.0.0.1:8000/orders?x=1"),
        ("/a b/%20?x=é&y=%C3%A9#z", "http://127.0.0.1:8000/a%20b/%20?x=%C3%A9&y=%C3%A9"),
        ("127.0.0.1:9000/x", "http://127.0.0.1:9000/x"),
        ("localhost", "http://localhost/"),
        ("http://[::1]:9000", "http://[::1]:9000/"),
        ("https://127.0.0.1/", "https://127.0.0.1/ is no http:// on this machine"),
        ("ftp://127.0.0.1/", "is no http:// on this machine"),
        ("http://192.0.2.1/", "is no http:// on this machine"),
        ("//localhost.example/", "is no http:// on this machine"),
        ("http://127.0.0.1:0/", "has no port that can be"),
        ("http://127.0.0.1:99999/", "Port out of range"),
        ("http://127.0.0.1:abc/", "could not be cast to integer"),
        ("http://[::1", "Invalid IPv6 URL"),
    ],
)
def test_an_address_is_on_this_machine_or_a_sentence_says_why_not(text, url):
    try:
        assert burst.address(text).geturl() == url
    except (ValueError, argparse.ArgumentTypeError) as error:
        assert url in str(error)


@pytest.mark.parametrize(
    "response, wrong",
    [
        (GOOD, None),  # a response that has no headers is one
        (b"HTTP/1.1 299 x\r\n\r\nuntil the end", None),
        (MOVED, "302 to /login/"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "304"),
        (b"HTTP/1.1 503 x\r\n\r\n", "503"),
        (b"", "Remote end closed connection without response"),
        (b"SSH-2.0-x\r\n", "no HTTP: SSH-2.0-x"),
        (b" \r\n", "no HTTP:"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "IncompleteRead(3 bytes read"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", "IncompleteRead"),
    ],
)
def test_what_is_wrong_with_a_response(response, wrong):
    with responding(response):
        found = burst.ask(burst.address("/"), timeout=20)
    assert found is wrong or found.startswith(wrong)


def test_bars(monkeypatch, capsys):
    """One for each response, up to 60 blocks; what was wrong stands after the seconds."""
    responses = [(0.04, None), (1.04, None), (7.0, None), (0.2, "503"), (0.0, "302 to /")]
    monkeypatch.setattr(burst, "together", lambda *_: iter(responses))
    assert burst.draw(5, burst.address("/"), ()) == 1
    drawn = [" 0.0 s", "█" * 10 + " 1.0 s", "█" * 60 + " 7.0 s", "██ 0.2 s  503"]
    assert capsys.readouterr().out.splitlines() == [*drawn, " 0.0 s  302 to /"]
    monkeypatch.setattr(burst, "together", lambda *_: iter(responses[:3]))
    assert burst.draw(3, burst.address("/"), ()) == 0


def test_a_burst_with_headers_for_another_port():
    """Nobody gets a response before all three have asked; the last A counts."""

    def respond(listener):
        clients = [listener.accept()[0] for _ in range(3)]
        requests = [client.recv(65536) for client in clients]
        for client in clients:
            client.sendall(MOVED)
            client.close()
        return requests

    line = "burst 3 'localhost:9000/a b?x=1' --header A:0 --header 'A: 1' --header B:2:3"
    with (
        socket.create_server(("127.0.0.1", 9000)) as listener,
        ThreadPoolExecutor() as pool,
    ):
        listener.settimeout(20)
        requests = pool.submit(respond, listener)
        code, said = run(line)
        assert code == 1 and re.fullmatch(r"(█* ?\d+\.\d s  302 to /login/\n){3}", said)
        for request in requests.result():
            first, *headers = request.split(b"\r\n")
            assert first == b"GET /a%20b?x=1 HTTP/1.1"
            assert {b"A: 1", b"B: 2:3"} <= {*headers} and b"A: 0" not in headers


@pytest.mark.parametrize(
    "line, message",
    [
        ("burst", "http://127.0.0.1:8000/: Connection refused. Does a server run there?"),
        ("burst 3 http://127.0.0.1:9/x", "http://127.0.0.1:9/x: Connection refused"),
        ("burst 0", "python burst.py 12 /"),
        ("burst 1001", "python burst.py 12 /"),
        ("burst 3 http://192.0.2.1/", "is no http:// on this machine"),
        ("burst 3 / --header nonsense", "--header"),
        ("nginx/silent_clients 0", "python silent_clients.py 4"),
        ("nginx/silent_clients 4 --port 99999", "python silent_clients.py 4"),
        ("nginx/silent_clients 4", "refused. Does a server listen on port 8000?"),
    ],
)
def test_a_sentence_for_each_mistake(line, message):
    code, said = run(line)
    assert code != 0 and message in said
