"""The one way to the database file: how it is made, opened and written, and what its faults are called.

The only module that knows apsw's errors. `Database.write` is the only way to change anything: one `BEGIN IMMEDIATE`
transaction, waited for with jitter up to `limits.WRITE_WAIT_MS_MAX`, that either commits wholly or raises a
`StoreError`.

apsw carries its own current SQLite; the standard library's module must never be imported beside it (two copies of
SQLite in one process break each other's file locks).
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import apsw

from nokosu import limits
from nokosu.errors import (
    NokosuError,
    OutcomeUnknown,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUpgraded,
)
from nokosu.store import lock_holder, schema
from nokosu.store.sqlite import Connection, Row

_AUTOCHECKPOINT_PAGES: Final = 1000
_PAGES_KEPT_KIB: Final = 8 * 1024  # a question of 16 words over 50,000 notes reads more than SQLite's 2 MiB
_WAL_BYTES_KEPT: Final = 8 * 1024 * 1024  # after a large batch it shrinks to this
_STATEMENTS_KEPT: Final = 512  # compiled: apsw's most; it drops what was not among the last so many that ran
_KEEP_WAL: Final = ctypes.c_int(1)  # SQLite reads the flag through its address
_NOT_SAVED: Final = "not saved: "
_FORKED: Final = "this process was forked from one that had the store open: close it before a fork, or spawn"


class Database:
    """One connection to one database file, for one process and one thread at a time.

    Reading and writing raise only `StoreError`. After a fault of the disk the connection is thrown away and a new one
    is opened for the next call, so that the process goes on working once the disk does.
    """

    def __init__(
        self,
        path: Path,
        *,
        vfs: str | None = None,
        wait_ms: int = limits.WRITE_WAIT_MS_MAX,
        migrations: tuple[schema.Migration, ...] = schema.MIGRATIONS,
        major: int = schema.MAJOR,
    ) -> None:
        """Open the file at *path*, which must exist, and bring its schema up to date. O(1) in its size. One that is older and
        may not be written is not opened: StoreReadOnly.

        *wait_ms* bounds how long a write waits for other writers. The others are for tests: *vfs* names an apsw VFS;
        *migrations* and *major* are the schema of another version of nokosu.
        """
        self.path = path
        self._vfs = vfs
        self._wait_ms = wait_ms
        self._migrations = migrations
        self._major = major
        self._pid = os.getpid()
        self._open: _Opened | None = None
        self._migrate()

    @property
    def read_only(self) -> bool:
        """Whether this process may only read the file."""
        return self._connection().readonly("main")

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Row]:
        """All rows that a query answers with."""
        with self.reading() as connection:
            return connection.rows(sql, values)

    def row(self, sql: str, values: tuple[Any, ...] = ()) -> Row | None:
        """The first row that a query answers with, or None."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def generation(self) -> int:
        """A number that is another one when anybody else has committed since, to be compared as long as nothing is raised.

        Raises:
            StoreError: it cannot be read.
        """
        try:
            return int(self._connection().pragma("data_version"))
        except apsw.Error as error:
            raise self._fault(error, "") from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One unchanging view of the database over several queries.

        Raises:
            StoreDamaged: it is damaged, or no database of ours.
            StoreUpgraded: a newer nokosu has changed the schema.
            StoreError: it cannot be read.
        """
        connection = self._connection()
        try:
            connection.execute("BEGIN")
            try:
                schema.check(connection, self._major)
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except Exception as error:
            self._raise_as_ours(connection, error, "")
            raise

    @contextmanager
    def write(self, *, lasting: bool = True) -> Iterator[Connection]:
        """A transaction that holds the write lock; it commits at the end, and rolls back when anything is raised
        inside.

        *lasting*: once committed, it is on the disk. Without, a power cut may take it away, wholly, until a lasting one has
        followed it, of any process: for what can be fetched again.

        Raises:
            StoreLocked: another process held the lock longer than the wait; nothing was written.
            StoreReadOnly, StoreFull, StoreDamaged, StoreUpgraded: nothing was written.
            OutcomeUnknown: the disk failed during the commit.
        """
        connection = self._connection(_NOT_SAVED)
        if connection.readonly("main"):
            raise self._read_only()
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)  # the last to close tidies up, if it has written
        try:
            connection.wait_for_disk(lasting)
            connection.execute("BEGIN IMMEDIATE")
            schema.check(connection, self._major)
            yield connection
        except BaseException as error:
            self._roll_back(connection)
            self._raise_as_ours(connection, error, _NOT_SAVED)
            raise
        try:
            connection.execute("COMMIT")
        except apsw.Error as error:
            self._roll_back(connection)
            self._discard()
            if isinstance(error, apsw.FullError):
                # Only a write ends so, and the last page written is the one that makes the commit count.
                raise self._fault(error, _NOT_SAVED) from error
            message = f"unknown: the disk failed while saving ({error}): save it again, it will not be doubled"
            raise OutcomeUnknown(message, hint="nokosu doctor") from error

    def truncate_wal(self, *, wait_ms: int | None = None) -> bool:
        """Write all of the WAL into the database file and empty it; False while another process still reads from it.

        Saves wait meanwhile, so whoever can try again later waits for readers less long, *wait_ms*.
        """
        connection = self._connection()
        if wait_ms is not None:
            connection.set_busy_handler(_jitter(wait_ms))
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return False
        except apsw.Error as error:
            raise self._fault(error, "the WAL still holds old bytes: ") from error
        finally:
            if wait_ms is not None and self._open is connection:
                connection.set_busy_handler(_jitter(self._wait_ms))
        return True

    def copy_to(self, target: Path) -> None:
        """Write a complete copy of the database, keys included, to *target*, which is made with mode 0600 and must not
        exist.
        """
        try:
            _make_private(target)
        except OSError as error:
            raise _cannot_make(target, error, "no backup was made: ") from error
        try:
            copy = Connection(str(target))
            try:
                with copy.backup("main", self._connection(), "main") as backup:
                    backup.step(-1)  # in one go: it would begin anew whenever somebody saves between two steps
            finally:
                copy.close()
        except BaseException as error:
            target.unlink(missing_ok=True)
            if isinstance(error, apsw.FullError):
                raise _cannot_make(target, error, "no backup was made: ") from error
            if isinstance(error, apsw.Error):
                raise self._fault(error, "no backup was made: ") from error
            raise

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._discard()

    def _connection(self, prefix: str = "") -> _Opened:
        if os.getpid() != self._pid:
            raise StoreError(f"{prefix}{_FORKED}")
        if self._open is None:
            try:
                self._open = connect(self.path, vfs=self._vfs, wait_ms=self._wait_ms)
            except apsw.Error as error:
                raise self._fault(error, prefix) from error
        return self._open

    def _migrate(self) -> None:
        with self.reading() as connection:
            is_older = schema.needs_migration(connection, self._migrations)
        if not is_older:
            return
        if self.read_only:
            raise StoreReadOnly(
                f"an older nokosu made the store, and this process may not write {self.path.parent} to bring it up to date",
                hint="nokosu status, where the folder may be written",
            )
        with self.write() as connection:
            schema.migrate(connection, self._migrations, self._major)

    def _roll_back(self, connection: Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except apsw.Error:
            self._discard()  # a connection that cannot roll back is not used again; closing it rolls back

    def _discard(self) -> None:
        if os.getpid() != self._pid:
            return  # it is the parent's: closing it here could end the parent's locks
        connection, self._open = self._open, None
        if connection is not None:
            _close(connection)

    def _raise_as_ours(self, connection: Connection, error: BaseException, prefix: str) -> None:
        """Raise the error of our tree for one that came up inside a transaction; return if it is to be raised as it is."""
        if isinstance(error, apsw.Error):
            raise self._fault(error, prefix) from error
        if isinstance(error, NokosuError) or not isinstance(error, Exception):
            return
        found = _damage(connection, error)
        if found is not None:
            raise StoreDamaged(f"{prefix}the store is damaged ({found})", hint="nokosu verify") from error

    def _fault(self, error: apsw.Error, prefix: str) -> StoreError:
        """The error of our tree for one of SQLite's; a connection that met a fault of the disk is thrown away."""
        if isinstance(error, apsw.BusyError | apsw.LockedError):
            return self._locked(prefix)
        if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError | apsw.AuthError):
            return self._read_only() if prefix == _NOT_SAVED else self._unreadable(prefix)
        if not isinstance(error, apsw.SQLError | apsw.ConstraintError):
            self._discard()
        if isinstance(error, apsw.FullError):
            return StoreFull(f"{prefix}no space left on the disk of {self.path.parent}", hint="nokosu doctor")
        if isinstance(error, apsw.CorruptError | apsw.NotADBError):
            return StoreDamaged(f"{prefix}the store is damaged ({error})", hint="nokosu doctor")
        if isinstance(error, apsw.CantOpenError):
            return StoreError(f"{prefix}cannot open {self.path}", hint="nokosu doctor")
        return StoreError(f"{prefix}the disk failed ({error})", hint="nokosu doctor")

    def _locked(self, prefix: str) -> StoreLocked:
        pid = lock_holder.writer_pid(self.path)
        holder = f"process {pid}" if pid else "another process"
        hint = f"ps -p {pid}" if pid else "nokosu doctor"
        return StoreLocked(f"{prefix}{holder} holds the store (waited {self._wait_ms / 1000:g} s)", hint=hint)

    def _read_only(self) -> StoreReadOnly:
        return StoreReadOnly(
            f"not saved: {self.path.parent} may not be written by this process (an agent's sandbox?); searching works",
            hint="nokosu doctor",
        )

    def _unreadable(self, prefix: str) -> StoreReadOnly:
        """Reading needs the files beside the database, and we may not make them."""
        return StoreReadOnly(
            f"{prefix}{self.path.parent} may not be written by this process, and nobody who may has opened its store yet",
            hint="nokosu status, where the folder may be written",
        )


