"""Fields observed at many places: a climate model over North America, ozone stations of the Midwest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from statkit.datasets.registry import description_of, path_of

if TYPE_CHECKING:
    from sklearn.utils import Bunch


def load_north_america_air_temperature(
    scenario: str = "A1B", *, detrend: bool = False, as_frame: bool = False
) -> Bunch:
    """Load annual near-surface air temperature over North America, 1860–2099, from a climate model.

    Parameters
    ----------
    scenario : {"A1B", "E1"}, default="A1B"
        Emission scenario; the first 140 years of both are the same.
    detrend : bool, default=False
        Remove a cubic trend in time from each cell (the warming, which otherwise is the first mode) and the
        mean with it.
    as_frame : bool, default=False
        Also return ``frame``: years × cells, with (latitude, longitude) column labels.

    Returns
    -------
    Bunch
        ``data`` : float32 ndarray of shape (240, 37, 49), years × latitude × longitude, in kelvin.
        ``year`` (240,); ``latitude`` (37,), 15 to 60 degrees north; ``longitude`` (49,), 225 to 315 east.
        ``frame`` : DataFrame or None. ``DESCR`` : str, source and licence.

    Notes
    -----
    Contains Met Office data, © British Crown copyright 2018, under the UK Open Government Licence.

    Examples
    --------
    >>> from statkit.datasets import load_north_america_air_temperature
    >>> load_north_america_air_temperature().data.shape
    (240, 37, 49)
    """
    import numpy as np
    from sklearn.utils import Bunch

    if scenario not in ("A1B", "E1"):
        raise ValueError(f"scenario must be A1B or E1, got {scenario!r}")
    with np.load(path_of("north_america_air_temperature")) as file:
        data, year = file[scenario], file["year"]
        latitude, longitude = file["latitude"], file["longitude"]
    if detrend:
        t = np.linspace(-1, 1, len(year))
        design = np.stack([t**k for k in range(4)], axis=1)
        flat = data.reshape(len(data), -1).astype(float)
        flat -= design @ np.linalg.lstsq(design, flat, rcond=None)[0]
        data = flat.reshape(data.shape).astype(np.float32)
    frame = None
    if as_frame:
        import pandas as pd

        cells = pd.MultiIndex.from_product([latitude, longitude], names=["latitude", "longitude"])
        frame = pd.DataFrame(data.reshape(len(data), -1), index=pd.Index(year, name="year"), columns=cells)
    return Bunch(
        data=data,
        year=year,
        latitude=latitude,
        longitude=longitude,
        frame=frame,
        DESCR=description_of("north_america_air_temperature"),
    )


def load_ozone_midwest(*, as_frame: bool = False) -> Bunch:
    """Load ground-level ozone at 153 stations of the US Midwest on 89 days of summer 1987, with holes.

    Parameters
    ----------
    as_frame : bool, default=False
        Return ``data`` and ``coordinates`` as DataFrames whose columns and rows are named by station.

    Returns
    -------
    Bunch
        ``data`` (89, 153), daily 8-hour average in ppb, NaN where missing (3.6 %);
        ``coordinates`` (153, 2), longitude and latitude in degrees; ``station`` names; ``day`` as YYMMDD;
        ``frame``; ``DESCR`` with source and licence.

    Raises
    ------
    FileNotFoundError
        statkit was installed from a wheel or a source distribution: the table comes from a package under the
        GPL and is in the source tree only, in ``datasets/schrodinger_pca/ozone_midwest``.

    Examples
    --------
    >>> from statkit.datasets import load_ozone_midwest
    >>> load_ozone_midwest().data.shape
    (89, 153)
    """
    import pandas as pd
    from sklearn.utils import Bunch

    path = Path(path_of("ozone_midwest"))
    frame = pd.read_csv(path, index_col=0)
    frame.columns = frame.columns.astype(str)
    places = pd.read_csv(path.with_name("ozone_midwest_1987_stations.csv"), dtype={"station": str}).set_index(
        "station"
    )
    places = places.loc[frame.columns, ["longitude", "latitude"]]
    return Bunch(
        data=frame if as_frame else frame.to_numpy(dtype=float),
        coordinates=places if as_frame else places.to_numpy(dtype=float),
        station=list(frame.columns),
        day=frame.index.to_numpy(),
        frame=frame if as_frame else None,
        DESCR=description_of("ozone_midwest"),
    )
