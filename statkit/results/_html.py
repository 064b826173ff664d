"""Renders a Summary as an HTML fragment: one style of its own, the text colour of the page it stands on."""

from html import escape

__all__ = ["render_html"]

# No colour is fixed except for warnings, whose hue reads on light and dark; rules are the text colour,
# thinned.
_STYLE = """
.statkit-summary {
  display: inline-block; max-width: 100%; overflow-x: auto; font-size: 0.9em; line-height: 1.4; }
.statkit-summary table { border-collapse: collapse; width: 100%; margin: 0; }
.statkit-summary table, .statkit-summary caption, .statkit-summary th, .statkit-summary td {
  background: transparent; color: inherit; border: 0; }
.statkit-summary caption { caption-side: top; font-weight: 600; padding: 0.3em 0; text-align: left; }
.statkit-summary th, .statkit-summary td { padding: 0.15em 0.7em; vertical-align: top; }
.statkit-summary th { text-align: left; font-weight: 500; }
.statkit-summary td { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.statkit-summary td.fact { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.statkit-summary thead th { text-align: right; }
.statkit-summary .rule > * { border-top: 1px solid #88888899; }
.statkit-summary tbody.lines tr:hover > * { background: #88888820; }
.statkit-summary td.gap { font-style: italic; opacity: 0.75; }
.statkit-summary td.section { font-weight: 600; padding-top: 0.6em; }
.statkit-summary .name { overflow-wrap: anywhere; max-width: 28em; }
.statkit-summary ul { margin: 0.3em 0 0; padding: 0.4em 0.7em 0; list-style: none; max-width: 60em;
  border-top: 1px solid #88888899; }
.statkit-summary .WARN b { color: #b7791f; }
.statkit-summary .FAIL b { color: #d64545; }
"""


_RULE = ' class="rule"'


def render_html(summary):
    width = max(len(summary.columns) + 1, 4)
    parts = [f'<div class="statkit-summary"><style>{_STYLE}</style>']
    parts.append(f"<table><caption>{_text(summary.title)}</caption>")
    if summary.facts or any(summary.figures):
        parts += [f"<tbody>{_facts(summary.facts)}{_figures(summary.figures)}</tbody>"]
    parts.append("</table>")
    if summary.columns:
        headings = "".join(f'<th scope="col">{_text(heading)}</th>' for heading in summary.columns)
        parts.append(f'<table><thead><tr class="rule"><th></th>{headings}</tr></thead><tbody class="lines">')
        for i, line in enumerate(summary.lines):
            parts.append(_line(line, width, _RULE if i == 0 else ""))
        parts.append("</tbody></table>")
    if summary.notes:
        parts.append("<ul>" + "".join(map(_note, summary.notes)) + "</ul>")
    parts.append("</div>")
    return "\n".join(parts)


def _text(text):
    return escape(str(text))


def _cell(text):
    text = text.strip()
    return _text({"inf": "∞", "-inf": "−∞"}.get(text, text)).replace(
        "-", "−", 1 if text.startswith("-") else 0
    )


def _facts(facts):
    return "".join(
        f'<tr><th scope="row">{_text(label)}</th><td class="fact" colspan="3">{_text(value)}</td></tr>'
        for label, value in facts
    )


def _figures(figures):
    rows = []
    for i in range(max(map(len, figures), default=0)):
        cells = "".join(map(_pair, (column[i] if i < len(column) else ("", "") for column in figures)))
        rows.append(f"<tr{_RULE if i == 0 else ''}>{cells}</tr>")
    return "".join(rows)


def _pair(pair):
    return f'<th scope="row">{_text(pair[0])}</th><td>{_cell(pair[1])}</td>'


def _line(line, width, attribute):
    if hasattr(line, "cells"):
        cells = "".join(f"<td>{_cell(cell)}</td>" for cell in line.cells)
        return f'<tr{attribute}><th scope="row" class="name">{_text(line.label)}</th>{cells}</tr>'
    kind = type(line).__name__.lower()
    return f'<tr{attribute}><td class="fact {kind}" colspan="{width}">{_text(line.text)}</td></tr>'


def _note(note):
    mark = f"<b>{_text(note.mark)}</b> " if note.mark else ""
    return f'<li class="{_text(note.mark)}">{mark}{_text(note.text)}</li>'
