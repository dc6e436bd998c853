"""An ASGI application made with FastAPI: its views share five database connections.

uvicorn fastapi_database_app:app
"""

import time
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

engine = create_engine(
    "sqlite://",  # in memory, so that nothing has to be installed
    connect_args={"check_same_thread": False},
    poolclass=QueuePool,  # the one that PostgreSQL gets by default
    pool_size=5,
    max_overflow=0,  # no more than these five
    pool_timeout=5,  # seconds that a view waits for a connection; default: 30
)
query = text("SELECT sleep(0.2)")  # takes a fifth of a second


@event.listens_for(engine, "connect")
def add_sleep(connection, _):
    connection.create_function("sleep", 1, lambda seconds: time.sleep(seconds) or 1)


def open_session():
    with Session(engine) as session:
        yield session  # it takes a connection at its first query, and keeps it


app = FastAPI()


@app.get("/plain")
def plain(session: Annotated[Session, Depends(open_session)]):
    return {"number": session.scalar(query)}


@app.get("/declared")
def declared(session: Annotated[Session, Depends(open_session)]) -> dict[str, int]:
    return {"number": session.scalar(query)}


@app.get("/inside")
def inside() -> dict[str, int]:
    with Session(engine) as session:  # it ends before the result is checked
        return {"number": session.scalar(query)}


@app.get("/health")
def health():
    return "ok"


@app.get("/health-async")
async def health_async():
    return "ok"
