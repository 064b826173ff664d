"""``partial_fit``: batches into a plan that can update, without harm when one of them is bad."""

from __future__ import annotations

import copy

import numpy as np

from statkit.design import MatrixDesign
from statkit.design.declare import with_declared_levels
from statkit.design.grow import UnknownLevel, column_map, with_more_levels
from statkit.engines.engine import one_blas_thread
from statkit.regression._data import Roles, as_vector, is_frame, is_matrix
from statkit.rounds import Problem

__all__ = ["Stream", "can_stream", "merge", "partial_fit", "show"]


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
    """Absorb a batch, or a file partition by partition; the model stays as it was if anything fails."""
    stream = vars(model).get("_stream")
    roles = Roles(y, sample_weight, offset, groups)
    fitted = None
    with one_blas_thread():
        try:
            if stream is None:
                fitted, problem, blocks = _first(model, X, roles, classes)
                state = None
            else:
                problem, state = stream.problem, stream.state
                _same_model(model, stream, classes)
                quick = _quickly(model, stream, X, roles)
                blocks = _later(model, stream, X, roles) if quick is None else ()
                state = state if quick is None else quick
            for design, block in blocks:
                if design is not problem.design:
                    problem, state = _grown(model, problem, state, design)
                state = model.plan.update(problem, state, block)
        except ValueError as error:
            if stream is None or "as it was" in str(error):
                raise
            number = stream.state.n_batches + 1
            raise ValueError(f"{error}; in batch {number}: the estimate is as it was") from error
    if fitted is not None:
        _forget_fit(model)
        for name, value in fitted.items():
            setattr(model, name, value)
    _settle(model, problem, state)
    return model


def _settle(model, problem, state):
    """Take a new state; the estimate is made when someone looks at it."""
    model._stream = Stream(problem, state)
    model._design = problem.design  # it may have grown
    model._estimate = None
    show(model, problem, state)


def show(model, problem, state):
    """The coefficients of a stream, of one that still warms up too."""
    shown = getattr(model.plan, "shown", None)
    if shown is not None:
        theta = shown(problem, state)
    else:
        theta = (state if state.theta is not None else model.plan.provisional(problem, state)).theta
    if state.scale.size or problem.family.predictors > 1 or type(problem.design) is not MatrixDesign:
        theta = problem.with_scaling(state.center, state.scale).public_values(theta)
    model._set_coefficients(theta)


def _forget_fit(model):
    for name in [n for n in vars(model) if n.endswith("_") and not n.startswith("_")]:
        delattr(model, name)


def _first(model, X, roles, classes):
    """Fitted attributes, problem and blocks of the first batch."""
    model._check_parameters()
    if model.cov_type == "cluster" and roles.group is None:
        raise ValueError("cov_type='cluster' needs groups: an array, or a column's name")
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
        from statkit.engines import SerialEngine
        from statkit.regression._fit import freeze
        from statkit.regression._tabular import tabular

        source, design, family = tabular(model, X, roles, fitted, labels)
        design, _ = freeze(declared(model, design), source, SerialEngine())
        family = model._frozen_family(family, design)
    problem = Problem(
        family, design, None, alpha=float(model.alpha), cov_type=model._covariance(family, model.plan),
        seed=model._seed(),
        scaling={"center": np.empty(0), "scale": np.empty(0)},
    )  # fmt: skip
    problem.l1_ratio = float(model.l1_ratio)
    problem.classes = fitted.get("classes_")
    model_design = {"_design": design, "_fitted_family": family}
    return {**fitted, **model_design}, problem, _blocks(model, problem, source, 0, _whole(X))


def declared(model, design):
    """The design of a stream: with the plan's declared levels, and no level set aside for what few rows say."""
    plan = model.plan
    design = with_declared_levels(
        design, getattr(plan, "levels", None), getattr(plan, "unknown_level", "error") == "other"
    )
    if hasattr(design, "_limit_rule"):
        design._limit_rule = None
    return design


