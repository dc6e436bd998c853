"""Loads one server with users, counts, and finds out how many slots it works like."""

import argparse
import contextlib
import itertools
import logging
import math
import os
import statistics
import sys
import time
from typing import NamedTuple

import gevent
import psutil
from locust.env import Environment  # patches the standard library: time.sleep(), sockets
from locust.stats import RequestStats

from burst import ask
from launch import Refusal, listening, running, started
from locustfile import Visitor

CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
LONGEST_FILL = 12.5  # seconds for the first responses in a row of the table
PER_LOCUST = 1500  # requests per second, about


class Result(NamedTuple):
    """What was measured. Times are in seconds if nothing else is said."""

    rate: float  # requests per second that got a good response
    mean: float  # of the times of those
    times: list[int]  # the median and the 95th percentile of them, in milliseconds
    errors: list  # Locust's: each has `occurrences` and an `error`
    unserved: int  # users without any response when the counting began
    late: float  # by how much the counting lasted longer than was asked for
    locust: float  # how many cores Locust used; then the server, and its busiest process
    server: float
    process: float
    machine: float  # how many cores were busy, with whatever else was running
    alone: list[float] | None = None  # times without load, if the slots are not known
    inside: float = 0  # users that were waiting for a response, on average
    unfinished: int = 0  # users that never got their last response
    strangers: int = 0  # connections that somebody else had to the server


class Load:
    """Users of locustfile.py who ask for `url` while the block lasts, and what they got."""

    def __init__(self, users, url, headers=()):
        path = url._replace(scheme="", netloc="").geturl()
        options = argparse.Namespace(path=path, header=headers)
        host = f"{url.scheme}://{url.netloc}"
        self.locust = Environment(user_classes=[Visitor], host=host, parsed_options=options)
        self.locust.events.request.add_listener(self.note)
        self.users, self.served = users, {}  # users: when each had the first response
        self.requests, self.good = [], RequestStats()  # all; those since count() began

    def __enter__(self):
        logging.getLogger("locust").setLevel(logging.ERROR)  # all may come together
        self.locust.create_local_runner().start(self.users, spawn_rate=self.users)
        return self

    def __exit__(self, *_):
        self.locust.stop_timeout = 0
        self.locust.runner.quit()

    def note(self, start_time, response_time, exception, **_):
        """Note down a request: when it began, as time.time(), and its milliseconds."""
        user, end = gevent.getcurrent(), start_time + response_time / 1000
        self.served.setdefault(user, end)
        self.requests.append((user, start_time, end))
        if not exception:
            self.good.log_request("GET", "/", response_time, 0)

    def wait_until_served(self, longest, patience=math.inf):
        """Return when all users have had a response, or how many have not, either after the
        `longest` time or when nobody got a first response for the time of one's `patience`.
        """
        begin = time.time()
        while len(self.served) < self.users:
            last = max(self.served.values(), default=begin)
            if time.time() > min(begin + longest, last + patience):
                break
            time.sleep(0.1)  # after the last of a wave, and before the next one
        late = self.users - len(self.served)
        return late if late > self.users / 20 else 0  # a few may have had bad luck

    def count(self, seconds, processes, unserved=0):
        """Return the Result of the next `seconds`; `processes()` are the server's."""
        self.locust.stats.reset_all()
        self.good = RequestStats()
        begin, own, before = time.monotonic(), time.process_time(), used(processes())
        time.sleep(seconds)
        lasted, total = time.monotonic() - begin, self.good.total
        own, after = (time.process_time() - own) / lasted, used(processes())
        cores = {key: (after[key] - before[key]) / lasted for key in after if key in before}
        together, machine = cores.pop("together"), cores.pop("machine")
        return Result(
            rate=total.num_requests / lasted,
            mean=total.avg_response_time / 1000,
            times=[total.get_response_time_percentile(part) for part in (0.5, 0.95)],
            errors=list(self.locust.stats.errors.values()),
            unserved=unserved,
            late=lasted - seconds,
            locust=own,
            server=together if cores else machine - own,  # it may be in a container
            process=max(cores.values(), default=0),
            machine=machine,
        )

    def finish(self):
        """Let every user get a last response; return how many of them never got it."""
        limit, begin = min(max(5, 3 * self.longest()), 60), time.time()
        self.locust.stop_timeout = limit
        self.locust.runner.stop()
        if time.time() - begin < limit:
            return 0
        return self.users - len({user for user, _, end in self.requests if end > begin})

    def longest(self):
        """Return the longest time of a request, in seconds."""
        return max((end - begin for _, begin, end in self.requests), default=0)

    def in_step(self, begin):
        """Return whether all have got their responses together since `begin`, in one wave
        after another, as behind an event loop that is blocked for a part of the time.
        """
        ends = sorted(end for _, _, end in self.requests if end > begin)
        gap = max((b - a for a, b in itertools.pairwise(ends)), default=0)
        return gap > 0.35 * self.good.total.avg_response_time / 1000

    def inside(self, begin, end):
        """Return how many users were waiting for a response, on average in that time."""
        parts = [min(e, end) - max(b, begin) for _, b, e in self.requests]
        return sum(part for part in parts if part > 0) / (end - begin)


def used(processes):
    """Return the seconds of processor time that were used until now: {process id: ...} by
    each process, by all of them "together", and by the whole "machine".
    """
    found, together, machine = {}, 0, psutil.cpu_times()
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has just exited
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
            together += sum(times[:4])  # with those of its children that have exited
    busy = machine.user + machine.nice + machine.system
    return found | {"together": together, "machine": busy}


