"""Functions of fits take the fitted model, or what its fit returned."""

from __future__ import annotations

from typing import Any, Protocol

from statkit.results.estimate import Estimate

__all__ = ["Fitted", "estimate_of"]


class Fitted(Protocol):
    """A fitted regression: what has an Estimate."""

    @property
    def estimate_(self) -> Estimate:
        """What the fit returned."""


def estimate_of(fit: Any) -> Estimate:
    """The Estimate of a fitted regression, or the one that was given.

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(fit, Estimate):
        return fit
    found = getattr(fit, "estimate_", None)
    if not isinstance(found, Estimate):
        kind = fit.__name__ if isinstance(fit, type) else type(fit).__name__
        hint = ": fit it first" if hasattr(fit, "fit") else ""
        raise TypeError(f"expected a fitted statkit regression or its estimate_, not {kind}{hint}")
    return found
