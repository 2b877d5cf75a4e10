"""The fold's laws: the same records give the same state, however they came; and what each kind of record does."""

from __future__ import annotations

import random
from itertools import pairwise, permutations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nokosu import records
from nokosu.fold import State, Status, Supersessions, fold
from nokosu.records import Content, Kind, Record
from nokosu.testing import DAY_MS, HOUR_MS, NEW_YEAR_MS, ManualClock, Peer, SeededRandom
from tests.promises import promise

SPACE = bytes(16)
MEMORY = "0123456789ab"
KINDS = ("save", "edit", "edit", "edit", "forget", "restore", "a kind of a later version", "purge")


def peer(seed: int = 0, *, skew_ms: int = 0) -> Peer:
    return Peer(SPACE, wall_clock=ManualClock(NEW_YEAR_MS + skew_ms), random=SeededRandom(seed))


def as_bytes(state: State) -> bytes:
    return msgspec.msgpack.encode(state)


def texts(state: State) -> list[str]:
    return [version.content.text for version in state.versions]


# Histories: several devices with right and wrong clocks write to one memory, each having seen some of the records. ----


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    skews = st.sampled_from((0, 0, 1, -DAY_MS, DAY_MS, 30 * DAY_MS, -29 * DAY_MS))
    devices = [peer(seed, skew_ms=draw(skews, label="skew")) for seed in range(3)]
    steps = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from(KINDS), st.integers(0, 2**10 - 1), st.integers(0, 2)),
            min_size=1,
            max_size=10,
        ),
        label="device, kind, which records it has seen, milliseconds that passed",
    )
    found: list[Record] = []
    for number, (device, kind, seen, passed) in enumerate(steps):
        for one in devices:
            assert isinstance(one.wall_clock, ManualClock)
            one.wall_clock.advance(ms=passed)
        known = [record for place, record in enumerate(found) if seen >> place & 1]
        after = [record for record in known if record.id in fold(known).heads]
        content = Content(text=f"text {number}", tags=(f"t{number}",)) if kind in ("save", "edit") else None
        found.append(devices[device].write(kind, MEMORY, content=content, after=after))
    return found


def follows(later: Record, earlier: Record, known: dict[bytes, Record]) -> bool:
    return any(
        cause == earlier.id or (cause in known and follows(known[cause], earlier, known)) for cause in later.core.after
    )


def folded_naively(found: list[Record], *, personal: bool = False) -> tuple[str, list[str]]:
    """Status and texts by the letter of the design, each pair of records compared."""
    known = {record.id: record for record in found}
    purges = [record for record in found if record.core.kind == Kind.PURGE]
    restores = [record for record in found if record.core.kind == Kind.RESTORE]
    forgets = [record for record in found if record.core.kind in (Kind.FORGET, Kind.PURGE)]
    standing = [f for f in forgets if not any(follows(restore, f, known) for restore in restores)]
    words = [record for record in found if record.core.kind not in (Kind.FORGET, Kind.RESTORE, Kind.PURGE)]
    erased = {record.id for record in words if any(is_own(record, purge.core.device, known) for purge in purges)}
    is_overdue = any(
        follows(purge, f, known) and (purge.core.hlc >> 16) - (f.core.hlc >> 16) >= 30 * DAY_MS
        for purge in purges
        for f in standing
    )
    is_whole = bool(words) and all(r.id in erased and all(cause in known for cause in r.core.after) for r in words)
    if (purges and personal) or is_whole or is_overdue:
        return "PURGED", []
    snapshots = [r for r in found if r.core.kind in (Kind.SAVE, Kind.EDIT) and r.id not in erased]
    maximal = [s for s in snapshots if not any(follows(other, s, known) for other in snapshots)]
    shown = [
        content.text
        for record in sorted(maximal, key=lambda record: (record.core.hlc, record.id), reverse=True)
        if (content := record.content()) is not None
    ]
    return ("FORGOTTEN" if standing else "LIVE" if shown else "UNKNOWN"), shown


def is_own(record: Record, device: bytes, known: dict[bytes, Record]) -> bool:
    """Whether a device may erase a record at once: it wrote it, or it was made of nothing else than what it wrote."""
    return record.core.device == device or is_made_of(record, device, known)


def is_made_of(record: Record, device: bytes, known: dict[bytes, Record]) -> bool:
    causes = record.core.after
    if not causes:
        return record.core.device == device
    return all(cause in known and is_made_of(known[cause], device, known) for cause in causes)


