"""What the package maketables asks of a model, so that its tables in Word, LaTeX, HTML and Typst can show a fit.

The names are its plug-in protocol; maketables itself is not needed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from statkit.results.estimate import Estimate

__all__ = ["ReadByMaketables"]

_LABELS = {"N": "Observations", "ll": "Log-likelihood", "aic": "AIC", "bic": "BIC", "deviance": "Deviance"}


class ReadByMaketables:
    """The protocol, for an Estimate and for a fitted model that has one."""

    def _shown(self) -> Estimate:
        """The Estimate that a table shows."""
        raise NotImplementedError

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        import pandas as pd

        e = self._shown()
        limits = e._limits(0.05)
        columns = {
            "b": e.values, "se": e._bse, "t": e._tvalues, "p": e._pvalues(), "ci95l": limits[:, 0],
            "ci95u": limits[:, 1],
        }  # fmt: skip
        return pd.DataFrame(columns, index=pd.Index(e.labels, name="Coefficient"))

    def __maketables_stat__(self, key: str) -> Any:
        e = self._shown()
        if key == "se_type":
            return e.cov_type
        if key == "N":
            return int(e.nobs)
        names = {"r2": "rsquared", "adj_r2": "rsquared_adj", "ll": "llf", "aic": "aic", "bic": "bic"}
        if key in names or key in ("deviance", "null_deviance", "df_resid", "scale"):
            value = float(getattr(e, names.get(key, key)))
        elif key == "pseudo_r2":
            value = float(e.pseudo_rsquared("mcf")) if math.isfinite(e.llf) and e.llf else math.nan
        else:
            return None
        return None if math.isnan(value) else value

    @property
    def __maketables_depvar__(self) -> str:
        return str(self._shown().response)

    @property
    def __maketables_fixef_string__(self) -> str | None:
        return None

    @property
    def __maketables_var_labels__(self) -> dict[str, str] | None:
        return None

    @property
    def __maketables_vcov_info__(self) -> dict[str, Any]:
        return {"vcov_type": self._shown().cov_type, "clustervar": None}

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        return dict(_LABELS)

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        e = self._shown()
        fit = (
            ["r2", "adj_r2"] if not math.isnan(e.rsquared) else ["ll", "aic"] if not math.isnan(e.llf) else []
        )
        return ["N", *fit, "se_type"]
