"""Multi-view clustering against its peers: accuracy on digits, speed of solvers, linear methods.

    python benchmarks/multiview.py [--size small|full] [--only LINE …]

Labels never choose anything: truth only scores. Times are CPU seconds of one thread unless wall seconds are said.
The environment variable STATKIT_PEERS names a folder with mvlearn 0.5.0, snfpy 0.2.2, imml 0.6.0 and control, each
installed without its requirements (``pip install --no-deps --target FOLDER …``), which clash with current releases
and are not needed for what is compared; what cannot be imported is left out and said.
"""

import json
import os
import sys
import types
import warnings
from functools import cache

import _harness as h
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

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
    clustering_accuracy,
)
from statkit.cluster._scaling import fit_scaler
from statkit.cluster.similarity_network import fuse, local_affinity
from statkit.datasets import load_mfeat, make_multiview_blobs

warnings.simplefilter("ignore")

EXACT, STARTS = 0.01, 0.02  # tolerance of an accuracy: eigenvectors, and where starts of k-means decide
# Method, and accuracy and CPU seconds of an independent reconstruction of it on the same 1,000 digits
DIGITS = {
    "k-means, block-scaled concatenation": (None, 0.972, 0.2, STARTS),
    "average kernel": (MultipleKernelKMeans(weighting="average"), 0.959, 0.2, EXACT),
    "MKKM": (MultipleKernelKMeans(weighting="mkkm"), 0.642, 0.8, EXACT),
    "MKKM-MR, λ = 1/8": (MultipleKernelKMeans(weighting="mr", reg=0.125), 0.885, 0.6, EXACT),
    "SimpleMKKM": (MultipleKernelKMeans(), 0.937, 3.0, EXACT),
    "localised, 0.1": (MultipleKernelKMeans(neighborhood=0.1), 0.978, 3.5, EXACT),
    "localised, 0.4": (MultipleKernelKMeans(neighborhood=0.4), 0.964, 3.1, EXACT),
    "LSWMKC exact, α = 8": (LocalSampleWeightedMKC(solver="exact"), 0.957, 8.3, EXACT),
    "LSWMKC exact, α = 64": (
        LocalSampleWeightedMKC(solver="exact", alpha=64, stopping="reference"), 0.973, 8.8, EXACT,
    ),
    "LSWMKC sparse, 50 candidates": (
        LocalSampleWeightedMKC(solver="sparse", n_candidates=50), 0.976, 0.25, EXACT,
    ),
    "LSWMKC sparse": (LocalSampleWeightedMKC(solver="sparse"), None, None, EXACT),
    "late fusion, λ = 8": (LateFusionClustering(), 0.958, 0.7, EXACT),
    "SNF, K = 20": (SimilarityNetworkFusion(), 0.848, 11.0, EXACT),
    "SNF, K = 20, identity added": (SimilarityNetworkFusion(normalization="diagonal"), None, None, EXACT),
    "co-regularised, λ = 1": (CoRegularizedSpectralClustering(max_iter=9), 0.920, 7.0, EXACT),
    "GMC, published fusion": (GraphFusionClustering(fusion="reference"), 0.886, 3.8, EXACT),
    "GMC, weighted fusion": (GraphFusionClustering(), None, None, EXACT),
    "one-step, reg 0.05": (OneStepMultiViewClustering(reg=0.05, n_init=5), 0.952, 4.2, STARTS),
    "one-step, reg 0.3": (OneStepMultiViewClustering(reg=0.3, n_init=5), 0.971, 3.1, STARTS),
    "anchors, r = 50": (AnchorMultiViewClustering(), 0.752, 2.1, STARTS),
    "multi-view k-means": (MultiViewKMeans(), None, None, STARTS),
    "multi-view k-means, learned weights": (MultiViewKMeans(weighting="auto"), None, None, STARTS),
}  # fmt: skip


