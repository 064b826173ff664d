"""Multi-view clustering against its peers: accuracy on digits, speed of solvers, linear methods.

    python benchmarks/multiview.py [--size small|full] [--peers FOLDER]

``FOLDER`` is a site-packages folder with mvlearn, snfpy and imml, whose requirements clash with current
releases; what cannot be imported is left out and said. Labels never choose anything: truth only scores.
Times are CPU seconds of the process (ratios matter, not the machine's speed).
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans, spectral_clustering
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from statkit.cluster import (
    AnchorMultiViewClustering,
    CoRegularizedSpectralClustering,
    GraphFusionClustering,
    LateFusionClustering,
    LocalSampleWeightedMKC,
    MultipleKernelKMeans,
    MultiViewKMeans,
    OneStepMultiViewClustering,
    SimilarityNetworkFusion,
    kernel_stack,
)
from statkit.cluster._scaling import fit_scaler
from statkit.cluster.similarity_network import fuse, local_affinity
from statkit.datasets import load_mfeat, make_multiview_blobs

# Accuracy and CPU seconds of an independent reconstruction of each method on the same 1,000 digits.
DIGITS = {
    "k-means, block-scaled concatenation": (None, 0.972, 0.2),
    "average kernel": (MultipleKernelKMeans(weighting="average"), 0.959, 0.2),
    "MKKM": (MultipleKernelKMeans(weighting="mkkm"), 0.642, 0.8),
    "MKKM-MR, λ = 1/8": (MultipleKernelKMeans(weighting="mr", reg=0.125), 0.885, 0.6),
    "SimpleMKKM": (MultipleKernelKMeans(), 0.937, 3.0),
    "localised, 0.1": (MultipleKernelKMeans(neighborhood=0.1), 0.978, 3.5),
    "localised, 0.4": (MultipleKernelKMeans(neighborhood=0.4), 0.964, 3.1),
    "LSWMKC exact, α = 8": (LocalSampleWeightedMKC(), 0.957, 8.3),
    "LSWMKC exact, α = 64": (LocalSampleWeightedMKC(alpha=64, stopping="reference"), 0.973, 8.8),
    "LSWMKC sparse, α = 8": (LocalSampleWeightedMKC(solver="sparse"), 0.976, 0.25),
    "late fusion, λ = 8": (LateFusionClustering(), 0.958, 0.7),
    "SNF, K = 20": (SimilarityNetworkFusion(), 0.848, 11.0),
    "co-regularised, λ = 1": (CoRegularizedSpectralClustering(max_iter=9), 0.920, 7.0),
    "GMC, published fusion": (GraphFusionClustering(fusion="reference"), 0.886, 3.8),
    "GMC, weighted fusion": (GraphFusionClustering(), None, None),
    "one-step, reg 0.05": (OneStepMultiViewClustering(reg=0.05, n_init=5), 0.952, 4.2),
    "one-step, reg 0.3": (OneStepMultiViewClustering(reg=0.3, n_init=5), 0.971, 3.1),
    "anchors, r = 50": (AnchorMultiViewClustering(), 0.752, 2.1),
    "multi-view k-means": (MultiViewKMeans(), None, None),
    "multi-view k-means, learned weights": (MultiViewKMeans(weighting="auto"), None, None),
}


def cpu(call):
    started = time.process_time()
    value = call()
    return value, time.process_time() - started


def accuracy(truth, labels):
    table = contingency_matrix(truth, labels)
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns].sum() / len(truth)


def digits(step):
    data = load_mfeat()
    return {name: view[::step] for name, view in data.views.items()}, data.target[::step]


def warm():
    """Compile and load everything once, so that no run pays for it."""
    views = make_multiview_blobs(80, 3, random_state=0).views
    for method, *_ in DIGITS.values():
        if method is not None:
            type(method)(**{**method.get_params(), "n_clusters": 3, "random_state": 0}).fit(views)
    LocalSampleWeightedMKC(3, solver="sparse").fit(views)


def table_of_digits():
    X, y = digits(2)
    rows = []
    for name, (method, wanted, seconds) in DIGITS.items():
        if method is None:
            block = np.hstack([fit_scaler(view, key, "block")(view) for key, view in X.items()])
            labels, used = cpu(lambda block=block: KMeans(10, n_init=20, random_state=0).fit_predict(block))
        else:
            method.set_params(n_clusters=10, random_state=0)
            fit, used = cpu(lambda method=method: method.fit(X))
            labels = fit.labels_
        rows.append(
            {
                "method": name,
                "accuracy": accuracy(y, labels),
                "nmi": normalized_mutual_info_score(y, labels, average_method="max"),
                "ari": adjusted_rand_score(y, labels),
                "cpu": used,
                "wanted_accuracy": wanted,
                "wanted_cpu": seconds,
            }
        )
    return rows


def table_of_solvers(n):
    """Sparse against exact solver, fixed point against the count of reduced gradients."""
    X, y = digits(2000 // n)
    exact, exact_cpu = cpu(lambda: LocalSampleWeightedMKC(10, solver="exact", random_state=0).fit(X))
    sparse, sparse_cpu = cpu(lambda: LocalSampleWeightedMKC(10, solver="sparse", random_state=0).fit(X))
    # The sparse solver keeps a consensus of rank k: the dense solver under the same constraint
    ranked, ranked_cpu = cpu(
        lambda: LocalSampleWeightedMKC(10, solver="exact", rank=10, random_state=0).fit(X)
    )
    _, stack_cpu = cpu(lambda: kernel_stack(X))
    simple = MultipleKernelKMeans(10, tol=1e-10, random_state=0).fit(X)
    return {
        "n": n,
        "exact_cpu": exact_cpu,
        "sparse_cpu": sparse_cpu,
        "kernels_cpu": stack_cpu,
        "speedup": exact_cpu / sparse_cpu,
        "exact_ari": adjusted_rand_score(y, exact.labels_),
        "sparse_ari": adjusted_rand_score(y, sparse.labels_),
        "exact_rank_10_cpu": ranked_cpu,
        "exact_rank_10_ari": adjusted_rand_score(y, ranked.labels_),
        "sparse_with_exact_rank_10_ari": adjusted_rand_score(ranked.labels_, sparse.labels_),
        "simple_kkt": simple.kkt_residual_,
        "simple_eigendecompositions": simple.n_iter_,
        "simple_reduced_gradient": [175, 486],  # range of the published program on sets of this kind
    }


# -- peers --------------------------------------------------------------------------------------------------


def table_of_peers(n, folder):
    X, y = digits(2000 // n)
    views = list(X.values())
    scaled = [fit_scaler(view, name, "standard")(view) for name, view in X.items()]
    rows = []
    if folder:
        sys.path.append(folder)

    def compare(work, ours, peer_name, theirs, agreement):
        (mine, mine_cpu) = cpu(ours)
        try:
            (other, other_cpu) = cpu(theirs)
        except Exception as error:
            rows.append({"work": work, "peer": peer_name, "error": f"{type(error).__name__}: {error}"[:120]})
            return
        (mine, again) = cpu(ours)  # alternating: ours before and after theirs
        rows.append(
            {
                "work": work,
                "peer": peer_name,
                "statkit_cpu": min(mine_cpu, again),
                "peer_cpu": other_cpu,
                "ratio": other_cpu / min(mine_cpu, again),
                **agreement(mine, other),
            }
        )

    compare(
        f"co-regularised spectral, n = {n}, 6 views",
        lambda: CoRegularizedSpectralClustering(10, reg=2.0, max_iter=10, tol=0, random_state=0).fit(views),
        "mvlearn 0.5.0",
        lambda: mvlearn_co_regularised(scaled),
        lambda mine, other: {
            "statkit_ari": adjusted_rand_score(y, mine.labels_),
            "peer_ari": adjusted_rand_score(y, other[0]),
            "statkit_objective": float(mine.objective_path_[-1]),
            "peer_objective": float(other[1]) if other[1] is not None else None,
        },
    )
    compare(
        f"similarity network fusion, n = {n}, 6 views",
        lambda: SimilarityNetworkFusion(10, scale="standard", random_state=0).fit(views),
        "snfpy 0.2.2",
        lambda: snfpy_clusters(scaled),
        lambda mine, other: {
            "statkit_ari": adjusted_rand_score(y, mine.labels_),
            "peer_ari": adjusted_rand_score(y, other[1]),
            "affinity_correlation": off_diagonal_correlation(mine.affinity_, other[0]),
        },
    )
    compare(
        f"affinities and their fusion alone, n = {n}, 6 views",
        lambda: fuse([local_affinity(view, 20, 0.5) for view in scaled], 20, 20),
        "snfpy 0.2.2",
        lambda: snfpy_fusion(scaled),
        lambda mine, other: {"affinity_correlation": off_diagonal_correlation(mine, other)},
    )
    compare(
        f"late fusion, n = {n}, 6 views",
        lambda: LateFusionClustering(10, random_state=0).fit(views),
        "imml 0.6.0 (LFIMVC)",
        lambda: imml_late_fusion(scaled),
        lambda mine, other: {
            "statkit_ari": adjusted_rand_score(y, mine.labels_),
            "peer_ari": adjusted_rand_score(y, other),
        },
    )
    return rows


def mvlearn_co_regularised(views):
    from mvlearn.cluster import MultiviewCoRegSpectralClustering

    model = MultiviewCoRegSpectralClustering(
        n_clusters=10, random_state=0, max_iter=10, n_init=20, v_lambda=2, info_view=None
    )
    labels = model.fit_predict(views)
    objective = getattr(model, "obj_vals_", None)
    return labels, None if objective is None else np.sum(np.asarray(objective), axis=0).ravel()[-1]


def off_diagonal_correlation(*affinities):
    return float(np.corrcoef(*(W[~np.eye(len(W), dtype=bool)] for W in affinities))[0, 1])


def snfpy_clusters(views):
    """As its documentation goes on: spectral clustering of the fused affinity."""
    fused = snfpy_fusion(views)
    return fused, spectral_clustering(fused, n_clusters=10, random_state=0)


def snfpy_fusion(views):
    # Its imports and one keyword of scikit-learn are gone: put back for the comparison alone.
    if "pkg_resources" not in sys.modules:
        sys.modules["pkg_resources"] = types.SimpleNamespace(
            resource_filename=lambda *_: "", get_distribution=lambda *_: None
        )
    import sklearn.utils as utils
    import sklearn.utils.validation as validation

    original = validation.check_array

    def check_array(*args, force_all_finite=None, **keywords):
        if force_all_finite is not None:
            keywords["ensure_all_finite"] = force_all_finite
        return original(*args, **keywords)

    utils.check_array = validation.check_array = check_array
    try:
        import snf.compute

        snf.compute.check_array = check_array
        return snf.compute.snf(snf.compute.make_affinity(views, metric="euclidean", K=20, mu=0.5), K=20, t=20)
    finally:
        utils.check_array = validation.check_array = original


def imml_late_fusion(views):
    from imml.cluster import LFIMVC

    return LFIMVC(n_clusters=10, random_state=0).fit_predict(views)


# -- linear methods -----------------------------------------------------------------------------------------

_LARGE = """
import json, resource, sys, time
import numpy as np
from sklearn.metrics import adjusted_rand_score
from statkit.cluster import AnchorMultiViewClustering, OneStepMultiViewClustering, MultiViewKMeans
from statkit.datasets import make_multiview_blobs
name, n = sys.argv[1], int(sys.argv[2])
warm = make_multiview_blobs(500, 10, n_features=(6, 6, 6), separations=(1, 1, 1), random_state=0).views
few = dict(random_state=0) if len(sys.argv) < 4 else dict(random_state=0, **json.loads(sys.argv[3]))
make = dict(one_step=lambda: OneStepMultiViewClustering(10, n_jobs=2, **few),
            anchors=lambda: AnchorMultiViewClustering(10, n_jobs=2, **few),
            kmeans=lambda: MultiViewKMeans(10, **few))[name]
