"""One storage: what it was seen to hold, and when to look at it again. `Storages` asks the questions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from nokosu import limits
from nokosu.engine import replication
from nokosu.engine.located import MINOR
from nokosu.mesh.audit import Audit, Subject
from nokosu.mesh.holdings import Held, PageName
from nokosu.mesh.ours import Ours
from nokosu.mesh.reconcile import Pause
from nokosu.store.proofs import Proof


class StorageState(Struct, frozen=True, kw_only=True):
    """What is known of one zenohd's storages.

    `lacking` is how many of the records that we hold it is not proven to have, None while it was not looked at; `pending`
    are purged memories that may still lie there with their text; `announcements` how many devices are announced there;
    `seen_ms` when it answered a look, in milliseconds since 1970; `problem` what keeps it from replicating with the others.
    """

    zid: str
    version: str
    fingerprint: str
    reachable: bool
    lacking: int | None
    pending: tuple[str, ...]
    announcements: int
    seen_ms: int | None
    problem: str


class Stored:
    """One storage, and what it was seen to hold."""

    def __init__(self, zid: str) -> None:
        self.zid = zid
        self.version = self.fingerprint = ""
        self.is_here = False
        self.has_looked = False  # since it appeared
        self.look_at = self.audit_at = 0.0
        self.is_looking = False
        self.seen_ms: int | None = None
        self.stamps: dict[bytes, int] = {}  # of the announcements it had at the last look
        self.looking: dict[bytes, int] = {}  # the same, of the look that is on its way
        self.own_counter = self.looking_counter = 0
        self.told = 0  # our own counter when it was asked
        self.proven: dict[PageName, Held] = {}
        self.dirty: dict[PageName, float] = {}  # pages that it may lack, and when to look
        self.to_probe: deque[PageName] = deque()
        self.brought: set[str] = set()  # records that it has given us when we lacked them
        self.recent: dict[str, float] = {}  # seen there so lately that a power cut may take them
        self.scrubbed: set[str] = set()
        self.look_at_scrubbed_at: float | None = None
        self.doubted: dict[str, float] = {}  # records that may lie there without their text, and when to look
        self.is_rekeyed = False
        self.wants_roster = False
        self.has_told_roster = False  # all that it knows of how the secret was changed
        self.audits: list[Audit] = []
        self.out = 0
        self.roster_pause = Pause(limits.BACK_OFF_SECONDS_MAX)
        self.unreached = Pause(limits.UNREACHED_SECONDS_MAX)
        self.untaken = Pause(limits.BACK_OFF_SECONDS_MAX)

    def ready_at(self) -> float:
        """When its pauses are over."""
        return max(self.unreached.until, self.untaken.until)

    def is_auditing(self, subject: Subject) -> bool:
        """Whether an audit of this kind is on its way."""
        return any(audit.subject == subject for audit in self.audits)

    def begin(self, now: float) -> None:
        """It is there, or everything is to be looked at anew."""
        self.look_at = self.audit_at = now
        self.has_looked = False
        self.unreached.clear()
        self.untaken.clear()
        for page in self.dirty:
            self.dirty[page] = now

    def take_brought(self, tail: str) -> bool:
        """Whether it has given us that record; asked once."""
        if tail not in self.brought:
            return False
        self.brought.remove(tail)
        return True

    def doubt(self, tail: str, at: float) -> None:
        """That record may lie there without its text: look at it then."""
        if len(self.doubted) < limits.DOUBTED_MAX:
            self.doubted.setdefault(tail, at)

    def take_doubted(self, now: float) -> list[str]:
        """The records to look at now; none as long as others are looked at."""
        if self.is_auditing(Subject.SCRUB):
            return []
        due = [tail for tail, at in self.doubted.items() if at <= now]
        for tail in due:
            del self.doubted[tail]
        return due

    def note_recent(self, tails: Iterable[str], now: float) -> None:
        """These were just seen there."""
        for tail in tails:
            self.recent.pop(tail, None)
            self.recent[tail] = now
        while self.recent:
            tail, when = next(iter(self.recent.items()))
            if when >= now - limits.RECENT_SECONDS and len(self.recent) <= limits.RECENT_MAX:
                break
            del self.recent[tail]

    def forget(self, pages: Iterable[PageName], now: float) -> None:
        """It went back in time: nothing is proven any more."""
        self.proven.clear()
        self.recent.clear()
        self.brought.clear()
        self.to_probe.clear()
        self.scrubbed.clear()
        self.doubted.clear()
        self.audits.clear()
        self.dirty = dict.fromkeys(pages, now)

    def times(self, now: float) -> Iterator[float]:
        """When there is something to do for it."""
        if not self.is_looking:
            yield self.look_at
        if self.wants_roster:
            yield self.roster_pause.until
        if self.has_looked:
            yield self.audit_at
            if self.look_at_scrubbed_at is not None:
                yield self.look_at_scrubbed_at
            if self.doubted and not self.is_auditing(Subject.SCRUB):
                yield min(self.doubted.values())
            if len(self.audits) < limits.AUDITS_AT_ONCE:
                busy = {audit.page for audit in self.audits}
                yield from (at for page, at in self.dirty.items() if page not in busy)
                if self.to_probe:
                    yield now
            yield from (audit.again_at for audit in self.audits if audit.again_at is not None)
            if any(audit.to_put for audit in self.audits):
                yield now
        yield now + limits.AUDIT_EVERY_SECONDS

    def remember(self, before: Proof, now: float) -> None:
        """What was written down of it, by the last node that was here."""
        self.stamps, self.seen_ms = dict(before.stamps), before.seen_ms
        self.proven = {
            PageName(log, page): Held(count, last) for log, pages in before.pages.items() for page, count, last in pages
        }
        self.recent = dict.fromkeys(before.recent, now)

    def proof(self) -> Proof:
        """What there is to write down."""
        pages: dict[bytes, list[tuple[int, int, int]]] = {}
        for page, held in self.proven.items():
            pages.setdefault(page.log, []).append((page.page, held.count, held.last))
        return Proof(self.seen_ms or 0, self.stamps, pages, list(self.recent))

    def state(self, ours: Ours) -> StorageState:
        """What is known of it, for people."""
        waiting = {ours.purged[tail] for tail in ours.purged.keys() - self.scrubbed}
        return StorageState(
            zid=self.zid,
            version=self.version,
            fingerprint=self.fingerprint,
            reachable=self.is_here,
            lacking=self._lacking(ours.holdings.pages) if self.has_looked else None,
            pending=tuple(sorted(waiting)),
            announcements=len(self.stamps),
            seen_ms=self.seen_ms,
            problem=self._problem(),
        )

    def _lacking(self, pages: Mapping[PageName, Held]) -> int:
        nothing = Held(0, 0)
        return sum(
            held.count - min(self.proven.get(page, nothing).count, held.count)
            for page, held in pages.items()
            if self.proven.get(page) != held
        )

    def _problem(self) -> str:
        if not self.version.startswith(f"{MINOR}."):
            return f"its zenohd is {self.version}, and not of {MINOR} as the others are"
        if self.fingerprint != replication.FINGERPRINT:
            return "its replication is set otherwise, so it does not replicate with the others"
        return ""
