"""An ASGI application made with FastAPI: it awaits in the loop, or sleeps in threads.

uvicorn fastapi_app:app
"""

import asyncio
import time

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI(default_response_class=PlainTextResponse)


@app.get("/")
async def hello():
    await asyncio.sleep(1)
    return "Hello, World!\n"


@app.get("/def")
def hello_def():
    time.sleep(1)  # in one of forty threads, as FastAPI calls views that are not async
    return "Hello, World!\n"
