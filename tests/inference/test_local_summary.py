"""Summaries of sites: combined they are the plans on all rows; the guard, the agreement of sites, hostile files."""

import io
import json
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from statkit.exceptions import HeterogeneityWarning
from statkit.families import NegativeBinomial
from statkit.inference import LocalSummary, combine_summaries, local_summary, meta_analysis
from statkit.plans import Exact, LeastSquaresApproximation, OneShot, OneStep
from statkit.regression import GLMRegressor, glm
from statkit.results import Estimate

RNG = np.random.default_rng(0)
X1 = RNG.standard_normal((1200, 2))
Y1 = (RNG.random(1200) < expit(np.column_stack([np.ones(1200), X1]) @ [-0.5, 1, -1])).astype(float)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    n = 2_400
    frame = pd.DataFrame({"x": rng.normal(1_000, 40, n), "z": rng.normal(size=n)})
    frame["c"] = rng.choice(["a", "b", "d"], n)
    frame["site"] = np.repeat(["north", "south", "west"], n // 3)
    frame["w"], frame["o"] = rng.uniform(0.5, 2, n), rng.normal(0, 0.2, n)
    eta = 0.01 * (frame["x"] - 1_000) - 0.3 * frame["z"] + 0.4 * (frame["c"] == "b") + frame["o"]
    frame["y"] = rng.poisson(np.exp(eta)).astype(float)
    frame["g"] = eta + rng.normal(size=n) / np.sqrt(frame["w"])
    return frame


def of_sites(frame, formula, by="site", **options):
    return [
        local_summary(part, formula=formula, site=name, **options)
        for name, part in frame.groupby(by, sort=False)
    ]


def test_worked_example():
    sites = [
        local_summary(X1[k : k + 200], Y1[k : k + 200], family="binomial", site=str(k))
        for k in range(0, 1200, 200)
    ]
    np.testing.assert_allclose(sites[0].params, (-0.576772, 0.771802, -0.855725), atol=6e-7)
    one = combine_summaries(sites)
    np.testing.assert_allclose(one.values, (-0.542059, 0.954488, -1.031142), atol=6e-7)
    plain = combine_summaries(sites, bias_correction=None)
    np.testing.assert_allclose(plain.values, (-0.530321, 0.929153, -1.002981), atol=6e-7)
    np.testing.assert_allclose(plain.predicted_bias, (0.011738, -0.025335, 0.028161), atol=6e-7)
    np.testing.assert_allclose(plain.bse, (0.071010, 0.079595, 0.083527), atol=6e-7)
    mean = combine_summaries(sites, "average", bias_correction=None)
    np.testing.assert_allclose(mean.values, (-0.549284, 0.980339, -1.032938), atol=6e-7)
    np.testing.assert_allclose(mean.predicted_bias, (-0.012432, 0.027063, -0.029175), atol=6e-7)
    lines = plain.diagnostics.set_index("name")["value"]
    assert lines["heterogeneity_Q"] == pytest.approx(12.425886, abs=2e-6)
    assert lines["heterogeneity_df"] == 15
    assert lines["heterogeneity_p"] == pytest.approx(0.64655, abs=1e-5)


@pytest.mark.parametrize(
    ("response", "family", "options"),
    [
        ("y", "poisson", {}),
        ("y", "poisson", {"sample_weight": "w", "offset": "o"}),
        ("y", NegativeBinomial(alpha=0.3), {"link": "log"}),
        ("g", "gaussian", {"sample_weight": "w"}),
        ("I(y > 1)", "binomial", {"link": "probit"}),
    ],
)
@pytest.mark.parametrize("cov_type", ["nonrobust", "partition"])
@pytest.mark.filterwarnings("ignore:cov_type='partition'")
def test_files_give_what_the_plan_gives_on_all_rows(frame, response, family, options, cov_type):
    formula = f"{response} ~ x + z + C(c)"
    ours = combine_summaries(of_sites(frame, formula, family=family, **options), cov_type=cov_type)
    named = {"weights": options.get("sample_weight"), "offset": options.get("offset")}
    plan = LeastSquaresApproximation(partition_by="site")
    theirs = glm(
        formula, frame, family, link=options.get("link"), plan=plan, cov_type=cov_type, **named
    ).estimate_
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.bse, theirs.bse, rtol=1e-8)
    for name in ("llf", "deviance", "null_deviance", "scale", "nobs", "df_resid", "pearson_chi2"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-9, nan_ok=True), name
    np.testing.assert_allclose(ours.predicted_bias, theirs.predicted_bias, rtol=1e-6, atol=1e-12)
    assert ours.names == theirs.names and ours.classes == (
        None if theirs.classes is None else list(theirs.classes)
    )
    tests = ours.partitions["score_test"], theirs.partitions["score_test"]
    np.testing.assert_allclose(*tests, rtol=1e-6)


