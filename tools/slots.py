"""Counts the slots of a view: how many of a hundred requests at once come back together.

python -m tools.slots                                    a table of the frameworks' views
python -m tools.slots '../shop$ uvicorn main:app' /orders    your own

The table needs requirements-frameworks.txt and takes a minute.
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import urlsplit

from burst import ask
from server import ROOT, ROW, address, allow_files, leave_nothing, running

VIEWS = [
    ("wsgi$ gunicorn flask_app:app", "/"),
    ("wsgi$ gunicorn --threads 40 flask_app:app", "/"),
    ("wsgi$ gunicorn --threads 40 flask_app:app", "/async"),
    ("wsgi$ gunicorn django_app:app", "/"),
    ("wsgi$ gunicorn --threads 40 django_app:app", "/"),
    ("wsgi$ gunicorn --threads 40 django_app:app", "/async"),
    ("asgi$ uvicorn django_app:app", "/"),
    ("asgi$ uvicorn django_app:app", "/async"),
    ("asgi$ uvicorn fastapi_app:app", "/def"),
    ("asgi$ uvicorn fastapi_app:app", "/"),
]
REQUESTS = 100


def slots(times, single):
    """Return how many of the `times` belong to the first wave, or None if that is unclear.

    A wave is as long as a `single` request takes; all in seconds.
    """
    after = [(seconds - times[0]) / single for seconds in times]
    if any(0.35 < waves < 0.65 for waves in after):
        return None
    return sum(waves < 0.5 for waves in after)


def count(folder, command, path):
    """Return the slots of the view at `path`; exit with a sentence if it has none to see."""
    url, times = urlsplit(address(path)), []
    with ThreadPoolExecutor(REQUESTS) as clients, running(folder, command, url.geturl()):
        start = time.monotonic()
        ask(url, {}, timeout=20)
        single = time.monotonic() - start
        if single < 0.1:
            sys.exit(f"{path} takes {1000 * single:.0f} ms, too short to see who queues.")
        start = time.monotonic()
        requests = [clients.submit(ask, url, {}, timeout=60) for _ in range(REQUESTS)]
        for request in as_completed(requests):
            times.append(time.monotonic() - start)
            status = request.result()
            if isinstance(status, str) or status >= 400:
                sys.exit(f"{path}: of {REQUESTS} at once one failed: {status}")
            if times[-1] - times[0] > 0.8 * single:  # the next wave
                break
    found = slots(times, single)
    if found is None:
        sys.exit(f"{path}: the responses come in no clear waves. Is this machine busy?")
    return found


def main():
    """Print a row for each view, or for the one that the command line names."""
    parser = argparse.ArgumentParser(description="Count the slots of a view.")
    parser.add_argument("server", nargs="?", help="'folder$ command'; else: a table")
    parser.add_argument("path", nargs="?", default="/", help="default: /")
    options = parser.parse_args()
    views = [(options.server, options.path)] if options.server else VIEWS
    leave_nothing()
    allow_files(REQUESTS + 100)
    print(f"{'view':8} {'of 100 at once':>15}  server")
    for server, path in views:
        found = ROW.fullmatch(server)
        if not found:
            parser.error("name a folder and a command: 'asgi$ uvicorn slow_app:app'")
        base = Path() if options.server else ROOT
        number = count(base / found[1], found[2], path)
        print(f"{path:8} {number:15}  {server}", flush=True)


if __name__ == "__main__":
    main()
