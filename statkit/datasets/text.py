"""Documents with labels: e-mails, package descriptions, and sentences rated by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statkit.datasets.registry import description_of, path_of

if TYPE_CHECKING:
    from sklearn.utils import Bunch


def load_spamassassin(as_frame: bool = False) -> Bunch:
    """Load the bags of words of 6,046 e-mails, 4,150 ham and 1,896 spam.

    Parameters
    ----------
    as_frame : bool, default=False
        Return labels and descriptions of the e-mails as pandas objects, and together as ``frame``; the words
        stay a sparse matrix.

    Returns
    -------
    Bunch
        ``data`` : CSR matrix of float64, shape (6046, 12000): counts of words of subject and text.
        ``target`` : 0 ham, 1 spam; int64 ndarray, or a Series called ``"label"``.
        ``target_names`` : ndarray of str.
        ``feature_names`` : ndarray of str, the words.
        ``group`` : ndarray of str, the folder of the archive (easy and hard ham, early and late collections).
        ``message_id`` : ndarray.
        ``frame`` : DataFrame with label, group and message_id, or None.
        ``DESCR`` : str, the README: source, licence, how it was made.

    Notes
    -----
    Source: SpamAssassin public mail corpus; database PDDL 1.0, contents CC0 1.0. Only words are kept.

    Examples
    --------
    >>> from statkit.datasets import load_spamassassin
    >>> mail = load_spamassassin()
    >>> mail.data.shape, int(mail.target.sum())
    ((6046, 12000), 1896)
    """
    import numpy as np
    import pandas as pd
    from sklearn.utils import Bunch

    with np.load(path_of("spamassassin")) as file:
        X = _words(file)
        target = file["label"].astype(np.int64)
        parts = {"group": file["group_names"][file["group"]], "message_id": file["message_id"]}
        names, words = file["label_names"], file["vocabulary"]
    frame = pd.DataFrame({"label": target, **parts}) if as_frame else None
    return Bunch(
        data=X,
        target=target if frame is None else frame["label"],
        target_names=names,
        feature_names=words,
        frame=frame,
        DESCR=description_of("spamassassin"),
        **parts,
    )


def load_debian_sections(as_frame: bool = False) -> Bunch:
    """Load 5,275 descriptions of Debian packages and the section of the archive that each is in, of 10.

    Parameters
    ----------
    as_frame : bool, default=False
        Return pandas objects, and all columns together as ``frame``.

    Returns
    -------
    Bunch
        ``data`` : descriptions, at most 600 characters each; object ndarray of shape (5275,), or a Series
        called
        ``"text"``.
        ``target`` : sections; object ndarray of str, or a Series called ``"label"``.
        ``target_names`` : ndarray of str, sorted.
        ``feature_names`` : ``["text"]``.
        ``frame`` : DataFrame with package, label and text, or None.
        ``DESCR`` : str, the README: source, licence, how it was made.

    Notes
    -----
    Source: Debian 12, main archive; the descriptions are free software.

    Examples
    --------
    >>> from statkit.datasets import load_debian_sections
    >>> load_debian_sections(as_frame=True).target.value_counts().head(2).to_dict()
    {'science': 1215, 'net': 1193}
    """
    import numpy as np
    import pandas as pd
    from sklearn.utils import Bunch

    frame = pd.read_csv(path_of("debian_sections"))
    return Bunch(
        data=frame["text"] if as_frame else frame["text"].to_numpy(dtype=object),
        target=frame["label"] if as_frame else frame["label"].to_numpy(dtype=object),
        target_names=np.unique(frame["label"].to_numpy(dtype=str)),
        feature_names=["text"],
        frame=frame if as_frame else None,
        DESCR=description_of("debian_sections"),
    )


def load_vader_ratings(n_annotators: int = 1, as_frame: bool = False) -> Bunch:
    """Load 23,703 sentences rated for sentiment by people: labels with real errors, and nearly the truth.

    The truth is the sign of the mean of 15 to 99 ratings (beyond half a point on the scale from -4 to 4).
    Labels are the signs of single ratings, 17 % of which disagree with it.

    Parameters
    ----------
    n_annotators : int, default=1
        Single ratings a sentence, from 1 to 5. They are draws from all raters of the sentence: column 2 is
        not one person.
    as_frame : bool, default=False
        Return truth and ratings as pandas objects, and together as ``frame``; the words stay a sparse matrix.

    Returns
    -------
    Bunch
        ``data`` : CSR matrix of float64, shape (23703, 11789): counts of words.
        ``target`` : truth, 0 negative, 1 neutral, 2 positive; int64 ndarray, or a Series called ``"truth"``.
        ``labels`` : int64 ndarray of shape (23703,), or (23703, n_annotators) if there are several: what
        single raters said, coded as the truth.
        ``target_names`` : ndarray of str.
        ``feature_names`` : ndarray of str.
        ``mean_rating`` : ndarray of shape (23703,).
        ``rating_counts`` : uint8 ndarray of shape (23703, 9), how many raters gave -4, …, 4.
        ``domain`` : ndarray of str, where the sentence is from (amazon, movie, nyt, tweet).
        ``frame`` : DataFrame with truth, mean_rating, domain, rating_1, …, or None.
        ``DESCR`` : str, the README: source, licence, how it was made.

    Raises
    ------
    ValueError
        If ``n_annotators`` is not between 1 and 5.

    Notes
    -----
    Source: C. J. Hutto and E. Gilbert (2014), VADER: a parsimonious rule-based model for sentiment analysis
    of social media text, ICWSM; MIT licence, copyright 2016 C. J. Hutto. Only word counts are kept.

    Examples
    --------
    >>> from statkit.datasets import load_vader_ratings
    >>> said = load_vader_ratings()
    >>> round(float((said.labels != said.target).mean()), 3)
    0.175
    """
    import numpy as np
    import pandas as pd
    from sklearn.utils import Bunch

    if n_annotators not in range(1, 6):
        raise ValueError(f"n_annotators must be between 1 and 5, got {n_annotators!r}")
    with np.load(path_of("vader_ratings")) as file:
        X = _words(file)
        mean = file["mean_rating"].astype(float)
        ratings = np.sign(file["single_ratings"][:, :n_annotators]).astype(np.int64) + 1
        words, domain = file["vocabulary"], file["domain_names"][file["domain"]]
        counts = file["rating_counts"]
    target = np.where(mean > 0.5, 2, np.where(mean < -0.5, 0, 1)).astype(np.int64)
    frame = None
    if as_frame:
        frame = pd.DataFrame({"truth": target, "mean_rating": mean, "domain": domain})
        for m in range(n_annotators):
            frame[f"rating_{m + 1}"] = ratings[:, m]
    return Bunch(
        data=X,
        target=target if frame is None else frame["truth"],
        labels=ratings[:, 0] if n_annotators == 1 else ratings,
        target_names=np.array(["negative", "neutral", "positive"]),
        feature_names=words,
        mean_rating=mean,
        rating_counts=counts,
        domain=domain,
        frame=frame,
        DESCR=description_of("vader_ratings"),
    )


def _words(file):
    import numpy as np
    import scipy.sparse as sp

    return sp.csr_matrix(
        (file["data"].astype(np.float64), file["indices"].astype(np.int32), file["indptr"].astype(np.int32)),
        shape=tuple(file["shape"]),
    )