@promise("same-memories")
@given(histories(), st.randoms(use_true_random=False), st.booleans())
def test_any_order_repetition_and_partition_over_hosts_gives_the_same_state_byte_for_byte(
    found: list[Record], choice: random.Random, personal: bool
) -> None:
    expected = as_bytes(fold(found, personal=personal))
    hosts: list[list[Record]] = [[], [], []]
    for record in found:
        for host in choice.sample(hosts, k=choice.randint(1, 3)):
            host.append(record)
    union = [record for host in hosts for record in host]
    choice.shuffle(union)
    assert as_bytes(fold(union, personal=personal)) == expected


@given(histories(), st.booleans())
def test_the_fold_does_what_the_design_says(found: list[Record], personal: bool) -> None:
    state = fold(found, personal=personal)
    assert (state.status.name, texts(state)) == folded_naively(found, personal=personal)


@given(histories())
def test_the_next_record_follows_all_there_are(found: list[Record]) -> None:
    heads = set(fold(found).heads)
    known = {record.id: record for record in found}
    followed = {id for id, record in known.items() if any(follows(other, record, known) for other in found)}
    assert heads == known.keys() - followed


@given(histories())
def test_an_edit_that_follows_all_settles_every_conflict(found: list[Record]) -> None:
    state = fold(found)
    settling = peer(9, skew_ms=-300 * DAY_MS).write(
        Kind.EDIT, MEMORY, content=Content(text="settled"), after=[r for r in found if r.id in state.heads]
    )
    settled = fold([settling, *found])
    assert settled.heads == (settling.id,)
    if settling.id not in settled.erased and settled.status != Status.PURGED:
        assert texts(settled) == ["settled"]
        assert not settled.in_conflict


@promise("only-authors-purge")
@given(histories(), st.data())
def test_nobody_erases_at_once_what_another_device_wrote(found: list[Record], data: st.DataObject) -> None:
    """Whatever a device of its own writes, in whatever order and with whatever times it claims for its records, what the
    others wrote is kept, at least until 30 days after they saw the forget."""
    thief = peer(9, skew_ms=data.draw(st.sampled_from((-400 * DAY_MS, 0, 400 * DAY_MS))))
    honest = [record for record in found if record.core.kind != Kind.PURGE]
    theirs: list[Record] = []
    for kind in data.draw(st.lists(st.sampled_from(KINDS), max_size=4)):
        seen = data.draw(st.lists(st.sampled_from([*honest, *theirs]), max_size=3)) if honest or theirs else []
        content = Content(text="planted") if kind in ("save", "edit") else None
        theirs.append(thief.write(kind, MEMORY, content=content, after=seen))
    theirs.append(thief.purge(*honest, *theirs) if honest or theirs else thief.write(Kind.PURGE, MEMORY))
    state = fold([*honest, *theirs])
    assert not {record.id for record in honest} & set(state.erased)
    has_words = any(record.core.kind not in (Kind.FORGET, Kind.RESTORE) for record in honest)
    assert state.status != Status.PURGED or state.waits_for or not has_words


@given(histories())
def test_a_device_can_always_erase_what_it_wrote(found: list[Record]) -> None:
    device = found[0].core.device
    writer = next(one for one in (peer(seed) for seed in range(3)) if one.device == device)
    purge = writer.write(Kind.PURGE, MEMORY, after=found[-1:])
    assert {record.id for record in found if record.core.device == device} - {
        record.id for record in found if record.core.kind == Kind.PURGE
    } <= set(fold([*found, purge]).erased)


@given(histories(), st.randoms(use_true_random=False))
def test_nothing_is_inferred_from_what_is_missing(found: list[Record], choice: random.Random) -> None:
    part = [record for record in found if choice.random() < 0.5]
    state = fold(part)
    assert (state.status.name, texts(state)) == folded_naively(part)


# One record, two places -----------------------------------------------------------------------------------------------


def test_a_record_that_lies_in_two_places_counts_once() -> None:
    device = peer()
    saved = device.save("once")
    again = device.copy(saved)
    assert again.id == saved.id
    assert again.hash != saved.hash
    assert as_bytes(fold([saved, again])) == as_bytes(fold([again, saved]))
    assert texts(fold([saved, again])) == ["once"]


def test_a_record_whose_copy_has_lost_its_body_still_shows_its_text() -> None:
    device = peer()
    saved = device.save("still here")
    copy = device.copy(saved)
    bodiless = records.parse(copy.header, copy.signature, None)
    for order in permutations((saved, bodiless)):
        assert texts(fold(order)) == ["still here"]
    assert as_bytes(fold([saved, bodiless])) == as_bytes(fold([bodiless, saved]))


