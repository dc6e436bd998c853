"""A WSGI application with a pool: five connections for all its threads.

gunicorn --threads 12 pool_app:app
"""

import threading
import time

pool = threading.Semaphore(5)  # like the five connections of a database driver


def app(environ, start_response):
    body = b"Hello, World!\n"
    with pool:  # the sixth thread waits here until a connection comes back
        time.sleep(1)
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),  # names and values are strings
    ]
    start_response("200 OK", headers)
    return [body]  # a list, because a body may come in several pieces
