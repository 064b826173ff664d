"""Which estimators there are."""

from __future__ import annotations

import importlib
import inspect

__all__ = ["all_estimators"]

_ROOMS = ("regression", "naive_bayes", "cluster", "decomposition", "causal", "inference", "sampling")


def all_estimators(type_filter: str | None = None) -> list[tuple[str, type]]:
    """The package's public estimators, by name.

    Parameters
    ----------
    type_filter : {"classifier", "regressor", "clusterer", "transformer"}, default=None
        Only estimators of one kind, as scikit-learn's mixin classes tell; None is all of them.

    Returns
    -------
    list of (str, type)
        Name and class, sorted by name.

    Raises
    ------
    ValueError
        For another kind.

    Examples
    --------
    >>> from statkit import all_estimators
    >>> [name for name, _ in all_estimators("classifier")][:2]
    ['AnnotatorNB', 'GLMClassifier']
    """
    from sklearn import base

    kinds = {
        "classifier": base.ClassifierMixin,
        "regressor": base.RegressorMixin,
        "clusterer": base.ClusterMixin,
        "transformer": base.TransformerMixin,
    }
    if type_filter is not None and type_filter not in kinds:
        raise ValueError(f"type_filter must be one of {', '.join(kinds)} or None, not {type_filter!r}")
    wanted = base.BaseEstimator if type_filter is None else kinds[type_filter]
    found = {}
    for room in _ROOMS:
        module = importlib.import_module(f"statkit.{room}")
        for name in module.__all__:
            item = getattr(module, name)
            if inspect.isclass(item) and issubclass(item, base.BaseEstimator) and issubclass(item, wanted):
                found[name] = item
    return sorted(found.items())
