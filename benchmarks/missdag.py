"""MissDAG beside impute-then-learn pipelines, causal-learn, lingam and a plain E-step: accuracy, time, memory.

    python benchmarks/missdag.py [--size small|full] [--only LINE …]

Graphs and tables are simulated from fixed seeds; every method sees the same ones. Peers that are not installed
(causal-learn, lingam) are left out and named. Times are CPU seconds with one BLAS thread. At full size `pipelines`
takes about five minutes and `reference`, EM with NOTEARS, ten; the others seconds to a minute.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import _harness as h
import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
warnings.filterwarnings("ignore")

from statkit.causal import MissDAG, ampute, cpdag, shd, simulate_dag, simulate_sem  # noqa: E402
from statkit.causal._graph_em import covariance, precision  # noqa: E402
from statkit.causal._incomplete import IncompleteData  # noqa: E402
from statkit.causal.acyclicity import prune_to_acyclic  # noqa: E402
from statkit.causal.dag_learners import additive_splines, boss, notears, select_parents  # noqa: E402
from statkit.datasets import load_sachs  # noqa: E402

#: Columns, rows, rate and mechanism of holes, noise scale; the distance that `equal_var` should not exceed.
DESIGNS = {
    "d10 n100 EV MCAR 10%": (10, 100, 0.1, "mcar", 1.0, 2.3),
    "d10 n100 EV MCAR 30%": (10, 100, 0.3, "mcar", 1.0, 4.3),
    "d10 n100 EV MCAR 50%": (10, 100, 0.5, "mcar", 1.0, 14.7),
    "d10 n500 NV MCAR 30%": (10, 500, 0.3, "mcar", (1.0, 2.0), 1.7),
    "d10 n500 EV MAR 30%": (10, 500, 0.3, "mar", 1.0, 2.3),
    "d10 n500 EV MNAR 30%": (10, 500, 0.3, "mnar", 1.0, 2.3),
    "d20 n500 EV MCAR 30%": (20, 500, 0.3, "mcar", 1.0, 1.0),
}


def _compile():
    X = ampute(simulate_sem(simulate_dag(5, random_state=0), 60, random_state=1), 0.3, random_state=2)
    for model in ("gaussian", "equal_var", "nongaussian", "nonlinear"):
        MissDAG(model, random_state=0).fit(X).transform(X)


def _timed(call):
    start = time.process_time()
    value = call()
    return value, time.process_time() - start


# -- graphs -----------------------------------------------------------------------------------------------------------


def _tables(design, n_graphs):
    d, n, rate, mechanism, noise, _ = DESIGNS[design]
    for seed in range(n_graphs):
        W = simulate_dag(d, degree=4, random_state=seed)
        X = simulate_sem(W, n, noise_scale=noise, random_state=100 + seed)
        yield W, ampute(X, rate, mechanism=mechanism, random_state=200 + seed)


def _learn(methods, tables):
    """Mean distance and CPU seconds of each method; a method is (learn, whether it returns a class)."""
    figures = {name: {"shd": [], "cpu": []} for name in methods}
    for W, X in tables:
        for name, (learn, is_class) in methods.items():
            try:
                found, seconds = _timed(lambda learn=learn, X=X: learn(X))
            except Exception as error:
                print(f"  {name} failed: {type(error).__name__}: {str(error)[:60]}")
                continue
            figures[name]["shd"].append(shd(cpdag(W) if is_class else W, found))
            figures[name]["cpu"].append(seconds)
    return {
        name: {"shd": float(np.mean(f["shd"])), "cpu": float(np.mean(f["cpu"])), "graphs": len(f["shd"])}
        for name, f in figures.items()
        if f["shd"]
    }


def _show(design, row):
    told = "  ".join(f"{name} {f['shd']:.1f} ({f['cpu']:.3g} s)" for name, f in row.items())
    print(f"  {design}: {told}", flush=True)


OURS = {
    "order": (lambda X: MissDAG("equal_var").fit(X).adjacency_, False),
    "boss": (lambda X: MissDAG(random_state=0).fit(X).cpdag_, True),
}


def _notears(X):
    S = np.cov(X.T, bias=True)
    return prune_to_acyclic(notears(S, lambda1=0.02, h_tol=1e-8, rho_max=1e12), 0.3) != 0


def _listwise(X):
    complete = X[~np.isnan(X).any(axis=1)]
    return _notears(complete) if len(complete) > 2 else np.zeros((X.shape[1],) * 2, dtype=bool)


def _chained(X):
    return IterativeImputer(random_state=0).fit_transform(X)


def _mvpc(X):
    """causal-learn's PC for missing values; a CPDAG."""
    from causallearn.search.ConstraintBased.PC import pc
    from causallearn.utils.cit import mv_fisherz

    graph = pc(X, 0.01, mv_fisherz, mvpc=True, show_progress=False, verbose=False).G.graph
    # -1 at i and 1 at j is i -> j; -1 at both is undirected.
    return ((graph == -1) & (graph.T == 1)) | ((graph == -1) & (graph.T == -1))


