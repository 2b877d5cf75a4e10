"""The roster's fold: who belongs to a space follows from its records alone, in whatever order they came."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import limits
from nokosu.records import Admission, Cut, Kind, Record, Rekeying, Revocation
from nokosu.store.roster_fold import Below, Roster, clean_name, fold
from nokosu.testing import Peer, SeededRandom

TEAM = b"team".ljust(16)


def peer(seed: int) -> Peer:
    return Peer(TEAM, random=SeededRandom(seed), name=f"peer {seed}")


def admit(by: Peer, whom: Peer, name: str = "") -> Record:
    return by.admit(whom.key.public, whom.box_key, name or whom.name)


def chains(held: Iterable[Record]) -> Below:
    """What `fold` asks of the store: the records that are here, by the hashes they name."""
    by_hash = {record.hash: record for record in held}

    def below(device: bytes, cut: tuple[Cut, ...]) -> frozenset[bytes]:
        kept = set()
        for end in cut:
            record = by_hash.get(end.hash)
            while record is not None and record.core.device == device and record.place.log == end.log:
                kept.add(record.hash)
                record = by_hash.get(record.place.prev)
        return frozenset(kept)

    return below


def folded(founder: Peer, held: Iterable[Record]) -> Roster:
    known = list(held)
    return fold(founder.key.public, known, chains(known))


def members(founder: Peer, *held: Iterable[Record]) -> set[bytes]:
    roster = folded(founder, [record for log in held for record in log])
    return {id for id, standing in roster.devices.items() if not standing.revoked}


def counted(founder: Peer, held: Iterable[Record], device: Peer) -> set[bytes]:
    """The header hashes of a revoked device's records that count."""
    counts = folded(founder, held).devices[device.device].counts
    assert counts is not None
    return set(counts)


def test_the_founder_belongs_by_having_made_the_space() -> None:
    founder = peer(1)
    roster = folded(founder, ())
    assert members(founder) == {founder.device}
    assert roster.devices[founder.device].public_key == founder.key.public
    assert roster.devices[founder.device].counts is None


def test_whom_a_member_admits_belongs_and_whom_a_stranger_admits_does_not() -> None:
    founder, second, third, stranger = map(peer, range(4))
    admit(founder, second)
    admit(second, third)
    admit(stranger, stranger)
    assert members(founder, founder.log, second.log, stranger.log) == {founder.device, second.device, third.device}


def test_the_name_given_last_is_the_devices_name() -> None:
    founder, second = map(peer, range(2))
    admit(founder, second, "old")
    admit(founder, second, "new \x1b[2J\n name")
    standing = folded(founder, founder.log).devices[second.device]
    assert standing.name == "new [2J name"
    assert standing.admitted_ms == founder.log[0].core.wall


def test_nobody_gives_another_device_a_box_key_once_it_has_said_its_own() -> None:
    founder, second, thief = map(peer, range(3))
    admit(founder, second)
    admit(founder, thief)
    admit(second, second)
    thief.write(Kind.ADMIT, "", content=Admission(key=second.key.public, box=thief.box_key, name="second"), hlc=2**62)
    assert folded(founder, [*founder.log, *second.log, *thief.log]).devices[second.device].box_key == second.box_key


def test_of_two_that_revoke_one_another_both_are_out_and_whom_they_admitted_before_stays() -> None:
    founder, second, third, fourth = map(peer, range(4))
    first = [admit(founder, second), admit(founder, third)]
    before = admit(second, fourth)
    second.revoke(third.device)
    third.revoke(second.device, before)
    assert members(founder, first, second.log, third.log) == {founder.device, fourth.device}


def test_whom_a_thief_admits_beyond_its_cut_does_not_belong_and_what_it_writes_counts_nowhere() -> None:
    founder, thief, friend = map(peer, range(3))
    admit(founder, thief)
    last = thief.save("before the cut")
    founder.revoke(thief.device, last)
    admit(thief, friend)
    friend.save("from nobody")
    held = [*founder.log, *thief.log, *friend.log]
    assert members(founder, held) == {founder.device}
    assert counted(founder, held, thief) == {last.hash}
    assert counted(founder, held, friend) == set()


