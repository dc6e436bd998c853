"""An ASGI application that asks another server: its client has a pool, too.

uvicorn slow_app:app --port 8001     (first, in another terminal: the server that it asks)
uvicorn client_app:app
"""

import httpx


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()  # lifespan.startup
        async with httpx.AsyncClient() as client:  # it opens at most a hundred connections
            scope["state"]["client"] = client  # where every request finds it
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown, when the server stops
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    response = await scope["state"]["client"].get("http://127.0.0.1:8001/")
    response.raise_for_status()  # else an error page would go on as a good response
    body = response.content
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),  # lower-case names; all bytes
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
