"""The deterministic layers against numbers worked out by hand or by independent code."""

import numpy as np
import pytest
from scipy.special import expit

from statkit.sampling import (
    PrioritySampler,
    inclusion_probabilities,
    leverage_scores,
    poisson_sample,
    priority_sample,
    replacement_sample,
    row_uniforms,
    subsampling_scores,
    weighted_reservoir,
)


def test_water_filling():
    pi, H = inclusion_probabilities([1, 2, 3, 10, 20], 3, mixture=0)
    assert H == 6
    np.testing.assert_allclose(pi, [1 / 6, 1 / 3, 1 / 2, 1, 1])


def test_priority():
    index, pi, tau = priority_sample([4, 1, 2, 8], 2, u=[0.5, 0.2, 0.8, 0.9])
    assert index.tolist() == [0, 3] and tau == 5
    np.testing.assert_allclose(pi, [0.8, 1])
    assert np.sum(np.array([4, 8]) / pi) == pytest.approx(13)


@pytest.fixture(scope="module")
def logistic():
    rng = np.random.default_rng(2024)
    N = 2000
    X = np.column_stack([np.ones(N), rng.standard_normal((N, 2))])
    y = (rng.random(N) < expit(X @ [-0.5, 1, -1])).astype(float)
    assert y.sum() == 827
    b0 = np.array([-0.5515926, 1.1101381, -0.8237682])
    M0 = np.array(
        [
            [0.1782952, 0.0224904, -0.0177343],
            [0.0224904, 0.1420943, 0.0463811],
            [-0.0177343, 0.0463811, 0.161022],
        ]
    )
    return X, y, b0, M0


@pytest.mark.parametrize(
    ("criterion", "total", "level"),
    [
        ("optL", 1093.638, 3.6454603),
        ("optA", 7135.981, 23.7774965),
        ("LCC", 714.3548, 2.3811827),
    ],
)
def test_scores(logistic, criterion, total, level):
    X, y, b0, M0 = logistic
    m = subsampling_scores(X, y, b0, family="binomial", criterion=criterion, information=M0)
    assert m.sum() == pytest.approx(total, rel=1e-5)
    assert inclusion_probabilities(m, 300, mixture=0)[1] == pytest.approx(level, rel=1e-5)


def test_scaled_scores_agree_up_to_a_factor(logistic):
    X, y, b0, M0 = logistic
    m = subsampling_scores(X, y, b0, family="binomial", criterion="optLs", information=M0)
    factor = 2710.359 / m.sum()
    assert factor == pytest.approx(1 / np.sqrt(np.diag(M0).mean()), rel=1e-5)
    assert inclusion_probabilities(m * factor, 300, mixture=0)[1] == pytest.approx(9.0345291, rel=1e-5)


def test_first_scores_and_draw(logistic):
    X, y, b0, M0 = logistic
    m = subsampling_scores(X, y, b0, family="binomial", criterion="optA", information=M0)
    np.testing.assert_allclose(m[:3], [8.2992753, 2.4910019, 13.9464044], rtol=2e-6)
    pi, _ = inclusion_probabilities(m, 300, mixture=0)
    np.testing.assert_allclose(pi[:3], [0.3490391, 0.104763, 0.586538], rtol=2e-6)
    pi, _ = inclusion_probabilities(m, 300, mixture=0.1)
    index = poisson_sample(pi, u=np.random.default_rng(99).random(2000))
    assert len(index) == 270 and index[:6].tolist() == [2, 17, 19, 31, 34, 54]
    assert (1 / pi[index]).sum() == pytest.approx(1804.021, abs=2e-3)


def test_uniforms_do_not_depend_on_pieces():
    whole = row_uniforms(3, 1, 0, 1000)
    pieces = [row_uniforms(3, 1, a, min(a + 37, 1000)) for a in range(0, 1000, 37)]
    assert (np.concatenate(pieces) == whole).all()
    assert (row_uniforms(3, 0, 0, 1000) != whole).mean() > 0.99
    for stream in (0, 1):  # not the numbers that a user's own generator of the same seed gives
        assert not np.isin(row_uniforms(3, stream, 0, 1000), np.random.default_rng(3).random(5000)).any()


def test_samplers_merge():
    rng = np.random.default_rng(0)
    m, u = rng.gamma(0.3, size=5000), rng.random(5000)
    whole = PrioritySampler(100).partial_fit(m, u, np.arange(5000)).result()
    for cuts in ([2500], [10, 4999], range(50, 5000, 50)):
        parts = [
            PrioritySampler(100).partial_fit(m[p], u[p], p) for p in np.split(np.arange(5000), list(cuts))
        ]
        merged = parts.pop()
        for part in parts:
            merged = merged.merge(part)
        index, pi, tau = merged.result()
        assert (index == whole[0]).all() and (pi == whole[1]).all() and tau == whole[2]


@pytest.mark.parametrize("draw", ["priority", "reservoir", "poisson", "replacement"])
def test_totals_are_unbiased(draw):
    rng = np.random.default_rng(1)
    m = rng.gamma(0.5, size=60)
    value = m * rng.uniform(0.5, 1.5, 60) + 0.1
    totals = []
    for seed in range(10_000):
        if draw == "priority":
            index, pi, _ = priority_sample(m + 0.05, 12, u=rng.random(60))
        elif draw == "reservoir":
            index, pi, _ = weighted_reservoir(m + 0.05, 12, u=rng.random(60))
        elif draw == "poisson":
            probability = inclusion_probabilities(m, 12)[0]
            index = poisson_sample(probability, random_state=seed)
            pi = probability[index]
        else:
            index, p = replacement_sample(m + 0.05, 12, random_state=rng)
            pi = 12 * p
        totals.append((value[index] / pi).sum())
    error = np.std(totals) / 100
    assert abs(np.mean(totals) - value.sum()) < 3.5 * error


