"""What can be wrong with an estimate from few rounds, measured in the same rounds: value, verdict, advice."""

from __future__ import annotations

import numpy as np
from scipy import stats

__all__ = ["diagnose", "distance_line", "partition_line", "score_tests"]

# Bias in standard errors: coverage of a 95 % interval is .943 at the first and .921 at the second.
_BIAS_WARN, _BIAS_FAIL = 0.25, 0.5
# A bias that was subtracted leaves terms of its square: a larger one may be tolerated.
_REMOVED_WARN, _REMOVED_FAIL = 2.0, 4.0
_DECREMENT = 0.25


def _line(name, value, verdict, advice=""):
    return {"name": name, "value": float(value), "verdict": verdict, "advice": advice}


def _grade(value, warn, fail):
    return "FAIL" if value >= fail else "WARN" if value >= warn else "OK"


def diagnose(problem, combined, theta, bse, *, bias=None, removed=False, decrement=None, scores=None):
    """Lines of ``Estimate.diagnostics``.

    Parameters
    ----------
    theta, bse : ndarray of shape (q,)
        Estimate and model standard errors, internal coordinates.
    bias : ndarray of shape (q,) or None
        Predicted first-order bias; None where it is not known, zeros for estimates without.
    removed : bool
        Whether the predicted bias was subtracted already.
    decrement : float or None
        Distance to the maximum likelihood estimate in standard errors, where a round measured it.
    scores : list of ndarray or None
        Scores of the machines at ``theta``, where a round measured them.
    """
    lines = [*_bias(combined, bias, bse, removed)]
    if decrement is not None:
        lines.append(distance_line("newton_decrement", decrement))
    lines += _heterogeneity(problem, combined)
    lines += _scores(problem, combined, theta, scores)
    lines += _partition_ratio(combined, theta, scores)
    lines += _local(combined, removed)
    lines += _contribution(combined)
    lines += _split(problem, combined)
    return lines


def distance_line(name, distance):
    """Distance to the maximum likelihood estimate in standard errors, graded."""
    far = not distance <= _DECREMENT
    advice = "this is not the maximum likelihood estimate: take another round (OneStep, or Exact)"
    return _line(name, distance, "FAIL" if far else "OK", advice if far else "")


def _bias(combined, bias, bse, removed):
    if bias is None:
        return [_line("bias_index", np.nan, "WARN", "the bias of this estimate cannot be predicted here")]
    with np.errstate(invalid="ignore", divide="ignore"):
        index = float(np.nanmax(np.abs(bias) / bse, initial=0.0))
    K = len(combined.machines)
    if removed:
        verdict = _grade(index, _REMOVED_WARN, _REMOVED_FAIL)
        advice = (
            "so large a bias was subtracted that what is left may matter; use fewer machines, "
            "plan=OneStep() or plan=Exact()"
        )
        limit = _REMOVED_WARN
        name = "bias_removed"
    else:
        verdict = _grade(index, _BIAS_WARN, _BIAS_FAIL)
        advice = (
            f"predicted bias in standard errors, largest coefficient; a 95 % interval covers "
            f"{_coverage(index):.0%}; use LeastSquaresApproximation(bias_correction='analytic'), OneStep() or Exact()"
        )
        limit = _BIAS_WARN
        name = "bias_index"
    most = np.inf if index == 0 else K * limit / index
    return [
        _line(name, index, verdict, advice if verdict != "OK" else ""),
        _line("k_limit", np.floor(most), "info", "largest number of machines that is safe for as many rows"),
    ]


def _coverage(shift):
    return stats.norm.cdf(1.96 - shift) - stats.norm.cdf(-1.96 - shift)


def _heterogeneity(problem, combined):
    machines = combined.machines
    df = sum(m["rank"] for m in machines) - combined.factor.rank
    Q = combined.Q / combined.phi if combined.phi > 0 else np.nan
    if df <= 0 or not np.isfinite(Q):
        return [_line("heterogeneity_Q", np.nan, "info", "one machine: nothing to compare")]
    p = float(stats.chi2.sf(Q, df))
    share = max(0.0, 1 - df / Q) if Q > 0 else 0.0
    small = any(m["n"] < 20 * problem.size for m in machines)
    verdict = "info" if small else "FAIL" if p < 0.01 and share > 0.25 else "WARN" if p < 0.01 else "OK"
    advice = {
        "OK": "",
        "info": "machines are too small for the chi-squared law of Q",
        "WARN": "machines differ by more than chance: compare estimate_.partitions",
        "FAIL": "machines do not share one parameter, or rows were split by outcome; Exact() fits all rows as one",
    }[verdict]
    return [
        _line("heterogeneity_Q", Q, verdict, advice),
        _line("heterogeneity_df", df, "info"),
        _line("heterogeneity_p", p, "info"),
        _line("heterogeneity_I2", share, "info"),
    ]


def _approximate(combined, theta):
    return [m["H"] @ (m["theta"] - theta) for m in combined.machines]


