"""Load-tests whichever server runs on port 8000: users ask, get a response, ask again.

locust -f locustfile.py      then open http://127.0.0.1:8089 and press Start
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
        time.sleep(random.random())  # people do not all come at the same moment

    @task
    def hello(self):
        with self.client.get("/", catch_response=True) as response:
            who = response.headers.get("server", "unnamed") if response.headers else ""
            # The tab Statistics says who responded, so that nobody measures a stranger.
            response.request_meta["name"] = f"/ ({who or 'no response'})"
            if not who:
                time.sleep(1)  # else a dead server looks fast: refusing takes no time


@events.init_command_line_parser.add_listener
def for_this_machine_only(parser):
    parser.set_defaults(web_host="127.0.0.1")  # even where no locust.conf is read


@events.test_start.add_listener
def somebody_must_listen(environment, **_):
    host, runner = (environment.host or Visitor.host).rstrip("/"), environment.runner
    environment.host = host if "://" in host else f"http://{host}"
    try:
        url = urlsplit(environment.host)
        socket.create_connection((url.hostname, url.port or 80), timeout=5).close()
    except (OSError, ValueError):  # refused, unknown, or a port that cannot be
        print(NOBODY.format(host), file=sys.stderr)
        runner.log_exception("local", NOBODY.format(host), "")  # in the tab Exceptions
        gevent.spawn(
            runner.quit if environment.parsed_options.headless else runner.stop
        )
        raise gevent.GreenletExit from None  # a listener cannot cancel a start otherwise
