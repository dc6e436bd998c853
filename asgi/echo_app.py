"""uvicorn echo_app:app: says what it was asked, and which process has answered."""

import os


async def app(scope, receive, send):
    if scope["type"] != "http":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    method, path = scope["method"], scope["path"]
    query = scope["query_string"].decode("latin-1")
    agents = [v.strip() for k, v in scope["headers"] if k == b"user-agent"]
    parts, message = [], {"more_body": True}
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            return  # nobody is left to answer
        parts.append(message.get("body", b""))
    agent = b",".join(agents).decode("latin-1")
    body = f"{method} {path}\nquery: {query}\nuser-agent: {agent}\n".encode()
    body += b"process: %d\n\n" % os.getpid() + b"".join(parts)
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
