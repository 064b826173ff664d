"""``partial_fit``: batches into a plan that can update, without harm when one of them is bad."""

from __future__ import annotations

import numpy as np

from statkit.engines.engine import one_blas_thread
from statkit.regression._data import Roles, is_matrix
from statkit.rounds import Problem

__all__ = ["Stream", "can_stream", "merge", "partial_fit"]


def can_stream(model) -> bool:
    """Whether the model's plan can take batches one by one (for ``available_if``)."""
    if not hasattr(model.plan, "update"):
        raise AttributeError(
            f"partial_fit needs a plan that can update, such as plans.Renewable(), not plan={model.plan!r}"
        )
    return True


class Stream:
    """What a model keeps between batches: the problem without rows, and the plan's state."""

    def __init__(self, problem, state):
        self.problem = problem
        self.state = state


def partial_fit(model, X, y, sample_weight, offset, groups, classes=None):
    """Absorb a batch; the model stays as it was if anything fails."""
    stream = vars(model).get("_stream")
    number = 1 if stream is None else stream.state.n_batches + len(stream.state.pending) + 1
    with one_blas_thread():
        try:
            if stream is None:
                fitted, problem, block = _first(model, X, Roles(y, sample_weight, offset, groups), classes)
                state = model.plan.update(problem, None, block)
                _forget_fit(model)
                for name, value in fitted.items():
                    setattr(model, name, value)
            else:
                problem = stream.problem
                if classes is not None and not np.array_equal(np.unique(classes), model.classes_):
                    raise ValueError(
                        f"classes={list(classes)!r} is not the same as on last call: {model.classes_}"
                    )
                block = _next(model, stream, X, Roles(y, sample_weight, offset, groups))
                state = model.plan.update(problem, stream.state, block)
        except ValueError as error:
            if number > 1 and str(error).startswith("Input"):
                raise ValueError(f"{error} in batch {number}; the estimate is as it was") from None
            raise
    model._stream = Stream(problem, state)
    model._estimate = None  # made when someone looks at it
    shown = state if state.theta is not None else model.plan.provisional(problem, state)
    values = problem.with_scaling(state.center, state.scale).public_values(shown.theta)
    model._set_coefficients(values)
    return model


def _forget_fit(model):
    for name in [n for n in vars(model) if n.endswith("_") and not n.startswith("_")]:
        delattr(model, name)


def _first(model, X, roles, classes):
    """Fitted attributes, problem and block of the first batch."""
    model._check_parameters()
    if model._categorical_response and classes is None:
        raise ValueError(
            "classes must be given on the first call to partial_fit: later batches may hold new ones"
        )
    fitted = {}
    labels = None if classes is None else np.unique(classes)
    if labels is not None and len(labels) < 2:
        raise ValueError(f"classes must hold at least two labels, not {list(labels)!r}")
    if model.formula is None and is_matrix(X):
        source, design, family = model._plain(X, roles, fitted, labels)
    else:
        from statkit.regression._tabular import tabular

        source, design, family = tabular(model, X, roles, fitted, labels)
        from statkit.engines import SerialEngine
        from statkit.regression._fit import freeze

        design, _ = freeze(design, source, SerialEngine())
    problem = Problem(
        family, design, None, alpha=float(model.alpha), cov_type=model._covariance(family, model.plan),
        seed=model._seed(),
        scaling={"center": np.empty(0), "scale": np.empty(0)},
    )  # fmt: skip
    problem.classes = fitted.get("classes_")
    model_design = {"_design": design, "_fitted_family": family}
    return {**fitted, **model_design}, problem, _encoded(problem, source, 0)


def _next(model, stream, X, roles):
    """The block of a later batch."""
    problem = stream.problem
    design = problem.design
    if not design.columns and is_matrix(X):
        source = model._batch_source(X, roles)
    else:
        from statkit.regression._tabular import batch_source

        source = batch_source(model, X, roles)
    return _encoded(problem, source, stream.state.n_read + sum(b.n_rows for b in stream.state.pending))


def _encoded(problem, source, first_row):
    from statkit.design.block import concatenate

    blocks = []
    for partition in source.partitions():
        rows = source.read(partition, problem.design.columns)
        rows.first_row += first_row
        block = problem.design.encode(rows)
        bad = problem.family.check_response(block.y)
        if bad is not None:
            index, reason = bad
            raise ValueError(
                f"response {problem.design.response_name!r}: {reason} in row {block.row_numbers()[index]}"
            )
        blocks.append(block)
    if not blocks:
        raise ValueError("the batch has no rows")
    return blocks[0] if len(blocks) == 1 else concatenate(blocks)


def merge(model, other):
    """Absorb another model's stream, of independent rows under the same parameters."""
    mine, theirs = vars(model).get("_stream"), vars(other).get("_stream")
    if mine is None or theirs is None:
        raise ValueError("merge needs two models that were fitted by partial_fit")
    if (
        mine.problem.design.names != theirs.problem.design.names
        or mine.problem.family != theirs.problem.family
    ):
        raise ValueError("the two streams have other columns or families: they cannot be merged")
    with one_blas_thread():
        state = model.plan.merge(mine.problem, mine.state, theirs.state)
    model._stream = Stream(mine.problem, state)
    model._estimate = None
    model._set_coefficients(mine.problem.with_scaling(state.center, state.scale).public_values(state.theta))
    return model
