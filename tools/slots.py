"""Counts how many of a hundred requests at once a framework's view lets wait together.

python -m tools.slots      prints a row per view and server, in a minute

It needs requirements-frameworks.txt.
"""

import subprocess
import sys

from tools.server import ROOT, allow_files, check_port, leaving_nothing, running

VIEWS = [  # folder, command, path
    ("wsgi", "gunicorn flask_app:app", "/"),
    ("wsgi", "gunicorn --threads 40 flask_app:app", "/"),
    ("wsgi", "gunicorn --threads 40 flask_app:app", "/async"),
    ("wsgi", "gunicorn django_app:app", "/"),
    ("wsgi", "gunicorn --threads 40 django_app:app", "/"),
    ("wsgi", "gunicorn --threads 40 django_app:app", "/async"),
    ("asgi", "uvicorn django_app:app", "/"),
    ("asgi", "uvicorn django_app:app", "/async"),
    ("asgi", "uvicorn fastapi_app:app", "/def"),
    ("asgi", "uvicorn fastapi_app:app", "/"),
]
REQUESTS = 100


def slots(folder, command, path):
    """Return how many of REQUESTS at one moment get their response in the first second."""
    burst = [sys.executable, ROOT / "burst.py", str(REQUESTS), path]
    pipe = {"stdout": subprocess.PIPE, "text": True}
    with running(folder, command), subprocess.Popen(burst, **pipe) as process:
        first = 0
        for line in process.stdout:  # ██████████ 1.0 s
            if round(float(line.split()[1])) > 1:
                break
            first += 1
        process.kill()
    return first


def main():
    """Print the table, or exit with a sentence if something is in the way."""
    with leaving_nothing():
        check_port(seconds=1.2)
        allow_files(REQUESTS)
        print(f"{'view':8} {'of 100 at once':>15}  server")
        for folder, command, path in VIEWS:
            number = slots(folder, command, path)
            print(f"{path:8} {number:15}  {folder}$ {command}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