def designs(size):
    rows = {}
    for design in DESIGNS:
        rows[design] = _learn(OURS, _tables(design, 10 if size == "full" else 3))
        _show(design, rows[design])
    least = {design: rows[design]["order"]["shd"] for design in DESIGNS}
    missed = [design for design in DESIGNS if least[design] > DESIGNS[design][5] + 1e-9]
    return h.Line(
        "SHD of equal_var on the designs of the paper",
        "<= " + ", ".join(f"{design[5]}" for design in DESIGNS.values()),
        ", ".join(f"{v:.1f}" for v in least.values()),
        not missed,
        rows,
        "over: " + ", ".join(missed) if missed else "",
    )


def pipelines(size):
    methods = {
        **OURS,
        "mean+NOTEARS": (lambda X: _notears(SimpleImputer().fit_transform(X)), False),
        "chained+NOTEARS": (lambda X: _notears(_chained(X)), False),
        "listwise+NOTEARS": (_listwise, False),
    }
    try:
        import causallearn  # noqa: F401

        methods["causal-learn MVPC"] = (_mvpc, True)
    except ImportError:
        print("  causal-learn is not installed: MVPC is left out")
    rows = {}
    for design in DESIGNS:
        rows[design] = _learn(methods, _tables(design, 3 if size == "full" else 1))
        _show(design, rows[design])
    ours = {design: row["order"]["shd"] for design, row in rows.items()}
    best = {
        design: min(f["shd"] for name, f in row.items() if name not in OURS) for design, row in rows.items()
    }
    missed = [design for design in rows if ours[design] >= best[design]]
    return h.Line(
        "the same beside impute-then-learn and causal-learn", "below the best of them in each design",
        ", ".join(f"{ours[d]:.1f} / {best[d]:.1f}" for d in rows), not missed, rows,
        "not below: " + ", ".join(missed) if missed else "",
    )  # fmt: skip


def reference(size):
    """EM with NOTEARS, the settings of the authors' program."""
    methods = {"order": OURS["order"], "NOTEARS EM": (
        lambda X: MissDAG.reference(random_state=0).fit(X).adjacency_, False)}  # fmt: skip
    rows = {}
    for design, parts in DESIGNS.items():
        if size == "small" and (parts[0] > 10 or len(rows) == 2):  # a fit takes some twenty seconds
            continue
        rows[design] = _learn(methods, _tables(design, 3 if size == "full" and parts[0] == 10 else 1))
        _show(design, rows[design])
    ratios = [row["NOTEARS EM"]["cpu"] / row["order"]["cpu"] for row in rows.values()]
    return h.Line(
        "CPU of EM with NOTEARS over that of equal_var", ">= 100", f"{min(ratios):.0f} to {max(ratios):.0f}",
        min(ratios) >= 100, rows,
    )  # fmt: skip


def nongaussian(size):
    """Exponential noise: DirectLiNGAM inside the EM, and lingam's on chained equations."""
    methods = {"MissDAG": (lambda X: MissDAG("nongaussian", random_state=0).fit(X).adjacency_, False)}
    try:
        import lingam

        def after_imputing(X):
            filled = _chained(X)
            order = lingam.DirectLiNGAM().fit(filled).causal_order_
            S = np.cov(filled.T, bias=True)
            return select_parents(S, len(X), order)

        methods["chained+lingam"] = (after_imputing, False)
    except ImportError:
        print("  lingam is not installed: it is left out")
    tables = []
    for seed in range(5 if size == "full" else 2):
        W = simulate_dag(10, degree=4, random_state=seed)
        X = simulate_sem(W, 1000, noise="exponential", random_state=100 + seed)
        tables.append((W, ampute(X, 0.3, random_state=200 + seed)))
    row = _learn(methods, tables)
    _show("d10 n1000 exponential MCAR 30%", row)
    measured = ", ".join(f"{name} {f['shd']:.1f}" for name, f in row.items())
    return h.Line("SHD with exponential noise, 30 % holes", "<= 2", measured, row["MissDAG"]["shd"] <= 2, row)