def test_average_gives_what_one_shot_gives(frame):
    sites = of_sites(frame, "y ~ x + z + c", family="poisson")
    for correction, name in ((None, None), ("auto", "cox_snell")):
        ours = combine_summaries(sites, "average", bias_correction=correction)
        plan = OneShot(partition_by="site", bias_correction=name)
        theirs = glm("y ~ x + z + c", frame, "poisson", plan=plan).estimate_
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-9)
        np.testing.assert_allclose(ours.bse, theirs.bse, rtol=1e-9)
    spread = combine_summaries(sites, "average", bias_correction=None, cov_type="between")
    between = glm(
        "y ~ x + z + c",
        frame,
        "poisson",
        plan=OneShot(partition_by="site", bias_correction=None),
        cov_type="between",
    ).estimate_
    np.testing.assert_allclose(spread.bse, between.bse, rtol=1e-6)
    assert spread.df_resid_inference == 2


@pytest.mark.parametrize("family", ["poisson", "gaussian"])
def test_the_second_round_is_one_newton_step(frame, family):
    formula = ("y" if family == "poisson" else "g") + " ~ x + z + c"
    first = combine_summaries(of_sites(frame, formula, family=family))
    again = of_sites(frame, formula, family=family, at=first)
    ours = combine_summaries(again)
    exact = glm(formula, frame, family, plan=Exact(tol=1e-9)).estimate_
    step = glm(formula, frame, family, plan=OneStep("least_squares", partition_by="site")).estimate_
    np.testing.assert_allclose(ours.values, step.values, rtol=1e-9)
    assert np.abs((ours.values - exact.values) / exact.bse).max() < 2e-3
    assert ours.llf == pytest.approx(exact.llf, rel=1e-7) and ours.n_rounds == 2
    for name in ("deviance", "null_deviance", "scale"):
        assert getattr(ours, name) == pytest.approx(getattr(exact, name), rel=1e-3), name
    third = combine_summaries(of_sites(frame, formula, family=family, at=ours))
    np.testing.assert_allclose(third.values, exact.values, rtol=1e-8)
    robust = combine_summaries(again, cov_type="HC1")
    np.testing.assert_allclose(
        robust.bse, glm(formula, frame, family, cov_type="HC1").estimate_.bse, rtol=0.02
    )
    other = dict(first.params * 1.01)
    elsewhere = again[:2] + of_sites(frame[frame["site"] == "west"], formula, family=family, at=other)
    with pytest.raises(ValueError, match="scores are at different parameters"):
        combine_summaries(elsewhere)
    with pytest.raises(ValueError, match="one round"):
        combine_summaries([again[0], *of_sites(frame[frame["site"] == "west"], formula, family=family)])


def test_sites_with_parameters_of_their_own_are_dummies(frame):
    sites = of_sites(frame, "g ~ x + z")
    ours = combine_summaries(sites, own="Intercept")
    theirs = glm("g ~ 0 + C(site) + x + z", frame).estimate_
    expected = theirs.params
    for name, part in (("north", "Intercept[north]"), ("west", "Intercept[west]")):
        assert ours.params[part] == pytest.approx(expected[f"C(site)[{name}]"], rel=1e-8)
        assert ours.bse[part] == pytest.approx(theirs.bse[f"C(site)[{name}]"], rel=1e-8)
    assert ours.params["x"] == pytest.approx(expected["x"], rel=1e-9)
    assert ours.scale == pytest.approx(theirs.scale) and ours.df_resid == theirs.df_resid
    # An intercept that is shared is shared at zero, whatever the slopes.
    slopes = combine_summaries(sites, own=["x"])
    other = glm("g ~ z + x:C(site)", frame).estimate_
    assert slopes.params["Intercept"] == pytest.approx(other.params["Intercept"], rel=1e-6)
    assert slopes.params["x[south]"] == pytest.approx(other.params["x:C(site)[south]"], rel=1e-6)
    with pytest.raises(ValueError, match="no parameter or term 'v'"):
        combine_summaries(sites, own=["v"])