def _same_model(model, stream, classes):
    if classes is not None and not np.array_equal(np.unique(classes), model.classes_):
        raise ValueError(f"classes={list(classes)!r} is not the same as on last call: {model.classes_}")
    if float(model.alpha) != stream.problem.alpha or model.cov_type != stream.problem.cov_type:
        raise ValueError(
            f"alpha={model.alpha!r}, cov_type={model.cov_type!r} are not those of the first batch "
            f"({stream.problem.alpha!r}, {stream.problem.cov_type!r}): clone the estimator to start again"
        )


def _quickly(model, stream, X, roles):
    """The state after a later batch that needs no closer look; None where it does."""
    block = _quick(model, stream, X, roles)
    if block is None:
        return None
    state = model.plan.update(stream.problem, stream.state, block)
    # A value that is not finite shows in the information: this spares a look at every value beforehand.
    A = getattr(state, "A", None)
    return state if A is None or np.isfinite(A.sum()) else None


def _quick(model, stream, X, roles):
    """The block of a later batch that is an array as the first ones were; None where more must be looked at."""
    problem, y = stream.problem, roles.y
    design = problem.design
    if (
        type(design) is not MatrixDesign
        or type(X) is not np.ndarray
        or type(y) is not np.ndarray
        or X.ndim != 2
        or not len(X)
        or y.shape != X.shape[:1]
        or X.shape[1] != model.n_features_in_
        or X.dtype != np.float64
        or roles.group is not None
        or problem.cov_type == "cluster"
    ):
        return None
    n = len(y)
    classes = vars(model).get("classes_")
    if classes is None:
        if y.dtype != np.float64 or problem.family.check_response(y) is not None:
            return None
    elif len(classes) == 2:
        second = y == classes[1]
        if np.count_nonzero(second) + np.count_nonzero(y == classes[0]) != n:
            return None
        y = second.astype(float)
    else:
        y, _ = model._response(y, classes)
    weight = offset = None
    if roles.weight is not None:
        weight = as_vector(roles.weight, "sample_weight", n, positive=True)
    if roles.offset is not None:
        offset = as_vector(roles.offset, "offset", n)
    told = getattr(model.plan, "shows_bad_values", False) and stream.state.theta is not None
    return design.encode_array(X, y, weight, offset, _rows_before(stream.state), checked=not told)


def _rows_before(state) -> int:
    return state.n_read


def _later(model, stream, X, roles):
    """Blocks of a later batch."""
    problem = stream.problem
    if problem.cov_type == "cluster" and roles.group is None:
        raise ValueError("cov_type='cluster' needs groups with every batch")
    if not problem.design.columns and is_matrix(X):
        source = model._batch_source(X, roles)
    else:
        from statkit.regression._tabular import batch_source

        if is_frame(X) and model.formula is None:
            _same_columns(model, X, roles)
        source = batch_source(model, X, roles)
    return _blocks(model, problem, source, _rows_before(stream.state), _whole(X))


def _same_columns(model, X, roles):
    """Refuse frames that lack columns of the first batch or have others, and name them."""
    names = getattr(X, "columns", None)
    names = list(X.schema.names if names is None or not isinstance(names[0], str) else names)
    given = [name for name in names if name not in roles.names().values()]
    known = list(model.feature_names_in_)
    lacking = [name for name in known if name not in given]
    other = [name for name in given if name not in known]
    if lacking or other:
        said = [f"lacks {', '.join(map(repr, lacking))}"] if lacking else []
        said += [f"has {', '.join(map(repr, other))}, which the first one did not"] if other else []
        raise ValueError(f"the batch {' and '.join(said)}: batches need the columns of the first")


def _whole(X) -> bool:
    """Whether X is in memory and makes one batch; files are absorbed partition by partition."""
    return is_matrix(X) or is_frame(X)


def _blocks(model, problem, source, first_row, whole):
    """Pairs of (design, block): the design is another one from where it grew by new levels."""
    encoder = _Encoder(model, problem, source, first_row)
    if not whole:
        return encoder.in_turn()
    return encoder.at_once()


