"""Which records count: the roster folded from its records, and members, secrets and `record.cut` made to agree with it.

A record that does not count (`cut`) stays in its log, so that equal logs stay equal; the index leaves it out. Where a
change of the roster touches more memories than one transaction should fold anew, the rest follows in the next ones:
`space.unsettled` says so until `settle` has nothing left to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from nokosu import ids, limits, records
from nokosu.errors import RecordRefused
from nokosu.identity import boxes
from nokosu.identity.secrets import key_id
from nokosu.records import ROSTER_KINDS, Cut, Record, Rekeying
from nokosu.store import roster, roster_fold
from nokosu.store.index import STRINGS, Index
from nokosu.store.roster import Secret, Space
from nokosu.store.roster_fold import Roster, Standing
from nokosu.store.sqlite import Connection


class Change(Struct, frozen=True):
    """A record that begins or ends to count: `cut` is what it is to be."""

    n: int
    cut: bool
    memory: str


def roster_records(connection: Connection, space: int) -> list[Record] | None:
    """The `admit`, `revoke`, `rekey` and `hub` records of a space, in the order they came.

    None when one of them is not what was written: the roster must not be taken from what is left.
    """
    rows = connection.rows(
        f"SELECT {STRINGS}, record.hash FROM record JOIN log ON log.n = record.log "
        "WHERE record.memory = '' AND log.space = ? ORDER BY record.n",
        (space,),
    )
    try:
        found = [records.read(header, signature, body) for header, signature, body, _ in rows]
    except RecordRefused:
        return None
    whole = all(
        record.hash == row[3] and (record.body is None or record.body_is_whole())
        for record, row in zip(found, rows, strict=True)
    )
    return [record for record in found if record.core.kind in ROSTER_KINDS] if whole else None


def roster_of(connection: Connection, space: Space) -> Roster | None:
    """The roster of a space, folded from its records; None when one of them is damaged."""
    found = roster_records(connection, space.n)
    if found is None:
        return None
    chains = _Chains(connection, space.n)
    return roster_fold.fold(roster.founder(connection, space), found, chains.below, chains.open_ends)


def settle(connection: Connection, index: Index, space: Space, *, most: int = limits.SETTLED_AT_ONCE_MAX) -> bool:
    """Make members, secrets and what counts agree with the roster's records, and fold anew the memories that this touches,
    at most *most* of them; whether some are left for the next transaction.
    """
    folded = roster_of(connection, space)
    if folded is None:
        return False  # who counts stays as it is until the damaged record is mended
    coming = _of_strangers(connection, space, folded)
    index.remove(connection, space.n, coming)
    put_members(connection, space, folded)
    _put_secrets(connection, space, folded)
    index.add(connection, space.n, coming)
    touched: dict[str, list[Change]] = defaultdict(list)
    for change in changes(connection, space, folded):
        touched[change.memory].append(change)
    now = list(touched)[:most]
    index.remove(connection, space.n, filter(None, now))
    put_cuts(connection, [change for memory in now for change in touched[memory]])
    index.add(connection, space.n, filter(None, now))
    is_left = len(touched) > len(now)
    connection.run("UPDATE space SET unsettled = ?1 WHERE n = ?2 AND unsettled <> ?1", (is_left, space.n))
    return is_left


def postpone(connection: Connection, space: Space) -> None:
    """Have the next `settle` of all spaces fold the roster of this one."""
    connection.run("UPDATE space SET unsettled = 1 WHERE n = ? AND NOT unsettled", (space.n,))


def recount(connection: Connection) -> None:
    """Compute anew, from the records alone, who belongs to each space and what counts; the index is made anew afterwards."""
    for space in roster.spaces(connection):
        folded = roster_of(connection, space)
        if folded is not None:
            put_members(connection, space, folded)
            _put_secrets(connection, space, folded)
            put_cuts(connection, changes(connection, space, folded))
            connection.run("UPDATE space SET unsettled = 0 WHERE n = ?", (space.n,))


def changes(connection: Connection, space: Space, folded: Roster) -> list[Change]:
    """Records whose `cut` is not as the roster says; those that are to count no more come first."""
    found: list[Change] = []
    logs = connection.rows(
        "SELECT log.n, device.id FROM log JOIN device ON device.n = log.device WHERE log.space = ?", (space.n,)
    )
    for log, id in logs:  # and not by device: those that never wrote anything cost nothing
        standing = folded.devices.get(id)
        if standing is None:
            continue
        wanted = "" if standing.counts is not None else "AND cut"
        rows = connection.rows(
            f"SELECT n, CAST(hash AS BLOB), cut, memory FROM record WHERE log = ? {wanted} ORDER BY n", (log,)
        )
        for n, hash, cut, memory in rows:
            is_cut = standing.counts is not None and hash not in standing.counts
            if is_cut != bool(cut):
                found.append(Change(n, is_cut, memory))
    return sorted(found, key=lambda change: (not change.cut, change.n))


def put_cuts(connection: Connection, changed: Iterable[Change]) -> None:
    """Set `cut`; the index is the caller's."""
    for change in changed:
        connection.run("UPDATE record SET cut = ? WHERE n = ?", (change.cut, change.n))


