"""What a plan is: which rounds with which summaries, and how the answers become an honest estimate."""

from __future__ import annotations

from sklearn.base import BaseEstimator

__all__ = ["Plan"]


class Plan(BaseEstimator):
    """Base of all plans: parameters only, with ``get_params`` and ``set_params`` so that searches reach them.

    A plan has one method, ``estimate(problem) -> Estimate``. It declares what it needs of a family by raising
    ``ValueError`` that names the missing piece.
    """

    def estimate(self, problem):
        raise NotImplementedError