def connect(path: Path, *, vfs: str | None = None, wait_ms: int = limits.WRITE_WAIT_MS_MAX) -> _Opened:
    """Open an existing file for reading and, where the file system lets us, writing. No other code opens one."""
    if any(isinstance(other, _Opened) and other.is_inherited_of(path) for other in apsw.connections()):
        # SQLite believes that it still holds the locks on this file; they are the parent's, and we would write without.
        raise StoreError(_FORKED)
    connection = _Opened(path, vfs)
    try:
        _configure(connection, wait_ms)
    except apsw.Error:
        _close(connection)
        raise
    return connection


class _Opened(Connection):
    """A connection that knows which process opened it, and what."""

    def __init__(self, path: Path, vfs: str | None) -> None:
        super().__init__(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs, statementcachesize=_STATEMENTS_KEPT)
        self._path = path
        self._pid = os.getpid()
        self._waits = True

    def wait_for_disk(self, waits: bool) -> None:
        """Whether a commit waits until it is on the disk, from the next transaction on; they all do at first."""
        if waits != self._waits:  # not from the cache: SQLite may carry this pragma out while it prepares it
            self.execute(f"PRAGMA synchronous={'FULL' if waits else 'NORMAL'}", can_cache=False)
            self._waits = waits

    def is_inherited_of(self, path: Path) -> bool:
        """Whether our parent opened *path* with it, before this process was forked."""
        return self._pid != os.getpid() and self._path == path


