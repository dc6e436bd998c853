"""uvicorn lifespan_app:app: opens before the first request what it closes at the end."""

import sqlite3


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()  # lifespan.startup
        scope["state"]["database"] = sqlite3.connect(":memory:")
        print("database opened", flush=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown, when the server ends
        scope["state"]["database"].close()
        print("database closed", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    (version,) = (
        scope["state"]["database"].execute("SELECT sqlite_version()").fetchone()
    )
    body = f"SQLite {version}\n".encode()
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
