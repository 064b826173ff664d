"""The function form of a regularization path: a frame of fits, without choosing one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from statkit._typing import Column, Data
    from statkit.families import Family

__all__ = ["regularization_path"]


def regularization_path(
    X: Data,
    y: Column = None,
    family: str | Family = "gaussian",
    *,
    l1_ratio: float = 1.0,
    n_alphas: int = 100,
    eps: float = 1e-3,
    alphas: Sequence[float] | None = None,
    cv: int | None = None,
    partition_by: str | ArrayLike | None = None,
    sample_weight: Column = None,
    offset: Column = None,
    **options: Any,
) -> pd.DataFrame:
    """Lasso, elastic net or ridge fits for a sequence of penalties, on data of any size.

    The penalty is that of :class:`GLMRegressor`: mean loss + ``alpha · (l1_ratio · ‖β‖₁ + (1 − l1_ratio)/2 · ‖β‖²)``.

    Parameters
    ----------
    X, y, sample_weight, offset : as in :meth:`GLMRegressor.fit`
    family : str or Family, default="gaussian"
    l1_ratio : float, default=1.0
        1 is the lasso, 0 ridge.
    n_alphas, eps, alphas
        See :class:`statkit.plans.RegularizationPath`.
    cv : int or None, default=None
        Folds of partitions (rows in memory are dealt at random); None is no cross-validation.
    partition_by : str, array of shape (n,) or None, default=None
        Rows that share a value stay in one fold.
    **options
        Of :class:`GLMRegressor`: ``formula``, ``link``, ``engine``, ``n_jobs``, ``fit_intercept``, ``na_action``,
        ``random_state``, ``verbose``.

    Returns
    -------
    path : DataFrame indexed by alpha, from the largest
        ``path["fit"]`` has ``df, deviance, explained, llf, aic, bic`` and, with folds, ``cv_deviance, cv_std_err``;
        ``path["coef"]`` has the coefficients.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> from statkit.regression import regularization_path
    >>> X, y, coef = make_glm(500, 4, family="poisson", random_state=0)
    >>> path = regularization_path(X, y, "poisson", n_alphas=10)
    >>> path["coef"].columns.tolist()
    ['Intercept', 'x0', 'x1', 'x2', 'x3']
    >>> int((path["coef"].iloc[0] != 0).sum())
    1
    """
    from statkit.plans import RegularizationPath
    from statkit.regression.generalized_linear import GLMRegressor

    folds: dict[str, Any] = {} if cv is None else {"select": "cv", "cv": cv, "partition_by": partition_by}
    if cv is None and partition_by is not None:
        raise ValueError("partition_by makes folds: give cv, their number, too")
    plan = RegularizationPath(n_alphas, eps=eps, alphas=alphas, **folds)
    model = GLMRegressor(family, plan=plan, l1_ratio=l1_ratio, **options)
    return model.fit(X, y, sample_weight=sample_weight, offset=offset).estimate_.selection_path
