"""Standard errors of priors and transitions from the observed information, by Louis's identity.

The information of all parameters, words included, is never formed: conjugate gradients need its products with
vectors only, and each costs as much as one iteration of EM.

Source: T. A. Louis (1982), Finding the observed information matrix when using the EM algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from statkit.naive_bayes._corpus import Corpus
from statkit.naive_bayes._fit import Fit
from statkit.naive_bayes._transition import Transition

#: A cell of the transition below this is on the boundary: it has no Wald interval.
BOUNDARY = 1e-6


@dataclass(frozen=True)
class TransitionBasis:
    """Logits of one transition matrix: ``derivative`` (class, label, q) of log T, ``information`` (q, q).

    ``information`` is minus the second derivative of the expected log likelihood of the labels.
    """

    derivative: np.ndarray
    information: np.ndarray


def transition_basis(T: np.ndarray, C: np.ndarray, transition: Transition) -> TransitionBasis:
    """Free parameters of a transition matrix with expected counts ``C`` (pseudo-counts included)."""
    K = len(T)
    n = C.sum(axis=1)
    if transition.known is not None or K == 1:
        return TransitionBasis(np.zeros((K, K, 0)), np.zeros((0, 0)))
    if transition.structure == "full":
        cells = [(k, m) for k in range(K) for m in range(K) if m != k and T[k, m] > BOUNDARY]
        D = np.zeros((K, K, len(cells)))
        H = np.zeros((len(cells), len(cells)))
        for a, (k, m) in enumerate(cells):
            D[k, :, a] = -T[k, m]
            D[k, m, a] += 1.0
            for b, (j, other) in enumerate(cells):
                if j == k:
                    H[a, b] = n[k] * (T[k, m] * (m == other) - T[k, m] * T[k, other])
        return TransitionBasis(D, H)
    if transition.structure in ("symmetric", "class"):
        e = 1.0 - np.diag(T)
        off = ~np.eye(K, dtype=bool)
        D = np.zeros((K, K, K))
        for k in range(K):
            D[k, off[k], k] = 1.0 - e[k]
            D[k, k, k] = -e[k]
        information = n * e * (1.0 - e)
        inside = np.flatnonzero((e > BOUNDARY) & (e < 1.0 - BOUNDARY))
        if transition.structure == "symmetric" and len(inside):
            return TransitionBasis(D.sum(axis=2, keepdims=True), information.sum(keepdims=True)[:, None])
        return TransitionBasis(D[:, :, inside], np.diag(information[inside]))
    return _relabelling_basis(T, C)


def _relabelling_basis(T: np.ndarray, C: np.ndarray) -> TransitionBasis:
    """Logits of the rate rho and of the distribution q in (1 - rho) I + rho q; q at zero has none."""
    K = len(T)
    away = (T.sum(axis=0) - np.diag(T)) / (K - 1)  # rho q
    rho = away.sum()
    drawn = np.flatnonzero(away > BOUNDARY)
    if len(drawn) == 0:
        return TransitionBasis(np.zeros((K, K, 0)), np.zeros((0, 0)))
    q = away / rho
    free = drawn[:-1]  # the last is the reference
    pull = q[:, None] * (np.eye(K)[:, free] - q[free])  # derivative of q by its logits
    slope = rho * (1.0 - rho)
    first = np.empty((K, K, 1 + len(free)))
    first[:, :, 0] = slope * (q - np.eye(K))
    first[:, :, 1:] = rho * pull
    second = np.empty((K, K, 1 + len(free), 1 + len(free)))
    second[:, :, 0, 0] = slope * (1.0 - 2.0 * rho) * (q - np.eye(K))
    second[:, :, 0, 1:] = second[:, :, 1:, 0] = slope * pull
    centred = np.eye(K)[:, free] - q[free]
    bend = q[:, None, None] * (
        centred[:, :, None] * centred[:, None, :] - (np.diag(q[free]) - np.outer(q[free], q[free]))
    )
    second[:, :, 1:, 1:] = rho * bend
    safe = np.where(T > 0, T, 1.0)
    D = first / safe[:, :, None]
    H = np.einsum("kl,klq,klr->qr", C, D, D) - np.einsum("kl,klqr->qr", C / safe, second)
    return TransitionBasis(D, H)


class Information:
    """Observed information at a maximum of the plain fit.

    The parameters are the logits of the class prior (reference: the last class; none if the prior is fixed),
    the logits of every transition (`transition_basis`), and the logits (Bernoulli) or logs (multinomial) of
    the word probabilities, (p, K), which come last.
    """

    def __init__(self, corpus: Corpus, fit: Fit, transition: Transition):
        self.corpus, self.fit = corpus, fit
        self.K, self.p = corpus.n_classes, corpus.p
        self.bernoulli = not corpus.words.by_length
        self.prior = np.exp(fit.log_prior)
        self.n_prior = self.K - 1 if corpus.class_prior is None else 0
        C = corpus.label_counts(fit.R) + transition.pseudo
        self.bases = [transition_basis(T, c, transition) for T, c in zip(fit.T, C, strict=True)]
        sizes = [b.information.shape[0] for b in self.bases]
        self.at = np.concatenate([[0], np.cumsum(sizes)]) + self.n_prior
        self.n_labels = int(sum(sizes))
        self.size = self.n_prior + self.n_labels
        self.theta = np.exp(fit.words.log_theta)
        alpha = corpus.words.alpha
        if self.bernoulli:
            self.diagonal = (fit.words.totals + 2.0 * alpha) * self.theta * (1.0 - self.theta)
        else:
            self.mass = fit.words.counts.sum(axis=0) + alpha * self.p
            self.diagonal = self.mass * self.theta
        n = fit.words.totals
        pi = self.prior[: self.n_prior]
        self.prior_information = n.sum() * (np.diag(pi) - np.outer(pi, pi))
        votes = corpus.votes
        self.votes = votes
        self.document = votes.document

    def product(self, v: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Information times a vector: of prior and transitions (size,), and of words (p, K)."""
        corpus, R = self.corpus, self.fit.R
        head, tail = self._complete(v, words)
        a = self._scores(v, words)
        c = R * (a - (R * a).sum(axis=1, keepdims=True)) * corpus.weight[:, None]
        sums = c.sum(axis=0)
        head[: self.n_prior] -= sums[: self.n_prior]
        cells = self.votes.counts(c)
        for m, basis in enumerate(self.bases):
            head[self.at[m] : self.at[m + 1]] -= np.einsum("klq,kl->q", basis.derivative, cells[m])
        if self.bernoulli:
            tail -= np.asarray(corpus.X.T @ c) - sums * self.theta
        else:
            tail -= np.asarray(corpus.X.T @ c) - (corpus.length @ c) * self.theta
        return head, tail

    def covariance(self, tol: float = 1e-8, max_iter: int = 500) -> np.ndarray:
        """Covariance of the parameters of prior and transitions (size, size); NaN where there is none."""
        out = np.empty((self.size, self.size))
        for j in range(self.size):
            e = np.zeros(self.size)
            e[j] = 1.0
            solved = self._solve(e, tol, max_iter)
            if solved is None:
                return np.full((self.size, self.size), np.nan)
            out[j] = solved
        return (out + out.T) / 2.0

    def _complete(self, v, words):
        head = np.empty(self.size)
        head[: self.n_prior] = self.prior_information @ v[: self.n_prior]
        for m, basis in enumerate(self.bases):
            head[self.at[m] : self.at[m + 1]] = basis.information @ v[self.at[m] : self.at[m + 1]]
        tail = self.diagonal * words
        if not self.bernoulli:
            tail -= self.mass * self.theta * (self.theta * words).sum(axis=0)
        return head, tail

    def _scores(self, v, words):
        """Complete-data score of every document in every class, times the vector (n, K)."""
        corpus = self.corpus
        a = np.asarray(corpus.X @ words)
        center = (self.theta * words).sum(axis=0)
        a -= center if self.bernoulli else corpus.length[:, None] * center
        u = np.zeros(self.K)
        u[: self.n_prior] = v[: self.n_prior]
        a += u - self.prior @ u
        if self.n_labels:
            D = np.stack(
                [b.derivative @ v[s:e] for b, s, e in zip(self.bases, self.at, self.at[1:], strict=False)]
            )
            votes = D[self.votes.source, :, self.votes.label]
            if len(self.document) == len(a):
                a += votes
            else:
                np.add.at(a, self.document, votes)
        return a

    def _solve(self, e: np.ndarray, tol: float, max_iter: int) -> np.ndarray | None:
        """Preconditioned conjugate gradients; None where the information is not positive definite."""
        x, xw = np.zeros_like(e), np.zeros((self.p, self.K))
        r, rw = e.copy(), np.zeros_like(xw)
        z, zw = self._precondition(r, rw)
        d, dw = z.copy(), zw.copy()
        rz = first = r @ z + np.vdot(rw, zw)
        for _ in range(max_iter):
            q, qw = self.product(d, dw)
            curvature = d @ q + np.vdot(dw, qw)
            if not curvature > 0:
                return None
            step = rz / curvature
            x += step * d
            xw += step * dw
            r -= step * q
            rw -= step * qw
            z, zw = self._precondition(r, rw)
            new = r @ z + np.vdot(rw, zw)
            if new <= tol**2 * first:
                return x
            d, dw = z + new / rz * d, zw + new / rz * dw
            rz = new
        return None

    def _precondition(self, r, rw):
        z = np.empty_like(r)
        if self.n_prior:
            z[: self.n_prior] = np.linalg.solve(self.prior_information, r[: self.n_prior])
        for m, basis in enumerate(self.bases):
            part = slice(self.at[m], self.at[m + 1])
            z[part] = np.linalg.solve(basis.information, r[part]) if basis.information.size else 0.0
        return z, rw / np.maximum(self.diagonal, 1e-300)


