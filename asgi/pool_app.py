"""An ASGI application with a pool: five connections for all its requests.

uvicorn pool_app:app
"""

import asyncio

pool = asyncio.Semaphore(5)  # like the five connections of a database driver


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    body = b"Hello, World!\n"
    async with pool:  # the sixth coroutine waits here until a connection comes back
        await asyncio.sleep(1)
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),  # lower-case names; all bytes
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
