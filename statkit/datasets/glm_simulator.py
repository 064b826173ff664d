"""Simulated regressions of every family: correlated, heavy-tailed and categorical designs.

Rows are drawn in blocks of 65,536, each from generators keyed by (seed, block, role), so a row depends on the
seed and its number alone: not on how many rows are drawn, nor on how they are cut into files or row groups.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtr, chdtrc, expit, ndtr

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

BLOCK_ROWS = 65_536

FAMILIES = (
    "gaussian",
    "binomial",
    "multinomial",
    "poisson",
    "negative_binomial",
    "gamma",
    "inverse_gaussian",
    "tweedie",
    "quasi_binomial",
    "quasi_poisson",
)
TAILS = ("normal", "uniform", "lognormal", "t")

_INVERSE_LINKS = {
    "identity": lambda eta: eta,
    "log": np.exp,
    "logit": expit,
    "probit": ndtr,
    "cloglog": lambda eta: -np.expm1(-np.exp(eta)),
    "inverse": lambda eta: 1 / eta,
    "inverse_squared": lambda eta: 1 / np.sqrt(eta),
    "sqrt": np.square,
}
_DEFAULT_LINKS = {
    "gaussian": "identity",
    "binomial": "logit",
    "quasi_binomial": "logit",
    "multinomial": "logit",
}
_LINKS_OF_PROPORTIONS = ("logit", "probit", "cloglog")

# Streams of random numbers, one for each thing that is drawn in a block.
_NORMALS, _MIXING, _RESPONSE, _LATENT, _LEVELS = 0, 1, 2, 3, 4
_COEFFICIENTS = 2**32 - 1  # block number of what is drawn once

_T_DEGREES, _T_CAP = 3.0, 6.0  # a multivariate t whose mixing factor is cut, so that log links stay finite
_LOGNORMAL_SIGMA = 0.5


@dataclass(frozen=True)
class GLMSimulation:
    """A checked set of options: the truth, and its rows block by block."""

    seed: int
    family: str
    link: str
    coef: np.ndarray  # (n_features,), or (n_classes - 1, n_features)
    intercept: np.ndarray  # (), or (n_classes - 1,)
    level_effects: tuple[np.ndarray, ...]  # per categorical column: (n_levels,) or (n_classes - 1, n_levels)
    correlation: float
    tails: str
    scale: float
    alpha: float
    power: float

    @property
    def n_features(self) -> int:
        return self.coef.shape[-1]

    @property
    def names(self) -> list[str]:
        """Numeric columns."""
        return [f"x{j}" for j in range(self.n_features)]

    @property
    def levels(self) -> dict[str, list[str]]:
        """Categorical columns and their levels, in order."""
        return {f"c{k}": _level_names(e.shape[-1]) for k, e in enumerate(self.level_effects)}

    @property
    def truth(self) -> pd.Series:
        """All parameters under the names that a fit of ``y ~ x0 + … + c0 + …`` gives them."""
        import pandas as pd

        names = ["Intercept", *self.names]
        values = [self.intercept[..., None], self.coef]
        for (column, levels), effects in zip(self.levels.items(), self.level_effects, strict=True):
            names += [f"{column}[T.{level}]" for level in levels[1:]]
            values.append(effects[..., 1:])
        stacked = np.concatenate(values, axis=-1)
        if stacked.ndim == 1:
            return pd.Series(stacked, index=names, name="coef")
        index = pd.MultiIndex.from_product([range(1, len(stacked) + 1), names], names=["class", "name"])
        return pd.Series(stacked.ravel(), index=index, name="coef")

    def blocks(self, n_samples: int) -> Iterator[tuple[np.ndarray, list[np.ndarray], np.ndarray]]:
        """Yield (X, level codes of each categorical column, y), in order, up to 65,536 rows at a time."""
        for block, first in enumerate(range(0, n_samples, BLOCK_ROWS)):
            yield self._block(block, min(BLOCK_ROWS, n_samples - first))

    def _stream(self, block: int, role: int) -> np.random.Generator:
        return _generator(self.seed, block, role)

    def _block(self, block: int, n: int) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        X = self._features(block, n)
        eta = np.zeros((n, *self.intercept.shape)) + self.intercept
        for j in range(self.n_features):  # not a BLAS product, whose bits depend on the number of rows
            eta += np.multiply.outer(X[:, j], self.coef[..., j])
        codes = []
        for k, effects in enumerate(self.level_effects):
            edges = np.cumsum(_level_frequencies(effects.shape[-1]))[:-1]
            drawn = np.searchsorted(edges, self._stream(block, _LEVELS + k).random(n), side="right")
            codes.append(drawn.astype(np.int32))
            eta += effects.T[drawn]
        return X, codes, self._response(eta, block)

    def _features(self, block: int, n: int) -> np.ndarray:
        X = self._stream(block, _NORMALS).standard_normal((n, self.n_features))
        rho = self.correlation
        for j in range(1, self.n_features):  # AR(1) over the columns
            X[:, j] *= math.sqrt(1 - rho**2)
            X[:, j] += rho * X[:, j - 1]
        if self.tails == "uniform":
            X = math.sqrt(12) * (ndtr(X) - 0.5)
        elif self.tails == "lognormal":
            s2 = _LOGNORMAL_SIGMA**2
            X = (np.exp(_LOGNORMAL_SIGMA * X) - math.exp(s2 / 2)) / math.sqrt(math.expm1(s2) * math.exp(s2))
        elif self.tails == "t":
            chi2 = self._stream(block, _MIXING).chisquare(_T_DEGREES, n)
            X *= (np.minimum(np.sqrt(_T_DEGREES / chi2), _T_CAP) / _T_SD)[:, None]
        return X

    def _response(self, eta: np.ndarray, block: int) -> np.ndarray:
        family, scale = self.family, self.scale
        # A response of two draws has a stream for each: otherwise the second would start where the first,
        # which depends on the number of rows, has ended.
        rng, latent = self._stream(block, _RESPONSE), self._stream(block, _LATENT)
        if family == "multinomial":
            # Gumbel's trick: one pass, and the draw of a row does not depend on the other rows.
            utility = np.concatenate([np.zeros((len(eta), 1)), eta], axis=1)
            return np.argmax(utility + rng.gumbel(size=utility.shape), axis=1)
        if _needs_positive(family, self.link):
            self._check_positive(eta, block)
        mu = _INVERSE_LINKS[self.link](eta)
        if family == "gaussian":
            return mu + math.sqrt(scale) * rng.standard_normal(len(mu))
        if family == "binomial" or (family == "quasi_binomial" and scale == 1):
            return (rng.random(len(mu)) < mu).astype(np.int64)
        if family == "quasi_binomial":
            concentration = 1 / scale - 1
            return rng.beta(np.maximum(mu * concentration, 1e-8), np.maximum((1 - mu) * concentration, 1e-8))
        if family == "poisson" or (family == "quasi_poisson" and scale == 1):
            return rng.poisson(mu)
        if family == "quasi_poisson":
            return rng.poisson(latent.gamma(mu / (scale - 1), scale - 1))
        if family == "negative_binomial":
            return rng.poisson(latent.gamma(1 / self.alpha, self.alpha * mu))
        if family == "gamma":
            return np.maximum(rng.gamma(1 / scale, scale * mu), np.finfo(float).tiny)
        if family == "inverse_gaussian":
            return rng.wald(mu, 1 / scale)
        return self._tweedie(mu, rng, latent)

    def _tweedie(self, mu: np.ndarray, rng: np.random.Generator, latent: np.random.Generator) -> np.ndarray:
        # Sum of a Poisson number of gamma variables: Jørgensen, The Theory of Dispersion Models, 1997, §4.2.
        p, scale = self.power, self.scale
        count = latent.poisson(mu ** (2 - p) / (scale * (2 - p)))
        return rng.gamma(count * (2 - p) / (p - 1), scale * (p - 1) * mu ** (p - 1))

    def _check_positive(self, eta: np.ndarray, block: int) -> None:
        low = int(np.argmin(eta))
        if eta[low] <= 0:
            raise ValueError(
                f"link={self.link!r} with family={self.family!r} needs a positive linear predictor, but row "
                f"{block * BLOCK_ROWS + low} has {eta[low]:.4g}: give a larger intercept (it is "
                f"{float(self.intercept):.4g}), smaller coef, or tails='uniform', which are bounded"
            )


# Standard deviation of min(sqrt(3 / chi2_3), cap): E[3/W; W > a] is 3 P(chi2_1 > a).
_T_SD = math.sqrt(
    _T_DEGREES * chdtrc(_T_DEGREES - 2, _T_DEGREES / _T_CAP**2)
    + _T_CAP**2 * chdtr(_T_DEGREES, _T_DEGREES / _T_CAP**2)
)


def make_glm(
    n_samples: int = 1_000,
    n_features: int = 5,
    *,
    family: str = "gaussian",
    link: str | None = None,
    coef: ArrayLike | None = None,
    intercept: float | None = None,
    correlation: float = 0.5,
    tails: str = "normal",
    n_levels: Sequence[int] = (),
    n_classes: int = 3,
    scale: float = 1.0,
    alpha: float = 1.0,
    power: float = 1.5,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    as_frame: bool = False,
) -> tuple[Any, Any, Any]:
    """Simulate a regression whose truth is known.

    The same row has the same values whatever `n_samples` is: the first thousand of a million rows are the
    thousand rows of a small call.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    n_features : int, default=5
        Number of numeric columns. They have mean 0 and standard deviation 1.
    family : str, default="gaussian"
        "gaussian", "binomial", "multinomial", "poisson", "negative_binomial", "gamma", "inverse_gaussian",
        "tweedie", "quasi_binomial" or "quasi_poisson".
    link : str, default=None
        "identity", "log", "logit", "probit", "cloglog", "inverse", "inverse_squared" or "sqrt". None is the
        identity for gaussian, logit for binomial, log for the others.
    coef : array-like of shape (n_features,), default=None
        The truth; (n_classes - 1, n_features) for a multinomial. None draws it such that the linear predictor
        has a standard deviation of about 1 (gaussian, binomial, multinomial), 1/2 (log link) or 1/4 (others).
    intercept : float, default=None
        The truth; also of shape (n_classes - 1,) for a multinomial. None is 0 where every linear predictor is
        allowed, 2 where it must be positive.
    correlation : float, default=0.5
        Columns i and j have correlation ``correlation ** |i - j|``, before they are made uniform or
        lognormal.
    tails : {"normal", "uniform", "lognormal", "t"}, default="normal"
        Distribution of the numeric columns: "lognormal" has sigma 1/2; "t" is multivariate with 3 degrees of
        freedom, its radius cut at 6 times the normal's so that responses stay finite under a log link.
    n_levels : sequence of int, default=()
        One categorical column for each, with so many levels; level k has a share proportional to 1/(k+1).
        Needs ``as_frame=True``.
    n_classes : int, default=3
        Number of classes of a multinomial.
    scale : float, default=1.0
        Dispersion: the variance is ``scale * V(mu)``. For quasi_poisson at least 1; for quasi_binomial at
        most 1, below 1 gives proportions. Families without a dispersion want 1.
    alpha : float, default=1.0
        Variance ``mu + alpha * mu**2`` of the negative binomial.
    power : float, default=1.5
        Variance ``scale * mu**power`` of tweedie, between 1 and 2.
    random_state : int, RandomState, Generator or None, default=None
        Seed. The same integer gives the same rows.
    as_frame : bool, default=False
        Return pandas objects.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), or DataFrame
        The frame has columns ``x0, x1, …`` and the categorical ``c0, c1, …``.
    y : ndarray of shape (n_samples,), or Series
        Integers for classes and counts. The Series is called ``"y"``.
    coef : ndarray of the shape of `coef`, or Series
        The truth. The Series has the intercept and the level effects too, under the names that a fit of
        ``y ~ x0 + … + c0`` gives them; for a multinomial its index is (class, name), class 0 the reference.

    Raises
    ------
    ValueError
        If an option does not fit the family, or the linear predictor leaves the domain of the link.

    See Also
    --------
    write_glm_parquet : The same rows as a file of any size.

    Examples
    --------
    >>> from statkit.datasets import make_glm
    >>> X, y, coef = make_glm(1_000, 3, family="binomial", random_state=0)
    >>> X.shape, y.shape, coef.shape
    ((1000, 3), (1000,), (3,))
    >>> X, y, truth = make_glm(1_000, 1, n_levels=(3,), random_state=0, as_frame=True)
    >>> list(truth.index)
    ['Intercept', 'x0', 'c0[T.L1]', 'c0[T.L2]']
    """
    if n_levels and not as_frame:
        raise ValueError("n_levels makes categorical columns, which an array cannot hold: pass as_frame=True")
    n_samples = whole_number("n_samples", n_samples, least=1)
    simulation = glm_simulation(
        n_features,
        family=family,
        link=link,
        coef=coef,
        intercept=intercept,
        correlation=correlation,
        tails=tails,
        n_levels=n_levels,
        n_classes=n_classes,
        scale=scale,
        alpha=alpha,
        power=power,
        random_state=random_state,
    )
    X = np.empty((n_samples, simulation.n_features))
    codes = [np.empty(n_samples, dtype=np.int32) for _ in simulation.level_effects]
    y, first = None, 0
    for block_X, block_codes, block_y in simulation.blocks(n_samples):
        y = np.empty(n_samples, dtype=block_y.dtype) if y is None else y
        here = slice(first, first + len(block_y))
        X[here], y[here] = block_X, block_y
        for column, drawn in zip(codes, block_codes, strict=True):
            column[here] = drawn
        first = here.stop
    if not as_frame:
        return X, y, simulation.coef.copy()

    import pandas as pd

    frame = pd.DataFrame(X, columns=simulation.names)
    for (name, levels), drawn in zip(simulation.levels.items(), codes, strict=True):
        frame[name] = pd.Categorical.from_codes(drawn, categories=levels)
    return frame, pd.Series(y, name="y"), simulation.truth


def glm_simulation(
    n_features: int,
    *,
    family: str = "gaussian",
    link: str | None = None,
    coef=None,
    intercept=None,
    correlation: float = 0.5,
    tails: str = "normal",
    n_levels: Sequence[int] = (),
    n_classes: int = 3,
    scale: float = 1.0,
    alpha: float = 1.0,
    power: float = 1.5,
    random_state=None,
) -> GLMSimulation:
    """Check the options of `make_glm` and draw what is drawn once."""
    n_features = whole_number("n_features", n_features, least=0)
    if n_features == 0 and not n_levels:
        raise ValueError("n_features=0 needs categorical columns (n_levels): there would be no column at all")
    _one_of("family", family, FAMILIES)
    _one_of("tails", tails, TAILS)
    link = _DEFAULT_LINKS.get(family, "log") if link is None else link
    _one_of("link", link, tuple(_INVERSE_LINKS))
    proportions = family in ("binomial", "quasi_binomial")
    if proportions != (link in _LINKS_OF_PROPORTIONS) and not (family == "multinomial" and link == "logit"):
        raise ValueError(f"link={link!r} does not fit family={family!r}")
    if not -1 < correlation < 1:
        raise ValueError(f"correlation must be between -1 and 1, exclusive; got {correlation!r}")
    _check_dispersion(family, scale, alpha, power)

    seed = _seed(random_state)
    rng = _generator(seed, _COEFFICIENTS, _RESPONSE)
    shape = (whole_number("n_classes", n_classes, least=2) - 1,) if family == "multinomial" else ()
    bounded = _needs_positive(family, link)
    spread = 0.25 if bounded else 0.5 if link == "log" else 1.0
    drawn = _drawn_coef(rng, (*shape, n_features), correlation, spread)
    level_counts = [whole_number("n_levels", m, least=2) for m in n_levels]
    effects = tuple(
        _level_effects(_generator(seed, _COEFFICIENTS, _LEVELS + k), (*shape, m), spread)
        for k, m in enumerate(level_counts)
    )
    return GLMSimulation(
        seed=seed,
        family=family,
        link=link,
        coef=drawn if coef is None else _array("coef", coef, (*shape, n_features)),
        intercept=_array("intercept", (2.0 if bounded else 0.0) if intercept is None else intercept, shape),
        level_effects=effects,
        correlation=float(correlation),
        tails=tails,
        scale=float(scale),
        alpha=float(alpha),
        power=float(power),
    )


def _needs_positive(family: str, link: str) -> bool:
    return link in ("inverse", "inverse_squared", "sqrt") or (link == "identity" and family != "gaussian")


def _drawn_coef(rng: np.random.Generator, shape: tuple[int, ...], rho: float, spread: float) -> np.ndarray:
    # A random direction, with the length that gives the linear predictor the standard deviation `spread`.
    beta = rng.standard_normal(shape)
    lags = np.abs(np.subtract.outer(np.arange(shape[-1]), np.arange(shape[-1])))
    variance = np.einsum("...i,ij,...j->...", beta, np.power(rho, lags) if rho else np.eye(shape[-1]), beta)
    return spread * beta / np.sqrt(np.maximum(variance, np.finfo(float).tiny))[..., None]


def _level_effects(rng: np.random.Generator, shape: tuple[int, ...], spread: float) -> np.ndarray:
    # Bounded, so that a link with a domain keeps its margin; the first level is the reference.
    effects = rng.uniform(-spread, spread, shape)
    effects[..., 0] = 0.0
    return effects


def _level_frequencies(n_levels: int) -> np.ndarray:
    weights = 1 / np.arange(1, n_levels + 1)
    return weights / weights.sum()


def _level_names(n_levels: int) -> list[str]:
    width = len(str(n_levels - 1))
    return [f"L{k:0{width}d}" for k in range(n_levels)]


def _generator(seed: int, block: int, role: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(block, role)))


def _seed(random_state) -> int:
    if random_state is None:
        return int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ValueError(f"random_state must not be negative; got {random_state}")
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    raise TypeError(f"random_state must be an int, a Generator, a RandomState or None; got {random_state!r}")


def _check_dispersion(family: str, scale: float, alpha: float, power: float) -> None:
    if not (scale > 0 and math.isfinite(scale)):
        raise ValueError(f"scale must be positive and finite; got {scale!r}")
    if family in ("binomial", "multinomial", "poisson", "negative_binomial") and scale != 1:
        raise ValueError(f"family={family!r} has no dispersion to choose: scale must be 1; got {scale!r}")
    if family == "quasi_poisson" and scale < 1:
        raise ValueError(f"scale of a quasi_poisson must be at least 1; got {scale!r}")
    if family == "quasi_binomial" and scale > 1:
        raise ValueError(f"scale of a quasi_binomial must be at most 1; got {scale!r}")
    if family == "negative_binomial" and not (alpha > 0 and math.isfinite(alpha)):
        raise ValueError(f"alpha must be positive and finite; got {alpha!r}")
    if family == "tweedie" and not 1 < power < 2:
        raise ValueError(f"power must be between 1 and 2, exclusive; got {power!r}")


def _one_of(option: str, value, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{option} must be one of {', '.join(allowed)}; got {value!r}")


def whole_number(option: str, value, *, least: int) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{option} must be an integer; got {value!r}")
    if value < least:
        raise ValueError(f"{option} must be at least {least}; got {value}")
    return int(value)


def _array(option: str, value, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(value, dtype=float)
    if array.shape == () and option == "intercept":
        array = np.full(shape, float(array))
    if array.shape != shape:
        raise ValueError(f"{option} must have shape {shape}; got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{option} must be finite; got {value!r}")
    return array.copy()
