"""Scores of samples on modes: projection, least squares, or best linear prediction, with missing values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve


@dataclass(frozen=True)
class ScoreModel:
    """What a row needs to be scored: modes (k, p), their variances, weights and noise of the locations.

    ``noise`` is the variance at each location that the modes leave out: the nugget and the truncated modes;
    ``total`` the sum of the variances.
    """

    components: np.ndarray
    eigenvalues: np.ndarray
    weights: np.ndarray
    noise: np.ndarray
    total: float = 1.0

    @property
    def resolved(self) -> bool:
        """Whether the modes are orthonormal at the locations, so that projection recovers scores."""
        inner = (self.components * self.weights) @ self.components.T
        return bool(np.max(np.abs(inner - np.eye(len(inner)))) < 0.05)

    def score(self, centred: np.ndarray, method: str) -> np.ndarray:
        """Scores (n, k) of centred rows; NaN values take no part, a row of NaN scores 0."""
        missing = np.isnan(centred)
        holes = missing.any(axis=1)
        out = np.zeros((len(centred), len(self.components)))
        if not holes.all():
            full = centred if not holes.any() else centred[~holes]
            out[~holes] = full @ self.gain(method).astype(full.dtype, copy=False)
        if holes.any():
            # Projection of a row with holes would take them for the mean: predict instead.
            for rows, seen in _patterns(missing[holes], np.flatnonzero(holes)):
                if seen.any():
                    gain = self.gain("lstsq" if method == "lstsq" else "blup", seen)
                    out[rows] = centred[rows][:, seen] @ gain
        return out

    def gain(self, method: str, seen=slice(None)) -> np.ndarray:
        """Matrix (p, k) that turns a centred row into scores."""
        components, weights = self.components[:, seen], self.weights[seen]
        if method == "projection":
            return (components * weights).T
        if method == "lstsq":
            root = np.sqrt(weights)
            return root[:, None] * np.linalg.pinv((components * root), rcond=1e-10)
        factor, loading = self._posterior_factor(seen)
        return cho_solve(factor, loading).T * np.sqrt(self.eigenvalues)

    def _posterior_factor(self, seen=slice(None)):
        """Cholesky factor of 1 + Λ^½ Φ N⁻¹ Φᵀ Λ^½, and Λ^½ Φ N⁻¹."""
        components, noise = self.components[:, seen], self.noise[seen]
        # Noise far below the signal is no noise to double precision, and the factor would not exist.
        signal = (self.eigenvalues[:, None] * components**2).sum(axis=0)
        noise = np.where(noise > 0, np.maximum(noise, 1e-11 * signal.max(initial=0.0)), noise)
        precision = np.divide(1.0, noise, out=np.zeros_like(noise), where=noise > 0)
        amplitude = np.sqrt(self.eigenvalues)[:, None] * components
        loading = amplitude * precision
        return cho_factor(np.eye(len(components)) + loading @ amplitude.T), loading

    def covariance(self, seen=slice(None)) -> np.ndarray:
        """Posterior covariance (k, k) of the scores given the observed locations."""
        factor, _ = self._posterior_factor(seen)
        root = np.sqrt(self.eigenvalues)
        return root[:, None] * cho_solve(factor, np.eye(len(root))) * root

    def deviations(self, missing: np.ndarray):
        """Yield (rows, posterior covariance) for each pattern of missing values."""
        for rows, seen in _patterns(missing, np.arange(len(missing))):
            yield rows, self.covariance(seen) if seen.any() else np.diag(self.eigenvalues)


def _patterns(missing: np.ndarray, rows: np.ndarray):
    """Rows that miss the same values, together: one small solve each."""
    packed = np.packbits(missing, axis=1)
    _, first, number = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    number = number.ravel()
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(len(first) + 1))
    for k, at in enumerate(first):
        yield rows[order[bounds[k] : bounds[k + 1]]], ~missing[at]
