"""Sends many requests at the same moment and draws each response as it comes.

python burst.py                   twelve requests for / on port 8000
python burst.py 40 '/orders?x=1'  forty for another path
python burst.py 40 http://127.0.0.1:9000/orders --header 'Authorization: Bearer abc'
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.client import BadStatusLine, HTTPConnection, HTTPException
from urllib.parse import quote, urljoin, urlsplit

URL = "http://127.0.0.1:8000/"
THIS_MACHINE = "127.0.0.1", "localhost", "::1"
LONGEST_CONNECT = 20  # seconds


def address(text):
    """Return a path, or an address on this machine, as urlsplit() does.

    It is argparse's `type=`: what it raises becomes a sentence on the command line.
    """
    if text.startswith(THIS_MACHINE):  # 127.0.0.1:9000/orders, as people type it
        text = f"http://{text}"
    url = urlsplit(urljoin(URL, text))
    if url.scheme != "http" or url.hostname not in THIS_MACHINE:
        raise argparse.ArgumentTypeError(f"{text} is no http:// on this machine; {URL} is")
    if url.port == 0:  # one that is no number raises ValueError by itself
        raise argparse.ArgumentTypeError(f"{text} has no port that can be")
    path, query = quote(url.path or "/", "/%:@&=+,;~"), quote(url.query, "/%?=&+,;:@~")
    return url._replace(path=path, query=query, fragment="")


def name_and_value(header):
    """Return the two parts of `Name: value`, as argparse's `type=`."""
    name, colon, value = header.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"'{header}' is not of the form 'Name: value'")
    return name, value.strip()


def ask(url, headers=(), timeout=None):
    """Send a request; return None if its response is good, or in words what was wrong.

    Good is a status from 200 to 299 (RFC 9110, 15.3). The `url` comes from address(). The
    `timeout` is in seconds, and None is for ever; connecting never takes longer than 20.
    """
    limit = LONGEST_CONNECT
    connection = HTTPConnection(url.hostname, url.port or 80, timeout=limit)
    path = url._replace(scheme="", netloc="").geturl()
    try:
        connection.connect()
        limit = timeout
        connection.sock.settimeout(limit)
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        response.read()
    except TimeoutError:
        return f"no response within {limit} s"
    except OSError as error:  # RemoteDisconnected is one, and a BadStatusLine, too
        return error.strerror or str(error)
    except BadStatusLine as error:
        return f"no HTTP: {error}".strip()
    except (HTTPException, ValueError) as error:
        return str(error)
    finally:
        connection.close()
    if 200 <= response.status < 300:
        return None
    where = response.headers.get("Location")
    return f"{response.status} to {where}" if where else str(response.status)


def together(how_many, url, headers=(), timeout=None):
    """Send that many requests together, each as ask() does; yield (seconds, what was wrong,
    or None) as each response comes.
    """
    start = time.monotonic()
    clients = ThreadPoolExecutor(how_many)  # a thread for each request: none has to queue
    requests = [clients.submit(ask, url, headers, timeout) for _ in range(how_many)]
    for request in as_completed(requests):
        yield time.monotonic() - start, request.result()


def draw(how_many, url, headers):
    """Draw a bar for each response; return the exit code, 0 if all of them were good."""
    code = 0
    for seconds, trouble in together(how_many, url, headers):
        if trouble == "Connection refused":
            print(f"{url.geturl()}: {trouble}. Does a server run there?", file=sys.stderr)
            return 1
        bar = "█" * min(round(10 * seconds), 60) + f" {seconds:.1f} s"
        if trouble:
            bar, code = f"{bar}  {trouble}", 1
        print(bar, flush=True)
    return code


def main():
    """Draw the burst that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description="Draw many requests together.")
    parser.add_argument("how_many", nargs="?", type=int, default=12, help="1 to 1000")
    parser.add_argument("url", nargs="?", default="/", type=address, help="or a path")
    parser.add_argument("--header", action="append", default=[], type=name_and_value)
    options = parser.parse_args()
    if not 1 <= options.how_many <= 1000:
        parser.error("1 to 1000 requests, for example: python burst.py 12 /")
    sys.stdout.reconfigure(errors="replace")  # a terminal may have no such bars
    try:
        return draw(options.how_many, options.url, options.header)
    except (KeyboardInterrupt, BrokenPipeError):
        return 130


if __name__ == "__main__":
    os._exit(main())  # immediately: a plain exit would wait for every thread
