"""Stochastic gradients with errors beside those without: rows a second, and how often the intervals hold.

    python benchmarks/streaming_sgd.py [--size small] [--only plugin scaling partial intervals saga]

Peers: scikit-learn's SGDClassifier (log loss, averaging); river and Vowpal Wabbit where they are installed.
"""

from __future__ import annotations

import _harness as h
import numpy as np

SIZES = {"small": (100_000, 5), "full": (1_000_000, 40)}
COLUMNS = 20


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, COLUMNS))
    b = np.linspace(-0.3, 0.3, COLUMNS)
    return X, (rng.random(n) < 1 / (1 + np.exp(-X @ b))).astype(float)


def statkit_fit(X, y, inference):
    from statkit.plans import AveragedSGD
    from statkit.regression import GLMRegressor

    return GLMRegressor("binomial", plan=AveragedSGD(inference=inference)).fit(X, y)


def sklearn_fit(X, y):
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(
        loss="log_loss",
        alpha=0.0,
        average=True,
        max_iter=1,
        tol=None,
        shuffle=False,
        learning_rate="constant",
        eta0=0.01,
    ).fit(X, y)


def batches(model, X, y, size, **first):
    for start in range(0, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size], **first)
    return model


def peers(X, y, classes=(0.0, 1.0)):
    """Works of peers that are installed."""
    works = {"scikit-learn": lambda: sklearn_fit(X, y)}
    few = min(len(y), 20_000)  # a Python call a row
    try:
        from river import linear_model, optim
    except ImportError:
        pass
    else:

        def river():
            model = linear_model.LogisticRegression(optim.SGD(0.01))
            names = [f"x{j}" for j in range(COLUMNS)]
            for x, t in zip(X[:few].tolist(), y[:few].tolist(), strict=True):
                model.learn_one(dict(zip(names, x, strict=True)), t > 0)
            return model

        works[f"river ({few:,} rows)"] = river
    try:
        from vowpalwabbit import Workspace
    except ImportError:
        pass
    else:
        lines = [
            f"{1 if t else -1} | " + " ".join(f"{j}:{v:.6g}" for j, v in enumerate(x))
            for x, t in zip(X[:few].tolist(), y[:few].tolist(), strict=True)
        ]

        def vw():
            model = Workspace("--loss_function logistic --quiet")
            for line in lines:
                model.learn(line)
            model.finish()

        works[f"Vowpal Wabbit ({few:,} rows)"] = vw
    return works


def speed(key, inference, target, size):
    n, _ = SIZES[size]
    X, y = rows(n)
    statkit_fit(X[:5_000], y[:5_000], inference)  # compiled
    out = h.alternate(5, statkit=lambda: statkit_fit(X, y, inference), **peers(X, y))
    for name, figure in out["figures"].items():
        count = int(name.split("(")[1].split()[0].replace(",", "")) if "(" in name else n
        figure["rows_per_second"] = count / figure["cpu"]
    mine = out["figures"]["statkit"]["rows_per_second"] / 1e6
    theirs = max(f["rows_per_second"] for name, f in out["figures"].items() if name != "statkit") / 1e6
    return h.Line(
        f"logistic, {n:,} x {COLUMNS}, {key}", f">= {target} M rows/s",
        f"{mine:.1f} M rows/s; best peer (coefficients only) {theirs:.1f}", mine >= target, out["figures"],
    )  # fmt: skip


def plugin(size):
    return speed("plug-in errors", "plugin", 8, size)


def scaling(size):
    return speed("random scaling, diagonal", "rs_diag", 15, size)


def partial(size):
    from sklearn.linear_model import SGDClassifier

    from statkit.plans import AveragedSGD
    from statkit.regression import GLMRegressor

    n, _ = SIZES[size]
    X, y = rows(n)

    def mine():
        return batches(GLMRegressor("binomial", plan=AveragedSGD(inference="rs_diag")), X, y, 10_000)

    def theirs():
        return batches(
            SGDClassifier(loss="log_loss", alpha=0.0, average=True, learning_rate="constant", eta0=0.01),
            X,
            y,
            10_000,
            classes=[0.0, 1.0],
        )

    mine()
    out = h.alternate(3, statkit=mine, **{"scikit-learn": theirs})
    f = out["figures"]
    ratio = f["scikit-learn"]["cpu"] / f["statkit"]["cpu"]
    return h.Line(
        "partial_fit, batches of 10,000, random scaling",
        ">= 3 x scikit-learn",
        f"{ratio:.1f} x",
        ratio >= 3,
        f,
    )


