"""An ASGI application that streams: each stream is a coroutine of its own.

uvicorn stream_app:app
"""

import asyncio


async def client_leaves(receive):
    while (await receive())["type"] != "http.disconnect":
        pass  # the messages before that one bring the request's body


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    headers = [(b"content-type", b"text/plain")]  # nobody knows the length yet
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.create_task(client_leaves(receive))  # goes on while we send
    try:
        for number in range(1, 6):
            body = b"line %d\n" % number
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await asyncio.wait([gone], timeout=1)  # a second, or less if the client leaves
            if gone.done():
                return
        await send({"type": "http.response.body"})
    finally:  # also if the client has left: then some servers let send() raise OSError
        gone.cancel()
        print("stream ended after line", number, flush=True)
