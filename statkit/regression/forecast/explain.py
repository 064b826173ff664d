"""``explain``: what a fit would cost and what it would give, before any pass over the data."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from statkit.engines import resolve_engine
from statkit.engines.engine import CACHE_BYTES, one_blas_thread
from statkit.regression._data import Roles, as_vector, covariance_asked, group_codes
from statkit.regression._fit import freeze, load_block
from statkit.regression.forecast.explanation import Explanation
from statkit.regression.forecast.job import Job
from statkit.regression.forecast.opening import open_data
from statkit.regression.forecast.pilot import PieceSource, fit_pilot, read_pieces
from statkit.regression.forecast.plans import default_plans, forecast
from statkit.regression.forecast.rates import measure
from statkit.regression.forecast.splits import Splits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


__all__ = ["explain"]

#: Rows of the pilot's fit: as many as take this long, within these limits.
_FIT_SECONDS, _FEWEST, _MOST, _FITS = 0.25, 20_000, 200_000, 12


def explain(
    formula: str,
    data: Any,
    plans: Any = None,
    engine: Any = None,
    *,
    family: Any = "gaussian",
    link: str | None = None,
    ties: str | None = None,
    weights: str | ArrayLike | None = None,
    offset: str | ArrayLike | None = None,
    groups: str | ArrayLike | None = None,
    n_jobs: int | None = None,
    alpha: float = 0.0,
    l1_ratio: float = 0.0,
    cov_type: str | None = None,
    na_action: Literal["drop", "raise"] = "drop",
    random_state: Seed = None,
) -> Any:
    """Tell what a fit would cost and give, before any pass over the data: EXPLAIN for regressions.

    Footers give the number of rows and the size of the columns; a pilot, the first rows of up to eight row groups and at
    most a quarter of all (of small tables 4,096), is read, encoded and fitted while a clock runs. From them follow, for
    each plan, passes, seconds, peak memory and the distance to the exact estimate, and the standard error of each
    coefficient.

    Parameters
    ----------
    formula : str
        As in :func:`statkit.glm`.
    data : frame, dataset, path, URL, glob, list of paths, or Source
        What can be looked at without reading all of it: files and tables in memory.
    plans : Plan, list of Plan, or None, default=None
        Plans to compare; None is the exact fit, subsamples of several sizes, one round over the partitions there
        are, and a stream. Of ``Exact``, ``Subsample``, ``RareEvents``, ``OneShot``, ``LeastSquaresApproximation``,
        ``OneStep``, ``SurrogateLikelihood``, ``Renewable`` and ``AveragedSGD`` there is a forecast.
    engine : str, client, Engine or None, default=None
        Who would compute; None is "threads". Workers of a cluster count as fast as this machine.
    family : str or Family, default="gaussian"
        As in :func:`statkit.glm`; or "cox" with ``Surv(time, event)`` on the left, "ordered", "softmax" (classes
        without an order), "quantile" (the median; ``statkit.families.Quantile(0.9)`` for another).
    link, ties : str or None
        Link function; for "cox", the treatment of ties.
    weights, offset, groups : str, array or None
    n_jobs : int or None
    alpha, l1_ratio : float
    cov_type : str or None
        None is "cluster" with ``groups``, otherwise "nonrobust".
    na_action : {"drop", "raise"}, default="drop"
    random_state : int or None

    Returns
    -------
    explanation : Explanation
        Prints as a table; ``.frame`` (one row a plan), ``.standard_errors``, ``.recommended``, ``.to_dict()``.

    Raises
    ------
    TypeError
        For data that can be read only once.
    ValueError
        For data without rows, unknown columns, files that cannot be read, plans without a forecast.

    Notes
    -----
    Seconds are of a fit in a process that has statkit loaded, on a machine as busy as it was during the pilot. Memory
    is what the fit adds to the process. The distance to the exact estimate is in that estimate's standard errors, root
    mean square over coefficients: at .1 the error about the truth grows by half a percent, at 1 by 41 %.

    Examples
    --------
    >>> from statkit import explain
    >>> from statkit.datasets import flights_path
    >>> told = explain("delay ~ distance", flights_path())
    >>> told.n_rows, told.n_columns
    (3000000, 2)
    >>> told.rows_read < 1_500_000
    True
    >>> told.recommended
    Exact()

    References
    ----------
    H. Wang, R. Zhu and P. Ma (2018), Optimal Subsampling for Large Sample Logistic Regression. Y. Zhang, J. C. Duchi
    and M. J. Wainwright (2013), Communication-efficient algorithms for statistical optimization. P. G. Selinger et al.
    (1979), Access path selection in a relational database management system. H. Wang (2020), Logistic Regression for
    Massive Data with Rare Events. M. I. Jordan, J. D. Lee and Y. Yang (2019), Communication-efficient distributed
    statistical inference.
    """
    started = time.perf_counter()
    named = {"weight": weights, "offset": offset, "group": groups}
    beside = {name: _array(name, values) for name, values in named.items()}
    columns = {name: value for name, value in named.items() if isinstance(value, str)}
    model = _model(
        formula, family, link, ties, alpha=alpha, l1_ratio=l1_ratio, na_action=na_action, random_state=random_state,
        cov_type=covariance_asked(cov_type, groups),
    )  # fmt: skip
    chosen = _checked(plans)
    model._check_parameters()
    opened = open_data(data, beside)
    try:
        with one_blas_thread():
            return _explained(model, opened, columns, chosen, engine, n_jobs, started)
    finally:
        if opened.owned:
            opened.source.close()


def _array(name: str, values: Any) -> Any:
    if values is None or isinstance(values, str):
        return None
    label = {"weight": "weights", "offset": "offset", "group": "groups"}[name]
    return group_codes(values) if name == "group" else as_vector(values, label, positive=name == "weight")


def _checked(plans: Any) -> list | None:
    from statkit.plans import Plan

    if plans is None:
        return None
    if isinstance(plans, str) or (isinstance(plans, type) and issubclass(plans, Plan)):
        name = plans if isinstance(plans, str) else plans.__name__
        raise TypeError(
            f"plans must be objects of statkit.plans, such as Exact() or [Exact(), OneStep()], not {name!r}"
        )
    chosen = [plans] if isinstance(plans, Plan) else list(plans)
    for plan in chosen:
        if not isinstance(plan, Plan):
            raise TypeError(f"plans must be objects of statkit.plans, not {plan!r}")
    if not chosen:
        raise ValueError("plans is empty: give a plan, or None for a choice of them")
    return chosen


def _model(formula, family, link, ties, **options):
    """The estimator that the fit would be made with."""
    from statkit.regression import CoxPHRegressor, GLMClassifier, GLMRegressor, OrderedClassifier

    if ties is not None and family != "cox":
        raise ValueError("ties is for family='cox'")
    if family in ("cox", "ordered"):
        if options.pop("l1_ratio"):
            raise ValueError(f"family={family!r} has no l1_ratio")
        if family == "cox":
            if link is not None:
                raise ValueError("family='cox' has no link")
            model = CoxPHRegressor(formula=formula, **({"ties": ties} if ties else {}), **options)
            model._coded = False  # strata are in the formula
            return model
        return OrderedClassifier(formula=formula, **({"link": link} if link else {}), **options)
    if family in ("softmax", "multinomial"):
        return GLMClassifier(formula=formula, **({"link": link} if link else {}), **options)
    if family == "quantile":
        from statkit.families import Quantile

        family = Quantile(0.5)
    return GLMRegressor(family, link=link, formula=formula, **options)


def _explained(model, opened, columns, plans, engine, n_jobs, started) -> Explanation:
    if not opened.n_rows:
        raise ValueError("there are no rows to fit")
    source = opened.source
    roles = Roles(None, columns.get("weight"), columns.get("offset"), columns.get("group"))
    pieces = read_pieces(source, _columns(model, source, columns, roles))
    small = PieceSource(source, pieces)
    fitted: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, unfrozen, family = model._tabular(small, roles, fitted)
        serial = resolve_engine("serial")
        design, profiled = freeze(unfrozen, small, serial)
        classes = design.classes
        if classes is not None and len(classes) > 2 and not model._categorical_response:
            raise ValueError(
                f"the response {design.response_name!r} holds {len(classes)} classes: it is no number; with an order "
                "they are family='ordered', without one family='softmax'"
            )
        family = model._frozen_family(family, design)
        blocks = [load_block(small, design, family, p) for p in small.partitions()]
    _check_classes(family, blocks, small.n_rows or 0, opened.n_rows)
    pilot = fit_pilot(model, small, design, family, blocks, pieces.whole, _pilot_rows(blocks))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rates = measure(pieces, design, unfrozen, pilot)
        engine, workers, name, cache = _engine(engine, n_jobs)
        job = Job(
            opened.n_rows, opened.parts, pieces.bytes_per_row, workers, name, cache, bool(profiled),
            opened.kind == "in memory", opened.copy_seconds, rates, pilot,
        )  # fmt: skip
        splits = Splits(pilot, model._seed())
        forecasts = [forecast(plan, job, splits) for plan in (plans or default_plans(job))]
    seconds = time.perf_counter() - started
    return Explanation(model, opened, pieces, unfrozen, design, job, splits, forecasts, repr(engine), seconds)


def _check_classes(family, blocks, n_read, n_rows):
    """Refuse a response of one class, of which nothing can be told."""
    if family.name not in ("binomial", "softmax"):
        return
    found = [np.unique(b.y) for b in blocks if b.n_rows]
    values = np.unique(np.concatenate(found)) if found else found
    if len(values) == 1 and float(values[0]) in (0.0, 1.0):
        where = "all rows" if n_read >= n_rows else f"the {n_read:,} rows of the pilot"
        more = "" if n_read >= n_rows else "; if the files are sorted by it, shuffle them"
        raise ValueError(f"the response has the same class in {where}: there is nothing to fit{more}")


def _columns(model, source, columns, roles) -> tuple:
    """Columns that the fit will read; nothing is read to find out."""
    if not source.schema:
        raise ValueError("a formula needs named columns; the data are a plain matrix")
    if model._categorical_response:
        from statkit.design.formula import FormulaDesign

        return FormulaDesign(model.formula, source.schema, **{k: v for k, v in columns.items()}).columns
    return model._tabular(source, roles, {})[1].columns


def _pilot_rows(blocks: list) -> int:
    """As many rows as a dozen evaluations in a quarter of a second allow: more columns, fewer rows."""
    width = blocks[0].n_columns - (blocks[0].codes.width if blocks[0].codes is not None else 0)
    coded = 0 if blocks[0].codes is None else blocks[0].codes.columns.shape[1]
    # Seconds of an evaluation of a row, roughly: what the kernels here do.
    row = 3e-8 + 3e-10 * (width + coded) ** 2
    return int(np.clip(_FIT_SECONDS / (_FITS * row), max(_FEWEST, 40 * blocks[0].n_columns), _MOST))


def _engine(engine, n_jobs):
    """(engine, workers, kind, bytes of its cache)."""
    engine = resolve_engine("threads" if engine is None else engine, n_jobs)
    workers = getattr(engine, "n_jobs", None)
    if workers is None:
        digits = "".join(c for c in repr(engine).partition("(")[2] if c.isdigit())
        workers = int(digits) if digits else 1
    cache = getattr(engine, "cache_bytes", None)
    return engine, max(1, int(workers)), engine.name, CACHE_BYTES if cache is None else cache
