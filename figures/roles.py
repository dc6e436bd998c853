"""Draws what a request meets on its way: the queue on the port, and a slot in a worker.

python -m figures.roles      draws docs/images/roles.svg
"""

import math

from figures.svg import IMAGES, WIDTH, arrow, box, document, dots, group, text

REQUESTS = 12  # at each of the four kinds of workers
STEP = 23  # from a dot to the next one
HEIGHT = 660
TITLE = (
    "Clients send requests. They are in a queue on port 8000 until a worker takes them. "
    f"Four kinds of workers, each with the same {REQUESTS} requests."
)


def grid(columns, how_many, x, y, step=STEP):
    """Return so many places in rows from left to right, the first one at `x` and `y`."""
    return [(x + n % columns * step, y + n // columns * step) for n in range(how_many)]


def slots(places, size):
    """Return a box of that `size` for each of the places, with a request in it."""
    boxes = (box(x - size / 2, y - size / 2, size, size, "line", 3) for x, y in places)
    return "".join(boxes) + dots("progress", places)


def overview():
    """Return the parts of the upper drawing, which says what the lower ones show."""
    return [
        box(0, 36, 112, 100),
        text("clients", 56, 92, "bold middle"),
        text("requests", 166, 76, "middle"),
        arrow(118, 86, 214),
        text("queue on port 8000", 326, 24, "bold middle"),
        box(222, 36, 208, 100, "box", 50),
        dots("queue", grid(6, 6, 268, 86)),
        arrow(436, 86, 482),
        text("worker: a process", 605, 24, "bold middle"),
        box(490, 36, 230, 100),
        slots([(540, 76), (605, 76), (670, 76)], 40),
        text("slots", 605, 125, "middle"),
        dots("queue", [(236, 168)]),
        text("in the queue", 254, 175),
        dots("progress", [(504, 168)]),
        text("in progress", 522, 175),
    ]


def variant(name, caption, on_port, worker):
    """Return the parts of a small drawing: a queue on the port, and those of the worker."""
    return [
        text(name, 0, 18, "bold"),
        box(0, 42, 104, 84, "box", 36),
        dots("queue", grid(4, on_port, 18, 61)),
        arrow(108, 84, 130),
        box(134, 32, 210, 104),
        *worker,
        text("port 8000", 52, 164, "middle"),
        text(caption, 239, 164, "middle"),
    ]


def sync():
    """Return the drawing of a worker that is one slot."""
    worker = [slots([(239, 84)], 44)]
    return variant("sync", "one slot", REQUESTS - 1, worker)


def threads(how_many=4):
    """Return the drawing of a worker with so many threads."""
    inside = dots("queue", grid(2, REQUESTS - how_many, 156, 50))
    worker = [inside, slots(grid(2, how_many, 258, 60, 48), 40)]
    return variant("threads", "a slot per thread", 0, worker)


def greenlets(how_many=8):
    """Return the drawing of a worker with so many greenlets in one thread."""
    thread = box(175, 48, 128, 72, "line", 36)
    worker = [thread, slots(grid(4, how_many, 198, 71, 27), 22)]
    on_port = REQUESTS - how_many
    return variant("greenlets in one thread", "a slot per greenlet", on_port, worker)


def event_loop():
    """Return the drawing of a worker with an event loop: its dots go round one thread."""
    x, y, radius = 239, 84, 41
    angles = [math.tau * n / REQUESTS for n in range(REQUESTS)]
    around = [(x + radius * math.sin(a), y - radius * math.cos(a)) for a in angles]
    loop = f'<circle class="line" cx="{x}" cy="{y}" r="{radius}"/>'
    worker = [loop, dots("progress", around), text("loop", x, y + 6, "middle")]
    return variant("event loop in one thread", "a coroutine each", 0, worker)


def roles():
    """Return the SVG."""
    right = WIDTH - 344
    parts = [
        *overview(),
        f'<path class="line" d="M0 200H{WIDTH}" opacity=".4"/>',
        text(f"Four kinds of workers, each with the same {REQUESTS} requests", 0, 232),
        group(0, 252, sync()),
        group(right, 252, threads()),
        group(0, 440, greenlets()),
        group(right, 440, event_loop()),
        text("A worker with threads accepts more than it has slots for.", 0, 640),
    ]
    return document(HEIGHT, TITLE, parts)


def main():
    """Draw the picture."""
    (IMAGES / "roles.svg").write_text(roles())


if __name__ == "__main__":
    main()
