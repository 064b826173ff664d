"""Streams beside scikit-learn's, river's and Vowpal Wabbit's: rows a second, distance to the full fit, memory.

    python benchmarks/streaming.py --size small|full [--only speed distance memory …]

Peers that are not installed are left out and named: run it with a Python that has ``river`` and ``vowpalwabbit`` to
see them. Stochastic gradients have a script of their own, ``streaming_sgd.py``. Everything runs on one thread; times
are CPU seconds in alternation.
"""

from __future__ import annotations

import sys
import warnings

import _harness as harness
import numpy as np
from _harness import Line

P = 20


def logistic(n, seed=0, p=P):
    """Rows of correlated normals (.5 between neighbours) and a response of moderate signal."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * X[:, j]
    eta = X @ np.linspace(-0.4, 0.4, p) - 0.3
    return X, (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(np.int64)


def renewable(X, y, size, **options):
    from statkit.plans import Renewable
    from statkit.regression import GLMClassifier

    cov_type = options.pop("cov_type", "nonrobust")
    model = GLMClassifier(plan=Renewable(**options), cov_type=cov_type)
    for start in range(0, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size], classes=[0, 1])
    return model


def sgd(X, y, size):
    from sklearn.linear_model import SGDClassifier

    model = SGDClassifier(loss="log_loss", average=True, alpha=1e-12, learning_rate="constant", eta0=0.01)
    for start in range(0, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size], classes=[0, 1])
    return model


def river_rows(X, y, size):
    """River's mini-batch interface, the faster of its two; frames are made beforehand."""
    import pandas as pd
    from river import linear_model, optim

    frames = [
        (pd.DataFrame(X[s : s + size], columns=[f"x{j}" for j in range(P)]), pd.Series(y[s : s + size]))
        for s in range(0, len(y), size)
    ]
    model = linear_model.LogisticRegression(optim.SGD(0.01))

    def work():
        for frame, response in frames:
            model.learn_many(frame, response)
        return model

    return work


def river_one(X, y):
    """River's row interface on dicts made beforehand."""
    from river import linear_model, optim

    rows = [dict(enumerate(row)) for row in X.tolist()]
    model = linear_model.LogisticRegression(optim.SGD(0.01))

    def work():
        for row, response in zip(rows, y.tolist(), strict=True):
            model.learn_one(row, response)
        return model

    return work


def vowpal(X, y):
    """Vowpal Wabbit on examples whose text was made beforehand."""
    from vowpalwabbit import Workspace

    lines = [
        f"{2 * b - 1} | " + " ".join(f"f{j}:{v:.6f}" for j, v in enumerate(row))
        for row, b in zip(X.tolist(), y.tolist(), strict=True)
    ]
    model = Workspace("--loss_function logistic --quiet")

    def work():
        for line in lines:
            model.learn(line)
        return model

    return work


def installed(module) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def speed(full):
    n = 1_000_000 if full else 200_000
    X, y = logistic(n)
    renewable(X[:20_000], y[:20_000], 1_000)  # compiles
    renewable(X[:20_000], y[:20_000], 1_000, cov_type="HC1")
    lines = {}
    slow = {}
    for name, make in (("river", river_one), ("vowpalwabbit", vowpal)):
        if installed(name):
            m = 20_000
            found = harness.alternate(1, work=make(X[:m], y[:m]))["figures"]["work"]
            slow[name] = m / found["cpu"] / 1e6
    for size, target, ratio in ((1_000, 4.0, 2.5), (10_000, 8.0, 2.0)):
        works = {
            "statkit": lambda size=size: renewable(X, y, size),
            "statkit_robust": lambda size=size: renewable(X, y, size, cov_type="HC1"),
            "sklearn": lambda size=size: sgd(X, y, size),
        }
        if installed("river"):
            works["river_many"] = river_rows(X, y, size)
        figures = harness.alternate(3 if full else 2, **works)["figures"]
        rate = {name: n / f["cpu"] / 1e6 for name, f in figures.items()} | slow
        against = rate["statkit"] / rate["sklearn"]
        said = ", ".join(f"{name} {value:.2f}" for name, value in rate.items())
        met = rate["statkit"] >= target and against >= ratio
        if "river" in rate:
            met = met and rate["statkit"] >= 10 * rate["river"]
        lines[f"speed_{size}"] = Line(
            f"renewable logistic, p = {P}, batches of {size:,}, through partial_fit",
            f">= {target:g} M rows/s, {ratio:g} x scikit-learn, 10 x river",
            f"{rate['statkit']:.1f} M rows/s, {against:.1f} x scikit-learn ({said} M rows/s)",
            met, rate, "river: learn_one; river_many: learn_many",
        )  # fmt: skip
    return lines


