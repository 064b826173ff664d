"""A design made of terms over table columns: what formulas and plain frames share.

Before freezing it knows expressions and their kinds; the profile round collects levels and the values that
transforms need; freezing fixes names and columns; encoding writes rows.
"""

from __future__ import annotations

import copy
import hashlib
import json

import numpy as np

from statkit.design.block import Block, CodePart, make_block
from statkit.design.coding import Categorical, CodedGroup, Numeric, compile_terms, freeze_categorical
from statkit.design.columns import Coded, Columns, Instants, as_rows, bad_rows, missing_rows
from statkit.design.design import Design
from statkit.design.expressions import Evaluator, column_names, stateful_calls
from statkit.design.formula_parse import FactorSpec, Scoped
from statkit.design.levels import (
    UNKNOWN,
    LevelCounts,
    Levels,
    as_coded,
    count_levels,
    freeze_levels,
)
from statkit.design.limits import set_aside_levels
from statkit.design.roles import ResponseSpec, group_numbers, response_codes, response_values
from statkit.design.transforms import column_fields, fit_state, needs
from statkit.design.value_summary import summarise_values

__all__ = ["TermsDesign"]

_FILL_ROWS = 1024


class TermsDesign(Design):
    """A design over named columns; :class:`FormulaDesign` and :class:`FrameDesign` say how its terms arise."""

    def __init__(
        self,
        *,
        plan: tuple[tuple[str, tuple[Scoped, ...]], ...],
        specs: dict[str, FactorSpec],
        response: ResponseSpec | None,
        weight: str | None,
        offsets: tuple[str, ...],
        group: str | None,
        classes: tuple | None,
        na_action: str,
        limit_rule,
    ):
        if na_action not in ("drop", "raise"):
            raise ValueError(f"na_action must be 'drop' or 'raise', got {na_action!r}")
        self.na_action = na_action
        self._plan = plan
        self._specs = specs
        self._response = response
        self._weight = weight
        self._offsets = offsets
        self._group = group
        self._limit_rule = limit_rule
        self._states: dict[str, dict] | None = None
        self._factors: dict[str, Numeric | Categorical] | None = None
        self._class_levels = None if classes is None else _given_levels(classes)
        self.response_name = response.name if response is not None else "y"
        self.notes = ()
        self.limits = {}
        self.set_aside = {}
        self.terms = {}
        self.intercept = any(not s.factors for _, group in plan for s in group)

    # What is read.

    @property
    def _predictor_texts(self) -> list[str]:
        return list(dict.fromkeys([*self._specs, *self._offsets]))

    @property
    def predictor_columns(self) -> tuple[str, ...]:
        """Raw columns that ``encode_predictors`` reads."""
        return _columns_of(self._predictor_texts)

    @property
    def columns(self) -> tuple[str, ...]:
        response = list(self._response.texts) if self._response is not None else []
        roles = [r for r in (self._weight, self._group) if r is not None]
        return _columns_of([*response, *self._predictor_texts, *roles])

    @property
    def _stateful(self) -> list:
        calls = [c for text in self._predictor_texts for c in stateful_calls(text)]
        return [c for c in dict.fromkeys(calls) if needs(c.name, c.options)[0]]

    @property
    def _counts_levels(self) -> bool:
        classes = (
            self._response is not None and self._response.kind == "classes" and self._class_levels is None
        )
        return classes or any(s.categorical for s in self._specs.values())

    @property
    def profile_columns(self) -> tuple[str, ...] | None:
        if self._factors is not None:
            return None
        if self._counts_levels:
            # Levels count on complete rows only, so every column that can be missing is read.
            return self.columns
        stateful = self._stateful
        return _columns_of([c.argument for c in stateful]) if stateful else None

    # The profile round.

    def profile(self, rows) -> dict:
        """Levels and values of one partition; the answers of all partitions are merged before ``freeze``.

        Parameters
        ----------
        rows : Rows
            With ``profile_columns``.

        Returns
        -------
        dict
            ``"levels", text`` → LevelCounts; ``"values", text`` → ValueSummary; ``"present"`` → counts.
        """
        columns = Columns(rows.table, rows.where)
        evaluator = Evaluator(columns, None)
        summary: dict = {"present": self._present(columns)}
        # One summary serves all transforms of an expression.
        wanted: dict[str, tuple[int, bool]] = {}
        for call in self._stateful:
            nodes, sampled = needs(call.name, call.options)
            before = wanted.get(call.argument, (0, False))
            wanted[call.argument] = (max(before[0], nodes), before[1] or sampled)
        for text, (nodes, sampled) in wanted.items():
            value = evaluator.value(text)
            self._refuse_infinite(text, value, rows, None)
            missing = missing_rows(value)
            keep = None if missing is None else ~missing
            summary["values", text] = summarise_values(value, rows.first_row, keep, nodes, sampled)
        if self._counts_levels:
            self._profile_levels(evaluator, rows, summary)
        return summary

    def _profile_levels(self, evaluator: Evaluator, rows, summary: dict) -> None:
        read = _Read(self, evaluator, rows, fitting=True)
        keep = None if read.missing is None else ~read.missing
        spec = self._response
        counted = None
        if self._limit_rule is not None and spec is not None:
            counted = response_codes(spec, read.response, rows.beside.get("y"))
        for text, factor in self._specs.items():
            if factor.categorical:
                summary["levels", text] = count_levels(as_coded(read.values[text]), counted, keep)
        if spec is not None and spec.kind == "classes" and self._class_levels is None:
            summary["levels", None] = count_levels(as_coded(read.response[0]), None, keep)

    def _present(self, columns: Columns) -> np.ndarray:
        return np.array([_present(columns.table.column(name)) for name in self.profile_columns or ()])

    # Freezing.

    def freeze(self, summary: dict | None) -> TermsDesign:
        """The design with levels, states and names fixed.

        Parameters
        ----------
        summary : dict or None
            Merged profiles; None when ``profile_columns`` is None.

        Raises
        ------
        ValueError
            If a column is all missing, or the data cannot give what a term needs.
        """
        if self._factors is not None:
            return self
        summary = summary or {}
        for name, count in zip(self.profile_columns or (), summary.get("present", ()), strict=False):
            if count == 0:
                raise ValueError(f"column {name!r} has no value: all its rows are missing; leave it out")
        frozen = copy.copy(self)
        frozen._states = self._fit_states(summary)
        notes: list[str] = []
        if ("levels", None) in summary:
            frozen._class_levels = freeze_levels(summary["levels", None])
        factors: dict[str, Numeric | Categorical] = {}
        counts: dict[str, Levels] = {}
        for text, spec in self._specs.items():
            if spec.categorical:
                levels = _freeze(summary["levels", text], spec, _shown(text))
                counts[text] = levels
                factors[text] = freeze_categorical(spec, _shown(text), levels)
            else:
                factors[text] = Numeric(text, _shown(text), self._fields(text, frozen._states))
        if self._limit_rule is not None:
            alone = {s.factors[0][0] for _, group in self._plan for s in group if len(s.factors) == 1}
            for text in counts:
                if text in alone:
                    factors[text], more = set_aside_levels(
                        factors[text], counts[text], self._limit_rule, frozen._class_levels
                    )
                    notes += more
        for factor in factors.values():
            if (
                isinstance(factor, Categorical)
                and len(factor.levels.keys) == 1
                and self._is_reduced(factor.text)
            ):
                notes.append(f"{factor.shown} has one level ({factor.levels.labels[0]}) and adds no column")
        frozen._factors = factors
        frozen.notes = tuple(notes)
        frozen._compile()
        return frozen

    def _is_reduced(self, text: str) -> bool:
        return any((text, True) in s.factors for _, group in self._plan for s in group)

    def _fit_states(self, summary: dict) -> dict[str, dict]:
        states: dict[str, dict] = {}
        for call in (c for text in self._predictor_texts for c in stateful_calls(text)):
            if not needs(call.name, call.options)[0]:
                states[call.text] = {}
                continue
            if stateful_calls(call.argument):
                raise ValueError(
                    f"{call.text}: a transform of a transform is not supported; write one of them"
                )
            values = summary["values", call.argument]
            if values.n == 0:
                raise ValueError(f"{call.text}: no row has a value")
            states[call.text] = fit_state(call.name, call.options, values, call.text)
        return states

    def _fields(self, text: str, states: dict[str, dict]) -> tuple | None:
        calls = stateful_calls(text)
        if not calls:
            return None
        fields = column_fields(calls[-1].name, states[calls[-1].text], calls[-1].options)
        return None if fields is None else tuple(fields)

    def _compile(self) -> None:
        made = compile_terms(self._plan, self._factors)
        self._dense, self._coded = made.dense, made.coded
        self.names, self.terms, self.intercept = made.names, made.terms, made.intercept
        self.position, self.limits = made.position, made.limits
        self.set_aside = {
            name: self._factors[text].levels.n[level] for name, (text, level) in made.level_names.items()
        }

    @property
    def classes(self) -> tuple | None:
        """Labels of the response's classes in the order of their codes, None for a number."""
        return None if self._class_levels is None else tuple(self._class_levels.values)

    @property
    def token(self) -> str:
        return hashlib.sha1(
            json.dumps(self.to_dict(), default=_jsonable, sort_keys=True).encode()
        ).hexdigest()

    # Encoding.

    def encode(self, rows) -> Block:
        """Complete rows as a block.

        Parameters
        ----------
        rows : Rows
            With ``columns``.

        Raises
        ------
        ValueError
            For a missing value with ``na_action="raise"``, an infinite value or an unknown level; the message
            names column, row and file.
        """
        self._must_be_frozen()
        evaluator = Evaluator(Columns(rows.table, rows.where), self._states)
        read = _Read(self, evaluator, rows, fitting=True)
        drop = read.missing
        n_missing = 0 if drop is None else int(drop.sum())
        removed = self._removed_rows(read.values)
        if removed is not None:
            drop = removed if drop is None else drop | removed
        keep = None if drop is None else np.flatnonzero(~drop)
        values = {text: _rows(value, keep) for text, value in read.values.items()}
        numbers = rows.first_row if keep is None else rows.first_row + keep

        def where(i: int) -> str:
            row = rows.first_row + (int(i) if keep is None else int(keep[i]))
            return f"row {row} ({rows.where})"

        for text, value in values.items():
            self._refuse_infinite(text, value, rows, keep)
        n = rows.n_rows if keep is None else len(keep)
        y = _finite(read.y, keep, self.response_name, where)
        if y is not None and self._class_levels is not None and (y == UNKNOWN).any():
            at = int(np.flatnonzero(y == UNKNOWN)[0])
            raise ValueError(
                f"response {self.response_name!r}, {where(at)}: a class that is none of {self.classes}"
            )
        weight = _finite(read.weight, keep, "weight", where)
        if weight is not None and n and weight.min() < 0:
            raise ValueError(f"weight is negative in {where(int(weight.argmin()))}")
        offset = _finite(read.offset, keep, "offset", where)
        group = read.group if keep is None or read.group is None else read.group[keep]
        dense, parts = self._write(values, n, where)
        return make_block(
            dense, None, parts, n_rows=n, intercept=self.intercept, y=y, weight=weight, offset=offset, group=group,
            rows=numbers, n_read=rows.n_rows, n_missing=n_missing,
        )  # fmt: skip

    def encode_predictors(self, rows) -> tuple[Block, np.ndarray | None]:
        """All rows as a block without response, and what to add to η.

        Parameters
        ----------
        rows : Rows
            With ``predictor_columns``.

        Returns
        -------
        block : Block
        limit : ndarray of shape (n,) or None
            ±inf for levels that were set aside, NaN for rows with missing values, 0 elsewhere.
        """
        self._must_be_frozen()
        evaluator = Evaluator(Columns(rows.table, rows.where), self._states)
        read = _Read(self, evaluator, rows, fitting=False)
        limit = None
        if read.missing is not None:
            limit = np.where(read.missing, np.nan, 0.0)
        for text in self._with_removed():
            factor = self._factors[text]
            value = as_coded(read.values[text])
            signs = np.zeros(len(factor.levels.keys) + 1)
            for level, sign in factor.removed.items():
                signs[level] = sign
            shift = np.take(signs[factor.row_lookup(value.values)], value.codes, mode="wrap")
            limit = shift if limit is None else limit + shift

        def where(i: int) -> str:
            return f"row {rows.first_row + int(i)} ({rows.where})"

        for text, value in read.values.items():
            self._refuse_infinite(text, value, rows, None)
        dense, parts = self._write(read.values, rows.n_rows, where)
        offset = read.offset
        if read.missing is not None:
            if dense is not None:
                dense[read.missing] = 0
            for part in parts:
                if part.multiplier is not None:
                    part.multiplier[read.missing] = 0
            offset = None if offset is None else np.where(read.missing, 0.0, offset)
        block = make_block(
            dense,
            None,
            parts,
            n_rows=rows.n_rows,
            intercept=self.intercept,
            offset=offset,
            rows=rows.first_row,
        )
        return block, limit

    def missing_columns(self, rows) -> list[str]:
        """Columns that have no value in these rows: what to name when no row at all was complete."""
        table = rows.table
        return [name for name in self.columns if _present(table.column(name)) == 0]

    def _must_be_frozen(self) -> None:
        if self._factors is None:
            raise ValueError("the design is not frozen yet: call freeze() first")

    def _with_removed(self) -> list[str]:
        return [t for t, f in self._factors.items() if isinstance(f, Categorical) and f.removed]

    def _removed_rows(self, values: dict) -> np.ndarray | None:
        mask = None
        for text in self._with_removed():
            factor = self._factors[text]
            value = as_coded(values[text])
            lookup = np.isin(factor.row_lookup(value.values), list(factor.removed))
            gone = np.take(lookup, value.codes, mode="wrap")
            mask = gone if mask is None else mask | gone
        return mask if mask is not None and mask.any() else None

    def _refuse_infinite(self, text: str, value, rows, keep) -> None:
        infinite = bad_rows(value)
        if infinite is None:
            return
        at = int(np.flatnonzero(infinite)[0])
        row = rows.first_row + (at if keep is None else int(keep[at]))
        raise ValueError(f"{_shown(text)} is infinite in row {row} ({rows.where})")

    def _write(self, values: dict, n: int, where) -> tuple[np.ndarray | None, list[CodePart]]:
        cells: dict[tuple[str, bool], np.ndarray] = {}
        parts = [self._part(group, values, cells, where) for group in self._coded]
        return self._dense_part(values, n, where), parts

    def _part(self, group: CodedGroup, values: dict, cells: dict, where) -> CodePart:
        codes = None
        stride = 1
        for key in group.factors:
            if key not in cells:
                cells[key] = self._cells(*key, values[key[0]], where, alone=len(group.factors) == 1)
            column = cells[key]
            if codes is None:
                codes, negative = column, None
            else:
                first = codes.astype(np.int64)
                negative = (first < 0) | (column < 0)
                codes = np.where(negative, -1, first + stride * column.astype(np.int64))
            stride *= len(self._factors[key[0]].kept(key[1]))
        multiplier = None
        for text, reduced, column in group.multipliers:
            found = self._numeric(text, reduced, values[text], where)
            table = found.values if isinstance(found, Coded) else found
            picked = table if table.ndim == 1 else table[:, column]
            picked = np.take(picked, found.codes, mode="wrap") if isinstance(found, Coded) else picked
            picked = picked.astype(np.float64)
            multiplier = picked if multiplier is None else multiplier * picked
        if group.scale != 1:
            multiplier = np.full(len(codes), group.scale) if multiplier is None else multiplier * group.scale
        return CodePart(codes.astype(_code_type(group.width), copy=False), group.width, multiplier)

    def _cells(self, text: str, reduced: bool, value, where, *, alone: bool) -> np.ndarray:
        """Indicator column of every row: −1 for the reference level and for missing values."""
        factor = self._factors[text]
        value = as_coded(value)
        level = factor.row_lookup(value.values)
        column = np.full(len(factor.levels.keys) + 1, -1)
        kept = [i for i in factor.kept(reduced) if not (alone and i in factor.removed)]
        column[kept] = np.arange(len(kept))
        lookup = np.where(level == UNKNOWN, UNKNOWN, column[level]).astype(_code_type(len(kept)))
        codes = np.take(lookup, value.codes, mode="wrap")
        if (level == UNKNOWN).any() and len(codes) and codes.min() == UNKNOWN:
            self._unknown_level(factor, value, codes == UNKNOWN, where)
        return codes

    def _unknown_level(self, factor: Categorical, value: Coded, unknown: np.ndarray, where) -> None:
        at = int(np.flatnonzero(unknown)[0])
        shown = value.values[value.codes[at]]
        names = ", ".join(repr(c) for c in column_names(factor.text))
        given = self._specs[factor.text].given is not None
        why = (
            "is not among the levels of the formula"
            if given
            else "did not occur in the data the model was fitted to"
        )
        raise ValueError(f"level {str(shown)!r} of {factor.shown} (column {names}), {where(at)}, {why}")

    def _numeric(self, text: str, reduced: bool, value, where):
        """Columns of a factor that is written densely: values a row, or Coded with a table of columns."""
        factor = self._factors[text]
        if isinstance(factor, Numeric):
            if isinstance(value, Instants):
                raise ValueError(f"{text}: a timestamp column needs hour(), weekday(), date(), … or C()")
            if factor.fields is None or not reduced:
                return value
            if isinstance(value, Coded):
                return Coded(value.values[:, 1:], value.codes, value.complete)
            return value[:, 1:]
        value = as_coded(value)
        level = factor.row_lookup(value.values)
        unknown = level == UNKNOWN
        if unknown.any() and (rows := np.take(unknown, value.codes, mode="wrap")).any():
            self._unknown_level(factor, value, rows, where)
        matrix = np.vstack([factor.contrast(reduced).matrix, np.zeros(len(factor.contrast(reduced).labels))])
        return Coded(matrix[np.where(unknown, -1, level)], value.codes, True)

    def _dense_part(self, values: dict, n: int, where) -> np.ndarray | None:
        width = sum(group.width for group in self._dense)
        if width == 0:
            return None
        columns: list[np.ndarray] = []
        for group in self._dense:
            found = [self._numeric(text, reduced, values[text], where) for text, reduced in group.factors]
            if len(found) == 1 and group.scale == 1:
                one = found[0]
                if isinstance(one, Coded) and len(self._dense) == 1:
                    return _table_rows(one)
                columns += _split(as_rows(one))
                continue
            product = [np.full(n, group.scale)]
            for value in found:
                product = [a * b for b in _split(as_rows(value)) for a in product]
            columns += product
        kinds = {c.dtype for c in columns}
        kind = (
            kinds.pop() if len(kinds) == 1 and next(iter(kinds), None) == np.float32 else np.dtype(np.float64)
        )
        dense = np.empty((n, width), kind)
        if width <= 2:
            for j, column in enumerate(columns):
                dense[:, j] = column
        else:
            # A few rows of all columns at a time stay in cache while they are laid side by side.
            for start in range(0, n, _FILL_ROWS):
                rows = slice(start, start + _FILL_ROWS)
                for j, column in enumerate(columns):
                    dense[rows, j] = column[rows]
        return dense

    # Keeping.

    def to_dict(self) -> dict:
        """Everything that prediction needs, as numbers, text, lists and arrays."""
        response = self._response
        factors = {}
        for text, factor in (self._factors or {}).items():
            if isinstance(factor, Numeric):
                factors[text] = {"fields": None if factor.fields is None else list(factor.fields)}
            else:
                factors[text] = {
                    "levels": factor.levels.to_dict(),
                    "base": factor.base,
                    "reduced": None if factor.reduced is None else factor.reduced.to_dict(),
                    "full": None if factor.full is None else factor.full.to_dict(),
                    "removed": [
                        [level, "+inf" if sign > 0 else "-inf"] for level, sign in factor.removed.items()
                    ],
                }
        return {
            "kind": type(self).__name__,
            "formula": self.formula,
            "plan": [
                [name, [[[list(f) for f in s.factors], s.scale] for s in scoped]]
                for name, scoped in self._plan
            ],
            "specs": [
                [s.text, s.categorical, s.spans, s.contrasts, None if s.given is None else list(s.given)]
                for s in self._specs.values()
            ],
            "response": None if response is None else [response.kind, list(response.texts), response.name],
            "weight": self._weight,
            "offsets": list(self._offsets),
            "group": self._group,
            "na_action": self.na_action,
            "classes": None if self._class_levels is None else self._class_levels.to_dict(),
            "states": self._states,
            "factors": factors if self._factors is not None else None,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, kept: dict) -> TermsDesign:
        """The design that ``to_dict`` wrote."""
        from statkit.design.coding import Contrast

        design = cls.__new__(cls)
        plan = tuple(
            (name, tuple(Scoped(tuple((t, bool(r)) for t, r in fs), float(scale)) for fs, scale in scoped))
            for name, scoped in kept["plan"]
        )
        specs = {
            s[0]: FactorSpec(s[0], s[1], s[2], s[3], None if s[4] is None else tuple(s[4]))
            for s in kept["specs"]
        }
        response = kept["response"]
        TermsDesign.__init__(
            design, plan=plan, specs=specs,
            response=None if response is None else ResponseSpec(response[0], tuple(response[1]), response[2]),
            weight=kept["weight"], offsets=tuple(kept["offsets"]), group=kept["group"], classes=None,
            na_action=kept["na_action"], limit_rule=None,
        )  # fmt: skip
        design.formula = kept["formula"]
        design._class_levels = None if kept["classes"] is None else Levels.from_dict(kept["classes"])
        design._states = kept["states"]
        design.notes = tuple(kept["notes"])
        if kept["factors"] is None:
            return design

        def contrast(part):
            if part is None:
                return None
            return Contrast(np.asarray(part["matrix"], dtype=np.float64), tuple(part["labels"]))

        factors: dict[str, Numeric | Categorical] = {}
        for text, part in kept["factors"].items():
            if "levels" not in part:
                fields = part["fields"]
                factors[text] = Numeric(text, _shown(text), None if fields is None else tuple(fields))
            else:
                removed = {int(level): float(sign) for level, sign in part["removed"]}
                factors[text] = Categorical(
                    text, _shown(text), Levels.from_dict(part["levels"]), part["base"],
                    contrast(part["reduced"]), contrast(part["full"]), removed,
                )  # fmt: skip
        design._factors = factors
        design._compile()
        return design


