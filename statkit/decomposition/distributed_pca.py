"""Principal components of rows in many pieces: exact from one round of sums, or from one small message a machine."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from scipy import linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from statkit._magnitude import check_magnitude
from statkit._unchanged import unchanged_on_error
from statkit.engines import resolve_engine
from statkit.engines.engine import one_blas_thread
from statkit.sources import close_made

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


__all__ = ["DistributedPCA"]

#: Columns beyond which a covariance matrix is too large to be worth its round.
_MANY_COLUMNS = 5_000


class DistributedPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Principal components of rows in memory, in files or on machines, with scikit-learn's attributes.

    With ``method="exact"`` every partition sends its count, means and cross products once, and the answer is that of
    all rows. With ``method="one_shot"`` it sends its own leading components: their projectors are averaged, which
    needs no matrix of columns by columns, and a step of orthogonal iteration makes the average nearly exact.

    Parameters
    ----------
    n_components : int, float in (0, 1) or None, default=None
        Components to keep; a share of the variance to reach ("exact" only); None keeps all ("exact") or two.
    method : {"exact", "one_shot"}, default="exact"
    weights : {"signal", "n", "equal"}, default="signal"
        Of the averaged projectors: rows times each component's variance above the noise, rows, or one.
    n_steps : int, default=0
        Steps of orthogonal iteration after the average, a round each.
    n_partitions : int or None, default=None
        Machines to cut the rows into; None takes the source's partitions.
    partition_by : str, array of shape (n,) or None, default=None
        Rows that share a value make a machine.
    whiten : bool, default=False
        Scale the components to unit variance in ``transform``.
    engine : str or Engine, default="threads"
    n_jobs : int or None, default=None

    Attributes
    ----------
    components_ : ndarray of shape (k, p)
        Rows of unit length, the largest entry of each positive.
    explained_variance_, explained_variance_ratio_, singular_values_ : ndarray of shape (k,)
    explained_variance_bse_ : ndarray of shape (k,)
        Standard errors of the variances if rows are normal, λ √(2/(n − 1)).
    mean_ : ndarray of shape (p,)
    noise_variance_ : float
    n_components_, n_samples_, n_features_in_ : int
    n_rounds_ : int
    partition_distances_ : ndarray of shape (K,)
        Of each machine's components to the average: largest sine ("one_shot" only).
    predicted_bias_ : float
        Distance of the averaged components to those of all rows that is due to averaging, as half-split machines
        tell in the same round: sine of the largest angle ("one_shot"; 0 for "exact").

    Raises
    ------
    ValueError
        For missing or infinite values and columns that are not numbers; with column, row and file.

    Examples
    --------
    >>> import numpy as np
    >>> from statkit.decomposition import DistributedPCA
    >>> X = np.random.default_rng(0).standard_normal((1_000, 5)) * [5, 3, 1, 1, 1]
    >>> exact = DistributedPCA(2).fit(X)
    >>> near = DistributedPCA(2, method="one_shot", n_partitions=10, n_steps=1).fit(X)
    >>> bool(np.abs(exact.components_ - near.components_).max() < 0.01)
    True

    References
    ----------
    J. Fan, D. Wang, K. Wang and Z. Zhu (2019), Distributed estimation of principal eigenspaces. T. F. Chan, G. H.
    Golub and R. J. LeVeque (1983), Algorithms for computing the sample variance. T. W. Anderson (1963), Asymptotic
    theory for principal component analysis.
    """

    _parameter_constraints = {
        "n_components": [
            None,
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "method": [StrOptions({"exact", "one_shot"})],
        "weights": [StrOptions({"signal", "n", "equal"})],
        "n_steps": [Interval(Integral, 0, None, closed="left")],
        "n_partitions": [None, Interval(Integral, 1, None, closed="left")],
        "whiten": ["boolean"],
    }

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        method: Literal["exact", "one_shot"] = "exact",
        weights: Literal["signal", "n", "equal"] = "signal",
        n_steps: int = 0,
        n_partitions: int | None = None,
        partition_by: str | ArrayLike | None = None,
        whiten: bool = False,
        engine: Any = "threads",
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.method = method
        self.weights = weights
        self.n_steps = n_steps
        self.n_partitions = n_partitions
        self.partition_by = partition_by
        self.whiten = whiten
        self.engine = engine
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the components.

        Parameters
        ----------
        X : array, CSR matrix, frame, dataset, path, URL, glob or Source
            Rows; every column but ``partition_by`` must be a number.
        y : ignored

        Returns
        -------
        self : DistributedPCA
        """
        with unchanged_on_error(self):
            self._validate_params()
            if self.partition_by is not None and self.n_partitions is not None:
                raise ValueError("give n_partitions or partition_by, not both")
            source, columns = self._source(X)
            rows = reading = source
            try:
                if self.partition_by is not None:
                    rows = source.regroup(by=self.partition_by)
                elif self.n_partitions is not None:
                    rows = source.regroup(self.n_partitions)
                engine = resolve_engine(self.engine, self.n_jobs)
                reading = rows if engine.in_process else rows.portable()
                load = partial(load_values, reading, columns)
                with engine.open(load, reading.partitions()) as session, one_blas_thread():
                    found = self._exact(session) if self.method == "exact" else self._one_shot(session)
                    found["n_rounds_"] = session.n_rounds
            finally:
                close_made(X, source, rows, reading)
            for name in ("partition_distances_",):
                vars(self).pop(name, None)
            for name, value in found.items():
                setattr(self, name, value)
            return self

    def _source(self, X):
        """Source of the rows and the names of its columns; empty for a plain matrix."""
        from statkit.sources import Source, as_source

        if not isinstance(X, Source) and _in_memory(X):
            by = self.partition_by
            if isinstance(by, str) and hasattr(X, "columns"):
                source = as_source(X)
                return source, self._named([c for c in source.schema if c != by])
            X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, ensure_min_samples=2)
            check_magnitude(X)
            return as_source(X), ()
        source = X if isinstance(X, Source) else as_source(X)
        if not source.schema:
            self.n_features_in_ = source.n_features
            vars(self).pop("feature_names_in_", None)
            return source, ()
        return source, self._named([c for c in source.schema if c != self.partition_by])

    def _named(self, names):
        self.feature_names_in_ = np.asarray(names, dtype=object)
        self.n_features_in_ = len(names)
        return tuple(names)

    # -- the two ways ----------------------------------------------------------------------------------------

    def _exact(self, session):
        p = self.n_features_in_
        if p > 4 * _MANY_COLUMNS:
            raise ValueError(
                f"method='exact' needs a covariance matrix of {p:,} × {p:,}: use method='one_shot' with n_steps=1"
            )
        m = session.round(moments)["moments"]
        self._enough(m.n)
        values, vectors = linalg.eigh(m.products / (m.n - 1), driver="evd")
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        most = min(m.n, p)
        wanted = self.n_components
        if wanted is None:
            k = most
        elif isinstance(wanted, Integral):
            k = int(wanted)
            if k > most:
                raise ValueError(f"n_components={k} must be at most min(n_samples, n_features) = {most}")
        else:
            share = np.cumsum(values) / values.sum() if values.sum() > 0 else np.ones(p)
            k = min(int(np.searchsorted(share, wanted, side="right")) + 1, most)
        rest = values[k:most]
        found = self._found(vectors[:, :k], values[:k], m.n, m.mean, values.sum())
        found["noise_variance_"] = float(rest.mean()) if len(rest) else 0.0
        found["predicted_bias_"] = 0.0
        return found

    def _one_shot(self, session):
        p, wanted = self.n_features_in_, self.n_components
        if wanted is not None and not isinstance(wanted, Integral):
            raise ValueError(
                "a share of the variance needs method='exact': machines do not know each other's variances"
            )
        k = min(2, p) if wanted is None else int(wanted)
        if k > p:
            raise ValueError(f"n_components={k} must be at most n_features = {p}")
        out = session.round(local_components, k)
        machines = [m for m in out["machines"] if m["n"]]
        m = out["moments"]
        self._enough(m.n)
        small = [i for i, machine in enumerate(machines) if machine["n"] <= k]
        if small:
            raise ValueError(
                f"partition {small[0]} has {machines[small[0]]['n']} rows, which do not determine {k} components: use "
                "fewer partitions, or method='exact'"
            )
        V = self._average(machines, "components", k)
        distances = np.array([_distance(V, machine["components"]) for machine in machines])
        bias = np.nan
        if all(machine["halves"] is not None for machine in machines):
            # The bias of an average of machines of half the size is twice that of the whole ones.
            halves = [
                {**machine, "components": half, "n": machine["n"] / 2}
                for machine in machines
                for half in machine["halves"]
            ]
            bias = _distance(V, self._average(halves, "components", k))
        values = sum(machine["n"] * machine["variances"] for machine in machines) / m.n
        beside = self._beside(machines, V) if self.n_steps else None
        for _ in range(self.n_steps):
            S = session.round(products, m.mean, np.column_stack([V, beside]))["products"] / (m.n - 1)
            following, S = float(beside @ S[:, -1]), S[:, :-1]
            values, mixing = linalg.eigh(S.T @ S, V.T @ S)
            V = S @ mixing[:, ::-1]
            V /= np.linalg.norm(V, axis=0)
            values = values[::-1]
            # A step shrinks what is left by the first variance beside the components over the last of theirs.
            bias *= min(following / values[-1], 1.0) if values[-1] > 0 else 1.0
        total = float(m.products.sum() / (m.n - 1))
        found = self._found(V, values, m.n, m.mean, total)
        found["noise_variance_"] = max(total - float(values.sum()), 0.0) / (p - k) if p > k else 0.0
        found["partition_distances_"], found["predicted_bias_"] = distances, float(bias)
        return found

    def _average(self, machines, which, k):
        """Leading eigenvectors of the weighted mean of projectors, from their factors side by side."""
        blocks = []
        for m in machines:
            weight = np.ones(k)
            if self.weights != "equal":
                weight *= m["n"]
            if self.weights == "signal":
                weight *= np.maximum(m["variances"] - m["noise"], 1e-12 * max(m["variances"][0], 1e-300))
            blocks.append(m[which] * np.sqrt(weight))
        return linalg.svd(np.hstack(blocks), full_matrices=False)[0][:, :k]

    @staticmethod
    def _beside(machines, V):
        """The direction next to the averaged components: the leading one of the machines' next components."""
        stack = np.column_stack([m["beside"] * np.sqrt(m["n"]) for m in machines])
        stack = stack - V @ (V.T @ stack)
        return linalg.svd(stack, full_matrices=False)[0][:, 0]

    @staticmethod
    def _enough(n):
        if n < 2:
            raise ValueError(
                f"Found array with {n} sample(s) while a minimum of 2 is required by DistributedPCA."
            )

    @staticmethod
    def _found(vectors, values, n, mean, total):
        # The sign of a component is arbitrary: its largest entry is positive, as scikit-learn's.
        largest = np.abs(vectors).argmax(axis=0)
        signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
        return {
            "components_": np.ascontiguousarray((vectors * np.where(signs == 0, 1.0, signs)).T),
            "explained_variance_": values, "explained_variance_bse_": values * np.sqrt(2 / (n - 1)),
            "explained_variance_ratio_": values / total if total > 0 else np.zeros_like(values),
            "singular_values_": np.sqrt(values * (n - 1)), "mean_": mean, "n_samples_": int(n),
            "n_components_": len(values),
        }  # fmt: skip

    # -- use -------------------------------------------------------------------------------------------------

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def transform(self, X: Any) -> np.ndarray:
        """Scores of rows on the components.

        Parameters
        ----------
        X : as in ``fit``
            Files and sources are read a partition at a time.

        Returns
        -------
        scores : ndarray of shape (n, n_components_)
        """
        check_is_fitted(self)
        if _in_memory(X):
            X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
            return self._scores(X.toarray() if hasattr(X, "toarray") else X)
        from statkit.sources import Source, as_source

        source = X if isinstance(X, Source) else as_source(X)
        columns = tuple(getattr(self, "feature_names_in_", ()))
        try:
            parts = [self._scores(load_values(source, columns, p)) for p in source.partitions()]
        finally:
            close_made(X, source)
        return np.concatenate(parts) if parts else np.empty((0, self.n_components_))

    def _scores(self, X):
        scores = X @ self.components_.T - self.mean_ @ self.components_.T
        return scores / self._scale() if self.whiten else scores

    def _scale(self):
        scale = np.sqrt(self.explained_variance_)
        return np.where(scale > np.finfo(float).eps, scale, np.finfo(float).eps)

    def inverse_transform(self, X: Any) -> Any:
        """Rows whose scores are ``X``, (n, p).

        Parameters
        ----------
        X : array of shape (n, n_components_)
        """
        check_is_fitted(self)
        X = np.asarray(X, dtype=float)
        return (X * self._scale() if self.whiten else X) @ self.components_ + self.mean_

    def get_covariance(self) -> np.ndarray:
        """Covariance of the columns by the model: the components, and noise of one variance beside them.

        Returns
        -------
        covariance : ndarray of shape (p, p)
        """
        check_is_fitted(self)
        excess = np.maximum(self.explained_variance_ - self.noise_variance_, 0.0)
        covariance = (self.components_.T * excess) @ self.components_
        covariance[np.diag_indices_from(covariance)] += self.noise_variance_
        return covariance

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _in_memory(X) -> bool:
    """Whether ``X`` is an array, a sparse matrix, nested lists or a frame that scikit-learn can check."""
    if isinstance(X, (list, tuple)):
        return not X or not (isinstance(X[0], str) or hasattr(X[0], "__fspath__"))
    if isinstance(X, str) or hasattr(X, "__fspath__") or hasattr(X, "dask"):
        return False
    tables = ("num_columns", "to_batches", "toArrow", "read", "schema")
    if isinstance(X, np.ndarray) or hasattr(X, "tocsr") or hasattr(X, "iloc"):
        return True
    return hasattr(X, "get_column") or not any(hasattr(X, name) for name in (*tables, "__arrow_c_stream__"))


def load_values(source, columns, partition) -> np.ndarray:
    """Rows of a partition as float64, all finite."""
    rows = source.read(partition, columns)
    if rows.X is not None:
        X = rows.X.toarray() if hasattr(rows.X, "toarray") else rows.X
        X = np.asarray(X, dtype=np.float64)
    else:
        X = np.column_stack([_numbers(rows.table.column(name), name) for name in columns])
    if not np.isfinite(X.sum()):
        bad = ~np.isfinite(X)
        if bad.any():
            i, j = (int(v[0]) for v in np.nonzero(bad))
            name = columns[j] if columns else j
            what = "infinity" if np.isinf(X[i, j]) else "NaN"
            raise ValueError(
                f"Input X contains {what}: column {name!r}, row {rows.first_row + i} ({rows.where})"
            )
    return X


def _numbers(column, name):
    import pyarrow as pa

    kind = column.type
    if pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        column = column.cast(pa.float64()) if pa.types.is_decimal(kind) else column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise ValueError(f"column {name!r} has type {kind}: principal components need numbers; leave it out")
    return np.asarray(column.to_numpy(), dtype=np.float64)


class Moments:
    """Count, means and centred products (a matrix, or its diagonal), mergeable."""

    def __init__(self, n, mean, products):
        self.n, self.mean, self.products = n, mean, products

    def merge(self, other):
        n = self.n + other.n
        if not self.n or not other.n:
            return self if self.n else other
        d = other.mean - self.mean
        between = np.outer(d, d) if self.products.ndim == 2 else d * d
        products = self.products + other.products + between * (self.n * other.n / n)
        return Moments(n, self.mean + d * (other.n / n), products)


class Machines(list):
    """One record a machine, in order, mergeable."""

    def merge(self, other):
        return Machines([*self, *other])


def _centred(X):
    mean = X.mean(axis=0) if len(X) else np.zeros(X.shape[1])
    return X - mean, mean


def moments(X) -> dict:
    """Count, means and centred cross products of a partition."""
    Z, mean = _centred(X)
    return {"moments": Moments(len(X), mean, np.dot(Z.T, Z))}


def local_components(X, k: int) -> dict:
    """Leading components of a machine's rows and of its two halves, with the pooled means and variances."""
    Z, mean = _centred(X)
    record = {"n": len(X), "halves": None}
    if len(X) > k:
        record["components"], record["variances"], record["noise"], record["beside"] = _leading(Z, k)
        if len(X) >= 2 * (k + 2):
            record["halves"] = [_leading(_centred(X[h::2])[0], k)[0] for h in (0, 1)]
    return {"machines": Machines([record]), "moments": Moments(len(X), mean, (Z * Z).sum(axis=0))}


def _leading(Z, k):
    """Components (p, k), their variances, the mean variance beside them, and the next component."""
    n, p = Z.shape
    more = min(k + 1, p)
    if n > p:
        values, V = linalg.eigh(np.dot(Z.T, Z) / (n - 1), subset_by_index=[p - more, p - 1])
        values, V = values[::-1], V[:, ::-1]
    else:
        _, s, Vt = linalg.svd(Z, full_matrices=False)
        values, V = s[:more] ** 2 / (n - 1), Vt[:more].T
    beside = V[:, k] if V.shape[1] > k else np.zeros(p)
    noise = max((Z * Z).sum() / (n - 1) - values[:k].sum(), 0.0) / max(p - k, 1)
    return np.ascontiguousarray(V[:, :k]), values[:k], noise, beside


def products(X, mean, V) -> dict:
    """Cross products of a partition times ``V``."""
    Z = X - mean
    return {"products": np.dot(Z.T, np.dot(Z, V))}


def _distance(A, B) -> float:
    """Sine of the largest angle between two spaces of orthonormal columns."""
    return float(np.linalg.norm(B - A @ (A.T @ B), 2))
