"""Filter tokens: what a search can be narrowed to inside the full-text index, before anything is ranked.

A token is 19 digits, so that no stemmer touches it: one for the kind of filter, 18 from a hash of its value. The
`scope` column holds them; it weighs nothing in the ranking.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256

_KINDS = {"space": 1, "project": 2, "type": 3, "agent": 4, "device": 5, "tag": 6}


@lru_cache(maxsize=1024)  # the space, the device and the type are those of the memory before, most of the time
def token(kind: str, value: bytes | str | int) -> str:
    """The token for one value of a filter; names are compared without regard to case."""
    text = value.hex() if isinstance(value, bytes) else str(value).casefold()
    return f"{_KINDS[kind]}{int.from_bytes(sha256(text.encode()).digest()[:8], 'big') % 10**18:018d}"


def tokens(*, space: int, project: int | None, type: str, agent: str, device: bytes, tags: Iterable[str]) -> str:
    """The `scope` column of a memory."""
    found = [token("space", space), token("type", type), token("device", device)]
    if project is not None:
        found.append(token("project", project))
    if agent:
        found.append(token("agent", agent))
    found += [token("tag", tag) for tag in tags]
    return " ".join(found)


def expression(*groups: Iterable[str]) -> str:
    """The FTS5 expression for: of each group of tokens, at least one. Empty groups are left out; empty without any.

    No column is named: nobody's text holds such a number by chance, and the filter would cost time.
    """
    parts = [" OR ".join(f'"{token}"' for token in group) for group in groups]
    return " AND ".join(f"({part})" for part in parts if part)
