"""An ASGI application that waits: meanwhile the event loop runs other requests.

uvicorn slow_app:app
"""

import asyncio


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    body = b"Hello, World!\n"
    await asyncio.sleep(1)  # stands for a database: meanwhile others are served
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),  # lower-case names; all bytes
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
