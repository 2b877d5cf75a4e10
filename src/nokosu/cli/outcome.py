"""What became of a save, edit, forget or restore: the id on stdout, the rest beside it."""

from __future__ import annotations

from nokosu.cli import documents, output
from nokosu.memory import Saved


def write(saved: Saved, *, as_json: bool, effect: str = "", hint: str = "") -> None:
    """Print the id alone, or all as JSON; then, on stderr, what was masked, the notes, where it has taken *effect*, and a
    *hint* for the person.
    """
    if as_json:
        documents.write(saved)
        return
    output.line(saved.id)
    if saved.redacted:
        masked = ", ".join(f"{finding.count} {finding.rule}" for finding in saved.redacted)
        output.note(f"Note: masked {masked}")
    for text in (*saved.notes, *([effect] if effect else [])):
        output.note(f"Note: {text}")
    if hint:
        output.note(hint)
