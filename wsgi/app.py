"""A WSGI application: called once per request, it returns the whole response.

gunicorn -w 4 app:app
"""


def app(environ, start_response):
    body = b"Hello, World!\n"
    headers = [
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),  # names and values are strings
    ]
    start_response("200 OK", headers)
    return [body]  # a list, because a body may come in several pieces