def nonlinear(size):
    """Sums of smooth functions: additive splines inside the EM, and on chained equations."""
    methods = {
        "MissDAG": (lambda X: MissDAG("nonlinear", random_state=0).fit(X).adjacency_, False),
        "chained+splines": (lambda X: additive_splines(_chained(X)), False),
        "equal_var": OURS["order"],
    }
    rows = {}
    for function in ("gp-add", "mim"):
        tables = []
        for seed in range(5 if size == "full" else 2):
            W = simulate_dag(8, degree=3, random_state=seed)
            X = simulate_sem(W, 500, function=function, random_state=seed)
            tables.append((W, ampute(X, 0.2, random_state=seed)))
        rows[function] = _learn(methods, tables)
        _show(f"d8 n500 {function} MCAR 20%", rows[function])
    met = all(
        row["MissDAG"]["shd"] < min(row[m]["shd"] for m in methods if m != "MissDAG") for row in rows.values()
    )
    measured = "; ".join(
        f"{function}: " + ", ".join(f"{name} {f['shd']:.1f}" for name, f in row.items())
        for function, row in rows.items()
    )
    return h.Line(
        "SHD with nonlinear effects, 20 % holes", "below impute-first and straight lines", measured, met, rows
    )


def sachs(size):
    """CPDAG SHD to the consensus network: MissDAG with BOSS against chained equations, then BOSS."""
    data = load_sachs()
    X = np.log(data.data)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    truth = cpdag(data.graph)
    rows = {}
    for rate in (0.0, 0.1, 0.3):
        found = {"MissDAG": [], "MissDAG, penalty 1": [], "chained+BOSS": []}
        for seed in range(3):
            Y = ampute(X, rate, random_state=seed) if rate else X
            found["MissDAG"].append(shd(truth, MissDAG(random_state=0).fit(Y).cpdag_))
            found["MissDAG, penalty 1"].append(
                shd(truth, MissDAG(penalty_discount=1, random_state=0).fit(Y).cpdag_)
            )
            S = np.cov((_chained(Y) if rate else Y).T, bias=True)
            graph = boss(S, len(X), penalty=0.5 * np.log(len(X)), n_starts=5, random_state=0)
            found["chained+BOSS"].append(shd(truth, cpdag(graph)))
        rows[f"{rate:.0%}"] = {name: float(np.mean(values)) for name, values in found.items()}
        print(f"  Sachs, {rate:.0%} missing: {rows[f'{rate:.0%}']}", flush=True)
    worst = rows["30%"]
    return h.Line(
        "Sachs with 30 % holes, CPDAG SHD", "<= 12.5",
        f"{worst['MissDAG']:.1f} (penalty 1: {worst['MissDAG, penalty 1']:.1f}, chained+BOSS {worst['chained+BOSS']:.1f})",
        worst["MissDAG"] <= 12.5, rows,
    )  # fmt: skip


# -- holes ------------------------------------------------------------------------------------------------------------


def imputation(size):
    """RMSE in standard deviations and time of filling the holes, ten tables of d 10, n 500, 30 %."""
    methods = {
        "MissDAG boss": lambda X: MissDAG(random_state=0).fit_transform(X),
        "MissDAG order": lambda X: MissDAG("equal_var").fit_transform(X),
        "chained": _chained,
        "kNN": lambda X: KNNImputer().fit_transform(X),
        "mean": lambda X: SimpleImputer().fit_transform(X),
    }
    figures = {name: {"rmse": [], "cpu": []} for name in methods}
    for seed in range(10):
        W = simulate_dag(10, degree=4, random_state=seed)
        X = simulate_sem(W, 500, noise_scale=(1.0, 2.0), random_state=100 + seed)
        Y = ampute(X, 0.3, random_state=200 + seed)
        holes = np.isnan(Y)
        for name, fill in methods.items():
            filled, seconds = _timed(lambda fill=fill, Y=Y: fill(Y))
            figures[name]["rmse"].append(np.sqrt(np.mean(np.square((filled - X) / X.std(axis=0))[holes])))
            figures[name]["cpu"].append(seconds)
    figures = {name: {k: float(np.mean(v)) for k, v in f.items()} for name, f in figures.items()}
    ours, chained = figures["MissDAG boss"], figures["chained"]
    ratio = chained["cpu"] / ours["cpu"]
    return h.Line(
        "imputation, RMSE in sd; speed over chained equations", "<= .45; >= 5 x",
        f"{ours['rmse']:.3f} (chained {chained['rmse']:.3f}); {ratio:.1f} x "
        f"(equal_var {chained['cpu'] / figures['MissDAG order']['cpu']:.1f} x)",
        ours["rmse"] <= 0.45 and ratio >= 5, figures,
    )  # fmt: skip


# -- time and memory --------------------------------------------------------------------------------------------------


def plain_estep(X, mean, Sigma):
    """Textbook formulas, a row at a time."""
    n, d = X.shape
    filled, added = X.copy(), np.zeros((d, d))
    for i in range(n):
        o = ~np.isnan(X[i])
        m = ~o
        B = np.linalg.solve(Sigma[np.ix_(o, o)], Sigma[np.ix_(o, m)])
        filled[i, m] = mean[m] + (X[i, o] - mean[o]) @ B
        added[np.ix_(m, m)] += Sigma[np.ix_(m, m)] - Sigma[np.ix_(m, o)] @ B
    R = filled - filled.mean(axis=0)
    return (R.T @ R + added) / n


