"""MissDAG beside impute-then-learn pipelines, causal-learn and a plain E-step: accuracy, time, memory.

Run ``python benchmarks/missdag.py [--size small|full] [--only NAME]`` from the root of a checkout. Peers that
are not installed (causal-learn) are left out and named. Times are CPU seconds with one BLAS thread.
"""

# ruff: noqa: E402  (threads are set before numpy loads)
import argparse
import json
import os
import platform
import time
import tracemalloc
import warnings
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import sklearn
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

import statkit
from statkit.causal import MissDAG, ampute, cpdag, shd, simulate_dag, simulate_sem
from statkit.causal._graph_em import covariance, precision
from statkit.causal._incomplete import IncompleteData
from statkit.causal.acyclicity import prune_to_acyclic
from statkit.causal.dag_learners import boss, notears
from statkit.datasets import load_sachs

warnings.simplefilter("ignore")

DESIGNS = {
    "d10 n100 EV MCAR 10%": (10, 100, 0.1, "mcar", 1.0),
    "d10 n100 EV MCAR 30%": (10, 100, 0.3, "mcar", 1.0),
    "d10 n100 EV MCAR 50%": (10, 100, 0.5, "mcar", 1.0),
    "d10 n500 NV MCAR 30%": (10, 500, 0.3, "mcar", (1.0, 2.0)),
    "d10 n500 EV MAR 30%": (10, 500, 0.3, "mar", 1.0),
    "d10 n500 EV MNAR 30%": (10, 500, 0.3, "mnar", 1.0),
    "d20 n500 EV MCAR 30%": (20, 500, 0.3, "mcar", 1.0),
}


def timed(call):
    """Return the value of a call and its CPU seconds."""
    start = time.process_time()
    value = call()
    return value, time.process_time() - start


def learn_notears(X):
    S = np.cov(X.T, bias=True)
    return prune_to_acyclic(notears(S, lambda1=0.02, h_tol=1e-8, rho_max=1e12), 0.3) != 0


def listwise(X):
    complete = X[~np.isnan(X).any(axis=1)]
    if len(complete) < 3:
        return np.zeros((X.shape[1],) * 2, dtype=bool)
    return learn_notears(complete)


def mvpc(X):
    """causal-learn's PC for missing values; a CPDAG."""
    from causallearn.search.ConstraintBased.PC import pc
    from causallearn.utils.cit import mv_fisherz

    graph = pc(X, 0.01, mv_fisherz, mvpc=True, show_progress=False, verbose=False).G.graph
    # -1 at i and 1 at j is i -> j; -1 at both is undirected.
    return ((graph == -1) & (graph.T == 1)) | ((graph == -1) & (graph.T == -1))


