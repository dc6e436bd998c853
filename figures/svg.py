"""What the drawings share: their colours, on light and on dark pages, and their letters.

A page shows an SVG as an image: no script runs in it and no font is loaded, but its CSS is
obeyed. There the width is that of the image, so that letters can grow on a phone.

All lengths are in units of the drawing, 720 of which are as wide as the page.
"""

from xml.sax.saxutils import escape

from launch import ROOT

IMAGES = ROOT / "docs" / "images"
WIDTH = 720
STYLE = """
svg{--ink:#1f2328;--line:#59636e;--box:#f6f8fa;--queue:#afb8c1;--progress:#1a7f37;--busy:#0969da}
text{font:22px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--ink)}
.bold{font-weight:600}
.code{font-family:Menlo,Consolas,monospace}
.middle{text-anchor:middle}
.end{text-anchor:end}
.line{stroke:var(--line);stroke-width:1.5;fill:none}
.box{stroke:var(--line);stroke-width:1.5;fill:var(--box)}
.queue{fill:var(--queue);stroke:var(--queue)}
.progress{fill:var(--progress);stroke:var(--progress)}
.busy{fill:var(--busy);stroke:var(--busy)}
@media(min-width:560px){ /* not on a phone */
text{font-size:16px}}
@media(prefers-color-scheme:dark){
svg{--ink:#e6edf3;--line:#9198a1;--box:#151b23;--queue:#6e7681;--progress:#3fb950;--busy:#4493f8}}
"""


def document(height, title, parts, style=""):
    """Return the SVG of the `parts`; its `title` is for those who don't see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 0 {WIDTH + 8} {height}" '
        f'width="860" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}{style}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def text(words, x, y, kind=""):
    """Return `words` that begin, or have their middle or end, at `x`, on the line `y`."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(words)}</text>'


def box(x, y, width, height, kind="box", radius=8):
    """Return a rectangle with round corners."""
    size = f'width="{width:g}" height="{height:g}" rx="{radius}"'
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" {size}/>'


def dots(kind, places):
    """Return a dot for each request of a `kind`, queue or progress, at its (x, y)."""
    return "".join(
        f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="8"/>' for x, y in places
    )


def arrow(x, y, to):
    """Return an arrow to the right, as far as `to`."""
    return f'<path class="line" d="M{x:g} {y:g}H{to:g}m-8 -6l8 6l-8 6"/>'


def group(x, y, parts):
    """Return the `parts`, moved to the right by `x` and down by `y`."""
    inside = "\n".join(parts)
    return f'<g transform="translate({x:g} {y:g})">\n{inside}\n</g>'
