"""Labels as votes: who gave which label to which document; one form for one label, groups and annotators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statkit.naive_bayes import _kernels


@dataclass(frozen=True)
class Votes:
    """Votes in the order of the documents.

    Parameters
    ----------
    pointer : int64 ndarray of shape (n_documents + 1,)
        The votes on document ``i`` are ``pointer[i]:pointer[i + 1]``.
    source : int32 ndarray of shape (n_votes,)
        Group or annotator: which transition matrix made the label.
    label : int32 ndarray of shape (n_votes,)
    n_sources, n_classes : int
    """

    pointer: np.ndarray
    source: np.ndarray
    label: np.ndarray
    n_sources: int
    n_classes: int

    @classmethod
    def of_labels(cls, codes: np.ndarray, n_classes: int, group: np.ndarray | None = None) -> Votes:
        """One label a document, -1 where there is none, made by the transition of its group."""
        known = codes >= 0
        group = np.zeros(len(codes), np.int32) if group is None else group
        return cls(
            np.concatenate([[0], np.cumsum(known)]).astype(np.int64),
            group[known].astype(np.int32),
            codes[known].astype(np.int32),
            int(group.max(initial=0)) + 1,
            n_classes,
        )

    @classmethod
    def of_triples(cls, document, source, label, n_documents: int, n_sources: int, n_classes: int) -> Votes:
        """Votes given as codes of document, source and label, in any order."""
        order = np.argsort(document, kind="stable")
        pointer = np.concatenate([[0], np.cumsum(np.bincount(document, minlength=n_documents))])
        return cls(
            pointer.astype(np.int64),
            np.asarray(source)[order].astype(np.int32),
            np.asarray(label)[order].astype(np.int32),
            n_sources,
            n_classes,
        )

    @property
    def n_documents(self) -> int:
        return len(self.pointer) - 1

    @property
    def document(self) -> np.ndarray:
        """Document of every vote."""
        return np.repeat(np.arange(self.n_documents), np.diff(self.pointer))

    def take(self, rows: np.ndarray) -> Votes:
        """Votes on some documents only."""
        sizes = np.diff(self.pointer)[rows]
        pointer = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        at = np.repeat(self.pointer[rows] - pointer[:-1], sizes) + np.arange(pointer[-1])
        return Votes(pointer, self.source[at], self.label[at], self.n_sources, self.n_classes)

    def counts(self, mass: np.ndarray) -> np.ndarray:
        """Sum of ``mass`` (n, K) over votes, of shape (source, class, label)."""
        out = np.zeros((self.n_sources, self.n_classes, self.n_classes))
        _kernels.count_labels(mass, self.pointer, self.source, self.label, out)
        return out.transpose(0, 2, 1)

    def majority(self) -> np.ndarray:
        """Share of the votes for each class (n, K); a row without votes is zero."""
        out = np.zeros((self.n_documents, self.n_classes))
        np.add.at(out, (self.document, self.label), 1.0)
        total = out.sum(axis=1, keepdims=True)
        return np.divide(out, total, out=out, where=total > 0)


def by_label(transition: np.ndarray) -> np.ndarray:
    """Transitions (source, class, label) as the kernels read them: (source, label, class)."""
    return np.ascontiguousarray(transition.transpose(0, 2, 1))
