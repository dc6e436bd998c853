"""gunicorn -w 4 echo_app:app: says what it was asked, and which process has answered."""

import os


def app(environ, start_response):
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    path = path.encode("latin-1").decode(errors="replace")  # PEP 3333: bytes in a str
    method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
    agent = environ.get("HTTP_USER_AGENT", "")
    parts = []
    while part := environ["wsgi.input"].read(65536):
        parts.append(part)
    body = f"{method} {path}\nquery: {query}\nuser-agent: {agent}\n".encode()
    body += b"process: %d\n\n" % os.getpid() + b"".join(parts)
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
    ]
    start_response("200 OK", headers)
    return [body]
