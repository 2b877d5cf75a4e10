"""What nokosu promises its users, and the tests that hold it to that.

Each promise names its tests; a test that belongs to one may say so with `@promise("id")`. `tests/test_promises.py` fails
for a promise without a test, for a test that is named and does not exist, and for a mark that no promise knows of.
"""

from __future__ import annotations

from typing import Final

import pytest
from msgspec import Struct


class Promise(Struct, frozen=True):
    """A sentence of the README or the design, and its tests, as `file::test` below this folder."""

    words: str
    tests: tuple[str, ...]


PROMISES: Final[dict[str, Promise]] = {}


def promise(id: str) -> pytest.MarkDecorator:
    """Mark a test that one of `PROMISES` names."""
    if id not in PROMISES:
        raise KeyError(f"no promise {id!r} in tests/promises.py")
    return pytest.mark.promise(id)
