"""An ASGI application that talks: it sends back whatever its client sends.

uvicorn websocket_app:app
"""

HINT = b"This is a WebSocket. Try: python -m websockets ws://127.0.0.1:8000/\n"


async def app(scope, receive, send):
    if scope["type"] == "http":
        headers = [
            (b"content-type", b"text/plain"),
            (b"content-length", str(len(HINT)).encode()),
            (b"upgrade", b"websocket"),
        ]
        await send({"type": "http.response.start", "status": 426, "headers": headers})
        await send({"type": "http.response.body", "body": HINT})
        return
    if scope["type"] != "websocket":  # the specification asks for an exception
        raise NotImplementedError(scope["type"])
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text, data = message.get("text"), message.get("bytes")  # one of them is None
        await send({"type": "websocket.send", "text": text, "bytes": data})
