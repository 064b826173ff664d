"""Figures that the guides state beside the mathematics: each small, each by the code that the guide speaks of.

    python benchmarks/guides.py [--only LINE …]

The size makes no difference.
"""

from __future__ import annotations

import warnings

import _harness as h
import numpy as np


def weekdays():
    """By how much the errors of the flights' weekdays grow when rows of one day may depend on each other."""
    from statkit import glm
    from statkit.datasets import flights_path

    formula, path = "I(delay > 15) ~ distance + C(weekday(date))", flights_path()
    plain = glm(formula, path, family="binomial").estimate_.bse
    days = glm(formula, path, family="binomial", groups="date(date)", cov_type="cluster").estimate_.bse
    ratio = float((days / plain).iloc[2:].median())
    return h.Line("flights: errors of weekdays, clustered by day, to model-based", "–", f"{ratio:.1f} ×", True,
                  {"ratio": ratio})  # fmt: skip


def buffer():
    """What the rows that a stream keeps are worth: distance to the fit of all rows with and without them."""
    from statkit.datasets import make_glm
    from statkit.plans import Renewable
    from statkit.regression import GLMClassifier

    ratios = []
    for seed in range(10):
        X, y, _ = make_glm(100_000, 10, family="binomial", random_state=seed)
        exact = GLMClassifier().fit(X, y)
        far = []
        for rows in (5_000, 0):
            plan = Renewable(buffer_rows=rows, n_passes=1, batch_size=1_000)
            fit = GLMClassifier(plan=plan).fit(X, y)
            far.append(
                np.sqrt(np.mean(((fit.coef_ - exact.coef_).ravel() / exact.estimate_.bse.iloc[1:]) ** 2))
            )
        ratios.append(far[1] / far[0])
    ratio = float(np.median(ratios))
    return h.Line("stream of 100,000 rows: distance without kept rows to distance with them", "–", f"{ratio:.1f} ×",
                  True, {"ratio": ratio})  # fmt: skip


def components():
    """Averages of principal components: squared distance to those of all rows, weighted by signal and equally."""
    from sklearn.decomposition import PCA

    from statkit.decomposition import DistributedPCA

    rng = np.random.default_rng(0)
    far = {"signal": [], "equal": []}
    for _ in range(20):
        turn = np.linalg.qr(rng.standard_normal((50, 50)))[0]
        scale = np.sqrt(np.r_[6.0, 4.0, 2.5, np.ones(47)])
        X = rng.standard_normal((6_400, 50)) * scale @ turn
        V = PCA(3, svd_solver="full").fit(X).components_
        for weights, found in far.items():
            W = DistributedPCA(3, method="one_shot", n_partitions=32, weights=weights).fit(X).components_
            found.append(np.linalg.norm(V.T @ V - W.T @ W, 2))
    better = 1 - float(np.mean(far["signal"]) / np.mean(far["equal"]))
    return h.Line("distributed components: distance saved by signal weights", "–", f"{better:.0%}", True,
                  {"better": better})  # fmt: skip


def exponent():
    """The exponent above which only the uniform partition of the digits is found."""
    from sklearn.datasets import load_digits

    from statkit.cluster import critical_exponent

    value = float(critical_exponent(load_digits().data))
    return h.Line("digits: critical exponent", "–", f"{value:.2f}", True, {"value": value})


def thinning():
    """How far plug-in errors move when only one piece of rows in four is summed."""
    from statkit.datasets import make_glm
    from statkit.plans import AveragedSGD
    from statkit.regression import GLMClassifier

    X, y, _ = make_glm(500_000, 10, family="binomial", random_state=0)
    sgd = GLMClassifier(plan=AveragedSGD()).fit(X, y).estimate_.bse
    exact = GLMClassifier().fit(X, y).estimate_.bse
    moved = float(np.abs(sgd / exact - 1).max())
    return h.Line(
        "plug-in errors of 500,000 rows against the exact fit's", "–", f"{moved:.1%}", True, {"moved": moved}
    )


def boundary():
    """Degrees between the leading mode of the unit interval and the exact one, by boundary condition."""
    from statkit.decomposition import karhunen_loeve, schrodinger_modes, subspace_angle

    where = {"shape": (1_000,), "coordinates": ((np.arange(1_000) + 0.5) / 1_000,), "n_components": 1}
    exact = karhunen_loeve("gaussian", 0.02, **where).components
    found = {}
    for name in ("robin", "dirichlet", "neumann"):
        modes = schrodinger_modes(1.0, 0.02, boundary=name, **where)
        found[name] = float(subspace_angle(modes.components, exact))
    return h.Line("interval, ℓ = .02: degrees to the exact leading mode", "–",
                  ", ".join(f"{name} {angle:.2f}" for name, angle in found.items()), True, found)  # fmt: skip


def operator():
    """Worst relative error of ten eigenvalues on a disc of falling variance, by operator."""
    from statkit.decomposition import karhunen_loeve, schrodinger_modes

    g = np.arange(-50, 51.0)
    variance = np.maximum(1 - (g[:, None] ** 2 + g**2) / 1_600, 0).ravel()
    exact = karhunen_loeve("gaussian", 3.0, variance, shape=(101, 101), n_components=10).eigenvalues
    found = {}
    for name in ("log", "quadratic-sym"):
        modes = schrodinger_modes(variance, 3.0, shape=(101, 101), operator=name, n_components=10)
        values = modes.eigenvalues
        found[name] = float(np.abs(values / exact[: len(values)] - 1).max())
    return h.Line("disc: worst error of ten eigenvalues", "–",
                  ", ".join(f"{name} {error:.1%}" for name, error in found.items()), True, found)  # fmt: skip


LINES = {f.__name__: f for f in (weekdays, buffer, components, exponent, thinning, boundary, operator)}


def main():
    warnings.simplefilter("ignore")
    args = h.arguments(LINES)
    done = {name: LINES[name]() for name in args.only or LINES}
    h.show(h.record("guides", "full", done), list(LINES))


if __name__ == "__main__":
    main()
