"""Started from Python: one worker that reloads on every edit and waits at breakpoints.

python runfromgunicorn.py
"""

from gunicorn.app.base import BaseApplication
from gunicorn.util import import_app


class FromPython(BaseApplication):  # gunicorn's documented way: gunicorn.org/custom/
    def load_config(self):
        self.cfg.set("bind", "127.0.0.1:8000")
        self.cfg.set("workers", 1)  # a breakpoint wants the terminal for itself
        self.cfg.set("timeout", 0)  # else a worker at a breakpoint is killed after 30 s
        self.cfg.set("reload", True)

    def load(self):  # runs in the worker, so a new worker imports the edited file
        return import_app("app:app")


if __name__ == "__main__":
    print("Starting wsgi/app.py at http://127.0.0.1:8000 (Ctrl-C ends it)", flush=True)
    FromPython().run()