@cache
def data(n):
    """Views of ``n`` digits, as given and with standardised columns, and what they are."""
    mfeat = load_mfeat()
    step = 2000 // n
    views = {name: view[::step] for name, view in mfeat.views.items()}
    scaled = {name: fit_scaler(view, name, "standard")(view) for name, view in views.items()}
    return views, scaled, mfeat.target[::step]


@cache
def warm():
    """Compile and load everything once, so that no run pays for it."""
    views = make_multiview_blobs(80, 3, random_state=0).views
    for method, *_ in DIGITS.values():
        if method is not None:
            type(method)(**{**method.get_params(), "n_clusters": 3, "random_state": 0}).fit(views)


def digits(full):
    warm()
    n = 1000 if full else 250
    X, scaled, y = data(n)
    lines = {}
    for name, (method, wanted, seconds, tolerance) in DIGITS.items():
        if method is None:
            block = np.hstack([fit_scaler(view, key, "block")(view) for key, view in X.items()])
            run = h.alternate(1, statkit=lambda block=block: KMeans(10, n_init=20, random_state=0).fit(block))
        else:
            method.set_params(n_clusters=10, random_state=0)
            # Standardised samples mix the units of their columns unless these were standardised before.
            views = scaled if isinstance(method, GraphFusionClustering) else X
            run = h.alternate(1, statkit=lambda method=method, views=views: method.fit(views))
        labels = run["answers"]["statkit"].labels_
        found = clustering_accuracy(y, labels)
        cpu = run["figures"]["statkit"]["cpu"]
        figures = run["figures"]["statkit"] | {
            "accuracy": found,
            "nmi": normalized_mutual_info_score(y, labels, average_method="max"),
            "ari": adjusted_rand_score(y, labels),
        }
        compared = full and wanted is not None
        lines[f"digits: {name}"] = h.Line(
            f"{name}, {n:,} digits, six views",
            f"accuracy ≥ {wanted:.3f} − {tolerance}, ≤ {seconds} CPU s" if compared else "-",
            f"{found:.3f}, {cpu:.2f} CPU s",
            bool(found >= wanted - tolerance and cpu <= seconds) if compared else True,
            {"statkit": figures}
            | ({"reconstruction": {"accuracy": wanted, "cpu": seconds}} if wanted else {}),
        )
    return lines


# -- solvers ------------------------------------------------------------------------------------------------


def sparse(full):
    """The sparse solver against the dense one, without a limit of the rank and with the same."""
    warm()
    n = 2000 if full else 500
    X, _, y = data(n)

    def fit(**options):
        return lambda: LocalSampleWeightedMKC(10, random_state=0, **options).fit(X)

    run = h.alternate(
        1, sparse=fit(solver="sparse"), dense=fit(solver="exact"), ranked=fit(solver="exact", rank=10)
    )
    cpu = {name: figure["cpu"] for name, figure in run["figures"].items()}
    labels = {name: fit.labels_ for name, fit in run["answers"].items()}
    truth = {name: adjusted_rand_score(y, found) for name, found in labels.items()}
    same = {name: adjusted_rand_score(labels[name], labels["sparse"]) for name in ("dense", "ranked")}
    figures = {name: run["figures"][name] | {"ari": truth[name]} for name in cpu}
    figures["agreement with sparse"] = same
    return {
        "sparse": h.Line(
            f"LSWMKC, n = {n:,}: sparse solver against the dense one",
            "≥ 20 × faster, ARI within .02",
            f"{cpu['dense'] / cpu['sparse']:.0f} × faster, ARI {truth['sparse']:.3f} against {truth['dense']:.3f}",
            cpu["dense"] >= 20 * cpu["sparse"] and abs(truth["sparse"] - truth["dense"]) <= 0.02,
            figures,
            "the sparse solver limits the rank of the consensus kernel to k, which is another problem, on these "
            "data one with better labels; the labels of the dense problem move by more than .02 when its "
            "tolerance or α moves by a twentieth",
        ),
        "sparse, same rank": h.Line(
            f"LSWMKC, n = {n:,}: sparse solver against the dense one of the same rank",
            "labels agree, ARI ≥ .98",
            f"{cpu['ranked'] / cpu['sparse']:.0f} × faster, labels agree to {same['ranked']:.3f}",
            same["ranked"] >= 0.98,
            figures,
        ),
    }