def _configure(connection: Connection, wait_ms: int) -> None:
    connection.set_busy_handler(_jitter(wait_ms))
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    # Else each value bound to a condition that no index serves has the statement compiled again, for a plan that is the same.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # a read writes nothing; `write` lifts this
    for pragma in (
        "synchronous=FULL",  # a commit is on the disk before the save returns; NORMAL was measured to lose acknowledged saves
        "foreign_keys=ON",
        "trusted_schema=OFF",  # a file from elsewhere cannot make us run its functions
        "cell_size_check=ON",  # damage is found where it is, not where it leads
        "secure_delete=ON",  # a purged text must not stay in free pages: on before the text is ever moved
        "temp_store=MEMORY",  # verify compares with a second index; a read writes no file
        f"cache_size={-_PAGES_KEPT_KIB}",  # at most, and only of what was read
        f"wal_autocheckpoint={_AUTOCHECKPOINT_PAGES}",
        f"journal_size_limit={_WAL_BYTES_KEPT}",  # and the last one to close empties it: nothing is read again at the next open
        *(("fullfsync=ON", "checkpoint_fullfsync=ON") if sys.platform == "darwin" else ()),
    ):
        connection.execute(f"PRAGMA {pragma}")
    # Without the WAL files left in place at close, a read-only home could not be searched.
    connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(_KEEP_WAL))


