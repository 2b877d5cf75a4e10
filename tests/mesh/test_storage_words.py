"""How far a storage is, in words."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from nokosu.mesh import storage_words
from nokosu.testing import DAY_MS, NEW_YEAR_MS

NAS = {"zid": "4f001122334455", "name": "nas", "own": False, "problem": "", "pending": 0}
HERE = {"reachable": True, "seen_ms": NEW_YEAR_MS}
AWAY = {"reachable": False, "seen_ms": NEW_YEAR_MS}


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ({**HERE, "lacking": 0}, "hub nas has everything"),
        ({**HERE, "lacking": 1200}, "1,200 not yet on hub nas"),
        ({**HERE, "lacking": None}, "hub nas is connected, and being compared"),
        ({**AWAY, "lacking": 0}, "hub nas had everything, last seen Thursday"),
        ({**AWAY, "lacking": 12}, "12 not yet on hub nas, last seen Thursday"),
        ({**AWAY, "lacking": None, "seen_ms": None}, "hub nas is not reached, never seen"),
        ({**HERE, "lacking": 0, "own": True}, "this device's zenohd has everything"),
        ({**HERE, "lacking": 0, "name": ""}, "zenohd 4f001122 has everything"),
        ({**HERE, "lacking": 0, "pending": 2}, "hub nas has everything; 2 purged there may still have their text"),
        ({**HERE, "lacking": 0, "problem": "it is odd"}, "hub nas has everything; it is odd"),
    ],
)
def test_a_storage_is_told_on_one_line(storage: dict[str, Any], words: str) -> None:
    assert storage_words.told({**NAS, **storage}, NEW_YEAR_MS + DAY_MS, UTC) == words
