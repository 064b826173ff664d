"""A plain matrix as a design: every column as it is, views of the caller's memory, no profile."""

from __future__ import annotations

import hashlib

import numpy as np

from statkit.design._kernels import all_finite
from statkit.design.block import Csr, make_block
from statkit.design.design import Design
from statkit.design.roles import NO_GROUP
from statkit.sources.rows import Rows

__all__ = ["MatrixDesign"]


class MatrixDesign(Design):
    """All columns of a dense or CSR matrix, in order, after an intercept.

    Parameters
    ----------
    names : sequence of str
        Column names, without the intercept.
    intercept : bool
    na_action : {"drop", "raise"}
        What to do with rows that hold NaN.
    check : bool
        False leaves dense columns unchecked while rows are encoded: the plan looks at them anyway, and asks
        ``require_finite`` when a sum says that something is wrong.
    """

    def __init__(
        self, names, *, intercept=True, na_action="drop", response_name="y", classes=None, check=True
    ):
        first = ("Intercept",) if intercept else ()
        self.names = first + tuple(names)
        self.terms = {name: [j] for j, name in enumerate(self.names)}
        self.position = np.arange(len(self.names))
        self.intercept = intercept
        self.na_action = na_action
        self.response_name = response_name
        self.classes = classes
        self.check = check or na_action != "raise"

    predictor_columns = ()

    @property
    def token(self) -> str:
        return hashlib.sha1(repr((self.names, self.na_action)).encode()).hexdigest()

    def to_dict(self) -> dict:
        """Everything that predictions need, as plain values."""
        return {
            "kind": "MatrixDesign",
            "names": list(self.names[int(self.intercept) :]),
            "intercept": self.intercept,
            "na_action": self.na_action,
            "response_name": self.response_name,
        }

    @classmethod
    def from_dict(cls, kept: dict):
        """The design that `to_dict` described."""
        options = {name: kept[name] for name in ("intercept", "na_action", "response_name")}
        return cls(kept["names"], **options)

    def encode(self, rows):
        beside = rows.beside
        X, y = rows.X, beside.get("y")
        weight, offset, group = beside.get("weight"), beside.get("offset"), beside.get("group")
        missing = self._missing(X, rows) if self.check or hasattr(X, "indptr") else None
        for name, values in (("y", y), ("weight", weight), ("offset", offset)):
            if values is not None and not np.isfinite(values.sum()):
                missing = self._mark(missing, values, name, rows)
        if group is not None and (group == NO_GROUP).any():
            missing = self._mark(missing, np.where(group == NO_GROUP, np.nan, 0.0), "groups", rows)
        if missing is None:
            return self._block(X, y, weight, offset, group, rows.first_row, rows.n_rows, 0)
        kept = np.flatnonzero(~missing)

        def pick(values):
            return None if values is None else values[kept]

        return self._block(
            X[kept], pick(y), pick(weight), pick(offset), pick(group),
            rows.first_row + kept, rows.n_rows, int(missing.sum()),
        )  # fmt: skip

    def encode_array(self, X, y, weight, offset, first_row, *, checked):
        """The block of a float64 array, or None where a value is not finite; ``checked=False`` does not look at X."""
        if checked and not all_finite(X):
            return None
        for values in (y, weight, offset):
            if values is not None and not np.isfinite(values.sum()):
                return None
        return self._block(X, y, weight, offset, None, first_row, len(X), 0)

    def require_finite(self, block):
        """Raise the error of a block's first value that is not finite, if there is one."""
        n = block.n_rows
        first = int(block.row_numbers()[0]) if n else 0
        self._missing(block.dense, Rows(first, n, None, None, {}, f"rows {first}–{first + n - 1}"))

    def encode_predictors(self, rows):
        missing = self._missing(rows.X, rows)
        X = rows.X
        limit = None
        if missing is not None:
            limit = np.where(missing, np.nan, 0.0)
            X = X.copy()
            X[np.flatnonzero(missing)] = 0
        return self._block(
            X, None, None, rows.beside.get("offset"), None, rows.first_row, rows.n_rows, 0
        ), limit

    def _block(self, X, y, weight, offset, group, numbers, n_read, n_missing):
        dense = csr = None
        if hasattr(X, "indptr"):
            csr = Csr(X.data, X.indices, X.indptr, X.shape[1])
        else:
            dense = X
        return make_block(
            dense, csr, n_rows=X.shape[0], intercept=self.intercept, y=y, weight=weight, offset=offset,
            group=group, rows=numbers, n_read=n_read, n_missing=n_missing, owned=n_missing > 0,
        )  # fmt: skip

    def _missing(self, X, rows):
        """Mask of the rows with NaN, or None; infinite values are an error."""
        sparse = hasattr(X, "indptr")
        values = X.data.reshape(-1, 1) if sparse else X
        if values.dtype.kind != "f" or all_finite(values):
            return None
        bad = ~np.isfinite(values)
        at, column = (np.nonzero(bad[:, 0])[0], None) if sparse else np.nonzero(bad)
        if sparse:
            entry_row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
            at, column, value = entry_row[at], X.indices[at], X.data[at]
        else:
            value = X[at, column]
        infinite = np.isinf(value)
        first = int(np.argmax(infinite)) if infinite.any() else 0
        if infinite.any() or self.na_action == "raise":
            self._refuse("infinity" if infinite.any() else "NaN", column[first], rows, at[first])
        mask = np.zeros(X.shape[0], bool)
        mask[at] = True
        return mask

    def _refuse(self, what, column, rows, at):
        name = self.names[column + int(self.intercept)]
        advice = "" if what == "infinity" else "; na_action='drop' leaves such rows out"
        raise ValueError(
            f"Input X contains {what}: column {name!r}, row {rows.first_row + at} ({rows.where}){advice}"
        )

    def _mark(self, missing, values, name, rows):
        infinite, nan = np.isinf(values), np.isnan(values)
        if values.ndim == 2:  # a response of several columns
            infinite, nan = infinite.any(axis=1), nan.any(axis=1)
        if infinite.any() or (nan.any() and self.na_action == "raise"):
            at = int(np.argmax(infinite if infinite.any() else nan))
            raise ValueError(
                f"Input {name} contains {values[at]}: row {rows.first_row + at} ({rows.where}); "
                "leave such rows out or set na_action='drop' (for NaN)"
            )
        return nan if missing is None else missing | nan
