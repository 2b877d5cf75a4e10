"""Storages: what each zenohd's pair of storages holds, made sure of by asking that very storage.

That a `put` returned proves nothing, so for each page of each log that we hold, whoever wrote it, a storage is believed to
have it only when it has given every record of it, sealed as it should be. What is missing is put and asked for again: so one
that was wiped, or put back, or lost the end of what was written is filled by any device. The same is done for records
whose text was purged, which must not lie there with it, for our announcement, and, where the secret was changed, for the
roster's records. What others have announced there is told to reconcile, which fetches what we lack.

Driven by `Exchange`; nothing waits for a storage. DESIGN.md tells why each question is asked.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final

from msgspec import Struct

from nokosu import clock, ids, limits
from nokosu.mesh import holdings, keys
from nokosu.mesh.audit import Audit, Subject
from nokosu.mesh.holdings import Held, PageName
from nokosu.mesh.inbox import Sample
from nokosu.mesh.ours import Lies, Ours
from nokosu.mesh.publisher import Put
from nokosu.mesh.reconcile import Get
from nokosu.mesh.seal import Keyring
from nokosu.mesh.stored import StorageState, Stored
from nokosu.store import proofs, roster
from nokosu.store.connection import Database
from nokosu.store.roster import Space
from nokosu.store.sqlite import Connection

__all__ = ["About", "StorageState", "Storages"]

logger = logging.getLogger(__name__)

_PUTS_AT_ONCE: Final = 64
_PUT_BYTES_AT_ONCE: Final = 1024 * 1024
_PROBED_BESIDE_THE_LAST: Final = 2
_WHOLE_PAGES_AT_ONCE: Final = 2


class About(Enum):
    """What a question to a storage is about."""

    LOOK = "look"  # all announcements
    ROSTER = "roster"  # how the secret was changed
    AUDIT = "audit"


class _Asked(Struct):
    """A question on its way; `since` is when it was asked, or when its last answer came."""

    get: Get
    stored: Stored
    about: About
    since: float
    audit: Audit | None = None


class Storages:
    """All storages of a space."""

    def __init__(
        self, database: Database, space: Space, own: bytes, *, numbers: Iterator[int], random: ids.Random,
        wall_clock: clock.WallClock, monotonic: Callable[[], float],
    ) -> None:  # fmt: skip
        """*own* is this device; *numbers* are those of questions, unlike those of anybody else's."""
        self.counter = 0  # of our last announcement
        self.must_announce = False  # a storage does not have it
        self._database, self._space, self._own = database, space, own
        self._numbers, self._random, self._wall_clock = numbers, random, wall_clock
        self._monotonic = monotonic
        self._stored: dict[str, Stored] = {}
        self._asked: dict[int, _Asked] = {}
        self._ours = Ours(space, own)
        self._write_at: float | None = None
        self._unwritten: set[str] = set()

    @property
    def is_empty(self) -> bool:
        """Whether none was ever there."""
        return not self._stored

    # Who is there -----------------------------------------------------------------------------------------------------

    def appeared(self, hub: keys.Hub, now: float) -> None:
        """A storage's token is there."""
        stored = self._stored.get(hub.zid)
        if stored is None:
            stored = self._new(hub.zid)
        if stored is None:
            return
        stored.version, stored.fingerprint, stored.is_here = hub.version, hub.fingerprint, True
        stored.begin(now)

    def vanished(self, zid: str) -> None:
        """A storage's token is gone; Zenoh may never end what it was asked."""
        for asked in self._asked.values():
            if asked.stored.zid == zid:
                asked.since = -limits.STORAGE_SILENT_SECONDS_MAX
        stored = self._stored.get(zid)
        if stored is not None:
            stored.is_here = False
            stored.audits.clear()
            stored.brought.clear()

    def ask_all(self, now: float) -> None:
        """Look at every storage now."""
        for stored in self._stored.values():
            stored.begin(now)

    # What happened here -----------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """What we hold may have changed."""
        self._ours.is_changed = True

    def purged(self) -> None:
        """Bodies were removed here."""
        self._ours.has_purged = True

    def roster_changed(self, now: float) -> None:
        """Others may be admitted, the secret may be another, and a purge may count no more."""
        self._ours.has_purged = self._ours.is_rekeyed = True
        for stored in self._stored.values():
            stored.look_at = now
            stored.is_rekeyed = stored.has_told_roster = False
            stored.roster_pause.clear()

    def unknown_key(self) -> None:
        """Something is sealed under a key that is not here: a storage can tell how the key changed."""
        for stored in self._stored.values():
            stored.wants_roster |= stored.is_here

    def doubt(self, tails: Iterable[str], now: float) -> None:
        """Somebody says for long that these are not to be had, though a storage was seen to have them."""
        for stored in self._stored.values():
            for tail in tails:
                stored.doubt(tail, now)

    # What a storage answered ------------------------------------------------------------------------------------------

    def about(self, get: int) -> About | None:
        """What a question is about; None when it is none of ours."""
        asked = self._asked.get(get)
        return asked.about if asked is not None else None

    def zid(self, get: int) -> str:
        """Which storage was asked."""
        return self._asked[get].stored.zid

    def heard(self, get: int | None) -> None:
        """An answer to that question came, whatever it is: it is not silent."""
        asked = self._asked.get(get or 0)
        if asked is not None:
            asked.since = self._monotonic()

    def found(self, sample: Sample, device: bytes) -> None:
        """A device's announcement lies there, whatever it may say."""
        asked = self._asked.get(sample.get or 0)
        if asked is not None:
            asked.stored.looking[device] = sample.stamp

    def found_own(self, get: int, counter: int) -> None:
        """The announcement of this very node lies there."""
        asked = self._asked.get(get)
        if asked is not None:
            asked.stored.looking_counter = max(counter, asked.stored.looking_counter)

    @property
    def own_stamp(self) -> int:
        """The latest stamp of our announcement in any storage."""
        return max((stored.stamps.get(self._own, 0) for stored in self._stored.values()), default=0)

    def brought(self, zid: str, tail: str) -> None:
        """A storage was asked for what we lacked, and gave this record: it need not be asked for it again."""
        stored = self._stored.get(zid)
        if stored is not None and stored.is_here and len(stored.brought) < limits.BROUGHT_MAX:
            stored.brought.add(tail)

    def saw(self, sample: Sample, keyring: Keyring) -> None:
        """An answer to an audit's question."""
        asked = self._asked.get(sample.get or 0)
        if asked is None or asked.audit is None or asked.audit not in asked.stored.audits:
            return
        audit = asked.audit
        tail = audit.tail(sample.key)
        if tail is None:
            return
        judge = self._ours.judge_copy if audit.subject == Subject.REKEY else self._ours.judge
        lies = judge(tail, sample.payload, keyring)
        if lies == Lies.UNKNOWN and asked.stored.has_told_roster:
            lies = Lies.OTHER  # no member's: whoever changes the secret tells there how
        if lies == Lies.WITHOUT_TEXT:
            lies = self._judge_missing_text(asked.stored, audit, tail)
        is_held = None if lies == Lies.UNKNOWN else lies == Lies.RIGHT
        audit.saw(tail, is_held=is_held, stamp=sample.stamp)

    def _judge_missing_text(self, stored: Stored, audit: Audit, tail: str) -> Lies:
        """A purge may be on its way that took the text. One that never comes, as a revoked device's that nobody got, took it
        in vain: looked at again after a while, what has its text here is to have it there.
        """
        if audit.subject != Subject.SCRUB:
            stored.doubt(tail, self._monotonic() + limits.SCRUB_AGAIN_SECONDS)
            return Lies.RIGHT
        with self._database.reading() as connection:
            return Lies.OTHER if holdings.has_text(connection, self._space, tail) else Lies.RIGHT

    def ended(self, id: int, now: float, *, failed: bool) -> None:
        """A question is done with; called after all its answers were looked at."""
        asked = self._asked.pop(id, None)
        if asked is None:
            return
        stored = asked.stored
        stored.out -= 1
        if failed:
            stored.unreached.fail(now)
        else:
            stored.unreached.clear()
        if asked.about == About.LOOK:
            self._looked(stored, now, failed=failed)
        elif asked.about == About.ROSTER:
            stored.wants_roster |= failed
            stored.has_told_roster = not failed
        elif asked.audit is not None and asked.audit in stored.audits:
            asked.audit.ended(asked.get.selector, failed=failed)
            self._finish(stored, asked.audit, now)

    def overdue(self, now: float) -> list[int]:
        """Questions that nobody ended in time."""
        return [id for id, asked in self._asked.items() if asked.since + limits.STORAGE_SILENT_SECONDS_MAX <= now]

    # What to ask and to put -------------------------------------------------------------------------------------------

    def plan(self, connection: Connection, keyring: Keyring, now: float) -> list[Put | Get]:
        """What to send now."""
        if not self._stored:
            return []
        self._look(connection, keyring, now)
        out: list[Put | Get] = []
        for stored in self._stored.values():
            if stored.is_here and stored.ready_at() <= now:
                out += self._plan_for(stored, connection, keyring, now)
        return out

    def due(self, now: float) -> float | None:
        """When `plan` or `write_down` may have something to do though nothing happens."""
        if self._stored and self._ours.must_look:
            return now
        times = [asked.since + limits.STORAGE_SILENT_SECONDS_MAX for asked in self._asked.values()]
        if self._write_at is not None:
            times.append(self._write_at)
        here = [stored for stored in self._stored.values() if stored.is_here]
        times += [max(stored.ready_at(), min(stored.times(now))) for stored in here]
        return min(times, default=None)

    def write_down(self, now: float) -> None:
        """What was proven, now and then: this process may end at any time."""
        if self._write_at is None or self._write_at > now:
            return
        zids, self._unwritten, self._write_at = self._unwritten, set(), None
        with self._database.write() as connection:
            for stored in (self._stored[zid] for zid in sorted(zids) if zid in self._stored):
                proofs.keep(connection, self._space, stored.zid, stored.proof())

    def states(self, connection: Connection) -> list[StorageState]:
        """What is known of each, by its id."""
        if self._stored:
            self._look_at_pages(connection, self._monotonic())
        return [stored.state(self._ours) for _, stored in sorted(self._stored.items())]

    # Below: one storage -----------------------------------------------------------------------------------------------

    def _new(self, zid: str) -> Stored | None:
        if len(self._stored) >= limits.STORAGES_MAX:
            with self._database.reading() as connection:
                hubs = {hub.zid for hub in roster.hubs(connection, self._space)}
            others = [stored for stored in self._stored.values() if stored.zid not in hubs]
            gone = [stored for stored in others if not stored.is_here]
            going = gone or (others if zid in hubs else [])  # a hub of the space makes room for no other
            if not going:
                return None
            del self._stored[going[0].zid]
        stored = self._stored[zid] = Stored(zid)
        with self._database.reading() as connection:
            before = proofs.known(connection, self._space, zid)
        if before is not None:
            stored.remember(before, self._monotonic())
        stored.dirty = {
            page: 0.0 for page, held in self._ours.holdings.pages.items() if stored.proven.get(page) != held
        }
        return stored

    def _look(self, connection: Connection, keyring: Keyring, now: float) -> None:
        """Take in what changed here since the last time."""
        if self._ours.is_changed:
            self._look_at_pages(connection, now)
        if self._ours.look_at_purges(connection):
            for stored in self._stored.values():
                stored.look_at_scrubbed_at = now + limits.SCRUB_AGAIN_SECONDS
        self._ours.look_at_roster(connection, keyring)
        if self._ours.has_met_unknown_key:
            self._ours.has_met_unknown_key = False
            self.unknown_key()

    def _look_at_pages(self, connection: Connection, now: float) -> None:
        for page in self._ours.look_at_pages(connection):
            is_own = page.log in self._ours.logs
            at = now + (limits.AUDIT_QUIET_SECONDS if is_own else limits.AUDIT_OTHERS_SECONDS)
            for stored in self._stored.values():
                if stored.proven.get(page) != self._ours.holdings.pages[page]:
                    stored.dirty.setdefault(page, at if stored.has_looked else now)

    def _plan_for(self, stored: Stored, connection: Connection, keyring: Keyring, now: float) -> list[Put | Get]:
        out: list[Put | Get] = []
        if stored.wants_roster and stored.roster_pause.until <= now:
            stored.wants_roster = False
            stored.roster_pause.fail(now)  # cleared when the roster changes
            out.append(self._ask(stored, keys.rekey(self._space.id, "**"), About.ROSTER, now))
        if stored.look_at <= now and not stored.is_looking:
            stored.look_at = now + limits.COMPARE_EVERY_SECONDS
            stored.is_looking, stored.looking, stored.looking_counter = True, {}, 0
            stored.told = self.counter
            out.append(self._ask(stored, keys.vec_all(self._space.id), About.LOOK, now))
        if not stored.has_looked:
            return out
        self._begin_again(stored, now)
        self._start(stored, connection, now)
        out += self._questions(stored, now)
        out += self._puts(stored, connection, keyring, now)
        return out

    def _begin_again(self, stored: Stored, now: float) -> None:
        """When it has appeared, and now and then, look whether it still has what it had."""
        if stored.audit_at <= now:
            stored.audit_at = now + limits.AUDIT_EVERY_SECONDS
            stored.scrubbed.clear()
            stored.is_rekeyed = False
            pages = [page for page in stored.proven if page not in stored.dirty]
            start = int.from_bytes(self._random(4), "big") % max(len(pages), 1)  # not all devices at the same one
            stored.to_probe = deque(pages[start:] + pages[:start])
            self._begin(stored, self._audit(Subject.PROBE, stored.recent), now)
        if stored.look_at_scrubbed_at is not None and stored.look_at_scrubbed_at <= now:
            stored.look_at_scrubbed_at = None
            stored.scrubbed.clear()  # what was on its way when it was looked at has arrived

    def _start(self, stored: Stored, connection: Connection, now: float) -> None:
        """Begin what is to be looked at, as much as may be at a time."""
        unproven = [tail for tail in (*self._ours.purged, *self._ours.owed) if tail not in stored.scrubbed]
        unproven += stored.take_doubted(now)
        if unproven and not stored.is_auditing(Subject.SCRUB):
            self._begin(stored, self._audit(Subject.SCRUB, unproven), now)
        if not stored.is_rekeyed and not stored.is_auditing(Subject.REKEY):
            stored.is_rekeyed = True
            if self._ours.copies:
                every = keys.rekey(self._space.id, "**")
                self._begin(stored, self._audit(Subject.REKEY, self._ours.copies, every=every), now)
        busy = {audit.page for audit in stored.audits}
        room = limits.AUDITS_AT_ONCE - len(stored.audits)
        due = [page for page, at in stored.dirty.items() if at <= now and page not in busy] if room > 0 else []
        for page in due[: max(room, 0)]:
            self._start_page(stored, connection, page, now)
        while stored.to_probe and len(stored.audits) < limits.AUDITS_AT_ONCE:
            page = stored.to_probe.popleft()
            if page in stored.proven and page not in stored.dirty:
                tails = holdings.some(connection, self._space, page, self._random, others=_PROBED_BESIDE_THE_LAST)
                self._begin(stored, self._audit(Subject.PROBE, tails, page=page), now)

    def _start_page(self, stored: Stored, connection: Connection, page: PageName, now: float) -> None:
        held, before = self._ours.holdings.pages.get(page), stored.proven.get(page)
        if held is None or held == before:
            del stored.dirty[page]
            return
        after = before.last if before is not None else 0
        tails = holdings.tails(connection, self._space, page, after=after, until=held.last)
        if before is not None and before.count + len(tails) != held.count:
            tails = holdings.tails(connection, self._space, page, after=0, until=held.last)
        tails = [tail for tail in tails if not stored.take_brought(tail)]
        every = f"{keys.space(self._space.id)}/rec/{page.log.hex()}/{page.page}/*"
        self._begin(stored, self._audit(Subject.PAGE, tails, every=every, page=page, held=held), now)

    def _begin(self, stored: Stored, audit: Audit, now: float) -> None:
        stored.audits.append(audit)
        self._finish(stored, audit, now)  # there may be nothing to ask for

    def _audit(
        self, subject: Subject, tails: Iterable[str], *, every: str = "", page: PageName | None = None, held: Held | None = None
    ) -> Audit:  # fmt: skip
        base = keys.rekey(self._space.id, "") if subject == Subject.REKEY else keys.rec_at(self._space.id, "")
        return Audit(subject, base, tails, every=every, page=page, held=held)

    def _questions(self, stored: Stored, now: float) -> list[Get]:
        gets: list[Get] = []
        whole = sum(
            asked.stored is stored and asked.audit is not None and asked.get.selector.endswith("*")
            for asked in self._asked.values()
        )
        for audit in stored.audits:
            if audit.again_at is not None and audit.again_at <= now:
                audit.ask_again()
            while stored.out < limits.QUESTIONS_PER_STORAGE_MAX:
                if audit.is_whole and whole >= _WHOLE_PAGES_AT_ONCE:
                    break
                whole += audit.is_whole
                selector = audit.next_question()
                if selector is None:
                    break
                gets.append(self._ask(stored, selector, About.AUDIT, now, audit))
        return gets

    def _ask(self, stored: Stored, selector: str, about: About, now: float, audit: Audit | None = None) -> Get:
        get = Get(next(self._numbers), b"", selector, stored.zid)
        self._asked[get.id] = _Asked(get, stored, about, now, audit)
        stored.out += 1
        return get

    def _puts(self, stored: Stored, connection: Connection, keyring: Keyring, now: float) -> list[Put]:
        """What was missing there, as much as may be sent in one go."""
        found: list[Put] = []
        size = 0
        for audit in stored.audits:
            while audit.to_put and len(found) < _PUTS_AT_ONCE and size < _PUT_BYTES_AT_ONCE:
                tail = audit.to_put.popleft()
                put = self._put(audit, tail, connection, keyring)
                if put is None:
                    audit.left.pop(tail, None)
                else:
                    found.append(put)
                    size += len(put.payload)
                if not audit.to_put:
                    audit.put_all(now)
        return found

    def _put(self, audit: Audit, tail: str, connection: Connection, keyring: Keyring) -> Put | None:
        if audit.subject == Subject.REKEY:
            key, payload = keys.rekey(self._space.id, tail), self._ours.copies.get(tail)
        else:
            key, payload = keys.rec_at(self._space.id, tail), self._ours.payload(connection, keyring, tail)
        return Put(key, payload, audit.left.get(tail, 0)) if payload is not None else None

    def _finish(self, stored: Stored, audit: Audit, now: float) -> None:
        """Take in what an audit has come to, if it has."""
        if not audit.is_over:
            return
        stored.audits.remove(audit)
        if audit.is_refused:
            stored.untaken.fail(now)
        elif not audit.left:
            stored.untaken.clear()
        if audit.subject == Subject.SCRUB:
            stored.scrubbed |= set(audit.names) - audit.left.keys()
        elif audit.subject == Subject.REKEY:
            stored.is_rekeyed &= not audit.left
        elif audit.subject == Subject.PROBE:
            self._finish_probe(stored, audit, now)
        elif audit.page is not None and not audit.left:
            self._finish_page(stored, audit, audit.page, now)

    def _finish_probe(self, stored: Stored, audit: Audit, now: float) -> None:
        """Where one record that it had is gone, others are as well."""
        if 0 in audit.left.values():
            logger.info("storage %s has lost what it had: comparing all", stored.zid)
            stored.forget(self._ours.holdings.pages, now)
            stored.audit_at = now
            return
        for name in map(keys.parse_tail, audit.left):
            if name is not None:  # something else lies there
                page = PageName(name.log, keys.page_of(name.seq))
                stored.proven.pop(page, None)
                stored.dirty[page] = now

    def _finish_page(self, stored: Stored, audit: Audit, page: PageName, now: float) -> None:
        if audit.held is None:
            return
        stored.proven[page] = audit.held
        if self._ours.holdings.pages.get(page) == audit.held:
            stored.dirty.pop(page, None)
        stored.note_recent(audit.names[-limits.RECENT_MAX :], now)
        self._unwritten.add(stored.zid)
        if self._write_at is None:
            self._write_at = now + limits.PROOFS_EVERY_SECONDS

    def _looked(self, stored: Stored, now: float, *, failed: bool) -> None:
        """All announcements that lie there were heard, unless the look has failed."""
        stored.is_looking = False
        went_back = any(stamp < stored.stamps.get(device, 0) for device, stamp in stored.looking.items())
        if not failed:
            went_back |= bool(stored.stamps.keys() - stored.looking.keys())
        if went_back:  # a stamp never goes back in a storage, unless all of it does
            stored.stamps = {}
            stored.forget(self._ours.holdings.pages, now)
            stored.audit_at = now
        if failed:
            stored.look_at = now
            return
        stored.stamps, stored.own_counter, stored.has_looked = stored.looking, stored.looking_counter, True
        stored.seen_ms = self._wall_clock()
        self.must_announce |= stored.own_counter < stored.told
