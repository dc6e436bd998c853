"""gunicorn -w 4 app:app: called once per request, it returns the whole answer."""


def app(environ, start_response):
    body = b"Hello, World!\n"
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),  # names and values are str
    ]
    start_response("200 OK", headers)
    return [body]  # an iterable of bytes objects; body alone is one of numbers