# What each kind does --------------------------------------------------------------------------------------------------


@promise("forgotten-stays")
def test_a_forget_wins_over_a_concurrent_edit() -> None:
    first, second = peer(1), peer(2)
    saved = first.save("a")
    edited = second.edit(saved, text="b")
    forgotten = first.forget(saved)
    for order in permutations((saved, edited, forgotten)):
        assert fold(order).status == Status.FORGOTTEN


def test_a_forget_wins_over_an_edit_that_did_not_restore() -> None:
    device = peer()
    saved = device.save("a")
    forgotten = device.forget(saved)
    assert fold([saved, forgotten, device.edit(forgotten, text="b")]).status == Status.FORGOTTEN


def test_a_restore_brings_back_what_it_follows() -> None:
    device = peer()
    saved = device.save("a")
    forgotten = device.forget(saved)
    restored = device.restore(forgotten)
    state = fold([restored, forgotten, saved])
    assert (state.status, texts(state), state.forgotten_ms) == (Status.LIVE, ["a"], None)


def test_a_restore_does_not_undo_a_forget_that_it_did_not_see() -> None:
    first, second = peer(1), peer(2)
    saved = first.save("a")
    seen, unseen = first.forget(saved), second.forget(saved)
    assert fold([saved, seen, unseen, first.restore(seen)]).status == Status.FORGOTTEN
    assert fold([saved, seen, unseen, first.restore(seen, unseen)]).status == Status.LIVE


@promise("forgotten-stays")
def test_a_purge_is_final() -> None:
    first, second = peer(1), peer(2)
    saved = first.save("a")
    purged = first.purge(saved)
    restored = second.restore(purged)
    edited = second.edit(restored, text="b")
    state = fold([edited, restored, purged, saved])
    assert (state.status, state.versions, state.created) == (Status.PURGED, (), saved)


def test_a_purge_by_another_device_hides_as_a_forget_does_and_erases_nothing() -> None:
    author, other = peer(1), peer(2)
    saved = author.save("a")
    purged = other.purge(saved)
    state = fold([saved, purged])
    assert (state.status, texts(state), state.erased) == (Status.FORGOTTEN, ["a"], ())
    assert texts(fold([saved, purged, author.restore(purged)])) == ["a"]
    assert fold([saved, purged], personal=True).status == Status.PURGED


@pytest.mark.parametrize(("days", "status"), [(29, Status.FORGOTTEN), (30, Status.PURGED)])
def test_any_device_purges_thirty_days_after_a_forget_that_stands(days: int, status: Status) -> None:
    author, other = peer(1), peer(2, skew_ms=days * DAY_MS)
    saved = author.save("a")
    forgotten = author.forget(saved)
    purged = other.purge(forgotten)
    state = fold([saved, forgotten, purged])
    assert (state.status, state.waits_for) == (status, (forgotten.id,) if status == Status.PURGED else ())
    assert fold([saved, forgotten, other.purge(saved)]).status == Status.FORGOTTEN, "it follows no forget"


def test_a_forget_that_was_restored_is_no_reason_to_purge() -> None:
    author, other = peer(1), peer(2, skew_ms=300 * DAY_MS)
    saved = author.save("a")
    forgotten = author.forget(saved)
    restored = author.restore(forgotten)
    purged = other.purge(forgotten)  # leaves out that it was restored
    assert fold([saved, forgotten, restored, purged]).status == Status.FORGOTTEN
    assert fold([saved, forgotten, restored, purged, author.restore(restored, purged)]).status == Status.LIVE


def test_an_author_erases_what_others_made_of_its_memory() -> None:
    author, other = peer(1), peer(2)
    saved = author.save("a")
    edited = other.edit(saved, text="b")
    state = fold([author.purge(saved), edited, saved])
    assert (state.status, set(state.erased)) == (Status.PURGED, {saved.id, edited.id})
    theirs = fold([other.purge(edited), edited, saved])
    assert (theirs.status, texts(theirs), theirs.erased) == (Status.FORGOTTEN, ["a"], (edited.id,))


def test_nobody_becomes_an_author_by_saving_under_the_id_of_another() -> None:
    author, thief, third = peer(1), peer(2, skew_ms=-400 * DAY_MS), peer(3)
    saved = author.save("a", memory=MEMORY)
    earlier = thief.save("was here first", memory=MEMORY)
    settled = third.edit(saved, earlier, text="both")
    state = fold([saved, earlier, settled, thief.purge(earlier)])
    assert (state.erased, texts(state)) == ((earlier.id,), ["both"])
    both = fold([saved, earlier, settled, thief.purge(earlier), author.purge(saved)])
    assert (both.status, set(both.erased)) == (Status.FORGOTTEN, {saved.id, earlier.id})


