"""A WSGI application that says what it was asked, and in which process.

gunicorn -w 4 echo_app:app
"""

import os


def app(environ, start_response):
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    path = path.encode("latin-1").decode(errors="replace")  # PEP 3333: bytes in a str
    query = environ.get("QUERY_STRING", "")
    agent = environ.get("HTTP_USER_AGENT", "")
    # PEP 3333 forbids to read on after Content-Length: some servers would wait for more.
    # But a body in chunks has no length, so a server may promise that the input ends.
    ends = environ.get("wsgi.input_terminated")
    length = -1 if ends else int(environ.get("CONTENT_LENGTH") or 0)
    sent = environ["wsgi.input"].read(length)
    about = f"query: {query}\nuser-agent: {agent}\nprocess: {os.getpid()}\n\n"
    body = f"{environ['REQUEST_METHOD']} {path}\n{about}".encode() + sent
    headers = [("Content-Type", "text/plain; charset=utf-8")]
    headers.append(("Content-Length", str(len(body))))
    start_response("200 OK", headers)
    return [body]
