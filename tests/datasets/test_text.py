"""The document sets: shapes, codes and the facts that their README states."""

import numpy as np
import pandas as pd
import pytest

from statkit.datasets import load_debian_sections, load_spamassassin, load_vader_ratings


def test_spamassassin():
    mail = load_spamassassin()
    assert mail.data.shape == (6046, 12000) and mail.data.nnz == 796_419
    assert np.bincount(mail.target).tolist() == [4150, 1896]
    assert mail.target_names.tolist() == ["ham", "spam"]
    assert len(mail.feature_names) == 12000 and len(set(mail.group)) == 5
    assert mail.frame is None and "CC0" in mail.DESCR
    frame = load_spamassassin(as_frame=True).frame
    # the archive's folders say which is spam
    assert (frame["group"].str.contains("spam") == (frame["label"] == 1)).all()


def test_debian_sections():
    sections = load_debian_sections()
    assert len(sections.data) == len(sections.target) == 5275
    assert sections.target_names.tolist() == sorted(set(sections.target))
    frame = load_debian_sections(as_frame=True).frame
    assert frame.columns.tolist() == ["package", "label", "text"] and isinstance(frame, pd.DataFrame)
    assert frame["text"].str.len().max() <= 600 and frame["package"].is_unique


def test_vader_ratings():
    rated = load_vader_ratings(n_annotators=5, as_frame=True)
    assert rated.data.shape == (23703, 11789) and rated.labels.shape == (23703, 5)
    assert rated.frame.columns.tolist()[-1] == "rating_5"
    # the mean is that of the counts of ratings, but for 199 sentences where the source disagrees with itself
    mean = rated.rating_counts @ np.arange(-4, 5) / rated.rating_counts.sum(axis=1)
    assert (np.abs(mean - rated.mean_rating) > 1e-5).sum() == 199
    one = load_vader_ratings()
    assert one.labels.ndim == 1 and abs((one.labels != one.target).mean() - 0.175) < 0.001
    neutral = one.target == 1
    assert abs((one.labels != one.target)[neutral].mean() - 0.41) < 0.01


@pytest.mark.parametrize("wrong", [0, 6, 2.5])
def test_number_of_annotators(wrong):
    with pytest.raises(ValueError, match="between 1 and 5"):
        load_vader_ratings(wrong)
