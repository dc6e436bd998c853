"""gunicorn -w 4 cpu_app:app: cores are the slots; workers beyond them add nothing."""

import time


def app(environ, start_response):
    body = b"Hello, World!\n"
    done = time.thread_time() + 0.1  # seconds of a processor, for this thread alone
    while time.thread_time() < done:
        pass
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),  # names and values are str
    ]
    start_response("200 OK", headers)
    return [body]  # an iterable of bytes objects; body alone is one of numbers
