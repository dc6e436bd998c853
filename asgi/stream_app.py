"""An ASGI application that streams: each stream is a coroutine of its own.

uvicorn stream_app:app
"""

import asyncio


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    headers = [(b"content-type", b"text/plain")]  # nobody knows the length yet
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while (await receive()).get("more_body"):  # the request comes to its end
        pass
    gone = asyncio.create_task(receive())  # http.disconnect, as soon as the client leaves
    number = 0
    while number < 5 and not gone.done():
        number += 1
        body = b"line %d\n" % number
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await asyncio.wait([gone], timeout=1)  # a second, or less if the client leaves
    gone.cancel()
    await send({"type": "http.response.body"})
    print("stream ended after line", number, flush=True)
