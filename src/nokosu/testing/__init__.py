"""A test kit: time, randomness and other devices, all in the test's hand. What our own tests use, and shipped so that
yours can.

    clock, random = ManualClock(), SeededRandom(1)
    with Store(tmp_path / "nokosu.db", wall_clock=clock, random=random) as store:
        peer = Peer(store.personal.id, wall_clock=clock, random=random)
        store.admit(peer)
        saved = peer.save("Deploys run from the main branch only.")
        store.log.append_many([peer.edit(saved, text="Deploys run from release branches."), saved])  # in any order

`LoopbackMesh` has several hosts exchange their records over a network made of faults, in virtual time; `Story` has people
work on them meanwhile, and checks what must hold in the end.

Nothing here is imported by the rest of nokosu.
"""

from __future__ import annotations

import random as standard_random
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from nokosu import clock, ids, limits, records
from nokosu.drafts import Draft
from nokosu.identity import boxes
from nokosu.identity.keys import SigningKey
from nokosu.identity.secrets import key_id
from nokosu.records import (
    ROSTER_KINDS,
    Admission,
    Author,
    Content,
    Core,
    Cut,
    Kind,
    Position,
    Record,
    Revocation,
    RosterContent,
)
from nokosu.store import connection as store_connection
from nokosu.store import membership, roster
from nokosu.store.connection import Database
from nokosu.store.index import Index
from nokosu.store.log import Log, append_within
from nokosu.store.roster import Space
from nokosu.testing.loopback import LoopbackMesh
from nokosu.testing.network import Faults
from nokosu.testing.story import Story

__all__ = [
    "DAY_MS", "HOUR_MS", "NEW_YEAR_MS", "SAMPLE_DRAFTS", "SECOND_MS", "Faults", "LoopbackMesh", "ManualClock", "Peer", "SeededRandom",
    "Store", "Story",
]  # fmt: skip

NEW_YEAR_MS: Final = 1_767_225_600_000
"""2026-01-01T00:00:00Z, where a `ManualClock` starts."""

SECOND_MS: Final = 1_000
HOUR_MS: Final = 3_600 * SECOND_MS
DAY_MS: Final = 24 * HOUR_MS


class ManualClock:
    """A wall clock that stands still until it is moved. Call it for the time, in milliseconds since 1970.

    >>> clock = ManualClock(1_000)
    >>> clock.advance(ms=500)
    >>> clock()
    1500
    """

    def __init__(self, now_ms: int = NEW_YEAR_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, *, days: int = 0, ms: int = 0) -> None:
        """Move the clock; back, where the numbers are negative."""
        self.now_ms += days * DAY_MS + ms


class SeededRandom:
    """Random bytes that are the same for the same seed: `os.urandom` for tests."""

    def __init__(self, seed: int = 0) -> None:
        self._source = standard_random.Random(seed)  # noqa: S311 - for tests

    def __call__(self, size: int) -> bytes:
        return self._source.randbytes(size)


