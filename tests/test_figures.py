"""The pictures and the table of costs: from figures to what is drawn or told."""

import contextlib
import os
from collections import Counter, namedtuple
from types import SimpleNamespace
from unittest import mock
from xml.etree import ElementTree

import psutil
import pytest

from figures import picture, roles, timelines

with mock.patch.dict(os.environ, LOCUST_SKIP_MONKEY_PATCH="1"):
    from figures import costs

pytestmark = pytest.mark.usefixtures("ports")
SVG = "{http://www.w3.org/2000/svg}"
WAVES = [[1] * 4 + [2] * 4, [1] * 8, [1] * 8, list(range(1, 9))]  # of each panel


def drawn(module, monkeypatch, folder):
    """Let the module draw into the `folder`; return the only file there as XML."""
    monkeypatch.setattr(module, "IMAGES", folder)
    module.main()
    (file,) = folder.iterdir()
    return ElementTree.parse(file).getroot()


def words(svg):
    """Return all texts of the drawing."""
    return ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]


def kinds(parts, tag):
    """Return how many elements of each class there are in the `parts` of a drawing."""
    svg = ElementTree.fromstring(f"<svg>{''.join(parts)}</svg>")
    return Counter(element.get("class") for element in svg.iter(tag))


def test_the_first_picture(monkeypatch, tmp_path):
    """Each panel says its last response, and has its bars: pale, and those that move."""
    runs = iter([[s + 0.02 for s in times] for times in WAVES])
    monkeypatch.setattr(picture, "response_times", lambda *_: next(runs))
    monkeypatch.setattr(picture, "leave_nothing", lambda: None)
    svg = drawn(picture, monkeypatch, tmp_path)
    said = [text for text in words(svg) if text.startswith("last response")]
    assert said == [f"last response: {s} s" for s in (2, 1, 1, 8)]
    assert {command for _, _, command in picture.PANELS} <= set(words(svg))
    pale_and_moving = [g for g in svg.iter(f"{SVG}g") if "bars " in g.get("class", "")]
    pairs = zip(pale_and_moving[::2], pale_and_moving[1::2], strict=True)
    for times, pair in zip(WAVES, pairs, strict=True):
        for group in pair:
            found = {"progress": [], "queue": []}
            for path in group:
                end = float(path.get("d").split("H")[1])
                found[path.get("class")].append(round(end / picture.SECOND))
            assert found["progress"] == times
            assert found["queue"] == [s - 1 for s in times if s > 1]
            on_top = {path.get("d").split("H")[0]: path.get("class") for path in group}
            wanted = ["queue" if seconds > 1 else "progress" for seconds in times]
            assert list(on_top.values()) == wanted
    (style,) = svg.iter(f"{SVG}style")
    assert "8.0s linear 2s}" in style.text  # it plays once


def test_the_times_are_those_of_a_real_run():
    times = picture.response_times("asgi", "uvicorn app:app")
    assert [round(seconds) for seconds in times] == [0] * 8


@pytest.fixture
def no_server(monkeypatch):
    """Let a server run in no time, which is no server."""
    for module in (picture, costs):
        monkeypatch.setattr(module, "running", lambda *_: contextlib.nullcontext())
        monkeypatch.setattr(module, "time", mock.Mock())


def test_nothing_is_drawn_if_a_request_fails(no_server, monkeypatch):
    monkeypatch.setattr(picture, "together", lambda *_: [(1, None), (1.1, "503")])
    with pytest.raises(SystemExit, match="A request failed: 503"):
        picture.response_times("wsgi", "gunicorn app:app")


def test_the_same_requests_are_in_each_worker(monkeypatch, tmp_path):
    """Their slots decide how many are in progress; the others are in the queue."""
    variants = {roles.sync: 1, roles.threads: 4, roles.greenlets: 8, roles.event_loop: 12}
    for variant, slots in variants.items():
        found = kinds(variant(), "circle")
        assert (found["progress"], found["queue"]) == (slots, 12 - slots), variant
    svg = drawn(roles, monkeypatch, tmp_path)
    assert {"clients", "queue on port 8000", "slots"} <= set(words(svg))
    assert {"a slot per thread", "a slot per greenlet", "a coroutine each"} <= set(
        words(svg)
    )


