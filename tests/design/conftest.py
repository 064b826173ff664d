"""Helpers for designs over tables: partitions, the profile round, and matrices in the order of the names."""

from __future__ import annotations

import itertools
import pickle
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from statkit.design import FormulaDesign
from statkit.engines.summaries import merge_summaries
from statkit.sources import Rows


def schema_of(table: pa.Table) -> dict:
    return dict(zip(table.column_names, table.schema.types, strict=True))


def split(table: pa.Table, cuts=(), **beside) -> list[Rows]:
    """Partitions that end at the cuts."""
    return [
        Rows(a, b - a, table.slice(a, b - a), None, {k: v[a:b] for k, v in beside.items()}, f"part from {a}")
        for a, b in itertools.pairwise([0, *cuts, table.num_rows])
    ]


def freeze(design, parts: list[Rows]):
    """The design after its profile round, summaries pickled as between processes."""
    if design.profile_columns is None:
        return design.freeze(None)
    needed = list(design.profile_columns)
    total = None
    for p in parts:
        p = Rows(p.first_row, p.n_rows, p.table.select(needed), None, p.beside, p.where)
        summary = pickle.loads(pickle.dumps(design.profile(p)))
        total = summary if total is None else merge_summaries(total, summary)
    return design.freeze(total)


def public(design, blocks) -> np.ndarray:
    """Dense matrix in the order of the names; NaN for levels set aside."""
    X = np.concatenate([b.to_dense() for b in blocks])
    out = np.full((len(X), len(design.names)), np.nan)
    out[:, design.position] = X
    return out


def encoded(formula: str, table: pa.Table, cuts=(), **options):
    """Frozen design and blocks of a formula."""
    parts = split(table, cuts)
    design = freeze(FormulaDesign(formula, schema_of(table), **options), parts)
    return design, [design.encode(p) for p in parts]


@pytest.fixture(scope="session")
def cases() -> SimpleNamespace:
    return SimpleNamespace(schema_of=schema_of, split=split, freeze=freeze, public=public, encoded=encoded)
