"""Starts a server for a measurement, and leaves nothing of it behind."""

import contextlib
import http.client
import os
import re
import resource
import shlex
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PORT = 8000
START_LIMIT = 20  # seconds in which a server must have responded
SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT


def whose(port):
    """Return the end of a sentence: which process uses the local `port`, what ends it."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # another user's, or it has just ended
            if any(c.laddr.port == port for c in process.net_connections("tcp")):
                command = shlex.join(process.cmdline())
                end = f"Press Ctrl-C in its terminal, or type: kill {process.pid}"
                return f"process {process.pid}:\n    {command}\n{end}"
    return "a process that has ended since, or another user's."


def check_port(seconds=0):
    """Exit with a sentence if PORT is taken, or if a request comes within the `seconds`."""
    nothing = f"Nothing was started: port {PORT} is"
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            sys.exit(f"{nothing} taken by {whose(PORT)}")
    with socket.create_server(("127.0.0.1", PORT)) as door:
        door.settimeout(seconds)
        with contextlib.suppress(OSError):  # nobody comes
            visitor, (_, port) = door.accept()
            with visitor:
                sys.exit(f"{nothing} under another load, from {whose(port)}")


def allow_files(users):
    """Let this process and its servers open a file for each user, or exit and say so."""
    needed, hard = users + 200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except ValueError:
        sys.exit(
            f"Nothing was started: {users} users take {needed} open files, and in this\n"
            f"terminal a process may have {hard}. Open a new terminal, or take fewer:\n"
            f"    --users {max(1, hard - 200)}"
        )


def fail(server, what):
    """Exit with a sentence on `what` the server did, and its first error or last lines."""
    server.log.seek(0)
    lines = server.log.read().splitlines()
    errors = [n for n, line in enumerate(lines, 1) if re.match(r"\w+Error\b", line)]
    last = [*errors, len(lines)][0]
    said = "\n    ".join(lines[max(0, last - 8) : last])
    sys.exit(f"\n{shlex.join(server.args[2:])}\n{what}. It said:\n    {said}")


def wait(seconds, server, what="", later=0):
    """Wait some `seconds`; exit with a sentence if the `server` ends meanwhile.

    On a terminal a bar says `what` goes on, and what is left with the `later` seconds.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if what and sys.stdout.isatty():
            bar = "#" * round(20 * (1 - left / seconds))
            text = f"{bar:.<20} {what}, about {left + later:.0f} s to the end"
            text = text[: os.get_terminal_size().columns - 1]
            print(f"\r\033[K{text}", end="\r", flush=True)
        time.sleep(min(0.1, left))
        if server.poll() is not None:
            fail(server, "ended by itself")


def end(server):
    """End a process and all that it has started, after two seconds by force."""
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):  # it has ended; its workers may not
        family = [server, *server.children(recursive=True)]
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(server.pid, kind)
            psutil.wait_procs(family, 2)


@contextlib.contextmanager
def running(folder, command):
    """Start the server, yield its process as soon as it responds at PORT, then end it.

    Exits with a sentence if it cannot start. What gunicorn and uvicorn would obey besides
    the `command`, variables and a gunicorn.conf.py in the `folder`, changes nothing.
    """
    check_port()
    if not (ROOT / folder).is_dir():
        sys.exit(
            f"The folder {folder}/ is missing. Bring it back: git restore {folder}"
        )
    obeyed = ("GUNICORN_", "UVICORN_", "PORT", "WEB_CONCURRENCY")
    env = {k: v for k, v in os.environ.items() if not k.startswith(obeyed)}
    env["GUNICORN_CMD_ARGS"] = "--config python:__future__ --no-control-socket"
    with (
        tempfile.TemporaryFile("w+", errors="replace") as log,
        open(os.devnull) as null,
    ):
        arguments = [sys.executable, "-m", *shlex.split(command)]
        streams = {"stdin": null, "stdout": log, "stderr": log}
        place = {"cwd": ROOT / folder, "env": env, "start_new_session": True}
        server = psutil.Popen(arguments, **streams, **place)
        server.log = log
        try:
            status, until = None, time.monotonic() + START_LIMIT
            while not status:
                wait(0.1, server)
                if time.monotonic() > until:
                    fail(server, f"gave no response in {START_LIMIT} seconds")
                with contextlib.suppress(OSError, http.client.HTTPException):
                    client = http.client.HTTPConnection("127.0.0.1", PORT, timeout=3)
                    client.request("GET", "/")
                    status = client.getresponse().status
            if status >= 400:
                fail(server, f"responded with status {status}")
            yield server
        finally:
            end(server)


def stop(number, frame):
    """Exit with 128 + the signal's number; further signals do not disturb the end."""
    for kind in SIGNALS:
        signal.signal(kind, signal.SIG_IGN)
    print("\nStopped; what had been started is being ended.", file=sys.stderr)
    sys.exit(128 + number)


@contextlib.contextmanager
def leaving_nothing():
    """Let signals end the block in an orderly way, and end every process that is left."""
    for kind in SIGNALS:
        if signal.getsignal(kind) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(kind, stop)
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # | head: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        for child in psutil.Process().children():
            end(child)
