"""Started from Python: one worker that reloads on every edit and waits at breakpoints.

python runfromgunicorn.py
"""

import contextlib
import inspect
import os
import pdb
import signal
import sys
import traceback
from pathlib import Path

from gunicorn.app.base import Application
from gunicorn.util import import_app, make_fail_app

HERE = Path(__file__).resolve().parent


def stop_here():
    """Open pdb's prompt. From here on Ctrl-C kills this process immediately.

    Else pdb would take Ctrl-C for itself, and gunicorn would wait until you leave
    the prompt.
    """
    with contextlib.suppress(ValueError):  # only the main thread may set this
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # With stdout given it does without readline, which would leave a terminal that is mute.
    prompt = pdb.Pdb(stdout=sys.stdout, nosigint=True)
    prompt.set_trace(inspect.currentframe().f_back)


class FromPython(Application):  # gunicorn's own way, see gunicorn.org/custom/
    def load_config(self):
        self.cfg.set("bind", "127.0.0.1:8000")
        self.cfg.set("workers", 1)  # a breakpoint wants the terminal for itself
        self.cfg.set("timeout", 0)  # else a worker at a breakpoint is killed after 30 s
        self.cfg.set("reload", True)
        self.cfg.set("reload_extra_files", [str(HERE / "app.py")])  # broken ones, too
        self.cfg.set("chdir", str(HERE))
        self.chdir()

    def load(self):  # runs in the worker, so a new worker imports the edited file
        try:
            return import_app("app:app")
        except (Exception, SystemExit):  # a typo: say so, and wait for the next edit
            traceback.print_exc()
            return make_fail_app(traceback.format_exc())


if __name__ == "__main__":
    os.environ.setdefault("PYTHONBREAKPOINT", "__main__.stop_here")  # unless it is set
    print("Starting wsgi/app.py at http://127.0.0.1:8000 (Ctrl-C ends it)", flush=True)
    FromPython().run()
