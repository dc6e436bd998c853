"""Draws the picture at the top of the README: the same requests at four servers.

python -m tools.picture      draws docs/images/requests.svg, in half a minute

The times are those of burst.py. The picture is an SVG that CSS animates: a second in the
picture lasts a second.
"""

import subprocess
import sys
import time

from server import ROOT, leave_nothing, running

REQUESTS = 8
REST = 2  # seconds at the end, before the picture begins again
PANELS = [  # title, folder, command
    ("WSGI, four sync workers", "wsgi", "gunicorn -w 4 slow_app:app"),
    ("ASGI, four event loops", "asgi", "uvicorn slow_app:app --workers 4"),
    ("WSGI, eight threads", "wsgi", "gunicorn --threads 8 slow_app:app"),
    ("ASGI, one blocked event loop", "asgi", "uvicorn blocking_app:app"),
]
PLACES = [(0, 40), (370, 40), (0, 254), (370, 254)]  # of the panels, in 720 by 456
SECOND, BAR = 42, 15  # the width of a second and the height of a request
STYLE = """
text{font:18.5px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}
.title{font-size:20px;font-weight:600}
.command{font-family:Menlo,Consolas,monospace;letter-spacing:-.6px}
.second{text-anchor:middle}
.grid{stroke:#8886;stroke-width:1}
path{stroke-width:11}
.queue{stroke:#afb8c1}
.progress{stroke:#1a7f37}
@media(min-width:600px){ /* not on a phone */
text{font-size:15px}.title{font-size:17px}.command{letter-spacing:0}}
@media(prefers-color-scheme:dark){
text{fill:#e6edf3}.queue{stroke:#6e7681}.progress{stroke:#3fb950}}
"""
HEAD = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="-6 0 728 456" width="860" role="img">
<title>{REQUESTS} requests at once, at each of four servers</title>
<text y="18">{REQUESTS} requests at once, one bar each</text>
<path class="queue" d="M370 12h14"/><text x="390" y="18">in the queue</text>
<path class="progress" d="M540 12h14"/><text x="560" y="18">in progress</text>
"""


def response_times(folder, command):
    """Return the seconds after which each request of a burst had its response."""
    with running(ROOT / folder, command):
        time.sleep(1)  # until all workers have started
        burst = [sys.executable, ROOT / "burst.py", str(REQUESTS)]
        result = subprocess.run(burst, check=False, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit(f"{command}\nburst.py failed, so nothing is drawn.\n{result.stdout}")
    return [float(line.split()[1]) for line in result.stdout.splitlines()]  # ████ 1.0 s


def animation(longest):
    """Return the CSS that draws all bars at the same speed, in `longest` seconds.

    A bar is a line with one dash, as long as the longest bar, that comes in from the left.
    """
    period, width = longest + REST, round(longest * SECOND)
    return f"""
.bar{{shape-rendering:crispEdges;stroke-dasharray:{width};animation:grow {period:.1f}s linear infinite}}
@keyframes grow{{0%{{stroke-dashoffset:{width}}}
{100 * longest / period:.1f}%,100%{{stroke-dashoffset:0}}}}
@media(prefers-reduced-motion:reduce){{.bar{{animation:none}}}}
"""


def bar(kind, seconds, y):
    """Return a bar that ends after some `seconds`."""
    return f'<path class="bar {kind}" d="M0 {y}H{seconds * SECOND:.0f}"/>\n'


def panel(title, command, times, longest):
    """Return a panel: its title and command, the seconds, and a bar for each request."""
    bottom = 50 + BAR * REQUESTS
    svg = f'<text class="title" y="18">{title}</text>\n'
    svg += f'<text class="command" y="41">{command}</text>\n'
    for second in range(round(longest) + 1):
        x, unit = second * SECOND, " s" if second == round(longest) else ""
        svg += f'<path class="grid" d="M{x} 50V{bottom}"/>'
        svg += f'<text class="second" x="{x}" y="{bottom + 18}">{second}{unit}</text>\n'
    for number, seconds in enumerate(times):
        y = 50 + BAR * (number + 0.5)
        svg += bar("progress", seconds, y)
        svg += bar("queue", seconds - 1, y)  # the application takes the last second
    return svg


def picture(runs):
    """Return the SVG, from the response times of each of the PANELS."""
    longest = max(max(times) for times in runs)
    svg = f"{HEAD}<style>{STYLE}{animation(longest)}</style>\n"
    for (title, _, command), times, (x, y) in zip(PANELS, runs, PLACES, strict=True):
        seconds = ", ".join(map(str, times))
        svg += f'<g transform="translate({x} {y})">\n'
        svg += f"<desc>The responses come after {seconds} seconds.</desc>\n"
        svg += panel(title, command, times, longest) + "</g>\n"
    return svg + "</svg>\n"


def main():
    """Draw the picture, or exit with a sentence if a server or a request fails."""
    leave_nothing()
    runs = [response_times(folder, command) for _, folder, command in PANELS]
    (ROOT / "docs" / "images" / "requests.svg").write_text(picture(runs))


if __name__ == "__main__":
    main()