def test_probabilities_have_the_sum_asked_for():
    rng = np.random.default_rng(2)
    for shape in (0.05, 0.5, 5):
        m = rng.gamma(shape, size=700) + 1e-12
        for n in (1, 10, 300, 699):
            for mixture in (0.0, 0.1, 1.0):
                pi, _ = inclusion_probabilities(m, n, mixture=mixture)
                assert pi.max() <= 1 + 1e-12 and pi.sum() == pytest.approx(n, rel=1e-9)
    assert (inclusion_probabilities(m, 700)[0] == 1).all()
    np.testing.assert_allclose(inclusion_probabilities(np.ones(50), 10)[0], 0.2)


def test_pilot_threshold_hits_the_size_on_average():
    rng = np.random.default_rng(3)
    m = rng.gamma(1.0, size=20_000)
    pilot = rng.choice(20_000, 2000, replace=False)
    pi, H = inclusion_probabilities(m, 500, threshold="pilot", pilot_scores=m[pilot])
    assert H == pytest.approx(np.quantile(m[pilot], 1 - 500 / 40_000))
    assert pi.sum() == pytest.approx(500, rel=0.1)
    p = np.where(m > 2, 0.4, 0.05)
    biased = np.flatnonzero(rng.random(20_000) < p)
    pi, _ = inclusion_probabilities(m, 500, threshold="pilot", pilot_scores=m[biased], pilot_prob=p[biased])
    assert pi.sum() == pytest.approx(500, rel=0.1)


def test_invariance_of_criteria(logistic):
    X, y, b0, _ = logistic
    A = np.diag([1.0, 10.0, 0.1])
    full = np.array([[1.0, 0.3, 0], [0, 2.0, 1.0], [0, 0, 0.5]])

    def probability(criterion, A):
        m = subsampling_scores(X @ A, y, np.linalg.solve(A, b0), family="binomial", criterion=criterion)
        return m / m.sum()

    for criterion, unchanged in (
        ("optLs", True),
        ("optV", True),
        ("LCC", True),
        ("optL", False),
        ("optA", False),
    ):
        same = np.allclose(probability(criterion, A), probability(criterion, np.eye(3)), rtol=1e-8)
        assert same == unchanged
    for criterion in ("optV", "LCC"):
        np.testing.assert_allclose(probability(criterion, full), probability(criterion, np.eye(3)), rtol=1e-8)


def test_softmax_with_two_classes_is_logistic(logistic):
    from statkit.families import Softmax

    X, y, b0, _ = logistic
    for criterion in ("LCC", "optL", "optLs", "optA", "optV"):
        two = subsampling_scores(X, y, b0, family=Softmax(2), criterion=criterion)
        one = subsampling_scores(X, y, b0, family="binomial", criterion=criterion)
        np.testing.assert_allclose(two / two.sum(), one / one.sum(), rtol=1e-10)


def test_softmax_scores_do_not_depend_on_the_reference_class():
    from statkit.families import Softmax

    rng = np.random.default_rng(4)
    X = np.column_stack([np.ones(500), rng.standard_normal((500, 2))])
    B = rng.standard_normal((2, 3))
    y = rng.integers(0, 3, 500).astype(float)
    full = np.vstack([np.zeros(3), B])
    order = np.array([2, 0, 1])  # class c is called order[c] now
    back = np.argsort(order)
    turned = full[back] - full[back][0]
    for criterion in ("LCC", "optL", "optLs", "optA", "optV"):
        one = subsampling_scores(X, y, B, family=Softmax(3), criterion=criterion)
        two = subsampling_scores(X, order[y.astype(int)], turned[1:], family=Softmax(3), criterion=criterion)
        np.testing.assert_allclose(one / one.sum(), two / two.sum(), rtol=1e-8, err_msg=criterion)


def test_leverage():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((400, 7)) * [1, 10, 100, 1, 1, 1e-3, 1]
    H = X @ np.linalg.pinv(X)
    np.testing.assert_allclose(leverage_scores(X), np.diag(H), rtol=1e-9)
    nearly = np.column_stack([X, X[:, 0] + 1e-9 * rng.standard_normal(400)])
    assert leverage_scores(nearly).sum() == pytest.approx(8, rel=1e-5)
    assert leverage_scores(np.column_stack([X, X[:, 0]])).sum() == pytest.approx(7)
    big = rng.standard_t(3, (6000, 20))
    ratio = leverage_scores(big, method="sketch", random_state=0) / leverage_scores(big)
    assert 0.9 < np.median(ratio) < 1.1 and np.quantile(np.abs(ratio - 1), 0.95) < 0.9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inclusion_probabilities([0, 0], 1), "every score is zero"),
        (lambda: inclusion_probabilities([1, -1], 1), "row 1 has -1"),
        (lambda: inclusion_probabilities([1, np.nan], 1), "row 1 has nan"),
        (lambda: inclusion_probabilities([1, 1], 0), "positive integer"),
        (lambda: inclusion_probabilities([1, 1, 1], 1, threshold="pilot"), "pilot_scores"),
        (lambda: subsampling_scores([[1.0]], [1.0], [0.0], family="binomial", criterion="best"), "criterion"),
        (lambda: subsampling_scores([[1.0]], [1.0], [0.0, 1.0], family="binomial"), "coefficients"),
        (lambda: leverage_scores([[1.0, np.nan]]), "row 0, column 1"),
        (lambda: row_uniforms(0, 0, 5, 3), "range"),
        (lambda: PrioritySampler(0), "positive"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
