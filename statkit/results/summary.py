"""A summary: a title, what was done, a table, and what must be known about it; as text, HTML or LaTeX."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from statkit.results._html import render_html
from statkit.results._latex import render_latex
from statkit.results._text import render_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Gap", "Line", "Note", "Section", "Summary", "Table"]


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    label: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Gap:
    """Rows that are left out, and what to say about them."""

    text: str


@dataclass(frozen=True)
class Section:
    """Heading of the rows that follow."""

    text: str


@dataclass(frozen=True)
class Note:
    """A remark at the foot; ``mark`` is "", "NaN", "WARN" or "FAIL"."""

    text: str
    mark: str = ""


@dataclass(frozen=True, repr=False)
class Summary:
    """A printable table of results.

    Parameters
    ----------
    title : str
    facts : list of (str, str)
        Label and value; each on lines of its own, long values are wrapped.
    figures : tuple of two lists of (str, str)
        Two columns of short labels and values.
    columns : tuple of str
        Headings of the cells.
    lines : list of Line, Gap or Section
    notes : list of Note

    Examples
    --------
    >>> Summary("Example", columns=("coef",), lines=[Line("x", ("1.5",))]).as_text().split()[-3:-1]
    ['x', '1.5']
    """

    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    figures: tuple = ((), ())
    columns: tuple[str, ...] = ()
    lines: list[Line | Gap | Section] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def as_text(self) -> str:
        """Plain text of 80 to 100 columns."""
        return render_text(self)

    def as_html(self) -> str:
        """An HTML fragment that brings its own style and follows the colours of the page around it."""
        return render_html(self)

    def as_latex(self) -> str:
        """A LaTeX table; needs ``booktabs``."""
        return render_latex(self)

    def __str__(self) -> str:
        return self.as_text()

    __repr__ = __str__

    def _repr_html_(self):
        return self.as_html()


@dataclass(frozen=True, repr=False)
class Table(Summary):
    """A printable table whose numbers are there as a frame too."""

    frame: Any = None

    def to_frame(self) -> pd.DataFrame:
        """The numbers, with all their digits."""
        return self.frame.copy()
