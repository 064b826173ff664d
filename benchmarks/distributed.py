"""Distributed estimation: rounds over Parquet, overhead of engines, accuracy of one round, robustness, selection.

    python benchmarks/distributed.py [--size small|full] [--only LINE …]

CPU seconds with one BLAS thread; imports and the loading of compiled kernels are left out: each process fits a few
rows first. Engines that are not installed are left out and named. dask-glm is run by the interpreter that
``STATKIT_DASK_GLM_PYTHON`` names, since it wants packages of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import _harness as h
import numpy as np

ROOT = Path(__file__).parents[1]
# This folder goes last: the package ``distributed`` must not be this script.
sys.path.append(sys.path.pop(0))
sys.path.insert(0, str(ROOT))
warnings.filterwarnings("ignore")

N_PARQUET = {"small": 1_000_000, "full": 10_000_000}
N_MEMORY = {"small": 100_000, "full": 1_000_000}
REPEATS = {"small": 10, "full": 60}
# A folder in which simulated files stay for the next run (1.7 GB at full size).
KEEP = os.environ.get("STATKIT_BENCHMARK_FILES")


# -- exact fits -----------------------------------------------------------------------------------------------------


def parquet(size):
    with tempfile.TemporaryDirectory(prefix="statkit-benchmark-") as folder:
        path = Path(KEEP or folder) / f"distributed_{size}.parquet"
        if not path.exists():
            _write(path, N_PARQUET[size])
        names = ("parquet_near", "parquet_certified", "parquet_cold")
        figures = h.children(__file__, 1, *names, arguments=[path])
    near, certified, cold = (figures[name] for name in names)
    ratio = near["cpu"] / cold["cpu"], certified["cpu"] / cold["cpu"]
    off = np.array([np.abs(f.pop("distance")) for f in (near, certified)])
    peak = max(near["growth_mb"], certified["growth_mb"])
    return h.Line(
        f"logistic, {N_PARQUET[size]:,} x 21 Parquet: to 1e-4 SE / certified, against cold-start IRLS",
        "<= 0.4 x / <= 0.55 x; peak <= 500 MB",
        f"{ratio[0]:.2f} x / {ratio[1]:.2f} x ({near['cpu']:.1f}, {certified['cpu']:.1f}, {cold['cpu']:.1f} s); "
        f"{off[0]:.0e}, {off[1]:.0e} SE; +{peak:.0f} MB",
        ratio[0] <= 0.4 and ratio[1] <= 0.55 and peak <= 500 and off[0] <= 1e-4, figures,
    )  # fmt: skip


def _write(path, n):
    """Forty row groups; linear predictors spread enough that a cold start takes some seven rounds."""
    from statkit.datasets import write_glm_parquet

    coef = np.linspace(-1, 1, 20)
    write_glm_parquet(path, n, 20, family="binomial", coef=coef, random_state=0, row_group_size=n // 40)


def child_parquet_near(path):
    from statkit.plans import Exact

    return _on_file(path, Exact(certify=False))


def child_parquet_certified(path):
    from statkit.plans import Exact

    return _on_file(path, Exact())


def child_parquet_cold(path):
    import _cold_irls

    return _on_file(path, _cold_irls.ColdIRLS(), last=False)


def _on_file(path, plan, last=True):
    """Seconds and memory of a fit, and its distance to a fit to machine precision in standard errors."""
    from statkit.plans import Exact
    from statkit.regression import GLMRegressor

    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.parquet"
        _write(few, 50_000)
        GLMRegressor("binomial", plan=plan).fit(few, "y")
    model = GLMRegressor("binomial", plan=plan)
    figures = h.measured(lambda: model.fit(path, "y"))
    figures |= {"rounds": model.estimate_.n_rounds, "passes": model.estimate_.n_passes}
    figures["distance"] = 0.0
    if last:
        truth = GLMRegressor("binomial", plan=Exact(tol=1e-12, max_rounds=50)).fit(path, "y").estimate_
        off = (model.estimate_.values - truth.values) / truth.bse.to_numpy()
        figures["distance"] = float(np.sqrt(np.mean(off**2)))
    return figures


def dask_glm(size):
    n = N_MEMORY[size]
    python = os.environ.get("STATKIT_DASK_GLM_PYTHON")
    work = f"logistic, in memory, {n:,} x 21, against dask-glm"
    if python is None:
        return h.Line(work, ">= 5 x faster", "not measured: STATKIT_DASK_GLM_PYTHON is not set", False)
    figures = h.children(__file__, 3, "memory_statkit", arguments=[n])
    command = [python, __file__, "--child", "memory_dask_glm", str(n)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return h.Line(work, ">= 5 x faster", f"not measured: {done.stderr.splitlines()[-1]}", False)
    figures["dask-glm"] = json.loads(done.stdout.splitlines()[-1])
    ours = figures["memory_statkit"]["cpu"]
    best = min(v for k, v in figures["dask-glm"].items() if k in ("newton", "lbfgs"))
    return h.Line(
        work, ">= 5 x faster", f"{best / ours:.1f} x ({ours:.2f} against {best:.2f} s)", best >= 5 * ours,
        figures, "dask-glm's best of newton and lbfgs; it gives no standard errors",
    )  # fmt: skip


def child_memory_statkit(n):
    from statkit.datasets import make_glm
    from statkit.regression import GLMRegressor

    X, y, _ = make_glm(int(n), 20, family="binomial", random_state=0)
    GLMRegressor("binomial", n_jobs=1).fit(X[:30_000], y[:30_000])
    return h.measured(lambda: GLMRegressor("binomial", n_jobs=1).fit(X, y))


def child_memory_dask_glm(n):
    import dask
    import dask.array as da
    from dask_glm.algorithms import lbfgs, newton

    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(int(n)), rng.standard_normal((int(n), 20))])
    y = (rng.random(int(n)) < 1 / (1 + np.exp(-X @ rng.normal(scale=0.3, size=21)))).astype(float)
    A, b = da.from_array(X, chunks=(len(X) // 16, 21)), da.from_array(y, chunks=len(X) // 16)
    seconds = {}
    with dask.config.set(scheduler="synchronous"):
        for name, solver, options in (
            ("newton", newton, {}),
            ("lbfgs", lbfgs, {"regularizer": "l2", "lamduh": 0.0}),
        ):
            started = time.process_time()
            solver(A, b, **options)
            seconds[name] = time.process_time() - started
    return seconds


# -- engines --------------------------------------------------------------------------------------------------------

ROUND_TARGETS = {"threads": 20, "loky": 60, "dask": 100, "ray": 50}


def rounds(size):
    figures, measured, met = {}, [], True
    for name, target in ROUND_TARGETS.items():
        try:
            command = [sys.executable, __file__, "--child", "empty_rounds", name]
            done = subprocess.run(command, capture_output=True, text=True, timeout=170)
            found = json.loads(done.stdout.splitlines()[-1])
        except (subprocess.TimeoutExpired, IndexError, json.JSONDecodeError):
            measured.append(f"{name} not installed, or not started")
            continue
        figures[name] = found
        measured.append(f"{name} {found['median_ms']:.1f} ms")
        met = met and found["median_ms"] <= target
    return h.Line(
        "empty round of 16 tasks, median wall time",
        ", ".join(f"{name} <= {ms} ms" for name, ms in ROUND_TARGETS.items()), ", ".join(measured),
        met and len(figures) == len(ROUND_TARGETS), figures,
    )  # fmt: skip


def child_empty_rounds(name):
    from statkit.engines import resolve_engine
    from statkit.sources.partition import Partition

    close = []
    if name == "dask":
        from distributed import Client, LocalCluster

        cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, protocol="tcp"
        )
        engine = resolve_engine(Client(cluster))
        close = [cluster.close]
    elif name == "ray":
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        engine = resolve_engine(ray)
        close = [ray.shutdown]
    else:
        engine = resolve_engine({"loky": "processes"}.get(name, name), 2)
    partitions = [Partition(k, None, None, 100 * k, 100, None) for k in range(16)]
    times = []
    with engine.open(partial(_nothing, 0), partitions, cache=False) as session:
        for _ in range(3):
            session.round(_count)
        for _ in range(30):
            started = time.perf_counter()
            session.round(_count)
            times.append(1e3 * (time.perf_counter() - started))
    for done in close:
        done()
    return {"median_ms": float(np.median(times)), "least_ms": float(min(times))}


def _nothing(value, partition):
    return value


def _count(value):
    return {"n": 1}


# -- accuracy of one round --------------------------------------------------------------------------------------------


def one_round(size):
    """Error relative to the maximum likelihood estimate's, and coverage of 95 % intervals."""
    from statkit.plans import Exact, LeastSquaresApproximation, OneShot
    from statkit.regression import GLMRegressor

    rng = np.random.default_rng(1)
    beta = np.concatenate([[-0.5], np.linspace(-1, 1, 7)])
    plans = {"exact": Exact()}
    for K in (64, 128):
        plans[f"one-shot {K}"] = OneShot(K, bias_correction=None)
        plans[f"corrected LSA {K}"] = LeastSquaresApproximation(K)
    errors, inside = {name: [] for name in plans}, {name: [] for name in plans}
    for _ in range(REPEATS[size]):
        X = rng.standard_normal((16_384, 7))
        y = (rng.random(len(X)) < 1 / (1 + np.exp(-beta[0] - X @ beta[1:]))) * 1.0
        for name, plan in plans.items():
            e = GLMRegressor("binomial", plan=plan, engine="serial").fit(X, y).estimate_
            errors[name].append(e.values - beta)
            inside[name].append(np.abs(e.values - beta) <= 1.96 * e.bse.to_numpy())
    mse = {name: float(np.sqrt(np.mean(np.square(v)))) for name, v in errors.items()}
    figures = {
        name: {"ratio": mse[name] / mse["exact"], "coverage": float(np.mean(inside[name]))} for name in plans
    }
    shown = [f"{figures[f'corrected LSA {K}']['ratio']:.3f}, {figures[f'corrected LSA {K}']['coverage']:.3f} (one-shot "
             f"{figures[f'one-shot {K}']['ratio']:.2f}, {figures[f'one-shot {K}']['coverage']:.2f})"
             for K in (64, 128)]  # fmt: skip
    met = all(
        figures[f"corrected LSA {K}"]["ratio"] <= 1.03 and figures[f"corrected LSA {K}"]["coverage"] >= 0.94
        for K in (64, 128)
    )
    return h.Line(
        f"one round, logistic 16,384 x 8, K = 64 / 128, {REPEATS[size]} repetitions",
        "RMSE <= 1.03 x the MLE's, coverage >= .94", " / ".join(shown), met, figures,
    )  # fmt: skip


