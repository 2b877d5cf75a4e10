"""Reconcile: what is missing here, and of whom to ask it. No record enters the log here, and nothing is sent.

Each peer is a node that was seen or heard. Its last announcement says what it holds; what we lack of that is asked of it
in bounded questions, two at a time. A question that brought nothing new makes the peer wait, twice as long each time:
whoever claims what it does not have costs us a question now and then, and nothing else.

What a device has announced in a storage makes a peer as well, a *storage peer*: the storage is asked for what that device
says it holds, though the device be away. It says nothing of the device itself, whose own node speaks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final

from msgspec import Struct

from nokosu import limits, records
from nokosu.mesh import keys, vectors
from nokosu.mesh.receiver import Bodiless
from nokosu.mesh.vectors import Lack
from nokosu.records import Record, Revocation
from nokosu.store import counting, scrubbed
from nokosu.store import vectors as store_vectors
from nokosu.store.log import Head
from nokosu.store.roster import Member, Space
from nokosu.store.sqlite import Connection
from nokosu.store.vectors import Ahead, Announcement

_FEW: Final = 4  # so many records are asked for one by one
_BRANCH_FIRST: Final = 32  # most branches are short: a restored copy, and what was written since
_UNADMITTED_MAX: Final = 64
_FOLLOWED_MAX: Final = 256
_ONE_BY_ONE: Final = 32
_IN_STORAGE: Final = "@"  # begins the name of a storage peer, and of no node


class Get(Struct, frozen=True):
    """A question to one device's nodes, whose `selector` lies below `dev/<device>/`; or to one *storage*, by its Zenoh id:
    what anybody else answers to it does not count.
    """

    id: int
    device: bytes
    selector: str
    storage: str = ""


class Matter(Enum):
    """What a question is about."""

    VECTOR = "vector"
    ROSTER = "roster"
    RECORDS = "records"


class Want(Struct, frozen=True):
    """Records of one log to be asked for; `hash` names one of them exactly, of which the body may be all that is missing."""

    log: bytes
    first: int
    last: int
    hash: bytes = b""
    is_body: bool = False

    def tail(self) -> str:
        """The end of the selector. What it matches may be more than is wanted where the other side knows no ranges."""
        if self.hash:
            return keys.tail(self.log, self.first, self.hash)
        page = keys.page_of(self.first)
        if self.first == self.last:
            return f"{self.log.hex()}/{page}/{self.first}-$*"  # Zenoh takes `$*`, not `*`, inside a chunk
        pages = f"{page}/*" if keys.page_of(self.last) == page else "**"
        return f"{self.log.hex()}/{pages}?from={self.first};to={self.last}"

    def in_storage(self, heads: Iterable[Head], *, one_by_one: bool) -> Want:
        """The same, as a storage can be asked: it knows no ranges, and finds a whole name sooner than a page."""
        if self.hash:
            return self
        if self.first != self.last and not one_by_one:
            return Want(self.log, self.first, min(self.last, (keys.page_of(self.first) + 1) * keys.PAGE_RECORDS))
        end = next((head for head in heads if (head.log, head.seq) == (self.log, self.first)), None)
        return Want(self.log, self.first, self.first, end.hash if end is not None else b"")


class Asked(Struct):
    """A question on its way, and what it has brought so far."""

    get: Get
    peer: Peer
    matter: Matter
    since: float
    want: Want | None = None
    new: int = 0
    unadmitted: int = 0


class Peer:
    """One node of another device, or of a copy of this one; or what a device announced in a storage, whose Zenoh id that is."""

    def __init__(self, device: bytes, node: str, storage: str = "") -> None:
        self.device = device
        self.node = node
        self.storage = storage
        self.is_here = False  # its liveliness token stands
        self.left_at: float | None = None  # when it fell
        self.heard: Announcement | None = None
        self.heard_at: float | None = None  # live, so that it was on its way just then
        self.told_at: float | None = None  # by this or another node of its device, live or when it was asked
        self.silences = 0  # times in a row that it was asked what it holds, and said nothing
        self.clock_offset_ms: int | None = None
        self.compared: tuple[object, object] = (
            None,
            None,
        )  # an announcement and our heads that were compared, and nothing is missing
        self.asking = 0
        self.bodies_again_at = 0.0
        self.one_by_one = 0  # so many records more are asked for one by one: a page was too much for one question
        self.wants_vector = False
        self.wants_roster = False
        self.roster_pause = Pause(limits.BACK_OFF_SECONDS_MAX)
        self.unhonoured = Pause(limits.BACK_OFF_SECONDS_MAX)
        self.unreached = Pause(limits.UNREACHED_SECONDS_MAX)

    def is_reachable(self, now: float) -> bool:
        """Whether a question may get there."""
        lately = self.heard_at is not None and now < self.heard_at + 1.5 * limits.ANNOUNCE_EVERY_SECONDS
        return self.is_here or lately

    def may_be_asked(self, now: float) -> bool:
        """Whether it is time for a question."""
        return self.asking < limits.GETS_PER_PEER_MAX and self.is_reachable(now) and self.ready_at() <= now

    def ready_at(self) -> float:
        """When its pauses are over."""
        return max(self.unhonoured.until, self.unreached.until)


class Pause:
    """A wait that doubles with each failure in a row, from a second up to a bound."""

    def __init__(self, longest: float) -> None:
        self.until = 0.0
        self._longest = longest
        self._failures = 0

    def fail(self, now: float) -> None:
        """Once more in vain."""
        seconds = limits.BACK_OFF_SECONDS_MIN * 2 ** min(self._failures, 30)
        self._failures += 1
        self.until = now + min(seconds, self._longest)

    def clear(self) -> None:
        """It worked."""
        self.until, self._failures = 0.0, 0


class Reconcile:
    """Peers, what they claim to hold, and the questions on their way."""

    def __init__(
        self, space: Space, own_device: bytes, own_node: str, bodiless: Bodiless, numbers: Iterator[int]
    ) -> None:
        """*numbers* are those of questions, unlike those of anybody else's."""
        self.peers: dict[tuple[bytes, str], Peer] = {}
        self.asked: dict[int, Asked] = {}
        self._space = space
        self._own = (own_device, own_node)
        self._bodiless = bodiless
        self._may_be_peer: Callable[[bytes], bool] = lambda _: False
        self._strangers: dict[tuple[bytes, str], None] = {}
        self._unadmitted: set[bytes] = set()  # logs whose device is not admitted, as far as is known here
        self._bodies: dict[tuple[bytes, int, bytes], set[Peer]] = {}  # records without their body, and who was asked
        self._followed: dict[tuple[bytes, int, bytes], tuple[int, bytes, int]] = {}
        self._paused_until: float | None = None  # when a pause ends, or has ended since the last plan
        self.is_following = False  # a chain was not followed to its end yet: `plan` wants to be called again at once
        self._numbers = numbers

    # Who is there -----------------------------------------------------------------------------------------------------

    def roster_changed(self, connection: Connection, counts: Callable[[bytes], bool]) -> None:
        """Others are admitted or revoked: what was refused may be welcome now, and what was purged may not be. *counts*
        tells whether a device is a member now.
        """
        self._may_be_peer = counts
        self._unadmitted.clear()
        for asked in self.asked.values():
            asked.unadmitted = 0  # what was refused before the change says nothing of what follows
        for peer in [peer for peer in self.peers.values() if not self._may_be_peer(peer.device)]:
            del self.peers[peer.device, peer.node]
        strangers, self._strangers = self._strangers, {}
        for device, node in strangers:
            self.appeared(device, node)
        self._bodies.clear()
        self.look_for_bodies(connection)
        for peer in self.peers.values():
            peer.unhonoured.clear()
            peer.roster_pause.clear()

    def appeared(self, device: bytes, node: str) -> bool:
        """A node's liveliness token is there; whether it is one to compare with."""
        if (device, node) == self._own or len(node) > 64:
            return False
        if not self._may_be_peer(device):
            self._strangers[device, node] = None
            if len(self._strangers) > limits.STRANGERS_MAX:
                del self._strangers[next(iter(self._strangers))]
            return False
        for gone in [peer for peer in self._nodes_of(device) if not peer.is_here]:
            if gone.node != node and not gone.asking:
                del self.peers[device, gone.node]  # a node has a new name each time it starts
        peer = self._peer(device, node)
        peer.is_here = peer.wants_vector = True
        peer.unreached.clear()
        return True

    def vanished(self, device: bytes, node: str, now: float) -> None:
        """A node's liveliness token is gone."""
        self._strangers.pop((device, node), None)
        peer = self.peers.get((device, node))
        if peer is not None:
            peer.is_here, peer.heard_at, peer.left_at = False, None, now

    def heard(self, announcement: Announcement, now: float, *, live_offset_ms: int | None) -> bool:
        """A member announced what it holds; False when it is older than what we know of that node, or our own.

        *live_offset_ms* is its clock minus ours when it came live.
        """
        if (announcement.device, announcement.node) == self._own or not self._may_be_peer(announcement.device):
            return False
        if announcement.node.startswith(_IN_STORAGE):
            return False  # no node has such a name
        peer = self._peer(announcement.device, announcement.node)
        for node in self._nodes_of(announcement.device):  # the token of one that is gone may still stand
            node.told_at, node.silences = now, 0
        if live_offset_ms is not None:
            peer.heard_at, peer.clock_offset_ms = now, live_offset_ms
            peer.unreached.clear()
        peer.wants_vector = False
        if peer.heard is not None and announcement.counter <= peer.heard.counter:
            return False
        peer.heard = announcement
        return True

    def heard_in_storage(self, zid: str, announcement: Announcement, now: float) -> bool:
        """A member's announcement lies in a storage; False when it is the one that was there before, or our own."""
        if (announcement.device, announcement.node) == self._own or not self._may_be_peer(announcement.device):
            return False
        peer = self._peer(announcement.device, f"{_IN_STORAGE}{zid}", zid)
        peer.is_here = True
        if peer.heard == announcement:
            return False
        peer.heard = announcement
        peer.unhonoured.clear()
        if peer.bodies_again_at <= now:  # whoever has them may have put them there meanwhile
            peer.bodies_again_at = now + limits.BACK_OFF_SECONDS_MAX
            for told in self._bodies.values():
                told.discard(peer)
        return True

    def storage_vanished(self, zid: str) -> None:
        """A storage's liveliness token is gone."""
        for peer in self.peers.values():
            if peer.storage == zid:
                peer.is_here = False

    def unknown_key(self, device: bytes | None, now: float) -> None:
        """Something came that is sealed under a key that is not here: its sender can tell how the key changed."""
        for peer in self.peers.values():
            if device in (None, peer.device) and peer.is_reachable(now) and not peer.storage:
                peer.wants_roster = True

    def ask_for_vectors(self, *, older_than: float | None = None) -> None:
        """Ask every node what it holds; with *older_than*, those that were not heard live since that moment."""
        for peer in self.peers.values():
            if not peer.storage and (older_than is None or peer.heard_at is None or peer.heard_at < older_than):
                peer.wants_vector = True
            if older_than is None:
                peer.unreached.clear()

    # What to ask ------------------------------------------------------------------------------------------------------

    def plan(self, connection: Connection, ours: list[Head], now: float) -> list[Get]:
        """The questions to send now."""
        gets: list[Get] = []
        self.is_following = False
        for peer in sorted(self.peers.values(), key=lambda peer: (peer.asking, peer.storage)):
            if not peer.may_be_asked(now) or not self._has_room(peer):
                continue
            if peer.wants_roster and peer.roster_pause.until <= now:
                peer.wants_roster = False
                peer.roster_pause.fail(now)  # cleared when the roster changes
                gets.append(self._ask(peer, "rekey/**", Matter.ROSTER, now))
            if peer.wants_vector and peer.asking < limits.GETS_PER_PEER_MAX:
                peer.wants_vector = False
                gets.append(self._ask(peer, "vec", Matter.VECTOR, now))
            gets += self._ask_for_records(connection, peer, ours, now)
        self._paused_until = min(self._pauses(now), default=None)
        return gets

    def ended(self, id: int, now: float, *, failed: bool) -> None:
        """A question is done with; called after all its answers were appended."""
        asked = self.asked.pop(id, None)
        if asked is None:
            return
        peer = asked.peer
        peer.asking -= 1
        is_silent = asked.matter == Matter.VECTOR and (peer.told_at is None or peer.told_at < asked.since)
        peer.silences += is_silent
        if asked.new:
            peer.unreached.clear()
            peer.unhonoured.clear()
        elif failed or is_silent:
            peer.unreached.fail(now)
            if peer.storage and asked.want is not None and asked.want.first != asked.want.last:
                peer.one_by_one = _ONE_BY_ONE
            peer.wants_vector |= asked.matter == Matter.VECTOR
            peer.wants_roster |= asked.matter == Matter.ROSTER
            if asked.want is not None and asked.want.is_body:
                self._bodies.get((asked.want.log, asked.want.first, asked.want.hash), set()).discard(peer)
        elif asked.matter == Matter.RECORDS:
            log = asked.want.log if asked.want is not None else b""
            if asked.unadmitted and len(self._unadmitted) < _UNADMITTED_MAX:
                self._unadmitted.add(log)  # asked again when the roster changed
            elif asked.want is None or not asked.want.is_body:
                peer.unhonoured.fail(now)

    def silent(self) -> set[str]:
        """The nodes whose tokens stand, and that have not said what they hold when they were asked again and again."""
        return {peer.node for peer in self.peers.values() if peer.is_here and peer.silences >= limits.SILENCES_MAX}

    def overdue(self, now: float) -> list[int]:
        """Questions that nobody ended in time."""
        return [id for id, asked in self.asked.items() if asked.since + limits.GET_SECONDS_MAX <= now]

    def look_for_bodies(self, connection: Connection) -> None:
        """A purge may count no more: what it took is asked for, of everybody who was not asked yet."""
        missing = [(head.log, head.seq, head.hash) for head in scrubbed.missing(connection, self._space.n)]
        self._bodies = {place: self._bodies.get(place, set()) for place in missing}

    def lacks_body(self, record: Record) -> None:
        """A record came without its body, though no purge that counts has taken it: somebody may still have it."""
        if len(self._bodies) < limits.GET_RECORDS_MAX:
            self._bodies.setdefault((record.place.log, record.place.seq, record.hash), set())

    def brought_body(self, record: Record) -> None:
        """A record that was here already came with its body: if that was missing, it is not any more."""
        self._bodies.pop((record.place.log, record.place.seq, record.hash), None)

    def due(self) -> float | None:
        """When `plan` may have something to ask though nothing happens: at the end of a peer's pause."""
        times = [asked.since + limits.GET_SECONDS_MAX for asked in self.asked.values()]
        times += [self._paused_until] if self._paused_until is not None else []
        return min(times, default=None)

    def _pauses(self, now: float) -> list[float]:
        """When the pauses end that are not over."""
        ends = [peer.ready_at() for peer in self.peers.values()]
        ends += [peer.roster_pause.until for peer in self.peers.values() if peer.wants_roster]
        return [end for end in ends if end > now]

    # Below ------------------------------------------------------------------------------------------------------------

    def _peer(self, device: bytes, node: str, storage: str = "") -> Peer:
        found = self.peers.get((device, node))
        if found is None:
            if not storage:
                self._make_room(device)
            found = self.peers[device, node] = Peer(device, node, storage)
        return found

    def _nodes_of(self, device: bytes) -> list[Peer]:
        return [peer for peer in self.peers.values() if peer.device == device and not peer.storage]

    def _has_room(self, peer: Peer) -> bool:
        """Whether one more question may be asked of it: a storage is asked for what several devices have announced."""
        if peer.asking >= limits.GETS_PER_PEER_MAX:
            return False
        if not peer.storage:
            return True
        return sum(asked.get.storage == peer.storage for asked in self.asked.values()) < limits.GETS_PER_STORAGE_MAX

    def _make_room(self, device: bytes) -> None:
        """A node has a new name each time it starts: names that are gone make room, the longest known first."""
        nodes = self._nodes_of(device)
        if len(nodes) >= limits.NODES_PER_DEVICE_MAX:
            gone = min(nodes, key=lambda peer: peer.is_here)
            del self.peers[gone.device, gone.node]

    def _ask(self, peer: Peer, tail: str, matter: Matter, now: float, want: Want | None = None) -> Get:
        base = keys.space(self._space.id) if peer.storage else keys.dev(self._space.id, peer.device)
        get = Get(next(self._numbers), peer.device, f"{base}/{tail}", peer.storage)
        self.asked[get.id] = Asked(get, peer, matter, now, want)
        peer.asking += 1
        return get

    def _ask_for_records(self, connection: Connection, peer: Peer, ours: list[Head], now: float) -> list[Get]:
        gets: list[Get] = []
        wants = self._wants(connection, peer, ours)
        while self._has_room(peer):
            want = next(wants, None)
            if want is None:
                if not peer.asking and not gets:
                    peer.unhonoured.clear()  # it has nothing that we lack
                break
            tail = want.tail()
            if peer.storage and peer.heard is not None:
                want = want.in_storage(peer.heard.heads, one_by_one=peer.one_by_one > 0)
                peer.one_by_one = max(peer.one_by_one - 1, 0)
                tail = want.tail().partition("?")[0]  # a page, or one record
            gets.append(self._ask(peer, f"rec/{tail}", Matter.RECORDS, now, want))
        return gets

    def _wants(self, connection: Connection, peer: Peer, ours: list[Head]) -> Iterator[Want]:
        """What is missing here of what a peer holds and nobody was asked for yet, part by part."""
        if peer.heard is None or (peer.compared[0] is peer.heard and peer.compared[1] is ours):
            return
        nothing = True
        for lack in vectors.missing(ours, peer.heard.heads, store_vectors.holder(connection, self._space)):
            nothing = False
            if lack.log not in self._unadmitted:
                yield from self._wants_of(connection, lack)
        for ahead in peer.heard.ahead:
            yield from self._wants_ahead(connection, ahead)
        for (log, seq, hash), told in self._bodies.items():
            if peer not in told:
                told.add(peer)
                yield Want(log, seq, seq, hash, is_body=True)
        if nothing and not peer.heard.ahead and not self._bodies:
            peer.compared = (peer.heard, ours)

    def _wants_of(self, connection: Connection, lack: Lack) -> Iterator[Want]:
        while len(asked := self._on_the_way(lack.log)) < limits.GETS_PER_LOG_MAX:
            parts = _gaps(connection, self._space.n, lack, asked, self._bodiless.numbers(lack.log))
            if not parts:
                break
            yield from (part for part in parts if len(self._on_the_way(lack.log)) < limits.GETS_PER_LOG_MAX)
        if not asked:
            branch = self._branch(connection, lack)
            if branch is not None:
                yield branch

    def _wants_ahead(self, connection: Connection, ahead: Ahead) -> Iterator[Want]:
        """Records that a peer holds behind a gap, and that no head promises."""
        asked = self._on_the_way(ahead.log)
        if asked or ahead.log in self._unadmitted:
            return
        lack = Lack(ahead.log, ahead.seq, ahead.hash, ahead.first - 1)
        parts = _gaps(connection, self._space.n, lack, asked, self._bodiless.numbers(ahead.log))
        branch = self._branch(connection, lack, ahead.first) if not parts else None
        yield from parts[:1] or ([branch] if branch is not None else [])

    def _branch(self, connection: Connection, lack: Lack, first: int = 1) -> Want | None:
        """Where the chain that ends at *lack* breaks, not before the number *first*, though a record of each number is
        here: a log was continued twice.

        The first that is missing is wanted, with some before it, more each time; None when nothing is missing any more.
        How far the chain was followed is kept for the next time, so that a long one is followed bit by bit.
        """
        end = (lack.log, lack.seq, lack.hash)
        seq, hash, before = self._followed.pop(end, (lack.seq, lack.hash, 0))
        holds = store_vectors.holder(connection, self._space)
        for steps in range(before, before + limits.CHAIN_STEPS_MAX):
            prev = self._bodiless.prev(hash) or _unlinked_prev(connection, self._space.n, lack.log, seq, hash)
            if prev is None and holds(Head(lack.log, seq, hash)):
                return None  # what is missing waits for its purge
            if prev is None:
                self._keep_followed(end, seq, hash, steps)
                size = min(max(_BRANCH_FIRST, 2 * steps), limits.GET_RECORDS_MAX)
                return Want(lack.log, max(first, seq - size + 1), seq)
            seq, hash = seq - 1, prev
            if seq < first:
                return None  # all that is held of it is here; from record 1 on no such chain can be, and its claim is a lie
        self._keep_followed(end, seq, hash, before + limits.CHAIN_STEPS_MAX)
        self.is_following = True
        return None

    def _keep_followed(self, end: tuple[bytes, int, bytes], seq: int, hash: bytes, steps: int) -> None:
        if len(self._followed) >= _FOLLOWED_MAX:
            self._followed.clear()
        self._followed[end] = (seq, hash, steps)

    def _on_the_way(self, log: bytes) -> list[Want]:
        return [asked.want for asked in self.asked.values() if asked.want is not None and asked.want.log == log]


