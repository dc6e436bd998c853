"""uvicorn stream_app:app: a stream is one coroutine, and ends when its client leaves."""

import asyncio


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    headers = [(b"content-type", b"text/plain")]  # nobody knows the length yet
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.create_task(disconnected(receive))
    number = 0
    while number < 5 and not gone.done():
        number += 1
        body = b"line %d\n" % number
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await asyncio.wait([gone], timeout=1)  # a second, or less if the client leaves
    gone.cancel()
    await send({"type": "http.response.body"})
    print("stream ended after line", number, flush=True)


async def disconnected(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
