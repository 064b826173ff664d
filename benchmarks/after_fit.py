"""What follows a fit against statsmodels: CPU seconds, agreement, memory as the rows grow.

    python benchmarks/after_fit.py [--size small|full] [--only LINE …]

One thread, alternating within one process; least CPU seconds of the repetitions.
"""

import os
import tempfile
import warnings
from pathlib import Path

import _harness as h
import numpy as np
import statsmodels.api as sm

from statkit import glm
from statkit.datasets import load_flights, write_glm_parquet
from statkit.regression import GLMClassifier, marginal_effects, predictions

warnings.simplefilter("ignore")


def _logit(n, p=10):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    y = (rng.random(n) < 1 / (1 + np.exp(-X @ np.linspace(-0.5, 0.5, p)))).astype(float)
    ours = GLMClassifier(engine="serial").fit(X, y)
    return X, y, ours


def _compared(works, repeats, target, work, worst):
    out = h.alternate(repeats, **works)
    cpu = {name: figure["cpu"] for name, figure in out["figures"].items()}
    ratio, worst = cpu["statsmodels"] / cpu["statkit"], worst(*out["answers"].values())
    measured = f"{ratio:.1f} × faster, {worst:.1e}"
    return h.Line(work, target, measured, ratio > 1 and worst < 1e-6, out["figures"])


def effects(full):
    n = 200_000 if full else 20_000
    X, y, ours = _logit(n)
    theirs = sm.Logit(y, sm.add_constant(X)).fit(disp=0, tol=1e-10)
    works = {
        "statkit": lambda: marginal_effects(ours, X),
        "statsmodels": lambda: theirs.get_margeff(),
    }

    def worst(a, b):
        return max(np.abs(a.values / b.margeff - 1).max(), np.abs(a.bse.to_numpy() / b.margeff_se - 1).max())

    return _compared(
        works, 3, "faster; effects and errors to 1e-6", f"average effects of a logit, {n:,} × 10", worst
    )


def prediction_intervals(full):
    n = 200_000 if full else 20_000
    X, y, ours = _logit(n)
    Z = sm.add_constant(X)
    theirs = sm.GLM(y, Z, sm.families.Binomial()).fit(tol=1e-10)
    works = {
        "statkit": lambda: predictions(ours, X),
        "statsmodels": lambda: theirs.get_prediction(Z).summary_frame(),
    }

    def worst(a, b):
        return float(np.abs(a.to_numpy() / b.to_numpy() - 1).max())

    return _compared(works, 3, "faster; intervals to 1e-6", f"predictions with intervals, {n:,} × 10", worst)


def memory(full):
    """Growth of the peak while effects and predictions read files of two lengths."""
    rows = (500_000, 4_000_000) if full else (50_000, 200_000)
    grown = {}
    with tempfile.TemporaryDirectory() as folder:
        for n in rows:
            path = Path(folder) / f"{n}.parquet"
            write_glm_parquet(
                path, n, 6, family="binomial", n_levels=(5,), random_state=0, row_group_size=50_000
            )
            fit = glm(
                "y ~ " + " + ".join([*(f"x{j}" for j in range(6)), "c0"]), path, "binomial", engine="serial"
            )
            marginal_effects(fit, path, "x0")  # compiled
            grown[f"effects {n}"] = h.measured(lambda fit=fit, path=path: marginal_effects(fit, path))
            out = Path(folder) / "out.parquet"
            grown[f"predictions {n}"] = h.measured(
                lambda fit=fit, path=path, out=out: predictions(fit, path, output=out)
            )
            os.remove(path)
    few, many = (
        {name.split()[0]: grown[name]["growth_mb"] for name in grown if name.endswith(str(n))} for n in rows
    )
    more = max(many[name] - few[name] for name in few)
    measured = ", ".join(f"{name} {few[name]:.0f} → {many[name]:.0f} MB" for name in few)
    return h.Line(
        f"peak memory, {rows[0]:,} and {rows[1]:,} rows of a file", "within 100 MB of each other", measured, more < 100,
        grown,
    )  # fmt: skip


def flights(full):
    frame = load_flights(as_frame=True).frame
    frame = frame.iloc[:: 1 if full else 30]
    frame = frame.assign(late=(frame["delay"] > 15).astype(float))[["late", "distance", "date", "origin"]]
    formula = "late ~ poly(distance, 2) + bs(hour(date), df=5) + C(weekday(date))"
    glm(formula, frame.iloc[:1000], "binomial")
    fit = glm(formula, frame, "binomial", engine="serial")
    marginal_effects(fit, frame.iloc[:1000])
    out = h.alternate(
        1,
        fit=lambda: glm(formula, frame, "binomial", engine="serial"),
        effects=lambda: marginal_effects(fit, frame),
    )
    cpu = {name: figure["cpu"] for name, figure in out["figures"].items()}
    return h.Line(
        f"all effects of a flights model, {len(frame):,} rows", "not more than twice the fit",
        f"{cpu['effects']:.1f} CPU s; the fit {cpu['fit']:.1f}", cpu["effects"] <= 2 * cpu["fit"], out["figures"],
    )  # fmt: skip


LINES = {"effects": effects, "predictions": prediction_intervals, "memory": memory, "flights": flights}


def main():
    arguments = h.arguments(LINES)
    chosen = arguments.only or list(LINES)
    lines = {}
    for name in chosen:
        lines[name] = LINES[name](arguments.size == "full")
        print(f"{name}: {lines[name].measured}", flush=True)
    h.show(h.record("after_fit", arguments.size, lines), list(LINES))


if __name__ == "__main__":
    main()
