"""From rows and records to what a person or an agent sees: `Memory` and `Hit`."""

from __future__ import annotations

import msgspec

from nokosu import times
from nokosu.fold import State, Status, Version
from nokosu.memory import Event, Hit, Memory, Snapshot
from nokosu.records import Content, Record
from nokosu.search.ranking import Ranked
from nokosu.security.display import suspicious
from nokosu.store import reading
from nokosu.store.index import counted_records
from nokosu.store.reading import MemoryRow, Shown
from nokosu.store.sqlite import Connection

SUBJECT_CHARS_SHOWN = 120
REMOVED = "removed"  # the status of what counts nowhere, because its device was removed from the space before
STATUS_NAMES = {
    Status.LIVE: "live",
    Status.FORGOTTEN: "forgotten",
    Status.PURGED: "purged",
    Status.UNKNOWN: "unknown",
    Status.DAMAGED: "damaged",
}


def subject_of(content: Content) -> str:
    """The subject, or the first line of the text that says something."""
    if content.subject:
        return content.subject
    first = next((line.strip() for line in content.text.splitlines() if line.strip()), "")
    return first if len(first) <= SUBJECT_CHARS_SHOWN else first[: SUBJECT_CHARS_SHOWN - 1] + "…"


def hit(ranked: Ranked, shown: Shown, now_ms: int) -> Hit:
    """A hit with its text."""
    row, author, content = ranked.row, shown.author, shown.content
    return Hit(
        id=row.id,
        subject=subject_of(content),
        text=content.text,
        type=content.type,
        project=row.project_name,
        tags=content.tags,
        created=times.format_ms(row.created or 0),
        agent=author.agent,
        device=row.device_name,
        score=float(f"{ranked.score:.4g}"),
        updated=times.format_ms(row.updated or 0) if row.updated != row.created else None,
        session=author.session,
        importance=content.importance,
        expires=None if content.expires is None else times.format_ms(content.expires),
        superseded_by=ranked.superseded_by,
        supersedes=content.supersedes,
        space=row.space_name,
        status=STATUS_NAMES[Status(row.status)],
        elsewhere=ranked.elsewhere,
        matched=ranked.matched,
        meaning=ranked.by_meaning,
        weak=ranked.weak,
        in_place_of=ranked.in_place_of,
        expired=reading.is_expired(row, now_ms),
        in_conflict=bool(row.conflict),
        suspicious=suspicious(content.text),
    )


def memory(connection: Connection, row: MemoryRow, now_ms: int, *, history: bool, with_forgotten: bool) -> Memory:
    """A memory with all its fields; the text of a forgotten one only *with_forgotten*.

    Raises:
        StoreDamaged: one of its records is not what was written.
    """
    return _memory(
        connection, row, reading.state_of(connection, row), now_ms, history=history, with_forgotten=with_forgotten
    )


def removed(connection: Connection, one: reading.Removed, now_ms: int) -> Memory:
    """A memory that only this device shows, because it wrote it after it was removed from the space."""
    assert one.state.created is not None
    assert one.state.shown is not None
    created, updated = one.state.created.core.wall, one.state.shown.record.core.wall
    row = msgspec.structs.replace(one.row, created=created, updated=updated)
    shown = _memory(connection, row, one.state, now_ms, history=False, with_forgotten=True)
    return msgspec.structs.replace(shown, status=REMOVED)


def _memory(
    connection: Connection, row: MemoryRow, state: State, now_ms: int, *, history: bool, with_forgotten: bool
) -> Memory:
    shown = state.shown
    with_text = state.status == Status.LIVE or (state.status == Status.FORGOTTEN and with_forgotten)
    content = shown.content if shown is not None and with_text else Content(text="")
    record = shown.record if shown is not None else state.created
    newer = reading.hidden_by(connection, row, now_ms)
    author = record.core.author if record is not None else None
    return Memory(
        id=row.id,
        subject=subject_of(content),
        text=content.text,
        type=content.type if with_text else "",
        project=row.project_name,
        tags=content.tags,
        refs=content.refs,
        importance=content.importance,
        supersedes=content.supersedes,
        superseded_by=newer.id if newer is not None else None,
        expires=None if content.expires is None else times.format_ms(content.expires),
        expired=reading.is_expired(row, now_ms),
        source=content.source,
        created=times.format_ms(row.created or 0),
        updated=times.format_ms(row.updated or row.created or 0),
        agent=author.agent if author else "",
        client=author.client if author else "",
        session=author.session if author else "",
        model=author.model if author else "",
        host=author.host if author else "",
        device=row.device_name or (_device_name(connection, record.core.device) if record else ""),
        space=row.space_name,
        status=STATUS_NAMES[state.status],
        in_conflict=state.in_conflict,
        versions=tuple(_snapshot(connection, version) for version in state.versions)
        if state.in_conflict and with_text
        else (),
        history=_history(connection, row, with_text=with_text) if history else (),
    )


def _snapshot(connection: Connection, version: Version) -> Snapshot:
    core = version.record.core
    return Snapshot(
        subject=subject_of(version.content),
        text=version.content.text,
        time=times.format_ms(core.wall),
        agent=core.author.agent,
        device=_device_name(connection, core.device),
    )


def _history(connection: Connection, row: MemoryRow, *, with_text: bool) -> tuple[Event, ...]:
    found = {record.id: record for record in counted_records(connection, row.space, row.id) or ()}
    ordered = sorted(found.values(), key=lambda record: (record.core.hlc, record.id))
    return tuple(_event(connection, record, with_text=with_text) for record in ordered)


def _event(connection: Connection, record: Record, *, with_text: bool) -> Event:
    content = record.content() if with_text else None
    return Event(
        kind=record.core.kind,
        time=times.format_ms(record.core.wall),
        agent=record.core.author.agent,
        device=_device_name(connection, record.core.device),
        session=record.core.author.session,
        text=content.text if content is not None else None,
    )


def _device_name(connection: Connection, id: bytes) -> str:
    row = connection.row("SELECT name FROM device WHERE id = ?", (id,))
    return str(row[0]) if row else ""