def test_a_branch_below_the_cut_does_not_count() -> None:
    founder, thief = map(peer, range(2))
    admit(founder, thief)
    first = thief.save("one")
    clone = thief.clone()
    last = [thief.save("two"), thief.save("three")][-1]
    backdated = clone.write(Kind.SAVE, "0" * 12, hlc=1, wall=1)
    founder.revoke(thief.device, last)
    assert backdated.place.seq < last.place.seq
    assert counted(founder, [*founder.log, *thief.log, backdated], thief) == {first.hash, thief.log[1].hash, last.hash}


def test_what_is_not_chained_to_the_cut_yet_does_not_count_yet() -> None:
    founder, gone = map(peer, range(2))
    admit(founder, gone)
    one, two, three = (gone.save(f"{n}") for n in range(3))
    founder.revoke(gone.device, three)
    for held, expected in (
        ([one, two], set()),
        ([one, three], {three.hash}),
        ([three, two, one], {one.hash, two.hash, three.hash}),
    ):
        assert counted(founder, [*founder.log, *held], gone) == expected


def test_two_cuts_leave_what_lies_within_both() -> None:
    founder, second, gone = map(peer, range(3))
    admit(founder, second)
    admit(founder, gone)
    one, two = gone.save("1"), gone.save("2")
    founder.revoke(gone.device, two)
    second.revoke(gone.device, one)
    assert counted(founder, [*founder.log, *second.log, *gone.log], gone) == {one.hash}


def test_a_revoked_device_is_not_admitted_again_under_the_same_key() -> None:
    founder, gone = map(peer, range(2))
    admit(founder, gone)
    founder.revoke(gone.device)
    admit(founder, gone)
    assert members(founder, founder.log) == {founder.device}


def test_a_founder_may_be_revoked_and_its_space_goes_on() -> None:
    founder, second, third = map(peer, range(3))
    last = admit(founder, second)
    second.revoke(founder.device, last)
    admit(second, third)
    assert members(founder, founder.log, second.log) == {second.device, third.device}


# Secrets --------------------------------------------------------------------------------------------------------------


def rekey(by: Peer, epoch: int, name: bytes, previous: bytes, hlc: int | None = None) -> Record:
    return by.write(Kind.REKEY, "", content=Rekeying(epoch=epoch, key_id=name, previous=previous, boxes=()), hlc=hlc)


def test_the_current_secret_is_that_of_the_greatest_epoch_and_then_of_the_latest_time() -> None:
    founder, second = map(peer, range(2))
    admit(founder, second)
    one = rekey(founder, 1, b"1" * 8, b"0" * 8)
    early = rekey(founder, 2, b"2" * 8, b"1" * 8)
    late = rekey(second, 2, b"3" * 8, b"1" * 8, hlc=early.core.hlc + 1)
    assert folded(founder, [*founder.log, *second.log]).rekeys == (late, early, one)


def test_nobody_jumps_to_an_epoch_that_the_next_could_not_exceed() -> None:
    founder, second = map(peer, range(2))
    admit(founder, second)
    one = rekey(founder, 1, b"1" * 8, b"0" * 8)
    rekey(second, limits.SEQ_MAX, b"2" * 8, b"1" * 8)
    rekey(second, 3, b"3" * 8, b"1" * 8)
    assert folded(founder, [*founder.log, *second.log]).rekeys == (one,)


def test_a_secret_that_a_thief_made_beyond_its_cut_is_not_the_current_one() -> None:
    founder, thief = map(peer, range(2))
    admit(founder, thief)
    founder.revoke(thief.device)
    ours = rekey(founder, 1, b"1" * 8, b"0" * 8)
    rekey(thief, 1, b"2" * 8, b"0" * 8, hlc=2**62)
    assert folded(founder, [*founder.log, *thief.log]).rekeys == (ours,)


