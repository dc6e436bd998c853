"""An ASGI application that asks another server: its client has a pool, too.

uvicorn client_app:app
"""

import httpx

client = httpx.AsyncClient()  # it opens at most a hundred connections


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    response = await client.get("http://127.0.0.1:8001/")
    body = response.content
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),  # lower-case names; all bytes
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