def spans(parts, kind):
    """Return [from when, until when] of the boxes of a `kind`, in seconds."""
    svg = ElementTree.fromstring(f"<svg>{''.join(parts)}</svg>")
    boxes = [element for element in svg if element.get("class") == kind]
    ends = [(float(box.get("x")), float(box.get("width"))) for box in boxes]
    return [
        [round((x - timelines.LEFT) / timelines.SECOND, 1) for x in (left, left + width)]
        for left, width in ends
    ]


def test_a_thread_is_occupied_and_an_event_loop_is_not(monkeypatch, tmp_path):
    sync, loop = timelines.thread(), timelines.event_loop()
    assert spans(sync, "progress") == spans(sync, "busy") == [[0, 1], [1, 2], [2, 3]]
    assert spans(sync, "queue") == [[0, 1], [0, 2]]
    assert spans(loop, "progress") == [[0, 1]] * 3 and not spans(loop, "queue")
    moments = spans(loop, "busy")
    assert len(moments) == 6 and all(end % 1 <= 0.2 for _, end in moments)
    said = " ".join(words(drawn(timelines, monkeypatch, tmp_path)))
    assert "time.sleep(1)" in said and "await asyncio.sleep(1)" in said


def test_costs():
    few, many = costs.Cost(10, 10, 0.001, 40.0), costs.Cost(999, 1000, 0.00052, 73.66)
    assert costs.kilobytes(few, many) == pytest.approx(34)
    assert costs.kilobytes(few, few) is None
    line = costs.line(few, many, 3400.06)
    assert line.split() == ["999.0", "0.52", "40.0", "73.7", "3,400.1"]
    idle = costs.line(few, few, None)  # too few ticks to say anything
    assert idle.split() == ["10.0", "-", "40.0", "40.0", "-"]
    said = costs.pays_for(3900, {"threads": 34.5, "greenlets": 15, "coroutines": 1})
    assert said.endswith("pays for 113 threads, 260 greenlets or 3,900 coroutines.")


def test_memory_is_in_megabytes():
    shares, does_not = namedtuple("Info", "uss pss"), namedtuple("Info", "uss")
    processes = [mock.Mock(), mock.Mock()]
    processes[0].memory_full_info.return_value = shares(1e6, 3.5e6)
    processes[1].memory_full_info.return_value = does_not(0.4e6)
    assert costs.memory(processes) == pytest.approx(3.9)


@pytest.fixture
def counted(no_server, monkeypatch):
    """Let users of two processes be counted; return what is found, to change it."""
    found = SimpleNamespace(rate=100, server=0.02, errors=[], memory=40, processes=[1, 2])
    load = mock.MagicMock()
    load.__enter__().count.return_value = found
    monkeypatch.setattr(costs, "Load", lambda *_: load)
    monkeypatch.setattr(costs, "memory", lambda _: found.memory)
    monkeypatch.setattr(costs, "started", lambda _: found.processes)
    return found


def test_the_cost_of_a_hundred_users(counted):
    assert costs.cost(costs.ROWS["coroutines"], 100) == (100, 100, 0.0002, 40)
    assert costs.cost(costs.FOUR, 100) == (100, 4, 0.0002, 40)


def test_why_nothing_was_counted(counted, monkeypatch):
    def why():
        with pytest.raises(SystemExit) as end:
            costs.cost(costs.FOUR, 100)
        return end.value.code

    counted.rate = 0
    assert why() == "100 users: nobody was served. Nothing was measured."
    counted.errors = [SimpleNamespace(error="503")]
    assert why() == "100 users: 503. Nothing was measured."
    families = iter([[1, 2], [1, 3]])
    monkeypatch.setattr(costs, "started", lambda _: next(families))
    assert why() == "100 users: a worker was replaced meanwhile. Measure again."
    monkeypatch.setattr(costs, "started", lambda _: [1])
    monkeypatch.setattr(costs, "memory", mock.Mock(side_effect=psutil.NoSuchProcess(1)))
    assert why() == "100 users: a worker exited meanwhile. Measure again."
