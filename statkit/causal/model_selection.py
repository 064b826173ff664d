"""`MissDAGCV`: the penalty of `MissDAG` by cross-validation or by the penalised likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context, clone
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from statkit._unchanged import unchanged_on_error
from statkit.causal.missdag import MissDAG

_PENALTIES = (0.5, 1.0, 2.0, 4.0, 8.0)


class MissDAGCV(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """`MissDAG` with the penalty chosen by the likelihood of held-out rows, or by an information criterion.

    Parameters
    ----------
    estimator : MissDAG, default=None
        What is fitted; ``MissDAG()`` if None.
    penalties : sequence of float, default=None
        Values of ``penalty_discount``, or of ``lambda1`` for the learners that shrink (notears, golem, dagma,
        ica); None is (0.5, 1, 2, 4, 8), times 0.02 for ``lambda1``.
    criterion : {"cv", "bic"}, default="cv"
        ``cv``: mean log density of the observed entries of held-out rows. ``bic``: that of all rows less
        ½ log n an edge, without refits on folds; it finds sparser graphs.
    one_standard_error : bool, default=True
        With "cv": take the largest penalty within one standard error of the best, as held-out likelihood
        alone keeps more edges than there are.
    cv : int, splitter or iterable, default=5
    n_jobs : int, default=None
        Threads.

    Attributes
    ----------
    best_penalty_ : float
    cv_results_ : DataFrame
        penalty, mean_score, std_error (NaN with "bic"), n_edges (mean over folds).
    estimator_ : MissDAG
        Fitted to all rows with the best penalty; its attributes can be read from here too.

    Examples
    --------
    >>> from statkit.causal import MissDAGCV, ampute, simulate_dag, simulate_sem
    >>> X = simulate_sem(simulate_dag(5, degree=2, random_state=0), 300, random_state=1)
    >>> X = ampute(X, 0.1, random_state=2)
    >>> MissDAGCV().fit(X).best_penalty_ > 0
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit", "score"]), None],
        "penalties": ["array-like", None],
        "criterion": [StrOptions({"cv", "bic"})],
        "one_standard_error": ["boolean"],
        "cv": ["cv_object"],
        "n_jobs": [None, int],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        penalties: Sequence[float] | None = None,
        criterion: Literal["cv", "bic"] = "cv",
        one_standard_error: bool = True,
        cv: Any = 5,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.penalties = penalties
        self.criterion = criterion
        self.one_standard_error = one_standard_error
        self.cv = cv
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Choose the penalty and fit.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
            NaN where missing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        MissDAGCV
        """
        with unchanged_on_error(self):
            checked = validate_data(self, X, ensure_all_finite="allow-nan", dtype=float, ensure_min_samples=2)
            X = X if hasattr(X, "columns") else checked
            weight = None if sample_weight is None else _check_sample_weight(sample_weight, checked)
            base = MissDAG() if self.estimator is None else self.estimator
            shrinks = base.learner in ("notears", "golem", "dagma", "ica")
            name = "lambda1" if shrinks else "penalty_discount"
            if self.penalties is None:
                penalties = np.array(_PENALTIES) * (0.02 if shrinks else 1.0)
            else:
                penalties = np.sort(np.asarray(self.penalties, dtype=float))
            if penalties.ndim != 1 or not len(penalties) or not (penalties >= 0).all():
                raise ValueError("penalties must be a list of numbers that are not negative")
            if self.criterion == "cv":
                folds = list(check_cv(self.cv).split(checked))
                jobs = [(penalty, fold) for penalty in penalties for fold in folds]
                done = Parallel(n_jobs=self.n_jobs, prefer="threads")(
                    delayed(_held_out)(clone(base).set_params(**{name: penalty}), X, weight, fold)
                    for penalty, fold in jobs
                )
                scores, edges = np.array(done).reshape(len(penalties), len(folds), 2).transpose(2, 0, 1)
                mean, error = scores.mean(axis=1), scores.std(axis=1, ddof=1) / np.sqrt(len(folds))
                best = int(mean.argmax())
                if self.one_standard_error:
                    # The difference to the best is compared with its own error: folds are the same.
                    gap = scores[best] - scores
                    near = gap.mean(axis=1) <= gap.std(axis=1, ddof=1) / np.sqrt(len(folds)) + 1e-12
                    best = int(np.flatnonzero(near).max())
                edges = edges.mean(axis=1)
            else:
                fits = [
                    clone(base).set_params(**{name: penalty}).fit(X, sample_weight=weight)
                    for penalty in penalties
                ]
                rows = (~np.isnan(checked)).any(axis=1)
                n = rows.sum() if weight is None else weight[rows].sum()
                edges = np.array([fit.adjacency_.sum() for fit in fits])
                mean = np.array([fit.loglik_ for fit in fits]) - 0.5 * np.log(n) * edges
                error = np.full(len(penalties), np.nan)
                best = int(mean.argmax())
            estimator = clone(base).set_params(**{name: float(penalties[best])}).fit(X, sample_weight=weight)
            self.estimator_ = estimator
            self.best_penalty_ = float(penalties[best])
            self.cv_results_ = pd.DataFrame(
                {"penalty": penalties, "mean_score": mean, "std_error": error, "n_edges": edges}
            )
            return self

    def transform(self, X: Any) -> Any:
        """Fill the holes: see `MissDAG.transform`."""
        check_is_fitted(self)
        return self.estimator_.transform(X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean log density of the observed entries of rows."""
        check_is_fitted(self)
        return self.estimator_.score(X, sample_weight=sample_weight)

    def __getattr__(self, name):
        # What the fitted graph offers (weights_, edges_, ida, plot, …) is offered here.
        fitted = vars(self).get("estimator_")
        if fitted is None or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(fitted, name)

    def __sklearn_is_fitted__(self) -> bool:
        return "estimator_" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags


def _held_out(estimator, X, weight, fold) -> tuple[float, int]:
    train, test = fold
    estimator.fit(_safe_indexing(X, train), sample_weight=None if weight is None else weight[train])
    score = estimator.score(_safe_indexing(X, test), sample_weight=None if weight is None else weight[test])
    return score, int(estimator.adjacency_.sum())
