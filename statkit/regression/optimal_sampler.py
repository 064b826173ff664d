"""Selection by the scores of a pilot fit: a fit whose draw is all that is wanted.

It is a name of ``statkit.sampling``; it lives here because it fits models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.utils import check_random_state

from statkit.plans import Subsample
from statkit.regression.generalized_linear import GLMClassifier, GLMRegressor
from statkit.sampling.selector import Selector

if TYPE_CHECKING:
    from statkit._typing import Seed


__all__ = ["OptimalSampler"]


class OptimalSampler(Selector):
    """Rows that a weighted fit of a generalized linear model wants, by scores from a pilot fit.

    Parameters
    ----------
    size : int, default=1000
        Rows to draw.
    family : str, default="binomial"
        Classes are coded in sorted order.
    criterion : str, default="optLs"
        See :func:`subsampling_scores`.
    mixture : float, default=0.1
        Share of equal probabilities.
    pilot_size : int or None, default=None
        Rows of the pilot; None is ``max(20 p, size / 5)``.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    indices_ : ndarray of int, ascending
        Rows that were drawn.
    weights_ : ndarray of shape (size,)
        Inverses of the inclusion probabilities: any weighted method that takes ``X[indices_]`` needs them.
    n_features_in_ : int

    Raises
    ------
    ValueError
        For an unknown family or criterion, a response outside the family's support, or missing values.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.sampling import OptimalSampler
    >>> X = np.random.default_rng(0).standard_normal((5000, 2))
    >>> y = X[:, 0] > np.random.default_rng(1).standard_normal(5000)
    >>> sampler = OptimalSampler(100, random_state=0).fit(X, y)
    >>> len(sampler.indices_), bool(sampler.weights_.min() >= 1)
    (100, True)

    References
    ----------
    H. Wang, R. Zhu and P. Ma (2018), Optimal Subsampling for Large Sample Logistic Regression.
    """

    _needs_y = True

    def __init__(
        self,
        size: int = 1000,
        *,
        family: str = "binomial",
        criterion: str = "optLs",
        mixture: float = 0.1,
        pilot_size: int | None = None,
        random_state: Seed = None,
    ) -> None:
        self.size = size
        self.family = family
        self.criterion = criterion
        self.mixture = mixture
        self.pilot_size = pilot_size
        self.random_state = random_state

    def _select(self, X, y, size):
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        plan = Subsample(
            size,
            pilot_size=self.pilot_size,
            criterion=self.criterion,
            mixture=self.mixture,
            refine=None,
            combine="none",
        )
        classes = self.family in ("binomial", "softmax")
        model = GLMClassifier(plan=plan, random_state=seed) if classes else GLMRegressor(
            self.family, plan=plan, random_state=seed
        )  # fmt: skip
        estimate = model.fit(X, y).estimate_
        return estimate.sample_indices, estimate.sample_weights