def distance(full):
    from statkit.plans import Exact, Renewable
    from statkit.regression import GLMClassifier

    n = 1_000_000 if full else 100_000
    X, y = logistic(n, 1)
    exact = GLMClassifier(plan=Exact(tol=1e-12)).fit(X, y).estimate_

    def off(coef, intercept=None):
        params = coef.params.to_numpy() if intercept is None else np.r_[intercept, coef]
        d = (params - exact.params.to_numpy()) / exact.bse.to_numpy()
        return float(np.sqrt((d**2).mean())), float(np.abs(d).max())

    figures = {}
    for size in (1_000, 10_000):
        e = renewable(X, y, size).estimate_
        figures[f"one pass, batches of {size:,}"] = off(e)
        peer = sgd(X, y, size)
        figures[f"scikit-learn, batches of {size:,}"] = off(peer.coef_[0], peer.intercept_)
        figures[f"errors, batches of {size:,}"] = float(np.abs(e.bse / exact.bse - 1).max())
    again = GLMClassifier(plan=Renewable(batch_size=10_000)).fit(X, y).estimate_
    figures["two passes"] = off(again)
    one = max(figures["one pass, batches of 1,000"][0], figures["one pass, batches of 10,000"][0])
    return {
        "distance": Line(
            f"distance to the MLE, n = {n:,}, rms over coefficients, in standard errors",
            "one pass <= .1, two <= 1e-3",
            f"one pass {one:.3f}, two {figures['two passes'][0]:.1e}; scikit-learn "
            f"{figures['scikit-learn, batches of 1,000'][0]:.1f} (1,000), "
            f"{figures['scikit-learn, batches of 10,000'][0]:.1f} (10,000)",
            one <= 0.1 and figures["two passes"][0] <= 1e-3, figures,
        )
    }  # fmt: skip


def memory(full):
    n, size = (10_000_000 if full else 1_000_000), 10_000
    rng = np.random.default_rng(0)
    X, y = logistic(size)
    from statkit.plans import Renewable
    from statkit.regression import GLMClassifier

    model = GLMClassifier(plan=Renewable(on_drift="ignore"))
    model.partial_fit(X, y, classes=[0, 1])
    theta = np.linspace(-0.4, 0.4, P)

    def stream():
        for _ in range(n // size - 1):
            X[:] = rng.standard_normal((size, P))
            y[:] = rng.random(size) < 1 / (1 + np.exp(0.3 - X @ theta))
            model.partial_fit(X, y)

    found = harness.measured(stream)
    return {
        "memory": Line(
            f"stream of {n:,} rows, {P} columns, batches of {size:,}",
            "<= 100 MB beyond the batch",
            f"{found['growth_mb']:.0f} MB, {found['cpu']:.0f} CPU s with drawing the rows",
            found["growth_mb"] <= 100, found,
        )
    }  # fmt: skip


PARTS = {"speed": speed, "distance": distance, "memory": memory}


def main():
    warnings.simplefilter("ignore")
    args = harness.arguments(PARTS)
    lines = {}
    for name in args.only or PARTS:
        lines |= PARTS[name](args.size == "full")
    path = harness.record("streaming", args.size, lines)
    harness.show(path, list(lines))
    for peer in ("river", "vowpalwabbit"):
        if not installed(peer):
            print(f"not installed: {peer}", file=sys.stderr)


if __name__ == "__main__":
    main()
