"""python idle_clients.py N [PORT]: N connections to this machine, on which nothing is said.

A minute later, or after Ctrl-C, they are closed. PORT is 8000 if you name none.
"""

import resource
import socket
import sys
import time

try:
    number, port = int(sys.argv[1]), int([*sys.argv, 8000][2])
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # a connection is a file
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(number)]
    print(
        f"{len(silent)} connections to port {port} are open and silent, for a minute."
    )
    time.sleep(60)
except (IndexError, ValueError, OverflowError):
    sys.exit("How many? Four to port 8000: python idle_clients.py 4 8000")
except OSError as error:
    sys.exit(
        f"{error}: does a server listen at port {port}, and can it take that many?"
    )
except KeyboardInterrupt:
    sys.exit(0)
