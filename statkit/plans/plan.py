"""What a plan is: which rounds with which summaries, and how the answers become an honest estimate."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["Plan"]


class Plan(BaseEstimator):
    """Base of all plans: parameters only, with ``get_params`` and ``set_params`` so that searches reach them.

    A plan has one method, ``estimate(problem) -> Estimate``. It declares what it needs of a family by raising
    ``ValueError`` that names the missing piece.
    """

    #: Whether the plan fits penalties on absolute values.
    fits_l1 = False
    #: Whether the plan fits families whose rows share a context, such as risk sets.
    fits_context = False
    #: Whether the plan fits models with thresholds, such as ordered classes.
    fits_thresholds = False
    #: Whether the plan has errors from random multipliers.
    bootstraps = False
    #: Covariance where the loss is no likelihood and ``cov_type`` is left at "nonrobust".
    sandwich = "HC1"
    #: Whether the plan finds values that are not finite by itself, so that rows need no check of their own.
    finds_missing = False

    def estimate(self, problem: Any) -> Any:
        raise NotImplementedError

    def regrouped(self, source: Any, seed: Any) -> Any:
        """The source in the partitions that the plan wants; here as it is."""
        return source

    def _needs_shape(self, problem):
        """Refuse a family whose shape parameter is left to be estimated."""
        family = problem.family
        if family.n_shape and not len(problem.shape):
            raise ValueError(
                f"{type(self).__name__} needs the shape parameter of the {family.name} family to be known: give "
                f"{type(family).__name__}({family.shape_name}=…); Exact() estimates it"
            )

    def __repr__(self):
        defaults = _defaults(type(self))
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, value in defaults
            if _differs(getattr(self, name), value)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


@lru_cache(maxsize=64)
def _defaults(cls) -> tuple:
    # Every fit prints its plan; reading the signature each time would cost more than a small fit's round.
    parameters = inspect.signature(cls.__init__).parameters.values()
    return tuple((p.name, p.default) for p in parameters if p.name != "self")


def _differs(value, default) -> bool:
    try:
        return bool(value != default)
    except ValueError:  # arrays
        return True
