"""Sends many requests at the same moment and draws each response as it comes.

python burst.py                   twelve requests for / at port 8000
python burst.py 40 '/orders?x=1'  forty for another path
python burst.py 40 http://127.0.0.1:9000/orders --header 'Authorization: Bearer abc'
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote, urljoin, urlsplit


def name_and_value(header):
    """Return the two parts of `Name: value`; argparse tells who has written another thing."""
    name, value = header.split(":", 1)
    return name, value.strip()


parser = argparse.ArgumentParser(description="Draw many requests at once.")
parser.add_argument("how_many", nargs="?", type=int, default=12, help="1 to 1000")
parser.add_argument("url", nargs="?", default="/", help="a path, or a whole address")
parser.add_argument("--header", action="append", default=[], type=name_and_value)


def ask(url, headers, timeout=None):
    """Send a request; return the status of its response, or in words why there is none.

    `url` comes from urlsplit(); the `timeout` is in seconds, and None is for ever.
    """
    try:
        path = quote(url._replace(scheme="", netloc="").geturl(), safe="/%?=&+,;:@~")
        connection = HTTPConnection(url.hostname, url.port or 80, timeout=timeout)
        connection.request("GET", path or "/", headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, HTTPException, ValueError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__


def draw(how_many, url, headers):
    """Draw a bar for each response; return the exit code, 0 if none of them failed."""
    start, code = time.monotonic(), 0
    clients = ThreadPoolExecutor(how_many)  # a thread for each request: none has to queue
    requests = [clients.submit(ask, url, headers) for _ in range(how_many)]
    for request in as_completed(requests):
        seconds, status = time.monotonic() - start, request.result()
        if status == "Connection refused":
            print(f"{url.geturl()}: {status}. Does a server run there?", file=sys.stderr)
            return 1
        bar = "█" * min(round(10 * seconds), 60) + f" {seconds:.1f} s"
        if isinstance(status, str) or status >= 400:
            bar, code = f"{bar}  {status}", 1
        print(bar, flush=True)
    return code


if __name__ == "__main__":
    options = parser.parse_args()
    url = urlsplit(urljoin("http://127.0.0.1:8000/", options.url))
    if not 1 <= options.how_many <= 1000:
        parser.error("1 to 1000 requests, for example: python burst.py 12 /")
    if url.scheme != "http" or url.hostname not in ("127.0.0.1", "localhost", "::1"):
        parser.error(f"{options.url} is not on this machine; http://127.0.0.1:8000/ is")
    try:
        code = draw(options.how_many, url, dict(options.header))
    except (KeyboardInterrupt, BrokenPipeError):
        code = 130
    os._exit(code)  # at once: a plain exit would wait for every thread
