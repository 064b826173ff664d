"""`MissDAG`: the causal graph of a table with holes, and the table with the holes filled."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from statkit._unchanged import unchanged_on_error
from statkit.causal._bootstrap import bootstrap_confidence
from statkit.causal._checks import check_table, column_names
from statkit.causal._effects import EffectsMixin
from statkit.causal._export import ExportMixin
from statkit.causal._fit import LEARNERS, Options, fit_table
from statkit.causal._incomplete import IncompleteData
from statkit.causal._threads import one_blas_thread
from statkit.causal.acyclicity import reachability, topological_order
from statkit.causal.em_gaussian import gaussian_draw, impute
from statkit.causal.equivalence import cpdag
from statkit.causal.equivalence import graph as check_graph
from statkit.causal.knowledge import Knowledge
from statkit.causal.missingness import missing_patterns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from statkit._typing import Seed


class MissDAG(EffectsMixin, ExportMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Causal graph of the columns of a table with missing entries, by expectation-maximisation.

    Filling the holes first and learning the graph afterwards distorts the dependences that the graph is read
    from. Here the two alternate: expected moments of what is missing under the current graph, then a search
    for the graph on those moments. Missingness may depend on what is observed (MAR), not on what is missing.

    Parameters
    ----------
    model : {"gaussian", "equal_var", "nongaussian", "nonlinear"}, default="gaussian"
        ``gaussian``: linear, each noise with its own variance. Units do not matter; what is identified is the
        Markov equivalence class (`cpdag_`). ``equal_var``: linear, all noises of one variance: the graph is
        identified, and the answer depends on the units. ``nongaussian``: linear, noises not Gaussian
        (LiNGAM): the graph is identified; the E-step draws instead of averaging. ``nonlinear``: the sum of a
        smooth function of each parent: the graph is identified where functions are not straight lines.
    learner : str, default="auto"
        The search: "boss" (default of gaussian), "exact" (up to 16 columns), "hc" for hill-climbing, "order"
        (default of equal_var: by conditional variances, then polished by hill-climbing), "lingam" (default of
        nongaussian), "ica", "notears", "golem", "dagma", "splines" (default of nonlinear), or "fixed" for a
        given ``graph`` or ``order``.
    penalty_discount : float, default=2.0
        An edge must bring this many times ½ log n of log-likelihood; 1 is the BIC.
    lambda1 : float, default=None
        Penalty on the size of weights, of the gradient learners; None is the learner's own.
    w_threshold : float, default=None
        Weights up to this size are no edges. None is 0, for gradient learners 0.3 (0.1 if standardised).
    n_starts : int, default=5
        Orders (boss) or graphs (hc) to start from; the greatest penalised likelihood wins.
    effective_n : bool, default=True
        Judge an edge by the rows in which its ends are observed, not by all rows.
    init : {"saturated", "observed", "zero"}, default="saturated"
        First moments: of an unrestricted Gaussian fitted by EM; the observed means and variances; zero means
        and variances drawn between 0.1 and 0.3.
    max_iter : int, default=100
        Largest number of E-steps of a start.
    tol : float, default=1e-6
        Stop when the log-likelihood rises by less than this share of its size.
    init_max_iter : int, default=50
        Largest number of E-steps of the saturated start.
    accelerate : bool, default=True
        Extrapolate the steps of the saturated start.
    two_step : bool, default=False
        Search once, on the moments of the saturated start.
    refit : bool, default=True
        Fit weights anew on the edges. False leaves the gradient learners' shrunken weights in the E-step.
    noise : {"auto", "gaussian", "logistic", "laplace", "student", "subgaussian", "gumbel"}, default="auto"
        Noise of the models ``nongaussian`` and ``nonlinear``; "auto" chooses for each column by likelihood.
    n_chains, n_sweeps : int, default=5, 3
        Completed tables of the Monte Carlo E-step, and its sweeps an iteration (nongaussian, nonlinear).
    graph : array-like of shape (d, d), default=None
        The graph of learner "fixed": only weights and variances are estimated.
    order : array-like of int or names, shape (d,), default=None
        The causal order of learner "fixed": parents are chosen among predecessors.
    forbidden, required : list of pairs (cause, effect), or bool array of shape (d, d), default=None
        Edges that must not, or must, be in the graph; columns by number or name.
    tiers : list of lists of columns, default=None
        No edge goes from a later to an earlier tier.
    standardize : bool, default=False
        Let the learner see columns divided by their observed standard deviations, whatever the model.
    n_bootstrap : int, default=0
        Resamples for the confidence of edges.
    n_jobs : int, default=None
        Threads of the bootstrap.
    random_state : int, RandomState or None, default=None
        Of the random starts, the Monte Carlo E-step and the bootstrap.
    verbose : int, default=0
        1 prints a line a fit.

    Attributes
    ----------
    weights_ : ndarray of shape (d, d)
        ``weights_[i, j]`` is the effect of column i on column j, in units of j per unit of i. (The package
        lingam uses the transpose.) nonlinear: the mean slope, which may be 0 where there is an edge; see
        `direct_effect`.
    weights_se_ : ndarray of shape (d, d)
        Standard errors of the weights given the graph, from the observed information; NaN for models and
        learners without a likelihood theory here.
    adjacency_ : ndarray of bool, shape (d, d)
    cpdag_ : ndarray of bool, shape (d, d)
        The Markov equivalence class of the graph: both entries True for a reversible edge.
    order_ : ndarray of int, shape (d,)
        Causes before effects.
    edges_ : DataFrame
        Columns from, to, weight, se, reversible, confidence (share of resamples with this direction; an edge
        without direction in a resample counts half), adjacency (share with an edge in either direction).
    intercept_, noise_var_, mean_ : ndarray of shape (d,)
    covariance_, precision_ : ndarray of shape (d, d)
        Of all columns, as the graph implies (nonlinear: of the completed table).
    expected_covariance_ : ndarray of shape (d, d)
        Expected covariance of the completed table; the graph does not restrict it.
    loglik_ : float
        Log-likelihood of the observed entries (nongaussian: of the Gaussian with the same moments; nonlinear: of
        the completed table).
    score_ : float
        ``loglik_`` less the penalty of the edges.
    loglik_path_, score_path_ : ndarray
        After each E-step of the winning start.
    n_iter_ : int
    converged_ : bool
    edge_confidence_, skeleton_confidence_ : ndarray of shape (d, d)
        Shares of resamples with i → j, and with i and j adjacent; only if ``n_bootstrap`` is positive.
    noise_family_ : list of str
        Noise of each column.
    missing_patterns_ : DataFrame
        See `statkit.causal.missing_patterns`.
    varsortability_ : float
        Share of the ordered pairs with a directed path along which the observed variance rises. Near 1,
        methods that use variances (equal_var, notears, …) may only be sorting by variance. NaN
        for a graph without edges.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    See Also
    --------
    MissDAGCV : Chooses the penalty by cross-validation.

    Notes
    -----
    All attributes are in the units of the data, whatever scale the learner saw.

    References
    ----------
    E. Gao, I. Ng, M. Gong, L. Shen, W. Huang, T. Liu, K. Zhang, H. Bondell (2022), "MissDAG: Causal discovery
    in the presence of missing data with continuous additive noise models".

    Examples
    --------
    >>> from statkit.causal import MissDAG, ampute, shd, simulate_dag, simulate_sem
    >>> W = simulate_dag(6, degree=2, random_state=1)
    >>> X = ampute(simulate_sem(W, 500, random_state=2), 0.2, random_state=3)
    >>> dag = MissDAG(model="equal_var").fit(X)
    >>> shd(W, dag.adjacency_)
    0
    >>> filled = dag.transform(X)
    """

    _parameter_constraints: ClassVar[dict] = {
        "model": [StrOptions(set(LEARNERS))],
        "learner": [StrOptions({"auto", *(name for names in LEARNERS.values() for name in names)})],
        "penalty_discount": [Interval(Real, 0, None, closed="left")],
        "lambda1": [None, Interval(Real, 0, None, closed="left")],
        "w_threshold": [None, Interval(Real, 0, None, closed="left")],
        "n_starts": [Interval(Integral, 1, None, closed="left")],
        "effective_n": ["boolean"],
        "init": [StrOptions({"saturated", "observed", "zero"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "init_max_iter": [Interval(Integral, 1, None, closed="left")],
        "accelerate": ["boolean"],
        "two_step": ["boolean"],
        "refit": ["boolean"],
        "noise": [
            StrOptions({"auto", "gaussian", "logistic", "laplace", "student", "subgaussian", "gumbel"})
        ],
        "n_chains": [Interval(Integral, 1, None, closed="left")],
        "n_sweeps": [Interval(Integral, 1, None, closed="left")],
        "graph": ["array-like", None],
        "order": ["array-like", None],
        "forbidden": ["array-like", set, None],
        "required": ["array-like", set, None],
        "tiers": [list, tuple, None],
        "standardize": ["boolean"],
        "n_bootstrap": [Interval(Integral, 0, None, closed="left")],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: Literal["gaussian", "equal_var", "nongaussian", "nonlinear"] = "gaussian",
        *,
        learner: str = "auto",
        penalty_discount: float = 2.0,
        lambda1: float | None = None,
        w_threshold: float | None = None,
        n_starts: int = 5,
        effective_n: bool = True,
        init: Literal["saturated", "observed", "zero"] = "saturated",
        max_iter: int = 100,
        tol: float = 1e-6,
        init_max_iter: int = 50,
        accelerate: bool = True,
        two_step: bool = False,
        refit: bool = True,
        noise: Literal[
            "auto", "gaussian", "logistic", "laplace", "student", "subgaussian", "gumbel"
        ] = "auto",
        n_chains: int = 5,
        n_sweeps: int = 3,
        graph: ArrayLike | None = None,
        order: Any = None,
        forbidden: Any = None,
        required: Any = None,
        tiers: Any = None,
        standardize: bool = False,
        n_bootstrap: int = 0,
        n_jobs: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.learner = learner
        self.penalty_discount = penalty_discount
        self.lambda1 = lambda1
        self.w_threshold = w_threshold
        self.n_starts = n_starts
        self.effective_n = effective_n
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.init_max_iter = init_max_iter
        self.accelerate = accelerate
        self.two_step = two_step
        self.refit = refit
        self.noise = noise
        self.n_chains = n_chains
        self.n_sweeps = n_sweeps
        self.graph = graph
        self.order = order
        self.forbidden = forbidden
        self.required = required
        self.tiers = tiers
        self.standardize = standardize
        self.n_bootstrap = n_bootstrap
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def reference(cls, **parameters: Any) -> MissDAG:
        """Return an estimator with the settings of the authors' program, for comparison.

        NOTEARS on the expected moments from a zero start at each of ten iterations, penalty 0.02, threshold
        0.3 at the end, no refit.

        Parameters
        ----------
        **parameters
            Change some of them.

        Returns
        -------
        MissDAG
        """
        settings = {
            "model": "equal_var",
            "learner": "notears",
            "lambda1": 0.02,
            "w_threshold": 0.3,
            "init": "zero",
            "max_iter": 10,
            "tol": 0.0,
            "refit": False,
        }
        return cls(**(settings | parameters))

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the graph.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
            NaN where missing. Rows without any observed entry count for nothing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            A weight of 2 is a row given twice.

        Returns
        -------
        MissDAG
            The estimator itself.

        Raises
        ------
        ValueError
            If a column has no observed or a constant value, an entry is infinite or no number, or the
            knowledge about the graph contradicts itself.
        """
        with unchanged_on_error(self):
            return self._fit(X, sample_weight)

    def _fit(self, X, sample_weight):
        X = validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        names = column_names(self, X.shape[1])
        variances = check_table(X, weight, names, equal_var=self.model == "equal_var")
        options = self._options(X.shape[1], names)
        random = check_random_state(self.random_state)
        seed = random.randint(2**31 - 1)
        confidence = None
        with one_blas_thread():
            fit = fit_table(X, weight, options, random)
            if self.n_bootstrap:
                confidence = bootstrap_confidence(
                    X, weight, options, self.n_bootstrap, fit.saturated, seed, self.n_jobs
                )
        self._store(fit, options, names, variances, confidence)
        self._sampling_seed = seed
        patterns = pd.DataFrame(X, columns=names) if len(set(names)) == len(names) else X
        self.missing_patterns_ = missing_patterns(patterns)
        if not fit.converged:
            warnings.warn(
                f"the EM stopped after {fit.n_iter} E-steps before it converged: raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=4,
            )
        if self.verbose:
            print(
                f"MissDAG: {int(fit.adjacency.sum())} edges, log-likelihood {self.loglik_:.3f}, "
                f"{fit.n_iter} E-steps"
            )
        return self

    def _options(self, d: int, names: list[str]) -> Options:
        allowed = LEARNERS[self.model]
        given = self.graph is not None or self.order is not None
        learner = ("fixed" if given else allowed[0]) if self.learner == "auto" else self.learner
        if learner not in allowed:
            raise ValueError(
                f"model={self.model!r} has no learner {learner!r}; its learners are {', '.join(allowed)}"
            )
        if (learner == "fixed") != given or (self.graph is not None and self.order is not None):
            raise ValueError("learner='fixed', and only that, needs one of graph= and order=")
        if not self.refit and learner not in ("notears", "golem", "dagma"):
            raise ValueError(f"refit=False is for notears, golem and dagma, not for {learner}")
        knowledge = Knowledge.of(
            d, forbidden=self.forbidden, required=self.required, tiers=self.tiers, names=names
        )
        graph = order = None
        if self.graph is not None:
            graph = check_graph(self.graph, "graph")
            if graph.shape != (d, d):
                raise ValueError(f"graph has shape {graph.shape}, but X has {d} columns")
            if (graph & ~knowledge.allowed).any() or (knowledge.required & ~graph).any():
                raise ValueError("graph contradicts forbidden, required or tiers")
        if self.order is not None:
            from statkit.causal.dag_learners.order import check_order

            numbers = [names.index(c) if c in names else c for c in np.asarray(self.order).tolist()]
            order = check_order(numbers, knowledge)
        return Options(
            learner=learner,
            graph=graph,
            order=order,
            knowledge=knowledge,
            **{
                name: getattr(self, name)
                for name in Options._fields
                if name not in ("learner", "graph", "order", "knowledge")
            },
        )

    def _store(self, fit, options, names, variances, confidence) -> None:
        self.weights_ = fit.weights
        self.weights_se_ = fit.weights_se
        self.adjacency_ = fit.adjacency
        self.cpdag_ = cpdag(fit.adjacency, knowledge=options.knowledge)
        self.order_ = topological_order(fit.adjacency)
        self.mean_ = fit.mean
        self.intercept_ = fit.mean - fit.mean @ fit.weights
        self.noise_var_ = fit.noise_var
        self.covariance_ = fit.covariance
        self.precision_ = fit.precision
        self.expected_covariance_ = fit.S
        self.loglik_ = fit.loglik
        self.score_ = fit.score
        self.loglik_path_ = fit.loglik_path
        self.score_path_ = fit.score_path
        self.n_iter_ = fit.n_iter
        self.converged_ = fit.converged
        self.noise_family_ = ["gaussian"] * len(names) if fit.extra is None else fit.extra.families()
        self._noise_model = fit.extra
        paths = reachability(fit.adjacency)
        rising = variances[:, None] < variances
        self.varsortability_ = float(rising[paths].mean()) if paths.any() else np.nan
        if confidence is not None:
            self.edge_confidence_, self.skeleton_confidence_ = confidence
        elif hasattr(self, "edge_confidence_"):
            del self.edge_confidence_, self.skeleton_confidence_
        self.edges_ = self._edge_table(names, confidence)

    def _edge_table(self, names, confidence) -> pd.DataFrame:
        i, j = np.nonzero(self.adjacency_)
        unknown = np.full(len(i), np.nan)
        reversible = self.cpdag_[j, i] if self.model == "gaussian" else np.zeros(len(i), dtype=bool)
        return pd.DataFrame(
            {
                "from": [names[k] for k in i],
                "to": [names[k] for k in j],
                "weight": self.weights_[i, j],
                "se": self.weights_se_[i, j],
                "reversible": reversible,
                "confidence": unknown if confidence is None else confidence[0][i, j],
                "adjacency": unknown if confidence is None else confidence[1][i, j],
            }
        )

    def transform(self, X: Any) -> Any:
        """Fill the holes with their expected values given what is observed of the row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)

        Returns
        -------
        ndarray of shape (n, d), or what `set_output` asks for
            Observed entries unchanged; rows without any are the mean.
        """
        X = self._new_rows(X)
        if self._noise_model is not None:
            return np.where(np.isnan(X), self._noise_model.draw(X, self._sampling_seed).mean(axis=0), X)
        return impute(X, self.mean_, self.precision_, self.covariance_)[0]

    def impute_std(self, X: Any) -> np.ndarray:
        """Return the standard deviation of each missing entry given what is observed of its row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)

        Returns
        -------
        ndarray of shape (n, d)
            0 where observed.
        """
        X = self._new_rows(X)
        if self._noise_model is not None:
            return np.where(np.isnan(X), self._noise_model.draw(X, self._sampling_seed).std(axis=0), 0.0)
        return impute(X, self.mean_, self.precision_, self.covariance_, spread=True)[1]

    def sample_posterior(self, X: Any, n_draws: int = 1, random_state: Seed = None) -> np.ndarray:
        """Draw the missing entries given the observed ones, for multiple imputation.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
        n_draws : int, default=1
        random_state : int, RandomState or None

        Returns
        -------
        ndarray of shape (n_draws, n, d)
            Completed tables.
        """
        X = self._new_rows(X)
        random = check_random_state(random_state)
        if self._noise_model is not None:
            return self._noise_model.draw(X, random.randint(2**31 - 1), n_draws=n_draws)
        parameters = self.mean_, self.precision_, self.covariance_
        return np.array([gaussian_draw(X, *parameters, random) for _ in range(n_draws)])

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the Gaussian log density of the observed entries of each row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)

        Returns
        -------
        ndarray of shape (n,)
            0 for a row without observed entries.
        """
        X = self._new_rows(X)
        return IncompleteData(X, centre=False).row_loglik(self.mean_, self.precision_, self.covariance_)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean of `score_samples`.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        return float(np.average(self.score_samples(X), weights=sample_weight))

    def bic(self, X: Any) -> float:
        """Return the Bayesian information criterion of the model on ``X``; smaller is better."""
        loglik = self.score_samples(X).sum()
        return float(-2 * loglik + np.log(len(X)) * self._n_parameters())

    def aic(self, X: Any) -> float:
        """Return Akaike's information criterion of the model on ``X``; smaller is better."""
        return float(-2 * self.score_samples(X).sum() + 2 * self._n_parameters())

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw the graph: see `statkit.plotting.GraphDisplay`.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **options
            Of `GraphDisplay.plot`.

        Returns
        -------
        GraphDisplay
        """
        from statkit.plotting import GraphDisplay

        return GraphDisplay.from_estimator(self, ax=ax, **options)

    def _n_parameters(self) -> int:
        d = len(self.mean_)
        return int(self.adjacency_.sum()) + d + (1 if self.model == "equal_var" else d)

    def _new_rows(self, X) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", reset=False
        )

    def _names(self) -> list[str]:
        check_is_fitted(self)
        return column_names(self, len(self.mean_))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags
