"""The Python door: class `Nokosu`. Each method tells its whole story on one screen.

A save is one local transaction: words checked by their `Draft`, secrets masked, a time from the clock, and one record
in the log. When it returns, the memory is on the disk. A search reads and changes nothing.
"""

from __future__ import annotations

import builtins
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from nokosu import (
    __version__,
    asking,
    brief,
    clock,
    config,
    contents,
    delivery,
    filesystem,
    filing,
    fold,
    gathering,
    ids,
    limits,
    looks,
    overview,
    times,
    view,
)
from nokosu.brief import Sources
from nokosu.config import Config
from nokosu.contents import Prepared
from nokosu.drafts import Change, Draft, Filters, Query
from nokosu.errors import NotFound, Refused, StoreDamaged, StoreError, StoreReadOnly, UsageError
from nokosu.filing import Filed, Filing, Scope
from nokosu.looks import Look
from nokosu.memory import Brief, Hits, Memory, Rebuilt, Saved, Status, Verified
from nokosu.records import Author, Content, Kind, Record
from nokosu.search import engine
from nokosu.semantic import process
from nokosu.semantic.client import Embedder
from nokosu.store import connection as store_connection
from nokosu.store import embeddings, index, projects, reading, rebuilding, roster
from nokosu.store.connection import Database, before_saving
from nokosu.store.index import Index
from nokosu.store.log import Entry, Log
from nokosu.store.reading import MemoryRow
from nokosu.store.sqlite import Connection
from nokosu.store.verify import verify

_PURGES_AT_ONCE: Final = 8
_DAMAGED_NAMED_MAX: Final = 10


