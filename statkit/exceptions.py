"""Warnings and errors that statkit raises beside those of the standard library and scikit-learn.

Each says one thing about the answer that its reader should know before trusting it.
"""

__all__ = [
    "AliasedColumnsWarning",
    "BiasWarning",
    "DriftWarning",
    "HeterogeneityWarning",
    "SeparationWarning",
]


class SeparationWarning(UserWarning):
    """The response is predicted perfectly along some columns: their maximum likelihood estimate does not exist."""


class AliasedColumnsWarning(UserWarning):
    """Some columns are linear combinations of others: their coefficients are not identified and are NaN."""


class BiasWarning(UserWarning):
    """The estimate is biased by an amount that matters beside its standard error."""


class HeterogeneityWarning(UserWarning):
    """The partitions do not seem to share one parameter."""


class DriftWarning(UserWarning):
    """A new batch does not seem to follow the model fitted to the earlier ones."""
