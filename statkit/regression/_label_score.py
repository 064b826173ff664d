"""The score of classifiers, whose labels may be those that a formula names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.base import ClassifierMixin

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Column, Data

__all__ = ["LabelScore"]


class LabelScore(ClassifierMixin):
    """scikit-learn's mixin, with ``y`` from the data where it is not given."""

    def score(self, X: Data, y: ArrayLike | None = None, sample_weight: Column = None) -> float:
        """Share of rows whose class is predicted. A formula's response is read from ``X``.

        Returns
        -------
        score : float
        """
        if y is None:
            from statkit.regression._tabular import labels_of

            y = labels_of(self, X)
        return super().score(X, y, sample_weight)