def put_members(connection: Connection, space: Space, folded: Roster) -> None:
    """Make the table of members what the roster says."""
    there = {
        id: n for n, id in connection.rows("SELECT device.n, device.id FROM member JOIN device ON device.n = member.device "
                                           "WHERE member.space = ?", (space.n,))
    }  # fmt: skip
    for id in there.keys() - folded.devices.keys():
        connection.run("DELETE FROM member WHERE space = ? AND device = ?", (space.n, there[id]))
    connection.run("DELETE FROM cut_end WHERE space = ?", (space.n,))
    for id, standing in folded.devices.items():
        device = roster.device_with(connection, id)
        if device is None:
            device = roster.add_device(connection, standing.public_key, ids.grouped(id)[:9])
        _put_member(connection, space, device.n, standing)
        connection.run(
            "UPDATE device SET name = coalesce((SELECT member.name FROM space CROSS JOIN member ON member.space = space.n "
            "WHERE member.device = device.n AND member.name <> '' ORDER BY named DESC, member.name LIMIT 1), name) WHERE n = ?",
            (device.n,),
        )
        for hash in standing.ends:
            connection.run("INSERT OR IGNORE INTO cut_end (space, hash) VALUES (?, ?)", (space.n, hash))


def members_due(folded: Roster) -> dict[bytes, tuple[object, ...]]:
    """What the table of members is to say of each device."""
    return {id: _member_values(standing) for id, standing in folded.devices.items()}


def members_there(connection: Connection, space: Space) -> dict[bytes, tuple[object, ...]]:
    """What the table of members says of each device."""
    rows = connection.rows(
        f"SELECT device.id, {_MEMBER_COLUMNS} FROM member JOIN device ON device.n = member.device WHERE member.space = ?",
        (space.n,),
    )
    return {id: tuple(values) for id, *values in rows}


_MEMBER_COLUMNS: Final = "member.revoked, member.name, member.named, member.box_key, member.admitted"


def _member_values(standing: Standing) -> tuple[object, ...]:
    return (int(standing.revoked), standing.name, standing.named, standing.box_key, standing.admitted_ms)


def _put_member(connection: Connection, space: Space, device: int, standing: Standing) -> None:
    connection.run(
        "INSERT OR REPLACE INTO member (space, device, revoked, name, named, box_key, admitted) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (space.n, device, *_member_values(standing)),
    )


def _of_strangers(connection: Connection, space: Space, folded: Roster) -> list[str]:
    """Memories with records of devices that the table of members lacks, or has too many."""
    there = {id for (id,) in connection.rows(
        "SELECT device.id FROM member JOIN device ON device.n = member.device WHERE member.space = ?", (space.n,)
    )}  # fmt: skip
    found: set[str] = set()
    for id in there ^ folded.devices.keys():
        rows = connection.rows(
            "SELECT DISTINCT record.memory FROM device JOIN log ON log.device = device.n JOIN record ON record.log = log.n "
            "WHERE device.id = ? AND log.space = ? AND record.memory <> ''",
            (id, space.n),
        )
        found.update(memory for (memory,) in rows)
    return sorted(found)