def test_what_was_made_of_something_that_is_not_here_is_not_erased_at_once() -> None:
    author, other = peer(1), peer(2)
    saved = author.save("a")
    missing = other.edit(saved, text="b")
    edited = other.edit(missing, text="c")
    purged = author.purge(saved)
    assert fold([saved, edited, purged]).erased == (saved.id,)
    own = author.edit(missing, text="d")
    assert (fold([own, purged]).status, fold([own, purged]).erased) == (Status.FORGOTTEN, (own.id,))
    assert fold([saved, missing, edited, purged]).status == Status.PURGED


def test_a_forgotten_memory_knows_since_when() -> None:
    first, second = peer(1), peer(2, skew_ms=HOUR_MS)
    saved = first.save("a")
    early, late = first.forget(saved), second.forget(saved)
    assert fold([saved, late, early]).forgotten_ms == NEW_YEAR_MS + HOUR_MS
    assert fold([saved, late, early, first.restore(late)]).forgotten_ms == NEW_YEAR_MS


def test_kinds_of_a_later_version_change_nothing_but_count_as_cause() -> None:
    device = peer()
    saved = device.save("a")
    later = device.write("starred", saved.core.memory, after=[saved])
    assert texts(fold([saved, later])) == ["a"]
    assert fold([saved, later]).heads == (later.id,)
    edited = device.edit(later, text="b")
    assert texts(fold([edited, saved, later])) == ["b"]  # follows the save through a record it cannot read
    assert fold([later]).status == Status.UNKNOWN


# Concurrent versions, and cause and effect ----------------------------------------------------------------------------


@promise("conflicts-kept")
def test_concurrent_versions_are_all_kept_and_the_latest_is_shown() -> None:
    first, second, third = peer(1), peer(2, skew_ms=HOUR_MS), peer(3, skew_ms=-HOUR_MS)
    saved = first.save("saved")
    versions = [device.edit(saved, text=text) for device, text in ((first, "b"), (second, "c"), (third, "a"))]
    state = fold([saved, *versions])
    assert state.in_conflict
    assert texts(state) == ["c", "b", "a"]
    settled = third.edit(*versions, text="all three")
    assert texts(fold([saved, *versions, settled])) == ["all three"]


def test_a_tie_in_time_is_broken_by_the_greater_record_id() -> None:
    devices = [peer(seed) for seed in range(8)]
    saved = devices[0].save("saved")
    edits = [device.write(Kind.EDIT, saved.core.memory, content=Content(text=str(n)), after=[saved], hlc=5)
             for n, device in enumerate(devices)]  # fmt: skip
    state = fold([saved, *edits])
    assert [version.record.id for version in state.versions] == sorted((edit.id for edit in edits), reverse=True)


@promise("wrong-clocks")
@pytest.mark.parametrize("skew_ms", [-20_000 * DAY_MS, -1, 0, 365 * DAY_MS])
def test_an_edit_follows_what_it_saw_whatever_the_clocks_say(skew_ms: int) -> None:
    right, wrong = peer(1), peer(2, skew_ms=skew_ms)
    saved = right.save("first")
    edited = wrong.edit(saved, text="second")
    last = right.edit(edited, text="third")
    state = fold([last, saved, edited])
    assert (texts(state), state.in_conflict) == (["third"], False)
    assert texts(fold([edited, saved])) == ["second"]


def test_records_may_arrive_before_their_cause() -> None:
    device = peer()
    saved = device.save("first")
    edited = device.edit(saved, text="second")
    forgotten = device.forget(edited)
    assert texts(fold([edited])) == ["second"]
    assert fold([edited]).created == edited
    assert fold([forgotten]).status == Status.FORGOTTEN
    assert texts(fold([forgotten, saved])) == ["first"]  # that the edit lies between them, nobody can know yet
    assert texts(fold([forgotten, saved, edited])) == ["second"]
    assert fold([forgotten, saved, edited]).created == saved


def test_a_long_history_folds_in_linear_time() -> None:
    device = peer()
    history = [device.save("0")]
    for number in range(1, 5_000):
        history.append(device.edit(history[-1], text=str(number)))
    assert texts(fold(reversed(history))) == ["4999"]


# Supersession ---------------------------------------------------------------------------------------------------------


