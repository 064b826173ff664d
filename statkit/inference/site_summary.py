"""What one site of a federated study hands over: sums of its rows in a small file, never a row."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from statkit._model_file import read_model, read_text, write_model, write_text

__all__ = ["LocalSummary"]

_FORMAT = "statkit-local-summary"
_MOST_PARAMETERS = 20_000


@dataclass(frozen=True, eq=False)
class LocalSummary:
    """Sums of one site's rows, enough to combine its fit with those of others.

    :func:`statkit.inference.local_summary` makes one, `save` writes it to a file that people can read
    (``.json``) or a smaller one (``.npz``), :func:`statkit.inference.combine_summaries` combines several.

    Attributes
    ----------
    site : str
    kind : {"fit", "score"}
        The first round's fit, or score and information at a parameter that the sites were given.
    formula : str or None
    response : str
    family : dict
        Name and parameters.
    classes : list or None
        Labels of the response.
    names : list of str
        Parameters, ``"Intercept"`` first.
    terms : dict of str to list of int
    design : dict
        How columns become a matrix: levels of factors and states of transforms, no rows.
    position : ndarray of int
        Parameter of each column of the matrices below.
    intercept : bool
    center, scale : ndarray
        Dense columns stand as ``(x − center) · scale``; both empty where they stand as they are.
    n_dense : int
    nobs, rows_read, rows_missing : int
    weight : float
        Sum of the weights.
    point : ndarray of shape (q,)
        The site's estimate ("fit"), or the parameter that it was given ("score").
    information, meat : ndarray of shape (q, q)
        Fisher information and sum of outer products of row scores there, without the dispersion.
    score : ndarray of shape (q,)
    bias, weighting : ndarray of shape (q,)
        First-order bias of the estimate, and of the information times it, without the dispersion ("fit").
    sums, null : dict of float, or None
        Loss, deviance, Pearson's statistic and terms of the log-likelihood, at ``point`` and at the null model.
    null_score, y : float
    offset : bool
    events : float
        Rows of the rarer class; NaN unless binomial.
    rank : int
    converged, separated, firth : bool
    guard : dict
        The counts below which nothing is handed over.
    made_by : str
        Version of statkit.
    """

    site: str
    kind: str
    formula: str | None
    response: str
    family: dict
    classes: list | None
    names: list
    terms: dict
    design: dict
    position: np.ndarray
    intercept: bool
    center: np.ndarray
    scale: np.ndarray
    n_dense: int
    nobs: int
    rows_read: int
    rows_missing: int
    weight: float
    point: np.ndarray
    information: np.ndarray
    meat: np.ndarray
    score: np.ndarray
    bias: np.ndarray
    weighting: np.ndarray
    sums: dict
    null: dict | None
    null_score: float
    y: float
    offset: bool
    events: float
    rank: int
    converged: bool
    separated: bool
    firth: bool
    guard: dict
    made_by: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the summary: JSON, or a zip of arrays if the name ends in ``.npz``.

        Raises
        ------
        ValueError
            If the name ends otherwise.
        """
        document = asdict(self)
        (write_model if _is_zip(path) else write_text)(path, document, _FORMAT)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LocalSummary:
        """Read a file that `save` wrote. No code in it runs, and what does not fit together is refused.

        Raises
        ------
        FileNotFoundError
        ValueError
            If it is no such file, is cut off or damaged, or was written by a newer version.
        """
        with open(path, "rb") as file:
            zipped = file.read(2) == b"PK"
        document = (read_model if zipped else read_text)(path, _FORMAT)
        try:
            return cls(**_checked(document))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{os.fspath(path)} is no summary of a site: {error}") from None

    @property
    def params(self) -> Any:
        """Series of the site's estimate (or the parameter that it was given), in the columns' own units."""
        import pandas as pd

        values = np.zeros(len(self.names))
        values[self.position] = self._to_raw() @ self.point
        return pd.Series(values, index=self.names)

    @property
    def unit_bse(self) -> Any:
        """Series of the standard errors of `params` at dispersion 1; NaN for what the site cannot identify."""
        import pandas as pd

        from statkit.solvers.cholesky import Factor

        inverse = Factor(self.information).inverse()
        left_out = np.isnan(np.diag(inverse))
        T = self._to_raw()
        variance = np.einsum("ij,jk,ik->i", T, np.where(np.isnan(inverse), 0.0, inverse), T)
        errors = np.full(len(self.names), np.nan)
        errors[self.position] = np.where(left_out, np.nan, np.sqrt(np.maximum(variance, 0.0)))
        return pd.Series(errors, index=self.names)

    def _to_raw(self) -> np.ndarray:
        """From the coordinates of the file to the columns' own units."""
        T = np.eye(len(self.point))
        if self.center.size:
            i = int(self.intercept)
            dense = np.arange(i, i + self.n_dense)
            T[dense, dense] = self.scale
            if i:
                T[0, dense] = -self.center * self.scale
        return T

    @property
    def levels(self) -> dict[str, list]:
        """Levels of the factors, the reference first: what another site gives as ``levels``."""
        found = {}
        for text, factor in (self.design.get("factors") or {}).items():
            if "levels" in factor:
                from statkit.design.levels import Levels

                found[text] = Levels.from_dict(factor["levels"]).values
        return found

    def __repr__(self) -> str:
        what = self.formula or self.response
        return (
            f"<LocalSummary of {self.site}: {what}, {self.family['name']}, {self.nobs:,} rows, {self.kind}>"
        )


