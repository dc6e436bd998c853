"""An ASGI application that opens a database at the start and closes it at the end.

uvicorn lifespan_app:app
"""

import sqlite3


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()  # lifespan.startup
        try:
            database = sqlite3.connect(":memory:")
        except sqlite3.Error as error:  # without a database the server had better stop
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        print("database opened", flush=True)
        scope["state"]["database"] = database  # where every request finds it
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown, when the server stops
        database.close()
        print("database closed", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    found = scope["state"]["database"].execute("SELECT sqlite_version()")
    body = f"SQLite {found.fetchone()[0]}\n".encode()
    headers = [(b"content-type", b"text/plain")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
