"""Principal modes of a field from few samples: the estimator."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from statkit._unchanged import unchanged_on_error
from statkit.decomposition._schrodinger_fit import SchrodingerFit
from statkit.decomposition.fields import labelled
from statkit.decomposition.fields.hamiltonian import OPERATORS
from statkit.decomposition.meshes.placement import interpolate_scattered
from statkit.decomposition.meshes.structure import METRICS, resolve_structure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


_ROWS = 8_000_000  # values that are centred at a time
_COLUMNS = 2_048  # of which so many columns, to stay in the cache


class SchrodingerPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Principal modes (EOFs) of a field observed a few times at many locations.

    PCA of n samples at p locations is noise where n is small beside the number of independent patches of the
    field, or where locations lie further apart than the field is correlated. The variance at each location
    and one correlation length are estimated well all the same, and they determine the leading modes: the
    lowest eigenstates of the sparse operator ½L - log A². What the samples know beyond that is added with a
    weight that they determine themselves (`shrinkage`), so the result is about as good as the better of the
    two and becomes PCA as n grows.

    Parameters
    ----------
    n_components : int or float in (0, 1), default=None
        Number of modes, which may exceed the number of samples; a share of the variance to reach; None is
        10, or the number of locations if that is less.
    coordinates : array-like of shape (p, d), DataFrame, "columns", or tuple of vectors, default=None
        Where the columns of X are. A DataFrame is indexed by the names of the columns of X; "columns" reads
        a MultiIndex of numbers; with `shape`, one vector of cell centres for each axis.
    shape : tuple of int, default=None
        The columns are the cells of a grid, in C order. Columns that are all NaN are masked cells.
    graph : sparse array of shape (p, p) or networkx graph, default=None
        The columns are its nodes: adjacency or Laplacian.
    metric : {"euclidean", "latlon", "sphere"}, default="euclidean"
        "latlon": a grid of latitudes and longitudes; "sphere": stations at (latitude, longitude); in degrees.
    correlation_length : float, array-like, "anisotropic", "varying" or None, default=None
        None estimates one length. A number; (d,), one length an axis; (d, d), a matrix of squared lengths;
        (p,) or (p, d, d), one of them a location. The strings estimate a matrix, or a length a location. In
        the units of the coordinates, on the sphere in those of `radius`.
    kernel : str, ("matern", nu) or "auto", default="gaussian"
        Correlation function: "gaussian", "matern52", "matern32", "whittle", "exponential".
    variance : float or array-like of shape (p,), default=None
        Variance at each location where it is known better than from X.
    nugget : float in [0, 1) or "fit", default=0.0
        Share of the variance that is not correlated between locations: measurement error, small scales.
    operator : {"log", "quadratic", "quadratic-sym", "resolvent"}, default="log"
        "quadratic" is the second-order operator of the paper, "quadratic-sym" the product its authors run;
        both lose accuracy where "log" does not. "resolvent" is for Matérn kernels with integer nu + d/2.
    boundary : {"robin", "neumann", "dirichlet", "periodic"} or tuple of them, default="robin"
        "robin" is right for a field that goes on outside the domain.
    weights : None, "area" or array-like of shape (p,), default=None
        Weight of each location in the inner product: None is 1 (the cosine of the latitude on a "latlon"
        grid), "area" the cell around it.
    mesh : {"auto", "locations", "grid"} or (vertices, cells), default="auto"
        Where the operator is discretised. "auto" takes a background mesh when it has fewer nodes than there
        are locations, or when these are scattered.
    resolution : float, default=3.0
        Nodes of a background mesh a correlation length.
    variance_smoothing : None, float or "cv", default=None
        Bandwidth over which variances are smoothed, in the units of the coordinates; "cv" chooses it by the
        likelihood of held-out rows.
    shrinkage : float in [0, 1], "auto" or "cv", default="auto"
        Weight of the operator's covariance against the sample covariance: 1 is pure Schrödinger PCA, 0 is
        (weighted) PCA, "auto" the Ledoit–Wolf weight, "cv" cross-validation over rows.
    scores : {"auto", "projection", "lstsq", "blup"}, default="auto"
        "blup" is the best linear prediction from the values that are there; "auto" projects rows without
        NaN where the modes are orthonormal at the locations, and predicts otherwise.
    n_refine : int, default=0
        Applications of the exact covariance to the modes: use 1 or 2 for rough kernels.
    solver : {"auto", "dense", "shift-invert", "lanczos", "fft"}, default="auto"
        "fft" takes the exact covariance of a regular grid instead of the operator.
    radius : float, default=1.0
        Radius of the sphere, which sets the unit of lengths there.
    random_state : int, RandomState or None, default=None
        For pairs of locations, resamples and folds.

    Attributes
    ----------
    components_ : ndarray of shape (k, p)
        Modes at the locations, with Σ_j w_j φ_j² = 1; 0 at masked cells.
    explained_variance_ : ndarray of shape (k,)
        Variance of each mode, by the model.
    explained_variance_ratio_ : ndarray of shape (k,)
        The same as a share of Σ_j w_j v_j.
    score_variance_ : ndarray of shape (k,)
        Variance of the scores of the training samples.
    north_error_ : ndarray of shape (k,)
        Sampling error of the eigenvalues, λ √(2 / n): levels closer than this are one level.
    energies_ : ndarray
        Lowest eigenvalues of the operator.
    mean_, variance_ : ndarray of shape (p,)
        NaN and 0 for masked cells.
    weights_ : ndarray of shape (p,)
    correlation_length_ : float or ndarray
    correlation_length_se_ : float or ndarray
        NaN when the length was given, or the values are constant.
    nugget_ : float
    kernel_ : str or tuple
    shrinkage_ : float
        Weight of the operator's covariance.
    variance_bandwidth_ : float
    splitting_error_ : float
        Mean of |∇log A²|²_Σ / 24; above 0.2 the log operator is rough.
    mesh_ : Bunch
        ``nodes``, ``mass``, ``modes`` (of the operator, before shrinkage, which takes more than `n_components` of
        them: the rest to two digits).
    n_components_, n_samples_, n_features_in_ : int
    feature_names_in_ : ndarray of str

    Notes
    -----
    Correlations that come back at long distances (teleconnections), and trends, are outside the operator's
    model; shrinkage brings the former in as the samples show them, the latter should be removed first.

    References
    ----------
    Z. Liu, S. Qian, Y. Wang, Y. Yan, T. Yang (2021), Schrödinger PCA: on the duality between principal
    component analysis and Schrödinger equation, Physical Review E 104, 025307.
    O. Ledoit, M. Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices.
    J. Schäfer, K. Strimmer (2005), A shrinkage approach to large-scale covariance matrix estimation.
    G. North, T. Bell, R. Cahalan, F. Moeng (1982), Sampling errors in the estimation of empirical orthogonal
    functions.

    Examples
    --------
    >>> from statkit.datasets import make_random_field
    >>> from statkit.decomposition import SchrodingerPCA, captured_variance
    >>> field = make_random_field(20, shape=(30, 30), correlation_length=4.0, random_state=0)
    >>> model = SchrodingerPCA(8, shape=(30, 30), random_state=0).fit(field.data)
    >>> model.transform(field.data).shape
    (20, 8)
    >>> bool(abs(model.correlation_length_ - 4) < 3 * model.correlation_length_se_)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [
            Interval(numbers.Integral, 1, None, closed="left"),
            Interval(numbers.Real, 0, 1, closed="neither"),
            None,
        ],
        "coordinates": ["array-like", tuple, StrOptions({"columns"}), None],
        "shape": [tuple, list, numbers.Integral, None],
        "graph": "no_validation",
        "metric": [StrOptions(set(METRICS))],
        "correlation_length": [numbers.Real, "array-like", StrOptions({"anisotropic", "varying"}), None],
        "kernel": [str, tuple],
        "variance": [numbers.Real, "array-like", None],
        "nugget": [Interval(numbers.Real, 0, 1, closed="left"), StrOptions({"fit"})],
        "operator": [StrOptions(set(OPERATORS))],
        "boundary": [StrOptions({"robin", "neumann", "dirichlet", "periodic"}), tuple, list],
        "weights": ["array-like", StrOptions({"area"}), None],
        "mesh": [StrOptions({"auto", "locations", "grid"}), tuple],
        "resolution": [Interval(numbers.Real, 1, None, closed="left")],
        "variance_smoothing": [Interval(numbers.Real, 0, None, closed="left"), StrOptions({"cv"}), None],
        "shrinkage": [Interval(numbers.Real, 0, 1, closed="both"), StrOptions({"auto", "cv"})],
        "scores": [StrOptions({"auto", "projection", "lstsq", "blup"})],
        "n_refine": [Interval(numbers.Integral, 0, None, closed="left")],
        "solver": [StrOptions({"auto", "dense", "shift-invert", "lanczos", "fft"})],
        "radius": [Interval(numbers.Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        coordinates: Any = None,
        shape: tuple[int, ...] | None = None,
        graph: Any = None,
        metric: Literal["euclidean", "latlon", "sphere"] = "euclidean",
        correlation_length: float | ArrayLike | Literal["anisotropic"] | Literal["varying"] | None = None,
        kernel: Any = "gaussian",
        variance: float | ArrayLike | None = None,
        nugget: float | Literal["fit"] = 0.0,
        operator: Literal["log", "quadratic", "quadratic-sym", "resolvent"] = "log",
        boundary: Any = "robin",
        weights: Literal["area"] | ArrayLike | None = None,
        mesh: Any = "auto",
        resolution: float = 3.0,
        variance_smoothing: float | Literal["cv"] | None = None,
        shrinkage: float | Literal["auto"] | Literal["cv"] = "auto",
        scores: Literal["auto", "projection", "lstsq", "blup"] = "auto",
        n_refine: int = 0,
        solver: Literal["auto", "dense", "shift-invert", "lanczos", "fft"] = "auto",
        radius: float = 1.0,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.coordinates = coordinates
        self.shape = shape
        self.graph = graph
        self.metric = metric
        self.correlation_length = correlation_length
        self.kernel = kernel
        self.variance = variance
        self.nugget = nugget
        self.operator = operator
        self.boundary = boundary
        self.weights = weights
        self.mesh = mesh
        self.resolution = resolution
        self.variance_smoothing = variance_smoothing
        self.shrinkage = shrinkage
        self.scores = scores
        self.n_refine = n_refine
        self.solver = solver
        self.radius = radius
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Estimate the modes.

        Parameters
        ----------
        X : array-like, DataFrame or xarray.DataArray of shape (n_samples, p)
            One row a time or sample, one column a location; NaN is a missing value. A DataArray brings its
            own structure: the dimension "time" (or "sample", …, or the first) is rows, the others are space.
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        with unchanged_on_error(self):
            columns = getattr(X, "columns", None)
            labels = None
            described: dict[str, Any] = {
                "coordinates": self.coordinates,
                "shape": self.shape,
                "metric": self.metric,
            }
            if labelled.is_labelled(X):
                X, labels = labelled.unfold(X)
                if self.coordinates is None and self.shape is None and self.graph is None:
                    described = labels.structure()
            # Infinities show in the moments; looking for them first would be one more pass over X.
            X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite=False)
            names = getattr(self, "feature_names_in_", None)
            described["coordinates"] = labelled.ordered_coordinates(described["coordinates"], names, columns)
            if len(X) == 1 and self.variance is None:
                raise ValueError(
                    "1 sample does not determine a variance: pass variance and correlation_length, "
                    "or use more samples"
                )
            structure = resolve_structure(
                X.shape[1], graph=self.graph, mesh=self.mesh, radius=self.radius, **described
            )
            fitted = SchrodingerFit(self, X, structure).run()
            scores = fitted.pop("training_scores")
            for name, value in fitted.items():
                setattr(self, name, value)
            self._labels = labels
            self.n_components_ = len(self.components_)
            self.n_samples_ = len(X)
            self.north_error_ = self.explained_variance_ * np.sqrt(2 / len(X))
            scores = self._scores(X) if scores is None else scores
            self.score_variance_ = (
                scores.var(axis=0, ddof=1) if len(X) > 1 else np.full(scores.shape[1], np.nan)
            )
            return self

    def transform(self, X: Any) -> Any:
        """Scores of samples on the modes.

        Parameters
        ----------
        X : array-like or DataArray of shape (n_samples, p)
            NaN values are left out of the prediction; a row of NaN scores 0, the mean.

        Returns
        -------
        ndarray of shape (n_samples, k)
        """
        return self._scores(self._validated(X))

    def transform_std(self, X: Any) -> np.ndarray:
        """Standard errors (n_samples, k) of the scores given what each row observes, by the model."""
        X = self._validated(X)
        out = np.empty((len(X), self.n_components_))
        for rows, covariance in self._model.deviations(np.isnan(X[:, self._kept])):
            out[rows] = np.sqrt(np.diag(covariance))
        return out

    def inverse_transform(self, Z: ArrayLike, coordinates: ArrayLike | None = None) -> np.ndarray:
        """Fields of given scores.

        Parameters
        ----------
        Z : array-like of shape (n_samples, k)
        coordinates : array-like of shape (m, d), default=None
            New locations; None is those of the columns.

        Returns
        -------
        ndarray of shape (n_samples, p) or (n_samples, m)
            NaN at masked cells.
        """
        check_is_fitted(self)
        Z = np.asarray(Z, dtype=None if getattr(Z, "dtype", None) == np.float32 else float)
        if Z.ndim != 2 or Z.shape[1] != self.n_components_:
            raise ValueError(f"Z must have shape (n_samples, {self.n_components_}), got {Z.shape}")
        if coordinates is None:
            return (Z @ self.components_.astype(Z.dtype) + self.mean_).astype(Z.dtype, copy=False)
        return Z @ self.evaluate_modes(coordinates) + self._mean_at(coordinates)

    def evaluate_modes(self, coordinates: Any) -> np.ndarray:
        """Mode values (k, m) at new coordinates (m, d); on a sphere (latitude, longitude) in degrees."""
        check_is_fitted(self)
        modes = self._modes.at(coordinates)
        values = self._combination @ modes
        if self._remainder is not None:
            placed = self._structure.placed(coordinates)
            values = values + np.stack(
                [interpolate_scattered(self._structure, part, coordinates=placed) for part in self._remainder]
            )
        return values

    def predict_at(self, X: Any, coordinates: ArrayLike, *, return_std: bool = False) -> Any:
        """Predict the field at new locations from the rows of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, p)
            Observations at the training locations; NaN is allowed.
        coordinates : array-like of shape (m, d)
        return_std : bool, default=False
            Also return the standard error of the smooth part of the field.

        Returns
        -------
        ndarray of shape (n_samples, m), and the standard errors when asked for
        """
        X = self._validated(X)
        modes = self.evaluate_modes(coordinates)
        field = self._scores(X) @ modes + self._mean_at(coordinates)
        if not return_std:
            return field
        # The truncated modes: at least their mean share, as they were fitted where there are data.
        variance, share = self._variance_at(coordinates), self._model.noise.sum() / self._model.total
        rest = interpolate_scattered(
            self._structure, self._model.noise, coordinates=self._structure.placed(coordinates)
        )
        rest = np.maximum(np.maximum(rest, share * variance) - self.nugget_ * variance, 0.0)
        std = np.empty_like(field)
        for rows, covariance in self._model.deviations(np.isnan(X[:, self._kept])):
            std[rows] = np.sqrt(np.einsum("km,kl,lm->m", modes, covariance, modes) + rest)
        return field, std

    def score(self, X: Any, y: Any = None) -> float:
        """Share of the weighted variance of X about `mean_` that the modes explain (1 is best)."""
        X = self._validated(X)
        Z = self._scores(X)
        weights = self.weights_[self._kept]
        lost = total = 0.0
        for rows in _row_blocks(X):
            centred = X[rows][:, self._kept] - self.mean_[self._kept]
            rest = centred - Z[rows] @ self.components_[:, self._kept]
            seen = np.isfinite(centred)
            total += float(np.sum(weights * np.where(seen, centred, 0.0) ** 2))
            lost += float(np.sum(weights * np.where(seen, rest, 0.0) ** 2))
        return 1 - lost / total if total > 0 else 1.0

    def sample(
        self,
        n_samples: int = 1,
        *,
        given: ArrayLike | None = None,
        noise: bool = False,
        random_state: Seed = None,
    ) -> np.ndarray:
        """Draw fields from the model, or, given one observed row with holes, from what it leaves open.

        Parameters
        ----------
        n_samples : int, default=1
        given : array-like of shape (p,), default=None
            One row; NaN is not observed. The draws are conditional on it.
        noise : bool, default=False
            Add the variance that the modes leave out, independently at each location.
        random_state : int, RandomState or None, default=None
            None uses that of the constructor.

        Returns
        -------
        ndarray of shape (n_samples, p)
        """
        check_is_fitted(self)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        k = self.n_components_
        if given is None:
            Z = rng.standard_normal((n_samples, k)) * np.sqrt(self.explained_variance_)
        else:
            row = self._validated(np.asarray(given, dtype=float).reshape(1, -1))
            seen = ~np.isnan(row[0, self._kept])
            centre = self._model.score(row[:, self._kept] - self.mean_[self._kept], "blup")
            covariance = self._model.covariance(seen) if seen.any() else np.diag(self.explained_variance_)
            value, axes = np.linalg.eigh(covariance)
            Z = centre + (rng.standard_normal((n_samples, k)) * np.sqrt(np.maximum(value, 0))) @ axes.T
        fields = Z @ self.components_ + self.mean_
        if noise:
            fields[:, self._kept] += rng.standard_normal((n_samples, self._kept.sum())) * np.sqrt(
                self._model.noise
            )
        return fields

    def rotated(self, n_components: int | None = None, *, method: str = "varimax", power: int = 4) -> Bunch:
        """Rotate the leading modes to simple structure.

        Parameters
        ----------
        n_components : int, default=None
            How many modes take part; None is all.
        method : {"varimax", "promax"}, default="varimax"
        power : int, default=4
            Of promax.

        Returns
        -------
        Bunch
            ``components`` (k, p), ``explained_variance`` (k,) and ``rotation`` (k, k): the loadings φ √λ
            times the rotation, in order of their variance.
        """
        from statkit.decomposition.rotation import promax, varimax

        check_is_fitted(self)
        k = self.n_components_ if n_components is None else n_components
        if not 1 <= k <= self.n_components_:
            raise ValueError(f"n_components must be between 1 and {self.n_components_}, got {k}")
        if method not in ("varimax", "promax"):
            raise ValueError(f"method must be varimax or promax, got {method!r}")
        root = np.sqrt(self.weights_)
        loadings = (self.components_[:k] * root).T * np.sqrt(self.explained_variance_[:k])
        turned, rotation = varimax(loadings) if method == "varimax" else promax(loadings, power=power)
        variance = np.sum(turned**2, axis=0)
        order = np.argsort(-variance, kind="stable")
        turned, rotation, variance = turned[:, order], rotation[:, order], variance[order]
        norm = np.sqrt(np.where(variance > 0, variance, 1.0))
        return Bunch(components=(turned / norm).T / root, explained_variance=variance, rotation=rotation)

    def components_to_xarray(self) -> Any:
        """Modes as an xarray.DataArray (mode, …space…) with the coordinates of the data that were fitted."""
        check_is_fitted(self)
        return self.to_xarray(self.components_, dim="mode")

    def to_xarray(self, values: Any, dim: str = "sample") -> Any:
        """Rows over the locations, such as reconstructed fields, as an xarray.DataArray."""
        check_is_fitted(self)
        if self._labels is None:
            raise ValueError(
                "the model was not fitted to an xarray.DataArray: there are no coordinates to restore"
            )
        return self._labels.fold(np.asarray(values), dim)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _validated(self, X) -> np.ndarray:
        check_is_fitted(self)
        if labelled.is_labelled(X):
            X, _ = labelled.unfold(X, like=self._labels)
        return validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", reset=False
        )

    def _scores(self, X: np.ndarray) -> np.ndarray:
        kept, method = np.flatnonzero(self._kept), self._score_method
        mean, gain = self.mean_[kept].astype(X.dtype), self._model.gain(method).astype(X.dtype)
        out = np.zeros((len(X), self.n_components_), dtype=X.dtype)
        whole = len(kept) == X.shape[1]
        if whole and X.dtype == np.float64:  # the mean can be taken off afterwards: X is read once
            out[:] = np.dot(np.ascontiguousarray(gain.T), X.T).T  # this way round it is a fifth faster
            out -= mean @ gain
        else:
            for rows in _row_blocks(X):
                for start in range(0, len(kept), _COLUMNS):
                    part = slice(start, start + _COLUMNS)
                    block = X[rows, part] if whole else X[rows][:, kept[part]]
                    out[rows] += (block - mean[part]) @ gain[part]
        holes = np.flatnonzero(~np.isfinite(out).all(axis=1))
        if holes.size:
            out[holes] = self._model.score(X[np.ix_(holes, kept)] - mean, method)
        return out

    def _mean_at(self, coordinates) -> np.ndarray:
        placed = self._structure.placed(coordinates)
        return interpolate_scattered(self._structure, self.mean_[self._kept], coordinates=placed)

    def _variance_at(self, coordinates) -> np.ndarray:
        placed = self._structure.placed(coordinates)
        return interpolate_scattered(self._structure, self.variance_[self._kept], coordinates=placed)


def _row_blocks(X: np.ndarray):
    step = max(1, _ROWS // max(X.shape[1], 1))
    for start in range(0, len(X), step):
        yield slice(start, start + step)
