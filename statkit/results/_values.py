"""What every set of estimates shows: values, errors, tests and intervals as tables with their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from statkit.results._tails import two_sided_quantile, two_sided_tail

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EstimatedValues"]


class EstimatedValues:
    """Accessors that statsmodels' users know; subclasses have the numbers, their labels and the reference law."""

    values: np.ndarray
    _bse: Any
    _tvalues: Any
    _df: Any
    _index: Any

    def _series(self, values):
        import pandas as pd

        return pd.Series(values, index=self._index, copy=True)

    @property
    def params(self) -> pd.Series:
        """Series of the estimates."""
        return self._series(self.values)

    @property
    def bse(self) -> pd.Series:
        """Series of standard errors; NaN where there is none, as for aliased and infinite parameters."""
        return self._series(self._bse)

    @property
    def tvalues(self) -> pd.Series:
        """Series of estimate over standard error (t or z, see `use_t`)."""
        return self._series(self._tvalues)

    @property
    def pvalues(self) -> pd.Series:
        """Series of two-sided p-values of the hypotheses that a value is zero."""
        return self._series(two_sided_tail(self._tvalues, self._df))

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence intervals of level 1 - alpha: a frame with columns 0 and 1."""
        import pandas as pd

        return pd.DataFrame(self._limits(alpha), index=self._index, columns=[0, 1])

    def _limits(self, alpha):
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, got {alpha!r}: 0.05 gives 95 % intervals")
        half = two_sided_quantile(alpha, self._df) * self._bse
        with np.errstate(invalid="ignore"):
            return np.column_stack([self.values - half, self.values + half])
