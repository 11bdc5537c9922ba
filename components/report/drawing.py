"""Matplotlib figures as inline SVG that takes its colours and font from the page, so one drawing fits both schemes."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, LINE, ACCENT, OTHER = "#010101", "#010102", "#010103", "#010104", "#010105"
GOOD, BAD, UNSURE, PAPER = "#010106", "#010107", "#010108", "#010109"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    ACCENT: "--accent",
    OTHER: "--other",
    GOOD: "--good",
    BAD: "--bad",
    UNSURE: "--unsure",
    PAPER: "--paper",
}
"""Stand-in colours that Matplotlib writes, and the CSS variables they become."""

WIDTH = 350
"""Units of the drawing; a card is about as many pixels wide on every screen, so text keeps its size."""

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sluice",
    "text.parse_math": False,
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 11.5,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "legend.fontsize": 10.5,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "legend.handlelength": 1.4,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.linewidth": 1.0,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.color": LINE,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.xmargin": 0.03,
    "axes.ymargin": 0.08,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.constrained_layout.h_pad": 0.03,
}


def render(label: str, height: float, paint: Callable[[Figure], None], *, width: float = WIDTH) -> str:
    """Draw on a figure and return it as SVG for the page.

    Args:
        label: what the plot says, in words, for those who cannot see it.
        height: in CSS pixels at scale 1.
        paint: draws on the empty figure.
        width: in CSS pixels at scale 1.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, "axes.unicode_minus": True}):
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        canvas = FigureCanvasSVG(figure)
        paint(figure)
        buffer = io.StringIO()
        # savefig would draw everything twice, once only to measure it
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return inline(buffer.getvalue(), label)


def tip(artist: Any, text: str) -> None:
    """Give an artist a text that shows while the pointer is on it."""
    for one in artist if isinstance(artist, list | tuple) else [artist]:
        one.set_gid(f"tip:{text}")


def inline(svg: str, label: str) -> str:
    """Return Matplotlib's SVG file as an element: scalable, with unique ids, page colours and tooltips.

    Args:
        svg: the file's text.
        label: the text for assistive technology.
    """
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]+)"', body)
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.S)
    body = re.sub(r'<g id="tip:([^"]*)">', r'<g class="tip"><title>\1</title>', body)
    body = re.sub(r"<[^>]+>", lambda tag: _tidy(tag[0]), body)
    used = set(re.findall(r'(?:href="#|url\(#)([\w.-]+)', body))
    prefix = "p" + hashlib.sha256((label + body).encode()).hexdigest()[:8]
    body = re.sub(r' id="([^"]*)"', lambda found: f' id="{prefix}{found[1]}"' if found[1] in used else "", body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    size = box[1] if box else f"0 0 {WIDTH} {WIDTH}"
    head = f'<svg class="plot" viewBox="{size}" role="img" aria-label={quoteattr(label)}>'
    packed = re.sub(r">\s+<", "><", body)
    return f"{head}<desc>{escape(label)}</desc>{packed}</svg>"


def _tidy(tag: str) -> str:
    """Shorten coordinates to what a screen can show, and leave the font to the page."""
    tag = re.sub(r"(\d\.\d{2})\d+", r"\1", tag)
    tag = re.sub(r"font-family: [^;\"]+;? ?", "", tag)
    tag = tag.replace("xlink:href", "href")
    return re.sub(r"\s+", " ", tag)
