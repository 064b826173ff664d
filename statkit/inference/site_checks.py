"""What can be wrong with a combination of sites, from their summaries alone: value, verdict, advice; a line a site."""

from __future__ import annotations

import numpy as np
from scipy import stats

from statkit.inference.meta import meta_analysis
from statkit.solvers.cholesky import Factor

__all__ = ["by_parameter", "diagnose", "scores_at", "site_table"]

# Bias in standard errors that an interval of 95 % bears (its coverage is .943 and .921); what was subtracted
# leaves terms of its square.
_BIAS, _REMOVED, _STEP = (0.25, 0.5), (2.0, 4.0), 0.25


def diagnose(sites, c, answer, *, random) -> list[dict]:
    """Lines of ``Estimate.diagnostics``; ``random`` says that differences between sites are part of the model."""
    lines: list[dict] = []
    theta, bias, removed, decrement = answer.theta, answer.bias, answer.removed, answer.decrement

    def add(name, value, verdict="info", advice=""):
        lines.append({"name": name, "value": float(value), "verdict": verdict, "advice": advice})

    if bias is not None:
        error = np.sqrt(c.scale * np.diag(c.factor.inverse()))
        with np.errstate(invalid="ignore", divide="ignore"):
            index = float(np.nanmax(np.abs(bias) / error, initial=0.0))
        warn, fail = _REMOVED if removed else _BIAS
        verdict = "FAIL" if index >= fail else "WARN" if index >= warn else "OK"
        advice = (
            "predicted bias in standard errors, largest parameter; let the sites take a second round "
            "(local_summary(…, at=estimate))"
        )
        add("bias_removed" if removed else "bias_index", index, verdict, advice if verdict != "OK" else "")
    if decrement is not None:
        far = decrement > _STEP
        advice = "not yet the maximum likelihood estimate: let the sites take another round at this estimate"
        add("newton_decrement", decrement, "FAIL" if far else "OK", advice if far else "")
    _differences(sites, c, theta, random, add)
    p = max(c.factor.rank, 1)
    rows = min(s.nobs / max(s.rank, 1) for s in sites)
    events = [s.events / max(s.rank, 1) for s in sites if np.isfinite(s.events)]
    thin = rows < 10 or (events and min(events) < 5)
    advice = "a site has few rows (or events) a parameter: its bias is not of first order alone"
    add(
        "local_rows_per_parameter",
        rows,
        "WARN" if thin or rows < 20 else "OK",
        advice if thin or rows < 20 else "",
    )
    deficient = sum(s.rank < min(p, len(s.point)) for s in sites)
    for name, count, said in (
        (
            "local_separated",
            sum(s.separated for s in sites),
            "a separated response: those sites fit Firth's way",
        ),
        ("local_not_converged", sum(not s.converged for s in sites), "some local fits have not converged"),
        ("local_rank_deficient", deficient, "some sites cannot identify all their parameters"),
    ):
        add(name, count, "WARN" if count else "OK", said if count else "")
    return lines


def _differences(sites, c, theta, random, add):
    df = sum(s.rank for s in sites) - c.factor.rank
    if df <= 0:
        add("heterogeneity_Q", np.nan, "info", "nothing to compare")
        return
    Q = statistic(sites, c)
    p = float(stats.chi2.sf(Q, df))
    share = max(0.0, 1 - df / Q) if Q > 0 else 0.0
    small = any(s.nobs < 20 * max(s.rank, 1) for s in sites)
    verdict = (
        "info" if small or random else "FAIL" if p < 0.01 and share > 0.25 else "WARN" if p < 0.01 else "OK"
    )
    advice = {
        "OK": "",
        "info": "differences between sites are part of the model"
        if random
        else "sites are small for this test",
        "WARN": "sites differ by more than chance: see estimate.partitions",
        "FAIL": "sites do not share one parameter: own=[…] for those that differ, or method='random'",
    }[verdict]
    add("heterogeneity_Q", Q, verdict, advice)
    add("heterogeneity_df", df)
    add("heterogeneity_p", p)
    add("heterogeneity_I2", share)
    tests, levels = score_tests(sites, c, theta)
    odd = [s.site for s, t, level in zip(sites, tests, levels, strict=True) if t > level]
    said = f"sites whose rows disagree with the estimate: {', '.join(odd[:8])}" if odd else ""
    add("score_tests_rejected", len(odd), "WARN" if odd and not random else "info" if odd else "OK", said)


def statistic(sites, c) -> float:
    """Σ (θ_k − θ)' H_k (θ_k − θ) / φ; for scores, with one Newton step of every site as its estimate."""
    center, points = c.wlse, [s.point for s in sites]
    if sites[0].kind == "score":
        center = center + c.factor.solve(sum(w * g for w, g in zip(c.weights, c.scores, strict=True)))
        points = [s.point + Factor(s.information).solve(s.score) for s in sites]
    total = 0.0
    for w, s, B, point in zip(c.weights, sites, c.maps, points, strict=True):
        away = point - B @ center
        total += w * float(away @ s.information @ away)
    return total / c.scale if c.scale > 0 else np.nan


def scores_at(sites, c, theta) -> list[np.ndarray]:
    """Scores of the sites at θ, to first order, in their own coordinates."""
    return [
        (s.score if s.kind == "score" else 0.0) + s.information @ (s.point - B @ theta)
        for s, B in zip(sites, c.maps, strict=True)
    ]


def score_tests(sites, c, theta):
    """g' H_k⁻¹ g / φ of every site, and the level at which one is flagged."""
    scores = scores_at(sites, c, theta)
    tests = [
        w * float(g @ Factor(s.information).solve(g)) / c.scale
        for w, g, s in zip(c.weights, scores, sites, strict=True)
    ]
    levels = [stats.chi2.isf(0.01 / len(sites), max(s.rank, 1)) for s in sites]
    return tests, levels


def by_parameter(params, bse):
    """Test of equal values at all sites for every parameter: Q, df, p, I², variance between sites."""
    import pandas as pd

    lines = {}
    for name in params:
        b, v = params[name].to_numpy(), np.square(bse[name].to_numpy())
        known = np.isfinite(b) & np.isfinite(v) & (v > 0)
        if known.sum() > 1:
            r = meta_analysis(b[known], v[known])
            lines[name] = (r.Q[0], known.sum() - 1, r.p[0], r.I2[0], r.tau2[0])
        else:
            lines[name] = (np.nan, 0, np.nan, np.nan, np.nan)
    return pd.DataFrame.from_dict(lines, orient="index", columns=["Q", "df", "p", "I2", "tau2"])


def site_table(sites, c, theta):
    """One line a site."""
    import pandas as pd

    tests, _ = score_tests(sites, c, theta)
    whole = float(np.trace(c.H))
    return pd.DataFrame(
        {
            "partition": [s.site for s in sites],
            "rows": [s.nobs for s in sites],
            "events": [s.events for s in sites],
            "rank": [s.rank for s in sites],
            "converged": [s.converged for s in sites],
            "separated": [s.separated for s in sites],
            "firth": [s.firth for s in sites],
            "dispersion": c.own,
            "share": [w * float(np.trace(H)) / whole for w, H in zip(c.weights, c.informations, strict=True)],
            "score_test": tests,
        }
    )