def designs(size, before=(), only=None):
    """Mean SHD and CPU seconds of each method on the designs of the paper.

    ``only`` names the methods to run; what ``before`` says of the others is kept.
    """
    n_graphs = 10 if size == "full" else 3
    slow_graphs = 3 if size == "full" else 1  # methods that take ten seconds and more a graph
    methods = {
        "order": (lambda X: MissDAG("equal_var").fit(X).adjacency_, n_graphs, False),
        "boss": (lambda X: MissDAG(random_state=0).fit(X).cpdag_, n_graphs, True),
        "NOTEARS EM": (lambda X: MissDAG.reference(random_state=0).fit(X).adjacency_, slow_graphs, False),
        "mean+NT": (lambda X: learn_notears(SimpleImputer().fit_transform(X)), slow_graphs, False),
        "chained+NT": (
            lambda X: learn_notears(IterativeImputer(random_state=0).fit_transform(X)),
            slow_graphs,
            False,
        ),
        "listwise+NT": (listwise, slow_graphs, False),
        "MVPC": (mvpc, slow_graphs, True),
    }
    try:
        import causallearn  # noqa: F401
    except ImportError:
        print("causal-learn is not installed: MVPC is left out")
        del methods["MVPC"]
    lines = []
    for name, (d, n, rate, mechanism, noise) in DESIGNS.items():
        line = next((dict(line) for line in before if line["design"] == name), {"design": name})
        for method, (learn, n_tables, is_class) in methods.items():
            if (only and method not in only) or (d > 10 and method == "NOTEARS EM" and size == "small"):
                continue
            distances, seconds = [], []
            for seed in range(1 if d > 10 and method == "NOTEARS EM" else n_tables):
                W = simulate_dag(d, degree=4, random_state=seed)
                X = simulate_sem(W, n, noise_scale=noise, random_state=100 + seed)
                X = ampute(X, rate, mechanism=mechanism, random_state=200 + seed)
                try:
                    found, took = timed(lambda X=X, learn=learn: learn(X))
                except Exception as error:
                    print(f"  {method} failed on {name}: {type(error).__name__}: {str(error)[:60]}")
                    continue
                distances.append(shd(cpdag(W) if is_class else W, found))
                seconds.append(took)
            if distances:
                line[method] = round(float(np.mean(distances)), 1)
                line[f"{method} s"] = round(float(np.mean(seconds)), 3)
        lines.append(line)
        shown = "  ".join(f"{m} {line[m]} ({line[f'{m} s']} s)" for m in methods if m in line)
        print(f"{name}: {shown}", flush=True)
    return lines


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
    """One E-step on distinct patterns against a loop over rows; memory beside the table; growth with n."""
    out = {}
    W = simulate_dag(100, degree=4, random_state=0)
    X = simulate_sem(W, 10_000, random_state=1)
    Sigma, K = covariance(W, np.ones(100)), precision(W, np.ones(100))
    for rate in (0.1, 0.3):
        Y = ampute(X, rate, random_state=2)
        data = IncompleteData(Y, centre=False)
        data.estep(np.zeros(100), K, Sigma)
        ours = min(timed(lambda data=data: data.estep(np.zeros(100), K, Sigma))[1] for _ in range(3))
        loop, plain = timed(lambda Y=Y: plain_estep(Y, np.zeros(100), Sigma))
        error = np.abs(loop - data.estep(np.zeros(100), K, Sigma).covariance).max()
        out[f"d100 n1e4 {rate:.0%}"] = {
            "seconds": round(ours, 3),
            "loop_seconds": round(plain, 3),
            "ratio": round(plain / ours, 1),
            "max_difference": float(error),
        }
        print(f"E-step d 100, n 1e4, {rate:.0%}: {ours:.3f} s, loop {plain:.2f} s, {plain / ours:.0f} x")
    V = simulate_dag(20, degree=4, random_state=0)
    Sigma, K = covariance(V, np.ones(20)), precision(V, np.ones(20))
    for n in (10_000, 100_000, 1_000_000) if size == "full" else (10_000, 100_000):
        Y = ampute(simulate_sem(V, n, random_state=1), 0.2, random_state=2)
        tracemalloc.start()
        data, setup = timed(lambda Y=Y: IncompleteData(Y, centre=False))
        _, step = timed(lambda data=data: data.estep(np.zeros(20), K, Sigma))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        out[f"d20 n{n} 20%"] = {
            "setup_seconds": round(setup, 3),
            "seconds": round(step, 3),
            "peak_extra_MB": round(peak / 1e6, 1),
            "table_MB": round(Y.nbytes / 1e6, 1),
        }
        print(
            f"E-step d 20, n {n}, 20%: {step:.3f} s after {setup:.3f} s of grouping, "
            f"{peak / 1e6:.0f} MB beside a table of {Y.nbytes / 1e6:.0f} MB"
        )
    return out


def sachs(size):
    """CPDAG SHD to the consensus network: MissDAG with BOSS against chained equations, then BOSS."""
    data = load_sachs()
    X = np.log(data.data)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    truth = cpdag(data.graph)
    out = {}
    for rate in (0.0, 0.1, 0.3):
        ours, first, standard = [], [], []
        for seed in range(3):
            Y = ampute(X, rate, random_state=seed) if rate else X
            ours.append(shd(truth, MissDAG(penalty_discount=1, random_state=0).fit(Y).cpdag_))
            standard.append(shd(truth, MissDAG(random_state=0).fit(Y).cpdag_))
            filled = IterativeImputer(random_state=0).fit_transform(Y) if rate else Y
            S = np.cov(filled.T, bias=True)
            graph = boss(S, len(X), penalty=0.5 * np.log(len(X)), n_starts=5, random_state=0)
            first.append(shd(truth, cpdag(graph)))
        out[f"{rate:.0%}"] = {
            "MissDAG": float(np.mean(ours)),
            "MissDAG_penalty_2": float(np.mean(standard)),
            "chained+BOSS": float(np.mean(first)),
        }
        print(
            f"Sachs, {rate:.0%} missing: CPDAG SHD MissDAG {np.mean(ours):.1f} "
            f"(penalty 2: {np.mean(standard):.1f}), chained equations + BOSS {np.mean(first):.1f}"
        )
    return out


