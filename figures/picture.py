"""Draws the picture at the top of the README: the same requests at four servers.

python -m figures.picture      draws docs/images/requests.svg, in half a minute

The picture is an SVG that CSS animates: it is there as a whole, then plays once, and a
second in it lasts a second.
"""

import sys
import time

from burst import together
from figures.svg import IMAGES, document, group, text
from launch import HERE, ROOT, leave_nothing, running

REQUESTS = 8
TAKES = 1  # seconds for which the applications have a request in progress
PANELS = [  # title, folder, command
    ("WSGI, four sync workers", "wsgi", "gunicorn -w 4 slow_app:app"),
    ("ASGI, one event loop", "asgi", "uvicorn slow_app:app"),
    ("WSGI, eight threads", "wsgi", "gunicorn --threads 8 slow_app:app"),
    ("ASGI, one blocked loop", "asgi", "uvicorn blocking_app:app"),
]
PLACES = [(0, 44), (376, 44), (0, 262), (376, 262)]  # of the panels
HEIGHT = 464
SECOND, BAR = 41, 15  # the width of a second and the height of a request
PAUSE = 2  # seconds before it plays
STYLE = """
.grid{stroke:#8886}
.bars path{stroke-width:11;shape-rendering:crispEdges}
.bars .queue,.bars .progress{fill:none}
.pale{opacity:.3}
.app{display:none} /* on a phone there is no room for the whole command */
@media(min-width:560px){.app{display:inline}}
"""


def response_times(folder, command):
    """Return the seconds after which each request had its response, in their order.

    Exits with a sentence if one of them is no good.
    """
    times = []
    print(f"{folder}$ {command}")
    with running(ROOT / folder, command):
        time.sleep(1)  # until all workers have started
        for seconds, trouble in together(REQUESTS, HERE):
            if trouble:
                sys.exit(f"{command}\nA request failed: {trouble}. Nothing was drawn.")
            times.append(seconds)
    return times


def animation(longest):
    """Return the CSS that draws all bars once, at the same speed, in `longest` seconds.

    A bar is a line with one dash, as long as the longest bar, that comes in from the left.
    Before and after that all bars are as long as they are.
    """
    width = round(longest * SECOND)
    return f"""
.moving path{{stroke-dasharray:{width};animation:grow {longest:.1f}s linear {PAUSE}s}}
@keyframes grow{{from{{stroke-dashoffset:{width}}}to{{stroke-dashoffset:0}}}}
@media(prefers-reduced-motion:reduce){{.moving path{{animation:none}}}}
"""


def bars(times):
    """Return a line for each request until its response, and over it one while it queued.

    Both begin at 0, so that they grow together.
    """
    lines = []
    for number, seconds in enumerate(times):
        y, end, begin = BAR * (number + 0.5), seconds * SECOND, (seconds - TAKES) * SECOND
        lines.append(f'<path class="progress" d="M0 {y}H{end:.0f}"/>')
        if begin > 0.1 * SECOND:  # what is shorter is the burst's own time
            lines.append(f'<path class="queue" d="M0 {y}H{begin:.0f}"/>')
    return "\n".join(lines)


def last_response(times):
    """Return in words after how many whole seconds the last response came."""
    return f"last response: {max(times):.0f} s"


def panel(title, command, times, longest):
    """Return the parts of a panel: title, command, seconds, a bar for each request."""
    program, app, rest = command.partition(" slow_app:app")
    words = text(program, 0, 42, "code")
    words = words.replace("</text>", f'<tspan class="app">{app}</tspan>{rest}</text>')
    parts = [text(title, 0, 18, "bold"), words]
    bottom = 52 + BAR * REQUESTS
    for second in range(round(longest) + 1):
        x, unit = second * SECOND, " s" if second == round(longest) else ""
        parts.append(f'<path class="grid" d="M{x} 52V{bottom}"/>')
        parts.append(text(f"{second}{unit}", x, bottom + 22, "middle"))
    parts.append(group(0, 52, [f'<g class="bars pale">{bars(times)}</g>']))
    parts.append(group(0, 52, [f'<g class="bars moving">{bars(times)}</g>']))
    parts.append(text(last_response(times), round(longest) * SECOND, 72, "bold end"))
    return parts


def picture(runs):
    """Return the SVG, from the response times of each of the PANELS, in seconds."""
    longest = max(max(times) for times in runs)
    parts = [
        text(f"{REQUESTS} requests together, a bar each", 0, 20),
        text("in the queue", 396, 20),
        text("in progress", 570, 20),
        '<g class="bars"><path class="queue" d="M376 14h14"/>',
        '<path class="progress" d="M550 14h14"/></g>',
    ]
    told = []
    for (title, _, command), times, (x, y) in zip(PANELS, runs, PLACES, strict=True):
        parts.append(group(x, y, panel(title, command, times, longest)))
        told.append(f"{title}: {last_response(times)}.")
    title = f"{REQUESTS} requests together at each of four servers. {' '.join(told)}"
    return document(HEIGHT, title, parts, STYLE + animation(longest))


def main():
    """Draw the picture, or exit with a sentence if a server or a request fails."""
    leave_nothing()
    runs = [response_times(folder, command) for _, folder, command in PANELS]
    (IMAGES / "requests.svg").write_text(picture(runs))


if __name__ == "__main__":
    main()