def test_sites_with_dispersions_of_their_own(frame):
    noisy = frame.assign(
        g=frame["g"] + (frame["site"] == "west") * np.random.default_rng(2).normal(0, 5, len(frame))
    )
    sites = of_sites(noisy, "g ~ x + z")
    ours = combine_summaries(sites, dispersion="own")
    scale = {s.site: s.sums["pearson"] / (s.nobs - s.rank) for s in sites}
    weights = 1 / noisy["site"].map(scale)
    theirs = glm("g ~ x + z", noisy.assign(weights=weights), weights="weights").estimate_
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-8)
    np.testing.assert_allclose(ours.bse, theirs.bse / np.sqrt(theirs.scale), rtol=1e-8)
    assert (ours.bse < combine_summaries(sites).bse).all()


def test_random_effects_of_one_parameter_are_those_of_a_meta_analysis():
    rng = np.random.default_rng(3)
    parts = [rng.normal(0.3 * k, 1 + k % 3, 60 + 10 * k) for k in range(6)]
    sites = [local_summary(pd.DataFrame({"y": y}), formula="y ~ 1", site=str(k)) for k, y in enumerate(parts)]
    ours = combine_summaries(sites, "random")
    theirs = meta_analysis([y.mean() for y in parts], [y.var(ddof=1) / len(y) for y in parts])
    assert ours.values[0] == pytest.approx(theirs.effect[0], rel=1e-10)
    assert ours.bse.iloc[0] == pytest.approx(theirs.bse[0], rel=1e-10)
    assert ours.tau2[0] == pytest.approx(theirs.tau2[0], rel=1e-10)
    assert ours.prediction.loc["Intercept", "upper"] == pytest.approx(theirs.prediction_upper[0], rel=1e-10)
    effects = ours.site_effects["Intercept"].to_numpy()  # drawn to the mean
    means = np.array([y.mean() for y in parts])
    assert (np.abs(effects - ours.values[0]) < np.abs(means - ours.values[0])).all()


