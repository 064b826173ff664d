"""The printed summary: rates a class, likely errors, and the classes that are confused."""

from __future__ import annotations

import numpy as np

from statkit.naive_bayes._intervals import count_interval, logit_interval
from statkit.results.summary import Line, Note, Summary

_CONFUSED = 5


def noise_summary(model) -> Summary:
    """Summary of a fitted classifier with wrong labels."""
    prior, T, names = model.class_prior_, model.transition_, [str(c) for c in model.classes_]
    K = len(names)
    se = getattr(model, "transition_se_", None)
    probability = getattr(model, "label_error_proba_", None)
    left = [("Classes", str(K)), ("Words", f"{model.n_features_in_:,}")]
    right = [("Wrong labels", f"{model.noise_rate_:.1%}"), ("Strength of likelihood", f"{model.power_:.3g}")]
    notes = []
    if probability is not None:
        error = probability[np.isfinite(probability)]
        low, high = count_interval(error, 0.95, getattr(model, "noise_rate_se_", None))
        left += [("Documents", f"{len(probability):,}"), ("Labels", f"{error.size:,}")]
        right += [
            ("Expected wrong", f"{error.sum():,.0f} [{low:,.0f}, {high:,.0f}]"),
            ("Likely wrong", f"{(error > 0.5).sum():,}"),
        ]
        if getattr(model, "noise_rate_se_", None) is None:
            notes.append(Note("The interval of the expected number takes the estimated rates as exact."))
    columns: tuple[str, ...] = ("prior", "wrong", "mostly given as", "of given, wrong")
    if se is not None:
        columns = ("prior", "wrong", "[0.025", "0.975]", "mostly given as", "of given, wrong")
    lines = []
    for k, name in enumerate(names):
        cells = [f"{prior[k]:.3f}", f"{1 - T[k, k]:.3f}"]
        if se is not None:
            limits = logit_interval(1 - T[k, k], se[k, k], 0.95)
            cells += [f"{float(x):.3f}" for x in limits]
        if K > 1:
            others = np.where(np.arange(K) == k, -1.0, T[k])
            cells += [
                f"{names[others.argmax()]} {others.max():.3f}",
                f"{1 - model.inverse_transition_[k, k]:.3f}",
            ]
        else:
            cells += ["", ""]
        lines.append(Line(name, tuple(cells)))
    notes += _pairs(prior, T, names) + _drift(model)
    return Summary(
        f"Labels as {type(model).__name__} sees them",
        figures=(left, right),
        columns=columns,
        lines=lines,
        notes=notes,
    )


def _pairs(prior, T, names) -> list[Note]:
    joint = prior[:, None] * T
    both = np.triu(joint + joint.T, 1)
    order = np.argsort(-both, axis=None)[:_CONFUSED]
    pairs = [(divmod(int(a), len(names)), both.flat[a]) for a in order if both.flat[a] >= 0.005]
    if not pairs:
        return []
    said = ", ".join(f"{names[k]} and {names[m]} {share:.1%}" for (k, m), share in pairs)
    return [Note(f"Most confused, as a share of all labels: {said}.")]


def _drift(model) -> list[Note]:
    z = getattr(model, "drift_z_", None)
    if z is None or not np.isfinite(z):
        return []
    if model.power == "auto" and model.power_ < 1.0:
        return [
            Note(
                f"Words are not independent given the class (drift z = {z:.1f}): the likelihood was tempered."
            )
        ]
    if model.power != "auto" and model._drift.beyond(5.0):
        return [Note(f'EM drifted (z = {z:.1f}): the rates are not to be trusted; use power="auto".', "WARN")]
    return []
