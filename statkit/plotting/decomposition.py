"""Pictures of modes: maps, the correlation function and the spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from statkit.plotting._canvas import BLUE, SKY, VERMILION, canvas, pyplot

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike


class ModesDisplay:
    """Maps of modes on a line, a grid, scattered points, a mesh or the sphere.

    Parameters
    ----------
    modes : ndarray of shape (k, p)
        Rows over the locations; NaN is left blank.
    structure : Structure
        Where the locations are.
    titles : list of str, default=None

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        One a mode.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.datasets import make_random_field
    >>> from statkit.decomposition import SchrodingerPCA
    >>> from statkit.plotting import ModesDisplay
    >>> X = make_random_field(20, shape=(15, 20), correlation_length=3.0, random_state=0).data
    >>> model = SchrodingerPCA(4, shape=(15, 20), random_state=0).fit(X)
    >>> display = ModesDisplay.from_estimator(model)
    """

    def __init__(self, modes: ArrayLike, structure: Any, titles: list[str] | None = None) -> None:
        self.modes, self.structure, self.titles = np.atleast_2d(modes), structure, titles

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_components: int = 4,
        values: ArrayLike | None = None,
        ax: Any = None,
        **options: Any,
    ) -> ModesDisplay:
        """Draw the leading modes of a fitted `SchrodingerPCA`, or other values over its locations.

        Parameters
        ----------
        estimator : SchrodingerPCA
        n_components : int, default=4
            Modes shown.
        values : array of shape (k, p), default=None
            Drawn in place of the modes.
        ax : array of matplotlib Axes, default=None
            One a mode; a new figure if None.
        **options
            Of `plot`.

        Returns
        -------
        ModesDisplay
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator)
        titles = None
        if values is None:
            values = estimator.components_[:n_components].copy()
            share = estimator.explained_variance_ratio_[: len(values)]
            titles = [f"mode {k + 1}: {100 * s:.1f} %" for k, s in enumerate(share)]
        values = np.where(estimator._kept, np.atleast_2d(values), np.nan)
        whole = estimator._structure
        if not estimator._kept.all():
            if whole.kind == "grid":
                whole = whole._with(mesh=whole.mesh.restricted(np.ones(whole.mesh.shape, bool)))
            else:
                values = values[:, estimator._kept]
        return cls(values, whole, titles).plot(ax=ax, **options)

    def plot(
        self,
        ax: Any = None,
        *,
        cmap: str = "RdBu_r",
        colorbar: bool = True,
        coastlines: bool = False,
        size: float = 3.2,
    ) -> Self:
        """Draw one map a mode on a common, symmetric scale.

        Parameters
        ----------
        ax : array of matplotlib Axes, default=None
            One a mode; a new figure if None.
        cmap : str, default="RdBu_r"
        colorbar : bool, default=True
        coastlines : bool, default=False
            With cartopy installed, maps in degrees get coastlines.
        size : float, default=3.2
            Inches a map.

        Returns
        -------
        ModesDisplay
        """
        k = len(self.modes)
        geographic = self.structure.metric in ("latlon", "sphere")
        projection = _projection() if coastlines and geographic else None
        if ax is None:
            columns = min(k, 4 if k > 6 else 3 if k in (3, 5, 6) else 2)
            rows = -(-k // columns)
            wide = 1.3 if self.structure.dimension == 1 or geographic else 1.15
            figure, axes = pyplot().subplots(
                rows,
                columns,
                figsize=(size * columns * wide, size * rows),
                squeeze=False,
                layout="constrained",
                subplot_kw={"projection": projection} if projection else None,
            )
            for spare in axes.ravel()[k:]:
                spare.remove()
            axes = axes.ravel()[:k]
        else:
            axes = np.atleast_1d(ax).ravel()
            if len(axes) != k:
                raise ValueError(f"{k} modes need {k} Axes, got {len(axes)}")
            figure = axes[0].figure
        limit = float(np.nanmax(np.abs(self.modes))) or 1.0
        drawn = None
        for number, (axis, mode) in enumerate(zip(axes, self.modes, strict=True)):
            drawn = self._draw(axis, mode, limit, cmap)
            axis.set_title(self.titles[number] if self.titles else f"mode {number + 1}", fontsize=10)
            if projection:
                axis.coastlines(linewidth=0.6)
        if colorbar and drawn is not None:
            figure.colorbar(drawn, ax=list(axes), shrink=0.8, fraction=0.04)
        self.ax_, self.figure_ = axes, figure
        return self

    def _draw(self, ax, mode, limit, cmap) -> Any:
        structure = self.structure
        scale = {"cmap": cmap, "vmin": -limit, "vmax": limit}
        if structure.kind == "graph":
            return self._draw_graph(ax, mode, scale)
        mesh = structure.mesh
        signs = structure.signs if structure.signs is not None else np.ones(structure.coordinates.shape[1])
        place = structure.coordinates * signs
        if structure.dimension == 1:
            order = np.argsort(place[:, 0])
            ax.axhline(0, color="0.8", linewidth=0.8)
            ax.plot(place[order, 0], mode[order], color=BLUE)
            ax.set(xlabel="location", ylabel="mode")
            return None
        if structure.kind == "grid" and structure.dimension == 2:
            edges = [s * e for s, e in zip(signs, mesh.edges, strict=True)]
            drawn = ax.pcolormesh(edges[1], edges[0], mode.reshape(mesh.shape), **scale)
            if structure.metric == "latlon":
                middle = np.cos(np.deg2rad(np.mean(edges[0])))
                ax.set(xlabel="longitude", ylabel="latitude", aspect=1 / max(middle, 0.2))
            else:
                ax.set_aspect("equal")
                if np.array_equal(mesh.axes[0], np.arange(mesh.shape[0])) and signs[0] > 0:
                    ax.invert_yaxis()  # row 0 on top, as a matrix is printed
            return drawn
        if structure.kind == "grid":  # the middle slice of a box
            block = mode.reshape(mesh.shape)[mesh.shape[0] // 2]
            return ax.imshow(block, **scale)
        if structure.metric in ("latlon", "sphere"):
            ax.set(xlabel="longitude", ylabel="latitude")
            x, y = place[:, 1], place[:, 0]
        else:
            x, y = place[:, 0], place[:, 1]
            ax.set_aspect("equal")
        area = float(np.clip(20_000 / len(x), 3, 60))
        if structure.kind == "mesh" and structure.metric == "euclidean" and place.shape[1] == 2:
            return ax.tripcolor(x, y, mesh.cells, mode, shading="gouraud", **scale)
        return ax.scatter(x, y, c=mode, s=area, edgecolors="0.4", linewidths=0.3, **scale)

    def _draw_graph(self, ax, mode, scale):
        """Nodes at the two slowest eigenvectors of the Laplacian."""
        from scipy.sparse.linalg import eigsh

        laplacian = self.structure.mesh.laplacian
        n = laplacian.shape[0]
        if n <= 400:
            place = np.linalg.eigh(laplacian.toarray())[1][:, 1:3]
        else:
            place = eigsh(laplacian, 3, sigma=-1e-3, v0=np.ones(n))[1][:, 1:3]
        edges = laplacian.tocoo()
        upper = edges.row < edges.col
        ends = place[np.column_stack([edges.row[upper], edges.col[upper]])]
        from matplotlib.collections import LineCollection

        ax.add_collection(LineCollection(ends, colors="0.85", linewidths=0.5, zorder=0))
        ax.set_axis_off()
        return ax.scatter(place[:, 0], place[:, 1], c=mode, s=25, edgecolors="0.4", linewidths=0.3, **scale)


def _projection():
    try:
        import cartopy.crs as ccrs
    except ImportError:
        return None
    return ccrs.PlateCarree()


class CorrelationDisplay:
    """Binned sample correlations against distance, and the fitted correlation function.

    Parameters
    ----------
    table : DataFrame
        ``table`` of a `CorrelationFit`.
    label : str
        Of the fitted line.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.datasets import make_random_field
    >>> from statkit.decomposition import SchrodingerPCA
    >>> from statkit.plotting import CorrelationDisplay
    >>> X = make_random_field(20, shape=(60,), correlation_length=3.0, random_state=0).data
    >>> display = CorrelationDisplay.from_estimator(SchrodingerPCA(3, random_state=0).fit(X))
    """

    def __init__(self, table: pd.DataFrame, label: str = "") -> None:
        self.table, self.label = table, label

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> CorrelationDisplay:
        """Draw the fit of a `SchrodingerPCA` whose correlation length was estimated.

        Parameters
        ----------
        estimator : SchrodingerPCA
        ax : matplotlib Axes, default=None

        Returns
        -------
        CorrelationDisplay
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator)
        if estimator.correlation_table_ is None or not len(estimator.correlation_table_):
            raise ValueError(
                "the correlation length of this model was not fitted to pairs of locations in space"
            )
        length = estimator.correlation_length_
        text = f"ℓ = {length:.4g}" if np.ndim(length) == 0 else "anisotropic ℓ"
        return cls(estimator.correlation_table_, f"{estimator.kernel_}, {text}").plot(ax=ax)

    @classmethod
    def from_fit(cls, fit: Any, *, ax: Any = None) -> CorrelationDisplay:
        """Draw what :func:`statkit.decomposition.estimate_correlation_length` returned.

        Parameters
        ----------
        fit : CorrelationFit
        ax : matplotlib Axes, default=None

        Returns
        -------
        CorrelationDisplay
        """
        if not len(fit.table):
            raise ValueError("this fit has no table of distances")
        text = f"ℓ = {fit.length:.4g} ± {fit.se:.2g}" if np.ndim(fit.length) == 0 else "anisotropic ℓ"
        return cls(fit.table, f"{fit.kernel}, {text}, nugget {100 * fit.nugget:.0f} %").plot(ax=ax)

    def plot(self, ax: Any = None) -> CorrelationDisplay:
        """Draw into ``ax``, or into a new figure."""
        ax = canvas(ax)
        table = self.table
        size = 12 + 60 * np.sqrt(table["n_pairs"] / table["n_pairs"].max())
        ax.axhline(0, color="0.8", linewidth=0.8)
        ax.scatter(
            table["distance"],
            table["correlation"],
            s=size,
            color=BLUE,
            label="samples, binned",
            zorder=2,
        )
        ax.plot(table["distance"], table["fitted"], color=VERMILION, label=self.label or "fit")
        ax.set(xlabel="distance", ylabel="correlation")
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class ScreeDisplay:
    """Shares of the variance by mode, with North's sampling errors: levels whose bars overlap are one level.

    Parameters
    ----------
    share, error : ndarray of shape (k,)

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from statkit.datasets import make_random_field
    >>> from statkit.decomposition import SchrodingerPCA
    >>> from statkit.plotting import ScreeDisplay
    >>> X = make_random_field(20, shape=(60,), correlation_length=3.0, random_state=0).data
    >>> display = ScreeDisplay.from_estimator(SchrodingerPCA(6, random_state=0).fit(X))
    """

    def __init__(self, share: ArrayLike, error: ArrayLike) -> None:
        self.share, self.error = np.asarray(share), np.asarray(error)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> ScreeDisplay:
        """Draw the spectrum of a fitted `SchrodingerPCA`.

        Parameters
        ----------
        estimator : SchrodingerPCA
        ax : matplotlib Axes, default=None

        Returns
        -------
        ScreeDisplay
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator)
        share = estimator.explained_variance_ratio_
        variance = estimator.explained_variance_
        scale = np.divide(share, variance, out=np.zeros_like(share), where=variance > 0)
        return cls(share, estimator.north_error_ * scale).plot(ax=ax)

    def plot(self, ax: Any = None) -> ScreeDisplay:
        """Draw into ``ax``, or into a new figure; the shares are in per cent."""
        ax = canvas(ax)
        number = np.arange(1, len(self.share) + 1)
        ax.errorbar(
            number,
            100 * self.share,
            yerr=100 * self.error,
            fmt="o",
            color=BLUE,
            ecolor=SKY,
            capsize=3,
        )
        ax.set(xlabel="mode", ylabel="variance explained (%)")
        ax.set_ylim(bottom=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        self.ax_, self.figure_ = ax, ax.figure
        return self
