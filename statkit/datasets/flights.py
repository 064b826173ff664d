"""Three million flights, the data of the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statkit.datasets.registry import description_of, path_of

if TYPE_CHECKING:
    from sklearn.utils import Bunch


def flights_path() -> str:
    """Return the path of the flights file (Parquet, 3,000,000 rows, 12 MB).

    Returns
    -------
    str
        An absolute path, valid from any folder.

    Examples
    --------
    >>> import pyarrow.parquet
    >>> from statkit.datasets import flights_path
    >>> pyarrow.parquet.read_metadata(flights_path()).num_rows
    3000000
    """
    return path_of("flights")


def load_flights(as_frame: bool = False) -> Bunch:
    """Load scheduled domestic flights in the United States, January to June 2001, in order of departure.

    The rows are sorted by time, so contiguous blocks are not random samples: what assumes that they are gives
    visibly wrong answers here. To fit a model without loading the rows, give `flights_path` to
    `statkit.glm`.

    Parameters
    ----------
    as_frame : bool, default=False
        Return pandas objects, and all columns together as ``frame``.

    Returns
    -------
    Bunch
        ``data`` : the columns date, distance, origin, destination; ndarray of shape (3_000_000, 4) and dtype
        object, or a DataFrame.
        ``target`` : arrival delay in minutes, negative = early; int16 ndarray of shape (3_000_000,), or a
        Series called ``"delay"``.
        ``feature_names`` : list of str.
        ``frame`` : DataFrame of all five columns in the order of the file, or None.
        ``DESCR`` : str, the README: source, licence, columns.

    Notes
    -----
    The frame takes about 100 MB; ``as_frame=False`` makes one Python object for every value of ``data``,
    which takes some seconds and about 700 MB.

    Source: On-Time Performance, Bureau of Transportation Statistics, U.S. Department of Transportation;
    public domain.

    Examples
    --------
    >>> from statkit.datasets import load_flights
    >>> flights = load_flights(as_frame=True)
    >>> round(float((flights.target > 15).mean()), 6)
    0.199685
    """
    import pyarrow.parquet as pq
    from sklearn.utils import Bunch

    frame = pq.read_table(flights_path()).to_pandas()
    data, target = frame.drop(columns="delay"), frame["delay"]
    return Bunch(
        data=data if as_frame else data.to_numpy(),
        target=target if as_frame else target.to_numpy(),
        feature_names=list(data.columns),
        frame=frame if as_frame else None,
        DESCR=description_of("flights"),
    )
