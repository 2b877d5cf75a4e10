"""One record into its log: found again, mended, put in its place, linked to what is there. The index is the caller's."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256

from msgspec import Struct

from nokosu import records
from nokosu.records import Kind, Record
from nokosu.store import starts
from nokosu.store.sqlite import Connection


class Appended(Enum):
    """What became of a record that was appended."""

    NEW = "new"
    DUPLICATE = "duplicate"  # it was here already: peers echo, and reconcile fetches what a subscriber brought
    AHEAD = "ahead"  # new, and findable, but a record before it is missing: the vector waits
    BRANCH = "branch"  # new, and it shares its number with another record: the log was continued twice
    REFUSED = "refused"  # it may not enter: the caller was told why, or its device has begun too many logs (`starts`)


class Inserted(Struct, frozen=True):
    """What became of a new record, and its row; 0 where it was refused."""

    outcome: Appended
    n: int


class Held(Struct, frozen=True):
    """A row that holds a record already, as its bytes are now."""

    n: int
    hash: bytes
    header: bytes
    signature: bytes
    body: bytes | None
    memory: str


def held(connection: Connection, log: int, seq: int) -> list[Held]:
    """The rows with one number of a log: normally none or one."""
    rows = connection.rows(
        "SELECT n, CAST(hash AS BLOB), CAST(header AS BLOB), CAST(signature AS BLOB), CAST(body AS BLOB), memory "
        "FROM record WHERE log = ? AND seq = ?",
        (log, seq),
    )
    return [Held(*row) for row in rows]


def same(rows: list[Held], record: Record) -> Held | None:
    """The row that holds *record*, one of whose copies of what names it may be damaged."""
    return next((row for row in rows if row.hash == record.hash or row.header == record.header), None)


def mend(connection: Connection, row: Held, record: Record) -> bool:
    """Put back what is damaged in a row; whether anything was. *record* is whole: its hash and signature were checked."""
    body = row.body
    if body is not None and record.body is not None and sha256(body).digest() != record.core.body:
        body = record.body
    sound = Held(row.n, record.hash, record.header, record.signature, body, record.core.memory)
    if row == sound:
        return False
    connection.run(
        "UPDATE record SET hash = ?, header = ?, signature = ?, body = ?, memory = ? WHERE n = ?",
        (sound.hash, sound.header, sound.signature, sound.body, sound.memory, sound.n),
    )
    return True


def fill(connection: Connection, row: Held, record: Record) -> None:
    """Give a record the body that it came without."""
    connection.run("UPDATE record SET body = ? WHERE n = ?", (record.body, row.n))


def insert(connection: Connection, log: int, record: Record, *, cut: bool, seen_ms: int, shares: bool) -> Inserted:
    """Add a new record to its log. *cut*: it does not count; *shares*: another one has its number."""
    seq, prev = record.place.seq, record.place.prev
    linked = seq == 1 or _is_linked(connection, log, seq - 1, prev)
    if (seq == 1 or shares or not linked) and starts.is_surplus(connection, log, record, linked=linked):
        return Inserted(Appended.REFUSED, 0)
    connection.run(
        "INSERT INTO record (log, seq, linked, memory, hash, header, signature, body, cut) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            log, seq, linked, record.core.memory, record.hash, record.header, record.signature, record.body, cut,
        ),
    )  # fmt: skip
    n = connection.last_insert_rowid()
    if record.core.kind in (Kind.FORGET, Kind.PURGE):
        connection.run("INSERT OR IGNORE INTO first_seen (record, wall) VALUES (?, ?)", (record.id, seen_ms))
    if not linked:
        return Inserted(Appended.AHEAD, n)
    _move_head(connection, log, seq, prev, record.hash)
    _link_what_follows(connection, log, seq, record.hash)
    return Inserted(Appended.BRANCH if shares else Appended.NEW, n)


def count(connection: Connection, log: int, seq: int) -> int:
    """How many records with one number of a log are here."""
    row = connection.row("SELECT count(*) FROM record WHERE log = ? AND seq = ?", (log, seq))
    return int(row[0]) if row else 0


def _is_linked(connection: Connection, log: int, seq: int, hash: bytes) -> bool:
    row = connection.row("SELECT 1 FROM record WHERE log = ? AND seq = ? AND hash = ? AND linked", (log, seq, hash))
    return row is not None


def _link_what_follows(connection: Connection, log: int, seq: int, hash: bytes) -> None:
    """Records that waited for this one, and those that waited for them, are now held without a gap."""
    waiting = [(seq, hash)]
    while waiting:
        seq, hash = waiting.pop()
        rows = connection.rows(
            "SELECT n, hash, header, signature FROM record WHERE log = ? AND seq = ? AND NOT linked", (log, seq + 1)
        )
        for n, next_hash, header, signature in rows:
            if records.read(header, signature, None).place.prev == hash:
                connection.run("UPDATE record SET linked = 1 WHERE n = ?", (n,))
                _move_head(connection, log, seq + 1, hash, next_hash)
                waiting.append((seq + 1, next_hash))


def _move_head(connection: Connection, log: int, seq: int, prev: bytes, hash: bytes) -> None:
    """The end of a log moves on by one record; where the record before was no end, a branch begins."""
    if not _put_head(connection, log, seq, prev, hash):
        starts.begin(connection, log, seq, prev, hash)


def _put_head(connection: Connection, log: int, seq: int, prev: bytes, hash: bytes) -> bool:
    """Whether the record before was an end."""
    connection.run("DELETE FROM head WHERE log = ? AND seq = ? AND hash = ?", (log, seq - 1, prev))
    moved = connection.changes() > 0
    connection.run("INSERT INTO head (log, seq, hash) VALUES (?, ?, ?)", (log, seq, hash))
    return moved


def leads_to(connection: Connection, space: int, log: bytes, start: tuple[int, bytes], end: tuple[int, bytes]) -> bool:
    """Whether following the hashes from the record *start* (number and header hash) of a log leads down to *end*, both of
    which must be held without a gap before them.
    """
    return any(
        _is_linked(connection, n, *start) and _is_linked(connection, n, *end) and _leads_to(connection, n, start, end)
        for (n,) in connection.rows("SELECT n FROM log WHERE id = ? AND space = ?", (log, space))
    )


def _leads_to(connection: Connection, log: int, start: tuple[int, bytes], end: tuple[int, bytes]) -> bool:
    """A chain passes through each number at which only one record is linked; headers are read below the lowest of these."""
    row = connection.row(
        "SELECT seq, CAST(hash AS BLOB) FROM record WHERE log = ? AND linked AND seq BETWEEN ? AND ? "
        "GROUP BY seq HAVING count(*) = 1 ORDER BY seq LIMIT 1",
        (log, end[0], start[0]),
    )
    seq, hash = row if row is not None else start
    while seq > end[0]:
        rows = connection.rows(
            "SELECT CAST(header AS BLOB), CAST(hash AS BLOB) FROM record WHERE log = ? AND seq = ? AND linked",
            (log, seq),
        )
        header = next((header for header, at in rows if at == hash), None)
        if header is None:
            return False
        seq, hash = seq - 1, records.read(header, b"", None).place.prev
    return bool(hash == end[1])


def relink(connection: Connection) -> None:
    """Compute anew, from the records alone, what is held without a gap: `linked`, `head` and `start`."""
    connection.run("DELETE FROM head")
    for (log,) in connection.rows("SELECT n FROM log ORDER BY n"):
        ends: set[bytes] = set()
        before: set[bytes] = set()
        before_seq = 0
        rows = connection.rows(
            "SELECT n, seq, linked, hash, header, signature FROM record WHERE log = ? ORDER BY seq, n", (log,)
        )
        for n, seq, linked, hash, header, signature in rows:
            if seq != before_seq:
                before, before_seq = (ends if seq == before_seq + 1 else set()), seq
                ends = set()
            prev = records.read(header, signature, None).place.prev
            holds = seq == 1 or prev in before
            if holds:
                ends.add(hash)
                _put_head(connection, log, seq, prev, hash)
            if holds != bool(linked):
                connection.run("UPDATE record SET linked = ? WHERE n = ?", (holds, n))
        starts.find(connection, log)
