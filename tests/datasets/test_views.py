"""The multi-view sets are what their README says; the simulator makes what it is asked for."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from statkit.datasets import load_leaves100, load_mfeat, load_nutrimouse, make_multiview_blobs


def test_digits():
    digits = load_mfeat()
    assert {k: v.shape for k, v in digits.views.items()} == {
        "fou": (2000, 76), "fac": (2000, 216), "kar": (2000, 64), "pix": (2000, 240), "zer": (2000, 47),
        "mor": (2000, 6),
    }  # fmt: skip
    np.testing.assert_array_equal(np.bincount(digits.target), [200] * 10)
    assert digits.views["pix"].min() == 0 and digits.views["pix"].max() == 6
    assert digits.frame is None and "CC BY 4.0" in digits.DESCR


def test_leaves():
    leaves = load_leaves100(as_frame=True)
    assert leaves.frame.shape == (1600, 192)
    assert leaves.frame.columns.nlevels == 2
    assert leaves.target.value_counts().unique().tolist() == [16]


def test_mice():
    mice = load_nutrimouse(as_frame=True)
    assert mice.views["gene"].shape == (40, 120) and mice.views["lipid"].shape == (40, 21)
    assert mice.target.value_counts().unique().tolist() == [8]
    assert mice.genotype.value_counts().unique().tolist() == [20]
    assert "C16.0" in mice.views["lipid"].columns
    assert load_nutrimouse().target.dtype.kind == "U"


def test_simulator():
    blobs = make_multiview_blobs(
        300, 3, n_features=(4, 5), separations=(5.0, 0.0), noise_views=2, missing=0.3, random_state=0
    )
    assert list(blobs.views) == ["view0", "view1", "noise0", "noise1"]
    gone = np.stack([np.isnan(view) for view in map(lambda v: v[:, 0], blobs.views.values())], axis=1)
    assert not gone.all(axis=1).any()
    assert gone.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 1200) + 0.01)
    for view in blobs.views.values():
        assert set(np.isnan(view).sum(axis=1)) <= {0, view.shape[1]}
    whole = make_multiview_blobs(300, 3, n_features=(4, 5), separations=(5.0, 0.0), random_state=0)
    means = [KMeans(3, n_init=5, random_state=0).fit_predict(view) for view in whole.views.values()]
    assert adjusted_rand_score(whole.target, means[0]) > 0.95
    assert adjusted_rand_score(whole.target, means[1]) < 0.1
    again = make_multiview_blobs(300, 3, n_features=(4, 5), separations=(5.0, 0.0), random_state=0)
    np.testing.assert_array_equal(whole.views["view0"], again.views["view0"])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_samples": 0}, "n_samples"),
        ({"n_samples": 3, "n_clusters": 4}, "n_clusters must be from 1 to n_samples=3"),
        ({"n_features": (3,)}, "they have 1 and 2 entries"),
        ({"missing": 1.0}, "missing is a share"),
    ],
)
def test_simulator_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        make_multiview_blobs(**options)
