"""Transforms whose state depends on all rows: poly, splines, centring and scaling.

A state is fitted once from a :class:`~statkit.design.value_summary.ValueSummary`, frozen, and then only read:
every evaluation of a spline hands formulaic a fresh copy, because formulaic writes into what it is given.
"""

from __future__ import annotations

import copy

import numpy as np

from statkit.design.value_summary import ValueSummary, stieltjes

__all__ = ["STATEFUL", "apply_transform", "bind", "column_fields", "fit_state", "needs", "spans_intercept"]

_SPLINE = {"df": None, "knots": None}
_BOUNDS = {"lower_bound": None, "upper_bound": None}
_CUBIC = _SPLINE | _BOUNDS | {"constraints": None, "extrapolation": "extend"}

# Options in the order in which they may be given by position, with their defaults (those of formulaic).
STATEFUL: dict[str, dict] = {
    "poly": {"degree": 1, "raw": False},
    "center": {},
    "scale": {"center": True, "scale": True, "ddof": 1},
    "standardize": {"center": True, "rescale": True, "ddof": 0},
    "bs": _SPLINE | {"degree": 3, "include_intercept": False} | _BOUNDS | {"extrapolation": "raise"},
    "cr": _CUBIC,
    "cs": _CUBIC,
    "cc": _CUBIC,
}

#: Of one transform.
_MOST_COLUMNS = 10_000


def bind(name: str, args: list, keywords: dict) -> dict:
    """Options of a call, defaults filled in."""
    defaults = STATEFUL[name]
    if len(args) > len(defaults):
        raise ValueError(f"{name}() takes at most {len(defaults)} options after its column, got {len(args)}")
    options = dict(defaults)
    options.update(zip(defaults, args, strict=False))
    for key, value in keywords.items():
        if key not in defaults:
            raise ValueError(f"{name}() has no option {key!r}; it has {', '.join(defaults) or 'none'}")
        options[key] = value
    if name == "poly" and not (isinstance(options["degree"], int) and options["degree"] >= 1):
        raise ValueError(f"poly() needs a degree of 1 or more, got {options['degree']!r}")
    for option in ("degree", "df"):
        wanted = options.get(option)
        if wanted is not None and not (isinstance(wanted, int) and 0 <= wanted <= _MOST_COLUMNS):
            raise ValueError(
                f"{name}() needs a whole number up to {_MOST_COLUMNS:,} for {option}, got {wanted!r}"
            )
    if name in ("bs", "cr", "cs", "cc") and options["df"] is not None and options["knots"] is not None:
        raise ValueError(f"{name}() takes df or knots, not both")
    if name in ("cr", "cs", "cc") and options["df"] is None and options["knots"] is None:
        raise ValueError(f"{name}() needs df or knots, for instance {name}(x, df=4)")
    return options


def needs(name: str, options: dict) -> tuple[int, bool]:
    """Quadrature nodes and whether quantiles are needed for the state."""
    if name == "poly":
        return (0, False) if options["raw"] else (options["degree"] + 1, False)
    if name in ("center", "scale", "standardize"):
        return 2, False
    quantiles = options["df"] is not None
    # The centring constraint of a cubic spline is a mean of its columns over the rows.
    return 1, quantiles or options.get("constraints") == "center"


def spans_intercept(name: str, options: dict) -> bool:
    """Whether the columns sum to a constant by construction, so that one is dropped beside an intercept."""
    return name == "bs" and bool(options["include_intercept"])


def column_fields(name: str, state: dict, options: dict) -> list | None:
    """Labels of the columns, None for a single unlabelled one."""
    if name == "poly":
        return list(range(options["degree"])) if options["raw"] else list(range(1, options["degree"] + 1))
    if name in ("center", "scale", "standardize"):
        return None
    if name == "bs":
        size = len(state["knots"]) - options["degree"] - 1
        return list(range(0 if options["include_intercept"] else 1, size))
    size = len(state["knots"]) - (1 if name == "cc" else 0)
    if state["constraints"] is not None:
        size -= len(state["constraints"])
    return list(range(1, size + 1))


