"""Opens connections to this machine, and says nothing on them for a minute.

python silent_clients.py HOW_MANY [PORT]      PORT is 8000 if you name none
"""

import resource
import socket
import sys
import time

number, port = [*sys.argv[1:], *("", "8000")[len(sys.argv[1:]) :]][:2]
if not (number.isdecimal() and port.isdecimal()) or int(number) < 1:
    sys.exit("How many clients, and at which port? python silent_clients.py 4 8000")
files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # a connection is a file
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
try:
    address = "127.0.0.1", int(port)
    clients = [socket.create_connection(address) for _ in range(int(number))]
    print(f"{number} connections to port {port} are open and silent, for a minute.")
    time.sleep(60)
except (OSError, OverflowError) as error:
    sys.exit(f"{error}. Does a server listen at port {port}? Can it take so many?")
except KeyboardInterrupt:
    sys.exit(0)
