"""Display classes; matplotlib is imported when one is drawn."""

from statkit._lazy import lazy_names

_WHERE = {
    "MembershipDisplay": "statkit.plotting.pac",
    "PathDisplay": "statkit.plotting.pac",
}

__all__ = list(_WHERE)

__getattr__, __dir__ = lazy_names(__name__, _WHERE)