def _gaps(connection: Connection, space: int, lack: Lack, asked: list[Want], waiting: list[int]) -> list[Want]:
    """The first numbers up to an end that no record is here for and nobody was asked for: a range, or a few, one by one."""
    first = lack.held + 1
    for want in sorted(asked, key=lambda want: want.first):
        if want.first <= first:
            first = max(first, want.last + 1)
    there = {seq for seq in waiting if first <= seq <= lack.seq}
    while first <= lack.seq:
        last = min(first + limits.GET_RECORDS_MAX - 1, lack.seq)
        rows = connection.rows(
            "SELECT DISTINCT record.seq FROM log JOIN record ON record.log = log.n "
            "WHERE log.id = ? AND log.space = ? AND record.seq BETWEEN ? AND ?",
            (lack.log, space, first, last),
        )
        here = there | {seq for (seq,) in rows}
        absent = [seq for seq in range(first, last + 1) if seq not in here and not _covers(asked, seq)]
        if absent:
            if len(absent) <= _FEW:
                return [Want(lack.log, seq, seq) for seq in absent]
            return [Want(lack.log, absent[0], absent[-1])]
        if not rows and not there:
            break
        first = last + 1
    return []


def waiting(connection: Connection, space: int) -> list[tuple[Head, bytes]]:
    """Records of a space that are held behind a gap, and the hash that each follows."""
    rows = connection.rows(
        "SELECT log.id, record.seq, record.hash, CAST(record.header AS BLOB) FROM log JOIN record ON record.log = log.n "
        "WHERE log.space = ? AND NOT record.linked ORDER BY 1, 2, 3 LIMIT ?",
        (space, limits.AHEAD_ROWS_MAX),
    )
    return [(Head(log, seq, hash), records.read(header, b"", None).place.prev) for log, seq, hash, header in rows]


