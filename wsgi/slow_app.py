"""gunicorn -w 4 slow_app:app: four requests are served at a time; the fifth waits."""

import time


def app(environ, start_response):
    body = b"Hello, World!\n"
    time.sleep(1)
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),  # names and values are str
    ]
    start_response("200 OK", headers)
    return [body]  # an iterable of bytes objects; body alone is one of numbers
