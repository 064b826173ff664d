"""Renders a Summary as a LaTeX table with booktabs rules."""

import re

__all__ = ["render_latex"]

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # a bracket after \\ would be read as its optional argument
    "]": "{]}",
    "…": r"\dots{}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
}
_NUMBER = re.compile(r"^(\(?)(<?)(-?)([\d.,]+)(?:e([+-]?\d+))?(\)?)(\**)$")


def render_latex(summary):
    n = len(summary.columns)
    out = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{_text(summary.title)}}}",
    ]
    rows = _facts(summary)
    if rows:
        out += [r"\begin{tabular}{lp{0.7\linewidth}}", r"\toprule", *rows, r"\bottomrule", r"\end{tabular}"]
    if rows and n:
        out.append(r"\par\medskip")
    if n:
        out += [rf"\begin{{tabular}}{{l{'r' * n}}}", r"\toprule"]
        out += [_row("", map(_text, summary.columns)), r"\midrule"]
        out += [_line(line, n + 1) for line in summary.lines]
        out += [r"\bottomrule", r"\end{tabular}"]
    if summary.notes:
        out += [r"\par\medskip", r"\begin{minipage}{0.95\linewidth}\footnotesize"]
        out += [rf"{_mark(note)}{_text(note.text)}\par" for note in summary.notes]
        out.append(r"\end{minipage}")
    return "\n".join([*out, r"\end{table}"]) + "\n"


def _facts(summary):
    pairs = [*summary.facts, *(pair for column in summary.figures for pair in column)]
    return [_row(_text(label), [_number(value)]) for label, value in pairs]


def _line(line, width):
    if hasattr(line, "cells"):
        return _row(_text(line.label), map(_number, line.cells))
    style = r"\textbf" if type(line).__name__ == "Section" else r"\emph"
    return rf"\multicolumn{{{width}}}{{p{{0.95\linewidth}}}}{{{style}{{{_text(line.text)}}}}} \\"


def _row(label, cells):
    return " & ".join([label, *cells]) + r" \\"


def _mark(note):
    return rf"\textbf{{{_text(note.mark)}}} " if note.mark else ""


def _text(text):
    return "".join(_ESCAPES.get(c, c) if c.isprintable() else " " for c in str(text))


def _number(text):
    """Numbers in mathematics, so that minus signs are minus signs."""
    text = text.strip()
    if text in ("inf", "-inf"):
        return rf"${text[:-3]}\infty$"
    match = _NUMBER.match(text)
    if not match:
        return _text(text)
    bracket, less, sign, digits, exponent, closing, stars = match.groups()
    power = rf"\times 10^{{{int(exponent)}}}" if exponent else ""
    raised = f"^{{{stars}}}" if stars else ""
    return f"${bracket}{less}{sign}{digits.replace(',', '{,}')}{power}{closing}{raised}$"
