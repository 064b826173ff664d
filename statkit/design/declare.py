"""Levels that are known before the rows: declared by the user, or the categories of a dtype.

The first batch of a stream seldom holds every level of a column. One that is declared has its column from the start.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from statkit.design.expressions import column_names, quoted
from statkit.design.levels import OTHER, LevelCounts

__all__ = ["DeclaredLevels", "with_declared_levels"]


@dataclass(frozen=True)
class DeclaredLevels:
    """What is known of levels before any row.

    Attributes
    ----------
    levels : dict of str to list
        Column → its levels.
    other : bool
        Whether text columns get a level ``"__other__"``, which stands for every unknown one.
    """

    levels: dict = field(default_factory=dict)
    other: bool = False

    def of(self, text: str, counts: LevelCounts, given: list | None) -> list | None:
        """Levels of the factor ``text`` in their order; None for those of the rows at hand."""
        for name, values in self.levels.items():
            if _is_of_column(text, name):
                given = [v.item() if hasattr(v, "item") else v for v in values]
        if given is None and counts.order is not None:
            given = list(counts.order)  # categories without a row too
        if self.other and counts.kind == "string":
            given = sorted(counts.counts) if given is None else given
            given = [*given, OTHER] if OTHER not in given else given
        return given


def with_declared_levels(design, levels: dict | None, other: bool):
    """The unfrozen design with declared levels; designs without levels come back as they are.

    Raises
    ------
    ValueError
        If a declared column is none of the design's categorical ones, or declares a level twice.
    """
    specs = getattr(design, "_specs", {})
    for name, values in (levels or {}).items():
        if not any(spec.categorical and _is_of_column(text, name) for text, spec in specs.items()):
            raise ValueError(f"levels are declared of {name!r}, which is no categorical column of the model")
        if isinstance(values, str) or len(set(values)) < max(len(values), 1):
            raise ValueError(f"the levels of {name!r} must be a list of distinct values, not {values!r}")
    if not hasattr(design, "_specs"):
        return design
    design = copy.copy(design)
    design.declared = DeclaredLevels(dict(levels or {}), other)
    return design


def _is_of_column(text: str, name: str) -> bool:
    """Whether a factor is the column itself, or ``C(…)`` of it."""
    if tuple(column_names(text)) != (name,):
        return False
    own = quoted(name)
    return text == own or text.startswith((f"C({own})", f"C({own},"))