@dataclass(frozen=True)
class RateErrors:
    """Standard errors of the transitions (source, class, label), the pooled one, and the noise rate."""

    transition: np.ndarray
    pooled: np.ndarray
    noise_rate: float


def louis_errors(corpus: Corpus, fit: Fit, transition: Transition) -> RateErrors:
    """Delta method from the logits to the transitions, their pooled matrix and the noise rate.

    The shares of the sources in the pooled matrix are taken as known.
    """
    info = Information(corpus, fit, transition)
    V = info.covariance()
    K, prior = info.K, info.prior
    share = source_shares(corpus, fit.R)
    se = np.zeros_like(fit.T)
    pooled = np.zeros((K, K, info.size))
    for m, basis in enumerate(info.bases):
        part = slice(info.at[m], info.at[m + 1])
        J = fit.T[m][:, :, None] * basis.derivative
        se[m] = _standard_errors(J, V[part, part])
        pooled[:, :, part] = share[m][:, None, None] * J
        if transition.known is None:
            se[m][fit.T[m] <= BOUNDARY] = np.nan
    rates = 1.0 - np.einsum("mk,mkk->k", share, fit.T)
    gradient = -(prior @ pooled[np.arange(K), np.arange(K)])
    gradient[: info.n_prior] = (prior * (rates - prior @ rates))[: info.n_prior]
    together = _standard_errors(pooled, V)
    if transition.known is None:
        together[np.einsum("mk,mkl->kl", share, fit.T) <= BOUNDARY] = np.nan
    return RateErrors(se, together, float(np.sqrt(max(gradient @ V @ gradient, 0.0))))


def source_shares(corpus: Corpus, R: np.ndarray) -> np.ndarray:
    """Share of each source among the labels of each class (source, class)."""
    mass = corpus.label_counts(R).sum(axis=2)
    total = mass.sum(axis=0)
    return np.where(total > 0, mass / np.where(total > 0, total, 1.0), 1.0 / len(mass))


def pooled_transition(corpus: Corpus, R: np.ndarray, T: np.ndarray) -> np.ndarray:
    """One transition for all sources: rows averaged with the number of labels of the class as weights."""
    return T[0] if len(T) == 1 else np.einsum("mk,mkl->kl", source_shares(corpus, R), T)


def _standard_errors(J: np.ndarray, V: np.ndarray) -> np.ndarray:
    # a rounding error may leave a tiny negative variance
    return np.sqrt(np.maximum(np.einsum("klq,qr,klr->kl", J, V, J), 0.0))
