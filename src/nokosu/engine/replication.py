"""How Zenoh's replication is set: a constant of the whole network.

Two storages whose values differ in any of these ignore each other in silence, for Zenoh makes the name of their talk from
them. So they stand here alone, are never read from a file, and `FINGERPRINT` is compared in our own handshake.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

KEYS_VERSION: Final = 1  # of the layout of the keys; it stands in their root as well
INTERVAL_S: Final = 10.0  # how often digests are compared: the engine's own healing takes one to two of these
SUB_INTERVALS: Final = 5
HOT: Final = 6  # intervals compared in full: a minute
WARM: Final = 30  # intervals compared by their sum: five minutes; all that is older is compared as one
PROPAGATION_DELAY_MS: Final = 250  # what left a device this long ago has arrived; at most half of the interval


def fingerprint(interval_s: float = INTERVAL_S) -> str:
    """A name for all of these values together, for a network whose digests are compared every *interval_s*."""
    values = (KEYS_VERSION, interval_s, SUB_INTERVALS, HOT, WARM, PROPAGATION_DELAY_MS)
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


FINGERPRINT: Final = fingerprint()


def parameters(interval_s: float = INTERVAL_S) -> dict[str, Any]:
    """As the storage manager takes them."""
    return {
        "interval": interval_s,
        "sub_intervals": SUB_INTERVALS,
        "hot": HOT,
        "warm": WARM,
        "propagation_delay": PROPAGATION_DELAY_MS,
    }
