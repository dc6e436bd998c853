"""Measures what one more request in progress costs, in memory and in processor time.

python -m tools.costs      prints a table and draws docs/images/costs.svg, in 90 seconds

It needs requirements-dev.txt.
"""

import math
import sys
import time
from typing import NamedTuple

import matplotlib.pyplot as plt
import psutil

from compare import Row, versions, visiting
from server import ROOT, URL, allow_files, leave_nothing, running

USERS = 10, 1000
SECONDS = 3  # counted for each number of users
ROWS = {
    "4 processes": Row("wsgi", "gunicorn -w 4 slow_app:app", 4),
    "40 processes": Row("wsgi", "gunicorn -w 40 slow_app:app", 40),
    "threads": Row("wsgi", "gunicorn -w 4 --threads 400 slow_app:app", 1600),
    "greenlets": Row("wsgi", "gunicorn -k gevent slow_app:app", 1000),
    "event loop": Row("asgi", "uvicorn slow_app:app", math.inf),
}
LINE = "{:>12}{:>10}{:>14}{:>14}{:>10}"
HEAD = LINE.format("RPS", "CPU (ms)", "MB (10 users)", "MB (1,000)", "kB each")
INK = "#123456"  # in the picture: dark on a light page, light on a dark one
STYLE = "svg{color:#1f2328} @media (prefers-color-scheme:dark){svg{color:#f0f6fc}}"


class Cost(NamedTuple):
    """What a number of users get from a server, and cost it."""

    rate: float  # requests per second
    in_progress: int  # requests
    processor: float  # seconds for each request
    memory: float  # megabytes, of all processes together


def processor(family):
    """Return the seconds of processor time that the processes have used."""
    times = [process.cpu_times() for process in family]
    return sum(time.user + time.system for time in times)


def memory(family):
    """Return the megabytes of the processes: what several share is divided among them.

    Linux calls that proportional set size. On macOS it is what they do not share.
    """
    infos = [process.memory_full_info() for process in family]
    return sum(getattr(info, "pss", info.uss) for info in infos) / 1e6


def cost(row, users):
    """Return the Cost of that many users; exit with a sentence if they are not served."""
    with running(ROOT / row.folder, row.command) as server:
        time.sleep(1.5)  # until every worker has started
        with visiting(users, URL) as locust:
            time.sleep(2.5)  # until everybody has a slot, or is in the queue
            master = psutil.Process(server.process.pid)
            family = [master, *master.children(recursive=True)]
            locust.stats.reset_all()
            used = processor(family)
            time.sleep(SECONDS)
            used, served = processor(family) - used, locust.stats.num_requests
            errors = [error.error for error in locust.stats.errors.values()]
            if errors or not served:
                why = errors[0] if errors else "nobody got a response"
                sys.exit(f"{users} users: {why}. Nothing was drawn.")
            slots = min(users, row.slots)
            return Cost(served / SECONDS, slots, used / served, memory(family))


def show(costs, few, many):
    """Print the costs of a row, and what one more request takes if `few` become `many`."""
    ticks = many.rate * SECONDS > 200  # or too few of them, because one is 10 ms
    each = f"{1000 * many.processor:.2f}" if ticks else "-"
    more = many.in_progress - few.in_progress
    kilobytes = f"{1000 * (many.memory - few.memory) / more:,.1f}" if more else "-"
    megabytes = [f"{cost.memory:.1f}" for cost in costs]
    print(LINE.format(f"{many.rate:,.1f}", each, *megabytes, kilobytes), flush=True)


def draw(lines, path):
    """Draw memory over requests in progress, from {name: two Costs}."""
    colors = "text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"
    plt.rcParams.update(dict.fromkeys(colors, INK) | {"font.size": 12})
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": ""})
    figure, plot = plt.subplots(figsize=(4, 3.4))
    for name, (few, many) in lines.items():
        end = many.in_progress, many.memory
        plot.plot((few.in_progress, end[0]), (few.memory, end[1]), "o-")
        plot.annotate(name, end, xytext=(8, -4), textcoords="offset points")
    plot.set(xlabel="requests in progress", ylabel="MB", xlim=0, ylim=0)
    plot.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None}, transparent=True, bbox_inches="tight")
    svg = path.read_text().replace(INK, "currentColor")
    path.write_text(svg.replace("<defs>", f"<style>{STYLE}</style><defs>", 1))


def main():
    """Print the table and draw the picture; exit with a sentence if that cannot be."""
    leave_nothing()
    allow_files(USERS[-1] + 200)
    print(f"{versions()}\n\n{HEAD}")
    costs = {}
    for name, row in ROWS.items():
        print(row, flush=True)
        few, many = costs[name] = [cost(row, users) for users in USERS]
        if "processes" in name:  # their memory is taken before anybody asks
            few = costs["4 processes"][-1]
        show(costs[name], few, many)
    processes = [costs.pop("4 processes")[-1], costs.pop("40 processes")[-1]]
    draw({"processes": processes} | costs, ROOT / "docs" / "images" / "costs.svg")


if __name__ == "__main__":
    sys.exit(main())
