"""From words to content: secrets masked, a draft or an edit made into the snapshot that a record holds. Pure."""

from __future__ import annotations

from msgspec import Struct

from nokosu import limits, times
from nokosu.drafts import Change, Draft
from nokosu.filing import Filed
from nokosu.memory import Finding
from nokosu.records import Content
from nokosu.security.redaction import redact


class Words(Struct, frozen=True):
    """The words of a save or edit without the secrets in them, and what those were; None where nothing was given."""

    text: str | None
    subject: str | None
    tags: tuple[str, ...] | None
    refs: tuple[str, ...] | None
    findings: tuple[Finding, ...]


class Prepared(Struct, frozen=True):
    """A memory that is ready to be saved: its content, where it is filed, and what was masked in it."""

    content: Content
    filed: Filed
    findings: tuple[Finding, ...]


def prepared(draft: Draft, filed: Filed) -> Prepared:
    """The content of a new memory."""
    words = masked(draft)
    content = Content(
        text=words.text or "",
        subject=words.subject or "",
        type=draft.type,
        project=filed.name,
        tags=words.tags or (),
        refs=words.refs or (),
        importance=draft.importance,
        supersedes=draft.supersedes,
        expires=_expires(draft.expires),
        source=draft.source,
    )
    return Prepared(content, filed, words.findings)


def masked(given: Draft | Change) -> Words:
    """The words of a save or edit without the secrets in them, and what those were."""
    findings: list[Finding] = []

    def mask(words: str) -> str:
        redacted = redact(words)
        findings.extend(redacted.findings)
        return redacted.text

    return Words(
        None if given.text is None else mask(given.text),
        None if given.subject is None else mask(given.subject)[: limits.SUBJECT_CHARS_MAX],
        None if given.tags is None else tuple(mask(tag)[: limits.TAG_CHARS_MAX] for tag in given.tags),
        None if given.refs is None else tuple(mask(ref)[: limits.REF_CHARS_MAX] for ref in given.refs),
        tuple(findings),
    )


def edited(old: Content, change: Change, words: Words, project: str | None) -> Content:
    """The content after *change*; an empty string or an importance of 0 takes a value away."""
    return Content(
        text=old.text if words.text is None else words.text,
        subject=old.subject if words.subject is None else words.subject,
        type=old.type if change.type is None else change.type or Content(text="").type,
        project=old.project if project is None else project,
        tags=old.tags if words.tags is None else words.tags,
        refs=old.refs if words.refs is None else words.refs,
        importance=old.importance if change.importance is None else change.importance or None,
        supersedes=old.supersedes if change.supersedes is None else change.supersedes,
        expires=old.expires if change.expires is None else _expires(change.expires),
        source=old.source,
    )


def _expires(text: str | None) -> int | None:
    return times.parse(text, field="expires", end_of_day=True) if text else None
