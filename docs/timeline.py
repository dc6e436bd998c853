"""python docs/timeline.py: measures and draws docs/timeline.svg, in half a minute.

Twelve requests at once to four sync workers, then to an event loop, each of which waits
a second. It needs requirements-dev.txt.
"""

import sys
import tempfile
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import compare

SERVERS = [
    ("wsgi", "gunicorn -w 4 slow_app:app", "four workers: a staircase"),
    ("asgi", "uvicorn slow_app:app", "one event loop: a wall"),
]
REQUESTS = 12


def twelve_at_once():
    """Return the seconds that each of REQUESTS requests at once takes, sorted."""
    times, begin = [], time.monotonic()

    def ask():
        compare.direct.open("http://127.0.0.1:8000/").read()
        times.append(time.monotonic() - begin)

    clients = [threading.Thread(target=ask) for _ in range(REQUESTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sorted(times)


def draw(times, target):
    """Draw the measured `times`, a list for each of SERVERS, into the file `target`."""
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 11})
    figure, panels = plt.subplots(1, 2, figsize=(8.5, 3.4), sharex=True, sharey=True)
    for panel, (folder, command, title), ends in zip(
        panels, SERVERS, times, strict=True
    ):
        numbers = range(1, REQUESTS + 1)
        starts = [max(0, end - compare.WAIT) for end in ends]
        panel.barh(numbers, starts, color="#d0d7de", label="waits for a worker")
        served = [end - start for start, end in zip(starts, ends, strict=True)]
        panel.barh(numbers, served, left=starts, color="#1a7f37", label="is served")
        panel.set_title(f"{title}\n{folder}$ {command}", fontsize=11)
        panel.set_xlabel("seconds")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("request")
    panels[0].set(xticks=range(4), yticks=range(1, REQUESTS + 1))
    panels[0].invert_yaxis()
    panels[1].legend(loc="center right", frameon=False)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


def main():
    """Measure both servers and draw; a sentence instead, if port 8000 is taken."""
    if not compare.is_free(compare.PORT):
        sys.exit(compare.TAKEN)
    times = []
    for folder, command, _ in SERVERS:
        home = tempfile.mkdtemp()
        with compare.running(command, ROOT / folder, home) as server:
            compare.ask(server, compare.PORT)
            times.append(twelve_at_once())
        print(f"{folder}$ {command}:", *(f"{t:.2f}" for t in times[-1]))
    draw(times, ROOT / "docs" / "timeline.svg")


if __name__ == "__main__":
    main()
