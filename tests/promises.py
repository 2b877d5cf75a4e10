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


PROMISES: Final[dict[str, Promise]] = {
    "saved-is-saved": Promise(
        "When a save returns, the memory survives a crash, a kill and a power cut of this machine.",
        (),
    ),
    "same-memories": Promise(
        "Devices that hold the same records show the same memories, in whatever order the records came.",
        (),
    ),
    "wrong-clocks": Promise(
        "A wrong clock never loses a memory and never turns cause and effect around.",
        (),
    ),
    "conflicts-kept": Promise(
        "Versions written at the same time on two devices are both kept; the next edit settles them.",
        (),
    ),
    "branches-kept": Promise(
        "A restored backup or a cloned disk loses nothing and mixes nothing up.",
        (),
    ),
    "newer-kept": Promise(
        "An older version of nokosu keeps and carries on what a newer one wrote.",
        (),
    ),
    "forged-refused": Promise(
        "Nothing enters the log that an admitted device has not signed.",
        (),
    ),
    "forgotten-stays": Promise(
        "What is forgotten stays forgotten, and can be restored for 30 days.",
        (),
    ),
    "purge-leaves-nothing": Promise(
        "A purged text is gone from the disk: from the log, the index, free pages and the WAL.",
        (),
    ),
    "search-is-the-log": Promise(
        "A search finds what the log says, and a rebuilt index answers the same.",
        (),
    ),
    "damage-is-named": Promise(
        "Damaged bytes are named and never served.",
        (),
    ),
    "saving-again-is-safe": Promise(
        "Saving the same text again in the same project changes nothing and says so.",
        (),
    ),
    "secrets-are-masked": Promise(
        "Well-known keys and tokens are masked before they are saved, and you are told.",
        (),
    ),
    "projects-follow": Promise(
        "A project is recognised across clones, worktrees, subfolders and renames.",
        (),
    ),
    "project-first": Promise(
        "A search shows the project you work in first, and at most 3 of 10 places go elsewhere, labelled.",
        (),
    ),
    "kept-apart": Promise(
        "A project that is to be kept apart is, in both directions.",
        (),
    ),
    "any-query-is-text": Promise(
        "Whatever you type is searched for as text; no query is an error of syntax.",
        (),
    ),
    "relevance-first": Promise(
        "Relevance comes before importance and recency.",
        (),
    ),
    "reads-write-nothing": Promise(
        "Searching and reading write nothing.",
        (),
    ),
    "answers-tell-the-truth": Promise(
        "Every answer says how many of how many it shows, and what it withheld and why.",
        (),
    ),
    "doctor-names-the-fault": Promise(
        "doctor is green on a healthy install, and names each fault with the next command to type.",
        (),
    ),
    "export-is-complete": Promise(
        "An export holds every memory that is not purged.",
        (),
    ),
}


def promise(id: str) -> pytest.MarkDecorator:
    """Mark a test that one of `PROMISES` names."""
    if id not in PROMISES:
        raise KeyError(f"no promise {id!r} in tests/promises.py")
    return pytest.mark.promise(id)
