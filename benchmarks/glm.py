"""Generalized linear models beside scikit-learn, glum and statsmodels: time, memory, and distance to the answer.

    python benchmarks/glm.py [--size small|full] [--only LINE …]

Every line is one run in which the implementations alternate, each with one BLAS thread. In memory, statkit has one
thread too. Loading compiled kernels (about a second in a new process) and imports are left out: each process fits a
few rows first. Distances are root mean squares over coefficients, in standard errors.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import tempfile
import time
import warnings
from pathlib import Path

import _harness as h
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
warnings.filterwarnings("ignore")

FORMULA = "I(delay > 15) ~ poly(distance, 2) + C(hour(date)) + C(weekday(date)) + C(origin)"
FEATURES = [f"x{j}" for j in range(20)]
N_MEMORY = {"small": 100_000, "full": 1_000_000}
N_PARQUET = {"small": 1_000_000, "full": 10_000_000}


# A folder in which simulated files stay for the next run (1.7 GB each at full size).
KEEP = os.environ.get("STATKIT_BENCHMARK_FILES")


# -- in memory ------------------------------------------------------------------------------------------------------


def _data(family, n, link=None):
    from statkit.datasets import make_glm

    X, y, _ = make_glm(n, 20, family=family, link=link, random_state=0)
    return X, y.astype(float)


def _maximum(X, y, family, link):
    """Maximum likelihood estimate and standard errors: Newton in numpy, to machine precision."""
    from statkit.families import resolve_family

    kind = resolve_family(family, link)
    Z = np.column_stack([np.ones(len(X)), X])
    beta = np.linalg.lstsq(Z, kind.link_function(np.clip(0.8 * y + 0.2 * y.mean(), 1e-3, None)), rcond=None)[
        0
    ]
    r, w = np.empty(len(y)), np.empty(len(y))
    for _ in range(12):
        kind.link(Z @ beta, y, None, np.empty(0), None, r, w)
        H = (Z.T * w) @ Z
        beta = beta + np.linalg.solve(H, Z.T @ r)
    phi = 1.0
    if kind.dispersion != "known":
        phi = float(np.sum(r * r / w)) / (len(y) - 21)
    return beta, np.sqrt(phi * np.diag(np.linalg.inv(H)))


def _distance(intercept, coef, truth):
    beta, error = truth
    found = np.concatenate([np.ravel(intercept), np.ravel(coef)])
    return float(np.sqrt(np.mean(((found - beta) / error) ** 2)))


def _of(model):
    return model.intercept_, model.coef_


def logistic(size):
    import statsmodels.api as sm
    from glum import GeneralizedLinearRegressor
    from sklearn.linear_model import LogisticRegression

    from statkit.regression import GLMClassifier

    n = N_MEMORY[size]
    X, y = _data("binomial", n)
    truth = _maximum(X, y, "binomial", None)
    works = {
        "statkit": lambda: _of(GLMClassifier(n_jobs=1).fit(X, y)),
        "scikit-learn lbfgs": lambda: _of(LogisticRegression(C=np.inf).fit(X, y)),
        "scikit-learn newton-cholesky": lambda: _of(
            LogisticRegression(C=np.inf, solver="newton-cholesky").fit(X, y)
        ),
        "glum": lambda: _of(GeneralizedLinearRegressor(family="binomial", alpha=0).fit(X, y)),
    }
    GLMClassifier(n_jobs=1).fit(X[:30_000], y[:30_000])
    run = h.alternate(3, **works)

    def slow():
        fit = sm.GLM(y, sm.add_constant(X), family=sm.families.Binomial()).fit()
        return fit.params[0], fit.params[1:]

    last = h.alternate(1, **{"statsmodels GLM": slow})
    figures, answers = run["figures"] | last["figures"], run["answers"] | last["answers"]
    for name, answer in answers.items():
        figures[name]["distance_se"] = _distance(*answer, truth)
    ours = figures["statkit"]["cpu"]
    best = min(v["cpu"] for k, v in figures.items() if k not in ("statkit", "statsmodels GLM"))
    ratio, slow_ratio = ours / best, ours / figures["statsmodels GLM"]["cpu"]
    distance = figures["statkit"]["distance_se"]
    theirs = figures["scikit-learn lbfgs"]["distance_se"]
    return h.Line(
        f"logistic, in memory, {n:,} x 21",
        "<= 0.5 x best of scikit-learn, glum; <= 0.05 x statsmodels; <= 1e-4 SE",
        f"{ratio:.2f} x, {slow_ratio:.3f} x, {distance:.0e} SE (scikit-learn's default {theirs:.2g} SE)",
        ratio <= 0.5 and slow_ratio <= 0.05 and distance <= 1e-4,
        figures,
    )


def _against_glum(size, family, link=None):
    from glum import GeneralizedLinearRegressor

    from statkit.regression import GLMRegressor

    n = N_MEMORY[size]
    X, y = _data(family, n, link)
    truth = _maximum(X, y, family, link)
    theirs = {"family": family, "alpha": 0}
    if family == "gamma":
        theirs["link"] = "log"
    if link == "probit":
        theirs["link"] = _probit_for_glum()

    def ours():
        return _of(GLMRegressor(family, link=link, n_jobs=1).fit(X, y))

    GLMRegressor(family, link=link, n_jobs=1).fit(X[:30_000], y[:30_000])
    run = h.alternate(3, statkit=ours, glum=lambda: _of(GeneralizedLinearRegressor(**theirs).fit(X, y)))
    figures = run["figures"]
    for name, answer in run["answers"].items():
        figures[name]["distance_se"] = _distance(*answer, truth)
    ratio = figures["statkit"]["cpu"] / figures["glum"]["cpu"]
    return h.Line(
        f"{link or family}, in memory, {n:,} x 21", "<= 0.5 x glum",
        f"{ratio:.2f} x ({figures['statkit']['distance_se']:.0e} SE; glum {figures['glum']['distance_se']:.0e} SE)",
        ratio <= 0.5, figures,
        "glum has no probit link: one in scipy's functions was given to it" if link else "",
    )  # fmt: skip


def _probit_for_glum():
    from glum import Link
    from scipy.special import ndtr, ndtri

    class Probit(Link):
        def link(self, mu):
            return ndtri(mu)

        def derivative(self, mu):
            return 1 / self.inverse_derivative(ndtri(mu))

        def inverse(self, eta):
            return np.clip(ndtr(eta), 1e-15, 1 - 1e-15)

        def inverse_derivative(self, eta):
            return np.exp(-0.5 * eta * eta) / np.sqrt(2 * np.pi)

        def inverse_derivative2(self, eta):
            return -eta * self.inverse_derivative(eta)

    return Probit()


def poisson(size):
    return _against_glum(size, "poisson")


def gamma(size):
    return _against_glum(size, "gamma")


def probit(size):
    return _against_glum(size, "binomial", "probit")


def small(size):
    from sklearn.linear_model import LogisticRegression

    from statkit.datasets import make_glm
    from statkit.regression import GLMClassifier

    X, y, _ = make_glm(1_000, 5, family="binomial", random_state=0)

    def many(model):
        def work():
            for _ in range(20):
                model.fit(X, y)

        return work

    GLMClassifier().fit(X, y)
    run = h.alternate(20, statkit=many(GLMClassifier()), **{"scikit-learn": many(LogisticRegression())})
    figures = {k: {"cpu": v["cpu"] / 20, "wall": v["wall"] / 20} for k, v in run["figures"].items()}
    ratio = figures["statkit"]["cpu"] / figures["scikit-learn"]["cpu"]
    return h.Line(
        "logistic, 1,000 x 6, defaults", "<= 1 x LogisticRegression.fit",
        f"{ratio:.2f} x ({1e3 * figures['statkit']['cpu']:.2f} ms against {1e3 * figures['scikit-learn']['cpu']:.2f})",
        ratio <= 1, figures,
    )  # fmt: skip


def threads(size):
    from statkit.regression import GLMClassifier

    n = N_MEMORY[size]
    X, y = _data("binomial", n)
    GLMClassifier(n_jobs=2).fit(X, y)
    run = h.alternate(
        7, one=lambda: GLMClassifier(n_jobs=1).fit(X, y), two=lambda: GLMClassifier(n_jobs=2).fit(X, y)
    )
    gain = run["figures"]["one"]["wall"] / run["figures"]["two"]["wall"]
    return h.Line(
        f"2 threads against 1, logistic {n:,} x 21",
        ">= 1.6 x",
        f"{gain:.2f} x (wall)",
        gain >= 1.6,
        run["figures"],
    )


# -- from files -----------------------------------------------------------------------------------------------------


def demo(size):
    figures = h.children(__file__, 3, "demo_statkit", "demo_glum")
    ours, theirs = figures["demo_statkit"], figures["demo_glum"]
    cpu, memory = ours["cpu"] / theirs["cpu"], ours["growth_mb"] / theirs["growth_mb"]
    return h.Line(
        "3,000,000 flights x 260, from Parquet", "<= 0.5 x tabmat and glum in CPU; <= 0.5 x in memory",
        f"{cpu:.2f} x ({ours['cpu']:.2f} against {theirs['cpu']:.2f} s); {memory:.2f} x "
        f"(+{ours['growth_mb']:.0f} against +{theirs['growth_mb']:.0f} MB)",
        cpu <= 0.5 and memory <= 0.5, figures, "statkit on two threads; glum to its default tolerance",
    )  # fmt: skip


def child_demo_statkit():
    import pyarrow.parquet as pq

    from statkit import glm
    from statkit.datasets import flights_path

    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.parquet"
        pq.write_table(pq.ParquetFile(flights_path()).read_row_group(0).slice(0, 30_000), few)
        glm(FORMULA, few, family="binomial")
    return h.measured(lambda: glm(FORMULA, flights_path(), family="binomial"))


def child_demo_glum():
    import pandas as pd
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    import tabmat
    from glum import GeneralizedLinearRegressor

    from statkit.datasets import flights_path

    def fit(rows=None, alpha=0):
        table = pq.read_table(flights_path(), columns=["date", "delay", "distance", "origin"])
        table = table if rows is None else table.slice(0, rows)
        distance = table["distance"].to_numpy().astype(float)
        distance = (distance - distance.mean()) / distance.std()
        frame = pd.DataFrame({"distance": distance, "squared": distance**2})
        for name, codes in (("hour", pc.hour(table["date"])), ("weekday", pc.day_of_week(table["date"]))):
            codes = codes.to_numpy()
            frame[name] = pd.Categorical.from_codes(codes, categories=range(codes.max() + 1))
        frame["origin"] = table["origin"].combine_chunks().dictionary_encode().to_pandas()
        y = (table["delay"].to_numpy() > 15).astype(float)
        del table
        X = tabmat.from_df(frame, drop_first=True)
        return GeneralizedLinearRegressor(family="binomial", alpha=alpha).fit(X, y)

    fit(30_000, alpha=1e-3)  # a few rows lack levels
    return h.measured(fit)


def _with_file(size, family, measure):
    from statkit.datasets import write_glm_parquet

    with tempfile.TemporaryDirectory(prefix="statkit-benchmark-") as folder:
        path = Path(KEEP or folder) / f"{family}_{size}.parquet"
        if not path.exists():
            write_glm_parquet(path, N_PARQUET[size], 20, family=family, random_state=0)
        return measure(path)


def parquet(size):
    figures = _with_file(
        size,
        "binomial",
        lambda path: h.children(__file__, 1, "parquet_statkit", "parquet_irls", arguments=[path]),
    )
    ours, theirs = figures["parquet_statkit"], figures["parquet_irls"]
    cpu = ours["cpu"] / theirs["cpu"]
    return h.Line(
        f"logistic, {N_PARQUET[size]:,} x 21, from Parquet", "<= 0.5 x streaming IRLS; <= 500 MB",
        f"{cpu:.2f} x ({ours['cpu']:.1f} against {theirs['cpu']:.1f} s); +{ours['growth_mb']:.0f} MB",
        cpu <= 0.5 and ours["growth_mb"] <= 500, figures, "statkit on two threads, streaming IRLS on one",
    )  # fmt: skip


def child_parquet_statkit(path):
    return _statkit_on_file(path, "binomial")


def child_linear_statkit(path):
    return _statkit_on_file(path, "gaussian")


def _statkit_on_file(path, family):
    from statkit.datasets import write_glm_parquet
    from statkit.regression import GLMRegressor

    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.parquet"
        write_glm_parquet(few, 50_000, 20, family=family, random_state=0, row_group_size=10_000)
        GLMRegressor(family).fit(few, "y")
    return h.measured(lambda: GLMRegressor(family).fit(path, "y"))


def child_parquet_irls(path):
    import _streaming_irls

    return h.measured(lambda: _streaming_irls.logistic(path, FEATURES, "y"))


def linear(size):
    figures = _with_file(
        size,
        "gaussian",
        lambda path: h.children(__file__, 3, "linear_statkit", "linear_read", arguments=[path]),
    )
    cpu = figures["linear_statkit"]["cpu"] / figures["linear_read"]["cpu"]
    return h.Line(
        f"linear, {N_PARQUET[size]:,} x 21, from Parquet", "one pass, <= 1.5 x reading with pyarrow",
        f"{cpu:.2f} x ({figures['linear_statkit']['cpu']:.2f} against {figures['linear_read']['cpu']:.2f} s)",
        cpu <= 1.5, figures,
    )  # fmt: skip


def child_linear_read(path):
    import pyarrow.parquet as pq

    def read():
        file = pq.ParquetFile(path, pre_buffer=False)
        for group in range(file.num_row_groups):
            file.read_row_group(group, use_threads=False)

    return h.measured(read)


# -- the rest -------------------------------------------------------------------------------------------------------


def imports(size):
    empty = h.wall_of([sys.executable, "-c", "pass"], 5)
    seconds = h.wall_of(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import statkit"], 5
    )
    return h.Line(
        "import statkit", "<= 0.5 s", f"{seconds:.3f} s (an empty interpreter {empty:.3f})", seconds <= 0.5,
        {"statkit": {"wall": seconds}, "python": {"wall": empty}},
    )  # fmt: skip


def nist(size):
    from statkit.regression import GLMRegressor

    known = runpy.run_path(str(ROOT / "tests" / "regression" / "test_nist.py"))
    digits, polynomial = known["digits"], known["polynomial"]
    x = np.arange(21.0)
    problems = {
        "Longley": (known["LONGLEY"][:, 1:], known["LONGLEY"][:, 0], known["LONGLEY_CERTIFIED"]),
        "Filip": (polynomial(known["FILIP"][:, 1], 10), known["FILIP"][:, 0], known["FILIP_CERTIFIED"]),
    }
    for number, base in ((1, 1.0), (2, 0.1)):
        y = np.polyval([base**k for k in range(5, -1, -1)], x)
        problems[f"Wampler {number}"] = (polynomial(x, 5), y, [base**k for k in range(6)])
    found = {}
    for name, (X, y, certified) in problems.items():
        fit = GLMRegressor().fit(X, y).estimate_
        found[name] = {"digits": float(digits(fit.params, certified)), "rank": fit.rank}
    met = (
        all(v["digits"] >= (7 if k == "Filip" else 8) for k, v in found.items())
        and found["Filip"]["rank"] == 11
    )
    return h.Line(
        "NIST StRD, correct digits", ">= 8; Filip >= 7, not aliased",
        ", ".join(f"{name} {v['digits']:.1f}" for name, v in found.items()), met, found,
    )  # fmt: skip


LINES = {
    f.__name__: f
    for f in (logistic, poisson, gamma, probit, demo, parquet, linear, small, imports, threads, nist)
}


def main():
    options = h.arguments(LINES)
    if options.child:
        print(json.dumps(globals()[f"child_{options.child}"](*options.rest)))
        return
    for name in options.only or LINES:
        started = time.perf_counter()
        line = LINES[name](options.size)
        path = h.record("glm", options.size, {name: line})
        print(f"{line.work}: {line.measured}  [{time.perf_counter() - started:.0f} s]", flush=True)
    h.show(path, list(LINES))


if __name__ == "__main__":
    main()
