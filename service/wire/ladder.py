"""The ladder of a call as an SVG: who said what to whom, and when, time flowing down.

It is readable as a file of its own: no scripts, no links, no fonts from elsewhere; it follows the reader's choice of
light or dark. Where nothing happens for long the time is drawn shorter, and says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.core.timeline import Timeline
from service.core.trace import Trace
from service.core.witness import clock, lasting
from service.wire.drawing import (
    BOLD,
    LARGE,
    PLAIN,
    SMALL,
    box,
    clean,
    cross,
    cut,
    dial,
    head,
    line,
    style,
    width_of,
    words,
    wrapped,
)
from service.wire.ladder_rows import Column, Row, columns, rows

GUTTER, EDGE = 92.0, 18.0
ROW, CLOSE_ROW = 32.0, 27.0
MANY = 60
"""So many rows stand closer together."""
LONG = timedelta(seconds=3)
BREAK = 26.0
BOX_HEIGHT = 40.0
NARROWEST = 760.0
MOST_SENTENCES = 60
MEANINGS = (
    *((kind, kind) for kind in ("command", "alert", "ack", "timer", "event", "media", "webhook", "failed")),
    ("unknown", "not acknowledged"),
)


@dataclass(slots=True, frozen=True)
class Page:
    """Where the lanes are."""

    columns: Sequence[Column]
    step: float

    @property
    def width(self) -> float:
        return max(NARROWEST, GUTTER + self.step * len(self.columns) + EDGE)

    def x(self, column: int) -> float:
        """The middle of a lane."""
        spare = self.width - EDGE - GUTTER - self.step * len(self.columns)
        return GUTTER + spare / 2 + self.step * (column + 0.5)


def ladder(told: Trace, drawn: Timeline) -> str:
    """The whole picture."""
    lanes = columns(drawn.lanes)
    page = Page(lanes, {1: 190.0, 2: 190.0, 3: 190.0, 4: 180.0, 5: 165.0, 6: 150.0, 7: 138.0}.get(len(lanes), 124.0))
    parts, top = _title(told, page)
    parts += _heads(page, top)
    first = top + BOX_HEIGHT + 8
    made = rows(drawn.steps, lanes)
    body, bottom = _body(told, page, made, first)
    rails = "".join(
        line(page.x(place), top + BOX_HEIGHT, page.x(place), bottom, 2 if column.kind == "service" else 1)
        for place, column in enumerate(lanes)
    )
    parts += [f'<g class="rail">{rails}</g>', *body, *_heads(page, bottom)]
    rest, height = _legend(page, made, bottom + BOX_HEIGHT + 26)
    size = f'width="{page.width:.0f}" height="{height:.0f}" viewBox="0 0 {page.width:.0f} {height:.0f}"'
    about = f"<title>{clean(told.summary)}</title>"
    paper = f'<rect class="paper" width="{page.width:.0f}" height="{height:.0f}" fill="currentColor"/>'
    everything = "\n".join([about, style(), paper, *parts, *rest])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n{everything}\n</svg>\n'


def _title(told: Trace, page: Page) -> tuple[list[str], float]:
    """The sentence about the call, what it was, and what became of each ring; and where the lanes begin."""
    call, y, parts = told.call, 30.0, []
    for text in wrapped(told.summary, page.width - 2 * EDGE, LARGE * BOLD):
        parts.append(words(EDGE, y, text, size=LARGE, bold="yes"))
        y += 22
    began = f"{call.created_at.isoformat(' ', 'milliseconds')[:23]} UTC"
    facts = f"{began} · {call.call_type} · {call.topology} · call {call.id}"
    for text in (facts, *told.notes):
        parts.append(words(EDGE, y, cut(text, page.width - 2 * EDGE), "dim"))
        y += 16
    y += 12
    sentences = _sentences(told)
    indent = EDGE + min(220.0, max((width_of(name, PLAIN * BOLD) for name, _ in sentences), default=0.0)) + 14
    for name, text in sentences[:MOST_SENTENCES]:
        if name:
            parts.append(words(EDGE, y, cut(name, indent - EDGE - 12, PLAIN * BOLD), size=PLAIN, bold="yes"))
        for each in wrapped(text, page.width - EDGE - indent, PLAIN):
            parts.append(words(indent, y, each, size=PLAIN))
            y += 17
        y += 2
    return parts, y + 4


def _sentences(told: Trace) -> list[tuple[str, str]]:
    """Each leg's name and sentence; under it those of its devices that say more."""
    found: list[tuple[str, str]] = []
    for each in told.legs:
        leg = each.leg
        if leg.user_id == told.call.initiator and not each.devices and len(told.legs) > 1:
            continue
        again = f" (invitation {leg.attempt})" if leg.attempt > 1 else ""
        found.append((f"{leg.user_id}{again}", each.verdict))
        others = [device for device in each.devices if device.verdict not in each.verdict]
        found += [("", f"{device.ring.device_id}: {device.verdict}") for device in others if len(each.devices) > 1]
    return found