def simple(full):
    """Eigendecompositions to the optimum of SimpleMKKM."""
    warm()
    n = 2000 if full else 500
    fit = MultipleKernelKMeans(10, tol=1e-10, random_state=0).fit(data(n)[0])
    return {
        "simple": h.Line(
            f"SimpleMKKM, n = {n:,}: exact optimum",
            "KKT residual ≤ 1e-6 in ≤ 1/5 of the eigendecompositions of reduced gradient",
            f"{fit.kkt_residual_:.0e} in {fit.n_iter_}; reduced gradient 175 to 486",
            fit.kkt_residual_ <= 1e-6 and 5 * fit.n_iter_ <= 175,
            {
                "statkit": {"kkt": fit.kkt_residual_, "eigendecompositions": fit.n_iter_},
                "reduced gradient": {"least": 175, "most": 486},
            },
            "reduced gradient: range of the published program on sets of this kind",
        )
    }


# -- peers --------------------------------------------------------------------------------------------------


def peer(module):
    """Import a peer from STATKIT_PEERS, with what it misses in current releases put back for it alone."""
    folder = os.environ.get("STATKIT_PEERS")
    if folder and folder not in sys.path:
        sys.path.append(folder)
    if module.startswith("snf") and "pkg_resources" not in sys.modules:
        sys.modules["pkg_resources"] = types.SimpleNamespace(resource_filename=lambda *_: "")
    imported = __import__(module, fromlist=["_"])
    if module == "snf.compute":  # one keyword of scikit-learn is gone
        from sklearn.utils import check_array

        imported.check_array = lambda *args, force_all_finite=True, **options: check_array(
            *args, ensure_all_finite=force_all_finite, **options
        )
    return imported


def off_diagonal(*affinities):
    """Correlation of the entries off the diagonal, and the median of their relative differences."""
    a, b = (W[~np.eye(len(W), dtype=bool)] for W in affinities)
    return float(np.corrcoef(a, b)[0, 1]), float(np.median(np.abs(a - b) / b))


def missing(work, error):
    print(f"{work}: left out, {type(error).__name__}: {error}")
    return {}


def co_regularised(full):
    """The same rbf kernels (γ = 1 on scaled views), λ and number of rounds."""
    n = 2000 if full else 500
    _, scaled, y = data(n)
    try:
        theirs = peer("mvlearn.cluster").MultiviewCoRegSpectralClustering
    except ImportError as error:
        return missing("co_regularised", error)
    warm()
    rng = np.random.default_rng(0)
    views = []
    for view in scaled.values():
        a, b = view[rng.integers(n, size=2000)], view[rng.integers(n, size=2000)]
        views.append(view / np.sqrt(2 * np.median(np.square(a - b).sum(axis=1))))
    settings = {"n_clusters": 10, "max_iter": 10, "n_init": 20, "gamma": 1.0, "random_state": 0}
    run = h.alternate(
        1,
        statkit=lambda: CoRegularizedSpectralClustering(
            reg=2.0, scale=None, tol=0, **(settings | {"max_iter": 9})
        ).fit(views),
        mvlearn=lambda: theirs(v_lambda=2, **settings).fit(views),
    )
    ours, other = run["answers"]["statkit"], run["answers"]["mvlearn"]
    U = ours.view_embeddings_
    closeness = sum(np.square(U[v].T @ U[w]).sum() for v in range(len(U)) for w in range(v))
    # theirs is the sum over views of the objective of each, in which every pair counts twice
    objective = {
        "statkit": ours.objective_path_[-1] + 2.0 * closeness, "mvlearn": float(other.objective_[:, -1].sum()),
    }  # fmt: skip
    cpu = {name: figure["cpu"] for name, figure in run["figures"].items()}
    ratio = cpu["mvlearn"] / cpu["statkit"]
    gap = objective["statkit"] / objective["mvlearn"] - 1
    figures = {
        name: run["figures"][name]
        | {"objective": objective[name], "ari": adjusted_rand_score(y, run["answers"][name].labels_)}
        for name in cpu
    }
    return {
        "co_regularised": h.Line(
            f"co-regularised spectral, n = {n:,}, 6 views, 9 rounds: against mvlearn 0.5.0",
            "≥ 5 × faster at equal objective",
            f"{ratio:.1f} × faster, objective {objective['statkit']:.5g} against {objective['mvlearn']:.5g}",
            ratio >= 5 and gap > -1e-4,
            figures,
        )
    }


