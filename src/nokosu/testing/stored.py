"""What lies in the storages of a mesh in the end: every record that its members hold, and no text that was purged."""

from __future__ import annotations

from nokosu import records
from nokosu.errors import RecordRefused
from nokosu.mesh import keys, seal
from nokosu.mesh.seal import Keyring
from nokosu.records import Kind
from nokosu.store import roster, scrubbed
from nokosu.store.log import Head
from nokosu.store.sqlite import Connection
from nokosu.testing.host import Host
from nokosu.testing.loopback import LoopbackMesh
from nokosu.testing.storage import SimulatedStorage


def stored_problems(mesh: LoopbackMesh, *, is_torn: bool) -> list[str]:
    """What does not hold in some storage; the members are taken to be equal. *is_torn*: purges may be lost for good, or
    count no more, so that texts which they took there are with the members alone.
    """
    host = mesh.members[0]
    return [problem for storage in mesh.storages for problem in _problems(storage, host, is_torn=is_torn)]


def _problems(storage: SimulatedStorage, host: Host, *, is_torn: bool) -> list[str]:
    with host.database.reading() as connection:
        keyring = Keyring(roster.secrets(connection, host.space), random=host.random)
        rows = connection.rows(
            "SELECT log.id, record.seq, record.hash, record.memory, record.body IS NULL FROM record "
            "JOIN log ON log.n = record.log WHERE log.space = ?",
            (host.space.n,),
        )
        purged = _named_by_purges(connection, host.space.n)
        found = []
        for log, seq, hash, memory, is_bodiless in rows:
            body = _body(storage, keyring, keys.rec(host.space.id, log, seq, hash), hash)
            what = f"storage {storage.zid[:2]}: record {seq} of {log.hex()[:6]}"
            if body is _NOTHING:
                found.append(f"{what} is not there")
            elif (
                is_bodiless and body is not None and scrubbed.is_erased(connection, host.space.n, Head(log, seq, hash))
            ):
                found.append(f"{what} has the text of {memory}, which was erased")
            elif not is_bodiless and body is None and memory not in purged and not is_torn:
                found.append(f"{what} has lost its text")
    return found


def _named_by_purges(connection: Connection, space: int) -> set[str]:
    rows = connection.rows(
        "SELECT CAST(record.header AS BLOB), record.memory FROM record JOIN log ON log.n = record.log WHERE log.space = ?",
        (space,),
    )
    return {memory for header, memory in rows if records.read_core(header).kind == Kind.PURGE}


_NOTHING = b"nothing"


def _body(storage: SimulatedStorage, keyring: Keyring, key: str, hash: bytes) -> bytes | None:
    stored = storage.values.get(key)
    if stored is None:
        return _NOTHING
    try:
        record = seal.unpack(keyring.open(key, stored.payload))
    except RecordRefused:
        return _NOTHING
    return record.body if record.hash == hash else _NOTHING
