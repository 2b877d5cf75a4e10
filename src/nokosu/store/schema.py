"""The tables, and how a file of an older version becomes one of this version.

`record` is the truth; `memory`, `edge`, `head`, `project`, `project_key` and the full-text index `word` are projections
that `rebuild` can make anew; `place` is a cache. A migration is a function that is applied once, in one transaction
together with the note that it ran. Within a major version migrations only add, so that an older process may go on
writing beside a newer one; anything else, a change of the tokeniser included, raises the major version and makes older
processes stop writing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nokosu.errors import StoreDamaged, StoreUpgraded
from nokosu.store.sqlite import Connection

Migration = Callable[[Connection], None]

_MAJOR_STEP: Final = 1000
APPLICATION_ID: Final = 0x6E6F6B6F  # "noko": tells our file from another


def m001_tables(connection: Connection) -> None:
    """The first schema."""
    connection.run(_TABLES)
    connection.run(WORD_TABLE)


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

# Contentless: the text is kept once, in the log; `secure-delete` because the plain delete leaves words in the index's
# pages.
WORD_TABLE: Final = """
CREATE VIRTUAL TABLE word USING fts5
    (subject, body, tags, extra, scope, content='', tokenize='porter unicode61 remove_diacritics 2');
INSERT INTO word (word, rank) VALUES ('secure-delete', 1);
"""

MIGRATIONS: Final[tuple[Migration, ...]] = (m001_tables,)
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
    row = connection.row("SELECT application_id, user_version FROM pragma_application_id, pragma_user_version")
    if row is None or row[0] != APPLICATION_ID:
        raise StoreDamaged("the file is not a nokosu database", hint="nokosu doctor")
    if row[1] // _MAJOR_STEP > major:
        raise StoreUpgraded("nokosu was upgraded: restart this agent", hint="nokosu --version")


def needs_migration(connection: Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> bool:
    """Whether the file is of an older version."""
    return version(connection)[1] < len(migrations)
