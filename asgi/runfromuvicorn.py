"""Started from Python: one worker that reloads on every edit and waits at breakpoints.

python runfromuvicorn.py
"""

import pdb
import sys
from pathlib import Path

import uvicorn

# At a breakpoint pdb would take Ctrl-C for itself; this one leaves it to the server.
sys.breakpointhook = lambda: pdb.Pdb(nosigint=True).set_trace(sys._getframe(1))

if __name__ == "__main__":  # the reloader imports this file again in the server process
    print("Starting asgi/app.py at http://127.0.0.1:8000 (Ctrl-C ends it)", flush=True)
    here = str(Path(__file__).parent)
    uvicorn.run(
        "app:app",  # a name, not the callable: a new process imports the edited file
        host="127.0.0.1",
        port=8000,
        workers=1,  # a breakpoint wants the terminal for itself
        reload=True,
        reload_dirs=[here],
        app_dir=here,
    )
