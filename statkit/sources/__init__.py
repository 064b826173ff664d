"""Where the rows are: arrays, data frames, files, streams, clusters; as partitions of numbered raw rows.

A source knows nothing of statistics. It lists small picklable partitions, and a worker reads one by itself.
"""

from statkit._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