def quantile(size):
    from statkit.regression import QuantileRegressor

    n = N_MEMORY[size]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 10))
    y = X @ np.linspace(-1, 1, 10) + rng.standard_t(3, n)
    QuantileRegressor(n_jobs=1).fit(X[:20_000], y[:20_000])
    figures, wrong = {}, 0
    for tau in (0.5, 0.9):
        model = QuantileRegressor(quantile=tau, n_jobs=1)
        figures[str(tau)] = h.measured(lambda m=model: m.fit(X, y))
        wrong += int(model.estimate_.history["wrong"].iloc[-1])
    seconds = [f["cpu"] for f in figures.values()]
    return h.Line(
        f"exact quantile regression, {n:,} x 11, tau = .5, .9", "<= 3.5 CPU s, certificate zero",
        f"{seconds[0]:.2f}, {seconds[1]:.2f} s, {wrong} rows wrong", max(seconds) <= 3.5 and wrong == 0, figures,
    )  # fmt: skip


def robust(size):
    """Local estimates of 50 machines, 30 % of which answer something else."""
    from statkit.plans import OneShot
    from statkit.plans._aggregate import robust_mean, screened
    from statkit.regression import GLMRegressor

    rng = np.random.default_rng(2)
    K, n, bad = 50, 500, 15
    beta = np.concatenate([[-0.5], np.linspace(-1, 1, 5)])
    names = ("median", "trimmed", "geometric", "vrmom", "screened")
    attacks = {
        "flip": lambda B: -3 * B,
        "noise": lambda B: 10 * rng.standard_normal(B.shape),
        "huge": lambda B: 1e6 * rng.standard_normal(B.shape),
    }
    errors = {attack: {name: [] for name in ("clean", *names)} for attack in attacks}
    for _ in range(REPEATS[size]):
        X = rng.standard_normal((K * n, 5))
        y = (rng.random(K * n) < 1 / (1 + np.exp(-beta[0] - X @ beta[1:]))) * 1.0
        local, H = [], []
        for k in range(K):
            part = slice(k * n, (k + 1) * n)
            e = GLMRegressor("binomial", plan=OneShot(1, bias_correction="cox_snell"), engine="serial")
            e = e.fit(X[part], y[part]).estimate_
            local.append(e.values)
            H.append(e.information)
        local, metric, ones = np.array(local), np.median(H, axis=0), np.ones(K)
        for attack, answer in attacks.items():
            B = local.copy()
            B[:bad] = answer(B[:bad])
            errors[attack]["clean"].append(local[bad:].mean(axis=0) - beta)
            for name in names:
                center = (
                    screened(B, metric, ones, ones)[0] if name == "screened" else robust_mean(name, B, metric)
                )
                errors[attack][name].append(center - beta)
    size_of = {a: {k: float(np.sqrt(np.mean(np.square(v)))) for k, v in e.items()} for a, e in errors.items()}
    figures = {a: {k: v / e["clean"] for k, v in e.items()} for a, e in size_of.items()}
    worst = max(f["screened"] for f in figures.values())
    others = min(f["geometric"] for f in figures.values())
    return h.Line(
        f"30 % gross Byzantine of 50 machines, {REPEATS[size]} repetitions", "screened <= 1.1 x the clean mean",
        f"{worst:.2f} x (geometric median {others:.2f} x at best)", worst <= 1.1, figures,
    )  # fmt: skip


