"""The floors of the house, drawn from the imports of the source: an SVG in the colours of the page."""

from __future__ import annotations

import re
from pathlib import Path

WIDTH, BOX, ROW = 920, 34, 92
IMPORT = re.compile(r"^\s*(?:from|import)\s+statkit\.(\w+)", re.MULTILINE)


def floors(text: str) -> list[tuple[str, list[str]]]:
    """Floors and their rooms, top first, as the block at the head of ``architecture.md`` lists them."""
    found: list[tuple[str, list[str]]] = []
    block = text.split("```")[1]
    for line in block.strip().splitlines():
        label = re.match(r"(floor \d|ground|beside)?\s+(.*)", line.strip() if line[:1] != " " else line)
        if label is None:
            continue
        name, rest = label[1], label[2]
        rooms = re.match(r"((?:[\w]+(?:/|\.py)\s*)+)", rest)
        if name:
            found.append((name, []))
        found[-1][1].extend(re.findall(r"(\w+)(?:/|\.py)", rooms[1]))
    return found


def imports(package: Path, rooms: set[str]) -> set[tuple[str, str]]:
    """Which room imports which, read from the lines of the source (the tests read its syntax)."""
    arrows = set()
    for path in package.rglob("*.py"):
        here = path.relative_to(package).with_suffix("").parts[0]
        if here in rooms:
            arrows |= {
                (here, room) for room in IMPORT.findall(path.read_text()) if room in rooms and room != here
            }
    return arrows


def picture(docs: Path) -> str:
    """The drawing as one line of HTML. A bow stands for an import; those of the ground, which all use, are left out."""
    stacked = [(n, r) for n, r in floors((docs / "architecture.md").read_text()) if n not in ("beside",)]
    place = {}
    for level, (_, rooms) in enumerate(stacked):
        step = (WIDTH - 110) / len(rooms)
        for k, room in enumerate(rooms):
            place[room] = (100 + step * (k + 0.5), 20 + ROW * level, min(step - 10, 150))
    ground = set(stacked[-1][1])
    arrows = imports(docs.parent / "statkit", set(place) - ground)
    svg = [
        f'<svg viewBox="0 0 {WIDTH} {ROW * len(stacked)}" role="img" aria-label="Floors of the package and their '
        'imports" style="max-width:100%;height:auto" fill="currentColor" font-family="inherit" font-size="13">'
    ]
    for a, b in sorted(arrows):
        (x, y, _), (u, v, _) = place[a], place[b]
        if y == v:  # neighbours on a floor: a bow below the boxes
            svg.append(_bow(f"M{x:.0f} {y + BOX}Q{(x + u) / 2:.0f} {y + BOX + 24} {u:.0f} {v + BOX}"))
        else:
            middle = (y + BOX + v) / 2
            svg.append(_bow(f"M{x:.0f} {y + BOX}C{x:.0f} {middle:.0f} {u:.0f} {middle:.0f} {u:.0f} {v}"))
    for level, (name, rooms) in enumerate(stacked):
        svg.append(f'<text x="0" y="{20 + ROW * level + 22}" opacity="0.7">{name}</text>')
        for room in rooms:
            x, y, wide = place[room]
            svg.append(
                f'<rect x="{x - wide / 2:.0f}" y="{y}" width="{wide:.0f}" height="{BOX}" rx="5" fill="#0072B2" '
                f'fill-opacity="0.18" stroke="currentColor" stroke-opacity="0.5"/>'
                f'<text x="{x:.0f}" y="{y + 22}" text-anchor="middle">{room}</text>'
            )
    return "".join([*svg, "</svg>"])


def _bow(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.3"/>'
