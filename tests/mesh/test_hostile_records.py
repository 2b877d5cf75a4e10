"""Rows 50 to 62 of the bad-input corpus: an admitted member, or somebody who got hold of its keys, sends what it likes.

Nothing enters that should not, nothing raises, memory stays bounded, and it is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nokosu import limits
from nokosu.mesh import keys, seal, vectors
from nokosu.mesh.exchange import Get
from nokosu.mesh.peer_state import PeerState
from nokosu.mesh.seal import Keyring
from nokosu.records import Kind, Record
from nokosu.store import roster
from nokosu.store.log import Head
from nokosu.store.vectors import Announcement
from nokosu.store.verify import verify
from nokosu.testing import LoopbackMesh, Peer, SeededRandom
from nokosu.testing.account import held, visible


class Victim:
    """A host, and somebody who sends to it with the keys of another member, which is switched off."""

    def __init__(self, mesh: LoopbackMesh) -> None:
        self.mesh = mesh
        self.host, self.other = mesh.hosts
        mesh.settle()
        mesh.advance(5)
        mesh.crash(self.other)
        self.space = self.host.space.id
        with self.other.database.reading() as connection:
            self.keyring = Keyring(roster.secrets(connection, self.other.space), random=SeededRandom(7))
            key = roster.signing_key(connection)
        self.sender = Peer(self.space, random=SeededRandom(8), wall_clock=self.host.clock)
        self.sender.key, self.sender.device = key, self.other.device
        self.before = held(self.host)

    def live(self, key: str, payload: bytes) -> None:
        assert self.host.exchange is not None
        self.host.exchange.live(key, payload)
        self.mesh.tell(self.host)
        self.mesh.advance(0.2)

    def send(self, record: Record, *, key: str = "") -> None:
        name = key or keys.rec(record.place.space, record.place.log, record.place.seq, record.hash)
        self.live(name, self.keyring.seal(name, seal.pack(record)))

    def send_strings(self, record: Record, header: bytes, signature: bytes, body: bytes | None) -> None:
        name = keys.rec(record.place.space, record.place.log, record.place.seq, record.hash)
        self.live(name, self.keyring.seal(name, msgspec.msgpack.encode((header, signature, body))))

    def announce(self, *, counter: int = 10**15, **fields: Any) -> None:
        said = Announcement(
            v=1, space=self.space, device=self.other.device, node="ee", counter=counter, wall=0, **fields
        )
        heard = vectors.signed(said, self.sender.key)
        self.live(keys.vec(self.space, self.other.device), vectors.sealed(heard, self.keyring))

    @property
    def new(self) -> int:
        return len(held(self.host) - self.before)

    def refused(self) -> dict[str, int]:
        self.mesh.advance(limits.REFUSALS_EVERY_SECONDS + 1)
        return dict(self.host.database.rows("SELECT reason, sum(count) FROM refusal GROUP BY 1"))

    def head_of(self, log: bytes) -> list[Head]:
        return [head for head in self.mesh.vector(self.host) if head.log == log]


@pytest.fixture
def victim(quick_path: Path) -> Iterator[Victim]:
    with LoopbackMesh(1, quick_path, hosts=2) as mesh:
        made = Victim(mesh)
        yield made
        assert not verify(made.host.database).problems


# 50: bytes that are nothing -------------------------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tail=st.one_of(st.text(max_size=60), st.just(f"rec/{'0a' * 16}/0/1-{'0b' * 16}"), st.just(f"vec/{'0a' * 16}")),
    payload=st.binary(max_size=200),
)
def test_bytes_that_are_nothing_are_dropped(victim: Victim, tail: str, payload: bytes) -> None:
    victim.live(f"{keys.space(victim.space)}/{tail}", payload)
    victim.live(tail, payload)
    assert victim.new == 0


@pytest.mark.parametrize(
    "plain", [b"", b"\xc0", b"\x93\x01\x02\x03", b"\x93\xc4\x00\xc4\x00\xc0", b"\x91" * 1000, b"{}"]
)
def test_what_is_sealed_well_and_is_no_record_is_refused_and_counted(victim: Victim, plain: bytes) -> None:
    name = keys.rec(victim.space, b"l" * 16, 1, bytes(32))
    victim.live(name, victim.keyring.seal(name, plain))
    assert victim.new == 0
    assert sum(victim.refused().values()) == 1


def test_what_is_too_large_is_dropped_before_it_is_kept(victim: Victim) -> None:
    exchange = victim.host.exchange
    assert exchange is not None
    dropped = exchange.dropped
    victim.live(keys.rec(victim.space, b"l" * 16, 1, bytes(32)), bytes(limits.RECORD_BYTES_MAX + 1000))
    victim.live(keys.vec(victim.space, b"d" * 16), bytes(limits.VECTOR_BYTES_MAX + 1000))
    victim.live(f"{keys.space(victim.space)}/rec/{'x' * 4096}", b"")
    assert exchange.dropped == dropped + 3


def test_a_flood_fills_the_inbox_and_no_more(victim: Victim) -> None:
    exchange = victim.host.exchange
    assert exchange is not None
    name = keys.rec(victim.space, b"l" * 16, 1, bytes(32))
    for _ in range(limits.INBOX_SAMPLES_MAX + 500):
        exchange.live(name, bytes(60))
    assert exchange.dropped == 500
    victim.mesh.tell(victim.host)
    victim.mesh.advance(1)
    assert victim.refused() == {"seal": limits.INBOX_SAMPLES_MAX}
    rows = victim.host.database.row("SELECT count(*) FROM refusal")
    assert rows is not None
    assert rows[0] <= 2  # a count, and not a line for each


# 51: signatures -------------------------------------------------------------------------------------------------------


def test_a_bad_signature_or_one_over_other_bytes_is_refused(victim: Victim) -> None:
    one, other = victim.sender.save("one"), victim.sender.save("other")
    victim.send_strings(one, one.header, bytes(64), one.body)
    victim.send_strings(one, one.header, other.signature, one.body)
    victim.send_strings(one, one.header, one.signature[:-1], one.body)
    victim.send_strings(one, one.header, one.signature, other.body)
    assert victim.new == 0
    assert victim.refused() == {"signature": 3, "body": 1}


# 52: devices ----------------------------------------------------------------------------------------------------------


def test_a_device_that_was_never_admitted_is_refused(victim: Victim) -> None:
    stranger = Peer(victim.space, random=SeededRandom(99))
    for _ in range(5):
        victim.send(stranger.save("who am I"))
    assert victim.new == 0
    assert victim.refused() == {"device": 5}
    row = victim.host.database.row("SELECT count(*) FROM refusal WHERE device = x''")
    assert row == (1,)  # thousands of identities are one line


def test_what_a_revoked_device_sends_live_is_refused(victim: Victim) -> None:
    victim.send(victim.sender.save("before the cut"))
    victim.mesh.revoke(victim.host, victim.other.device)
    victim.mesh.advance(1)
    before = victim.new
    victim.send(victim.sender.save("after the cut"))
    assert victim.new == before
    assert victim.refused()["revoked"] == 1
    assert "before the cut" in {shown[1] for shown in visible(victim.host).values()}


# 53: names ------------------------------------------------------------------------------------------------------------


def test_a_record_under_another_name_than_its_own_is_refused(victim: Victim) -> None:
    record, other = victim.sender.save("one"), victim.sender.save("other")
    place = record.place
    space = keys.space(victim.space)
    for name in (
        keys.rec(victim.space, place.log, 2, record.hash),
        keys.rec(victim.space, place.log, 1, other.hash),
        keys.rec(victim.space, b"x" * 16, 1, record.hash),
        f"{space}/rec/**",
        f"{space}/rec/{place.log.hex()}/0/1-*",
        f"{space}/rec/{place.log.hex()}/0/١-{record.hash[:16].hex()}",
        f"{space}/rec/{place.log.hex().upper()}/0/1-{record.hash[:16].hex()}",
    ):
        victim.send(record, key=name)
    assert victim.new == 0
    assert victim.refused() == {"key": 7}


def test_a_sealed_record_moved_to_another_name_does_not_open(victim: Victim) -> None:
    record = victim.sender.save("one")
    name = keys.rec(victim.space, record.place.log, 1, record.hash)
    sealed = victim.keyring.seal(name, seal.pack(record))
    victim.live(keys.rec(victim.space, record.place.log, 2, record.hash), sealed)
    assert victim.refused() == {"seal": 1}


def test_a_record_of_another_space_is_refused(victim: Victim) -> None:
    elsewhere = Peer(b"another space!!!", random=SeededRandom(8))
    elsewhere.key, elsewhere.device = victim.sender.key, victim.sender.device
    record = elsewhere.save("one")
    victim.send(record, key=keys.rec(victim.space, record.place.log, 1, record.hash))
    assert victim.new == 0
    assert victim.refused() == {"key": 1}


# 54, 55: repeated, reversed, forked -----------------------------------------------------------------------------------


def test_a_thousand_repetitions_and_any_order_make_no_difference(victim: Victim) -> None:
    saved = victim.sender.save("one")
    forgotten = victim.sender.forget(saved)
    others = [victim.sender.save(f"note {number}") for number in range(60)]
    for record in reversed([saved, forgotten, *others]):
        victim.send(record)
    exchange = victim.host.exchange
    assert exchange is not None
    name = keys.rec(victim.space, saved.place.log, 1, saved.hash)
    for _ in range(1000):
        exchange.live(name, victim.keyring.seal(name, seal.pack(saved)))
    victim.mesh.tell(victim.host)
    victim.mesh.advance(1)
    assert victim.new == 62
    assert [head.seq for head in victim.head_of(saved.place.log)] == [62]
    assert visible(victim.host)[saved.core.memory][0] == 1


def test_both_sides_of_a_fork_are_kept(victim: Victim) -> None:
    first = victim.sender.save("common")
    thief = victim.sender.clone()
    mine, theirs = victim.sender.save("mine"), thief.save("theirs")
    for record in (first, theirs, mine):
        victim.send(record)
    assert sorted(head.hash for head in victim.head_of(first.place.log)) == sorted((mine.hash, theirs.hash))


# 56, 57: times and numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hlc", [1, (2**46) << 16, limits.HLC_MAX])
def test_a_wild_time_does_not_move_our_clock(victim: Victim, hlc: int) -> None:
    memory = victim.sender.save("first")
    victim.send(memory)
    victim.send(victim.sender.write(Kind.FORGET, memory.core.memory, hlc=hlc, after=(memory,)))
    assert victim.new == 2
    row = victim.host.database.row("SELECT value FROM meta WHERE name = 'hlc'")
    assert row is not None
    assert row[0] >> 16 <= victim.host.clock() + limits.DRIFT_MS_MAX


@pytest.mark.parametrize("hlc", [0, -1, 2**63])
def test_an_impossible_time_is_refused(victim: Victim, hlc: int) -> None:
    record = victim.sender.save("first")
    core = msgspec.structs.replace(record.core, hlc=hlc)
    header, signature, body = victim.sender.sign(msgspec.msgpack.encode(core), record.body, record.place)
    victim.send_strings(record, header, signature, body)
    assert victim.new == 0


@pytest.mark.parametrize("seq", [0, 2**53 + 1, 2**63 - 1])
def test_an_impossible_number_is_refused(victim: Victim, seq: int) -> None:
    record = victim.sender.save("first")
    place = msgspec.structs.replace(record.place, seq=seq, prev=bytes(32), nonce=b"", key=b"")
    header, signature, body = victim.sender.sign(msgspec.msgpack.encode(record.core), record.body, place)
    victim.send_strings(record, header, signature, body)
    assert victim.new == 0


def test_a_jump_waits_behind_its_gap_and_does_not_move_the_vector(victim: Victim) -> None:
    first = victim.sender.save("first")
    victim.send(first)
    place = msgspec.structs.replace(victim.sender.next_place(), seq=2**53)
    header, signature, body = victim.sender.sign(msgspec.msgpack.encode(first.core), first.body, place)
    far = Record(header, signature, body, first.id, sha256(header).digest(), first.core, place)
    victim.send(far)
    assert victim.new == 2
    assert [head.seq for head in victim.head_of(first.place.log)] == [1]


# 58, 59: marks and kinds ----------------------------------------------------------------------------------------------


def test_marks_of_what_nobody_has_seen_are_kept_and_show_nothing(victim: Victim) -> None:
    for kind in (Kind.FORGET, Kind.RESTORE, "later"):
        victim.send(victim.sender.write(kind, f"{kind[:4]:0<12}".replace("l", "1").replace("o", "0").replace("u", "v")))
    assert victim.new == 3
    assert not [shown for shown in visible(victim.host).values() if shown[1] is not None]


def test_another_format_version_is_refused(victim: Victim) -> None:
    record = victim.sender.save("first")
    core = msgspec.structs.replace(record.core, v=2)
    victim.send_strings(record, *victim.sender.sign(msgspec.msgpack.encode(core), record.body, record.place))
    assert victim.new == 0
    assert victim.refused() == {"v": 1}


def test_a_body_left_out_is_not_taken_for_a_purge(victim: Victim) -> None:
    record = victim.sender.save("keep me")
    victim.send_strings(record, record.header, record.signature, None)
    assert victim.new == 0
    victim.mesh.advance(limits.BODILESS_WAITING_SECONDS + 1)
    assert victim.refused() == {"body": 1}
    victim.send(record)
    assert visible(victim.host)[record.core.memory][1] == "keep me"


# 61: lies -------------------------------------------------------------------------------------------------------------


class Counting:
    """Counts the questions that a host asks and answers none."""

    def __init__(self, victim: Victim) -> None:
        self.asked: list[float] = []
        exchange = victim.host.exchange
        assert exchange is not None
        work = exchange.work

        def counted() -> list[Any]:
            out = work()
            for message in out:
                if isinstance(message, Get):
                    self.asked.append(victim.mesh.now)
                    exchange.ended(message.id, failed=False)
            return [message for message in out if not isinstance(message, Get)]

        exchange.work = counted  # type: ignore[method-assign]


@pytest.mark.parametrize("logs", [1, 50])
def test_claims_that_are_never_honoured_cost_a_few_questions(victim: Victim, logs: int) -> None:
    counting = Counting(victim)
    assert victim.host.exchange is not None
    victim.host.exchange.appeared(victim.other.device, "ee")
    lies = tuple(Head(bytes([number]) * 16, 10**9, bytes(32)) for number in range(logs))
    for minute in range(60):
        victim.announce(counter=10**15 + minute, heads=lies)
        victim.mesh.advance(60)
    assert 8 <= len(counting.asked) <= 60
    last_quarter = [time for time in counting.asked if time > victim.mesh.now - 900]
    assert len(last_quarter) <= 8
    assert victim.new == 0


def test_a_branch_that_nobody_has_is_asked_for_now_and_then_only(victim: Victim) -> None:
    victim.send(victim.sender.save("first"))
    counting = Counting(victim)
    assert victim.host.exchange is not None
    victim.host.exchange.appeared(victim.other.device, "ee")
    log = victim.sender.log[0].place.log
    for minute in range(30):
        victim.announce(counter=10**15 + minute, heads=(Head(log, 1, bytes([minute]) * 32),))
        victim.mesh.advance(60)
    assert len(counting.asked) <= 30


def test_an_old_announcement_does_not_replace_a_newer_one(victim: Victim) -> None:
    def state() -> PeerState:
        assert victim.host.exchange is not None
        return next(peer for peer in victim.host.exchange.peers() if peer.node == "ee")

    victim.announce(counter=10**15 + 5, name="newer")
    victim.announce(counter=10**15 + 4, name="older")
    assert state().name == "newer"


# 62: names and identities ---------------------------------------------------------------------------------------------


def test_thousands_of_tokens_and_nodes_are_not_all_remembered(victim: Victim) -> None:
    exchange = victim.host.exchange
    assert exchange is not None
    random = SeededRandom(3)
    for _ in range(3000):
        exchange.appeared(random(16), random(8).hex())
        exchange.appeared(victim.other.device, random(8).hex())
        victim.mesh.tell(victim.host)
        victim.mesh.advance(0.01)
    assert len(exchange.peers()) <= limits.NODES_PER_DEVICE_MAX


def test_an_announcement_of_a_stranger_or_in_anothers_name_is_refused(victim: Victim) -> None:
    stranger = Peer(victim.space, random=SeededRandom(5))
    said = Announcement(v=1, space=victim.space, device=stranger.device, node="ee", counter=1, wall=1)
    heard = vectors.signed(said, stranger.key)
    victim.live(keys.vec(victim.space, stranger.device), vectors.sealed(heard, victim.keyring))
    forged = vectors.signed(msgspec.structs.replace(said, device=victim.other.device), stranger.key)
    victim.live(keys.vec(victim.space, victim.other.device), vectors.sealed(forged, victim.keyring))
    assert victim.refused() == {"device": 1, "signature": 1}


def test_a_key_that_nobody_has_leads_to_a_few_questions(victim: Victim) -> None:
    counting = Counting(victim)
    assert victim.host.exchange is not None
    victim.host.exchange.appeared(victim.other.device, "ee")
    name = keys.vec(victim.space, victim.other.device)
    for number in range(200):
        victim.live(name, b"\x01" + number.to_bytes(8, "big") + bytes(60))
    assert len(counting.asked) <= 16  # in 40 s, of two nodes, each after pauses that double