def snf(full):
    """Fusion alone, of the same affinities; then with the affinities of the same features."""
    n = 2000 if full else 500
    _, scaled, _ = data(n)
    try:
        theirs = peer("snf.compute")
    except ImportError as error:
        return missing("snf", error)
    views = [view * np.sqrt((n - 1) / n) for view in scaled.values()]  # they divide by n − 1
    affinities = [local_affinity(view, 20, 0.5) for view in views]
    small = [W[:60, :60] for W in affinities]
    for normalization in ("rows", "diagonal"):
        fuse(small, 20, 2, normalization=normalization)
    run = h.alternate(
        1,
        statkit=lambda: fuse(affinities, 20, 20, normalization="diagonal"),
        snfpy=lambda: theirs.snf([W.copy() for W in affinities], K=20, t=20),
        rows=lambda: fuse(affinities, 20, 20),
    )
    found = run["answers"]
    cpu = {name: figure["cpu"] for name, figure in run["figures"].items()}
    correlation, apart = off_diagonal(found["statkit"], found["snfpy"])
    making = h.alternate(
        1,
        statkit=lambda: [local_affinity(view, 20, 0.5) for view in views],
        snfpy=lambda: theirs.make_affinity(views, metric="euclidean", K=20, mu=0.5),
    )
    same = max(
        float(np.abs(a - b).max() / b.max())
        for a, b in zip(making["answers"]["statkit"], making["answers"]["snfpy"], strict=True)
    )
    made = {name: figure["cpu"] for name, figure in making["figures"].items()}
    ratio = cpu["snfpy"] / cpu["statkit"]
    whole = (cpu["snfpy"] + made["snfpy"]) / (cpu["statkit"] + made["statkit"])
    return {
        "snf": h.Line(
            f"similarity network fusion, n = {n:,}, 6 views, the same affinities: against snfpy 0.2.2",
            "≥ 5 × faster at equal affinity",
            f"{ratio:.1f} × faster, correlation {correlation:.6f}, median relative difference {apart:.0e}",
            ratio >= 5 and correlation > 0.9999,
            run["figures"] | {"equality": {"correlation": correlation, "median relative difference": apart}},
            'normalization="diagonal" is the recursion of snfpy; what differs are ties at the 20th neighbour of '
            "duplicated samples. The default is that of the R package SNFtool, another recursion: its graph "
            f"correlates {off_diagonal(found['rows'], found['snfpy'])[0]:.2f} with snfpy's off the diagonal",
        ),
        "snf with affinities": h.Line(
            f"similarity network fusion, n = {n:,}, 6 views, from features: against snfpy 0.2.2",
            "≥ 5 × faster at equal affinity",
            f"{whole:.1f} × faster, affinities of the views differ by {same:.0e}",
            whole >= 5 and same < 1e-8 and correlation > 0.9999,
            making["figures"],
        ),
    }


