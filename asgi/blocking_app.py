"""uvicorn blocking_app:app: one request waits at a time, and everybody else with it."""

import time


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    body = b"Hello, World!\n"
    time.sleep(1)  # noqa: ASYNC251, the mistake that this file is here to show
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),  # lower case, and bytes
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
