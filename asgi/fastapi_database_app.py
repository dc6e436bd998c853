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
    "sqlite://",
    poolclass=QueuePool,  # the one that PostgreSQL gets, too
    pool_size=5,
    max_overflow=0,
    pool_timeout=3,  # seconds that a view waits for a connection; default: 30
    connect_args={"check_same_thread": False},
)


@event.listens_for(engine, "connect")
def add_a_slow_function(connection, _):
    connection.create_function("sleep", 1, lambda seconds: time.sleep(seconds) or 1)


def open_session():
    with Session(engine) as session:
        yield session  # which takes a connection at its first query


SessionOfRequest = Annotated[Session, Depends(open_session)]
app = FastAPI()


@app.get("/plain")
def plain(session: SessionOfRequest):
    return {"number": session.scalar(text("SELECT sleep(0.2)"))}


@app.get("/declared")
def declared(session: SessionOfRequest) -> dict[str, int]:
    return {"number": session.scalar(text("SELECT sleep(0.2)"))}


@app.get("/inside")
def inside() -> dict[str, int]:
    with Session(engine) as session:  # gives its connection back at the end
        return {"number": session.scalar(text("SELECT sleep(0.2)"))}


@app.get("/health")
def health():
    return "ok"


@app.get("/health-async")
async def health_async():
    return "ok"