def fit_state(name: str, options: dict, summary: ValueSummary, text: str) -> dict:
    """State from the summary of all rows; numbers and lists only."""
    if name == "poly":
        return _fit_poly(options, summary, text)
    if name in ("center", "scale", "standardize"):
        return _fit_scale(name, options, summary, text)
    return _fit_spline(name, options, summary, text)


def apply_transform(name: str, options: dict, state: dict, x: np.ndarray) -> np.ndarray:
    """Columns of the transform, (n, K) or (n,); NaN where ``x`` is NaN."""
    x = x.astype(np.float64, copy=False)
    if name == "poly":
        return _apply_poly(options, state, x)
    if name in ("center", "scale", "standardize"):
        out = x if state["center"] is None else x - state["center"]
        return out if state["scale"] is None else out / state["scale"]
    return _apply_spline(name, options, state, x)


def _fit_poly(options, summary, text):
    if options["raw"]:
        return {}
    x, w = summary.measure()
    degree = options["degree"]
    if len(x) <= degree:
        raise ValueError(
            f"{text}: a polynomial of degree {degree} needs {degree + 1} distinct values or more"
        )
    alpha, norms2 = stieltjes(x, w, degree)
    return {"alpha": alpha.tolist(), "norms2": norms2.tolist()}


def _apply_poly(options, state, x):
    degree = options["degree"]
    if options["raw"]:
        return np.stack([np.power(x, k) for k in range(1, degree + 1)], axis=1)
    alpha, norms2 = state["alpha"], state["norms2"]
    out = np.empty((len(x), degree + 1))
    out[:, 0] = 1.0
    for k in range(degree):
        out[:, k + 1] = (x - alpha[k]) * out[:, k]
        if k:
            out[:, k + 1] -= norms2[k] / norms2[k - 1] * out[:, k - 1]
    out /= np.sqrt(norms2)
    return out[:, 1:]


def _fit_scale(name, options, summary, text):
    center = options.get("center", True)
    scale = {"center": False}.get(name, options.get("scale", options.get("rescale", False)))
    x, w = summary.measure()
    mean = None
    if isinstance(center, bool):
        mean = float((w * x).sum() / w.sum()) if center else None
    else:
        mean = float(center)
    if isinstance(scale, bool):
        spread = None
        if scale:
            centred = x if mean is None else x - mean
            spread = float(np.sqrt((w * centred**2).sum() / (summary.n - options["ddof"])))
            if not spread > 0:
                raise ValueError(f"{text}: the column is constant and cannot be scaled")
    else:
        spread = float(scale)
    return {"center": mean, "scale": spread}


def _fit_spline(name, options, summary, text):
    low = summary.low if options["lower_bound"] is None else float(options["lower_bound"])
    high = summary.high if options["upper_bound"] is None else float(options["upper_bound"])
    if options["extrapolation"] == "raise" and (summary.low < low or summary.high > high):
        raise ValueError(
            f"{text}: values from {summary.low:g} to {summary.high:g} lie outside [{low:g}, {high:g}]; "
            "give extrapolation='clip', 'na', 'zero' or 'extend'"
        )
    knots = [] if options["knots"] is None else [float(k) for k in options["knots"]]
    if name == "bs":
        return _fit_bs(options, summary, text, low, high, knots)
    return _fit_cubic(name, options, summary, text, low, high, knots)


def _fit_bs(options, summary, text, low, high, knots):
    degree = options["degree"]
    if options["df"] is not None:
        n_inner = options["df"] - degree - bool(options["include_intercept"])
        if n_inner < 0:
            raise ValueError(f"{text}: df must be {options['df'] - n_inner} or more")
        values, counts = summary.quantile_rows()
        if options["extrapolation"] in ("clip", "na", "zero"):
            inside = (values >= low) & (values <= high)
            values, counts = values[inside], counts[inside]
        if len(values) == 0:
            raise ValueError(f"{text}: no value between {low:g} and {high:g} to place knots by")
        knots = _quantiles(values, counts, np.linspace(0, 1, n_inner + 2)[1:-1])
    padded = np.pad([low, *knots, high], degree, mode="edge")
    return {"lower_bound": low, "upper_bound": high, "knots": padded.tolist()}


