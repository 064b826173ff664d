"""Sites of a federated study that come, go, send their files, send them again, in any order.

Whatever happened before, the combination is that of the sites that are there: for linear models the fit of all their
rows, and for others the same whatever the order and the form in which the summaries came.
"""

import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from statkit import glm
from statkit.inference import LocalSummary, combine_summaries, local_summary

FORMULA = "y ~ x + a"
SITES = [f"s{i}" for i in range(6)]
ROWS = 90


def study():
    """Rows of all sites; two of them have never met the level r."""
    rng = np.random.default_rng(11)
    n = ROWS * len(SITES)
    frame = pd.DataFrame({"x": rng.normal(size=n), "a": np.tile(list("pqr"), n // 3)})
    frame["site"] = np.repeat(SITES, ROWS)
    frame.loc[frame.site.isin(SITES[:2]) & (frame.a == "r"), "a"] = "q"
    frame["weight"] = rng.integers(1, 4, n).astype(float)
    frame["y"] = 1 + 0.5 * frame.x + (frame.a == "q") + rng.normal(size=n)
    frame["count"] = rng.poisson(np.exp(0.3 * frame.y)).astype(float)
    return frame


STUDY = study()


class Sites(RuleBasedStateMachine):
    family = "gaussian"

    def __init__(self):
        super().__init__()
        self.there: dict[str, LocalSummary] = {}
        self.folder = tempfile.TemporaryDirectory()

    def teardown(self):
        self.folder.cleanup()

    @property
    def formula(self):
        return FORMULA if self.family == "gaussian" else FORMULA.replace("y", "count")

    @rule(site=st.sampled_from(SITES), engine=st.sampled_from(["serial", "threads"]))
    def sends(self, site, engine):
        """For the first time, or again."""
        rows = STUDY[STUDY.site == site]
        self.there[site] = local_summary(
            rows, formula=self.formula, family=self.family, site=site, sample_weight="weight", engine=engine
        )

    @precondition(lambda self: self.there)
    @rule(data=st.data(), suffix=st.sampled_from([".json", ".npz", "pickle"]))
    def goes_through_a_file(self, data, suffix):
        site = data.draw(st.sampled_from(sorted(self.there)))
        summary = self.there[site]
        if suffix == "pickle":
            self.there[site] = pickle.loads(pickle.dumps(summary))
        else:
            path = Path(self.folder.name) / f"{site}{suffix}"
            summary.save(path)
            self.there[site] = LocalSummary.load(path)
        for name in ("point", "information", "meat", "score"):
            np.testing.assert_array_equal(getattr(self.there[site], name), getattr(summary, name))

    @precondition(lambda self: len(self.there) > 1)
    @rule(data=st.data())
    def leaves(self, data):
        del self.there[data.draw(st.sampled_from(sorted(self.there)))]

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def is_sent_twice(self, data):
        """Refused, and the study is as it was."""
        twice = self.there[data.draw(st.sampled_from(sorted(self.there)))]
        with pytest.raises(ValueError, match=f"two summaries are of site '{twice.site}'"):
            combine_summaries([*self.there.values(), twice])

    def combined(self, order, cov_type="nonrobust", second=False):
        sites = [self.there[site] for site in order]
        first = combine_summaries(sites, cov_type=cov_type)
        if not second:
            return first
        again = [
            local_summary(
                STUDY[STUDY.site == site], formula=self.formula, family=self.family, site=site,
                sample_weight="weight", at=first, like=self.there[site],
            )
            for site in order
        ]  # fmt: skip
        return combine_summaries(again, cov_type=cov_type)

    @precondition(lambda self: self.there)
    @rule(data=st.data(), cov_type=st.sampled_from(["nonrobust", "HC0", "HC1", "partition"]))
    def are_combined(self, data, cov_type):
        if cov_type == "partition" and len(self.there) < 2:
            return
        names = sorted(self.there)
        order = data.draw(st.permutations(names))
        rows = STUDY[STUDY.site.isin(names)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sites of few rows
            found, fixed = self.combined(order, cov_type), self.combined(names, cov_type)
            assert found.nobs == len(rows) and found.rows_read == len(rows)
            # Another order gives the levels in another order, never other numbers.
            params, bse = fixed.params, fixed.bse
            np.testing.assert_allclose(found.params[params.index], params, rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(found.bse[bse.index], bse, rtol=1e-8)
            for name in ("deviance", "null_deviance", "llf", "scale"):
                np.testing.assert_allclose(getattr(found, name), getattr(fixed, name), rtol=1e-9)
            whole = glm(self.formula, rows, self.family, weights="weight").estimate_
            if cov_type in ("HC0", "HC1"):
                whole = whole.with_cov(cov_type)
            self.compare(found, whole, order, cov_type)

    def compare(self, found, whole, order, cov_type):
        """Linear models lose nothing."""
        np.testing.assert_allclose(found.params[whole.params.index], whole.params, rtol=1e-8)
        for name in ("deviance", "null_deviance", "llf", "scale", "df_resid"):
            np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-8)
        if cov_type == "nonrobust":
            np.testing.assert_allclose(found.bse[whole.bse.index], whole.bse, rtol=1e-8)


class Counts(Sites):
    family = "poisson"

    def compare(self, found, whole, order, cov_type):
        """Two rounds come within a hundredth of a standard error of the fit of all rows."""
        second = self.combined(order, cov_type, second=True)
        away = (second.params[whole.params.index] - whole.params) / whole.bse
        assert np.abs(away).max() < 0.01
        if cov_type in ("nonrobust", "HC0", "HC1"):
            np.testing.assert_allclose(second.bse[whole.bse.index], whole.bse, rtol=0.05)
        np.testing.assert_allclose(second.llf, whole.llf, rtol=1e-5)


@pytest.mark.parametrize("machine", [Sites, Counts], ids=["linear", "counts"])
def test_any_order_of_sites_gives_the_study_of_those_there(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )  # fmt: skip
