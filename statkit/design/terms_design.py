"""A design made of terms over table columns: what formulas and plain frames share.

Before freezing it knows expressions and their kinds; the profile round collects levels and the values that
transforms need; freezing fixes names and columns; encoding writes rows.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from typing import cast

import numpy as np

from statkit.design.block import Block, CodePart, make_block
from statkit.design.coding import Categorical, Numeric, compile_terms, freeze_categorical
from statkit.design.columns import Columns, bad_rows, missing_rows
from statkit.design.declare import DeclaredLevels
from statkit.design.design import Design
from statkit.design.expressions import Evaluator, StatefulCall, column_names, stateful_calls
from statkit.design.formula_parse import FactorSpec, Scoped
from statkit.design.keeping import design_to_dict, frozen_fields, setup_fields
from statkit.design.levels import UNKNOWN, LevelCounts, Levels, as_coded, count_levels, freeze_levels
from statkit.design.limits import set_aside_levels
from statkit.design.roles import ResponseSpec, group_texts, response_codes, response_values
from statkit.design.row_values import RowValues, finite, pick_rows, shown
from statkit.design.row_writer import RowWriter
from statkit.design.transforms import column_fields, fit_state, needs
from statkit.design.value_summary import summarise_values

__all__ = ["TermsDesign"]


class TermsDesign(Design):
    """A design over named columns; ``FormulaDesign`` and ``FrameDesign`` say how its terms arise."""

    declared: DeclaredLevels | None = None  # levels known before the rows (with_declared_levels)

    def __init__(
        self,
        *,
        formula: str | None,
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
        self.formula = formula
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
        named = any(name == "Intercept" and any(s.factors for s in group) for name, group in plan)
        if self.intercept and named:
            raise ValueError(
                "the column 'Intercept' has the name of the constant, so that tables could not tell them apart: rename "
                "it, or leave the constant out (fit_intercept=False, or '0 +' in the formula)"
            )
        for call in self._stateful:
            if stateful_calls(call.argument):
                raise ValueError(f"{call.text}: a transform of a transform is not supported")
        self.columns = _columns_of([*self._texts, *([] if group is None else [group])])
        self.predictor_columns = _columns_of(self._predictor_texts)
        self.profile_columns = self._columns_to_profile()
        self._settle()

    # What is read.

    @property
    def _predictor_texts(self) -> list[str]:
        return list(dict.fromkeys([*self._specs, *self._offsets]))

    @property
    def _texts(self) -> list[str]:
        response = self._response.texts if self._response is not None else ()
        return [*response, *self._predictor_texts, *([] if self._weight is None else [self._weight])]

    @property
    def _stateful(self) -> list[StatefulCall]:
        return list(dict.fromkeys(c for text in self._texts for c in stateful_calls(text)))

    @property
    def _counts_levels(self) -> bool:
        classes = (
            self._response is not None and self._response.kind == "classes" and self._class_levels is None
        )
        return classes or any(s.categorical for s in self._specs.values())

    def _columns_to_profile(self) -> tuple[str, ...] | None:
        if self._counts_levels:
            # Levels count on complete rows only, so every column that can be missing is read.
            return self.columns
        return _columns_of([c.argument for c in self._stateful if needs(c.name, c.options)[0]]) or None

    def agreed(self, levels: dict | None = None) -> TermsDesign:
        """The design of several sites, before freezing: levels given, none set aside for its response.

        Parameters
        ----------
        levels : dict of str to sequence or None
            Levels by factor, as in ``{"origin": ["EWR", "JFK"]}``, the first being the reference; a level
            without rows is a column of zeros.

        Raises
        ------
        ValueError
            If there is no categorical factor of that name.
        """
        other = copy.copy(self)
        other._specs, other._limit_rule = dict(self._specs), None
        for name, values in (levels or {}).items():
            found = [
                text
                for text, spec in self._specs.items()
                if spec.categorical and (name in (text, shown(text)) or column_names(text) == [name])
            ]
            if not found:
                factors = [shown(t) for t, s in self._specs.items() if s.categorical]
                raise ValueError(f"levels are given for {name!r}, but the factors are {factors}")
            for text in found:
                other._specs[text] = replace(self._specs[text], given=tuple(values))
        other._settle()
        return other

    def grouped_by(self, group: str | None, schema: dict) -> TermsDesign:
        """The same design, frozen or not, with clusters by an expression, ``a:b`` for those of both; None for none.

        Raises
        ------
        ValueError
            If ``schema`` lacks a column of the expression.
        """
        other = copy.copy(self)
        other._group = None if group is None else group_texts(group, schema)
        other.columns = _columns_of([*self._texts, *(other._group or ())])
        for name in other.columns:
            if name not in schema:
                from statkit.sources import column_not_found

                raise column_not_found(name, list(schema))
        return other

    @property
    def names_response(self) -> bool:
        """Whether the response is among the data's columns."""
        return self._response is not None and self._response.kind != "beside"

    def response(self, rows) -> np.ndarray:
        """The named response of raw rows, every one of them: NaN where missing, a code where it is a class."""
        evaluator = Evaluator(Columns(rows.table, rows.where), self._states)
        return response_values([evaluator.value(text) for text in self._response.texts], self._class_levels)

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
            if nodes:
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
        read = RowValues(self, evaluator, rows, fitting=True)
        keep = None if read.missing is None else ~read.missing
        spec = self._response
        counted = None
        if self._limit_rule is not None and spec is not None:
            counted = response_codes(spec, read.response, rows.beside.get("y"))
        for text, factor in self._specs.items():
            if factor.categorical:
                summary["levels", text] = count_levels(
                    shown(text), as_coded(read.values[text]), counted, keep
                )
        if spec is not None and spec.kind == "classes" and self._class_levels is None:
            coded = as_coded(read.response[0])
            summary["levels", None] = count_levels(spec.name, coded, None, keep)

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
        # Factors with columns of their own, and whether these leave the reference level out.
        alone = dict(s.factors[0] for _, group in self._plan for s in group if len(s.factors) == 1)
        factors: dict[str, Numeric | Categorical] = {}
        for text, spec in self._specs.items():
            if not spec.categorical:
                factors[text] = Numeric(text, shown(text), self._fields(text, frozen._states))
                continue
            levels = _freeze(summary["levels", text], spec, shown(text), self.declared)
            factor = freeze_categorical(spec, shown(text), levels)
            if self._limit_rule is not None and text in alone:
                factor, more = set_aside_levels(
                    factor, alone[text], levels, self._limit_rule, frozen._class_levels
                )
                notes += more
            if len(levels.keys) == 1 and self._is_reduced(text):
                notes.append(f"{factor.shown} has one level ({levels.labels[0]}) and adds no column")
            factors[text] = factor
        frozen._factors = factors
        frozen.notes = tuple(notes)
        frozen._settle()
        return frozen

    def _is_reduced(self, text: str) -> bool:
        return any((text, True) in s.factors for _, group in self._plan for s in group)

    def _fit_states(self, summary: dict) -> dict[str, dict]:
        states: dict[str, dict] = {}
        for call in self._stateful:
            if not needs(call.name, call.options)[0]:
                states[call.text] = {}
                continue
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

    def _settle(self) -> None:
        """Names, classes and token, once the factors are known or before."""
        self.classes = None if self._class_levels is None else tuple(self._class_levels.values)
        if self._factors is not None:
            made = compile_terms(self._plan, self._factors)
            self._dense, self._coded = made.dense, made.coded
            self.names, self.terms, self.intercept = made.names, made.terms, made.intercept
            self.position, self.limits = made.position, made.limits
            self.set_aside = {
                name: self._categorical(text).levels.n[level]
                for name, (text, level) in made.level_names.items()
            }
            self.profile_columns = None
        text = json.dumps(self.to_dict(), default=_jsonable, sort_keys=True)
        self.token = hashlib.sha1(text.encode()).hexdigest()

    def _categorical(self, text: str) -> Categorical:
        assert self._factors is not None
        return cast(Categorical, self._factors[text])

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
        read = RowValues(self, evaluator, rows, fitting=True)
        drop = read.missing
        n_missing = 0 if drop is None else int(drop.sum())
        removed = self._removed_rows(read.values)
        if removed is not None:
            drop = removed if drop is None else drop | removed
        keep = None if drop is None else np.flatnonzero(~drop)
        values = {text: pick_rows(value, keep) for text, value in read.values.items()}
        numbers = rows.first_row if keep is None else rows.first_row + keep

        def where(i: int) -> str:
            row = rows.first_row + (int(i) if keep is None else int(keep[i]))
            return f"row {row} ({rows.where})"

        for text, value in values.items():
            if text not in read.finite:
                self._refuse_infinite(text, value, rows, keep)
        n = rows.n_rows if keep is None else len(keep)
        y = finite(read.y, keep, self.response_name, where)
        if y is not None and self._class_levels is not None and (y == UNKNOWN).any():
            at = int(np.flatnonzero(y == UNKNOWN)[0])
            raise ValueError(
                f"response {self.response_name!r}, {where(at)}: a class that is none of {self.classes}"
            )
        weight = finite(read.weight, keep, "weight", where)
        if weight is not None and n and weight.min() < 0:
            raise ValueError(f"weight is negative in {where(int(weight.argmin()))}")
        offset = finite(read.offset, keep, "offset", where)
        group = read.group if keep is None or read.group is None else read.group[keep]
        dense, parts = self._write(values, n, where)
        return make_block(
            dense, None, parts, n_rows=n, intercept=self.intercept, y=y, weight=weight, offset=offset,
            group=group, rows=numbers, n_read=rows.n_rows, n_missing=n_missing,
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
        return self.encode_values(RowValues(self, evaluator, rows, fitting=False), rows)

    def encode_values(self, read: RowValues, rows) -> tuple[Block, np.ndarray | None]:
        """What ``encode_predictors`` makes of the values of its factors."""
        limit = None
        if read.missing is not None:
            limit = np.where(read.missing, np.nan, 0.0)
        for text in self._with_removed():
            factor = self._categorical(text)
            value = read.values[text]
            signs = np.zeros(len(factor.levels.keys) + 1)
            for level, sign in factor.removed.items():
                signs[level] = sign
            shift = np.take(signs[factor.row_lookup(value.values)], value.codes, mode="wrap")
            limit = shift if limit is None else limit + shift

        def where(i: int) -> str:
            return f"row {rows.first_row + int(i)} ({rows.where})"

        for text, value in read.values.items():
            if text not in read.finite:
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
        return [t for t, f in (self._factors or {}).items() if isinstance(f, Categorical) and f.removed]

    def _removed_rows(self, values: dict) -> np.ndarray | None:
        mask = None
        for text in self._with_removed():
            factor = self._categorical(text)
            value = values[text]
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
        raise ValueError(f"{shown(text)} is infinite in row {row} ({rows.where})")

    def _write(self, values: dict, n: int, where) -> tuple[np.ndarray | None, list[CodePart]]:
        writer = RowWriter(self._factors or {}, values, n, where)
        return writer.dense(self._dense), [writer.part(group) for group in self._coded]

    # Keeping.

    def to_dict(self) -> dict:
        """Everything that prediction needs, as numbers, text, lists and arrays."""
        return design_to_dict(self)

    @classmethod
    def from_dict(cls, kept: dict) -> TermsDesign:
        """The design that ``to_dict`` wrote."""
        design = cls.__new__(cls)
        TermsDesign.__init__(design, **setup_fields(kept), classes=None, limit_rule=None)
        design.notes = tuple(kept["notes"])
        design._states = kept["states"]
        design._factors, design._class_levels = frozen_fields(kept)
        design._settle()
        return design


def _given_levels(classes) -> Levels:
    labels = [c.item() if hasattr(c, "item") else c for c in classes]
    kinds = {bool: "boolean", int: "integer", float: "float"}
    kind = kinds.get(type(labels[0]), "string")
    return Levels(kind, tuple(labels), (0,) * len(labels))


def _freeze(counts: LevelCounts, spec: FactorSpec, name: str, declared: DeclaredLevels | None) -> Levels:
    given = None if spec.given is None else list(spec.given)
    if declared is not None:
        given = declared.of(spec.text, counts, given)
    levels = freeze_levels(counts, given)
    if not levels.keys:
        raise ValueError(f"{name} has no level: no row is complete")
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


def _jsonable(value):
    return value.tolist()