def _heads(page: Page, y: float) -> list[str]:
    """The names of the lanes, in boxes."""
    parts, width = [], page.step - 10
    for place, column in enumerate(page.columns):
        x = page.x(place)
        parts.append(f"<g><title>{clean(f'{column.name} {column.about}'.strip())}</title>")
        parts.append(box(x - width / 2, y, width, BOX_HEIGHT))
        middle = y + (17 if column.about else 24)
        parts.append(
            words(x, middle, cut(column.name, width - 8, PLAIN * BOLD), size=PLAIN, anchor="middle", bold="yes")
        )
        if column.about:
            parts.append(words(x, y + 32, cut(column.about, width - 8), "dim", anchor="middle"))
        parts.append("</g>")
    return parts


def _body(told: Trace, page: Page, made: Sequence[Row], y: float) -> tuple[list[str], float]:
    """All rows, and where they end."""
    parts: list[str] = []
    before: datetime | None = None
    for row in made:
        if before is not None and row.at - before >= LONG and not row.left_out:
            parts += _break(page, y, row.at - before)
            y += BREAK
        elif before is not None:
            y += min(14.0, (row.at - before).total_seconds() * 10)
        y += CLOSE_ROW if len(made) > MANY else ROW
        if row.left_out:
            text = f"{row.left_out} rows are left out here"
            parts.append(words(page.width / 2, y - 8, text, "dim", anchor="middle", over="yes"))
        else:
            parts += _drawn(told, page, row, y, stamped=row.at != before)
        before = row.at
    return parts, y + 22


def _break(page: Page, y: float, passed: timedelta) -> list[str]:
    """Nothing happened for long: the lanes are broken."""
    middle = y + BREAK / 2 + 8
    gaps = "".join(
        f'<rect x="{page.x(place) - 4:.1f}" y="{middle - 6:.1f}" width="8" height="12" fill="currentColor"/>'
        for place in range(len(page.columns))
    )
    dots = "".join(
        line(page.x(place), middle - 5, page.x(place), middle + 6, 2, "2 3") for place in range(len(page.columns))
    )
    text = words(GUTTER - 10, middle + 4, f"⋮ {lasting(passed)}", "dim", anchor="end")
    return [f'<g class="paper">{gaps}</g><g class="rail">{dots}</g>', text]


def _drawn(told: Trace, page: Page, row: Row, y: float, *, stamped: bool) -> Iterator[str]:
    """One row: its time, its arrow, its words."""
    colour = _colour(row)
    said = " · ".join(part for part in (row.label, row.note) if part)
    yield f'<g class="{colour}"><title>{clean(f"{clock(row.at)} {row.kind}: {said}")}</title>'
    if stamped:
        yield words(GUTTER - 10, y + 4, _since(row.at - told.call.created_at), "dim", anchor="end")
    source = page.x(row.source)
    if row.targets == [row.source]:
        yield cross(source, y) if row.outcome == "failed" else dial(source, y)
        fits = source + 14 + width_of(said) <= page.width - EDGE
        yield _label(page, row, colour, *((source + 14, y + 4, "start") if fits else (source, y - 10, "middle")))
    else:
        yield from _arrows(page, row, source, y)
        ends = [source, *(page.x(target) for target in row.targets)]
        yield _label(page, row, colour, (min(ends) + max(ends)) / 2, y - 7, "middle")
    yield "</g>"


