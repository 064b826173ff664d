"""Problems, and the tasks that plans share."""

from statkit.rounds.problem import Evaluation, Problem
from statkit.rounds.tasks import GroupSums, Kept, Want, evaluate, sample_rows

__all__ = ["Evaluation", "GroupSums", "Kept", "Problem", "Want", "evaluate", "sample_rows"]
