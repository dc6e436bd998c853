"""Started from Python: one worker that reloads on every edit and waits at breakpoints.

python runfromuvicorn.py
"""

import contextlib
import inspect
import os
import pdb
import signal
import sys
from pathlib import Path

import uvicorn


def stop_here():
    """Open pdb's prompt. From here on Ctrl-C kills this process immediately.

    Else pdb would take Ctrl-C for itself, and uvicorn would wait until you leave
    the prompt.
    """
    with contextlib.suppress(ValueError):  # only the main thread may set this
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # With stdout given it does without readline, which would leave a terminal that is mute.
    prompt = pdb.Pdb(stdout=sys.stdout, nosigint=True)
    prompt.set_trace(inspect.currentframe().f_back)


if __name__ == "__main__":  # the reloader imports this file again in the server process
    os.environ.setdefault("PYTHONBREAKPOINT", "__main__.stop_here")  # unless it is set
    print("Starting asgi/app.py at http://127.0.0.1:8000 (Ctrl-C ends it)", flush=True)
    here = str(Path(__file__).parent)
    uvicorn.run(
        "app:app",  # a name, not the callable: a new process imports the edited file
        host="127.0.0.1",
        port=8000,
        reload=True,  # with it there is one server process, whatever WEB_CONCURRENCY says
        reload_dirs=[here],
        app_dir=here,
    )
