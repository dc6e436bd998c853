"""An ASGI application made with FastAPI: its views share five database connections.

uvicorn fastapi_database_app:app
"""

import time
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

engine = create_engine(
    "sqlite://",  # in memory, so that nothing has to be installed
    connect_args={"check_same_thread": False},  # the pool lends to whichever thread asks
    poolclass=QueuePool,  # the pool that PostgreSQL gets by default
    pool_size=5,
    max_overflow=0,  # no more than these five
    pool_timeout=5,  # seconds that a view waits for a connection; default: 30
)
app = FastAPI()


def open_session():
    with Session(engine) as session:
        yield session  # it takes a connection at its first query, and keeps it


def ask(session):
    number = session.scalar(text("SELECT 1"))
    time.sleep(0.2)  # as if the query had taken a fifth of a second
    return {"number": number}


@app.get("/plain")
def plain(session: Annotated[Session, Depends(open_session)]):
    """Get the session from FastAPI, as its tutorial does."""
    return ask(session)


@app.get("/declared")
def declared(session: Annotated[Session, Depends(open_session)]) -> dict[str, int]:
    """Do the same, with a result that is checked in a thread while the session is open."""
    return ask(session)


@app.get("/inside")
def inside() -> dict[str, int]:
    """Open the session here: its connection is free before the result is checked."""
    with Session(engine) as session:
        return ask(session)


@app.get("/health")
def health():
    """Need a thread, but no connection."""
    return "ok"


@app.get("/health-async")
async def health_async():
    """Need neither."""
    return "ok"