def _close(connection: Connection) -> None:
    """Close, whatever the disk says: closing moves the WAL into the database file, and what was saved is safe in either."""
    with suppress(apsw.Error):
        connection.close(True)


def _damage(connection: Connection, error: Exception) -> str | None:
    """What is wrong with the file, or None: asked when values that were read make no sense to the code that reads them.

    Then either the bytes have changed since they were written, or we have a bug, and that must not be taken for damage.
    """
    if isinstance(error, UnicodeDecodeError):
        return str(error)  # texts are UTF-8 when they are written
    try:
        line = connection.execute("PRAGMA integrity_check(1)").get
    except (apsw.Error, UnicodeDecodeError) as fault:
        return str(fault)
    return None if line == "ok" else str(line)


@contextmanager
def before_saving() -> Iterator[None]:
    """What a save reads before it writes: a fault of it means that nothing was saved, and says so."""
    try:
        yield
    except StoreUpgraded:
        raise
    except StoreError as error:
        if error.message.startswith(_NOT_SAVED):
            raise
        raise type(error)(f"{_NOT_SAVED}{error.message}", hint=error.hint) from error


def create(
    path: Path,
    fill: Callable[[Connection], None],
    *,
    vfs: str | None = None,
    migrations: tuple[schema.Migration, ...] = schema.MIGRATIONS,
) -> None:
    """Make a new database at *path*, wholly or not at all: schema, then what *fill* writes.

    It is made beside *path* and linked into place, so another process sees either nothing or a finished file; when
    another was first, that one stays. *vfs* and *migrations* are for tests, as in `Database`.

    Raises:
        StoreReadOnly, StoreFull, StoreError: it could not be made; nothing is there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.new")
    try:
        _make_private(temporary)
        connection = connect(temporary, vfs=vfs)
        try:
            connection.execute("BEGIN IMMEDIATE")
            schema.migrate(connection, migrations)
            fill(connection)
            connection.execute("COMMIT")
            if connection.pragma("journal_mode", "wal") != "wal":
                raise StoreError(
                    f"not saved: the file system of {path.parent} has no shared memory", hint="nokosu doctor"
                )
        finally:
            _close(connection)
        _publish(temporary, path)
    except (OSError, apsw.Error) as error:
        raise _cannot_make(path, error, _NOT_SAVED) from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{temporary}{suffix}").unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return  # another process made one at the same moment; both are equally new
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_private(path: Path) -> None:
    """Make an empty file that only its owner can read; SQLite gives its own files the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))


def _cannot_make(path: Path, error: OSError | apsw.Error, prefix: str) -> StoreError:
    """The error of our tree for a file that could not be made."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    number = error.errno if isinstance(error, OSError) else 0
    if number == errno.EEXIST:
        return StoreError(f"{prefix}{path} exists already", hint="choose another file name")
    if number in (errno.ENOSPC, errno.EDQUOT) or isinstance(error, apsw.FullError):
        return StoreFull(f"{prefix}no space left on the disk of {path.parent}", hint="nokosu doctor")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS) or isinstance(error, apsw.ReadOnlyError):
        return StoreReadOnly(
            f"{prefix}{path.parent} may not be written by this process ({reason})", hint="nokosu doctor"
        )
    return StoreError(f"{prefix}cannot make {path} ({reason})", hint="nokosu doctor")


def _jitter(wait_ms: int) -> Callable[[int], bool]:
    """Wait for another writer in short random steps: many writers then take turns, where fixed steps starve some."""
    deadline = 0.0

    def handler(attempt: int) -> bool:
        nonlocal deadline
        now = time.monotonic()
        if attempt == 0:
            deadline = now + wait_ms / 1000
        if now >= deadline:
            return False
        time.sleep(min(random.uniform(0.0005, 0.004 * min(attempt + 1, 8)), deadline - now))  # noqa: S311 - no secret
        return True

    return handler
