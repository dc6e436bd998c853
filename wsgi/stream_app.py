"""A WSGI application that streams: it holds its worker from first line to last.

gunicorn -w 4 stream_app:app
"""

import time


def app(environ, start_response):
    headers = [("Content-Type", "text/plain")]  # nobody knows the length yet
    start_response("200 OK", headers)
    try:
        for number in range(1, 6):
            body = b"line %d\n" % number
            yield body
            time.sleep(1)
    finally:  # also if the client has left: then the server calls close()
        print("stream ended after line", number, flush=True)