def _covers(asked: list[Want], seq: int) -> bool:
    return any(want.first <= seq <= want.last for want in asked)


def _unlinked_prev(connection: Connection, space: int, log: bytes, seq: int, hash: bytes) -> bytes | None:
    """The hash that a record ahead of a gap follows; None when that record is not here."""
    row = connection.row(
        "SELECT CAST(record.header AS BLOB) FROM log JOIN record ON record.log = log.n "
        "WHERE log.id = ? AND log.space = ? AND record.seq = ? AND record.hash = ? AND NOT record.linked",
        (log, space, seq, hash),
    )
    return records.read(row[0], b"", None).place.prev if row is not None else None


def ended(connection: Connection, space: Space, members: Iterable[Member]) -> frozenset[bytes]:
    """The devices that are out of the space for good.

    While the chain to a cut-off is not complete here, whoever was admitted by a revoked device looks revoked as well, this
    device perhaps among them. Only by comparing with them does it get complete, so until then only those are out whom a
    `revoke` names.
    """
    revoked = frozenset(member.device.id for member in members if member.revoked)
    said = [record.roster() for record in counting.roster_records(connection, space.n) or ()] if revoked else []
    revocations = [content for content in said if isinstance(content, Revocation)]
    holds = store_vectors.holder(connection, space)
    if all(holds(Head(cut.log, cut.seq, cut.hash)) for content in revocations for cut in content.cut):
        return revoked
    return revoked & {content.device for content in revocations}
