"""The summary of one site's rows for a federated study: a local fit, its sums, and a guard of what may leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.engines.engine import one_blas_thread
from statkit.inference.site_summary import LocalSummary
from statkit.regression._data import Roles, is_matrix
from statkit.regression._fit import freeze, open_problem, resolve
from statkit.regression._tabular import tabular
from statkit.regression.generalized_linear import GLMRegressor
from statkit.rounds.machines import LocalOptions, local_fit, portable
from statkit.rounds.tasks import Want, evaluate
from statkit.solvers.cholesky import Factor
from statkit.sources import close_made

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from statkit.engines import Engine
    from statkit.families import Family
    from statkit.results import Estimate


__all__ = ["local_summary"]

# Share of parameters in rows above which single rows show through the sums (DataSHIELD's default).
_MOST_PARAMETERS = 1 / 3


def local_summary(
    X: Any,
    y: ArrayLike | str | None = None,
    *,
    family: str | Family = "gaussian",
    link: Any = None,
    formula: str | None = None,
    sample_weight: Any = None,
    offset: Any = None,
    fit_intercept: bool = True,
    na_action: Any = "drop",
    site: str = "site",
    levels: Any = None,
    like: Any = None,
    at: Estimate | pd.Series | dict[str, Any] | None = None,
    local: Literal["auto", "mle", "firth"] = "auto",
    min_count: int = 10,
    min_level: int = 5,
    engine: str | Engine = "threads",
    n_jobs: int | None = None,
) -> LocalSummary:
    """Summarise the rows of one site, so that several sites can be fitted together without sharing a row.

    The summary holds the site's estimate, its information matrix, the first-order bias that combining it will
    have, and a few sums: what least squares approximation needs. A second round, ``at`` the combined estimate,
    hands over score and information there, and makes the combination as good as the fit of all rows.

    Parameters
    ----------
    X : array, frame, path, URL, glob or Source
        The site's rows; with ``formula``, anything with named columns. They are held in memory while fitted.
    y : array of shape (n,), str or None
        Response, or its column's name; None with a formula.
    family, link, formula, sample_weight, offset, fit_intercept, na_action
        As in :class:`~statkit.regression.GLMRegressor`; a negative binomial ``alpha`` must be given.
    site : str, default="site"
        Name of the site; different sites have different names.
    levels : dict of str to sequence or None, default=None
        Levels of factors, the reference first, as the sites agreed on them. Levels that a site lacks cost
        nothing. Without it every site has its own, which are joined as long as the reference is the same.
    like : LocalSummary, path or None, default=None
        Summary of another site whose levels and transforms (centres, knots, polynomials) are taken over.
        Formulas with ``poly``, ``bs``, ``scale``, … need it: their columns depend on the rows.
    at : Estimate, Series, dict or None, default=None
        Parameters by name at which score and information are handed over (the second round).
    local : {"auto", "mle", "firth"}, default="auto"
        Local estimate; "auto" is maximum likelihood, and Firth's where the response is separated.
    min_count : int, default=10
        Fewest rows, and rows of each class of a binary response, for which anything is handed over.
    min_level : int, default=5
        Fewest rows in which a level of a factor, or a column of zeros and ones, may occur.
    engine, n_jobs : as in :class:`~statkit.regression.GLMRegressor`

    Returns
    -------
    summary : LocalSummary

    Raises
    ------
    ValueError
        If the guard forbids it (too few rows, rare levels, more parameters than a third of the rows), or the
        model cannot be fitted.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.inference import combine_summaries, local_summary
    >>> X, y, coef = make_glm(2_000, 2, family="poisson", random_state=0)
    >>> one = local_summary(X[:900], y[:900], family="poisson", site="north")
    >>> two = local_summary(X[900:], y[900:], family="poisson", site="south")
    >>> combine_summaries([one, two]).nobs
    2000

    References
    ----------
    A. Gaye et al. (2014), DataSHIELD: taking the analysis to the data, not the data to the analysis.
    """
    _check_guard(min_count, min_level)
    if not isinstance(site, str) or not site:
        raise ValueError(f"site must be a name, not {site!r}")
    if local not in ("auto", "mle", "firth"):
        raise ValueError(f"local must be 'auto', 'mle' or 'firth', not {local!r}")
    model = GLMRegressor(family, link=link, formula=formula, fit_intercept=fit_intercept, na_action=na_action)
    model._check_parameters()
    roles = Roles(y, sample_weight, offset, None)
    fitted: dict = {}
    source = rows = reading = problem = None
    try:
        if formula is None and is_matrix(X):
            if levels or like is not None:
                raise ValueError("levels and like are for factors of named columns; X is a plain matrix")
            source, design, kind = model._plain(X, roles, fitted)
        else:
            source, design, kind = tabular(model, X, roles, fitted)
            design = _agreed(design, levels, like)
        if kind.n_shape:
            raise ValueError(
                f"the {kind.name} family estimates a shape parameter, which sites cannot do alone: give it, for "
                "instance NegativeBinomial(alpha=…)"
            )
        rows = source.regroup(1)
        engine, reading = resolve(engine, n_jobs, rows, design.columns)
        design, _ = freeze(design, reading, engine)
        problem = open_problem(reading, design, kind, engine, alpha=0.0, cov_type="nonrobust", seed=0)
        with one_blas_thread():
            cells = problem.session.round(count_cells)
            _guard(cells, design, kind, problem.size, min_count, min_level)
            record = _fit(problem, local) if at is None else _at(problem, at)
    finally:
        if problem is not None:
            problem.session.close()
        close_made(X, source, rows, reading)
    response = design.classes if design.classes is not None else fitted.get("classes_")
    return LocalSummary(
        site=site,
        kind="fit" if at is None else "score",
        formula=design.formula,
        response=design.response_name,
        family={"name": kind.name, "parameters": {**kind.get_params(), "link": kind.link_name}},
        classes=None if response is None else [c.item() if hasattr(c, "item") else c for c in response],
        names=list(design.names),
        terms={name: [int(i) for i in members] for name, members in design.terms.items()},
        design=_without_counts(design.to_dict()),
        position=np.asarray(design.position, dtype=np.int64),
        intercept=bool(design.intercept),
        center=problem.center,
        scale=problem.scale,
        n_dense=int(cells["n_dense"].value),
        guard={"min_count": int(min_count), "min_level": int(min_level)},
        made_by=_version(),
        **record,
    )


def _check_guard(min_count, min_level):
    for name, value in (("min_count", min_count), ("min_level", min_level)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be an integer >= 1, not {value!r}")


def _version() -> str:
    from statkit import __version__

    return __version__


def _agreed(design, levels, like):
    if like is None:
        return design.agreed(levels)
    if levels:
        raise ValueError("give levels or like, not both: like brings its own levels")
    other = like if isinstance(like, LocalSummary) else LocalSummary.load(like)
    if other.formula != design.formula:
        raise ValueError(f"like is a summary of {other.formula!r}, not of {design.formula!r}")
    try:
        return type(design).from_dict(other.design)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the design of {other!r} cannot be used: {error}") from None


def _without_counts(design: dict) -> dict:
    """The design without the numbers of rows by level, which combining does not need."""
    for factor in (design.get("factors") or {}).values():
        if "levels" in factor:
            factor["levels"]["n"] = [0] * len(factor["levels"]["keys"])
    if design.get("classes"):
        design["classes"]["n"] = [0] * len(design["classes"]["keys"])
    return design


# -- what may leave --------------------------------------------------------------------------------------


class Same:
    """A value that is the same in all partitions."""

    def __init__(self, value):
        self.value = value

    def merge(self, other):
        return self


def count_cells(block) -> dict:
    """Rows in which a column is not zero, and in which it is neither zero nor one; and of the response."""
    n, q = block.n_rows, block.n_columns
    nonzero, other = np.zeros(q, np.int64), np.zeros(q, np.int64)
    for start in range(0, n, 16_384):
        part = block.take(np.arange(start, min(start + 16_384, n))).to_dense()
        nonzero += (part != 0).sum(axis=0)
        other += ((part != 0) & (part != 1)).sum(axis=0)
    y = block.y
    return {
        "n": n, "n_read": block.n_read, "n_missing": block.n_missing, "nonzero": nonzero, "other": other,
        "ones": int((y > 0).sum()), "zeros": int((y < 1).sum()), "n_dense": Same(block.dense.shape[1]),
    }  # fmt: skip


def _guard(cells, design, family, q, min_count, min_level):
    """Refuse sums from which single rows could be read."""
    n = cells["n"]
    if n < min_count:
        raise ValueError(
            f"nothing is handed over: the site has {n} complete rows, fewer than min_count={min_count}"
        )
    if q > _MOST_PARAMETERS * n:
        raise ValueError(
            f"nothing is handed over: {q} parameters are more than a third of the {n} rows, which would show through"
        )
    if family.name in ("binomial", "quasi_binomial"):
        for label, count in (("one", cells["ones"]), ("zero", cells["zeros"])):
            if count < min_count:
                raise ValueError(
                    f"nothing is handed over: the response is {label} in {count} rows, fewer than "
                    f"min_count={min_count}"
                )
    counts = dict(
        zip(design.position.tolist(), zip(cells["nonzero"], cells["other"], strict=True), strict=True)
    )
    for j, (filled, other) in counts.items():
        few = filled if filled or other else min_level
        if not other and 0 < n - filled < min_level:
            few = n - filled
        if 0 < few < min_level:
            raise ValueError(
                f"nothing is handed over: column {design.names[j]!r} tells {few} rows apart, fewer than "
                f"min_level={min_level}; join rare levels, or leave them out"
            )
    for term, members in design.terms.items():
        inside = [counts[j] for j in members if j in counts]
        if len(inside) > 1 and not any(other for _, other in inside):
            rest = n - sum(int(filled) for filled, _ in inside)
            if 0 < rest < min_level:
                raise ValueError(
                    f"nothing is handed over: the reference level of {term} has {rest} rows, fewer than "
                    f"min_level={min_level}; join rare levels, or leave them out"
                )


# -- the two rounds --------------------------------------------------------------------------------------


def _fit(problem, local) -> dict:
    analytic = problem.family.predictors == 1
    m = problem.session.round(local_fit, portable(problem), LocalOptions(local=local))["machines"][0]
    sums = problem.session.round(
        evaluate, problem.family, m["theta"], problem.shape, problem.center, problem.scale, None,
        Want(information=False, meat="rows"),
    )  # fmt: skip
    q = problem.size
    return {
        "nobs": m["n"], "rows_read": m["n_read"], "rows_missing": m["n_missing"], "weight": float(m["weight"]),
        "point": m["theta"], "information": m["H"], "meat": sums["meat"], "score": sums["gradient"],
        "bias": m["b"] if analytic else np.zeros(q), "weighting": m["c"] if analytic else np.zeros(q),
        "sums": dict(m["sums"]), "null": None if m["null"] is None else dict(m["null"]),
        "null_score": float(m["null_score"]), "y": float(np.asarray(m["y"])[0]), "offset": bool(m["offset"]),
        "events": float(m["events"]), "rank": int(m["rank"]), "converged": bool(m["converged"]),
        "separated": bool(m["separated"]), "firth": bool(m["firth"]),
    }  # fmt: skip


def _at(problem, at) -> dict:
    theta = _internal(problem, at)
    family = problem.family
    null = np.zeros(family.predictors) if family.name == "gaussian" or not problem.design.intercept else None
    out = problem.session.round(
        evaluate, family, theta, problem.shape, problem.center, problem.scale, null,
        Want(sums=True, meat="rows"),
    )  # fmt: skip
    y = float(np.asarray(out["y"])[0])
    binary = family.name in ("binomial", "quasi_binomial")
    return {
        "nobs": int(out["n"]), "rows_read": out["n_read"], "rows_missing": out["n_missing"],
        "weight": float(out["weight"]), "point": theta, "information": out["information"], "meat": out["meat"],
        "score": out["gradient"], "bias": np.zeros(len(theta)), "weighting": np.zeros(len(theta)),
        "sums": dict(out["sums"]), "null": dict(out["null"]) if "null" in out else None,
        "null_score": float(out["null_step"][0]) if "null_step" in out else 0.0, "y": y,
        "offset": "null_step" in out, "events": min(y, out["weight"] - y) if binary else float("nan"),
        "rank": Factor(out["information"]).rank, "converged": True, "separated": False, "firth": False,
    }  # fmt: skip


def _internal(problem, at) -> np.ndarray:
    """Parameters given by name, in the coordinates of the problem."""
    given = dict(at.params if hasattr(at, "params") else at)
    design = problem.design
    missing = [name for name in design.names if name not in given]
    if missing:
        raise ValueError(
            f"the given parameters lack {missing[0]!r}; they are {', '.join(map(str, list(given)[:12]))}: sites must "
            "agree on formula and levels (levels=…, like=…)"
        )
    raw = np.array([float(given[name]) for name in design.names])[design.position]
    raw = np.where(np.isnan(raw), 0.0, raw)  # an aliased column
    if not np.isfinite(raw).all():
        raise ValueError(
            f"parameter {design.names[design.position[int(np.argmax(np.isinf(raw)))]]!r} is infinite"
        )
    if not problem.scale.size:
        return raw
    theta, i = raw.copy(), int(design.intercept)
    dense = slice(i, i + len(problem.scale))
    theta[dense] = raw[dense] / problem.scale
    if i:
        theta[0] += float(raw[dense] @ problem.center)
    return theta
