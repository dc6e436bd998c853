"""Loads whichever server runs on port 8000: each user asks, is answered, asks again.

locust -f locustfile.py      then open http://127.0.0.1:8089 and press Start
"""

import logging
import random
import socket
import time
from urllib.parse import urlsplit

import gevent
from locust import FastHttpUser, events, task

logger = logging.getLogger(__name__)

NOBODY = """Nothing listens at %s, so there is nothing to measure. Start a server in \
another terminal (in wsgi/: gunicorn -w 4 slow_app:app, in asgi/: uvicorn slow_app:app) \
and start the test again."""


class Visitor(FastHttpUser):
    network_timeout = connection_timeout = 600  # seconds: a long queue is no failure

    def on_start(self):
        time.sleep(random.random())  # people don't all ask at the same moment

    @task
    def hello(self):
        with self.client.get("/", catch_response=True) as response:
            who = response.headers.get("server", "unnamed") if response.headers else ""
            # The Statistics tab says who answered, so that nobody measures a stranger.
            response.request_meta["name"] = f"/ ({who or 'no answer'})"
            if not who:
                time.sleep(1)  # else a dead server looks fast: refusing takes no time


@events.test_start.add_listener
def somebody_must_listen(environment, **_):
    host, options = urlsplit(environment.host or ""), environment.parsed_options
    if options.worker:
        return  # its master has looked
    try:
        socket.create_connection((host.hostname, host.port or 80), timeout=5).close()
    except OSError:
        said, runner = NOBODY % environment.host, environment.runner
        logger.error(said)
        runner.log_exception("local", said, "")  # for the tab Exceptions
        gevent.spawn(runner.quit if options.headless else runner.stop)
        raise gevent.GreenletExit from None  # a listener can't cancel a start otherwise