def imputation(size):
    """RMSE in standard deviations and time of filling the holes, ten tables of d 10, n 500, 30 %."""
    methods = {
        "MissDAG boss": lambda X: MissDAG(random_state=0).fit_transform(X),
        "MissDAG order": lambda X: MissDAG("equal_var").fit_transform(X),
        "chained": lambda X: IterativeImputer(random_state=0).fit_transform(X),
        "kNN": lambda X: KNNImputer().fit_transform(X),
        "mean": lambda X: SimpleImputer().fit_transform(X),
    }
    errors = {name: [] for name in methods}
    seconds = {name: [] for name in methods}
    for seed in range(10):
        W = simulate_dag(10, degree=4, random_state=seed)
        X = simulate_sem(W, 500, noise_scale=(1.0, 2.0), random_state=100 + seed)
        Y = ampute(X, 0.3, random_state=200 + seed)
        holes = np.isnan(Y)
        for name, fill in methods.items():
            filled, took = timed(lambda fill=fill, Y=Y: fill(Y))
            errors[name].append(np.sqrt(np.mean(np.square((filled - X) / X.std(axis=0))[holes])))
            seconds[name].append(took)
    out = {}
    for name in methods:
        out[name] = {"rmse_sd": round(np.mean(errors[name]), 3), "seconds": round(np.mean(seconds[name]), 3)}
        print(f"imputation, {name}: RMSE {out[name]['rmse_sd']} sd, {out[name]['seconds']} s")
    return out


def large(size):
    """Whole fit of d 100, n 1e4, 10 % missing."""
    W = simulate_dag(100, degree=4, random_state=0)
    X = ampute(simulate_sem(W, 10_000 if size == "full" else 2_000, random_state=1), 0.1, random_state=2)
    out = {}
    for model in ("equal_var", "gaussian") if size == "full" else ("equal_var",):
        dag, took = timed(lambda model=model: MissDAG(model, n_starts=1, random_state=0).fit(X))
        distance = shd(W, dag.adjacency_) if model == "equal_var" else shd(cpdag(W), dag.cpdag_)
        out[model] = {"n": len(X), "seconds": round(took, 2), "shd": distance, "n_iter": dag.n_iter_}
        print(f"d 100, n {len(X)}, 10% missing, {model}: {took:.1f} s, SHD {distance}, {dag.n_iter_} E-steps")
    return out


def main():
    parts = {
        "estep": estep,
        "designs": designs,
        "sachs": sachs,
        "imputation": imputation,
        "large": large,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=["small", "full"], default="small")
    parser.add_argument("--only", choices=list(parts), help="one part; the others' results are kept")
    parser.add_argument("--methods", nargs="+", help="of the part designs: run these, keep the other columns")
    chosen = parser.parse_args()
    # Compile before any clock runs.
    X = ampute(simulate_sem(simulate_dag(5, random_state=0), 60, random_state=1), 0.3, random_state=2)
    for model in ("gaussian", "equal_var"):
        MissDAG(model, n_bootstrap=1, random_state=0).fit(X).transform(X)
    path = Path(__file__).parent / "results" / "missdag.json"
    results = json.loads(path.read_text()) if chosen.only and path.exists() else {}
    results["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "statkit": statkit.__version__,
        "size": chosen.size,
    }
    for name in [chosen.only] if chosen.only else parts:
        if name == "designs":
            results[name] = designs(chosen.size, results.get(name, ()), chosen.methods)
        else:
            results[name] = parts[name](chosen.size)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