def strangers(port):
    """Return how many connections others have to the `port`, while we have none."""
    try:
        found = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS tells only root
        return 0
    return sum(c.status == "ESTABLISHED" and c.raddr.port == port for c in found)


def alone(url, headers):
    """Return the times of good responses, one after another: two at least, for two seconds
    or longer, but thirty at most. Exits with a Refusal if there is none.
    """
    times, until = [], time.monotonic() + 60
    for _ in range(30):
        begin = time.monotonic()
        trouble = ask(url, headers, timeout=60)
        if not trouble:
            times.append(time.monotonic() - begin)
        enough = len(times) >= 2 and sum(times) >= 2
        if enough or time.monotonic() > until:  # a server that hangs may do so each time
            break
    if not times:
        raise Refusal(f"{url.geturl()} was good once, and then no more: {trouble}.")
    return times


@contextlib.contextmanager
def serving(row, url, headers):
    """Start the row's server, or take the one that runs already; yield the time of its
    first response (None if it runs already), and a function that returns its processes.
    """
    if row.place:
        with running(row.place, row.command, url, headers) as server:
            yield server.first, lambda: started(server)
        return
    if trouble := ask(url, headers, timeout=20):
        raise Refusal(f"{url.geturl()} is no good: {trouble}. Nothing was measured.")
    found = listening(url.port or 80)

    def family():
        everybody = set(found)
        for process in found:
            with contextlib.suppress(psutil.Error):  # a worker that was replaced meanwhile
                everybody.update(process.children(recursive=True))
        return everybody

    yield None, family


def whole_rounds(load, takes, seconds, processes):
    """Return the Result of `seconds` or a little longer: of whole rounds of requests that
    take `takes` seconds alone, counted from between two waves to between two waves.
    """
    unserved = load.wait_until_served(60, patience=15 + 3 * takes)
    time.sleep(takes / 2)
    if unserved:  # responses may come in waves as far apart as the longest of them takes
        seconds = max(seconds, min(2 * load.longest(), 60))
    begin = time.time()
    result = load.count(math.ceil(seconds / takes) * takes, processes, unserved)
    if not unserved and result.mean > 1.2 * takes and load.in_step(begin):
        begin, rounds = time.time(), math.ceil(seconds / result.mean) * result.mean
        result = load.count(rounds, processes)
    end = time.time()
    if unserved or not result.rate:
        return result
    return result._replace(unfinished=load.finish(), inside=load.inside(begin, end))


def measure(row, users, seconds, url, headers=()):
    """Return the Result of `users` who ask the row's server for `url`.

    Exits with a Refusal if that cannot be measured.
    """
    with serving(row, url, headers) as (takes, processes):
        if not row.is_as_expected(takes):  # or it is, and its first request had to wait
            takes = statistics.median_low(alone(url, headers))
        if users > PER_LOCUST * max(1, takes):
            asked = f"{users} users would ask {users / takes:.0f} times per second"
            raise Refusal(f"{asked}, and one Locust can ask some {PER_LOCUST} times.")
        others = strangers(url.port or 80)
        with Load(users, url, headers) as load:
            if row.is_as_expected(takes):
                unserved = load.wait_until_served(LONGEST_FILL)
                return load.count(seconds, processes, unserved)
            result = whole_rounds(load, takes, seconds, processes)
        troubled = result.unserved or result.unfinished or result.errors or not result.rate
        times = [takes] if troubled else alone(url, headers)
        return result._replace(alone=times, strangers=others)


def slots(result, users):
    """Return in words how many slots there are, by Little's law read backwards: slots =
    requests per second x seconds alone. Or why that cannot be said.
    """
    one, rate = statistics.median_low(result.alone), result.rate
    found, cores = rate * one, result.server + result.locust
    if result.errors:
        return f"No slots: {sum(e.occurrences for e in result.errors)} requests failed."
    if result.unfinished:
        return f"No slots: {result.unfinished} of {users} users got no response any more."
    if result.strangers:
        return f"No slots: others have {result.strangers} connections to this server, too."
    if result.alone[0] > 1.5 * one + 0.3:
        return f"It still worked {result.alone[0]:.1f} s after its last response."
    inside = users if result.unserved else result.inside
    full = result.machine > 0.75 * CORES and (cores > 0.2 * CORES or inside < 0.85 * users)
    if result.process > 0.85 or cores > 0.8 * CORES or full:
        what = f"all {CORES} cores were busy"
        if result.process > 0.85:
            what = "one process used a whole core"
        each = f"{round(1000 * result.server / rate, 1):g} ms per request"
        return f"The processor was the limit, not slots: {each}, and {what}."
    least, most = min(result.alone), max(result.alone)
    if statistics.mean(result.alone) > 1.25 * one and most > least + 0.05:
        return f"No slots: alone it took {least:.2f} to {most:.2f} s."
    if inside < 0.85 * users:
        who = f"only {inside:.0f} of {users} users were in the server"
        return f"No slots: {who}; the others paused."
    if not result.unserved and abs(rate * result.mean - result.inside) > 0.15 * users:
        law = f"{rate:.1f} responses per second x {result.mean:.1f} s"
        return f"No slots: {law} make {rate * result.mean:.0f} users, not {users}."
    if found < 0.7:
        return "No slots: together requests take longer than one after another."
    if found > 1.1 * users:
        return f"No slots: alone it took {one:.2f} s, beside others less. Measure it again."
    if 3 * found > 1.1 * users:
        return f"At least {found:.0f} slots. To be sure: --users {math.ceil(3 * found)}."
    plural = "" if round(found) == 1 else "s"
    law = f"{rate:.1f} responses per second x {one:.3f} s alone"
    return f"Works like {found:.0f} slot{plural}: {law}."
