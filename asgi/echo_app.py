"""An ASGI application that says what it was asked, and in which process.

uvicorn echo_app:app
"""

import os


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    query = scope["query_string"].decode("latin-1")
    agent = dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1")
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return  # nobody is left to respond to, and the body is cut short
        parts.append(message.get("body", b""))
        more = message.get("more_body")
    sent = b"".join(parts)
    about = f"query: {query}\nuser-agent: {agent}\nprocess: {os.getpid()}\n\n"
    body = f"{scope['method']} {scope['path']}\n{about}".encode() + sent
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
