"""A labelled set among many more notes: is a memory still found in a store that has grown?

What is put beside the notes is what people wrote about other code: docstrings of Python's own standard library, as it is on this
machine. They are spread over the set's projects and over its time, so a question within a project meets its share of them. Another
Python has other docstrings, so these figures repeat with the same one only.
"""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from bench.recall.sets import Labelled, Note
from nokosu.drafts import Draft

_CHARS: Final = range(120, 900)  # of a docstring that could be a note
_LEFT_OUT: Final = frozenset({"test", "tests", "idlelib", "lib2to3", "site-packages", "turtledemo"})


def crowded(labelled: Labelled, count: int) -> Labelled:
    """The same questions to the same notes among *count* others.

    Raises:
        ValueError: this Python has not as many docstrings.
    """
    others = tuple(islice(_others(labelled), count))
    if len(others) < count:
        raise ValueError(f"the standard library of this Python has {len(others)} docstrings, fewer than {count}")
    first, last = (most(note.created_ms for note in labelled.notes) for most in (min, max))
    spread = tuple(
        replace(note, created_ms=first + (last - first) * at // max(count, 1)) for at, note in enumerate(others)
    )
    return replace(labelled, name=f"{labelled.name}, among {count:,} others", notes=(*labelled.notes, *spread))


def _others(labelled: Labelled) -> Iterator[Note]:
    projects = cycle(sorted({note.draft.project or "" for note in labelled.notes}))
    seen: set[str] = set()
    for name, text in _docstrings(Path(sysconfig.get_path("stdlib"))):
        if text not in seen and len(text) in _CHARS:
            seen.add(text)
            key = f"other{len(seen)}"
            yield Note(key, key, Draft(text=text, subject=name, project=next(projects)), 0)


def _docstrings(library: Path) -> Iterator[tuple[str, str]]:
    """What each function and class is called, and what is said of it, in the order of the files."""
    for path in sorted(library.rglob("*.py")):
        if _LEFT_OUT & set(path.relative_to(library).parts):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except SyntaxError:
            continue  # some files there are wrong on purpose
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and (
                said := ast.get_docstring(node)
            ):
                yield f"{path.stem}.{node.name}", said