def _colour(row: Row) -> str:
    return row.kind if row.outcome == "ok" else row.outcome


def _since(time: timedelta) -> str:
    """The time since the call was made."""
    seconds = max(0.0, time.total_seconds())
    if seconds < 600:
        return f"+{seconds:.3f} s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"+{hours}:{minutes:02}:{rest:06.3f}" if hours else f"+{minutes}:{rest:06.3f}"


def _label(page: Page, row: Row, colour: str, x: float, y: float, anchor: str) -> str:
    """The words of a row, moved so that they stay on the page."""
    room = page.width - EDGE - GUTTER
    label = cut(row.label, room)
    note = cut(f"  {row.note}", room - width_of(label)) if row.note else ""
    width = width_of(label + note)
    left = x - width / 2 if anchor == "middle" else x
    left = max(GUTTER, min(left, page.width - EDGE - width))
    tail = f'<tspan class="dim" font-weight="400">{clean(note)}</tspan>' if note else ""
    place = f'x="{left:.1f}" y="{y:.1f}" font-size="{SMALL:g}"'
    return f'<text class="{colour} over" {place} font-weight="600" xml:space="preserve">{clean(label)}{tail}</text>'


def _arrows(page: Page, row: Row, source: float, y: float) -> Iterator[str]:
    """One line to each side, with a head at every lane it reaches."""
    dashes = {"failed": "6 4", "unknown": "2 4"}.get(row.outcome, "")
    for direction in (1, -1):
        reached = [page.x(target) for target in row.targets if (page.x(target) - source) * direction > 0]
        if not reached:
            continue
        far = max(reached) if direction > 0 else min(reached)
        yield line(source, y, far, y, 2.6 if row.kind == "media" else 1.6, dashes)
        yield from (head(x - direction, y, direction) for x in reached)
        if row.both:
            yield head(source + direction, y, -direction)
        if row.outcome == "failed":
            yield cross((source + far) / 2, y)
    if row.relays:
        yield from _relays(page, row, page.x(row.targets[-1]), y)


def _relays(page: Page, row: Row, source: float, y: float) -> Iterator[str]:
    """Where a provider handed it on: solid if the device acknowledged, else dotted."""
    for outcome, dashes in (("unknown", "2 4"), ("ok", "")):
        for direction in (1, -1):
            ends = [page.x(target) for target, known in row.relays if known == outcome]
            reached = [x for x in ends if (x - source) * direction > 0]
            if not reached:
                continue
            far = max(reached) if direction > 0 else min(reached)
            yield f'<g class="{"alert" if outcome == "ok" else "unknown"}">'
            yield line(source, y, far, y, 1.6, dashes)
            yield from (head(x - direction, y, direction, hollow=outcome != "ok") for x in reached)
            yield "</g>"


def _legend(page: Page, made: Sequence[Row], y: float) -> tuple[list[str], float]:
    """What the colours mean, and where the picture ends."""
    parts, x = [], EDGE
    used = {_colour(row) for row in made} | {known for row in made for _, known in row.relays}
    for kind, text in ((kind, text) for kind, text in MEANINGS if kind in used):
        width = 34 + width_of(text) + 16
        if x + width > page.width - EDGE:
            x, y = EDGE, y + 18
        dashes = {"failed": "6 4", "unknown": "2 4"}.get(kind, "")
        parts.append(f'<g class="{kind}">{line(x, y - 4, x + 26, y - 4, 2, dashes)}</g>')
        parts.append(words(x + 32, y, text, "dim"))
        x += width
    return parts, y + 18
