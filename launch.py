"""Starts a server, waits until it serves, and leaves nothing of it behind."""

import atexit
import contextlib
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
from mirakuru import AlreadyRunning, ProcessExitedWithError, TCPExecutor, TimeoutExpired
from mirakuru.base import ENV_UUID, cleanup_subprocesses

from burst import address, ask

ROOT = Path(__file__).resolve().parent
HERE = address("/")  # where a server is, if nobody says something else
# At an exit it would kill others' servers with this process id's digits in their marks.
atexit.unregister(cleanup_subprocesses)


class Refusal(SystemExit):
    """A sentence that says why one server cannot be measured; another one perhaps can."""


def allow_files(number):
    """Let this process and its servers open that many files, if the system lets them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < number:  # -1 stands for no limit
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))


def started(server=None):
    """Return the processes that a Server, or else this program, has started, and theirs.

    A daemon has left its parent, but not mirakuru's mark in its environment.
    """
    mark = server.envvars[ENV_UUID] if server else f"{os.getpid()}:"
    parent = server.process if server else psutil.Process()
    found = set()
    if parent:  # else mirakuru has seen it exit
        with contextlib.suppress(psutil.Error):
            found.update(psutil.Process(parent.pid).children(recursive=True))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # another user's, or it has just exited
            if process.environ().get(ENV_UUID, "").startswith(mark):
                found.add(process)
    return found


def kill_started(server=None):
    """Kill what started() finds, and then what those have started in the meantime."""
    for _ in range(3):
        for process in started(server):
            with contextlib.suppress(psutil.Error):
                process.kill()


def leave_nothing():
    """Let Ctrl-C, a closed terminal and the like kill all that was started, at any time."""

    def end(number, _):
        kill_started()
        os._exit(128 + number)

    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(kind, end)


def listening(port, processes=None):
    """Return those of psutil's `processes`, or of all, that listen on the `port`."""
    found = []
    for process in psutil.process_iter() if processes is None else processes:
        with contextlib.suppress(psutil.Error):  # another user's, or it has just exited
            sockets = process.net_connections("tcp")
            if any(s.status == "LISTEN" and s.laddr.port == port for s in sockets):
                found.append(process)
    return found


def whose(port):
    """Return in words which process listens on the `port`, and what stops it."""
    for process in listening(port):
        with contextlib.suppress(psutil.Error):
            stop = f"Press Ctrl-C in its terminal, or type: kill {process.pid}"
            if process.status() == psutil.STATUS_STOPPED:  # by Ctrl-Z: it obeys nobody
                stop = f"It was paused by Ctrl-Z. Type: kill -KILL {process.pid}"
            return f"process {process.pid}:\n    {shlex.join(process.cmdline())}\n{stop}"
    return "a process of another user, or by one that has just exited."


class Server(TCPExecutor):
    """A server that obeys its command line only; its programs are this environment's."""

    obeyed = re.compile(r"GUNICORN_.*|UVICORN_.*|PORT|WEB_CONCURRENCY")
    first = 0.0  # seconds until its first response

    @property
    def envvars(self):
        """What mirakuru passes on, without the variables that a server would obey."""
        kept = {k: v for k, v in super().envvars.items() if not self.obeyed.fullmatch(k)}
        programs = Path(sys.executable).parent
        return kept | {"PATH": f"{programs}:{kept.get('PATH', os.defpath)}"}

    def pre_start_check(self):
        """Return whether somebody listens on the port, even if his queue is full."""
        try:
            socket.create_connection((self.host, self.port), timeout=2).close()
        except TimeoutError:
            return True
        except OSError:
            return False
        return True

    def trouble(self, url, headers):
        """Start it; return None if it serves `url` within 20 seconds, else why not."""
        try:
            self.start()
        except AlreadyRunning:  # and so it will be for every other server
            who = whose(self.port)
            sys.exit(f"Nothing was started: port {self.port} is taken by {who}")
        except OSError as error:  # no such folder, no such command
            why = f"{error.strerror}: {error.filename}" if error.filename else error
            return f"Nothing was started: {why}"
        except ProcessExitedWithError as error:
            return f"It has exited by itself, with code {error.exit_code}."
        except TimeoutExpired:
            return f"Nothing listens on port {self.port} after 20 seconds."
        begin = time.monotonic()
        if not listening(self.port, started(self)):
            who = whose(self.port)
            return f"Not this, but another program listens on port {self.port}: {who}"
        wrong = ask(url, headers, timeout=20)
        self.first = time.monotonic() - begin
        return f"{url.geturl()} is no good: {wrong}." if wrong else None

    def end(self):
        """Kill it and all that it started; return when its port is free, in 5 s at most."""
        until = time.monotonic() + (5 if self.process else 0)  # else the port is another's
        kill_started(self)
        self.kill()
        while self.pre_start_check() and time.monotonic() < until:
            time.sleep(0.1)  # many threads take a moment to exit, and hold the port


def said(log):
    """Return the lines of a server's `log` up to its first error, or its last lines."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - 100_000))
    text = re.sub(r"\x1b\[[\d;]*m", "", log.read().decode(errors="replace"))  # no colours
    lines = text.splitlines()
    errors = [n for n, line in enumerate(lines, 1) if re.match(r"\w+Error\b|Failed", line)]
    last = errors[0] + 2 if errors else len(lines)  # and what it says after its name
    return "\n    ".join([" It said:", *lines[max(0, last - 8) : last]]) if lines else ""


@contextlib.contextmanager
def running(folder, command, url=HERE, headers=()):
    """Run the server while the block lasts; yield it, a Server.

    Exits with a Refusal, and with what the server said, if it does not serve `url`, which
    comes from address(), or if it has stopped when the block is over.
    """
    with tempfile.TemporaryFile() as log:
        how = {"cwd": folder, "timeout": 20, "stdout": log, "stderr": log}
        server = Server(shlex.split(command), url.hostname, url.port or 80, **how)
        try:
            if trouble := server.trouble(url, headers):
                raise Refusal(f"{trouble}{said(log)}")
            yield server
            if not listening(server.port, started(server)):
                raise Refusal(f"It has stopped by itself.{said(log)}")
        finally:
            server.end()