class _Encoder:
    """Encodes the partitions of a source; meets levels that nobody has seen before as the plan says."""

    def __init__(self, model, problem, source, first_row):
        self.grows = getattr(model.plan, "unknown_level", "error") == "grow"
        self.family = problem.family
        self.design = problem.design
        self.source = source
        self.first_row = first_row

    def in_turn(self):
        """One after the other, as a file is read."""
        empty = True
        for partition in self.source.partitions():
            empty = False
            block = self.encoded(partition)
            yield self.design, block
        if empty:
            raise ValueError("the batch has no rows")

    def at_once(self):
        """All in one block."""
        from statkit.design.block import concatenate

        partitions = self.source.partitions()
        if not partitions:
            raise ValueError("the batch has no rows")
        while True:
            design = self.design
            blocks = [self.encoded(partition) for partition in partitions]
            if design is self.design or len(blocks) == 1:
                break  # else the first ones were encoded before it grew
        return ((self.design, blocks[0] if len(blocks) == 1 else concatenate(blocks)),)

    def encoded(self, partition):
        rows = self.source.read(partition, self.design.columns)
        rows.first_row += self.first_row
        while True:
            try:
                block = self.design.encode(rows)
                break
            except UnknownLevel as unknown:
                more = with_more_levels(self.design, unknown.text, unknown.levels) if self.grows else None
                if more is None:
                    raise ValueError(f"{unknown}; {_LEVELS}") from None
                self.design = more
        bad = self.family.check_response(block.y)
        if bad is not None:
            index, reason = bad
            raise ValueError(
                f"response {self.design.response_name!r}: {reason} in row {block.row_numbers()[index]}"
            )
        return block


_LEVELS = (
    "declare levels beforehand, Renewable(levels={column: [...]}), or see unknown_level='other' and 'grow'"
)


def _grown(model, problem, state, design):
    """Problem and state with the columns of a design that has more levels."""
    old, problem = problem.design, copy.copy(problem)
    problem.design = design
    if state is not None:
        to = column_map(old, design)
        state = model.plan.grown(state, to, problem.width, problem.family.predictors)
    return problem, state


def _alike(model, mine, theirs):
    """Problems and states of two streams on the columns of both, where their designs may grow."""
    a, b = (mine.problem, mine.state), (theirs.problem, theirs.state)
    if (
        mine.problem.design.names == theirs.problem.design.names
        or getattr(model.plan, "unknown_level", "") != "grow"
    ):
        return a, b
    design = mine.problem.design
    for text, factor in getattr(theirs.problem.design, "_factors", {}).items():
        if text in design._factors and hasattr(factor, "levels"):
            more = with_more_levels(design, text, list(factor.levels.keys))
            design = design if more is None else more
    try:
        return tuple(_grown(model, problem, state, design) for problem, state in (a, b))
    except KeyError:  # other columns altogether
        return a, b


def merge(model, other):
    """Absorb another model's stream, of independent rows under the same parameters."""
    mine, theirs = vars(model).get("_stream"), vars(other).get("_stream")
    if mine is None or theirs is None:
        raise ValueError(
            "merge needs two models that were fitted by partial_fit, or with a plan that can update"
        )
    if type(model.plan) is not type(other.plan):
        raise ValueError(f"{model.plan!r} cannot merge a stream of {other.plan!r}")
    (a, first), (b, second) = _alike(model, mine, theirs)
    if a.design.names != b.design.names or a.family != b.family:
        alien = sorted(set(a.design.names) ^ set(b.design.names))
        what = f": {', '.join(map(repr, alien[:4]))} is in one of them only" if alien else ""
        raise ValueError(f"the two streams have other columns or families: they cannot be merged{what}")
    if (a.alpha, a.cov_type) != (b.alpha, b.cov_type):
        raise ValueError(
            f"the two streams have other options: alpha={a.alpha}, cov_type={a.cov_type!r} and alpha={b.alpha}, "
            f"cov_type={b.cov_type!r}"
        )
    if not np.array_equal(vars(model).get("classes_", ()), vars(other).get("classes_", ())):
        raise ValueError(f"the two streams have other classes: {model.classes_} and {other.classes_}")
    with one_blas_thread():
        state = model.plan.merge(a, first, second)
    _settle(model, a, state)
    return model
