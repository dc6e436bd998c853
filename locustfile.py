"""Load-tests the server on port 8000: each user asks, gets a response, and asks again.

locust -f locustfile.py      then open http://127.0.0.1:8089 and press Start
locust --path /orders        the same for another path
"""

import random
import socket
import sys
import time
from urllib.parse import urlsplit

import gevent
from locust import FastHttpUser, events, task

NOBODY = """Nothing listens at {}. Start a server in another terminal (in wsgi/: \
gunicorn -w 4 slow_app:app, in asgi/: uvicorn slow_app:app) and press Start again."""


class Visitor(FastHttpUser):
    host = "http://127.0.0.1:8000"
    network_timeout = connection_timeout = 600  # seconds: a long queue is no failure

    def on_start(self):
        # Each user is a greenlet, and Locust has replaced time.sleep() by gevent's: only
        # this user sleeps. People do not come all at once, but here within 0.8 seconds.
        time.sleep(0.8 * random.random())

    @task
    def hello(self):
        path = "/" + getattr(self.environment.parsed_options, "path", "").lstrip("/")
        how = {"catch_response": True, "allow_redirects": False}
        with self.client.get(path, **how) as response:
            who = response.headers.get("server", "unnamed") if response.headers else ""
            # The tab Statistics says who responded, so that nobody measures a stranger.
            response.request_meta["name"] = f"{path} ({who or 'no response'})"
            if not who:
                time.sleep(1)  # else a dead server looks fast: refusing takes no time


@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--path", default="/", help="what the users ask for; default: /")
    # Only this machine may open the page, or join a load: even where no locust.conf is.
    parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1")


@events.test_start.add_listener
def somebody_must_listen(environment, **_):
    host, runner = environment.host or Visitor.host, environment.runner
    environment.host = host.rstrip("/")
    try:
        url = urlsplit(host)
        socket.create_connection((url.hostname, url.port or 80), timeout=5).close()
    except (OSError, ValueError):  # refused, unknown, or a port that cannot be
        print(NOBODY.format(host), file=sys.stderr)
        runner.log_exception("local", NOBODY.format(host), "")  # in the tab Exceptions
        stop = runner.quit if environment.parsed_options.headless else runner.stop
        gevent.spawn(stop)
        raise gevent.GreenletExit from None  # cancels the start without a traceback