WAYS = ("plugin", "rs", "tbatch", "obm", "ibm", "higrad", "hulc", "bootstrap")
#: What earlier simulations say of 10⁵ rows one by one (logistic, p = 5).
KNOWN = {"plugin": 0.940, "rs": 0.931, "obm": 0.810, "higrad": 0.931}


def intervals(size):
    from statkit.plans import AveragedSGD
    from statkit.regression import GLMRegressor

    n, replicates = SIZES[size]
    n = min(n, 100_000)
    b = np.linspace(0, 1, 5)
    found = {way: {"coverage": [], "width": []} for way in WAYS}
    for seed in range(replicates):
        rng = np.random.default_rng([3, seed])
        X = rng.standard_normal((n, 5))
        y = (rng.random(n) < 1 / (1 + np.exp(-X @ b))).astype(float)
        for way in WAYS:
            if way == "bootstrap" and seed >= replicates // 4:
                continue
            plan = AveragedSGD("sgd", "none", way, 1, np.zeros(5), eta0=0.5)
            limits = GLMRegressor("binomial", plan=plan, fit_intercept=False).fit(X, y).conf_int().to_numpy()
            found[way]["coverage"].append(((limits[:, 0] <= b) & (b <= limits[:, 1])).mean())
            found[way]["width"].append((limits[:, 1] - limits[:, 0]).mean())
    figures = {
        way: {"coverage": float(np.mean(f["coverage"])), "width": float(np.mean(f["width"]))}
        for way, f in found.items()
    }
    error = 3 * np.sqrt(0.07 / (5 * replicates) + 0.07 / (5 * 260))
    met = all(abs(figures[way]["coverage"] - level) < error for way, level in KNOWN.items())
    shown = ", ".join(f"{way} {f['coverage']:.3f} ({f['width']:.4f})" for way, f in figures.items())
    return h.Line(
        "95 % intervals, logistic p = 5: coverage (width)",
        "known, within 3 Monte Carlo errors",
        shown,
        met,
        figures,
    )


def saga(size):
    """l1-penalised logistic regression on wide dense rows, to the same tolerance."""
    from sklearn.linear_model import LogisticRegression

    from statkit.solvers.variance_reduced import saga, svrg

    n, p = (5_000, 300) if size == "full" else (1_000, 100)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    y = (rng.random(n) < 1 / (1 + np.exp(-X[:, :5].sum(axis=1)))).astype(float)
    saga(X[:50], y[:50])
    svrg(X[:50], y[:50])
    options = {"alpha": 0.01, "l1_ratio": 1.0, "tol": 1e-6, "max_epochs": 1_000}
    peer = LogisticRegression(C=1 / (0.01 * n), l1_ratio=1.0, solver="saga", tol=1e-6, max_iter=1_000)
    out = h.alternate(
        3, saga=lambda: saga(X, y, **options), svrg=lambda: svrg(X, y, **options),
        **{"scikit-learn saga": lambda: peer.fit(X, y)},
    )  # fmt: skip
    f = out["figures"]
    ratio = f["scikit-learn saga"]["cpu"] / min(f["saga"]["cpu"], f["svrg"]["cpu"])
    return h.Line(f"l1 logistic, {n:,} x {p}", "> scikit-learn", f"{ratio:.1f} x", ratio > 1, f)


LINES = {"plugin": plugin, "scaling": scaling, "partial": partial, "intervals": intervals, "saga": saga}


def main():
    options = h.arguments(LINES)
    done = {name: LINES[name](options.size) for name in options.only or LINES}
    h.show(h.record("streaming_sgd", options.size, done), list(LINES))


if __name__ == "__main__":
    main()
