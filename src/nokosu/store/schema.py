"""The tables, and how a file of an older version becomes one of this version.

`record` is the truth; `member`, `cut_end`, `memory`, `edge`, `head`, `start`, `erased`, `waiting_purge`, `project`, `project_key` and
the full-text index `word` are projections that `rebuild` can make anew, and so are the columns `linked` and `cut`; `place` and
`embedding` are caches. What no record tells and this device alone knows lies in `device`, `space`, `secret`, `first_seen`,
`vector`, `address` and `refusal`.

A migration is a function that is applied once, in one transaction together with the note that it ran. Within a major
version migrations only add, so that an older process may go on writing beside a newer one; anything else, a change of the
tokeniser included, raises the major version and makes older processes stop writing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nokosu.errors import StoreDamaged, StoreUpgraded
from nokosu.identity import secrets
from nokosu.store import starts
from nokosu.store.sqlite import Connection

Migration = Callable[[Connection], None]

_MAJOR_STEP: Final = 1000
APPLICATION_ID: Final = 0x6E6F6B6F  # "noko": tells our file from another


def m001_tables(connection: Connection) -> None:
    """The first schema."""
    connection.run(_TABLES)
    connection.run(WORD_TABLE)


def m002_mesh(connection: Connection) -> None:
    """What a store knows once its spaces are shared: who counts, the secrets, and how far the others are."""
    connection.run(_MESH)
    rows = connection.rows("SELECT n, secret FROM space")
    for space, secret in rows:
        connection.run(
            "INSERT INTO secret (space, key_id, epoch, secret) VALUES (?, ?, 0, ?)",
            (space, secrets.key_id(secret), secret),
        )


def m003_what_was_erased(connection: Connection) -> None:
    """What purges have erased, and what this device still keeps."""
    connection.run(_ERASED)


def m004_starts(connection: Connection) -> None:
    """Where each log and branch begins."""
    connection.run(_STARTS)
    for (log,) in connection.rows("SELECT n FROM log"):
        starts.find(connection, log)


def m005_tips(connection: Connection) -> None:
    """The one record that a memory's next one follows, where there is one."""
    connection.run("ALTER TABLE memory ADD COLUMN tip BLOB")


def m006_embeddings(connection: Connection) -> None:
    """What memories mean, as vectors."""
    connection.run(_EMBEDDINGS)


def m007_purges(connection: Connection) -> None:
    """Where the purges are, counted or not."""
    connection.run(f"CREATE INDEX record_purge ON record (log, memory) WHERE {MAY_PURGE}")


# What is true of each purge: its kind stands in its header. An author may be called so as well, so the header decides.
MAY_PURGE: Final = "instr(header, x'7075726765')"  # "purge"

# STRICT: a value of another type than its column's is a bug when it is written, and damage when it is read.
_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID, STRICT;

-- Who: devices we know, the spaces we are in, and whose records count in which.
CREATE TABLE device (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, public_key BLOB NOT NULL, private_key BLOB,
                     name TEXT NOT NULL) STRICT;
CREATE TABLE space (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, secret BLOB NOT NULL) STRICT;
CREATE TABLE member (space INTEGER NOT NULL REFERENCES space, device INTEGER NOT NULL REFERENCES device, PRIMARY KEY (space, device))
    WITHOUT ROWID, STRICT;

-- The log. `current` marks the log that this device writes in a space; `linked` the records that are held without a gap from 1 on.
CREATE TABLE log (n INTEGER PRIMARY KEY, id BLOB NOT NULL, space INTEGER NOT NULL REFERENCES space,
                  device INTEGER NOT NULL REFERENCES device, current INTEGER NOT NULL, UNIQUE (id, space, device)) STRICT;
CREATE TABLE record (n INTEGER PRIMARY KEY, log INTEGER NOT NULL REFERENCES log, seq INTEGER NOT NULL, linked INTEGER NOT NULL,
                     memory TEXT NOT NULL, hash BLOB NOT NULL, header BLOB NOT NULL, signature BLOB NOT NULL,
                     body BLOB) STRICT;
CREATE INDEX record_position ON record (log, seq);
CREATE INDEX record_memory ON record (memory);

-- Projections.
CREATE TABLE head (log INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (log, seq, hash))
    WITHOUT ROWID, STRICT;
CREATE TABLE memory (n INTEGER PRIMARY KEY, id TEXT NOT NULL, space INTEGER NOT NULL, status INTEGER NOT NULL, record INTEGER,
                     project INTEGER, type TEXT NOT NULL, agent TEXT NOT NULL, device INTEGER, importance INTEGER,
                     conflict INTEGER NOT NULL, digest INTEGER, created INTEGER, updated INTEGER, hlc INTEGER,
                     expires INTEGER, forgotten INTEGER) STRICT;
