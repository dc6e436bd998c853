"""Load-tests the server on port 8000: each user asks, gets a response, and asks again.

locust -f locustfile.py      then open http://127.0.0.1:8089 and press Start
locust --path /orders --header 'Authorization: Bearer abc'    another path, behind a login
"""

import random
import socket
import sys
import time
from urllib.parse import urlsplit

import gevent
from locust import FastHttpUser, events, task

NOBODY = """Nothing listens on {}. Start a server in another terminal (in wsgi/: \
gunicorn -w 4 slow_app:app, in asgi/: uvicorn slow_app:app) and press Start again."""


class Visitor(FastHttpUser):
    host = "http://127.0.0.1:8000"
    network_timeout = connection_timeout = 600  # seconds: a long queue is no failure

    def on_start(self):
        # Each user is a greenlet, and Locust has replaced time.sleep() by gevent's: only
        # this user sleeps. People do not come all together, but here within 0.8 seconds.
        time.sleep(0.8 * random.random())

    @task
    def hello(self):
        options = self.environment.parsed_options
        path = "/" + options.path.lstrip("/")
        how = {"catch_response": True, "allow_redirects": False}
        with self.client.get(path, headers=dict(options.header), **how) as response:
            status, found = response.status_code, response.headers or {}
            if 300 <= status < 400:  # a redirect is no good response, either
                response.failure(f"{status} to {found.get('location')}")
            # The tab Statistics says who responded, so that nobody measures a stranger.
            who = found.get("server", "unnamed") if status else "no response"
            response.request_meta["name"] = f"{path} ({who})"
            if not status:
                time.sleep(1)  # else a dead server looks fast: refusing takes no time


def name_and_value(header):  # as in burst.py: Locust's workers get this file only
    name, value = header.split(":", 1)
    return name, value.strip()


@events.init_command_line_parser.add_listener
def add_options(parser):
    option = parser.add_argument
    option("--path", default="/", help="what the users ask for; default: /")
    how = {"type": name_and_value, "action": "append", "default": []}
    option("--header", help="'Name: value'", include_in_web_ui=False, **how)
    # The page's form is filled in. Only this machine may open the page, or join a load.
    parser.set_defaults(host=Visitor.host, num_users=100, spawn_rate=2)
    parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1")


@events.test_start.add_listener
def somebody_must_listen(environment, **_):
    host = (environment.host or Visitor.host).strip().rstrip("/")
    environment.host = host if "//" in host else f"http://{host}"
    try:
        url = urlsplit(environment.host)
        socket.create_connection((url.hostname, url.port or 80), timeout=5).close()
    except (OSError, ValueError):  # refused, unknown, or a port that cannot be
        words = NOBODY.format(environment.host)
        print(words, file=sys.stderr)
        runner = environment.runner
        runner.log_exception("local", words, "")  # in the tab Exceptions
        gevent.spawn(runner.quit if environment.parsed_options.headless else runner.stop)
        raise gevent.GreenletExit from None  # cancels the start without a traceback