def _put_secrets(connection: Connection, space: Space, folded: Roster) -> None:
    """Open what was sealed to us, and say which of the secrets we know is current."""
    known = {secret.key_id: secret for secret in roster.secrets(connection, space)}
    connection.run("UPDATE secret SET counts = 0 WHERE space = ? AND epoch > 0", (space.n,))
    for record in reversed(folded.rekeys):  # the greatest last: of two that name one secret it stays
        content = record.roster()
        assert isinstance(content, Rekeying)
        secret = known.get(content.key_id) or _opened(connection, space, content)
        if secret is None or secret.epoch == 0:  # nobody makes the founding secret the current one again
            continue
        roster.keep_secret(connection, space, secret)
        connection.run(
            "UPDATE secret SET epoch = ?, hlc = ?, record = ?, counts = 1 WHERE space = ? AND key_id = ?",
            (content.epoch, record.core.hlc, record.id, space.n, content.key_id),
        )


def box_purpose(space: bytes, key_id: bytes, device: bytes) -> bytes:
    """What the box of a `rekey` is for: it opens for no other space, secret or device."""
    return space + key_id + device


def _opened(connection: Connection, space: Space, content: Rekeying) -> Secret | None:
    own = roster.own_device(connection)
    box = dict(content.boxes).get(own.id)
    if box is None:
        return None
    private = roster.box_private_key(connection)
    secret = boxes.open_box(box, private, purpose=box_purpose(space.id, content.key_id, own.id))
    if secret is None or len(secret) != roster.SECRET_BYTES or key_id(secret) != content.key_id:
        return None
    return Secret(content.key_id, content.epoch, secret)


class _Row(Struct, frozen=True):
    n: int
    hash: bytes
    linked: int


class _Chains:
    """The chains of the devices' logs in one space, read from the store as they are asked for."""

    def __init__(self, connection: Connection, space: int) -> None:
        self._connection = connection
        self._space = space
        self._logs: dict[tuple[bytes, bytes], dict[int, list[_Row]]] = {}

    def below(self, device: bytes, cut: tuple[Cut, ...]) -> frozenset[bytes]:
        """See `roster_fold.Below`."""
        kept: set[bytes] = set()
        for end in cut:
            rows = self._rows(device, end.log)
            seq, hash = end.seq, end.hash
            while hash not in kept:
                row = next((row for row in rows.get(seq, ()) if row.hash == hash), None)
                if row is None:
                    break
                kept.add(hash)
                prev = self._before(row, rows.get(seq - 1, ()))
                if prev is None:
                    break
                seq, hash = seq - 1, prev
        return frozenset(kept)

    def open_ends(self, device: bytes, cut: tuple[Cut, ...]) -> tuple[Cut, ...]:
        """See `roster_fold.OpenEnds`."""
        return tuple(
            end
            for end in cut
            if not any(row.hash == end.hash and row.linked for row in self._rows(device, end.log).get(end.seq, ()))
        )

    def _rows(self, device: bytes, log: bytes) -> dict[int, list[_Row]]:
        found = self._logs.get((device, log))
        if found is None:
            found = self._logs[device, log] = defaultdict(list)
            for seq, *row in self._connection.rows(
                "SELECT record.seq, record.n, CAST(record.hash AS BLOB), record.linked FROM log "
                "JOIN device ON device.n = log.device JOIN record ON record.log = log.n "
                "WHERE log.id = ? AND log.space = ? AND device.id = ?",
                (log, self._space, device),
            ):
                found[seq].append(_Row(*row))
        return found

    def _before(self, row: _Row, earlier: Iterable[_Row]) -> bytes | None:
        """The hash that a row's header names as the one before it. Only one linked row there: it is that one, for else the
        row were not linked; so the header is read only at branches and behind gaps.
        """
        linked = [one for one in earlier if one.linked]
        if row.linked and len(linked) == 1:
            return linked[0].hash
        strings = self._connection.row("SELECT CAST(header AS BLOB) FROM record WHERE n = ?", (row.n,))
        try:
            return records.read(strings[0], b"", None).place.prev or None if strings is not None else None
        except RecordRefused:
            return None