CREATE UNIQUE INDEX memory_id ON memory (id, space);
CREATE INDEX memory_digest ON memory (digest) WHERE status = 0;
CREATE INDEX memory_project ON memory (project, hlc);
CREATE INDEX memory_hlc ON memory (hlc);
CREATE INDEX memory_forgotten ON memory (forgotten) WHERE forgotten IS NOT NULL;
CREATE TABLE edge (space INTEGER NOT NULL, older TEXT NOT NULL, newer TEXT NOT NULL, PRIMARY KEY (space, older, newer))
    WITHOUT ROWID, STRICT;
CREATE INDEX edge_newer ON edge (space, newer);
CREATE TABLE project (n INTEGER PRIMARY KEY, root INTEGER NOT NULL, name TEXT NOT NULL, named INTEGER NOT NULL) STRICT;
CREATE INDEX project_root ON project (root);
CREATE TABLE project_key (key BLOB PRIMARY KEY, project INTEGER NOT NULL) WITHOUT ROWID, STRICT;

-- A cache: which project a folder of this machine is.
CREATE TABLE place (path BLOB PRIMARY KEY, stamp TEXT NOT NULL, root BLOB NOT NULL,
                    name TEXT NOT NULL, keys BLOB NOT NULL, complete INTEGER NOT NULL)
    WITHOUT ROWID, STRICT;
"""

_MESH: Final = """
-- `founder`: the public key of the device that made the space, whose word admits the others. `moving_to`: the space that its
-- memories go to, one after the other, until it is empty. `unsettled`: some of its records are yet to be counted, or not
-- counted any more, as the roster says. `port` and `listen`: where this device listens, once somebody was invited.
ALTER TABLE space ADD COLUMN founder BLOB;
ALTER TABLE space ADD COLUMN moving_to INTEGER REFERENCES space;
ALTER TABLE space ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE space ADD COLUMN port INTEGER;
ALTER TABLE space ADD COLUMN listen TEXT;
UPDATE space SET founder = (SELECT public_key FROM device WHERE private_key IS NOT NULL ORDER BY n LIMIT 1);

-- Everyone who was ever admitted: the door. `revoked`: no longer a member. `named` is the hybrid time of the name.
ALTER TABLE member ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN named INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN box_key BLOB;
ALTER TABLE member ADD COLUMN admitted INTEGER NOT NULL DEFAULT 0;

-- `cut`: it is of a revoked device and beyond a cut-off, or of one that nobody could admit, so it counts nowhere.
ALTER TABLE record ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;
CREATE INDEX record_cut ON record (log) WHERE cut;
CREATE INDEX record_ahead ON record (log, seq) WHERE NOT linked;

-- The ends of logs that the cuts against revoked devices name: when such a record comes, those below it begin to count.
CREATE TABLE cut_end (space INTEGER NOT NULL REFERENCES space, hash BLOB NOT NULL, PRIMARY KEY (space, hash)) WITHOUT ROWID, STRICT;

-- When this device first saw a `forget`, by its id and our clock: a wrong clock elsewhere neither hastens nor delays a purge.
CREATE TABLE first_seen (record BLOB PRIMARY KEY, wall INTEGER NOT NULL) WITHOUT ROWID, STRICT;
ALTER TABLE memory ADD COLUMN seen INTEGER;

-- Secrets of a space that this device knows; `hlc` and `record` are of the `rekey` that made it, if it is here and counts.
CREATE TABLE secret (space INTEGER NOT NULL REFERENCES space, key_id BLOB NOT NULL, epoch INTEGER NOT NULL, secret BLOB NOT NULL,
                     hlc INTEGER NOT NULL DEFAULT 0, record BLOB NOT NULL DEFAULT x'', counts INTEGER NOT NULL DEFAULT 1,
                     PRIMARY KEY (space, key_id)) WITHOUT ROWID, STRICT;

-- The others: what each last announced, where it was reached, and what of theirs was refused.
CREATE TABLE vector (space INTEGER NOT NULL REFERENCES space, device INTEGER NOT NULL REFERENCES device, counter INTEGER NOT NULL,
                     seen_ms INTEGER NOT NULL, payload BLOB NOT NULL, signature BLOB NOT NULL, PRIMARY KEY (space, device))
    WITHOUT ROWID, STRICT;
CREATE TABLE address (space INTEGER NOT NULL REFERENCES space, device BLOB NOT NULL, address TEXT NOT NULL, source TEXT NOT NULL,
                      heard INTEGER NOT NULL, PRIMARY KEY (space, device, address)) WITHOUT ROWID, STRICT;