def estep(size):
    """One E-step on distinct patterns against a loop over rows."""
    n = 10_000 if size == "full" else 2_000
    W = simulate_dag(100, degree=4, random_state=0)
    X = simulate_sem(W, n, random_state=1)
    Sigma, K = covariance(W, np.ones(100)), precision(W, np.ones(100))
    figures = {}
    for rate in (0.1, 0.3):
        Y = ampute(X, rate, random_state=2)
        data = IncompleteData(Y, centre=False)
        run = h.alternate(
            2,
            statkit=lambda data=data: data.estep(np.zeros(100), K, Sigma),
            loop=lambda Y=Y: plain_estep(Y, np.zeros(100), Sigma),
        )
        error = np.abs(run["answers"]["loop"] - run["answers"]["statkit"].covariance).max()
        figures[f"{rate:.0%}"] = run["figures"] | {"max_difference": float(error)}
    ours, loop = (figures["30%"][name]["cpu"] for name in ("statkit", "loop"))
    return h.Line(
        f"E-step d 100, n {n:,}, 30 %", "<= .3 s; >= 20 x a loop over rows", f"{ours:.3f} s; {loop / ours:.0f} x",
        ours <= 0.3 and loop / ours >= 20, figures,
    )  # fmt: skip


def growth(size):
    """E-steps of a table of 20 columns: time and memory as rows become many."""
    V = simulate_dag(20, degree=4, random_state=0)
    Sigma, K = covariance(V, np.ones(20)), precision(V, np.ones(20))
    figures = {}
    for n in (10_000, 100_000, 1_000_000) if size == "full" else (10_000, 100_000):
        Y = ampute(simulate_sem(V, n, random_state=1), 0.2, random_state=2)
        tracemalloc.start()
        data, setup = _timed(lambda Y=Y: IncompleteData(Y, centre=False))
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        _, step = _timed(lambda data=data: data.estep(np.zeros(20), K, Sigma))
        peak = tracemalloc.get_traced_memory()[1] - kept
        tracemalloc.stop()
        figures[f"{n}"] = {
            "grouping": setup, "cpu": step, "kept_mb": kept / h.MB, "step_mb": peak / h.MB, "table_mb": Y.nbytes / h.MB,
        }  # fmt: skip
    (first, *_, last) = figures.values()
    rise = (last["cpu"] / first["cpu"]) / (n / 10_000)
    return h.Line(
        f"E-step d 20, 20 %, from 10,000 to {n:,} rows", "linear; extra memory one block",
        f"{last['cpu']:.2f} s, {rise:.2f} x the time a row; {last['step_mb']:.0f} MB in the step, "
        f"{last['kept_mb']:.0f} MB of row numbers (table {last['table_mb']:.0f} MB)",
        rise <= 1.5 and last["step_mb"] <= 30, figures,
    )  # fmt: skip


def large(size):
    """Whole fit of d 100, 10 % missing."""
    n = 10_000 if size == "full" else 2_000
    W = simulate_dag(100, degree=4, random_state=0)
    X = ampute(simulate_sem(W, n, random_state=1), 0.1, random_state=2)
    figures = {}
    for model in ("equal_var", "gaussian") if size == "full" else ("equal_var",):
        started = time.perf_counter()
        dag, seconds = _timed(lambda model=model: MissDAG(model, n_starts=1, random_state=0).fit(X))
        distance = shd(W, dag.adjacency_) if model == "equal_var" else shd(cpdag(W), dag.cpdag_)
        figures[model] = {
            "cpu": seconds, "wall": time.perf_counter() - started, "shd": int(distance), "n_iter": dag.n_iter_,
        }  # fmt: skip
    return h.Line(
        f"whole fit d 100, n {n:,}, 10 %", "<= 10 s, SHD <= 10",
        ", ".join(f"{model} {f['cpu']:.1f} s, SHD {f['shd']}" for model, f in figures.items()),
        all(f["cpu"] <= 10 and f["shd"] <= 10 for f in figures.values()), figures,
    )  # fmt: skip


LINES = {
    f.__name__: f
    for f in (
        designs, pipelines, reference, nongaussian, nonlinear, sachs, imputation, estep, growth, large,
    )
}  # fmt: skip


def main():
    options = h.arguments(LINES)
    _compile()
    for name in options.only or LINES:
        started = time.perf_counter()
        line = LINES[name](options.size)
        path = h.record("missdag", options.size, {name: line})
        print(f"{line.work}: {line.measured}  [{time.perf_counter() - started:.0f} s]", flush=True)
    h.show(path, list(LINES))


if __name__ == "__main__":
    main()
