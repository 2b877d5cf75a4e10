"""Stores for the fault tests: where they lie, what is saved in them, and whether all of it is there."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from nokosu.config import Config
from nokosu.drafts import Draft, Query
from nokosu.nokosu import Nokosu
from nokosu.records import Author, read
from nokosu.store.connection import Database

_FILLER = [
    "the",
    "deploy",
    "of",
    "the",
    "search",
    "service",
    "waits",
    "for",
    "a",
    "schema",
    "change",
    "on",
    "the",
    "staging",
    "database",
    "before",
    "midnight",
]
_DIGITS = str.maketrans("0123456789", "ghijklmnop")

Seen = Mapping[str, tuple[str, str]]
"""What a store shows: id to status and text, of every memory that is not purged."""


def config(home: Path) -> Config:
    """The store of *home*, for a caller who works in no project."""
    return Config(home=home, author=Author(agent="tester", host="here"), user_home=home)


def open_store(home: Path) -> Nokosu:
    return Nokosu(config(home))


def copy_home(home: Path, target: Path) -> Path:
    """A closed store, copied: what a test starts from when making one would take most of its time."""
    return Path(shutil.copytree(home, target))


def token(name: object) -> str:
    """A word that only the text of that name holds, of letters that nothing splits and no stemmer shortens."""
    return f"q{str(name).encode().hex().translate(_DIGITS)}q"


def note(name: object, rng: random.Random | None = None, words: int = 12) -> Draft:
    """A memory that is found by `token(name)` alone; *rng* makes its length and wording differ."""
    filler = rng.choices(_FILLER, k=rng.randint(1, words * 2)) if rng else _FILLER[:words]
    return Draft(text=f"{token(name)} " + " ".join(filler))


def seen(memory: Nokosu) -> dict[str, tuple[str, str]]:
    return {one.id: (one.status, one.text) for one in memory.memories()}


def assert_verified(memory: Nokosu) -> None:
    """Every record is what was signed, and the index is what the log says."""
    assert memory.verify().problems == ()


def assert_found(memory: Nokosu, ids: Iterable[str], expected: Seen) -> None:
    """Each of *ids* is found by get with its whole text, and by the words of it that no other text holds."""
    for id in ids:
        status, text = expected[id]
        found = memory.get(id, with_forgotten=True)
        assert (found.status, found.text) == (status, text)
        hits = [hit.id for hit in memory.search(Query(text=text.split()[0])).hits]
        assert hits == ([id] if status == "live" else []), f"searched for {text.split()[0]}"


def assert_every_text_once(memory: Nokosu, texts: Iterable[str]) -> None:
    """The store holds these texts, each once, and no other."""
    assert sorted(one.text for one in memory.memories()) == sorted(texts)


def assert_chained(home: Path) -> None:
    """In each log the numbers have no gap, times rise strictly, and each record names the one before."""
    database = Database(config(home).database)
    logs: dict[int, list[tuple[int, bytes, bytes]]] = {}
    for log, seq, header, signature in database.rows(
        "SELECT log, seq, header, signature FROM record ORDER BY log, seq"
    ):
        logs.setdefault(log, []).append((seq, header, signature))
    database.close()
    for found in logs.values():
        assert [seq for seq, _, _ in found] == list(range(1, len(found) + 1))
        for before, after in pairwise(read(header, signature, None) for _, header, signature in found):
            assert after.core.hlc > before.core.hlc
            assert after.place.prev == before.hash


@contextmanager
def naming(variant: str) -> Iterator[None]:
    """A failure inside names the variant of the test that it happened in."""
    try:
        yield
    except Exception as error:
        error.add_note(variant)
        raise
