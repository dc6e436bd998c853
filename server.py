"""Runs a server while something is measured, and leaves nothing of it behind."""

import contextlib
import os
import re
import resource
import shlex
import signal
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import psutil
from mirakuru import AlreadyRunning, ExecutorError, TCPExecutor

ROOT = Path(__file__).resolve().parent
URL = "http://127.0.0.1:8000/"
ROW = re.compile(r"(.*?)\$ *(.+)")  # folder$ command, as the pages print it
OBEYED = r"GUNICORN_.*|UVICORN_.*|PORT|WEB_CONCURRENCY"  # by servers, besides the command

for name in [name for name in os.environ if re.fullmatch(OBEYED, name)]:
    del os.environ[name]
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"


def leave_nothing():
    """Let Ctrl-C, a closed terminal and the like end all that was started, at any moment."""

    def end(number, frame):
        for child in psutil.Process().children():
            with contextlib.suppress(ProcessLookupError):  # not the first of its group
                os.killpg(child.pid, signal.SIGKILL)
        os._exit(128 + number)

    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(kind, end)


def allow_files(number):
    """Let this process and its servers open that many files, if the system lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < number:  # -1 stands for no limit
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))


def whose(port):
    """Return in words which process listens at the `port`, and what ends it."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # another user's, or it has just ended
            for socket in process.net_connections("tcp"):
                if socket.status == psutil.CONN_LISTEN and socket.laddr.port == port:
                    command = shlex.join(process.cmdline())
                    end = f"Press Ctrl-C in its terminal, or type: kill {process.pid}"
                    return f"process {process.pid}:\n    {command}\n{end}"
    return "a process of another user, or by one that has just ended."


def address(path):
    """Return the address of a `path` at port 8000, or of what is a whole address already."""
    return urljoin(URL, quote(path, safe="/%?=&+,;:@~"))


def status_at(url):
    """Return the status of a response, or 0 if there is none within 20 seconds."""
    place = urlsplit(url)
    client = HTTPConnection(place.hostname, place.port, timeout=20)
    with contextlib.suppress(OSError, HTTPException), contextlib.closing(client):
        client.request("GET", place._replace(scheme="", netloc="").geturl())
        return client.getresponse().status
    return 0


def said(log):
    """Return the lines of a server's `log` up to its first error, or its last lines."""
    log.seek(0)
    lines = log.read().splitlines()
    errors = [n for n, line in enumerate(lines, 1) if re.match(r"\w+Error\b|Failed", line)]
    last = errors[0] if errors else len(lines)
    return "\n    ".join(["It said:", *lines[max(0, last - 8) : last]])


@contextlib.contextmanager
def running(folder, command, url=URL):
    """Run the server while the block lasts; yield it (mirakuru's executor).

    Exits with a sentence if its port is taken; if it does not start, does not respond at
    `url` within 20 seconds, or responds with status 400 or more; if it ends by itself.
    """
    host, port = urlsplit(url).hostname, urlsplit(url).port or 80
    if host not in ("127.0.0.1", "localhost"):
        sys.exit(f"Nothing was started: {url} is not on this machine. {URL} is.")
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        how = {"cwd": folder, "timeout": 20, "stdout": log, "stderr": log}

        def fail(what):
            sys.exit(f"{command}\n{what} {said(log)}")

        try:
            server = TCPExecutor(shlex.split(command), host, port, **how)
        except ValueError as error:  # No closing quotation
            sys.exit(f"Nothing was started: {command}: {error}")

        try:
            try:
                server.start()
            except AlreadyRunning:
                sys.exit(f"Nothing was started: port {port} is taken by {whose(port)}")
            except OSError as error:  # no such folder, no such command
                sys.exit(f"Nothing was started: {error.strerror}: {error.filename}")
            except ExecutorError:  # it has ended, or its 20 seconds are over
                fail(f"Nothing listens at port {port}.")
            status = status_at(url)
            if not status:
                fail(f"{url} gives no response within 20 seconds.")
            if status >= 400:
                fail(f"{url} responds with status {status}.")
            yield server
            if not server.running():
                fail("This has ended by itself.")
        finally:
            until = time.monotonic() + (5 if server.process else 0)
            server.kill()
            while server.pre_start_check() and time.monotonic() < until:
                time.sleep(0.1)  # many threads take a moment to end, and hold the port
