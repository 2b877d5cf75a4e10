"""What is the same on every host, worked out once: for runs in which five hosts look at the same record each, many times.

Each of these functions is pure: the same bytes give the same answer. The first time it is worked out for real, and what is
refused is refused each time; only an answer that was given before, to the very same question, is taken from memory. So what
is forged is refused as ever, and a run costs half.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from nokosu import records
from nokosu.identity import keys
from nokosu.search import text

_KEPT: Final = 4096


@contextmanager
def remembered() -> Iterator[None]:
    """While this lasts, a signature that was found good or bad is not checked again in this process, a record that could be
    read is not read again, and the words of a text are not looked for again.
    """
    verifies, read, indexed = keys.verifies, records.read, text.indexed
    keys.verifies, records.read = lru_cache(_KEPT)(verifies), lru_cache(_KEPT)(read)
    text.indexed = lru_cache(_KEPT)(indexed)
    try:
        yield
    finally:
        keys.verifies, records.read, text.indexed = verifies, read, indexed