def _fit_cubic(name, options, summary, text, low, high, knots):
    from formulaic.transforms import cyclic_cubic_spline, natural_cubic_spline

    cyclic = name == "cc"
    spline = cyclic_cubic_spline if cyclic else natural_cubic_spline
    constraints = options["constraints"]
    centred = isinstance(constraints, str)
    if centred and constraints != "center":
        raise ValueError(f"{text}: constraints must be 'center' or a matrix")
    n_constraints = 1 if centred else 0 if constraints is None else len(np.atleast_2d(constraints))
    if options["df"] is not None:
        least = 1 if cyclic or n_constraints else 2
        if options["df"] < least:
            raise ValueError(f"{text}: df must be {least} or more")
        values = summary.quantile_rows()[0]
        values = values[(values >= low) & (values <= high)]
        n_inner = options["df"] - 2 + n_constraints + cyclic
        if len(values) == 0 and n_inner:
            raise ValueError(f"{text}: no value between {low:g} and {high:g} to place knots by")
        knots = np.percentile(values, np.linspace(0, 100, n_inner + 2)[1:-1]).tolist() if n_inner else []
    everything = np.unique([low, high, *knots])
    if len(everything) != len(knots) + 2:
        raise ValueError(f"{text}: the column has too few distinct values for {len(knots)} inner knots")
    state = {"lower_bound": low, "upper_bound": high, "cyclic": cyclic, "knots": everything.tolist()}
    if constraints is None:
        return state | {"constraints": None}
    if not centred:
        return state | {"constraints": np.atleast_2d(np.asarray(constraints, dtype=float)).tolist()}
    values, counts = summary.quantile_rows()
    if options["extrapolation"] == "clip":
        values = np.clip(values, low, high)
    free = spline(values, knots=knots, _state=copy.deepcopy(state | {"constraints": None}))
    columns = np.column_stack([free[i] for i in sorted(free)])
    return state | {"constraints": [(counts @ columns / counts.sum()).tolist()]}


def _quantiles(values, counts, probabilities) -> list[float]:
    """Linear quantiles of values repeated ``counts`` times, as ``numpy.quantile`` gives them."""
    ends = np.cumsum(counts)
    out = []
    for p in probabilities:
        at = (ends[-1] - 1) * p
        below = int(np.floor(at))
        t = at - below
        a = values[np.searchsorted(ends, below, side="right")]
        b = values[np.searchsorted(ends, min(below + 1, ends[-1] - 1), side="right")]
        out.append(float(b - (b - a) * (1 - t) if t >= 0.5 else a + (b - a) * t))
    return out


def _apply_spline(name, options, state, x):
    from formulaic.transforms import basis_spline, cyclic_cubic_spline, natural_cubic_spline

    spline = {"bs": basis_spline, "cc": cyclic_cubic_spline}.get(name, natural_cubic_spline)
    given = np.isnan(x)
    if given.any():
        out = np.full((len(x), len(column_fields(name, state, options))), np.nan)
        out[~given] = _apply_spline(name, options, state, x[~given])
        return out
    fresh = copy.deepcopy(state)
    if fresh.get("constraints") is not None:
        fresh["constraints"] = np.asarray(fresh["constraints"])
    # What was chosen from the data is in the state; the rest is passed as it was written.
    passed = {"extrapolation": options["extrapolation"]}
    if name == "bs":
        passed |= {"degree": options["degree"], "include_intercept": bool(options["include_intercept"])}
    if options["extrapolation"] == "raise" and len(x):
        low, high = state["lower_bound"], state["upper_bound"]
        if x.min() < low or x.max() > high:
            raise ValueError(
                f"{name}(): values from {x.min():g} to {x.max():g} lie outside [{low:g}, {high:g}], "
                "the range of the data it was fitted to; give extrapolation='clip', 'na', 'zero' or 'extend'"
            )
    if len(x) == 0:
        return np.empty((0, len(column_fields(name, state, options))))
    columns = spline(x, _state=fresh, **passed)
    return np.column_stack([np.broadcast_to(columns[i], x.shape) for i in sorted(columns)])
