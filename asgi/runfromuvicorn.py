"""Started from Python: one worker that reloads on every edit and waits at breakpoints.

python runfromuvicorn.py
"""

from pathlib import Path

import uvicorn

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
