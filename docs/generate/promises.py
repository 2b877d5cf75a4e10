"""The table of promises in the README: the most telling ones of `tests/promises.py`, and the tests that hold us to them."""

from __future__ import annotations

from typing import Final

from tests.promises import PROMISES

SHOWN: Final = (
    "saved-is-saved", "machines-agree", "never-waits-for-a-network", "strangers-stay-out",
    "saving-again-is-safe", "reads-write-nothing", "damage-is-named", "purge-leaves-nothing", "secrets-are-masked",
    "any-query-is-text", "project-first", "few-rather-than-noise", "a-question-may-name-a-time", "brief-keeps-its-budget",
    "projects-follow", "answers-tell-the-truth",
)  # fmt: skip
_FILES_MAX: Final = 2


def write() -> str:
    """The table; a promise that has no test yet says so by an empty cell."""
    rows = [f"| {PROMISES[id].words} | {_files(PROMISES[id].tests)} |" for id in SHOWN]
    return "\n".join(["| promise | shown by |", "|---|---|", *rows])


def _files(tests: tuple[str, ...]) -> str:
    """The files of the tests, each once."""
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    return ", ".join(f"[{file.rpartition('/')[2]}](tests/{file})" for file in files[:_FILES_MAX])
