"""`python -m bench.recall.centres`: make `nokosu/semantic/centres.bin`, the mean vector of each language.

Of English and Japanese: the notes and questions of the development half, by the real model. Of each other language: the mean of
English, moved by how far `data/parallel.json`, which says the same in each, lies apart in the two.
"""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from bench.recall import sets
from nokosu.semantic import centres, language, models
from nokosu.semantic.known import MULTILINGUAL
from nokosu.semantic.texts import of_note

_MEASURED: Final = ("en", "ja")


def main() -> int:
    """Write the file."""
    model = models.load(MULTILINGUAL)
    parallel = json.loads((sets.HERE / "parallel.json").read_text(encoding="utf-8"))
    found = sets.agent_notes(sets.AGENT_NOTES)
    assert found is not None
    development = sets.halves(found)[0]
    split = json.loads((sets.HERE / "split.json").read_text())["agent-notes"][sets.DEVELOPMENT]
    notes = [
        of_note(note.draft.subject, note.draft.text, note.draft.tags)
        for note in found.notes
        if note.draft.project in split
    ]
    questions = [question.text for question in development.questions]
    rows = [
        _means(texts, parallel[kind], read)
        for kind, texts, read in (("notes", notes, model.of_note), ("questions", questions, model.of_question))
    ]
    values = [row[name] for name in centres.LANGUAGES for row in rows]
    centres.FILE.write_bytes(np.stack(values).astype("<f2").tobytes())
    return 0


def _means(texts: list[str], parallel: dict[str, list[str]], read: Any) -> dict[str, Any]:
    own = {name: np.mean([read(text) for text in texts if language.of(text) == name], axis=0) for name in _MEASURED}
    apart = {name: np.mean([read(text) for text in parallel[name]], axis=0) for name in parallel}
    others = {name: own["en"] + apart[name] - apart["en"] for name in parallel if name not in own}
    return {**others, **own}


if __name__ == "__main__":
    raise SystemExit(main())
