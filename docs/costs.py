"""python docs/costs.py: what a waiting request costs, in memory and in processor time.

Six servers under 10, 100 and 1,000 users, in five minutes. It prints two tables and draws
docs/costs.svg. It needs requirements-dev.txt.
"""

import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import compare

USERS = 10, 100, 1000
SERVERS = [  # folder, command, slots
    ("wsgi", "gunicorn -w 4 slow_app:app", 4),
    ("wsgi", "gunicorn -w 4 --threads 10 slow_app:app", 40),
    ("wsgi", "gunicorn -w 4 --threads 400 slow_app:app", 1600),
    ("asgi", "gunicorn -w 4 -k asgi slow_app:app", math.inf),
    ("asgi", "gunicorn slow_app:app -w 4 -k uvicorn_worker.UvicornWorker", math.inf),
    ("asgi", "uvicorn slow_app:app", math.inf),
]
PROCESSES = ("wsgi", "gunicorn -w 100 slow_app:app", 100)  # a thousand ask too much


def memory(server):
    """Return the bytes of memory of the process `server` and all that it has started.

    What processes share is divided among them (Linux: the proportional set size), or
    not counted (macOS: the unique set size).
    """
    main = psutil.Process(server.pid)
    infos = [p.memory_full_info() for p in [main, *main.children(recursive=True)]]
    return sum(getattr(info, "pss", info.uss) for info in infos)


def processor(server):
    """Return the seconds of processor time that `server` and its workers have used."""
    main = psutil.Process(server.pid)
    times = [p.cpu_times() for p in [main, *main.children(recursive=True)]]
    return sum(t.user + t.system for t in times)


def costs(row, users):
    """Measure one `row` of SERVERS under `users`.

    Returns requests per second, median in ms (None if the queue grew to the end),
    processor ms per request (None if too few were counted), bytes of memory idle, and
    with users waiting.
    """
    seen = []

    def watch(server):
        seen.append((memory(server), processor(server)))

    stats, rate, full = compare.measure(row, users, 5, watch=watch)
    total = stats["stats"][-1]
    (idle, _), (_, begun), (waiting, ended) = seen
    used, number = 1000 * (ended - begun), total["num_requests"]
    each = used / number if number >= 100 else None  # the clock ticks in 10 ms
    return rate, total["median_response_time"] if full else None, each, idle, waiting


def draw(rates, target):
    """Draw requests per second over users: {command: [a rate for each of USERS]}."""
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 11})
    figure, plot = plt.subplots(figsize=(8.5, 4.4))
    for (folder, command, slots), mark in zip(SERVERS, "os^Dv*", strict=True):
        label = f"{folder}$ {command}"
        (line,) = plot.plot(USERS, rates[command], f"{mark}-", label=label, alpha=0.7)
        points = sorted({*USERS, min(slots, USERS[-1])})
        ceiling = [min(slots, users) / compare.WAIT for users in points]
        plot.plot(points, ceiling, "--", color=line.get_color(), linewidth=1)
    plot.set(xscale="log", yscale="log", xlabel="users", ylabel="requests per second")
    plot.set(xticks=USERS, xticklabels=USERS, yticks=[1, 10, 100, 1000])
    plot.set(yticklabels=[1, 10, 100, 1000], ylim=(1, 2000))
    plot.spines[["top", "right"]].set_visible(False)
    plot.legend(fontsize=9, frameon=False, loc="upper left")
    plot.set_title("measured (marks) and predicted (dashed)", fontsize=11)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


def main():
    """Print both tables and draw; a sentence instead, if something is in the way."""
    rates, held = {}, {}
    print(f"{compare.CORES} cores; {compare.versions()}\n")
    print(
        "{:>7}{:>9}{:>13}{:>17}".format("Users", "RPS", "Median (ms)", "Processor (ms)")
    )
    for row in [*SERVERS, PROCESSES]:
        print("{}$ {}".format(*row), flush=True)
        rates[row[1]] = []
        for users in USERS if row != PROCESSES else USERS[:2]:
            rate, median, each, idle, waiting = costs(row, users)
            median = f"{median:,.0f}" if median else "growing"
            each = f"{each:.2f}" if each else "-"
            print(f"{users:7,}{rate:9,.1f}{median:>13}{each:>17}", flush=True)
            rates[row[1]].append(rate)
        if row[2] >= users:
            held[row] = idle, waiting, users
    draw(rates, ROOT / "docs" / "costs.svg")

    # A process costs as much when it idles, so a single one is what to compare with.
    alone = costs(("wsgi", "gunicorn slow_app:app", 1), 1)[3]
    held[PROCESSES] = alone, held[PROCESSES][1], PROCESSES[2]
    columns = "Waiting", "Idle (MB)", "Then (MB)", "One (kB)"
    print("\n{:>9}{:>12}{:>13}{:>13}".format(*columns))
    for row, (idle, waiting, number) in held.items():
        more = number - (row == PROCESSES)  # requests more than in the idle one
        one = (waiting - idle) / more
        print("{}$ {}".format(*row))
        print(f"{number:9,}{idle / 1e6:12.1f}{waiting / 1e6:13.1f}{one / 1e3:13.1f}")


if __name__ == "__main__":
    compare.note_signals()
    try:
        main()
    except compare.Trouble as trouble:
        sys.exit(f"\n{trouble}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Every process it had started is gone.")