# Hostile --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        Admission(key=b"k" * 31, box=b"b" * 32, name="x"),
        Admission(key=b"k" * 32, box=b"b" * 33, name="x"),
        Admission(key=b"k" * 32, box=b"b" * 32, name="x" * (limits.DEVICE_NAME_CHARS_MAX + 1)),
        Revocation(device=b"short", cut=()),
        Revocation(device=b"d" * 16, cut=tuple(Cut(b"l" * 16, n + 1, b"h" * 32) for n in range(limits.CUTS_MAX + 1))),
        Revocation(device=b"d" * 16, cut=(Cut(b"l" * 16, 0, b"h" * 32),)),
        Revocation(device=b"d" * 16, cut=(Cut(b"l" * 16, 2**60, b"h" * 32),)),
        Revocation(device=b"d" * 16, cut=(Cut(b"l" * 16, 1, b"h" * 31),)),
        Rekeying(epoch=0, key_id=b"k" * 8, previous=b"p" * 8, boxes=()),
        Rekeying(epoch=2**62, key_id=b"k" * 8, previous=b"p" * 8, boxes=()),
        Rekeying(epoch=1, key_id=b"k" * 9, previous=b"p" * 8, boxes=()),
        Rekeying(epoch=1, key_id=b"k" * 8, previous=b"p" * 8, boxes=((b"d" * 16, b"x" * 1000),)),
    ],
)
def test_a_record_of_the_roster_that_breaks_a_bound_says_nothing(
    content: Admission | Revocation | Rekeying,
) -> None:
    kinds = {Admission: Kind.ADMIT, Revocation: Kind.REVOKE, Rekeying: Kind.REKEY}
    founder = peer(1)
    record = founder.write(kinds[type(content)], "", content=content)
    assert record.roster() is None
    assert folded(founder, [record]) == folded(founder, ())


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x90", b"\x92\xc0\xc0", b"\xff" * 100, None])
def test_a_record_of_the_roster_that_cannot_be_read_says_nothing(body: bytes | None) -> None:
    founder = peer(1)
    for kind in (Kind.ADMIT, Kind.REVOKE, Kind.REKEY, Kind.SAVE):
        record = founder.write(kind, "", body=body)
        assert record.roster() is None
    assert members(founder, founder.log) == {founder.device}


def test_a_roster_of_thousands_of_made_up_devices_is_folded_like_any_other() -> None:
    founder = peer(1)
    for n in range(3_000):
        founder.write(Kind.ADMIT, "", content=Admission(key=n.to_bytes(32, "big"), box=bytes(32), name="x"))
    assert len(folded(founder, founder.log).devices) == 3_001


def test_names_are_one_short_plain_line() -> None:
    assert clean_name("  my\tlaptop \u202e\u2028 x ") == "my laptop x"
    assert clean_name("x" * 1_000) == "x" * limits.DEVICE_NAME_CHARS_MAX


# The law --------------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> tuple[Peer, list[Record]]:
    """A founder and what some devices said of the roster, each without knowing what the others say; clones too."""
    peers = [peer(seed) for seed in range(5)]
    founder = peers[0]
    writers, made = list(peers), [admit(founder, peers[1])]
    for _ in range(draw(st.integers(1, 15))):
        writer, whom = draw(st.sampled_from(writers)), draw(st.sampled_from(peers))
        match draw(st.sampled_from(("admit", "admit", "save", "revoke", "rekey", "clone"))):
            case "admit":
                made.append(admit(writer, whom, draw(st.sampled_from("abc"))))
            case "save":
                made.append(writer.save("text"))
            case "revoke":
                known = [record for record in made if record.core.device == whom.device]
                ends = draw(st.lists(st.sampled_from(known), max_size=2)) if known else []
                made.append(writer.revoke(whom.device, *ends))
            case "rekey":
                made.append(
                    rekey(writer, draw(st.integers(1, 3)), draw(st.sampled_from((b"1" * 8, b"2" * 8))), b"1" * 8)
                )
            case _:
                writers.append(writer.clone())
    return founder, made


@given(histories(), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_the_records_gives_the_same_roster(
    history: tuple[Peer, list[Record]], choice: random.Random
) -> None:
    founder, made = history
    expected = folded(founder, made)
    again = made * 2
    choice.shuffle(again)
    assert folded(founder, again) == expected


@given(histories())
def test_a_revocation_by_anyone_ever_admitted_stands_whatever_else_is_said(history: tuple[Peer, list[Record]]) -> None:
    founder, made = history
    roster = folded(founder, made)
    for record in made:
        content = record.roster()
        if isinstance(content, Revocation) and record.core.device in roster.devices:
            standing = roster.devices.get(content.device)
            assert standing is None or standing.revoked
