"""From planned terms and frozen factors to columns: their names, and how a row is written into them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from statkit.design.formula_parse import FactorSpec, Scoped, read_contrasts
from statkit.design.levels import Levels, without_response

__all__ = [
    "Categorical",
    "CodedGroup",
    "Compiled",
    "DenseGroup",
    "Numeric",
    "compile_terms",
    "freeze_categorical",
]

MISSING = -1


@dataclass(frozen=True)
class Contrast:
    """Columns of a categorical factor that are not indicators: a row of ``matrix`` per level."""

    matrix: np.ndarray
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Numeric:
    """A numeric factor: one unlabelled column, or labelled ones of which the first may be dropped."""

    text: str
    shown: str
    fields: tuple | None

    def labels(self, reduced: bool) -> list[str]:
        if self.fields is None:
            return [self.shown]
        return [f"{self.shown}[{f}]" for f in self.fields[1 if reduced else 0 :]]


@dataclass(frozen=True)
class Categorical:
    """A categorical factor: levels, reference, and other contrasts if it has them.

    Attributes
    ----------
    base : int
        Reference level of treatment coding.
    reduced, full : Contrast or None
        None stands for indicators.
    removed : dict of int to float
        Levels set aside, with the limit of their coefficient.
    given : bool
        Whether the levels were written in the formula.
    """

    text: str
    shown: str
    levels: Levels
    base: int
    reduced: Contrast | None
    full: Contrast | None
    removed: dict[int, float]
    given: bool = False

    def contrast(self, reduced: bool) -> Contrast | None:
        return self.reduced if reduced else self.full

    def kept(self, reduced: bool) -> list[int]:
        """Levels that have an indicator column."""
        return [i for i in range(len(self.levels.keys)) if not (reduced and i == self.base)]

    def labels(self, reduced: bool) -> list[str]:
        found = self.contrast(reduced)
        if found is not None:
            return [f"{self.shown}[{label}]" for label in found.labels]
        labels = self.levels.labels
        prefix = "T." if reduced else ""
        return [f"{self.shown}[{prefix}{labels[i]}]" for i in self.kept(reduced)]

    def row_lookup(self, table: np.ndarray) -> np.ndarray:
        """Position of each table value among the levels, with one entry more for missing values."""
        return np.append(self.levels.table_codes(table), MISSING)


def freeze_categorical(spec: FactorSpec, shown: str, levels: Levels) -> Categorical:
    """Reference level and contrast matrices once the levels are known."""
    size = len(levels.keys)
    base, reduced, full = 0, None, None
    if spec.contrasts is not None:
        from formulaic.utils.sentinels import UNSET

        contrasts = read_contrasts(spec.contrasts)
        kind = type(contrasts).__name__
        if kind in ("TreatmentContrasts", "SASContrasts"):
            base = 0 if kind == "TreatmentContrasts" else size - 1
            if contrasts.base is not UNSET:
                found = levels.find(contrasts.base)
                if found is None:
                    known = ", ".join(levels.labels[:8])
                    raise ValueError(
                        f"{shown}: reference level {contrasts.base!r} does not occur; levels: {known}"
                    )
                base = found
        else:
            reduced = _contrast(contrasts, levels, True, shown)
            if kind == "CustomContrasts":
                full = reduced
    return Categorical(
        spec.text, shown, without_response(levels), base, reduced, full, {}, spec.given is not None
    )  # fmt: skip


def _contrast(contrasts, levels: Levels, reduced: bool, shown: str) -> Contrast:
    labels = levels.labels
    names = contrasts.get_coding_column_names(labels, reduced_rank=reduced)
    matrix = np.asarray(contrasts.get_coding_matrix(labels, reduced_rank=reduced), dtype=np.float64)
    if len(matrix) != len(labels):
        raise ValueError(f"{shown}: the contrasts have {len(matrix)} rows for {len(labels)} levels")
    form = contrasts.get_factor_format(labels, reduced_rank=reduced)
    # "{name}[S.{field}]" → what stands inside the brackets.
    inside = form[form.index("[") + 1 : -1]
    return Contrast(matrix, tuple(inside.format(name=shown, field=n) for n in names))


@dataclass(frozen=True)
class DenseGroup:
    """Dense columns: the products of all columns of some factors, the first running fastest."""

    factors: tuple[tuple[str, bool], ...]
    scale: float
    width: int


@dataclass(frozen=True)
class CodedGroup:
    """One coded part: a cell of some categorical factors, times a column of each numeric one."""

    factors: tuple[tuple[str, bool], ...]
    multipliers: tuple[tuple[str, bool, int], ...]
    scale: float
    width: int


@dataclass(frozen=True)
class Compiled:
    """Names and writing instructions of a frozen design."""

    names: tuple[str, ...]
    terms: dict[str, list[int]]
    intercept: bool
    dense: tuple[DenseGroup, ...]
    coded: tuple[CodedGroup, ...]
    position: np.ndarray
    limits: dict[str, float]
    level_names: dict[str, tuple[str, int]]


def compile_terms(plan, factors: dict[str, Numeric | Categorical]) -> Compiled:
    """Columns of all terms in public order, and the order in which a block holds them."""
    names: list[str] = []
    terms: dict[str, list[int]] = {}
    intercept = False
    dense: list[DenseGroup] = []
    coded: list[CodedGroup] = []
    dense_at: list[int] = []
    coded_at: list[int] = []
    limits: dict[str, float] = {}
    level_names: dict[str, tuple[str, int]] = {}
    for term, scoped_terms in plan:
        first = len(names)
        for scoped in scoped_terms:
            if not scoped.factors:
                intercept = True
                names.append("Intercept")
                continue
            labels = [factors[text].labels(reduced) for text, reduced in scoped.factors]
            start = len(names)
            names += _product_names(labels)
            if not all(labels):
                continue
            indicators = [_is_indicator(factors[text], reduced) for text, reduced in scoped.factors]
            if not any(indicators):
                width = int(np.prod([len(c) for c in labels]))
                dense.append(DenseGroup(scoped.factors, scoped.scale, width))
                dense_at += range(start, start + width)
                continue
            gone = _gone(scoped, factors)
            for group, at in _coded_groups(scoped, labels, indicators, start, gone):
                coded.append(group)
                coded_at += at
            for column, (level, sign) in gone.items():
                limits[names[start + column]] = sign
                level_names[names[start + column]] = (scoped.factors[0][0], level)
        terms[term] = list(range(first, len(names)))
    at = [names.index("Intercept")] if intercept else []
    position = np.array(at + dense_at + coded_at, dtype=np.int64)
    return Compiled(tuple(names), terms, intercept, tuple(dense), tuple(coded), position, limits, level_names)


def _is_indicator(factor, reduced: bool) -> bool:
    return isinstance(factor, Categorical) and factor.contrast(reduced) is None


def _product_names(labels: list[list[str]]) -> list[str]:
    return [":".join(reversed(p)) for p in itertools.product(*reversed(labels))]


def _gone(scoped: Scoped, factors) -> dict[int, tuple[int, float]]:
    """Columns, with level and limit, of levels set aside, if this group is a factor's own indicators."""
    if len(scoped.factors) != 1:
        return {}
    text, reduced = scoped.factors[0]
    kept = factors[text].kept(reduced)
    return {
        kept.index(level): (level, sign) for level, sign in factors[text].removed.items() if level in kept
    }


def _coded_groups(scoped: Scoped, labels, indicators, start: int, gone):
    sizes = [len(c) for c in labels]
    strides = np.concatenate([[1], np.cumprod(sizes)[:-1]]).astype(int)
    cells = [(f, s, w) for f, s, w, i in zip(scoped.factors, strides, sizes, indicators, strict=True) if i]
    others = [
        (f, s, w) for f, s, w, i in zip(scoped.factors, strides, sizes, indicators, strict=True) if not i
    ]
    at = np.zeros(1, dtype=int)
    for _, stride, size in cells:
        at = (at[None, :] + stride * np.arange(size)[:, None]).ravel()
    # Only a factor on its own has levels set aside: its cells are then its columns.
    at = np.array([a for column, a in enumerate(at) if column not in gone], dtype=int)
    picked = tuple(f for f, _, _ in cells)
    for columns in itertools.product(*(range(w) for _, _, w in reversed(others))):
        columns = columns[::-1]
        shift = sum(c * s for c, (_, s, _) in zip(columns, others, strict=True))
        multipliers = tuple((f[0], f[1], c) for c, (f, _, _) in zip(columns, others, strict=True))
        yield CodedGroup(picked, multipliers, scoped.scale, len(at)), (start + shift + at).tolist()
