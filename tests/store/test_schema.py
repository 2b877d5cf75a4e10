"""A store that was made before there was a mesh becomes one that can be shared, and loses nothing."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from nokosu.identity.keys import SigningKey
from nokosu.identity.secrets import key_id
from nokosu.records import (
    Author,
    Content,
    Core,
    Kind,
    Position,
    device_id,
    encode_body,
    encode_core,
    encode_header,
    log_id,
)
from nokosu.store import connection as store_connection
from nokosu.store import roster, schema
from nokosu.store.sqlite import Connection
from nokosu.store.verify import verify
from nokosu.testing import ManualClock, SeededRandom, Store

KEY = bytes(range(32))
SPACES = {"personal": b"p" * 16, "local": b"l" * 16}


def of_the_first_version(path: Path) -> None:
    """A store as the version before the mesh made it, with one record in `personal`."""

    def fill(connection: Connection) -> None:
        key = SigningKey(KEY)
        device, log = device_id(key.public), log_id(device_id(key.public), b"n" * 16)
        connection.run(
            "INSERT INTO device (id, public_key, private_key, name) VALUES (?, ?, ?, 'laptop')",
            (device, key.public, KEY),
        )
        for name, id in SPACES.items():
            connection.run("INSERT INTO space (id, name, secret) VALUES (?, ?, ?)", (id, name, id * 2))
            connection.run("INSERT INTO member (space, device) VALUES (?, 1)", (connection.last_insert_rowid(),))
        connection.run("INSERT INTO log (id, space, device, current) VALUES (?, 1, 1, 1)", (log,))
        body = encode_body(Content(text="from before"), bytes(16))
        core = Core(
            v=1, device=device, kind=Kind.SAVE, memory="0" * 12, hlc=1 << 16, wall=1, body=sha256(body).digest(), author=Author()
        )  # fmt: skip
        place = Position(space=SPACES["personal"], log=log, seq=1, nonce=b"n" * 16, key=key.public)
        header = encode_header(encode_core(core), place)
        connection.run(
            "INSERT INTO record (log, seq, linked, memory, hash, header, signature, body) VALUES (1, 1, 1, ?, ?, ?, ?, ?)",
            (core.memory, sha256(header).digest(), header, key.sign(header), body),
        )
        connection.run("INSERT INTO head (log, seq, hash) VALUES (1, 1, ?)", (sha256(header).digest(),))

    store_connection.create(path, fill, migrations=schema.MIGRATIONS[:1])


def test_a_store_from_before_the_mesh_is_its_devices_own_and_can_be_shared(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "nokosu.db"
    of_the_first_version(path)
    with Store(path, wall_clock=clock, random=SeededRandom(1)) as store:
        with store.database.write() as connection:
            for space in roster.spaces(connection):
                secret = SPACES[space.name] * 2
                assert roster.founder(connection, space) == SigningKey(KEY).public
                assert roster.secrets(connection, space) == [roster.Secret(key_id(secret), 0, secret)]
                assert not roster.is_shared(connection, space)
                assert [member.own for member in roster.members(connection, space)] == [True]
        assert [record.core.memory for record in store.records()] == ["0" * 12]
        assert [problem.what for problem in verify(store.database).problems] == ["not in the index"]
        assert store.database.rows("PRAGMA user_version") == [(1007,)]