class Peer:
    """Another device: makes records that are signed, numbered and chained as a real one does, in one log of a space.

    Its clock is its own and may be wrong. `after` takes the records that the new one follows; nothing is looked up.
    """

    def __init__(
        self,
        space: bytes,
        *,
        wall_clock: clock.WallClock | None = None,
        random: ids.Random | None = None,
        name: str = "peer",
        agent: str = "",
    ) -> None:
        self.space = space
        self.name = name
        self.agent = agent
        self.wall_clock = wall_clock or ManualClock()
        self.random = random or SeededRandom()
        private = self.random(32)
        self.key = SigningKey(private)
        self.box_key = boxes.public_key(boxes.private_key(private))
        self.device = records.device_id(self.key.public)
        self.log: list[Record] = []
        self.nonce = self.random(ids.BINARY_ID_BYTES)
        self._high_water = 0

    def save(self, text: str, *, memory: str = "", projects: tuple[bytes, ...] = (), **fields: Any) -> Record:
        """Save a new memory; *fields* are those of `Content`."""
        return self.write(
            Kind.SAVE,
            memory or ids.new_memory_id(self.random),
            content=Content(text=text, **fields),
            projects=projects,
        )

    def edit(self, *after: Record, text: str, projects: tuple[bytes, ...] = (), **fields: Any) -> Record:
        """Write a new version that follows the records *after*."""
        return self._mark(Kind.EDIT, after, content=Content(text=text, **fields), projects=projects)

    def forget(self, *after: Record) -> Record:
        """Forget the memory, having seen the records *after*."""
        return self._mark(Kind.FORGET, after)

    def restore(self, *after: Record) -> Record:
        """Restore the memory, having seen the records *after*."""
        return self._mark(Kind.RESTORE, after)

    def purge(self, *after: Record) -> Record:
        """Purge the memory, having seen the records *after*."""
        return self._mark(Kind.PURGE, after)

    def write(
        self,
        kind: str,
        memory: str,
        *,
        content: Content | RosterContent | None = None,
        after: Iterable[Record] = (),
        projects: tuple[bytes, ...] = (),
        hlc: int | None = None,
        wall: int | None = None,
        body: bytes | None = None,
        unknown: dict[str, Any] | None = None,
    ) -> Record:
        """Write the next record of the log. *hlc*, *wall* and *body* replace what the clock and *content* would give;
        *unknown* are fields of a later version in the body.
        """
        now = self.wall_clock()
        self._high_water = clock.tick(self._high_water, now) if hlc is None else hlc
        if body is None:
            body = records.encode_body(content, self.random(records.SALT_BYTES), unknown=unknown)
        core = Core(
            v=records.FORMAT_VERSION,
            device=self.device,
            kind=kind,
            memory=memory,
            hlc=self._high_water,
            wall=now if wall is None else wall,
            body=sha256(body).digest(),
            after=tuple(sorted(record.id for record in after)),
            author=Author(agent=self.agent, host=self.name, projects=projects),
        )
        made = records.parse(*self.sign(records.encode_core(core), body, self.next_place()))
        self.log.append(made)
        return made

    def admit(self, public_key: bytes, box_key: bytes, name: str) -> Record:
        """Admit a device to the space."""
        return self.write(Kind.ADMIT, "", content=Admission(key=public_key, box=box_key, name=name))

    def revoke(self, device: bytes, *ends: Record) -> Record:
        """Revoke a device of which the records up to *ends* were here."""
        cut = tuple(Cut(end.place.log, end.place.seq, end.hash) for end in ends)
        return self.write(Kind.REVOKE, "", content=Revocation(device=device, cut=cut))

    def copy(self, record: Record) -> Record:
        """Append *record* once more, as the next of this log: another place, the same record id."""
        made = records.parse(*self.sign(records.core_bytes(record), record.body, self.next_place()))
        self.log.append(made)
        return made

    def next_place(self) -> Position:
        """Where the next record goes."""
        log = records.log_id(self.device, self.nonce)
        if not self.log:
            return Position(space=self.space, log=log, seq=1, nonce=self.nonce, key=self.key.public)
        last = self.log[-1]
        return Position(space=self.space, log=log, seq=last.place.seq + 1, prev=last.hash)

    def sign(self, core: bytes, body: bytes | None, place: Position) -> tuple[bytes, bytes, bytes | None]:
        """Header, signature and body of any record at all, a malformed one too; it enters no log."""
        header = records.encode_header(core, place)
        return header, self.key.sign(header), body

    def clone(self) -> Peer:
        """The same device once more, as a copied disk or a restored backup makes it: from here on its log branches."""
        other = Peer(self.space, wall_clock=self.wall_clock, random=self.random, name=self.name, agent=self.agent)
        other.key, other.box_key, other.device, other.log = self.key, self.box_key, self.device, list(self.log)
        other.nonce, other._high_water = self.nonce, self._high_water
        return other

    def _mark(
        self,
        kind: Kind,
        after: tuple[Record, ...],
        content: Content | None = None,
        projects: tuple[bytes, ...] = (),
    ) -> Record:
        return self.write(kind, after[0].core.memory, content=content, after=after, projects=projects)


