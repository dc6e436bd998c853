"""An ASGI application that waits in the wrong way: everybody else waits with it.

uvicorn blocking_app:app
"""

import time


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    body = b"Hello, World!\n"
    time.sleep(1)  # the mistake: the whole event loop sleeps
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),  # lower-case names; all bytes
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
