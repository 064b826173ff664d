"""What every family shares: its value semantics, its link, and the sums of the last pass.

A family is a value: two families with the same class and parameters are equal, it pickles into a few bytes,
and nothing that is estimated is stored on it. It knows nothing of how many rows there are.
"""

import difflib

import numpy as np

from . import _kernels
from ._special import NO_WEIGHT
from .links import ALIASES, LINKS

#: rows of the last pass taken at a time, which bounds its scratch arrays
_ROWS = 16_384

#: Deviances are sums of squares.
_LARGEST_RESPONSE = 1e140


class Family:
    """Base of the families; a subclass states its links and kernels and gets the rest from here.

    Parameters
    ----------
    link : str or None, default=None
        Name of the link function; None is the family's default, the first of ``links``.

    Attributes
    ----------
    name : str
        Name by which `resolve_family` finds the family.
    links : tuple of str
        Names of the links the family has, its default first.
    link_name : str
        Name of the link in use.
    canonical : bool
        Whether the link is the canonical one (then Fisher weight and observed curvature agree).
    dispersion : {"known", "pearson"}
        Whether the dispersion is 1, or estimated from Pearson's statistic.
    predictors : int
        Linear predictors a row has (softmax: one less than there are classes).
    n_thresholds : int
        Parameters after the coefficients that cut the predictor into classes (`Ordered`).
    n_shape : int
        Shape parameters that are to be estimated beside the coefficients.
    curved : bool
        Whether the loss has a second derivative.
    quadratic : bool
        Whether the loss is quadratic in the linear predictor, so that one Newton step is exact.
    solver : {"newton", "least_squares", "linear_program", "partial_likelihood", "thresholds"}
        What finds the exact fit: damped Newton rounds, or a method for losses of this kind.
    analytic_bias : bool
        Whether the bias of local fits has a formula here: `dmu_ratio` and `weight_derivative` exist.
    likelihood : bool
        Whether the loss is a log-likelihood, whose information is a covariance; otherwise errors are sandwiches.
    centered : bool
        Whether a constant added to every predictor changes nothing, so that columns may be centred without an
        intercept.
    shape_name : str
        Name of the shape parameter that is estimated.
    shape_guess : float
        Its value before the first round.
    support : str
        Which responses are possible, for messages.
    """

    name = ""
    links: tuple[str, ...] = ()
    canonical_link: str | None = None
    dispersion = "known"
    predictors = 1
    n_thresholds = 0
    n_shape = 0
    curved = True
    quadratic = False
    context = None
    solver = "newton"
    analytic_bias = True
    likelihood = True
    centered = False
    shape_name = "alpha"
    shape_guess = 0.5
    support = ""
    _parameters: tuple[str, ...] = ("link",)

    def __init__(self, link=None):
        self._set(link=link)

    # -- value semantics ---------------------------------------------------------------------------------

    def _set(self, **parameters):
        """Store the parameters as they were given (scikit-learn compares them) after checking them."""
        link = parameters["link"]
        name = self.links[0] if link is None else ALIASES.get(link, link)
        if name not in self.links:
            near = difflib.get_close_matches(str(link), self.links, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"{type(self).__name__} has no link {link!r}: choose from "
                f"{', '.join(map(repr, self.links))}{hint}"
            )
        self._given = parameters
        self.link_name = name

    def get_params(self, deep=True):
        """Constructor parameters as they were given, as scikit-learn's ``clone`` and searches ask for."""
        return dict(self._given)

    def set_params(self, **parameters):
        """Set constructor parameters in place and return the family.

        For searches over ``family__power`` and the like, which act on clones; elsewhere make a new family.
        """
        unknown = set(parameters) - set(self._given)
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no parameter {sorted(unknown)[0]!r}: it has {list(self._given)}"
            )
        self._set(**{**self._given, **parameters})
        return self

    def _key(self):
        return (type(self), self.link_name, *(v for k, v in self._given.items() if k != "link"))

    def __eq__(self, other):
        return isinstance(other, Family) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def __repr__(self):
        shown = [f"{k}={v!r}" for k, v in self._given.items() if k != "link" or v is not None]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self):
        return _rebuild, (type(self), self._given)

    @property
    def canonical(self):
        return self.link_name == self.canonical_link

    # -- one row: mean, variance, derivatives ------------------------------------------------------------

    def inverse_link(self, eta):
        """Mean of a row with linear predictor ``eta``."""
        return LINKS[self.link_name].inverse(eta)

    def link_function(self, mu):
        """Linear predictor of a row with mean ``mu``."""
        return LINKS[self.link_name].function(mu)

    def dmu(self, eta):
        """Derivative μ' of the mean in the linear predictor."""
        return LINKS[self.link_name].derivative(eta)

    def dmu_ratio(self, eta):
        """Ratio μ''/μ' of the mean's derivatives, which Cox and Snell's bias formula needs."""
        return LINKS[self.link_name].ratio(eta)

    def variance(self, mu, shape=None):
        """Variance function V(μ); the variance of a row is dispersion · V(μ) / weight."""
        raise NotImplementedError

    def _variance_derivative(self, mu, shape=None):
        raise NotImplementedError

    def weight_derivative(self, eta, shape=None):
        """Derivative in the linear predictor of the Fisher weight μ'²/V of a row of weight 1."""
        mu, slope = self.inverse_link(eta), self.dmu(eta)
        v = self.variance(mu, shape)
        return slope**2 / v * (2.0 * self.dmu_ratio(eta) - self._variance_derivative(mu, shape) * slope / v)

    # -- passes over the rows ----------------------------------------------------------------------------

    def link(self, eta, y, weight, shape, context, r, w):
        """Fill score and Fisher weight of every row in place and return the loss.

        Parameters
        ----------
        eta : ndarray of shape (n,)
            Linear predictor, with the offset in it.
        y : ndarray of shape (n,)
            Response.
        weight : ndarray of shape (n,) or None
            Prior weights a; None is 1 everywhere.
        shape : float, array of one number, or None
            Shape parameter where it is estimated (``n_shape`` is 1).
        context : object
            What a family computes from all rows first; None here.
        r : ndarray of shape (n,)
            Receives a (y - μ) μ' / V.
        w : ndarray of shape (n,)
            Receives the expected information a μ'² / V.

        Returns
        -------
        loss : float
            Minus the log-likelihood at dispersion 1, without the terms that do not depend on ``eta``. It is
            NaN when ``eta`` holds a NaN and +inf where ``eta`` is outside the link's domain.
        """
        raise NotImplementedError

    def pearson(self, r: np.ndarray, w: np.ndarray) -> float:
        """Pearson's statistic Σ a (y−μ)²/V from the score and weight that ``link`` filled."""
        return float(_kernels.pearson(r, w))

    def sums(self, eta, y, weight, shape=None, known=None):
        """Sums of the last pass: everything that deviance, dispersion and log-likelihood need.

        Parameters
        ----------
        eta, y, weight, shape : as in `link`
        known : tuple of (loss, r, w) or None
            What `link` gave for these rows, where it was called already.

        Returns
        -------
        sums : dict of float
            ``loss``, ``deviance``, ``pearson`` (Σ a (y-μ)²/V), and the terms of the family's log-likelihood;
            sums of disjoint sets of rows add up.
        """
        if known is not None:
            return self._sums_of(eta, y, weight, shape, *known)
        n = len(y)
        rows = min(n, _ROWS)
        r, w = np.empty(rows), np.empty(rows)
        sums = {}
        for start in range(0, max(n, 1), _ROWS):
            part = slice(start, start + _ROWS)
            m = len(y[part])
            a = None if weight is None else weight[part]
            loss = self.link(eta[part], y[part], a, shape, None, r[:m], w[:m])
            term = self._sums_of(eta[part], y[part], a, shape, loss, r[:m], w[:m])
            for key, value in term.items():
                sums[key] = sums[key] + value if key in sums else value
        return sums

    def _sums_of(self, eta, y, weight, shape, loss, r, w):
        sums = {"loss": loss, "pearson": _kernels.pearson(r, w)}
        sums["deviance"] = self._deviance(eta, y, weight, shape, loss)
        sums.update(self._likelihood_terms(y, NO_WEIGHT if weight is None else weight, shape))
        return sums

    def null_loss(self, sum_y, sum_w, shape=None):
        """Loss of the model with an intercept only and no offset.

        The loss is linear in the response at equal predictors, so that one row of the mean response and the
        whole weight stands for all of them. (Not so for the gaussian family, which says so by NaN.)
        """
        eta = np.array([self.null_eta(sum_y, sum_w)])
        out = np.empty(1), np.empty(1)
        return self.link(eta, np.array([sum_y / sum_w]), np.array([float(sum_w)]), shape, None, *out)

    def unit_deviance(self, y, mu, shape=None):
        """Deviance of every row at weight 1: twice the log-likelihood that ``mu`` loses against ``y``.

        Parameters
        ----------
        y, mu : ndarray of shape (n,)
            Response and mean.
        shape : float or None
            Shape parameter where it is estimated.

        Returns
        -------
        deviance : ndarray of shape (n,)
        """
        raise NotImplementedError

    def _deviance(self, eta, y, weight, shape, loss):
        unit = self.unit_deviance(y, self.inverse_link(eta), shape)
        return float((unit if weight is None else weight * unit).sum())

    def _likelihood_terms(self, y, weight, shape):
        """What `loglik` needs of the response alone, added over the rows."""
        return {}

    def loglik(self, sums, scale=1.0, n=None, shape=None):
        """Log-likelihood with all its constants, as statsmodels' GLM reports it (weights: ``var_weights``).

        Parameters
        ----------
        sums : dict
            What `sums` returned, added over all rows.
        scale : float, default=1.0
            Estimated dispersion (Pearson's statistic over ``df_resid``); ignored where it is known.
        n : int
            Number of rows of positive weight; needed where the dispersion is estimated.
        shape : float or None
            Shape parameter where it was estimated.
        """
        return sums["constant"] - sums["loss"]

    # -- starts and checks -------------------------------------------------------------------------------

    def start(self, y, weight=None):
        """Linear predictor of every row from which iterations may start, from the response alone."""
        raise NotImplementedError

    def null_eta(self, sum_y, sum_w):
        """Linear predictor of the model with an intercept only and no offset, from Σ a y and Σ a.

        A mean on the edge of the support has no finite predictor: it moves inside by half an observation.
        """
        return float(self.link_function(self._inner_mean(float(sum_y), float(sum_w))))

    def _inner_mean(self, sum_y, sum_w):
        return sum_y / sum_w if sum_y > 0.0 else 0.5 / (sum_w + 1.0)

    def check_response(self, y):
        """First response outside the support, as ``(index, reason)``, or None."""
        y = np.asarray(y)
        if y.size == 0:
            return None
        low, high = y.min(), y.max()
        largest = max(-float(low), float(high))
        if largest <= _LARGEST_RESPONSE and self._supports(low) and self._supports(high):
            return None
        if largest > _LARGEST_RESPONSE and np.isfinite(largest):
            index = int(np.argmax(np.abs(y)))
            return (
                index,
                f"the square of {float(y[index])!r} is not a number: divide the response by a constant",
            )
        bad = ~(np.isfinite(y) & self._supports(y))
        index = int(np.argmax(bad))
        return index, f"{self.name} needs {self.support}, found {float(y[index])!r}"

    def _supports(self, y):
        """Whether ``y`` (an interval's ends, or every response) is possible."""
        return np.isfinite(y)


def _rebuild(cls, parameters):
    return cls(**parameters)
