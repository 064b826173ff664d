"""Naive Bayes for partly wrong labels: the clean classifier, the wrong labels, the error rates."""

from typing import TYPE_CHECKING

from statkit._lazy import lazy_names

if TYPE_CHECKING:
    from statkit.naive_bayes.annotators import AnnotatorNB as AnnotatorNB
    from statkit.naive_bayes.dawid_skene import DawidSkene as DawidSkene
    from statkit.naive_bayes.label_noise import estimate_transition as estimate_transition
    from statkit.naive_bayes.label_noise import inject_label_noise as inject_label_noise
    from statkit.naive_bayes.label_noise import rank_label_issues as rank_label_issues
    from statkit.naive_bayes.leave_one_out import leave_one_out_log_prob as leave_one_out_log_prob
    from statkit.naive_bayes.mislabeled import MislabeledBernoulliNB as MislabeledBernoulliNB
    from statkit.naive_bayes.mislabeled import MislabeledComplementNB as MislabeledComplementNB
    from statkit.naive_bayes.mislabeled import MislabeledMultinomialNB as MislabeledMultinomialNB
    from statkit.naive_bayes.noise_corrected import NoiseCorrectedNB as NoiseCorrectedNB

__all__ = [
    "AnnotatorNB",
    "DawidSkene",
    "MislabeledBernoulliNB",
    "MislabeledComplementNB",
    "MislabeledMultinomialNB",
    "NoiseCorrectedNB",
    "estimate_transition",
    "inject_label_noise",
    "leave_one_out_log_prob",
    "rank_label_issues",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AnnotatorNB": "statkit.naive_bayes.annotators",
        "DawidSkene": "statkit.naive_bayes.dawid_skene",
        "MislabeledBernoulliNB": "statkit.naive_bayes.mislabeled",
        "MislabeledComplementNB": "statkit.naive_bayes.mislabeled",
        "MislabeledMultinomialNB": "statkit.naive_bayes.mislabeled",
        "NoiseCorrectedNB": "statkit.naive_bayes.noise_corrected",
        "estimate_transition": "statkit.naive_bayes.label_noise",
        "inject_label_noise": "statkit.naive_bayes.label_noise",
        "leave_one_out_log_prob": "statkit.naive_bayes.leave_one_out",
        "rank_label_issues": "statkit.naive_bayes.label_noise",
    },
)
