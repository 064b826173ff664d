"""The steps of one fit of Schrödinger PCA: moments, correlation length, mesh, modes, shrinkage."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.utils import Bunch, assert_all_finite, check_random_state

from statkit._magnitude import LARGEST, SMALLEST, check_magnitude
from statkit.decomposition.fields.correlation_length import fit_correlation, warn_unidentified
from statkit.decomposition.fields.kernel import Kernel
from statkit.decomposition.fields.lengths import Lengths, read_lengths
from statkit.decomposition.fields.modes import FieldModes, check_variance, solve_modes, warn_if_rough
from statkit.decomposition.fields.scores import ScoreModel
from statkit.decomposition.fields.shrinkage import (
    CellMeans,
    Samples,
    combined_modes,
    cross_validated_weight,
    matched,
    optimal_weight,
)
from statkit.decomposition.fields.variance import moments, smooth_variance
from statkit.decomposition.meshes.placement import place


class SchrodingerFit:
    """The steps of one fit; nothing of the estimator changes before the last has succeeded."""

    def __init__(self, options, X: np.ndarray, structure):
        self.options, self.X, self.whole = options, X, structure
        self.training_scores: np.ndarray | None = None

    def run(self) -> dict[str, Any]:
        options, X = self.options, self.X
        p = X.shape[1]
        mean, variance, count = moments(X)
        if not np.isfinite(mean[count > 0]).all():
            assert_all_finite(X, allow_nan=True, input_name="X")
        size = np.abs(mean[count > 0]) + np.sqrt(variance[count > 0])
        if not ((size == 0) | ((size >= SMALLEST) & (size <= LARGEST))).all():
            check_magnitude(X)
        self.sample_variance = variance
        if options.variance is not None:
            variance = (
                np.broadcast_to(np.asarray(options.variance, dtype=float), (p,)).copy()
                if np.ndim(options.variance) == 0
                else np.asarray(options.variance, dtype=float).ravel()
            )
            if variance.shape != (p,):
                raise ValueError(f"variance has {len(variance)} values, but X has {p} columns")
            check_variance(variance)
        self.kept = (count > 0) & np.isfinite(variance)
        if not self.kept.any():
            raise ValueError("every column of X is all NaN")
        self.structure = self.whole.kept(self.kept)
        self.data = X if self.kept.all() else X[:, self.kept]
        self.complete = bool((count[self.kept] == len(X)).all())
        self.mean, self.variance = mean[self.kept], variance[self.kept]
        if isinstance(options.n_components, numbers.Integral) and options.n_components > self.kept.sum():
            raise ValueError(
                f"n_components={options.n_components} is more than the {self.kept.sum()} locations with data"
            )
        self._lengths()
        weights = options.weights
        if weights is not None and not isinstance(weights, str):
            weights = np.asarray(weights, dtype=float)
            weights = weights[self.kept] if weights.shape == (p,) else weights
        self.placement = place(
            self.structure, self.lengths, weights, mesh=options.mesh, resolution=options.resolution
        )
        self.node_variance, bandwidth = smooth_variance(
            self.placement,
            (1 - self.nugget) * self.variance,
            options.variance_smoothing,
            X=self.data,
            random_state=check_random_state(options.random_state).randint(2**31),
        )
        components, eigenvalues, modes, shrinkage = self._components()
        if options.shrinkage == 1:  # otherwise the samples correct the modes
            warn_if_rough(modes, options.operator, options.n_refine, options.solver, stacklevel=4)
        return self._fitted(components, eigenvalues, modes, shrinkage, bandwidth, mean)

    def _lengths(self) -> None:
        """Correlation length, nugget and kernel: given, or from the samples."""
        options = self.options
        given = options.correlation_length
        fitted = given is None or isinstance(given, str)
        self.kernel, self.nugget, self.se = options.kernel, options.nugget, np.nan
        self.correlation_table = None
        if options.kernel != "auto":
            Kernel.of(options.kernel)
        if fitted or options.kernel == "auto" or options.nugget == "fit":
            if len(self.X) < 2:
                raise ValueError("1 sample does not determine a correlation length: pass correlation_length")
            fit = fit_correlation(
                self.data,
                self.structure,
                kernel=options.kernel,
                nugget=options.nugget,
                form=given if isinstance(given, str) else "isotropic",
                random_state=check_random_state(options.random_state),
                known=(self.mean, self.sample_variance[self.kept]),
            )
            self.nugget, self.kernel = fit.nugget, fit.kernel
            self.correlation_table = fit.table
            if fitted:
                varies = np.any(self.variance > 0)
                if not fit.identified and varies and options.shrinkage != 0:
                    warn_unidentified(stacklevel=5)
                given, self.se = fit.length, fit.se
        dimension = max(self.structure.dimension, 1)
        if fitted:
            self.lengths = self.structure.mirrored(read_lengths(given, dimension, int(self.kept.sum())))
        else:
            self.lengths = self.structure.mirrored(read_lengths(given, dimension, len(self.kept))).at(
                self.kept
            )
        self.kernel_object = Kernel.of(self.kernel)

    def _target(self, node_variance, k: int, loose: int = 0) -> FieldModes:
        options = self.options
        return solve_modes(
            self.placement,
            node_variance,
            self.lengths,
            self.kernel_object,
            k,
            operator=options.operator,
            boundary=options.boundary,
            n_refine=options.n_refine,
            solver=options.solver,
            loose=loose,
        )

    def _components(self):
        """Modes for the number or the share that was asked for."""
        asked, p = self.options.n_components, int(self.kept.sum())
        if not isinstance(asked, numbers.Real) or isinstance(asked, numbers.Integral):
            return self._decompose(min(10, p) if asked is None else int(asked))
        total = float(np.sum(self.placement.weights * self.variance))
        k = min(10, p)
        while True:
            components, eigenvalues, modes, shrinkage = self._decompose(k)
            share = np.cumsum(eigenvalues) / total if total > 0 else np.ones(len(eigenvalues))
            if share[-1] >= asked or k == p or len(eigenvalues) < k:
                k = min(int(np.searchsorted(share, asked)) + 1, len(eigenvalues))
                return components[:k], eigenvalues[:k], modes, shrinkage
            k = min(2 * k, p)

    def _decompose(self, k: int):
        options, p = self.options, int(self.kept.sum())
        shrinkage = options.shrinkage
        if len(self.X) < 3 and isinstance(shrinkage, str):
            shrinkage = 1.0
        if shrinkage == 1 or not np.any(self.variance > 0):
            modes = self._target(self.node_variance, k)
            self.training_scores = None
            return modes.components, modes.eigenvalues, modes, 1.0
        q = min(max(4 * k, 60), p)
        modes = self._target(self.node_variance, q, loose=q - k)  # the rest only fills the covariance
        weights = self.placement.weights
        root = np.sqrt(weights)
        vectors = (modes.components * root).T
        data = self._completed(modes)
        samples = Samples(data, self.mean, weights)
        rows = samples
        if shrinkage != 0:
            cells = self.placement.cells()
            if cells is not None:
                rows = CellMeans(samples, cells, len(self.placement.mesh.mass))
        gram, product = rows.gram(), rows.product(vectors)
        overlap = vectors.T @ vectors
        scale = matched(modes.eigenvalues, np.trace(gram) / (len(gram) - 1))
        if shrinkage == "auto":
            shrinkage = optimal_weight(gram, product, overlap, scale)
        elif shrinkage == "cv":
            shrinkage = cross_validated_weight(
                gram,
                lambda train: self._fold(train, samples, rows, len(scale)),
                k,
                check_random_state(options.random_state).randint(2**31),
            )
        value, combined, scores = combined_modes(
            samples, gram, product, overlap, vectors, scale, float(shrinkage), k
        )
        components = np.ascontiguousarray(combined.T) / root
        top = components[np.arange(len(components)), np.argmax(np.abs(components), axis=1)]
        sign = np.where(top < 0, -1.0, 1.0)
        self.training_scores = scores * sign if scores is not None and data is self.data else None
        return components * sign[:, None], value, modes, float(shrinkage)

    def _fold(self, train, samples: Samples, rows: Samples | CellMeans, q: int):
        """Target of a training fold: its own variance, the same correlation length."""
        _, variance, _ = moments(samples.X, train)
        nodes, _ = smooth_variance(self.placement, (1 - self.nugget) * variance, None)
        modes = self._target(nodes, q, loose=q)
        vectors = (modes.components * samples.root).T
        return rows.product(vectors), vectors.T @ vectors, modes.eigenvalues

    def _completed(self, modes: FieldModes) -> np.ndarray:
        """Samples whose holes are filled with the prediction of the operator's modes."""
        data = self.data
        if self.complete:
            return data
        holes = np.isnan(data)
        rows = np.flatnonzero(holes.any(axis=1))
        model = self._score_model(modes.components, modes.eigenvalues)
        centred = data[rows] - self.mean
        filled = model.score(centred, "blup") @ modes.components + self.mean
        out = data.copy()
        out[rows] = np.where(holes[rows], filled, data[rows])
        return out

    def _score_model(self, components, eigenvalues) -> ScoreModel:
        v = self.variance
        explained = np.sum(eigenvalues[:, None] * components**2, axis=0)
        noise = self.nugget * v + np.maximum((1 - self.nugget) * v - explained, 0)
        noise = np.maximum(noise, 1e-6 * v)
        return ScoreModel(components, eigenvalues, self.placement.weights, noise, float(v.sum()) or 1.0)

    def _known_scores(self, method: str, k: int) -> np.ndarray | None:
        """Scores of the training samples where shrinkage has projected them already."""
        if self.training_scores is None or method != "projection":
            return None
        return self.training_scores[:, :k]

    def _fitted(self, components, eigenvalues, modes, shrinkage, bandwidth, mean) -> dict[str, Any]:
        options, kept = self.options, self.kept
        p = len(kept)
        weights = self.placement.weights
        model = self._score_model(components, eigenvalues)
        method = options.scores
        if method == "auto":
            method = "projection" if model.resolved else "blup"
        if shrinkage == 1.0:
            combination, remainder = np.eye(len(components), len(modes.components)), None
        else:
            weighted = modes.components * weights
            combination = components @ weighted.T @ np.linalg.pinv(weighted @ modes.components.T, rcond=1e-10)
            remainder = components - combination @ modes.components
        full = np.zeros((len(components), p))
        full[:, kept] = components
        variance, all_weights = np.zeros(p), np.ones(p)
        variance[kept], all_weights[kept] = self.variance, weights
        total = float(np.sum(weights * self.variance))
        lengths: Lengths = self.structure.mirrored(self.lengths)
        value = lengths.value
        if lengths.varying:
            everywhere = np.full((p, *np.shape(value)[1:]), np.nan)
            everywhere[kept] = value
            value = everywhere
        mean = np.where(kept, mean, np.nan)
        return {
            "components_": full,
            "explained_variance_": eigenvalues,
            "explained_variance_ratio_": eigenvalues / total if total > 0 else np.zeros_like(eigenvalues),
            "energies_": modes.energies,
            "mean_": mean,
            "variance_": variance,
            "weights_": all_weights,
            "correlation_length_": value,
            "correlation_length_se_": self.se,
            "correlation_table_": self.correlation_table,
            "nugget_": float(self.nugget),
            "kernel_": self.kernel,
            "shrinkage_": shrinkage,
            "variance_bandwidth_": bandwidth,
            "splitting_error_": modes.splitting_error,
            "mesh_": Bunch(
                nodes=self.placement.mesh.coordinates, mass=self.placement.mesh.mass, modes=modes.node_modes.T
            ),
            "training_scores": self._known_scores(method, len(components)),
            "_structure": self.structure,
            "_modes": modes,
            "_model": model,
            "_combination": combination,
            "_remainder": remainder,
            "_kept": kept,
            "_score_method": method,
        }
