"""Labels of several annotators, as a matrix or in long form, to votes."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.exceptions import DataConversionWarning

from statkit.naive_bayes._labels import drop_minus_one, split_missing, unique_labels
from statkit.naive_bayes._votes import Votes


class Annotations(NamedTuple):
    """Votes with the names of their classes and annotators."""

    votes: Votes
    classes: np.ndarray
    annotators: np.ndarray


def encode_annotations(Y, y_trusted=None, classes=None) -> Annotations:
    """Votes of a matrix (n_documents, n_annotators); a vector is one annotator."""
    if Y is None:
        raise ValueError("fitting requires y to be passed, but the target y is None")
    names = np.asarray(Y.columns) if isinstance(Y, pd.DataFrame) else None
    matrix = np.asarray(Y)
    if matrix.dtype.kind in "US" and not isinstance(Y, np.ndarray):
        matrix = np.asarray(Y, dtype=object)  # None would have become text
    column = matrix.ndim == 2 and matrix.shape[1] == 1
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2:
        raise ValueError(f"labels have shape {matrix.shape}: give a matrix (n_documents, n_annotators)")
    n, M = matrix.shape
    if column:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected for one annotator",
            DataConversionWarning,
            stacklevel=3,
        )
    parts = [split_missing(matrix.ravel(), "y")]
    if y_trusted is not None:
        parts.append(split_missing(y_trusted, "y_trusted"))
    parts = drop_minus_one(parts, classes)
    values, known = parts[0]
    if classes is None:
        classes = unique_labels(*(values for values, _ in parts))
    document, source = np.divmod(np.flatnonzero(known), M)
    votes = Votes.of_triples(document, source, codes_of(values, classes), n, M, len(classes))
    return Annotations(votes, classes, np.arange(M) if names is None else names)


def codes_of(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Codes of labels, all of which must be classes."""
    at = np.minimum(np.searchsorted(classes, values), len(classes) - 1)
    unknown = classes[at] != values
    if unknown.any():
        raise ValueError(
            f"label {values[unknown][0].item()!r} is not one of the classes {classes.tolist()[:20]}"
        )
    return at
