"""What a model is given of a memory. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from nokosu import limits


def of_note(subject: str, text: str, tags: Sequence[str]) -> str:
    """Subject, text and tags. A long text is cut: what it is about stands at its beginning, and the models read no more at a time."""
    begin, end = f"{subject}. " if subject else "", f" {' '.join(tags)}" if tags else ""
    room = max(limits.EMBEDDED_BYTES_MAX - len(f"{begin}{end}".encode()), 0)
    whole = f"{begin}{text.encode()[:room].decode(errors='ignore')}{end}"
    return whole.encode()[: limits.EMBEDDED_BYTES_MAX].decode(errors="ignore")
