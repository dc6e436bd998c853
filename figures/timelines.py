"""Draws three requests in a sync worker's thread and in an event loop, second by second.

python -m figures.timelines      draws docs/images/timelines.svg
"""

from figures.svg import IMAGES, box, document, group, text

REQUESTS = 3
TAKES = 1  # seconds for which the application waits
LEFT, SECOND = 126, 194  # where the first second begins, and the width of one
ROW, BAR = 36, 26  # from a request to the next one, and its height
TICK = 5  # the width of a moment in which the loop's thread works: drawn far too wide
HEIGHT = 506
TITLE = (
    "Three requests, each of which waits for a second. In a sync worker time.sleep(1) "
    "occupies the thread, so the second request waits in the queue for one second and the "
    "third one for two. In an event loop all three wait together, and its thread is busy "
    "only for the moments in which it starts and resumes them."
)


def bar(kind, begin, end, row):
    """Return what happens in that row from `begin` to `end`, in seconds."""
    return box(LEFT + begin * SECOND, row * ROW, (end - begin) * SECOND, BAR, kind, 2)


def tick(seconds, number, row):
    """Return a moment's work of the thread, the one of that number after some seconds."""
    return box(LEFT + seconds * SECOND + number * 2 * TICK, row * ROW, TICK, BAR, "busy", 0)


def axis():
    """Return the seconds below the rows, and a line through the rows for each."""
    parts, bottom = [], (REQUESTS + 1) * ROW
    for second in range(REQUESTS + 1):
        x, unit = LEFT + second * SECOND, " s" if second == REQUESTS else ""
        parts.append(f'<path class="line" d="M{x} -6V{bottom}" opacity=".4"/>')
        parts.append(text(f"{second}{unit}", x, bottom + 22, "middle"))
    return parts


def names():
    """Return the rows' names."""
    rows = [*(f"request {number}" for number in range(1, REQUESTS + 1)), "thread"]
    return [text(name, 0, row * ROW + 20) for row, name in enumerate(rows)]


def thread():
    """Return the rows of a sync worker: one request after the other."""
    parts = [*axis(), *names()]
    for number in range(REQUESTS):
        begin = number * TAKES
        if number:
            parts.append(bar("queue", 0, begin, number))
        parts.append(bar("progress", begin, begin + TAKES, number))
        parts.append(bar("busy", begin + 0.01, begin + TAKES - 0.01, REQUESTS))
    return parts


def event_loop():
    """Return the rows of an event loop: all requests at the same time."""
    parts = [*axis(), *names(), bar("box", 0, REQUESTS * TAKES, REQUESTS)]
    for number in range(REQUESTS):
        parts.append(bar("progress", 0, TAKES, number))
        parts += [tick(0, number, REQUESTS), tick(TAKES, number, REQUESTS)]
    y, right = REQUESTS * ROW + 20, LEFT + 2 * TICK * REQUESTS + 2
    parts += [text("start", right, y), text("resume", right + TAKES * SECOND, y)]
    return parts


def timelines():
    """Return the SVG."""
    parts = [
        text("Sync worker: time.sleep(1) occupies its thread", 0, 20, "bold"),
        group(0, 40, thread()),
        text("Event loop: await asyncio.sleep(1) frees its thread", 0, 250, "bold"),
        group(0, 270, event_loop()),
        box(0, 474, 20, 20, "queue", 2),
        text("in the queue", 28, 491),
        box(220, 474, 20, 20, "progress", 2),
        text("in progress", 248, 491),
        box(426, 474, 20, 20, "busy", 2),
        text("the thread is occupied", 454, 491),
    ]
    return document(HEIGHT, TITLE, parts)


def main():
    """Draw the picture."""
    (IMAGES / "timelines.svg").write_text(timelines())


if __name__ == "__main__":
    main()
