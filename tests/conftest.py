"""The same start for every test: no variable of the reader's, nobody at the ports."""

import os
import signal
import socket
import sys

import pytest


def pytest_configure():
    """Let no variable and no way of starting the tests matter; this .venv comes first."""
    obeyed = ("GUNICORN_", "UVICORN_", "LOCUST_", "PORT", "WEB_CONCURRENCY", "MAKE")
    for name in [name for name in os.environ if name.startswith(obeyed)]:
        del os.environ[name]
    for kind in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        # A job in the background, or under nohup, has them ignored by all it starts.
        if signal.getsignal(kind) is signal.SIG_IGN:
            signal.signal(kind, signal.SIG_DFL)
    os.environ["PATH"] = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"


def pytest_collection_finish(session):
    """End with a sentence if somebody else's server would be tested."""
    for port in (8000, 8080, 8089):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0 and session.items:
                pytest.exit(f"Port {port} is taken. End what listens there first.", 1)