def selection(size):
    """Adaptive lasso of the least squares approximation, in the design of Zhu, Li and Wang (2021)."""
    from statkit.plans import Exact, LeastSquaresApproximation
    from statkit.regression import GLMRegressor

    n, K = 10_000, 5
    truths = {"gaussian": (3, 0, 0, 1.5, 0, 0, 2, 0), "binomial": (3, 0, 0, 1.5, 0, 0, 2, 0),
              "poisson": (0.8, 0, 0, 1, 0, 0, -0.4, 0)}  # fmt: skip
    figures = {}
    for family, beta in truths.items():
        beta = np.array(beta)
        for design in ("iid", "heterogeneous"):
            rng = np.random.default_rng(3)
            errors, right = [], []
            for _ in range(REPEATS[size]):
                X = np.vstack([_machine(rng, n // K, k, K, design) for k in range(K)])
                eta = X @ beta
                y = _answer(rng, family, eta)
                fit = {
                    name: GLMRegressor(family, plan=plan, engine="serial", fit_intercept=False).fit(X, y).estimate_
                    for name, plan in (
                        ("exact", Exact()), ("lsa", LeastSquaresApproximation(K)),
                        ("selected", LeastSquaresApproximation(K, selection="adaptive_lasso")),
                    )
                }  # fmt: skip
                errors.append([fit["exact"].values - beta, fit["lsa"].values - beta])
                right.append(((fit["selected"].values != 0) == (beta != 0)).all())
            mse = np.sqrt(np.square(errors).mean(axis=(0, 2)))
            figures[f"{family} {design}"] = {"ratio": mse[0] / mse[1], "correct": float(np.mean(right))}
    ratio, correct = (min(f[key] for f in figures.values()) for key in ("ratio", "correct"))
    return h.Line(
        f"adaptive lasso of the DLSA design, linear, logistic, Poisson, {REPEATS[size]} repetitions",
        "RMSE ratio >= .99, correct model >= .99", f"{ratio:.3f}, {correct:.3f} at worst",
        ratio >= 0.99 and correct >= 0.99, figures,
    )  # fmt: skip


def _machine(rng, n, k, K, design):
    Z = rng.standard_normal((n, 8))
    if design == "iid":
        return Z
    rho = np.linspace(0.3, 0.4, K)[k]
    root = np.linalg.cholesky(rho ** np.abs(np.subtract.outer(range(8), range(8))))
    return Z @ root.T + np.linspace(-1, 1, K)[k]


def _answer(rng, family, eta):
    if family == "gaussian":
        return eta + rng.standard_normal(len(eta))
    if family == "binomial":
        return (rng.random(len(eta)) < 1 / (1 + np.exp(-eta))) * 1.0
    return rng.poisson(np.exp(eta)) * 1.0


def lasso(size):
    """A lasso path of 50 penalties beside glum and scikit-learn."""
    from glum import GeneralizedLinearRegressor
    from sklearn.linear_model import lasso_path

    from statkit.regression import regularization_path

    n = N_MEMORY[size]
    rng = np.random.default_rng(4)
    X = rng.standard_normal((n, 50))
    eta = X[:, :6] @ np.array([0.5, -0.5, 0.4, 0.3, -0.2, 0.1])
    y, labels = eta + rng.standard_normal(n), (rng.random(n) < 1 / (1 + np.exp(-eta))) * 1.0
    regularization_path(X[:5_000], labels[:5_000], "binomial", n_alphas=3)
    regularization_path(X[:5_000], y[:5_000], n_alphas=3)
    linear = regularization_path(X, y, n_alphas=50, eps=1e-2, n_jobs=1)
    alphas = linear.index.to_numpy()
    both = regularization_path(X, labels, "binomial", n_alphas=50, eps=1e-2, n_jobs=1)
    run = h.alternate(
        1,
        statkit=lambda: regularization_path(X, y, alphas=alphas, n_jobs=1),
        **{"scikit-learn": lambda: lasso_path(X - X.mean(axis=0), y - y.mean(), alphas=alphas, tol=1e-8)},
    )
    figures = {f"linear {k}": v for k, v in run["figures"].items()}
    off = np.abs(
        run["answers"]["statkit"]["coef"].to_numpy()[:, 1:].T - run["answers"]["scikit-learn"][1]
    ).max()
    path = both.index.to_numpy()

    def theirs():
        model = GeneralizedLinearRegressor(
            family="binomial",
            alpha_search=True,
            n_alphas=50,
            min_alpha_ratio=1e-2,
            l1_ratio=1.0,
            gradient_tol=1e-6,
        )
        return model.fit(X, labels).coef_path_

    run = h.alternate(
        1, statkit=lambda: regularization_path(X, labels, "binomial", alphas=path, n_jobs=1), glum=theirs
    )
    figures |= {f"logistic {k}": v for k, v in run["figures"].items()}
    far = np.abs(run["answers"]["statkit"]["coef"].to_numpy()[:, 1:] - run["answers"]["glum"]).max()
    ratio = [figures["linear statkit"]["cpu"] / figures["linear scikit-learn"]["cpu"],
             figures["logistic statkit"]["cpu"] / figures["logistic glum"]["cpu"]]  # fmt: skip
    return h.Line(
        f"lasso paths of 50 penalties, {n:,} x 51, linear / logistic", "<= 1 x scikit-learn / glum",
        f"{ratio[0]:.2f} x / {ratio[1]:.2f} x; largest difference of a coefficient {off:.0e} / {far:.0e}",
        max(ratio) <= 1, figures,
    )  # fmt: skip


LINES = {f.__name__: f for f in (parquet, dask_glm, rounds, one_round, quantile, robust, selection, lasso)}


def main():
    options = h.arguments(LINES)
    if options.child:
        print(json.dumps(globals()[f"child_{options.child}"](*options.rest)))
        return
    for name in options.only or LINES:
        started = time.perf_counter()
        line = LINES[name](options.size)
        path = h.record("distributed", options.size, {name: line})
        print(f"{line.work}: {line.measured}  [{time.perf_counter() - started:.0f} s]", flush=True)
    h.show(path, list(LINES))


if __name__ == "__main__":
    main()
