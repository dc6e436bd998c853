"""Opens connections to this machine, and says nothing on them for a minute.

python silent_clients.py 4                 four of them, to port 8000
python silent_clients.py 200 --port 8080   as many to nginx, which stands in front
python silent_clients.py 4 --say G         each sends the first letter of a request
"""

import argparse
import contextlib
import resource
import socket
import sys
import time

parser = argparse.ArgumentParser(description="Connect and say nothing, for a minute.")
parser.add_argument("how_many", type=int, help="1 to 10000")
parser.add_argument("--port", type=int, default=8000, help="default: 8000")
parser.add_argument("--say", default="", help="what each of them sends, once")


def main():
    """Open the connections; return after a minute, or exit with a sentence."""
    options = parser.parse_args()
    if not (1 <= options.how_many <= 10_000 and 1 <= options.port <= 65_535):
        parser.error("1 to 10000 clients, for example: python silent_clients.py 4")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError):  # a connection is an open file
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    address = "127.0.0.1", options.port
    try:
        clients = [socket.create_connection(address) for _ in range(options.how_many)]
        for client in clients:
            client.sendall(options.say.encode())
        print(f"{len(clients)} connections to port {options.port} are open and silent,",
              "for a minute.", flush=True)  # fmt: skip
        time.sleep(60)
    except ConnectionRefusedError:
        sys.exit(f"Connection refused. Does a server listen on port {options.port}?")
    except OSError as error:  # for example more of them than files may be open
        sys.exit(f"{error.strerror}.")
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