class Store:
    """A database file with its log, below `Nokosu`: where records of other devices arrive. Made if it is not there.

    `founders` holds, by space, the device that founded a space which this store has joined.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall_clock: clock.WallClock | None = None,
        random: ids.Random | None = None,
        settled_at_once: int = limits.SETTLED_AT_ONCE_MAX,
    ) -> None:
        random = random or SeededRandom()
        if not path.exists():
            store_connection.create(path, lambda fresh: roster.found(fresh, device_name="test", random=random))
        self._random = random
        self.founders: dict[bytes, Peer] = {}
        self.database = Database(path)
        self.log = Log(
            self.database,
            Index(),
            wall_clock=wall_clock or ManualClock(),
            random=random,
            settled_at_once=settled_at_once,
        )

    @property
    def personal(self) -> Space:
        """The space that a save goes to."""
        return self.space(roster.PERSONAL)

    def space(self, name: str) -> Space:
        """The space of that name."""
        with self.database.reading() as connection:
            return roster.space_named(connection, name)

    def join(self, space: bytes, *peers: Peer, name: str = "shared") -> Space:
        """Enter a space of other devices, and have *peers* admitted to it.

        The space was founded by a device of its own, the same in every store that joins it; what it says lies in the
        space like any other records.
        """
        founder = self._founder_of(space)
        with self.database.write() as connection:
            key, box = roster.own_public_key(connection), boxes.public_key(roster.box_private_key(connection))
            own = roster.own_device(connection)
            admitted = founder.admit(key, box, own.name)
            secret = bytes(roster.SECRET_BYTES)
            entered = roster.add_space(
                connection, space, name, founder.key.public, roster.Secret(key_id(secret), 0, secret)
            )
            append_within(connection, Index(), [admitted])
        self.admit(*peers)
        return entered

    def admit(self, *peers: Peer) -> None:
        """Let the records of *peers* count in their space: this device says so, or the founder of a space it has joined."""
        for peer in peers:
            founder = self.founders.get(peer.space)
            if founder is not None:
                self.log.append(founder.admit(peer.key.public, peer.box_key, peer.name))
                continue
            with self.database.write() as connection:
                space = roster.space_with(connection, peer.space)
                assert space is not None
                membership.admit(
                    self.log, connection, space, public_key=peer.key.public, box_key=peer.box_key, name=peer.name
                )

    def _founder_of(self, space: bytes) -> Peer:
        """The device that founded a space which this store joins; each store has a log of it of its own."""
        founder = Peer(space, random=SeededRandom(int.from_bytes(space, "big")), name="founder")
        founder.nonce = self._random(ids.BINARY_ID_BYTES)
        self.founders[space] = founder
        return founder

    def records(self, *, with_roster: bool = False) -> list[Record]:
        """Every record of every log, in the order they came; those of the roster only where asked for."""
        rows = self.database.rows("SELECT header, signature, body FROM record ORDER BY n")
        found = (records.read(*row) for row in rows)
        return [record for record in found if with_roster or record.core.kind not in ROSTER_KINDS]

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


SAMPLE_DRAFTS: Final = (
    Draft(
        text="Deploys run from the main branch only; the release branch is frozen.", type="decision", tags=("deploy",)
    ),
    Draft(text="We chose PostgreSQL over MySQL because of transactional DDL.", type="decision", importance=4),
    Draft(text="The flaky test in test_checkout.py waits for a clock that the CI container does not have.", type="bug"),
    Draft(
        text="Retry with exponential backoff and jitter, three times at most.", type="pattern", tags=("http", "retry")
    ),
    Draft(text="Set RUST_LOG=debug to see which certificate is refused.", type="config", refs=("src/tls.rs",)),
    Draft(text="getUserById returns null for users that were merged; use resolveUser instead.", type="bug"),
    Draft(text="本番環境のデプロイは金曜日にはしない。", type="decision", subject="デプロイの曜日"),
    Draft(text="Version 3.11.7 of the image lacks libpq; pin 3.11.9.", type="bug", importance=5),
    Draft(text="The nightly backup is written to /srv/backup and kept for 14 days.", type="note"),
    Draft(text="Sprint summary: search is twice as fast, the importer still drops comments.", type="summary"),
)
"""Memories as agents write them: each type, tags, references, code names, Japanese."""
