"""A WSGI application that waits: its worker waits with it and does nothing else.

gunicorn -w 4 slow_app:app
"""

import time


def app(environ, start_response):
    body = b"Hello, World!\n"
    time.sleep(1)  # stands for a database's answer: the worker waits for it, too
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),  # names and values are strings
    ]
    start_response("200 OK", headers)
    return [body]  # a list, because a body may come in several pieces
