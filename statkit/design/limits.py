"""Levels whose response is constant: their coefficient has no finite estimate, so they are set aside.

The likelihood of such a level's rows grows without bound in its own coefficient and touches no other, so the
estimate of all others is the one without these rows, and the level's is its limit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from statkit.design.coding import Categorical
from statkit.design.levels import Levels

__all__ = ["set_aside_levels"]


def set_aside_levels(
    factor: Categorical, reduced: bool, levels: Levels, rule, classes: Levels | None
) -> tuple[Categorical, list[str]]:
    """The factor with its constant levels set aside, and what to tell the user.

    Parameters
    ----------
    factor : Categorical
    reduced : bool
        Whether its own columns leave the reference level out.
    levels : Levels
        With the range of the response by level.
    rule : dict or callable
        Response value → limit (±inf), None or absent where a constant response has a finite estimate.
    classes : Levels or None
        Codes of the response's classes.
    """
    if levels.low is None or levels.high is None or factor.reduced is not None or factor.full is not None:
        return factor, []
    removed: dict[int, float] = {}
    constant: dict[int, float] = {}
    for i, (low, high) in enumerate(zip(levels.low, levels.high, strict=True)):
        if low is None or low != high:
            continue
        value = float(low) if classes is None else float(classes.table_codes(_one(low))[0])
        limit = rule(value) if callable(rule) else rule.get(value)
        if limit:
            removed[i], constant[i] = float(limit), value
    if not removed:
        return factor, []
    live = [i for i in range(len(levels.keys)) if i not in removed and levels.n[i]]
    if not live:
        return factor, [f"every level of {factor.shown} has a constant response: none was set aside"]
    labels = levels.labels
    notes = []
    base = factor.base
    if reduced and base in removed:
        base = live[0]
        notes.append(
            f"{factor.shown}: reference level {labels[factor.base]} has a constant response, "
            f"so {labels[base]} is the reference"
        )
    frozen = replace(factor, base=base, removed=removed)
    for i, limit in removed.items():
        n = levels.n[i]
        rows = "its 1 row has the same response" if n == 1 else f"its {n:,} rows have the same response"
        were = "was" if n == 1 else "were"
        sign = "+inf" if limit > 0 else "-inf"
        name = f"{factor.shown}[{'T.' if reduced else ''}{labels[i]}]"
        notes.append(f"{name}: {sign}, {rows} ({constant[i]:g}) and {were} set aside")
    return frozen, notes


def _one(value) -> np.ndarray:
    table = np.empty(1, dtype=object if isinstance(value, str) else None)
    table[0] = value
    return table
