"""What ``explain`` found: a table of plans, standard errors, and the plan that it would take."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.regression.forecast.job import Forecast

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Explanation"]

#: Standard errors in the table.
_SHOWN = 6
#: Distance below which an estimate is as good as the exact one: the error about the truth grows by half a percent.
_AS_GOOD = 0.1
#: Seconds, and multiple of the fastest plan's, up to which the exact fit is worth its time.
_WORTH, _TIMES = 10.0, 1.5
#: Share of the memory that is free to which a plan may grow.
_FREE = 0.8
_GB = 2**30


class Explanation:
    """A forecast of a fit: rows, columns, and for each plan passes, seconds, memory and distance.

    Attributes
    ----------
    frame : DataFrame
        A row for each plan: ``plan, passes, rounds, seconds, cpu_seconds, memory_mb, rows, distance, errors,
        recommended``. ``distance`` is that to the exact estimate in its standard errors, root mean square over
        coefficients; ``errors`` the standard errors that the plan itself will report, in those of the exact fit.
    standard_errors : Series
        Predicted for the exact fit, by name of the coefficient; NaN where the pilot cannot tell.
    recommended : Plan
    reason : str
        Why.
    n_rows : int
        Rows of the data; ``n_rows_exact`` says whether they were counted or estimated.
    n_columns : int
        Columns after encoding, at least: levels that the pilot did not meet add to them.
    rows_read : int
        Of the pilot.
    rows_fitted : int
        Of these, those on which the model was fitted.
    seconds : float
        That all this took.
    levels : dict of str to int
        Levels of each categorical factor that the pilot met.
    columns : DataFrame
        Of a Parquet file: bytes a row, stored and decoded, and whether all chunks have a dictionary page.
    rates : dict of str to float
        Rows a second, one thread: "read", "encode", "evaluate".
    notes : list of str
    """

    def __init__(
        self,
        model: Any,
        opened: Any,
        pieces: Any,
        unfrozen: Any,
        design: Any,
        job: Any,
        splits: Any,
        forecasts: Any,
        engine: Any,
        seconds: Any,
    ) -> None:
        self._forecasts: list[Forecast] = forecasts
        self.formula, self.family = model.formula, job.pilot.problem.family
        self.n_rows, self.n_rows_exact, self.n_bytes = opened.n_rows, opened.exact, opened.n_bytes
        self.kind, self.partitions, self.engine, self.seconds = (
            opened.kind,
            len(opened.parts),
            engine,
            seconds,
        )
        self.n_columns = len(job.pilot.problem.names) * self.family.predictors
        self.rows_read, self.rows_fitted = pieces.n_rows, job.pilot.n
        self.pieces = len(pieces.rows)
        self.used = job.pilot.used
        self.levels = _levels(design)
        self.kept = job.kept
        self._columns, self._read = opened.columns, unfrozen.columns
        rates = job.rates
        pairs = {"read": rates.read, "encode": rates.encode, "evaluate": rates.evaluate}
        self.rates = {name: 1 / s for name, s in pairs.items() if s > 0}
        self.standard_errors: pd.Series = _standard_errors(job)
        self.notes = self._remarks(opened, job, splits)
        self._best, self.reason = _recommended(forecasts)

    # -- what there is to see

    @property
    def recommended(self) -> Any:
        return self._forecasts[self._best].plan

    @cached_property
    def frame(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "plan": repr(f.plan), "passes": f.passes, "rounds": f.rounds, "seconds": f.seconds,
                    "cpu_seconds": f.cpu_seconds, "memory_mb": f.memory / 2**20, "rows": f.rows,
                    "distance": f.distance, "errors": f.errors, "recommended": k == self._best,
                }
                for k, f in enumerate(self._forecasts)
            ]
        )  # fmt: skip

    @cached_property
    def columns(self) -> pd.DataFrame:
        import pandas as pd

        table = pd.DataFrame.from_dict(
            {name: self._columns[name] for name in self._read if name in self._columns}, orient="index",
            columns=["bytes", "decoded", "dictionary"],
        )  # fmt: skip
        table.index.name = "column"
        return table

    def to_dict(self) -> dict:
        """All of it in plain values, for JSON: missing numbers are None."""
        frame = self.frame.to_dict("records")
        return {
            "formula": self.formula,
            "family": self.family.name,
            "rows": self.n_rows,
            "rows_exact": self.n_rows_exact,
            "bytes": self.n_bytes,
            "kind": self.kind,
            "partitions": self.partitions,
            "columns": self.n_columns,
            "levels": self.levels,
            "engine": self.engine,
            "pilot": {
                "rows_read": self.rows_read,
                "rows_fitted": self.rows_fitted,
                "pieces": self.pieces,
                "seconds": self.seconds,
            },
            "rows_per_second": self.rates,
            "plans": [{k: _plain(v) for k, v in row.items()} for row in frame],
            "recommended": repr(self.recommended),
            "reason": self.reason,
            "standard_errors": {_label(name): _plain(v) for name, v in self.standard_errors.items()},
            "notes": self.notes,
        }

    def summary(self, full: bool = False) -> Any:
        """The table; with ``full`` the standard errors below it.

        Returns
        -------
        summary : statkit.results.Summary
        """
        from statkit.results.summary import Line, Note, Section, Summary

        lines: list = [
            Line(("→ " if k == self._best else "  ") + _short(f.plan), _cells(f))
            for k, f in enumerate(self._forecasts)
        ]
        if full:
            lines.append(Section("Standard errors of the exact fit"))
            lines += [
                Line(f"  {_label(n)}", ("", "", "", "", f"{v:.3g}")) for n, v in self.standard_errors.items()
            ]
        notes = [Note(f"Recommended: {_short(self.recommended)}. {self.reason}")]
        notes += [Note(text) for text in self.notes]
        return Summary(
            "What a fit would take", self._facts(), columns=("passes", "seconds", "memory", "rows", "distance"),
            lines=lines, notes=notes,
        )  # fmt: skip

    def _facts(self) -> list[tuple[str, str]]:
        size = "" if self.n_bytes is None else f", {_bytes(self.n_bytes)} of {self.kind}"
        about = "" if self.n_rows_exact else "about "
        used = "" if self.used >= 1 else f"; {1 - self.used:.1%} with missing values"
        levels = ", ".join(f"{name} {n}" for name, n in self.levels.items())
        columns = f"{self.n_columns:,}" + (f", at least (levels met: {levels})" if levels else "")
        return [
            ("Formula", str(self.formula)),
            ("Family", f"{self.family.name}, {self.family.link_name} link"),
            ("Rows", f"{about}{self.n_rows:,} in {self.partitions:,} partitions{size}{used}"),
            ("Columns", columns),
            ("Std errors", self._errors()),
            ("Engine", self.engine),
            (
                "Pilot",
                f"{self.rows_read:,} rows read from {self.pieces} places, {self.rows_fitted:,} fitted, "
                f"in {self.seconds:.2g} s",
            ),
            ("Speed", f"{self.rates.get('read', np.inf):,.3g} rows/s read, {self.rates.get('encode', np.inf):,.3g} "
                      f"encoded, {self.rates.get('evaluate', np.inf):,.3g} evaluated, by one thread"),
        ]  # fmt: skip

    def _errors(self) -> str:
        """The first standard errors, in one line."""
        shown = [f"{_label(name)} {value:.2g}" for name, value in self.standard_errors.head(_SHOWN).items()]
        left = len(self.standard_errors) - len(shown)
        return ", ".join(shown) + (f", … {left} more: summary(full=True)" if left else "")

    def _remarks(self, opened, job, splits) -> list[str]:
        notes = [*opened.notes, *job.pilot.notes]
        notes.append(
            "Distance to the exact estimate in its standard errors, root mean square; memory beside what the "
            "process has."
        )
        if job.kept < 1 and not job.held:
            notes.append(
                f"Encoded rows do not fit the cache ({job.cache_bytes / 2**20:.0f} MB): {1 - job.kept:.0%} of them "
                "are read again in every pass."
            )
        combining = ("OneShot", "LeastSquaresApproximation")
        if splits.differ and any(type(f.plan).__name__ in combining for f in self._forecasts):
            notes.append(
                "The places of the pilot differ by more than chance: combining local fits is far off, or ends where a "
                "pilot cannot tell (?)."
            )
        for f in self._forecasts:
            notes += [f"{_short(f.plan)}: {text}" for text in f.notes]
        return list(dict.fromkeys(notes))

    def __str__(self) -> str:
        return self.summary().as_text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary().as_html()


def _standard_errors(job):
    """Errors of the pilot, scaled by its share of the information.

    Orthogonal polynomials are scaled to unit length over the rows, so that their errors do not shrink with them.
    """
    import pandas as pd

    pilot = job.pilot
    errors = pd.Series(np.sqrt(pilot.public_variance), index=pilot.estimate.params.index, name="std err")
    unit = np.array(["poly(" in str(name) and "raw=True" not in str(name) for name in errors.index])
    return errors * np.sqrt(pilot.n / np.where(unit, pilot.read, job.used))


def _levels(design) -> dict[str, int]:
    design = getattr(design, "inner", design)
    factors = getattr(design, "_factors", None) or {}
    return {f.shown: len(f.levels.keys) for f in factors.values() if hasattr(f, "levels")}


def _recommended(forecasts: list[Forecast]) -> tuple[int, str]:
    """Which plan, and why."""
    free = _free_memory()
    fits = [k for k, f in enumerate(forecasts) if f.memory <= _FREE * free]
    if not fits:
        k = int(np.argmin([f.memory for f in forecasts]))
        return k, f"No plan fits the memory that is free ({_bytes(free)}); this one needs the least."
    good = [k for k in fits if forecasts[k].distance <= _AS_GOOD]
    if not good:
        known = [k for k in fits if np.isfinite(forecasts[k].distance)] or fits
        k = min(known, key=lambda k: forecasts[k].distance)
        return k, f"It comes closest to the exact estimate: {forecasts[k].distance:.2g} standard errors."
    fastest = min(good, key=lambda k: forecasts[k].seconds)
    exact = [k for k in good if forecasts[k].distance == 0 and type(forecasts[k].plan).__name__ == "Exact"]
    if exact:
        own, best = forecasts[exact[0]], forecasts[fastest]
        if own.seconds <= max(_WORTH, _TIMES * best.seconds):
            why = "It is the exact fit, and " + (
                "nothing as good is faster."
                if exact[0] == fastest
                else f"takes {_seconds(own.seconds)}: nothing faster saves time that matters."
            )
            return exact[0], why
        return fastest, (
            f"It is {own.seconds / max(best.seconds, 1e-9):.1f} times as fast as the exact fit and "
            f"{best.distance:.2g} of a standard error from it."
        )
    return fastest, (
        f"The fastest within {_AS_GOOD} standard errors of the exact estimate ({forecasts[fastest].distance:.2g})."
    )


def _free_memory() -> float:
    """Bytes that this machine could still give."""
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
        return float(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return np.inf


def _cells(f: Forecast) -> tuple[str, ...]:
    distance = "0" if f.distance == 0 else "?" if np.isnan(f.distance) else f"{f.distance:.2g}"
    return (f"{f.passes:.3g}", _seconds(f.seconds), _bytes(f.memory), f"{f.rows:,}", distance)


def _label(name: Any) -> str:
    """Of a coefficient; with classes, theirs before it."""
    return ": ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _short(plan: Any) -> str:
    return repr(plan)


def _seconds(s: float) -> str:
    if s < 120:
        return f"{s:.2g} s" if s < 10 else f"{s:.0f} s"
    return f"{s / 60:.0f} min" if s < 7200 else f"{s / 3600:.1f} h"


def _bytes(n: float) -> str:
    return f"{n / 2**20:.0f} MB" if n < _GB else f"{n / _GB:.1f} GB"


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