class _Read:
    """The values of one table's expressions, and which rows lack one of them."""

    def __init__(self, design: TermsDesign, evaluator: Evaluator, rows, *, fitting: bool):
        beside = rows.beside
        self.missing: np.ndarray | None = None
        self._design, self._rows = design, rows
        self._n = rows.n_rows
        self._refuse = fitting and design.na_action == "raise"
        self.values = {text: self._checked(text, evaluator.value(text)) for text in design._specs}
        self.offset = None
        for text in design._offsets:
            self._add_offset(as_rows(self._checked(text, evaluator.value(text))))
        if beside.get("offset") is not None:
            self._add_offset(self._array("offset", beside["offset"]))
        if not fitting:
            return
        spec = design._response
        self.response = [
            self._checked(t, evaluator.value(t)) for t in (spec.texts if spec is not None else ())
        ]
        self.y = self.weight = self.group = None
        if spec is not None and spec.kind == "beside":
            if beside.get("y") is None:
                raise ValueError("the design has no response: give a formula with a left side, or y")
            self.y = self._array("y", beside["y"])
        elif self.response and design._factors is not None:
            self.y = response_values(self.response, design._class_levels)
        if design._weight is not None:
            self.weight = as_rows(self._checked(design._weight, evaluator.value(design._weight)))
        elif beside.get("weight") is not None:
            self.weight = self._array("weight", beside["weight"])
        if design._group is not None:
            self.group = group_numbers(self._checked(design._group, evaluator.value(design._group)))
        elif beside.get("group") is not None:
            self.group = group_numbers(np.asarray(beside["group"]))

    def _add_offset(self, values: np.ndarray) -> None:
        values = values.astype(np.float64)
        self.offset = values if self.offset is None else self.offset + values

    def _array(self, name: str, array) -> np.ndarray:
        array = np.asarray(array, dtype=np.float64)
        self._mark(name, missing_rows(array))
        return array

    def _checked(self, text: str, value):
        self._mark(text, missing_rows(value))
        return value

    def _mark(self, text: str, mask: np.ndarray | None) -> None:
        if mask is None:
            return
        if self._refuse:
            row = self._rows.first_row + int(np.flatnonzero(mask)[0])
            raise ValueError(
                f"{_shown(text)} is missing in row {row} ({self._rows.where}); na_action='drop' leaves such rows out"
            )
        self.missing = mask if self.missing is None else self.missing | mask


