"""An ASGI application that computes: it awaits nothing, so the others have to queue.

uvicorn cpu_app:app
"""

import time


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    body = b"Hello, World!\n"
    done = time.thread_time() + 0.1  # seconds of a processor, for this thread alone
    while time.thread_time() < done:
        pass
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),  # lower-case names; all bytes
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
