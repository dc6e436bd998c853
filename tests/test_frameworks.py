"""The frameworks' views on the servers: how many requests are in progress at once."""

import pytest
from support import ROOT, burst, serve


@pytest.mark.parametrize(
    "folder, command, paths",
    [
        ("wsgi", "gunicorn --threads 2 flask_app:app", {"/async": 2}),
        ("asgi", "uvicorn django_app:app", {"/": 60}),
        ("asgi", "uvicorn fastapi_app:app", {"/": 60, "/def": 40}),
    ],
)
def test_slots(folder, command, paths):
    """More requests than slots: two waves, in whole seconds.

    Whoever is in the second wave takes two seconds on any machine. But beside other programs
    a first wave may blur, so one of three tries has to be whole.
    """
    with serve(folder, command):
        for path, slots in paths.items():
            expected = [1] * slots + [2] * (1 if slots == 2 else 60 - slots)
            assert any(burst(len(expected), path) == expected for _ in range(3))


def test_requests_that_hold_a_connection_wait_for_a_thread():
    """With a declared result FastAPI needs a second thread, while the first one's
    connection is held; the others wait for a connection, until the pool gives up.
    """
    url = "http://127.0.0.1:8000/health"
    with serve("asgi", "uvicorn fastapi_database_app:app", url=url):
        assert burst(60, "/inside", status=200)
        assert not burst(60, "/declared", status=200)


def test_the_django_counterparts_differ_in_their_callable_only():
    pair = [(ROOT / f / "django_app.py").read_text() for f in ("wsgi", "asgi")]
    bodies = [text.split('"""')[2].splitlines() for text in pair]
    different = [(a, b) for a, b in zip(*bodies, strict=True) if a != b]
    imported = "from django.core.{0} import get_{0}_application"
    called = "app = get_{}_application()"
    sides = [tuple(line.format(p) for p in ("wsgi", "asgi")) for line in (imported, called)]
    assert different == sides