def _given_levels(classes) -> Levels:
    labels = [c.item() if hasattr(c, "item") else c for c in classes]
    kinds = {bool: "boolean", int: "integer", float: "float"}
    kind = kinds.get(type(labels[0]), "string")
    return Levels(kind, tuple(labels), (0,) * len(labels))


def _freeze(counts: LevelCounts, spec: FactorSpec, shown: str) -> Levels:
    levels = freeze_levels(counts, None if spec.given is None else list(spec.given))
    if not levels.keys:
        raise ValueError(f"{shown} has no level: no row is complete")
    return levels


def _present(column) -> int:
    """Rows of an Arrow column with a value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    present = len(column) - column.null_count
    if present and pa.types.is_floating(column.type):
        present -= pc.sum(pc.is_nan(column)).as_py() or 0
    return present


def _columns_of(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for text in texts for name in column_names(text)))


def _shown(text: str) -> str:
    """A factor as formulaic writes it: a name in backticks stands without them."""
    return text[1:-1] if text[0] == "`" and text.count("`") == 2 and text[-1] == "`" else text


def _rows(value, keep):
    """Some rows of a value."""
    if keep is None:
        return value
    if isinstance(value, Coded):
        return Coded(value.values, value.codes[keep], True, value.categorical, value.ordered)
    if isinstance(value, Instants):
        return Instants(value.values[keep], value.unit, None)
    return value[keep]


def _finite(values: np.ndarray | None, keep, name: str, where) -> np.ndarray | None:
    """Rows of a role as float64, without infinite values."""
    if values is None:
        return None
    values = (values if keep is None else values[keep]).astype(np.float64, copy=False)
    infinite = bad_rows(values)
    if infinite is not None:
        raise ValueError(f"{name} is infinite in {where(int(np.flatnonzero(infinite)[0]))}")
    return values


def _split(array: np.ndarray) -> list[np.ndarray]:
    return [array] if array.ndim == 1 else [array[:, k] for k in range(array.shape[1])]


def _table_rows(value: Coded) -> np.ndarray:
    table = value.values if value.values.ndim == 2 else value.values[:, None]
    rows = as_rows(Coded(np.ascontiguousarray(table, dtype=np.float64), value.codes, value.complete))
    return rows


def _code_type(width: int) -> type:
    return np.int8 if width < 2**7 else np.int16 if width < 2**15 else np.int32


def _jsonable(value):
    return value.tolist()
