"""A WSGI application made with Flask: a request holds a thread, even if it awaits.

gunicorn --threads 40 flask_app:app
"""

import asyncio
import time

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    time.sleep(1)
    return "Hello, World!\n"


@app.get("/async")
async def hello_async():
    await asyncio.sleep(1)  # on an event loop of its own, for which a thread waits
    return "Hello, World!\n"