def late_fusion(full):
    """The same kernels to both; the models differ: imml's may change the embeddings of the views."""
    n = 2000 if full else 500
    _, scaled, y = data(n)
    try:
        theirs = peer("imml.cluster").LFIMVC
    except ImportError as error:
        return missing("late_fusion", error)
    warm()
    views = list(scaled.values())
    run = h.alternate(
        1,
        statkit=lambda: LateFusionClustering(10, kernel="linear", scale=None, random_state=0).fit(views),
        imml=lambda: theirs(n_clusters=10, random_state=0).fit(views),
    )
    cpu = {name: figure["cpu"] for name, figure in run["figures"].items()}
    figures = {
        name: run["figures"][name] | {"ari": adjusted_rand_score(y, run["answers"][name].labels_)}
        for name in cpu
    }
    return {
        "late_fusion": h.Line(
            f"late fusion, linear kernels, n = {n:,}, 6 views: against imml 0.6.0 (LFIMVC)",
            "≥ 5 × faster",
            f"{cpu['imml'] / cpu['statkit']:.1f} × faster, ARI {figures['statkit']['ari']:.3f} against "
            f"{figures['imml']['ari']:.3f}",
            cpu["imml"] >= 5 * cpu["statkit"],
            figures,
            "imml has neither co-regularised spectral clustering nor similarity network fusion",
        )
    }


# -- linear methods -----------------------------------------------------------------------------------------

LINEAR = {
    "one-step": lambda: OneStepMultiViewClustering(10, n_jobs=2, random_state=0),
    "anchors": lambda: AnchorMultiViewClustering(10, n_jobs=2, random_state=0),
    "k-means": lambda: MultiViewKMeans(10, random_state=0),
}
TITLES = {"one-step": "one-step", "anchors": "anchors", "k-means": "multi-view k-means"}


def child(name, n):
    """One fit in a process of its own."""
    make = LINEAR[name]
    make().fit(
        make_multiview_blobs(500, 10, n_features=(6, 6, 6), separations=(1, 1, 1), random_state=0).views
    )
    blobs = make_multiview_blobs(n, 10, n_features=(76, 64, 47), separations=(0.6, 0.6, 0.6), random_state=0)
    fitted = {}
    found = h.measured(lambda: fitted.update(fit=make().fit(blobs.views)))
    found["ari"] = adjusted_rand_score(blobs.target, fitted["fit"].labels_)
    print(json.dumps(found))


def _linear(name, n, target="-"):
    return linear_line(name, n, target, h.children(__file__, 1, name, arguments=[n])[name])


def linear_line(name, n, target, found):
    size = n * 187 * 8 / h.MB
    return h.Line(
        f"{TITLES[name]}, {n:,} × 187 columns in 3 views, k = 10, 2 threads",
        target,
        f"{found['wall']:.1f} s ({found['cpu']:.1f} CPU s), {found['growth_mb']:,.0f} MB beyond the data "
        f"({size:,.0f} MB), ARI {found['ari']:.3f}",
        target != "< 60 s" or found["wall"] < 60,
        {"statkit": found | {"data_mb": size}},
    )


def large(full):
    sizes = (10_000, 100_000) if full else (10_000,)
    return {
        f"large: {name}, {n}": _linear(name, n, "< 60 s" if n == 100_000 and name != "k-means" else "-")
        for name in (LINEAR if full else ("one-step", "anchors"))
        for n in sizes
    }


def million(full):
    """Minutes each."""
    if not full:
        return {}
    return {
        f"million: {name}": _linear(name, 1_000_000, "possible; memory linear")
        for name in ("one-step", "anchors")
    }


LINES = {f.__name__: f for f in (digits, sparse, simple, co_regularised, snf, late_fusion, large, million)}


def main():
    options = h.arguments(LINES)
    if options.child:
        child(options.child, int(options.rest[0]))
        return
    path, order = None, []
    for name in options.only or LINES:
        lines = LINES[name](options.size == "full")
        if lines:
            path = h.record("multiview", options.size, lines)
            order += lines
        for line in lines.values():
            print(f"{line.work}: {line.measured}", flush=True)
    if path is not None:
        h.show(path, order)


if __name__ == "__main__":
    main()