CREATE TABLE refusal (space INTEGER NOT NULL REFERENCES space, device BLOB NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
                      last_ms INTEGER NOT NULL, PRIMARY KEY (space, device, reason)) WITHOUT ROWID, STRICT;
"""

_ERASED: Final = """
-- The records whose bodies a purge has erased: they may be without, and nobody is asked for them. A projection.
CREATE TABLE erased (space INTEGER NOT NULL REFERENCES space, memory TEXT NOT NULL, record INTEGER NOT NULL,
                     PRIMARY KEY (space, memory, record)) WITHOUT ROWID, STRICT;

-- Purged memories, and from when on by our clock what is left of their bodies may go: times decided that purge, and another device
-- may have lied about them. A projection, of the records and of `first_seen`.
CREATE TABLE waiting_purge (space INTEGER NOT NULL REFERENCES space, memory TEXT NOT NULL, due_ms INTEGER NOT NULL,
                            PRIMARY KEY (space, memory)) WITHOUT ROWID, STRICT;
CREATE INDEX waiting_purge_due ON waiting_purge (due_ms);
"""

_STARTS: Final = """
-- Where a log begins, and each of its branches: as many as there are heads. Of several records that follow one, the one with the
-- smallest hash goes on with its log, and the others begin branches. A projection.
CREATE TABLE start (log INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (log, seq, hash))
    WITHOUT ROWID, STRICT;
"""

_EMBEDDINGS: Final = """
-- The vectors of the records that living memories show, by the model that made them: a cache that the embedder fills. It never leaves
-- this device. Triggers keep it in step, so that a process of any version that scrubs, forgets or edits takes the vectors along.
CREATE TABLE embedding (record INTEGER NOT NULL, model INTEGER NOT NULL, language TEXT NOT NULL, vector BLOB NOT NULL,
                        PRIMARY KEY (record, model)) WITHOUT ROWID, STRICT;
CREATE TRIGGER embedding_scrubbed AFTER UPDATE OF body ON record WHEN NEW.body IS NULL
    BEGIN DELETE FROM embedding WHERE record = NEW.n; END;
CREATE TRIGGER embedding_removed AFTER DELETE ON record
    BEGIN DELETE FROM embedding WHERE record = OLD.n; END;
CREATE TRIGGER embedding_hidden AFTER UPDATE OF status, record ON memory WHEN NEW.status <> 0 OR NEW.record IS NOT OLD.record
    BEGIN DELETE FROM embedding WHERE record = OLD.record; END;
"""

# Contentless: the text is kept once, in the log; `secure-delete` because the plain delete leaves words in the index's
# pages.
WORD_TABLE: Final = """
CREATE VIRTUAL TABLE word USING fts5
    (subject, body, tags, extra, scope, content='', tokenize='porter unicode61 remove_diacritics 2');
INSERT INTO word (word, rank) VALUES ('secure-delete', 1);
"""

MIGRATIONS: Final[tuple[Migration, ...]] = (
    m001_tables, m002_mesh, m003_what_was_erased, m004_starts, m005_tips, m006_embeddings,
    m007_purges,
)  # fmt: skip
MAJOR: Final = 1


def migrate(connection: Connection, migrations: tuple[Migration, ...] = MIGRATIONS, major: int = MAJOR) -> None:
    """Apply what is missing, inside the caller's transaction; nothing happens when another process was first."""
    applied = version(connection)[1]
    for number in range(applied, len(migrations)):
        migrations[number](connection)
    if applied < len(migrations):
        connection.pragma("user_version", major * _MAJOR_STEP + len(migrations))
        connection.pragma("application_id", APPLICATION_ID)


def version(connection: Connection) -> tuple[int, int]:
    """The major version of the file and the number of migrations applied to it; (0, 0) for an empty file."""
    value = connection.pragma("user_version")
    assert isinstance(value, int)
    return divmod(value, _MAJOR_STEP)


def check(connection: Connection, major: int = MAJOR) -> None:
    """Check, inside each transaction, that this is our file, and that no newer nokosu has changed its schema under us.

    Raises:
        StoreDamaged: it is some other file, or an empty one.
        StoreUpgraded: its major version is newer than ours; this process must be restarted.
    """
    # As tables, these two would be compiled each time that they are read.
    (application,), (written_as,) = connection.rows("PRAGMA application_id; PRAGMA user_version")
    if application != APPLICATION_ID:
        raise StoreDamaged("the file is not a nokosu database", hint="nokosu doctor")
    if written_as // _MAJOR_STEP > major:
        raise StoreUpgraded("nokosu was upgraded: restart this agent", hint="nokosu --version")


def needs_migration(connection: Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> bool:
    """Whether the file is of an older version."""
    return version(connection)[1] < len(migrations)
