"""Problems, and the tasks that plans share."""

from statkit.rounds.problem import Evaluation, NoRowsLeft, Problem
from statkit.rounds.tasks import GroupSums, Kept, Want, evaluate, sample_rows

__all__ = ["Evaluation", "GroupSums", "Kept", "NoRowsLeft", "Problem", "Want", "evaluate", "sample_rows"]