def score_tests(problem, combined, theta, scores=None):
    """S_k = g' H_k⁻¹ g / φ of every machine, and the level at which one is flagged."""
    from statkit.solvers.cholesky import Factor

    scores = _approximate(combined, theta) if scores is None else scores
    tests = [
        float(g @ Factor(m["H"]).solve(g)) / combined.phi if m["rank"] and combined.phi > 0 else np.nan
        for g, m in zip(scores, combined.machines, strict=True)
    ]
    K = len(tests)
    levels = [stats.chi2.isf(0.01 / K, max(m["rank"], 1)) for m in combined.machines]
    return np.array(tests), np.array(levels)


def _scores(problem, combined, theta, scores):
    if len(combined.machines) < 2:
        return []
    tests, levels = score_tests(problem, combined, theta, scores)
    odd = np.flatnonzero(tests > levels)
    labels = problem.machines
    names = [
        str(labels[combined.index[k]]) if labels is not None else str(combined.index[k]) for k in odd[:8]
    ]
    advice = f"partitions whose rows disagree with the estimate: {', '.join(names)}" if len(odd) else ""
    return [_line("score_tests_rejected", len(odd), "WARN" if len(odd) else "OK", advice)]


def _partition_ratio(combined, theta, scores):
    if len(combined.machines) < 2:
        return []
    G = np.array(_approximate(combined, theta) if scores is None else scores)
    sizes = np.array([m["n"] for m in combined.machines], float)
    return partition_line(G, sizes, np.nan_to_num(combined.factor.inverse()), combined.phi)


def partition_line(G, sizes, inverse, phi):
    """Errors from the spread of the partitions' scores against those of the model, the largest ratio."""
    K = len(G)
    G = G - np.outer(sizes / sizes.sum(), G.sum(axis=0))
    between = np.diag(inverse @ (G.T @ G * (K / (K - 1))) @ inverse)
    model = phi * np.diag(inverse)
    seen = model > 0
    squared = float(np.max(between[seen] / model[seen], initial=0.0))
    # As many partitions as would vary so much if all were alike, and the best of many coefficients.
    df = sizes.sum() ** 2 / (sizes**2).sum() - 1
    likely = float(stats.chi2.sf(df * squared, df)) * max(int(seen.sum()), 1) if df > 0 else 1.0
    sure = squared > 1.5**2 and K >= 20 and likely < 1e-3
    advice = "rows within a partition are correlated: use cov_type='partition' or 'cluster'" if sure else ""
    verdict = "WARN" if sure else "info" if K < 20 else "OK"
    return [_line("partition_se_ratio", np.sqrt(squared), verdict, advice)]


def _local(combined, removed):
    machines = combined.machines
    p = combined.factor.rank
    rows = min(m["n"] for m in machines) / max(p, 1)
    events = min(m["events"] for m in machines) / max(p, 1)
    thin = rows < 10 or events < 5
    verdict = "FAIL" if thin and not removed else "WARN" if thin or rows < 20 else "OK"
    advice = "machines have few rows (or events) a coefficient: use fewer machines, or Exact()"
    lines = [_line("local_rows_per_parameter", rows, verdict, advice if verdict != "OK" else "")]
    separated = sum(m["separated"] for m in machines)
    unfinished = sum(not m["converged"] and not m["separated"] for m in machines)
    deficient = sum(m["rank"] < p for m in machines)
    for name, count, said in (
        (
            "local_separated",
            separated,
            "the response is separated on some machines: use local='firth' or Exact()",
        ),
        ("local_not_converged", unfinished, "some local fits have not converged"),
        ("local_rank_deficient", deficient, "some machines cannot identify all coefficients"),
    ):
        lines.append(_line(name, count, "WARN" if count else "OK", said if count else ""))
    return lines


def _contribution(combined):
    """Whether one machine holds most of the information."""
    machines = combined.machines
    if len(machines) <= 5:
        return []
    total = sum(np.trace(m["H"]) for m in machines)
    share = max(np.trace(m["H"]) for m in machines) / total if total > 0 else np.nan
    advice = "one machine holds most of the information" if share > 0.5 else ""
    return [_line("largest_share", share, "info", advice)]


def _split(problem, combined):
    """One-way analysis of variance of every column over machines."""
    machines = [m for m in combined.machines if m["x"] is not None]
    K = len(machines)
    if K < 2:
        return []
    counts = np.array([m["x"][2] for m in machines], float)
    sums = np.array([m["x"][0] for m in machines])
    squares = sum(m["x"][1] for m in machines)
    n = counts.sum()
    if n <= K:
        return []
    means, mean = sums / counts[:, None], sums.sum(axis=0) / n
    between = (counts[:, None] * (means - mean) ** 2).sum(axis=0)
    within = np.maximum(squares - n * mean**2 - between, 0.0)
    total = between + within
    varies = total > 1e-10 * np.maximum(squares, 1e-300)
    if not varies.any():
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        F = (between / (K - 1)) / (within / (n - K))
    largest = float(np.max(F[varies]))
    away = float(np.sqrt(((means - mean) ** 2)[:, varies] / (total[varies] / n)).max())
    p = float(stats.f.sf(largest, K - 1, n - K)) * int(varies.sum())
    advice = "columns differ between machines: rows were not split at random; equal weights would mislead"
    return [
        _line("split_test_F", largest, "WARN" if p < 0.001 else "OK", advice if p < 0.001 else ""),
        _line(
            "split_test_smd",
            away,
            "info",
            "largest distance of a machine's column mean, in standard deviations",
        ),
    ]
