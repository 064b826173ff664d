"""Methods that need a matrix over all pairs of samples say so before they ask for the memory."""

from __future__ import annotations

import os
import warnings

LINEAR = "OneStepMultiViewClustering, MultiViewKMeans and AnchorMultiViewClustering are linear in the samples"


def available_bytes() -> int | None:
    """Memory that is free to use, in bytes; None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def require(n_bytes: int, what: str) -> None:
    """Raise ``MemoryError`` if ``n_bytes`` are not there; warn if they are more than a quarter of what is."""
    free = available_bytes()
    if free is None or n_bytes <= 0.25 * free:
        return
    told = f"{what} needs {n_bytes / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are available"
    if n_bytes > free:
        raise MemoryError(f"{told}. {LINEAR}.")
    warnings.warn(f"{told}. {LINEAR}.", ResourceWarning, stacklevel=2)
