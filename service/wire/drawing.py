"""SVG by hand: texts that fit and cannot break out, arrows, and colours for light and dark."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from xml.sax.saxutils import escape

SMALL, PLAIN, LARGE = 11.0, 12.0, 17.0
"""Sizes of letters."""
BOLD = 1.12
"""How much wider bold letters are."""
HEAD = 7
"""How long the head of an arrow is."""
UNSEEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What XML cannot carry, and what turns the direction of writing: a name could hide behind it."""
APART = re.compile(r"\s+(?!(?<=\d\s)(?:ms|s|min|h)\b)")
"""Where a line may end: between words, and not between a number and its unit."""
NARROW, WIDE = frozenset("iljtfI.,:;'|!()[] ·"), frozenset("mwMW@%—…")
COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "command": ("#1d4ed8", "#93b4ff"),
        "alert": ("#9a3412", "#fdba74"),
        "ack": ("#166534", "#86efac"),
        "timer": ("#6b21a8", "#d8b4fe"),
        "webhook": ("#0f766e", "#5eead4"),
        "event": ("#475569", "#cbd5e1"),
        "media": ("#0369a1", "#7dd3fc"),
        "failed": ("#b91c1c", "#fca5a5"),
        "unknown": ("#6b7280", "#9ca3af"),
        "ink": ("#111827", "#f3f4f6"),
        "dim": ("#4b5563", "#a8b1bf"),
        "rail": ("#cbd5e1", "#3b4657"),
        "box": ("#f1f5f9", "#1f2732"),
        "paper": ("#ffffff", "#12161c"),
    }
)
"""Each in light and in dark; texts have a contrast of at least 4.5 to their paper in both."""
FONT = "font-family:system-ui,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif"


def style() -> str:
    """The one style sheet: every part takes its colour from its class."""
    light = "".join(f".{name}{{color:{colours[0]}}}" for name, colours in COLOURS.items())
    dark = "".join(f".{name}{{color:{colours[1]}}}" for name, colours in COLOURS.items())
    halo = "text{fill:currentColor;paint-order:stroke;stroke-linejoin:round}"
    halo += f".over{{stroke:{COLOURS['paper'][0]};stroke-width:4px}}"
    dark += f".over{{stroke:{COLOURS['paper'][1]}}}"
    return f"<style>svg{{{FONT}}}{halo}{light}@media(prefers-color-scheme:dark){{{dark}}}</style>"


def clean(text: str) -> str:
    """The text as XML may carry it."""
    return escape(UNSEEN.sub("\ufffd", text), {'"': "&quot;"})


def _em(letter: str) -> float:
    """How wide a letter is, in sizes of the letters."""
    if letter in NARROW:
        return 0.36
    if unicodedata.combining(letter):
        return 0.0
    if letter in WIDE or unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    return 0.7 if letter.isupper() else 0.61


PLAIN_LETTERS = tuple(_em(chr(code)) for code in range(128))


def width_of(text: str, size: float = SMALL) -> float:
    """About how wide a text becomes; rather more than less."""
    if text.isascii():
        return size * sum(map(PLAIN_LETTERS.__getitem__, text.encode()))
    return size * sum(map(_em, text))


def cut(text: str, width: float, size: float = SMALL) -> str:
    """As much of a text as fits, with … for the rest."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(text, size) + size > width:
        text = text[:-1]
    return f"{text}…"


def wrapped(text: str, width: float, size: float = SMALL) -> Iterator[str]:
    """A text in lines that fit; a word that does not is cut. A number stays with its unit."""
    line, taken = "", 0.0
    for word in APART.split(text.strip()):
        more = width_of(f" {word}", size)
        if line and taken + more > width:
            yield line
            line, taken = "", 0.0
        line = f"{line} {word}" if line else cut(word, width, size)
        taken += more
    if line:
        yield line


def words(x: float, y: float, text: str, colour: str = "ink", size: float = SMALL, **how: str) -> str:
    """A text at a place. `anchor`: where its place is (start, middle, end); `over`: readable above lines; `bold`."""
    anchor = how.get("anchor", "start")
    weight = ' font-weight="600"' if "bold" in how else ""
    over = " over" if "over" in how else ""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"'
    return f'<text class="{colour}{over}" {place} text-anchor="{anchor}"{weight}>{clean(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, width: float = 1.5, dashes: str = "") -> str:
    """A line in its group's colour."""
    how = f' stroke-dasharray="{dashes}"' if dashes else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="currentColor" stroke-width="{width:g}"{how}/>'


def head(x: float, y: float, direction: int, *, hollow: bool = False) -> str:
    """The head of an arrow that ends at a place, pointing right (1) or left (-1)."""
    back = x - direction * HEAD
    points = f"{back:.1f},{y - 4:.1f} {x:.1f},{y:.1f} {back:.1f},{y + 4:.1f}"
    if hollow:
        return f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.3"/>'
    return f'<polygon points="{points}" fill="currentColor"/>'


def cross(x: float, y: float) -> str:
    """What did not arrive."""
    path = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
    return f'<path d="{path}" stroke="currentColor" stroke-width="2" fill="none"/>'


def dial(x: float, y: float) -> str:
    """A small clock."""
    hands = f'<path d="M{x:.1f} {y - 4.5:.1f}V{y:.1f}h3.5" stroke="currentColor" stroke-width="1.5" fill="none"/>'
    face = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7"'
    return f'<g class="paper">{face} fill="currentColor"/></g>{face} fill="none" stroke="currentColor"/>{hands}'


def box(x: float, y: float, width: float, height: float, radius: float = 6) -> str:
    """A filled box with a thin border."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}"'
    return (
        f'<rect class="box" {place} fill="currentColor"/><rect class="rail" {place} fill="none" stroke="currentColor"/>'
    )