class Nokosu:
    """One person's memory on this machine. Open it with `open`, and close it, or use it in a `with` block.

    Use one object from one thread at a time; any number of objects, threads and processes may have the same store open.
    """

    def __init__(
        self,
        config: Config,
        *,
        wall_clock: clock.WallClock = clock.system_wall_clock,
        random: ids.Random = os.urandom,
        vfs: str | None = None,
        wait_ms: int = limits.WRITE_WAIT_MS_MAX,
    ) -> None:
        """Take the store of *config*'s home; the file is made at the first save, and until then there is nothing to
        find.

        *wall_clock*, *random*, *vfs* and *wait_ms* are for tests: time, randomness, the file system below SQLite, and
        how long a write waits for other writers.
        """
        self.config = config
        self._author = config.author
        self._wall_clock = wall_clock
        self._random = random
        self._vfs = vfs
        self._wait_ms = wait_ms
        self._filing = Filing(config)
        self._index = Index()
        self._embedder = Embedder(config)
        self._database: Database | None = None
        self._log: Log | None = None
        self._device: roster.Device | None = None
        self._look: tuple[Path, Look] | None = None  # of the last brief
        self._warnings: tuple[str, ...] = ()  # for whoever made the store, with their first save

    @classmethod
    def open(cls, home: Path | str | None = None, *, agent: str = "") -> Self:
        """Open the store of *home*, or of the environment (`NOKOSU_HOME`, else the platform's data directory), as
        *agent*.
        """
        environ = {**os.environ, "NOKOSU_AGENT": agent} if agent else os.environ
        try:
            cwd = Path.cwd()
        except FileNotFoundError:
            cwd = None  # the current folder is gone: no project then
        return cls(config.load(environ, cwd=cwd, home=Path(home).absolute() if home is not None else None))

    def close(self) -> None:
        """Close the store."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Writing ----------------------------------------------------------------------------------------------------------

    def save(self, draft: Draft, *, space: str | None = None) -> Saved:
        """Save a memory; it is on the disk when this returns. Saving the same text again in the same project changes
        nothing. Without a *space* it goes where the settings of its project say, else to the personal one.

        Raises:
            UsageError, NotFound, Refused: the project, the space or a superseded memory cannot be made out; nothing was
            saved. StoreError: it was not saved, or (`OutcomeUnknown`) nobody knows: saving it again is safe.
        """
        return self.save_many([draft], space=space)[0]

    def save_many(self, drafts: Iterable[Draft], *, space: str | None = None) -> list[Saved]:
        """Save several memories in one transaction: all of them, or none."""
        with before_saving():
            database, log = self._for_writing()
            prepared = [self._prepared(database, draft) for draft in drafts]
        with database.write() as connection:
            done = [self._save_one(connection, log, self._target(connection, space, one), one) for one in prepared]
            purged = self._purge_what_is_due(connection, log)
        if purged:
            with suppress(StoreError):  # what was saved is saved; the old bytes go with the next checkpoint
                database.truncate_wal()
        return done

    def edit(self, id: str, change: Change) -> Saved:
        """Write a new version of a memory, which follows all versions there are; a conflict is settled by it.

        Raises:
            NotFound, Refused: no such memory, or several, or it is forgotten.
            StoreError: it was not saved.
        """
        with before_saving():
            database, log = self._for_writing()
            target = self._filed(database, change.project) if change.project else None
        if change.project == "":
            target = Filed()
        words = contents.masked(change)
        with database.write() as connection:
            row = self._living(connection, id)
            state = reading.state_of(connection, row)
            assert state.shown is not None
            old = state.shown
            content = contents.edited(old.content, change, words, None if target is None else target.name)
            content = msgspec.structs.replace(
                content, supersedes=self._whole_ids(connection, content.supersedes, known=old.content)
            )
            keys = target.keys if target is not None else old.record.core.author.projects
            if content == old.content and keys == old.record.core.author.projects and not state.in_conflict:
                return Saved(
                    id=row.id,
                    duplicate=True,
                    project=row.project_name,
                    space=row.space_name,
                    notes=("nothing changed",),
                )
            entry = Entry(
                kind=Kind.EDIT,
                memory=row.id,
                author=self._author_for(keys),
                content=content,
                after=state.heads,
                unknown=old.record.unknown_fields(),
            )
            log.write(connection, self._space(connection, row), [entry])
            name = target.name if target is not None else row.project_name
        return Saved(id=row.id, project=name, space=row.space_name, redacted=words.findings)

    def forget(self, id: str) -> Saved:
        """Hide a memory everywhere; it can be restored for 30 days.

        Raises:
            NotFound, Refused: no such memory, or several, or it is purged.
        """
        return self._mark(id, Kind.FORGET)

    def restore(self, id: str) -> Saved:
        """Bring a forgotten memory back.

        Raises:
            NotFound, Refused: no such memory, or several, or it is purged.
        """
        return self._mark(id, Kind.RESTORE)

    def purge(self, id: str) -> Saved:
        """Forget a memory for good: its text is scrubbed from log, index, free pages and WAL before this returns.

        Raises:
            NotFound, Refused: no such memory, or several; or another device wrote it and its 30 days are not over.
        """
        saved = self._mark(id, Kind.PURGE)
        if self._for_writing()[0].truncate_wal():
            return saved
        note = "another process is reading: the old bytes leave the WAL when it is done (nokosu doctor tells)"
        return msgspec.structs.replace(saved, notes=(*saved.notes, note))

    def complete_project(self) -> bool:
        """Look longer for the first commit of the caller's project, if a save could not wait for it; whether it was
        looked for.
        """
        database = self._for_reading()
        if database is None or database.read_only:
            return False
        with database.reading() as connection:
            found = self._filing.complete(connection, self._own_device(connection))
        if found is None:
            return False
        with database.write() as connection:
            filing.remember(connection, found)
        return True

    # Reading ----------------------------------------------------------------------------------------------------------

    def search(self, query: Query) -> Hits:
        """Find memories by their words; with an empty text, the latest. Writes nothing, and asks no network.

        Raises:
            NotFound, Refused: the project, space or device cannot be made out.
            StoreError: the store cannot be read; never answered with "no hits".
        """
        return self._hits(query, query.text)

    def list(self, filters: Filters) -> Hits:
        """The memories last written, newest first."""
        return self._hits(filters, "")

    def get(self, id: str, *, history: bool = False, with_forgotten: bool = False) -> Memory:
        """One memory with all its fields, by its id or a unique beginning of it.

        The text of a forgotten memory is shown only *with_forgotten*; *history* adds its records.

        Raises:
            NotFound, Refused: no such memory, or several.
            StoreDamaged: it is damaged on disk.
        """
        database = self._for_reading()
        if database is None:
            raise reading.no_memory(ids.memory_id_prefix(id))
        with database.reading() as connection:
            row = reading.row_named(connection, id)
            shown = view.memory(connection, row, self._wall_clock(), history=history, with_forgotten=with_forgotten)
            return msgspec.structs.replace(shown, delivery=delivery.of_memory(connection, row))

    def memories(self) -> Iterator[Memory]:
        """Every memory that is not purged, oldest first, forgotten ones included: what an export writes. At the end, with the
        status "removed", what this device wrote in a space after it was removed from it.

        Raises:
            StoreDamaged: after all that are whole: some are damaged, and were left out.
        """
        database = self._for_reading()
        last = 0
        damaged: builtins.list[str] = []
        while database is not None:
            with database.reading() as connection:
                rows = connection.rows(
                    "SELECT n, id FROM memory WHERE n > ? AND status <= ? ORDER BY n LIMIT 256",
                    (last, fold.Status.FORGOTTEN),
                )
                found = reading.rows_by_number(connection, [n for n, _ in rows])
                now = self._wall_clock()
                page = []
                for n, id in rows:
                    try:
                        page.append(view.memory(connection, found[n], now, history=False, with_forgotten=True))
                    except StoreDamaged:
                        damaged.append(id)
            if not rows:
                break
            yield from page
            last = rows[-1][0]
        if database is not None:
            with database.reading() as connection:
                now = self._wall_clock()
                late = [view.removed(connection, one, now) for one in reading.removed(connection)]
            yield from late
        if damaged:
            names = ", ".join(damaged[:_DAMAGED_NAMED_MAX]) + (", ..." if len(damaged) > _DAMAGED_NAMED_MAX else "")
            raise StoreDamaged(f"{len(damaged)} memories are damaged and were left out: {names}", hint="nokosu verify")

    def brief(
        self,
        project: str | None = None,
        tokens: int = limits.BRIEF_TOKENS_DEFAULT,
        *,
        since: str | None = None,
        around: int = 0,
    ) -> Brief:
        """What an agent should know of *project*, or of the one the caller works in, in at most *tokens*; *around* is how many of
        these the caller needs for what it puts around the text.

        News are what others wrote *since* a time, or without one since the caller was last told; see `told`. Writes nothing: the
        same store gives the same text.

        Raises:
            UsageError: *tokens* is out of bounds, or *since* is no time.
            NotFound, Refused: the project cannot be made out.
        """
        if not limits.BRIEF_TOKENS_MIN <= tokens <= limits.BRIEF_TOKENS_MAX:
            bounds = f"{limits.BRIEF_TOKENS_MIN} to {limits.BRIEF_TOKENS_MAX}"
            raise UsageError(f"tokens: {tokens} is not from {bounds}", field="tokens")
        since_ms = None if since is None else times.parse(since, field="since")
        Filters(project=project)  # checks its form
        database = self._for_reading()
        now = self._wall_clock()
        if database is None:
            return brief.write(Sources(project="", now_ms=now, memories={}, counts={}), tokens - around)
        with database.reading() as connection:
            device = self._own_device(connection)
            scope = self._filing.for_searching(connection, device, project)
            folder = self._filing.folder_of(connection, device, project, scope)
            gathered = gathering.gather(connection, self.config, scope, folder, now_ms=now, since_ms=since_ms)
            self._look = gathered.look
            return brief.write(gathered.sources, tokens - around)

    def told(self) -> bool:
        """Note that the caller was told the last brief: the news of the next one begin behind it. The note lies beside the store;
        False if this process may not write it, and then the next brief tells the same news again.
        """
        look, self._look = self._look, None
        if look is None:
            return True
        try:
            looks.write(*look)
        except OSError:
            return False
        return True

    def status(self) -> Status:
        """Where everything lives, and how much there is."""
        database = self._for_reading()
        empty = overview.of_home(self.config, version=__version__, exists=database is not None)
        if database is None:
            return empty
        with database.reading() as connection:
            device = self._own_device(connection)
            project = self._filing.for_searching(connection, device, None).name
            return overview.of_store(connection, empty, self.config, device, project, read_only=database.read_only)

    # Care -------------------------------------------------------------------------------------------------------------

    def verify(self) -> Verified:
        """Check every record and the index; see `store.verify`. Changes nothing."""
        database = self._for_reading()
        return verify(database) if database is not None else Verified(logs=0, records=0, memories=0, problems=())

    def rebuild_vectors(self) -> int:
        """Throw away what the embedder has made of the memories, and have it made anew in the background; how many memories had
        vectors.

        Raises:
            StoreError: it was not done.
        """
        database, _ = self._for_writing()
        with database.write() as connection:
            cleared = embeddings.clear(connection)
        process.start_if_needed(self.config)
        return cleared

    def rebuild(self) -> Rebuilt:
        """Make the index anew from the log, in one transaction: other writers wait, and readers see the old one until
        it is done.
        """
        started = time.perf_counter()
        database, _ = self._for_writing()
        with database.write() as connection:
            memories = rebuilding.rebuild(connection, self._index)
        return Rebuilt(memories=memories, seconds=round(time.perf_counter() - started, 3))

    def backup(self, target: Path) -> int:
        """Write a complete copy, keys included, to *target* while others go on writing; its size in bytes.

        Raises:
            NotFound: nothing is saved yet.
            StoreError: *target* exists, or cannot be written.
        """
        database = self._for_reading()
        if database is None:
            raise NotFound("nothing is saved yet", hint="nokosu save TEXT")
        database.copy_to(target)
        return target.stat().st_size

    def store(self) -> tuple[Database, Log]:
        """The store itself, made if there is none yet: for pairing and the roster, which are about no memory."""
        return self._for_writing()

    # Below ------------------------------------------------------------------------------------------------------------

    def _save_one(self, connection: Connection, log: Log, target: roster.Space, draft: Prepared) -> Saved:
        same = self._duplicate(connection, target, draft)
        if same is not None:
            notes = (*draft.filed.notes, "the same text is there already: nothing was changed")
            return Saved(
                id=same,
                duplicate=True,
                project=draft.filed.name,
                space=target.name,
                redacted=draft.findings,
                notes=notes,
            )
        content = msgspec.structs.replace(
            draft.content, supersedes=self._whole_ids(connection, draft.content.supersedes)
        )
        id = self._unused_id(connection)
        log.write(
            connection,
            target,
            [Entry(kind=Kind.SAVE, memory=id, author=self._author_for(draft.filed.keys), content=content)],
        )
        if draft.filed.place is not None:
            filing.remember(connection, draft.filed.place)
        return Saved(
            id=id,
            project=draft.filed.name,
            space=target.name,
            redacted=draft.findings,
            notes=(*draft.filed.notes, *self._warnings),
        )

    def _target(self, connection: Connection, named: str | None, draft: Prepared) -> roster.Space:
        """The space to save in: the one *named*, else the one that the project's settings name, else the personal one."""
        project = draft.filed.name
        set_for_project = "" if named else self.config.space_of(project)
        try:
            return roster.space_named(connection, named or set_for_project or roster.PERSONAL)
        except NotFound as error:
            if not set_for_project:
                raise
            hint = f"nokosu space create, or edit [projects.{project}] in {self.config.home / config.CONFIG_NAME}"
            raise NotFound(error.message, hint=hint, field="space") from error

    def _prepared(self, database: Database, draft: Draft) -> Prepared:
        """A draft with its secrets masked and its project found, before the write lock is taken."""
        return contents.prepared(draft, self._filed(database, draft.project))

    def _duplicate(self, connection: Connection, space: roster.Space, draft: Prepared) -> str | None:
        """The visible memory of the same project that says the same, or None."""
        rows = connection.rows(
            "SELECT n FROM memory WHERE digest = ?1 AND status = 0 AND "
            "(space = ?2 OR space IN (SELECT n FROM space WHERE moving_to = ?2)) LIMIT 64",
            (index.text_digest(draft.content.text), space.n),
        )
        if not rows:
            return None
        project = projects.find(connection, draft.filed.keys)
        now = self._wall_clock()
        for row in reading.rows_by_number(connection, [n for (n,) in rows]).values():
            if row.project != project or not reading.is_alive(row, now) or reading.hidden_by(connection, row, now):
                continue
            with suppress(StoreDamaged):  # what is damaged is not there any more
                if reading.shown_by(connection, row).content.text == draft.content.text:
                    return row.id
        return None

    def _mark(self, id: str, kind: Kind) -> Saved:
        """Append a forget, restore or purge to a memory, unless it is so already."""
        with before_saving():
            database, log = self._for_writing()
        with database.write() as connection:
            row = reading.row_named(connection, id)
            done = _ALREADY[kind]
            if row.status == done:
                note = f"it is {view.STATUS_NAMES[done]} already" if done != fold.Status.LIVE else "it is not forgotten"
                return Saved(
                    id=row.id,
                    duplicate=True,
                    project=row.project_name,
                    space=row.space_name,
                    notes=(note,),
                    delivery=delivery.of_memory(connection, row),
                )
            if row.status == fold.Status.PURGED:
                raise Refused(f"memory {row.id} was purged: its text is gone", field="id")
            notes = self._purge_note(connection, row) if kind == Kind.PURGE else ()
            self._append_mark(connection, log, row, kind)
            effect = delivery.of_memory(connection, reading.row_named(connection, row.id))
        return Saved(id=row.id, project=row.project_name, space=row.space_name, notes=notes, delivery=effect)

    def _append_mark(self, connection: Connection, log: Log, row: MemoryRow, kind: Kind) -> None:
        state = reading.state_of(connection, row)
        keys = state.shown.record.core.author.projects if state.shown is not None else ()
        entry = Entry(kind=kind, memory=row.id, author=self._author_for(keys), after=state.heads)
        log.write(connection, self._space(connection, row), [entry])

    def _purge_note(self, connection: Connection, row: MemoryRow) -> tuple[str, ...]:
        """What is to be said of a purge of a memory by this device; nothing if it erases all of it. Its author may purge a
        memory at once, any device 30 days after it was forgotten; in a space of one person every device is its author's.

        Raises:
            Refused: it would erase nothing.
        """
        found = index.counted_records(connection, row.space, row.id) or []
        now = self._wall_clock()
        if _is_due(row, now) and fold.is_overdue(found, now):
            return ()
        device, personal = self._own_device(connection).id, index.is_personal(connection, row.space)
        may = fold.reach(found, device=device, personal=personal)
        if may is fold.Reach.NOTHING:
            raise Refused(
                f"memory {row.id} was written on {_writers(connection, found, device)}: only that device may purge it at "
                f"once (forget it: any device may purge it {limits.RESTORE_DAYS} days later)",
                field="id",
            )
        if may is fold.Reach.ALL:
            return ()
        others = _writers(connection, found, device)
        return (
            f"what this device wrote is erased; what {others} wrote in it is hidden, and erased {limits.RESTORE_DAYS} days later",
        )

    def _purge_what_is_due(self, connection: Connection, log: Log) -> int:
        """Purge a few memories that were forgotten more than 30 days ago; how many. Those of a space that this device was
        removed from are not its to purge.
        """
        now = self._wall_clock()
        before = now - limits.RESTORE_DAYS * times.DAY_MS
        rows = connection.rows(
            "SELECT n FROM memory WHERE forgotten IS NOT NULL AND (forgotten < ?1 OR forgotten > ?2) "
            "AND coalesce(seen, forgotten) < ?1 AND EXISTS (SELECT 1 FROM member JOIN device ON device.n = member.device "
            "WHERE member.space = memory.space AND device.private_key IS NOT NULL AND NOT member.revoked) LIMIT ?3",
            (before, now, _PURGES_AT_ONCE),
        )
        purged = 0
        for row in reading.rows_by_number(connection, [n for (n,) in rows]).values() if rows else ():
            with suppress(StoreDamaged):  # it stays as it is, and stops no save
                found = index.counted_records(connection, row.space, row.id) or []
                counts = index.is_personal(connection, row.space) or fold.is_overdue(found, now)
                # A forget by a clock that is ahead is said again, by ours: 30 days after that everybody takes the purge.
                self._append_mark(connection, log, row, Kind.PURGE if counts else Kind.FORGET)
                purged += 1
        waiting = index.waiting_purges(connection, now, most=_PURGES_AT_ONCE)
        index.scrub_due(connection, now, waiting)
        return purged + len(waiting)

    def _hits(self, filters: Filters, words: str) -> Hits:
        database = self._for_reading()
        if database is None:
            return Hits(hits=(), total=0, notes=("nothing is saved yet: nokosu save TEXT",))
        now = self._wall_clock()
        with self._embedder.asked(words) as known, database.reading() as connection:
            scope = self._scope(connection, filters)
            asked = asking.asked(connection, self.config, filters, scope, now)
            asked = msgspec.structs.replace(asked, meaning=known if known.is_there else None)
            found = engine.search(connection, words, asked)
            to_install = self._embedder.to_install if words.strip() else ""
            return asking.shown(connection, found, scope, now, lacks=known.lacks, to_install=to_install)

    def _scope(self, connection: Connection, filters: Filters) -> Scope:
        if filters.all_projects:
            return Scope()
        return self._filing.for_searching(connection, self._own_device(connection), filters.project)

    def _filed(self, database: Database, named: str | None) -> Filed:
        with database.reading() as connection:
            return self._filing.for_saving(connection, self._own_device(connection), named)

    def _living(self, connection: Connection, id: str) -> MemoryRow:
        row = reading.row_named(connection, id)
        if row.status == fold.Status.FORGOTTEN:
            raise Refused(f"memory {row.id} is forgotten", hint=f"nokosu restore {row.id}", field="id")
        if row.status != fold.Status.LIVE:
            raise Refused(f"memory {row.id} has no text any more", field="id")
        return row

    def _whole_ids(
        self, connection: Connection, prefixes: tuple[str, ...], known: Content | None = None
    ) -> tuple[str, ...]:
        """The ids that prefixes stand for. A whole id may be of a memory that is not here yet; a part of one may
        not.
        """
        before = known.supersedes if known is not None else ()
        whole = (
            prefix
            if prefix in before or ids.is_memory_id(prefix)
            else reading.row_named(connection, prefix, "supersedes").id
            for prefix in prefixes
        )
        return tuple(dict.fromkeys(whole))

    def _unused_id(self, connection: Connection) -> str:
        while True:
            id = ids.new_memory_id(self._random)
            if connection.row("SELECT 1 FROM memory WHERE id = ?", (id,)) is None:
                return id

    def _author_for(self, keys: tuple[bytes, ...]) -> Author:
        return msgspec.structs.replace(self._author, projects=keys[: limits.PROJECT_KEYS_MAX])

    def _space(self, connection: Connection, row: MemoryRow) -> roster.Space:
        return roster.space_named(connection, row.space_name)

    def _own_device(self, connection: Connection) -> roster.Device:
        if self._device is None:
            self._device = roster.own_device(connection)
        return self._device

    def _for_reading(self) -> Database | None:
        """The store, or None while nothing was ever saved."""
        if self._database is None:
            path = self.config.database
            try:
                size = path.stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise StoreReadOnly(f"{path} cannot be read ({error.strerror})", hint="nokosu doctor") from error
            if size == 0:
                raise StoreDamaged(f"{path} is empty", hint="restore a backup, or remove the file to begin anew")
            self._database = Database(path, vfs=self._vfs, wait_ms=self._wait_ms)
            self._log = Log(self._database, self._index, wall_clock=self._wall_clock, random=self._random)
        return self._database

    def _for_writing(self) -> tuple[Database, Log]:
        """The store; home, file, device key and spaces are made at first use."""
        if self._for_reading() is None:
            path = self.config.database
            if self.config.is_blind_hub:
                hint = "NOKOSU_HOME=/another/folder, for memories on this machine"
                raise Refused("this home is a blind hub, and keeps no memories of its own", hint=hint)
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreReadOnly(
                    f"not saved: cannot make {path.parent} ({error.strerror})", hint="nokosu doctor"
                ) from error
            kind = filesystem.unfit_for_wal(path.parent)
            if kind is not None:
                self._warnings = (
                    f"the home is on a network file system ({kind}), which may lose saves: nokosu doctor",
                )
            store_connection.create(
                path,
                lambda fresh: roster.found(fresh, device_name=self.config.device_name, random=self._random),
                vfs=self._vfs,
            )
            self._for_reading()
        assert self._database is not None
        assert self._log is not None
        return self._database, self._log


_ALREADY: Final = {Kind.FORGET: fold.Status.FORGOTTEN, Kind.RESTORE: fold.Status.LIVE, Kind.PURGE: fold.Status.PURGED}


def _writers(connection: Connection, found: Iterable[Record], own: bytes) -> str:
    """The names of the devices, other than this one, that wrote text of a memory."""
    texts = (record.core for record in found if record.core.kind in (Kind.SAVE, Kind.EDIT))
    writers = dict.fromkeys(core.device for core in texts if core.device != own)
    named = (roster.device_with(connection, device) for device in writers)
    return ", ".join(device.name for device in named if device is not None) or "another device"


def _is_due(row: MemoryRow, now_ms: int) -> bool:
    """Whether a forgotten memory's 30 days are over. They begin when this device first saw that it was forgotten, or later if
    it was forgotten later: neither a clock that is behind nor one that is ahead decides alone.
    """
    if row.forgotten is None:
        return False
    before = now_ms - limits.RESTORE_DAYS * times.DAY_MS
    seen = row.forgotten if row.seen is None else row.seen
    return seen < before and not before <= row.forgotten <= now_ms