@pytest.mark.slow
def test_random_effects_cover():
    rng = np.random.default_rng(4)
    T = np.array([[0.2, 0.1], [0.1, 0.3]])
    inside, spread = np.zeros(3), []
    for _ in range(200):
        sites = []
        for k in range(12):
            beta = np.array([0.5, *rng.multivariate_normal([1, -1], T)])
            X = rng.normal(size=(120, 2))
            sites.append(local_summary(X, beta[0] + X @ beta[1:] + rng.normal(size=120), site=str(k)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            e = combine_summaries(sites, "random")
        inside += np.abs(e.values - [0.5, 1, -1]) < 2.2 * e.bse  # t with some 11 degrees of freedom
        spread.append(e.tau2[1:])
    assert (inside / 200 > 0.9).all()
    np.testing.assert_allclose(np.mean(spread, axis=0), np.diag(T), rtol=0.12)


def test_the_sites_own_estimates(frame):
    sites = of_sites(frame, "g ~ x + z")
    e = combine_summaries(sites)
    alone = glm("g ~ x + z", frame[frame["site"] == "south"]).estimate_
    np.testing.assert_allclose(e.site_params.loc["south"], alone.params, rtol=1e-9)
    np.testing.assert_allclose(e.site_bse.loc["south"], alone.bse, rtol=1e-9)
    assert Estimate.from_dict(e.to_dict()).site_bse.equals(e.site_bse)


def test_sites_that_differ_are_seen(frame):
    odd = frame.assign(y=np.where(frame["site"] == "west", np.round(3 * frame["y"]), frame["y"]))
    with pytest.warns(HeterogeneityWarning, match="own="):
        e = combine_summaries(of_sites(odd, "y ~ z", family="poisson"))
    assert e.diagnostics.set_index("name").loc["heterogeneity_Q", "verdict"] == "FAIL"
    one = meta_analysis(e.site_params["z"], e.site_bse["z"] ** 2)
    assert e.heterogeneity.loc["z", "Q"] == pytest.approx(one.Q[0]) and e.heterogeneity.loc["z", "df"] == 2
    assert e.heterogeneity.loc["Intercept", "p"] < 1e-6


# -- agreement -------------------------------------------------------------------------------------------


def test_a_level_that_a_site_lacks_is_a_column_of_zeros(frame):
    less = frame[~((frame["site"] == "north") & (frame["c"] == "b"))]
    sites = of_sites(less, "y ~ x + c", family="poisson")
    ours = combine_summaries(sites)
    theirs = glm("y ~ x + c", less, "poisson", plan=LeastSquaresApproximation(partition_by="site")).estimate_
    assert ours.names == ["Intercept", "x", "c[T.d]", "c[T.b]"] or ours.names == theirs.names
    np.testing.assert_allclose(ours.params[theirs.names], theirs.params, rtol=1e-8)
    np.testing.assert_allclose(ours.bse[theirs.names], theirs.bse, rtol=1e-7)
    assert sorted(ours.terms["c"]) == [2, 3]


def test_levels_agree_or_the_error_names_them(frame):
    less = frame[~((frame["site"] == "north") & (frame["c"] == "a"))]
    with pytest.raises(ValueError, match=r"reference level of c: 'b' at 'north', 'a' at 'south'.*levels="):
        combine_summaries(of_sites(less, "y ~ x + c", family="poisson"))
    given = of_sites(less, "y ~ x + c", family="poisson", levels={"c": ["d", "a", "b"]})
    ours = combine_summaries(given)
    assert ours.names == ["Intercept", "x", "c[T.a]", "c[T.b]"]
    theirs = glm("y ~ x + C(c, levels=['d', 'a', 'b'])", less, "poisson",
                 plan=LeastSquaresApproximation(partition_by="site")).estimate_  # fmt: skip
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-8)
    with pytest.raises(ValueError, match=r"levels are given for 'v'.*'c'"):
        of_sites(less, "y ~ x + c", levels={"v": ["a"]})
    sums = of_sites(less, "y ~ x + C(c, contr.sum)", family="poisson")
    with pytest.raises(ValueError, match=r"reference|contrasts"):
        combine_summaries(sums)


def test_transforms_are_taken_over(frame):
    formula = "y ~ poly(x, 2) + scale(z) + c"
    apart = of_sites(frame, formula, family="poisson")
    with pytest.raises(ValueError, match=r"poly\(x, 2\), whose columns depend on the rows.*like"):
        combine_summaries(apart)
    first = apart[0]
    rest = of_sites(frame[frame["site"] != "north"], formula, family="poisson", like=first)
    ours = combine_summaries([first, *rest])
    theirs = glm(formula, frame, "poisson").estimate_
    assert ours.llf == pytest.approx(theirs.llf, abs=0.05)
    with pytest.raises(ValueError, match="like is a summary of"):
        local_summary(frame, formula="y ~ x", family="poisson", like=first)
    with pytest.raises(ValueError, match="not both"):
        local_summary(frame, formula=formula, family="poisson", like=first, levels={"c": ["a"]})


def test_other_disagreements_are_named(frame):
    north, south, _ = of_sites(frame, "y ~ x", family="poisson")
    for other, message in (
        (of_sites(frame, "y ~ z", family="poisson")[1], "differ in their formula.*'south'"),
        (of_sites(frame, "y ~ x", family="gaussian")[1], "their family"),
        (north, "two summaries are of site 'north'"),
    ):
        with pytest.raises(ValueError, match=message):
            combine_summaries([north, other])
    with pytest.raises(ValueError, match="no summary"):
        combine_summaries([])
    with pytest.raises(ValueError, match="a list"):
        combine_summaries(north)
    with pytest.raises(ValueError, match="needs summaries at a common parameter"):
        combine_summaries([north, south], "one_step")
    for options in (
        {"method": "best"},
        {"cov_type": "HC2"},
        {"bias_correction": "firth"},
        {"dispersion": "no"},
    ):
        with pytest.raises(ValueError, match="must be one of"):
            combine_summaries([north, south], **options)
    plain = local_summary(X1[:, :1], Y1, site="a"), local_summary(X1, Y1, site="b")
    with pytest.raises(ValueError, match="differ in their terms"):
        combine_summaries(plain)


# -- the guard -------------------------------------------------------------------------------------------


def test_the_guard(frame):
    rare = frame.assign(c=np.where(np.arange(len(frame)) < 3, "rare", frame["c"]))
    few = frame.assign(y=(np.arange(len(frame)) < 4).astype(float))
    almost = frame.assign(v=(np.arange(len(frame)) > 3).astype(float))
    reference = frame.assign(c=np.where(np.arange(len(frame)) < 3, "A", frame["c"]))
    for data, formula, family, message in (
        (frame[:7], "y ~ x", "poisson", "7 complete rows, fewer than min_count=10"),
        (frame[:12], "y ~ x + z + c", "poisson", "more than a third of the 12 rows"),
        (rare, "y ~ c", "poisson", r"'c\[T.rare\]' tells 3 rows apart"),
        (few, "y ~ x", "binomial", "the response is one in 4 rows"),
        (almost, "y ~ v", "poisson", "'v' tells 4 rows apart"),
        (reference, "y ~ c", "poisson", "reference level of c has 3 rows"),
        (frame, "y ~ I(x > 1130)", "poisson", "tells . rows apart"),
    ):
        with pytest.raises(ValueError, match=f"nothing is handed over: .*{message}"):
            local_summary(data, formula=formula, family=family)
    assert local_summary(rare, formula="y ~ c", family="poisson", min_level=3).nobs == len(frame)
    for bad in ({"min_count": 0}, {"min_level": 1.5}, {"site": ""}, {"local": "map"}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            local_summary(frame, formula="y ~ x", family="poisson", **bad)
    with pytest.raises(ValueError, match="alpha"):
        local_summary(frame, formula="y ~ x", family="negative_binomial")


def test_no_row_and_no_extreme_is_in_the_file(frame, tmp_path):
    summary = of_sites(frame, "y ~ x + z + c", family="poisson")[0]
    summary.save(tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    part = frame[frame["site"] == "north"]
    for value in [*part["x"].iloc[:50], part["x"].min(), part["x"].max(), part["z"].max()]:
        assert repr(float(value)) not in text
    assert all(n == 0 for n in summary.design["factors"]["c"]["levels"]["n"])


# -- files -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sites")
    summary = of_sites(frame, "y ~ x + scale(z) + c", family="poisson")[0]
    paths = [folder / "a.json", folder / "a.npz"]
    for path in paths:
        summary.save(path)
    return summary, paths


def test_files_keep_every_bit(saved):
    summary, paths = saved
    for path in paths:
        back = LocalSummary.load(path)
        for name, value in vars(summary).items():
            other = getattr(back, name)
            same = (value == other).all() if isinstance(value, np.ndarray) else _equal(value, other)
            assert same, name
        assert back.params.equals(summary.params) and "north" in repr(back)
        assert back.levels == {"c": ["a", "b", "d"]}
    with pytest.raises(ValueError, match=r"\*\.json or \*\.npz"):
        summary.save("a.txt")
    assert len(np.load(paths[1]).files) > 5  # an npz like others


def _equal(a, b):
    return (a != a and b != b) or json.dumps(a, default=str) == json.dumps(b, default=str)


@pytest.mark.parametrize("which", [0, 1])
def test_files_that_are_cut_off(saved, tmp_path, which):
    content = saved[1][which].read_bytes()
    for n in (0, 1, 3, 50, len(content) // 2, len(content) - 1):
        path = tmp_path / f"cut.{'json' if which == 0 else 'npz'}"
        path.write_bytes(content[:n])
        with pytest.raises(ValueError, match="cut"):
            LocalSummary.load(path)
    with pytest.raises(FileNotFoundError):
        LocalSummary.load(tmp_path / "none.json")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_flipped_bytes_give_a_summary_or_a_value_error(saved, tmp_path_factory, at, flip):
    path = tmp_path_factory.mktemp("flip") / "a.json"
    for source in saved[1]:
        content = bytearray(source.read_bytes())
        content[at % len(content)] ^= flip
        path.write_bytes(content)
        try:
            LocalSummary.load(path)
        except ValueError as error:
            assert str(path) in str(error)


def changed(saved, tmp_path, change):
    head = json.loads(saved[1][0].read_text())
    change(head)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(head))
    return path


def set_array(name, values):
    def change(head):
        number = head["document"][name]["$array"]
        head["arrays"][number]["values"] = values(head["arrays"][number]["values"])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(version=99), "newer statkit"),
        (lambda h: h.update(format="statkit-model"), "not that of a statkit local summary"),
        (lambda h: h["document"].pop("score"), "lacks 'score'"),
        (lambda h: h["document"].update(rows=[1]), "unknown field 'rows'"),
        (lambda h: h["document"].update(nobs=-5), "out of range"),
        (lambda h: h["document"].update(nobs=True), "'nobs' must be int"),
        (lambda h: h["document"].update(weight="many"), "weight must be a number"),
        (lambda h: h["document"].update(kind="both"), "'kind'"),
        (lambda h: h["document"]["names"].append("x"), "distinct"),
        (lambda h: h["document"]["terms"].update(x=[99]), "does not exist"),
        (lambda h: h["document"]["design"]["factors"]["c"].update(base=7), "reference of 'c'"),
        (lambda h: h["document"]["design"]["factors"]["c"].update(levels=[]), "no summary of a site"),
        (lambda h: h["document"]["design"].update(factors=3), "no summary of a site"),
        (lambda h: h["document"].update(y={"$float": "inf"}), "y is inf"),
        (set_array("information", lambda v: [-x for x in v]), "no matrix of sums of squares"),
        (set_array("information", lambda v: v[:-1]), "wrong length"),
        (set_array("point", lambda v: [None, *v[1:]]), "no numbers"),
        (set_array("position", lambda v: [0] * len(v)), "distinct whole"),
        (set_array("scale", lambda v: [-1.0] * len(v)), "positive"),
        (lambda h: h["document"].update(point={"$array": 99}), "does not have"),
        (lambda h: h["arrays"][0].update(dtype="O"), "which it cannot"),
        (lambda h: h["arrays"][0].update(shape=[10**9, 10**9]), "wrong length"),
    ],
)
def test_files_that_do_not_fit_together(saved, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        LocalSummary.load(changed(saved, tmp_path, change))


def test_files_that_would_run_code_or_fill_the_memory(saved, tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, a=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="cannot be read as a statkit local summary"):
        LocalSummary.load(path)
    with zipfile.ZipFile(saved[1][1]) as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if name == "0.npy":
                buffer = io.BytesIO()
                np.lib.format.write_array_header_1_0(
                    buffer, {"shape": (10**12,), "fortran_order": False, "descr": "<f8"}
                )
                content = buffer.getvalue()
            bad.writestr(name, content)
    with pytest.raises(ValueError, match="wrong length"):
        LocalSummary.load(path)
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        LocalSummary.load(path)


def test_families_that_cannot_be_made(saved, tmp_path):
    for family, message in (
        ({"name": "evil"}, "unknown family"),
        ({"parameters": {"open": 1}}, "cannot be made"),
    ):
        path = changed(saved, tmp_path, lambda h, f=family: h["document"]["family"].update(f))
        with pytest.raises(ValueError, match=message):
            combine_summaries([path])


def test_classes_of_a_response(frame):
    labels = frame.assign(late=np.where(frame["y"] > 1, "late", "on time"))
    sites = of_sites(labels, "late ~ z", family="binomial")
    e = combine_summaries(sites)
    assert e.classes == ["late", "on time"] and "on time" in str(e.summary())
    model = GLMRegressor("binomial", formula="late ~ z", plan=LeastSquaresApproximation(partition_by="site"))
    np.testing.assert_allclose(e.values, model.fit(labels).estimate_.values, rtol=1e-9)
