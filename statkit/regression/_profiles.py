"""One row in the place of many: columns at their means, medians or zero, for effects at such a row."""

from __future__ import annotations

import numpy as np

from statkit.design.counterfactual import MatrixRows
from statkit.design.profile_row import ProfileRow, level_weights, number_leaves, text_leaves
from statkit.regression._effect_pass import groups_of
from statkit.regression._reservoir import Reservoir
from statkit.sources import Rows

__all__ = ["PROFILES", "Profiles", "profile_row", "profile_sums"]

PROFILES = ("mean", "median", "zero")
#: Rows of the sample that medians are of; those of fewer rows are exact.
MEDIAN_ROWS = 100_000


class Profiles:
    """What profiles need, by group of rows; mergeable."""

    def __init__(self, groups: dict):
        self.groups = groups

    def merge(self, other: Profiles) -> Profiles:
        merged = dict(self.groups)
        for label, sums in other.groups.items():
            merged[label] = _join(merged[label], sums) if label in merged else sums
        return Profiles(merged)


def _join(a: dict, b: dict) -> dict:
    modes = {leaf: dict(counts) for leaf, counts in a["modes"].items()}
    for leaf, counts in b["modes"].items():
        for value, weight in counts.items():
            modes[leaf][value] = modes[leaf].get(value, 0.0) + weight
    joined = {name: a[name] + b[name] for name in ("n", "weight")}
    joined |= {name: {k: v + b[name][k] for k, v in a[name].items()} for name in ("numbers", "levels")}
    sample = None if a["sample"] is None else a["sample"].merge(b["sample"])
    return joined | {"modes": modes, "row": a["row"], "sample": sample}


def profile_sums(rows, at: str, by: tuple[str, ...], seed: int) -> dict:
    """The summary of a partition."""
    groups = {}
    for label, part in groups_of(rows, by):
        weight = np.ones(part.n_rows) if part.weight is None else np.asarray(part.weight, dtype=np.float64)
        sums = {"n": part.n_rows, "weight": float(weight.sum()), "modes": {}, "levels": {}, "row": None}
        if isinstance(part, MatrixRows):
            X, keys = part.rows.X, list(range(part.rows.X.shape[1]))
            sums["numbers"] = {"columns": np.asarray(X.T @ weight).ravel()}
        else:
            keys = number_leaves(part)
            sums["numbers"] = {leaf: float(weight @ part.values(leaf).astype(np.float64)) for leaf in keys}
            factors = part.design._factors.items()
            sums["levels"] = {t: level_weights(part, t, weight) for t, f in factors if hasattr(f, "levels")}
            sums["modes"] = {leaf: _counts(part.values(leaf), weight) for leaf in text_leaves(part)}
            sums["row"] = part.rows.table.slice(0, 1)
        sums["sample"] = _sample(part, keys, weight, seed) if at == "median" else None
        groups[label] = sums
    return {"profiles": Profiles(groups)}


def _counts(values, weight) -> dict:
    present, codes = np.unique(values.astype(str), return_inverse=True)
    return dict(zip(present.tolist(), np.bincount(codes, weight).tolist(), strict=True))


def _sample(part, keys, weight, seed) -> Reservoir:
    kept, order = Reservoir.choose(MEDIAN_ROWS, seed, part.rows.beside["row"])
    columns = {key: part.values(key)[kept].astype(np.float64) for key in keys}
    return Reservoir(MEDIAN_ROWS, order, {**columns, None: weight[kept]}, part.n_rows)


def profile_row(design, sums: dict, at: str):
    """The row of a group, for :func:`~statkit.regression._effect_pass.answers`."""
    if "columns" in sums["numbers"] and sums["row"] is None:
        numbers = sums["numbers"]["columns"] / sums["weight"]
        if at == "zero":
            numbers = np.zeros(len(numbers))
        elif at == "median":
            weight = sums["sample"].columns[None]
            numbers = np.array([_median(sums["sample"].columns[j], weight) for j in range(len(numbers))])
        return MatrixRows(design, Rows(0, 1, None, numbers[None, :], {}, f"at {at}"))
    if at == "median":
        weight = sums["sample"].columns[None]
        numbers = {leaf: _median(sums["sample"].columns[leaf], weight) for leaf in sums["numbers"]}
    else:
        numbers = {leaf: 0.0 if at == "zero" else v / sums["weight"] for leaf, v in sums["numbers"].items()}
    numbers |= {leaf: max(counts, key=counts.get) for leaf, counts in sums["modes"].items()}
    shares = {}
    for text, weights in sums["levels"].items():
        if at == "mean":
            shares[text] = weights / max(weights.sum(), 1e-300)
        else:
            level = design._factors[text].base if at == "zero" else int(np.argmax(weights))
            shares[text] = np.eye(len(weights))[level]
    rows = Rows(0, 1, sums["row"], None, {}, f"at {at}")
    return ProfileRow(design, rows, numbers, shares)


def _median(values: np.ndarray, weight: np.ndarray) -> float:
    """Weighted median; the middle of the two for an even number of equal weights."""
    order = np.argsort(values, kind="stable")
    values, below = values[order], np.cumsum(weight[order])
    half = 0.5 * below[-1]
    first = int(np.searchsorted(below, half * (1 - 1e-12)))
    if abs(below[first] - half) <= 1e-12 * half and first + 1 < len(values):
        return float(0.5 * (values[first] + values[first + 1]))
    return float(values[first])
