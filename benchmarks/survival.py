"""Cox's model and its neighbours against statsmodels and lifelines: CPU seconds, agreement, error of subsamples.

    python benchmarks/survival.py [--size small|full] [--only LINE …]

One thread, alternating within one process; least CPU seconds of the repetitions. Peers that are not installed
(lifelines) are left out.
"""

import warnings

import _harness as h
import numpy as np

from statkit.decomposition import DistributedPCA
from statkit.plans import Subsample
from statkit.regression import CoxPHRegressor, OrderedClassifier

warnings.simplefilter("ignore")


def survival(n, p, events=0.7, seed=0):
    """Columns, and times with about this share of events, all of them different."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    time = rng.exponential(np.exp(-X @ np.linspace(-0.5, 0.5, p)))
    censored = rng.exponential(events / (1 - events), n) if events > 0.1 else rng.uniform(0, 2 * events, n)
    return X, np.column_stack([np.minimum(time, censored), time <= censored])


def cox(full):
    n = 20_000 if full else 4_000
    X, y = survival(n, 10)
    works = {"statkit": lambda: CoxPHRegressor(engine="serial").fit(X, y).estimate_.values}

    def statsmodels():
        from statsmodels.duration.hazard_regression import PHReg

        return PHReg(y[:, 0], X, status=y[:, 1], ties="efron").fit().params

    works["statsmodels"] = statsmodels
    try:
        import pandas as pd
        from lifelines import CoxPHFitter

        frame = pd.DataFrame(np.column_stack([X, y]), columns=[*map(str, range(10)), "t", "e"])
        works["lifelines"] = lambda: CoxPHFitter().fit(frame, "t", "e").params_.to_numpy()
    except ImportError:
        pass
    CoxPHRegressor().fit(X[:500], y[:500])
    out = h.alternate(3 if full else 2, **works)
    cpu = {name: figure["cpu"] for name, figure in out["figures"].items()}
    others = [name for name in works if name != "statkit"]
    ratio = min(cpu[name] for name in others) / cpu["statkit"]
    worst = max(np.abs(out["answers"]["statkit"] - out["answers"][name]).max() for name in others)
    return h.Line(
        f"Cox, {n:,} × 10, Efron", "faster than the fastest peer; coefficients to 1e-6",
        f"{ratio:.1f} × faster, {worst:.1e}", ratio > 1 and worst < 1e-6, out["figures"],
    )  # fmt: skip


def large(full):
    n = 1_000_000 if full else 100_000
    X, y = survival(n, 10)
    CoxPHRegressor().fit(X[:500], y[:500])
    out = h.alternate(1, statkit=lambda: CoxPHRegressor(engine="serial").fit(X, y))
    cpu = out["figures"]["statkit"]["cpu"]
    return h.Line(
        f"Cox, {n:,} × 10, {int(y[:, 1].sum()):,} event times", "-", f"{cpu:.1f} CPU s", True, out["figures"]
    )


def subsample(full):
    n, seeds = (200_000, 20) if full else (40_000, 5)
    X, y = survival(n, 6, events=0.02)
    exact = CoxPHRegressor(engine="serial").fit(X, y)
    variance = np.trace(exact.estimate_.covariance)
    figures = {}
    for name, options in (
        ("uniform", {"criterion": "uniform", "refine": None}), ("optA", {"criterion": "optA", "refine": None}),
        ("calibrated", {}),
    ):  # fmt: skip
        error = [
            np.sum(
                (
                    CoxPHRegressor(plan=Subsample(2_000, **options), random_state=s).fit(X, y).coef_
                    - exact.coef_
                )
                ** 2
            )
            for s in range(seeds)
        ]
        figures[name] = {"error": float(np.mean(error) / variance)}
    share = figures["calibrated"]["error"]
    return h.Line(
        f"Cox, {n:,} rows, 2,000 censored ones drawn", "error ≤ .1 × the full sampling variance",
        " / ".join(f"{name} {f['error']:.3g}" for name, f in figures.items()), share <= 0.1, figures,
    )  # fmt: skip


def ordered(full):
    n = 20_000 if full else 4_000
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 8))
    y = np.digitize(X @ np.linspace(-1, 1, 8) + rng.logistic(size=n), [-1, 0, 1.5])

    def statsmodels():
        from statsmodels.miscmodels.ordinal_model import OrderedModel

        return OrderedModel(y, X, distr="logit").fit(method="bfgs", disp=0, maxiter=200).params[:8]

    OrderedClassifier().fit(X[:500], y[:500])
    out = h.alternate(
        1, statkit=lambda: OrderedClassifier(engine="serial").fit(X, y).coef_, statsmodels=statsmodels
    )
    cpu = {name: figure["cpu"] for name, figure in out["figures"].items()}
    worst = np.abs(out["answers"]["statkit"] - out["answers"]["statsmodels"]).max()
    ratio = cpu["statsmodels"] / cpu["statkit"]
    return h.Line(
        f"ordered logit, {n:,} × 8, 4 classes", "faster than statsmodels", f"{ratio:.0f} × faster, {worst:.1e}",
        ratio > 1, out["figures"],
    )  # fmt: skip


def components(full):
    reps, figures = (20 if full else 4), {}
    for K in (4, 16, 64):
        found = []
        for seed in range(reps):
            rng = np.random.default_rng(seed)
            spread = np.concatenate([[6, 4, 2.5], np.ones(47)])
            X = (rng.standard_normal((6_400, 50)) * np.sqrt(spread)) @ np.linalg.qr(
                rng.standard_normal((50, 50))
            )[0]
            exact = DistributedPCA(3).fit(X)
            fits = [DistributedPCA(3, method="one_shot", n_partitions=K, n_steps=s).fit(X) for s in (0, 1)]
            gaps = [np.linalg.norm(f.components_.T @ f.components_ - exact.components_.T @ exact.components_, 2)
                    for f in fits]  # fmt: skip
            found.append([*gaps, fits[0].predicted_bias_, fits[1].predicted_bias_])
        names = ("one shot", "one step", "predicted", "predicted after the step")
        figures[f"K={K}"] = dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))
    text = " / ".join(f"{f['one shot']:.3f}, {f['one step']:.4f}" for f in figures.values())
    return h.Line("PCA, 6,400 × 50 in 4 / 16 / 64 machines", "distance; a step at least halves it", text,
                all(f["one step"] < 0.6 * f["one shot"] for f in figures.values()), figures)  # fmt: skip


LINES = {"cox": cox, "large": large, "subsample": subsample, "ordered": ordered, "components": components}


def main():
    args = h.arguments(LINES)
    lines = {key: LINES[key](args.size == "full") for key in args.only or LINES}
    h.show(h.record("survival", args.size, lines), list(LINES))


if __name__ == "__main__":
    main()
