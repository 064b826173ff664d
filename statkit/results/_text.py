"""Renders a Summary as plain text: columns aligned by display width, long names shortened in the middle."""

import unicodedata

__all__ = ["render_text"]

_NARROW, _WIDE = 80, 100
_SPACE = "  "


def render_text(summary):
    cells = [line.cells for line in summary.lines if hasattr(line, "cells")]
    widths = [
        max([_width(heading), *(_width(row[j]) for row in cells)])
        for j, heading in enumerate(summary.columns)
    ]
    numbers = sum(widths) + len(_SPACE) * len(widths)
    longest = max((_width(_clean(line.label)) for line in summary.lines if hasattr(line, "label")), default=0)
    names = max(min(longest, _WIDE - numbers), 12)
    width = max(_NARROW, names + numbers)
    names = width - numbers

    out = [_clean(summary.title).center(width).rstrip(), "=" * width]
    out += _facts(summary.facts, width)
    if any(summary.figures):
        out += ["-" * width] * bool(summary.facts) + _figures(summary.figures, width)
    if len(out) > 2:
        out += ["=" * width]
    if summary.columns:
        out += [_row("", summary.columns, names, widths), "-" * width]
        for line in summary.lines:
            if hasattr(line, "cells"):
                out.append(_row(_shorten(_clean(line.label), names), line.cells, names, widths))
            elif hasattr(line, "text"):
                out += _wrap(_clean(line.text), width, "  ", "    ")
        out += ["=" * width]
    for note in summary.notes:
        mark = f"{note.mark}: " if note.mark else ""
        out += _wrap(_clean(mark + note.text), width, "", "  ")
    return "\n".join(out)


def _facts(facts, width):
    label_width = max((_width(label) for label, _ in facts), default=0) + len(_SPACE)
    out = []
    for label, value in facts:
        out += _wrap(_clean(value), width, _left(label, label_width), " " * label_width)
    return out


def _figures(figures, width):
    half = (width - 2 * len(_SPACE)) // 2
    out = []
    for i in range(max(map(len, figures))):
        parts = [_pair(*column[i], half) if i < len(column) else " " * half for column in figures]
        out.append((2 * _SPACE).join(parts).rstrip())
    return out


def _pair(label, value, width):
    return label + _right(value, width - _width(label))


def _row(label, cells, names, widths):
    numbers = "".join(_SPACE + _right(cell, w) for cell, w in zip(cells, widths, strict=True))
    return _left(label, names) + numbers


def _wrap(text, width, first, rest):
    """Lines of at most ``width`` columns; textwrap counts characters, and some are two columns wide."""
    lines, line, empty = [], first, True
    for word in text.split():
        while _width(line) + (not empty) + _width(word) > width:
            if empty:  # a word longer than a line
                piece = _fitting(word, width - _width(line))
                line, word = line + piece, word[len(piece) :]
            lines.append(line)
            line, empty = rest, True
        line += word if empty else " " + word
        empty = False
    return [*lines, line.rstrip()]


def _clean(text):
    """Control characters in a column's name must not break a line or colour a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def _character_width(character):
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _width(text):
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _left(text, width):
    return text + " " * (width - _width(text))


def _right(text, width):
    return " " * (width - _width(text)) + text


def _shorten(text, width):
    """Leave out the middle: the end of a name says which level it is, its start which column."""
    if _width(text) <= width:
        return text
    room = width - 1
    tail = _fitting(reversed(text), room - room // 2)[::-1]
    return _fitting(text, room - _width(tail)) + "…" + tail


def _fitting(characters, room):
    taken = ""
    for character in characters:
        room -= _character_width(character)
        if room < 0:
            break
        taken += character
    return taken
