"""Sends many requests to port 8000 at one moment and draws each response as it comes.

python burst.py [HOW_MANY] [PATH]      without them, twelve requests for /
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.client import HTTPException
from urllib.request import ProxyHandler, build_opener

how_many, path = [*sys.argv[1:], *("12", "/")[len(sys.argv[1:]) :]][:2]
if not how_many.isdecimal() or not 1 <= int(how_many) <= 1000:
    sys.exit("How many requests, 1 to 1000, and for which path? python burst.py 12 /")
url = f"http://127.0.0.1:8000/{path.lstrip('/')}"
direct = build_opener(ProxyHandler({}))  # whatever http_proxy says
clients = ThreadPoolExecutor(int(how_many))  # a thread for each: none may queue here
start = time.monotonic()
try:
    requests = [clients.submit(direct.open, url) for _ in range(int(how_many))]
    for request in as_completed(requests):
        request.result().read()
        seconds = time.monotonic() - start
        print("█" * min(round(10 * seconds), 70), f"{seconds:.1f} s", flush=True)
except (BrokenPipeError, KeyboardInterrupt):
    os._exit(130)  # at once: a plain exit would wait for every thread
except (OSError, HTTPException) as error:
    sys.exit(f"{url}: {error}. Does a server run at port 8000, and what does it say?")