def _is_zip(path: str | os.PathLike[str]) -> bool:
    name = os.fspath(path)
    if name.endswith(".npz"):
        return True
    if name.endswith(".json"):
        return False
    raise ValueError(f"a summary's file is called *.json or *.npz, not {name!r}")


_TEXT = ("site", "kind", "response", "made_by")
_COUNTS = ("n_dense", "nobs", "rows_read", "rows_missing", "rank")
_NUMBERS = ("weight", "null_score", "y", "events")
_FLAGS = ("intercept", "offset", "converged", "separated", "firth")
_DICTS = ("family", "terms", "design", "sums", "guard")


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of a document, each of its type and all of them of one size."""
    wanted = {f.name for f in fields(LocalSummary)}
    for name in sorted(wanted ^ set(document)):
        raise ValueError(f"it {'lacks' if name in wanted else 'has an unknown field'} {name!r}")
    d = dict(document)
    for group, kind in ((_TEXT, str), (_COUNTS, int), (_FLAGS, bool), (_DICTS, dict), (("names",), list)):
        for name in group:
            if type(d[name]) is not kind:
                raise ValueError(f"{name!r} must be {kind.__name__}, not {type(d[name]).__name__}")
    for name in _NUMBERS:
        d[name] = _number(d[name], name, may_be_nan=name == "events")
    for name in ("formula", "null", "classes"):
        if d[name] is not None and not isinstance(
            d[name], {"formula": str, "null": dict, "classes": list}[name]
        ):
            raise ValueError(f"{name!r} cannot be {type(d[name]).__name__}")
    if d["kind"] not in ("fit", "score"):
        raise ValueError(f"'kind' must be 'fit' or 'score', not {d['kind']!r}")
    if not all(isinstance(name, str) for name in d["names"]) or len(set(d["names"])) < len(d["names"]):
        raise ValueError("'names' must be distinct texts")
    for name in ("sums", "null"):
        for key, value in (d[name] or {}).items():
            d[name][key] = _number(value, f"{name}[{key!r}]", may_be_nan=True)
    if not {"loss", "pearson", "deviance"} <= set(d["sums"]):
        raise ValueError("'sums' lacks the loss, Pearson's statistic or the deviance")
    _check_arrays(d)
    for term, members in d["terms"].items():
        if not all(type(i) is int and 0 <= i < len(d["names"]) for i in members):
            raise ValueError(f"term {term!r} has a parameter that does not exist")
    if not (0 < d["nobs"] and 0 <= d["rank"] <= len(d["point"]) and d["weight"] > 0):
        raise ValueError("rows, rank or weights are out of range")
    _check_design(d["design"])
    name = d["family"].get("name")
    if not isinstance(name, str) or not isinstance(d["family"].get("parameters"), dict):
        raise ValueError("'family' must have a name and parameters")
    return d


def _check_design(design: dict[str, Any]) -> None:
    """What comparing the levels of sites relies on."""
    for text, factor in (design.get("factors") or {}).items():
        if "levels" not in factor:
            continue
        keys, base, reduced = factor["levels"]["keys"], factor["base"], factor.get("reduced")
        if not isinstance(factor["levels"]["kind"], str) or not isinstance(keys, list) or not keys:
            raise ValueError(f"factor {text!r} has no levels")
        if type(base) is not int or not 0 <= base < len(keys):
            raise ValueError(f"the reference of {text!r} is none of its levels")
        if reduced is not None and (np.ndim(reduced["matrix"]) != 2 or len(reduced["matrix"]) != len(keys)):
            raise ValueError(f"the contrasts of {text!r} do not fit its levels")


def _number(value: Any, name: str, may_be_nan: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} must be a number, not {type(value).__name__}")
    if not (math.isfinite(value) or (may_be_nan and math.isnan(value))):
        raise ValueError(f"{name} is {value}")
    return float(value)


def _check_arrays(d: dict[str, Any]) -> None:
    q = len(d["point"]) if isinstance(d["point"], np.ndarray) else -1
    if not 0 < q <= min(len(d["names"]), _MOST_PARAMETERS):
        raise ValueError("'point' has no parameters, or more than there are names")
    n_scaled = len(d["center"]) if isinstance(d["center"], np.ndarray) else -1
    if n_scaled not in (0, d["n_dense"]) or not 0 <= d["n_dense"] <= q - int(d["intercept"]):
        raise ValueError("'center' does not fit the columns")
    shapes = {"point": (q,), "score": (q,), "bias": (q,), "weighting": (q,), "information": (q, q),
              "meat": (q, q), "position": (q,), "center": (n_scaled,), "scale": (n_scaled,)}  # fmt: skip
    for name, shape in shapes.items():
        array = d[name]
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype.kind not in "if":
            raise ValueError(f"{name!r} must be numbers of shape {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name!r} holds values that are not finite")
        if name != "position":
            d[name] = array.astype(float)
    if d["position"].dtype.kind != "i" or len(set(d["position"].tolist())) < q:
        raise ValueError("'position' must be distinct whole numbers")
    if not (0 <= d["position"].min() and d["position"].max() < len(d["names"])):
        raise ValueError("'position' points outside the names")
    if not (d["scale"] > 0).all():
        raise ValueError("'scale' must be positive")
    for name in ("information", "meat"):
        M = d[name]
        size = max(float(np.abs(np.diag(M)).max(initial=0.0)), 1e-300)
        if np.abs(M - M.T).max() > 1e-8 * size or np.linalg.eigvalsh((M + M.T) / 2).min() < -1e-8 * size:
            raise ValueError(f"{name!r} is no matrix of sums of squares: it is not symmetric and nonnegative")