make().fit(warm)
blobs = make_multiview_blobs(n, 10, n_features=(76, 64, 47), separations=(.6, .6, .6), random_state=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, wall = time.process_time(), time.perf_counter()
fit = make().fit(blobs.views)
print(json.dumps(dict(method=name, n=n, cpu=time.process_time() - start, wall=time.perf_counter() - wall,
    ari=adjusted_rand_score(blobs.target, fit.labels_), data_mb=n * 187 * 8 / 1e6,
    peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, before_mb=before / 1e3)))
"""


def table_of_large(sizes, methods=("one_step", "anchors", "kmeans"), options=None):
    rows = []
    for name in methods:
        for n in sizes:
            extra = [json.dumps(options)] if options else []
            done = subprocess.run(
                [sys.executable, "-c", _LARGE, name, str(n), *extra],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                rows.append({"method": name, "n": n, "error": done.stderr.strip().splitlines()[-1][:120]})
            else:
                rows.append({**json.loads(done.stdout.splitlines()[-1]), **(options or {})})
    return rows


def show(title, rows):
    print(f"\n## {title}\n")
    for row in rows:
        parts = [
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
            if value is not None and key not in ("method", "work")
        ]
        print(f"{row.get('method', row.get('work', '')):42s} " + "  ".join(parts))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=["small", "full"], default="small")
    parser.add_argument("--peers", help="site-packages folder with the peers")
    parser.add_argument("--only", nargs="*", choices=["digits", "solvers", "peers", "large"], default=None)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    full = given.size == "full"
    path = Path(__file__).parent / "results" / ("multiview.json" if full else "multiview_small.json")
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}"
    wanted = given.only or ["digits", "solvers", "peers", "large"]
    warm()
    if "digits" in wanted:
        results["digits"] = table_of_digits()
        show("1,000 digits, six views", results["digits"])
    if "solvers" in wanted:
        results["solvers"] = table_of_solvers(2000 if full else 500)
        show("Solvers", [results["solvers"]])
    if "peers" in wanted:
        results["peers"] = table_of_peers(2000 if full else 1000, given.peers)
        show("Peers", results["peers"])
    if "large" in wanted:
        results["large"] = table_of_large([10_000, 100_000] if full else [10_000])
        show("Linear methods, three views of 187 columns", results["large"])
    print(f"\npeak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
