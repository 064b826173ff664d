"""How numbers are written in tables: with the digits that their standard errors make meaningful."""

import math

import numpy as np

__all__ = ["coefficient_columns", "count", "p_phrase", "p_value", "plain", "quantity", "statistic"]


def plain(value, digits=4):
    """A lone number, with ``digits`` significant digits."""
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.{digits}g}"


def count(value):
    """A whole number with thousands separated."""
    return f"{int(value):,}"


def quantity(value):
    """A log-likelihood, a deviance: two decimals once large, significant digits while small."""
    value = float(value)
    if not math.isfinite(value) or abs(value) < 100 or abs(value) >= 1e15:
        return plain(value, 6)
    return f"{value:,.2f}"


def statistic(value):
    """A test statistic."""
    value = float(value)
    if not math.isfinite(value) or abs(value) >= 1e6:
        return plain(value, 3)
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"


def p_value(value):
    """Four decimals, scientific when small, and never zero: below the rounding error of 1 only a bound."""
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if value < 2.2e-16:
        return "<2e-16"
    return f"{value:.4f}" if value >= 0.001 else f"{value:.1e}"


def p_phrase(value):
    """A p-value within a sentence: ``p = 0.0123``, ``p < 2e-16``."""
    text = p_value(value)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def coefficient_columns(coef, bse, lower, upper):
    """Texts of four columns; the standard error of a row says how many decimals its numbers deserve.

    Three significant digits of the standard error. Rows of similar precision share one number of decimals, so
    that columns can be compared at a glance; rows far from it keep their own.
    """
    wanted = [_decimals(error) for error in bse]
    finite = sorted(d for d in wanted if d is not None)
    common = _common_decimals(finite) if finite else 4
    columns = ([], [], [], [])
    for row, d in zip(zip(coef, bse, lower, upper, strict=True), wanted, strict=True):
        texts = _unmeasured(row, common) if d is None else _measured(row, d, common)
        for column, text in zip(columns, texts, strict=True):
            column.append(text)
    return columns


def _decimals(error):
    if not (np.isfinite(error) and error > 0):
        return None
    return 2 - math.floor(math.log10(error))


def _common_decimals(wanted):
    """What three quarters of the rows can do with, or one more if that serves others too."""
    usual = wanted[(3 * (len(wanted) - 1)) // 4]
    return min(6, max(0, max(d for d in wanted if d <= usual + 1)))


def _unmeasured(row, common):
    """A row without a standard error: a limit, an aliased column, a penalty's zero."""
    return [
        f"{value:.{common}f}" if value == 0 or 10.0**-common <= abs(value) < 1e7 else plain(value)
        for value in row
    ]


def _measured(row, d, common):
    if common - 3 <= d <= common:
        d = common
    if -6 <= d <= 6:
        return [_fixed(value, max(d, 0)) for value in row]
    error = row[1]
    place = math.floor(math.log10(error)) - 2
    return [_scientific(value, place) for value in row]


def _fixed(value, decimals):
    return f"{value:.{decimals}f}" if math.isfinite(value) else plain(value)


def _scientific(value, place):
    """Scientific notation down to the power ``place`` of ten."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else plain(value)
    digits = math.floor(math.log10(abs(value))) - place
    return f"{value:.{min(max(digits, 0), 9)}e}"