class Links:
    """Who supersedes whom, and when each was written: `Links({"new": ["old"]}, "old new")` from the oldest on."""

    def __init__(self, supersedes: dict[str, list[str]], written: str) -> None:
        self.order = {memory: (number, b"") for number, memory in enumerate(written.split())}
        self.newer: dict[str, list[str]] = {}
        self.asked = 0
        for newer, older in supersedes.items():
            for memory in older:
                self.newer.setdefault(memory, []).append(newer)

    def newer_of(self, memory: str) -> list[str]:
        self.asked += 1
        return self.newer.get(memory, [])

    def hidden_by(self, memory: str) -> str | None:
        return Supersessions(self.newer_of, self.order.__getitem__).hidden_by(memory)

    def newest(self, memory: str) -> str:
        """Where climbing from one memory to what hides it ends."""
        links = Supersessions(self.newer_of, self.order.__getitem__)
        steps = 0
        while (above := links.hidden_by(memory)) is not None:
            memory, steps = above, steps + 1
            assert steps <= len(self.order)
        return memory


def test_a_newer_memory_hides_the_one_it_supersedes() -> None:
    links = Links({"new": ["old"]}, "old new")
    assert links.hidden_by("old") == "new"
    assert links.hidden_by("new") is None


def test_a_memory_that_was_written_earlier_can_supersede_one_written_later() -> None:
    links = Links({"new": ["old"]}, "new old")
    assert links.hidden_by("old") == "new"
    assert links.hidden_by("new") is None


def test_of_several_newer_ones_the_latest_is_named() -> None:
    assert Links({"b": ["a"], "c": ["a"]}, "a b c").hidden_by("a") == "c"


def test_a_memory_does_not_hide_itself() -> None:
    assert Links({"a": ["a"]}, "a").hidden_by("a") is None


@pytest.mark.parametrize("written", ["a b", "b a"])
def test_of_two_that_supersede_each_other_the_latest_stays(written: str) -> None:
    links = Links({"a": ["b"], "b": ["a"]}, written)
    first, last = written.split()
    assert links.hidden_by(last) is None
    assert links.hidden_by(first) == last


def test_a_circle_that_something_outside_supersedes_is_hidden_whole() -> None:
    links = Links({"a": ["b"], "b": ["a"], "c": ["b"]}, "c a b")
    assert links.hidden_by("b") == "c"
    assert links.newest("a") == "c"


def test_climbing_from_memory_to_what_hides_it_ends_in_every_circle() -> None:
    # y and z supersede x, x supersedes y, l supersedes z, x supersedes l: one circle, whose latest is l.
    links = Links({"y": ["x"], "z": ["x"], "x": ["y", "l"], "l": ["z"]}, "x z y l")
    assert {memory: links.newest(memory) for memory in "xyzl"} == dict.fromkeys("xyzl", "l")


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"))), st.permutations("abcdef"))
def test_supersession_always_ends_at_a_memory_that_is_shown(links: dict[str, list[str]], written: list[str]) -> None:
    graph = Links(links, " ".join(written))
    above = {memory: reachable(memory, graph) for memory in "abcdef"}
    for memory in "abcdef":
        circle = {other for other in above[memory] if memory in above[other]} | {memory}
        outside = set(graph.newer_of(memory)) - circle
        latest = max(circle, key=graph.order.__getitem__)
        assert (graph.hidden_by(memory) is None) == (not outside and memory == latest)
        assert graph.hidden_by(graph.newest(memory)) is None


def reachable(memory: str, graph: Links) -> set[str]:
    found: set[str] = set()
    waiting = [memory]
    while waiting:
        for newer in graph.newer_of(waiting.pop()):
            if newer not in found:
                found.add(newer)
                waiting.append(newer)
    return found


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_of_ten_thousand_is_climbed_in_linear_time(backwards: bool) -> None:
    names = [f"m{number:05}" for number in range(10_000)]
    chain = {newer: [older] for older, newer in pairwise(names)}
    links = Links(chain, " ".join(reversed(names) if backwards else names))
    assert links.newest(names[0]) == names[-1]
    assert links.asked < 5 * len(names)


@settings(max_examples=20)
@given(st.permutations(range(6)))
def test_a_circle_of_any_order_leaves_its_latest(order: list[int]) -> None:
    names = "abcdef"
    circle = {names[at]: [names[at - 1]] for at in range(6)}
    written = " ".join(names[at] for at in order)
    assert {Links(circle, written).newest(name) for name in names} == {names[order[-1]]}
