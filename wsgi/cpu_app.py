"""A WSGI application that computes: it is as fast as the processor's cores are.

gunicorn -w 4 cpu_app:app
"""

import time


def app(environ, start_response):
    body = b"Hello, World!\n"
    done = time.thread_time() + 0.1  # seconds of a processor, for this thread alone
    while time.thread_time() < done:
        pass
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),  # names and values are strings
    ]
    start_response("200 OK", headers)
    return [body]  # a list, because a body may come in several pieces
