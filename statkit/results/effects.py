"""A table of effects or averages that follow from a fit: estimates with delta-method errors, and what each is of."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.results._numbers import coefficient_columns, count, p_value, plain, statistic
from statkit.results._tails import two_sided_quantile, two_sided_tail
from statkit.results._values import EstimatedValues
from statkit.results.estimate import Estimate
from statkit.results.summary import Line, Note, Section, Summary
from statkit.results.wald import WaldTest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Effects", "interval_width"]


def interval_width(estimate: Estimate, level: float) -> float:
    """Standard errors on each side that an interval of a level takes, by the reference law of an estimate."""
    return two_sided_quantile(1.0 - level, estimate._df)


class Effects(EstimatedValues):
    """Functions of the parameters of a fit, with standard errors by the delta method.

    Parameters
    ----------
    keys : list of dict
        What each value is of: ``variable``, ``contrast``, ``class``, and columns of ``at`` and ``by``.
    values : ndarray of shape (E,)
    jacobian : ndarray of shape (E, k)
        Derivatives in the parameters.
    estimate : Estimate
        The fit: its covariance and reference distribution.
    title, name : str
        Of the table, and of its first column.
    nobs : int
        Rows that were averaged.
    weight : float
        Their weights' sum.
    seconds, n_passes : float
    engine : str
    notes : list of str
    """

    def __init__(
        self,
        keys: list[dict[str, Any]],
        values: np.ndarray,
        jacobian: np.ndarray,
        estimate: Estimate,
        *,
        title: str,
        name: str,
        nobs: int,
        weight: float = float("nan"),
        seconds: float = float("nan"),
        n_passes: float = float("nan"),
        engine: str = "",
        notes: list[str] | None = None,
    ) -> None:
        self.keys, self.values, self.jacobian = keys, values, jacobian
        self._estimate = estimate
        self.title, self.name = title, name
        self.nobs, self.weight, self.seconds, self.n_passes, self.engine = (
            nobs,
            weight,
            seconds,
            n_passes,
            engine,
        )
        self.notes = notes or []

    # -- numbers --------------------

    @property
    def labels(self) -> list[str]:
        """One string for each value."""
        return [_label(key) or self.name for key in self.keys]

    @cached_property
    def _columns(self) -> list[str]:
        """Names of what distinguishes the values, variable and contrast first."""
        found = dict.fromkeys(name for key in self.keys for name in key)
        first = [name for name in ("variable", "contrast") if name in found]
        return [*first, *(name for name in found if name not in first)]

    @cached_property
    def _index(self) -> pd.Index:
        import pandas as pd

        columns = self._columns
        if not columns:
            return pd.Index([self.name] * len(self.keys))
        if len(columns) == 1:
            return pd.Index([key.get(columns[0], "") for key in self.keys], name=columns[0])
        rows = [tuple(key.get(name, "") for name in columns) for key in self.keys]
        return pd.MultiIndex.from_tuples(rows, names=columns)

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives in the parameters that were estimated, and the covariance with zeros for what is unknown."""
        V = self._estimate.covariance
        J = np.where(np.isfinite(self._estimate.values), self.jacobian, 0.0)
        return J, np.where(np.isnan(V), 0.0, V)

    @cached_property
    def _covariance(self) -> np.ndarray:
        J, V = self._known
        out = J @ (np.diag(V) if V.ndim == 1 else V) @ J.T
        unknown = np.isnan(self._bse)
        out[unknown] = out[:, unknown] = np.nan
        return out

    @cached_property
    def _bse(self) -> np.ndarray:
        J, V = self._known
        if V.ndim == 1:  # without covariances, only what depends on one parameter has an error
            variance = np.where((J != 0).sum(axis=1) == 1, np.square(J) @ V, np.nan)
        else:
            variance = np.maximum(np.einsum("ek,ek->e", J @ V, J), 0.0)
        unknown = (self.jacobian[:, self._estimate._open] != 0).any(axis=1)
        return np.where(unknown, np.nan, np.sqrt(variance))

    @property
    def _no_errors(self) -> str:
        return f"{self._estimate.plan or 'the fit'} gives no covariance of the coefficients: there are no standard errors"

    def _why_nan(self) -> list[Note]:
        e = self._estimate
        if not np.isfinite(e._bse).any():
            return [Note(f"{self._no_errors}.", "NaN")]
        entering = e._open & (self.jacobian[np.isnan(self._bse)] != 0).any(axis=0)
        if not entering.any():
            return []
        labels = [label for label, there in zip(e.labels, entering, strict=True) if there]
        shown = ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
        why = e.why_nan.get(e.names[int(np.argmax(entering))], "it has no standard error")
        return [Note(f"Enters with an error that is not known: {shown} ({why}).", "NaN")]

    @property
    def _df(self):
        return self._estimate._df

    @cached_property
    def _tvalues(self) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.values / self._bse

    def cov_params(self) -> pd.DataFrame:
        """Frame of the covariance of the estimates."""
        import pandas as pd

        return pd.DataFrame(self._covariance, index=self._index, columns=self._index)

    def wald_test(self, hypothesis: Any) -> WaldTest:
        """Joint test of linear hypotheses about the values, as :meth:`Estimate.wald_test`.

        Parameters
        ----------
        hypothesis : str, list of str, ndarray or tuple
            Names are `labels`; or a matrix with a column for each value.
        """
        e = self._estimate
        if not np.isfinite(self._bse).any():
            raise ValueError(self._no_errors)
        own = Estimate(
            names=self.labels, values=self.values, covariance=self._covariance,
            terms={label: [i] for i, label in enumerate(self.labels)}, family=e.family, link=e.link, use_t=e.use_t,
            nobs=e.nobs, df_resid=e.df_resid, df_model=e.df_model, rank=e.rank, response=e.response,
            df_resid_inference=e.df_resid_inference,
            reference=e.reference if e.reference in ("t", "random scaling") else None,
        )  # fmt: skip
        return own.wald_test(hypothesis)

    def to_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """The table as a frame: what each value is of, then estimate, standard error, z, p-value and limits."""
        import pandas as pd

        z, limits = self._estimate._letter, self._limits(alpha)
        numbers = {
            self.name: self.values,
            "std err": self._bse,
            z: self._tvalues,
            f"P>|{z}|": two_sided_tail(self._tvalues, self._df),
            f"[{alpha / 2:.4g}": limits[:, 0],
            f"{1 - alpha / 2:.4g}]": limits[:, 1],
        }
        what = {name: [key.get(name, "") for key in self.keys] for name in self._columns}
        return pd.DataFrame({**what, **numbers})

    # -- text --------------------

    def summary(self, alpha: float = 0.05) -> Summary:
        """The table as an object that prints as text, HTML or LaTeX."""
        e, z, limits = self._estimate, self._estimate._letter, self._limits(alpha)
        columns = coefficient_columns(self.values, self._bse, limits[:, 0], limits[:, 1])
        pvalues = two_sided_tail(self._tvalues, self._df)
        cells = [
            (value, error, statistic(t), p_value(p), lower, upper)
            for value, error, lower, upper, t, p in zip(*columns, self._tvalues, pvalues, strict=True)
        ]
        sections: dict[str, list] = {}
        for key, row in zip(self.keys, cells, strict=True):
            sections.setdefault(_section(key), []).append((_inner(key), row))
        lines: list = []
        for section, members in sections.items():
            if section and members[0][0]:
                lines.append(Section(section))
            lines += [Line(inner or section or self.name, row) for inner, row in members]
        left = [("Rows", count(self.nobs)), ("Passes over the data", plain(self.n_passes))]
        right = [("Covariance", e.cov_type), ("Seconds", plain(self.seconds, 3))]
        facts = [("Formula", e.formula) if e.formula else ("Response", str(e.response))]
        link = f", {e.link} link" if e.link else ""
        facts += [("Family", f"{e.family}{link}"), ("Plan", e.plan), ("Engine", self.engine)]
        return Summary(
            title=self.title,
            facts=[(label, value) for label, value in facts if value],
            figures=(
                [pair for pair in left if pair[1] != "NaN"],
                [pair for pair in right if pair[1] != "NaN"],
            ),
            columns=(self.name, "std err", z, f"P>|{z}|", f"[{alpha / 2:.4g}", f"{1 - alpha / 2:.4g}]"),
            lines=lines,
            notes=[Note(text) for text in self.notes] + self._why_nan(),
        )

    def __repr__(self):
        return self.summary().as_text()

    def _repr_html_(self):
        return self.summary().as_html()

    def __len__(self):
        return len(self.values)


def _inner(key: dict) -> str:
    """Name of a line: variable and contrast."""
    return " ".join(str(key[name]) for name in ("variable", "contrast") if key.get(name))


def _section(key: dict) -> str:
    """What a line shares with its neighbours."""
    return ", ".join(
        f"{name} = {_shown(value)}" for name, value in key.items() if name not in ("variable", "contrast")
    )


def _label(key: dict) -> str:
    return " | ".join(part for part in (_inner(key), _section(key)) if part)


def _shown(value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
