"""Subsampling against the fastest full fits: time, error relative to sampling noise, memory.

    python benchmarks/subsampling.py --size small|full

Everything runs on one thread and alternates within one process; times are CPU seconds, best of the
repetitions. Peers that are not installed are left out and named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import tracemalloc
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402 - after the number of threads is set
from scipy.special import expit  # noqa: E402

#: CPU seconds at 1e6 x 20 of R's subsampling::ssp.glm, measured on one core of another machine, for lack of
#: R here.
R_SSP_GLM = 1.6


def logistic(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, (rng.random(n) < expit(X @ np.linspace(-0.5, 0.5, p))).astype(float)


def timed(calls, repetitions):
    """Best CPU seconds of each call, in alternation, and its last answer."""
    best, answers = dict.fromkeys(calls, np.inf), {}
    for _ in range(repetitions):
        for name, call in calls.items():
            start = time.process_time()
            answers[name] = call()
            best[name] = min(best[name], time.process_time() - start)
    return best, answers


def in_memory(n, repetitions):
    from sklearn.linear_model import LogisticRegression

    from statkit.plans import Subsample
    from statkit.regression import GLMClassifier

    X, y = logistic(n, 20)

    def ours(**options):
        return GLMClassifier(plan=Subsample(**options), engine="serial", random_state=0).fit(X, y).estimate_

    def sklearn():
        model = LogisticRegression(C=np.inf).fit(X, y)
        return np.r_[model.intercept_, model.coef_[0]]

    calls = {
        "statkit calibrated": lambda: ours().values,
        "statkit refine=None": lambda: ours(refine=None).values,
        "statkit uniform + one step": lambda: ours(criterion="uniform", refine="one_step").values,
        "statkit exact": lambda: GLMClassifier(engine="serial").fit(X, y).estimate_.values,
        "scikit-learn lbfgs": sklearn,
    }
    missing = []
    try:
        from glum import GeneralizedLinearRegressor

        def glum():
            model = GeneralizedLinearRegressor(family="binomial", alpha=0).fit(X, y)
            return np.r_[model.intercept_, model.coef_]

        calls["glum"] = glum
    except ImportError:
        missing.append("glum")
    seconds, answers = timed(calls, repetitions)
    exact = GLMClassifier(engine="serial").fit(X, y).estimate_
    noise = float(np.trace(exact.covariance))
    peers = [seconds[name] for name in ("scikit-learn lbfgs", "glum") if name in seconds]
    rows = []
    for name in calls:
        error = float(((answers[name] - exact.values) ** 2).sum())
        rows.append(
            {
                "work": f"logistic {n:.0e} x 20",
                "method": name,
                "cpu_s": seconds[name],
                "best_peer_over_it": min(peers) / seconds[name],
                "error_over_sampling_variance": error / noise,
            }
        )
    # One draw is one draw: the error of the calibrated plan over several.
    draws = 10
    errors = [
        (
            (
                GLMClassifier(plan=Subsample(), engine="serial", random_state=s).fit(X, y).estimate_.values
                - exact.values
            )
            ** 2
        ).sum()
        for s in range(draws)
    ]
    rows.append({"work": f"logistic {n:.0e} x 20", "method": f"statkit calibrated, mean of {draws} draws",
                 "error_over_sampling_variance": float(np.mean(errors)) / noise})  # fmt: skip
    if n == 1_000_000:
        rows.append({"work": "logistic 1e+06 x 20", "method": "R ssp.glm (quoted)", "cpu_s": R_SSP_GLM,
                     "best_peer_over_it": min(peers) / R_SSP_GLM})  # fmt: skip
    tracemalloc.start()
    ours()
    rows.append({"work": f"logistic {n:.0e} x 20", "method": "statkit calibrated",
                 "peak_python_MB": tracemalloc.get_traced_memory()[1] / 2**20})  # fmt: skip
    tracemalloc.stop()
    return rows, missing


def flights():
    from functools import partial

    from statkit import glm
    from statkit.datasets import flights_path
    from statkit.plans import Subsample

    formula = "I(delay > 15) ~ distance + C(weekday(date)) + origin"
    options = {"family": "binomial", "engine": "serial", "random_state": 0}
    fit = glm(formula, flights_path(), plan=Subsample(20_000), **options)

    def reading():
        from statkit.regression._data import Roles
        from statkit.regression._fit import freeze, load_block, resolve
        from statkit.regression._tabular import tabular

        source, design, family = tabular(fit, flights_path(), Roles(), {})
        engine, source = resolve("serial", None, source)
        design, _ = freeze(design, source, engine)
        with engine.open(
            partial(load_block, source, design, family), source.partitions(), cache=False
        ) as session:
            return session.round(_rows)

    calls = {
        "reading and encoding alone": reading,
        "statkit Subsample(20_000)": lambda: glm(formula, flights_path(), plan=Subsample(20_000), **options),
        "statkit exact": lambda: glm(formula, flights_path(), **options),
    }
    seconds, _ = timed(calls, 1)
    base = seconds["reading and encoding alone"]
    return [
        {"work": "flights 3e6", "method": name, "cpu_s": s, "times_reading": s / base}
        for name, s in seconds.items()
    ]


def _rows(block):
    return {"n": block.n_rows}


def quantiles(n, repetitions):
    from statkit.regression import QuantileRegressor

    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, 10))
    y = X @ np.ones(10) + rng.standard_normal(n)
    fits = {
        tau: (lambda tau=tau: QuantileRegressor(tau, engine="serial").fit(X, y).estimate_)
        for tau in (0.5, 0.9, 0.99)
    }
    seconds, answers = timed(fits, repetitions)
    rows = [{"work": f"quantile {n:.0e} x 11", "method": f"statkit exact, tau={tau}", "cpu_s": s,
             "loss": answers[tau].objective} for tau, s in seconds.items()]  # fmt: skip
    from statsmodels.regression.quantile_regression import QuantReg

    few = min(n, 100_000)
    design = np.column_stack([np.ones(few), X[:few]])
    calls = {
        "statkit exact": lambda: (
            QuantileRegressor(0.5, engine="serial").fit(X[:few], y[:few]).estimate_.values
        ),
        "statsmodels": lambda: QuantReg(y[:few], design).fit(q=0.5).params,
    }
    seconds, answers = timed(calls, 1)
    for name in calls:
        e = y[:few] - design @ answers[name]
        rows.append({"work": f"quantile {few:.0e} x 11", "method": name, "cpu_s": seconds[name],
                     "best_peer_over_it": seconds["statsmodels"] / seconds[name],
                     "loss": float((e * (0.5 - (e < 0))).sum())})  # fmt: skip
    return rows


def bootstraps(n):
    from sklearn.linear_model import LinearRegression

    from statkit.inference import BagOfLittleBootstraps, SubsampledDoubleBootstrap

    rng = np.random.default_rng(2)
    X = rng.standard_normal((n, 10))
    y = X @ np.ones(10) + rng.standard_normal(n)
    theory = 1 / np.sqrt(n)
    draws = 200

    def full():
        out = []
        for s in range(10):
            w = np.random.default_rng(s).multinomial(n, np.full(n, 1 / n)).astype(float)
            out.append(LinearRegression().fit(X, y, sample_weight=w).coef_)
        return np.std(out, axis=0, ddof=1)

    calls = {
        "full bootstrap (10 fits, times 20)": full,
        "statkit SDB": lambda: (
            SubsampledDoubleBootstrap(LinearRegression(), n_resamples=draws, random_state=0)
            .fit(X, y)
            .bse_[1:]
        ),
        "statkit BLB": lambda: (
            BagOfLittleBootstraps(LinearRegression(), None, 5, 40, random_state=0).fit(X, y).bse_[1:]
        ),
    }
    seconds, answers = timed(calls, 1)
    seconds["full bootstrap (10 fits, times 20)"] *= draws / 10
    base = seconds["full bootstrap (10 fits, times 20)"]
    return [
        {
            "work": f"bootstrap {n:.0e} x 10",
            "method": name,
            "cpu_s": seconds[name],
            "best_peer_over_it": base / seconds[name],
            "se_over_theory": float(answers[name].mean() / theory),
        }
        for name in calls
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--only", nargs="*", default=["memory", "flights", "quantile", "bootstrap"])
    args = parser.parse_args()
    full = args.size == "full"
    rows, missing = [], []
    if "memory" in args.only:
        for n in (100_000, 1_000_000) if full else (100_000,):
            more, missing = in_memory(n, 3)
            rows += more
    if "flights" in args.only and full:
        rows += flights()
    if "quantile" in args.only:
        rows += quantiles(1_000_000 if full else 100_000, 1)
    if "bootstrap" in args.only:
        rows += bootstraps(200_000 if full else 50_000)
    keys = list(dict.fromkeys(k for row in rows for k in row))
    print("".join(f"{k[:28]:>30}" for k in keys))
    for row in rows:
        print(
            "".join(
                f"{(format(v, '.4g') if isinstance(v, float) else v):>30}"
                for v in (row.get(k, "") for k in keys)
            )
        )
    for name in missing:
        print(f"not installed: {name}")
    machine = {
        "platform": platform.platform(),
        "processor": platform.processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    out = Path(__file__).parent / "results" / "subsampling.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(
        json.dumps({"size": args.size, "machine": machine, "missing": missing, "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
