"""The Python door, from outside: what a person or an agent saves, and what becomes of it."""

from __future__ import annotations

import random
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu import limits
from nokosu.config import DATABASE_NAME, Config
from nokosu.drafts import Change, Draft, Filters, Query
from nokosu.errors import NotFound, RecordRefused, Refused, StoreError, UsageError
from nokosu.memory import Finding, Hits
from nokosu.nokosu import Nokosu
from nokosu.records import Author, Content, Kind
from nokosu.store import roster
from nokosu.store.connection import Database
from nokosu.testing import DAY_MS, SAMPLE_DRAFTS, ManualClock, Peer, SeededRandom, Store
from tests.promises import promise

GITHUB_TOKEN = "ghp_" + "1A2b3C4d5E6f" * 3
MASKED = (Finding("github-token", 1),)

Aside = Callable[[], Store]


@pytest.fixture
def below(memory: Nokosu, clock: ManualClock) -> Iterator[Aside]:
    """The store below the memory, opened a second time: `below()`."""
    opened: list[Store] = []

    def open_below() -> Store:
        if not opened:
            opened.append(Store(memory.config.database, wall_clock=clock, random=SeededRandom(5)))
        return opened[0]

    yield open_below
    for store in opened:
        store.close()


def texts(hits: Hits) -> list[str]:
    return [hit.text for hit in hits.hits]


def search(memory: Nokosu, words: str, **filters: Any) -> Hits:
    return memory.search(Query(text=words, **filters))


def save(memory: Nokosu, text: str, **fields: Any) -> str:
    return memory.save(Draft(text=text, **fields)).id


def assert_sound(memory: Nokosu) -> None:
    """The log is whole, and the index says what the log says."""
    assert memory.verify().problems == ()


# Save and get ---------------------------------------------------------------------------------------------------------


@promise("search-is-the-log")
def test_what_is_saved_is_found_and_shown_with_every_field(memory: Nokosu) -> None:
    other = save(memory, "something else")
    saved = memory.save(
        Draft(
            text="Deploys run from main.\nSince May.",
            subject="Where deploys run from",
            type="decision",
            project="app",
            tags=("deploy", "CI"),
            refs=("Makefile", "https://example.org/1"),
            importance=4,
            supersedes=(other[:6],),
            expires="2026-12-31",
            source="person",
        )
    )
    assert (saved.duplicate, saved.project, saved.space) == (False, "app", "personal")
    found = memory.get(saved.id)
    assert msgspec.structs.asdict(found) | {"history": ()} == {
        "id": saved.id,
        "subject": "Where deploys run from",
        "text": "Deploys run from main.\nSince May.",
        "type": "decision",
        "project": "app",
        "tags": ("deploy", "CI"),
        "refs": ("Makefile", "https://example.org/1"),
        "importance": 4,
        "supersedes": (other,),
        "superseded_by": None,
        "expires": "2026-12-31T23:59:59.999Z",
        "expired": False,
        "source": "person",
        "created": "2026-01-01T00:00:00.000Z",
        "updated": "2026-01-01T00:00:00.000Z",
        "agent": "tester",
        "client": "",
        "session": "",
        "model": "",
        "host": "",
        "device": "laptop",
        "space": "personal",
        "status": "live",
        "in_conflict": False,
        "versions": (),
        "history": (),
        "delivery": None,
    }
    (hit,) = search(memory, "deploys main", project="app").hits
    assert (hit.id, hit.subject, hit.text, hit.updated) == (saved.id, found.subject, found.text, None)
    assert memory.get(other).superseded_by == saved.id
    assert_sound(memory)


def test_the_first_line_that_says_something_stands_in_for_a_subject(memory: Nokosu) -> None:
    assert memory.get(save(memory, "\n\n  First line.  \nSecond.")).subject == "First line."
    assert memory.get(save(memory, "x" * 500)).subject == "x" * 119 + "…"


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]52;c;aGk=\x07\x1b[2J\rbell\x9b",
        "\u202egnp.exe\u2066 \U000e0041 a\u200bb \ufe0f",
        "--help",
        "@file $(x) `y`",
        "'; DROP TABLE log; --",
        "e\u0301 and é stay two",
        "\u00a0 \n\t tabs stay\t",
        "\ufdfa" * 50,
        "👨\u200d👩\u200d👧 ﷺ שלום",
    ],
)
def test_a_text_comes_back_exactly_as_it_was_saved(memory: Nokosu, text: str) -> None:
    id = save(memory, text)
    assert memory.get(id).text == text
    assert texts(memory.list(Filters())) == [text]
    assert_sound(memory)
    memory.forget(id)
    memory.purge(id)
    assert_sound(memory)


def test_the_largest_text_is_saved_and_found(memory: Nokosu) -> None:
    text = "lighthouse " + "x" * (limits.TEXT_BYTES_MAX - 11)
    id = save(memory, text)
    assert memory.get(id).text == text
    assert [hit.id for hit in search(memory, "lighthouse").hits] == [id]


def test_a_memory_that_no_peer_could_take_is_not_saved(memory: Nokosu) -> None:
    save(memory, "first")
    refs = tuple("界" * 1020 + f"{number:04}" for number in range(limits.REFS_MAX))
    with pytest.raises(RecordRefused, match="at most 131072"):
        save(memory, "x" * limits.TEXT_BYTES_MAX, refs=refs)
    assert memory.status().memories == 1
    assert_sound(memory)


def test_many_are_saved_in_one_transaction_or_none(memory: Nokosu) -> None:
    saved = memory.save_many(SAMPLE_DRAFTS)
    assert len({one.id for one in saved}) == len(SAMPLE_DRAFTS) == memory.status().memories
    with pytest.raises(NotFound):
        memory.save_many([Draft(text="good"), Draft(text="bad", supersedes=("zzzz",))])
    assert memory.status().memories == len(SAMPLE_DRAFTS)
    assert_sound(memory)


def test_a_memory_can_be_saved_to_a_space_by_name(memory: Nokosu) -> None:
    here = memory.save(Draft(text="for this machine only"), space="local")
    assert (here.space, memory.get(here.id).space) == ("local", "local")
    with pytest.raises(NotFound, match="no space named 'team'"):
        memory.save(Draft(text="for all"), space="team")


@promise("reads-write-nothing")
def test_a_home_that_does_not_exist_reads_as_empty_and_stays_so(config: Config) -> None:
    with Nokosu(config) as memory:
        assert search(memory, "x").hits == ()
        assert memory.list(Filters()).hits == ()
        assert list(memory.memories()) == []
        assert memory.verify().problems == ()
        assert memory.brief().ids == ()
        status = memory.status()
        assert (status.exists, status.memories, status.read_only) == (False, 0, False)
        with pytest.raises(NotFound):
            memory.get("0000")
        with pytest.raises(NotFound):
            memory.backup(config.user_home / "copy.db")
    assert not config.home.exists()


@promise("reads-write-nothing")
def test_reading_leaves_every_byte_of_the_store_as_it_is(memory: Nokosu, config: Config) -> None:
    saved = memory.save_many(SAMPLE_DRAFTS)
    memory.close()
    before = {path.name: path.read_bytes() for path in config.home.iterdir() if not path.name.endswith("-shm")}
    with Nokosu(config) as reader:
        search(reader, "deploy")
        reader.get(saved[0].id, history=True)
        reader.list(Filters())
        reader.brief()
        reader.status()
        reader.verify()
        list(reader.memories())
    after = {path.name: path.read_bytes() for path in config.home.iterdir() if not path.name.endswith("-shm")}
    assert after == before


def test_home_and_files_are_for_their_owner_alone(memory: Nokosu, config: Config) -> None:
    save(memory, "private")
    assert stat.S_IMODE(config.home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in config.home.iterdir()} == {0o600}


# Saving again ---------------------------------------------------------------------------------------------------------


@promise("saving-again-is-safe")
def test_the_same_text_in_the_same_project_is_saved_once(memory: Nokosu, below: Aside) -> None:
    first = memory.save(Draft(text="once", project="app", tags=("a",)))
    before = len(below().records())
    again = memory.save(Draft(text="once", project="app", tags=("b",), importance=5))
    assert (again.id, again.duplicate) == (first.id, True)
    assert again.notes == ("the same text is there already: nothing was changed",)
    assert len(below().records()) == before
    assert memory.get(first.id).tags == ("a",)


def test_the_same_text_elsewhere_or_after_an_edit_is_another_memory(memory: Nokosu) -> None:
    ids = {save(memory, "twice", project=project) for project in ("app", "web", None)}
    assert len(ids) == 3
    assert memory.save(Draft(text="twice"), space="local").id not in ids
    edited = save(memory, "before")
    memory.edit(edited, Change(text="after"))
    assert save(memory, "before") != edited
    assert save(memory, "after") == edited


def test_what_is_no_longer_shown_is_saved_anew(memory: Nokosu, clock: ManualClock) -> None:
    forgotten = save(memory, "forgotten")
    memory.forget(forgotten)
    superseded = save(memory, "superseded")
    save(memory, "its successor", supersedes=(superseded,))
    expired = save(memory, "expired", expires="2026-01-01")
    clock.advance(days=1)
    for text, before in (("forgotten", forgotten), ("superseded", superseded), ("expired", expired)):
        again = memory.save(Draft(text=text))
        assert (again.duplicate, again.id != before) == (False, True)
    assert_sound(memory)


def test_what_is_damaged_is_saved_anew(memory: Nokosu, below: Aside) -> None:
    first = save(memory, "I still know this")
    damage_bodies(below().database, first)
    again = memory.save(Draft(text="I still know this"))
    assert (again.duplicate, again.id != first) == (False, True)
    assert texts(search(memory, "still know")) == ["I still know this"]


def damage_bodies(database: Database, memory: str) -> None:
    with database.write() as connection:
        connection.run("UPDATE record SET body = x'9200' WHERE memory = ?", (memory,))


# Secrets --------------------------------------------------------------------------------------------------------------


@promise("secrets-are-masked")
def test_a_secret_is_masked_wherever_it_stands_and_the_answer_says_so(memory: Nokosu, config: Config) -> None:
    saved = memory.save(
        Draft(
            text=f"push with {GITHUB_TOKEN}",
            subject=f"token {GITHUB_TOKEN}",
            tags=(GITHUB_TOKEN,),
            refs=(f"https://x/{GITHUB_TOKEN}",),
        )
    )
    assert [finding.rule for finding in saved.redacted] == ["github-token"] * 4
    found = memory.get(saved.id)
    assert found.text == "push with [redacted:github-token]"
    assert GITHUB_TOKEN not in f"{found.subject} {found.tags} {found.refs}"
    memory.close()
    assert GITHUB_TOKEN.encode() not in b"".join(path.read_bytes() for path in config.home.iterdir())


@promise("secrets-are-masked")
def test_an_edit_masks_secrets_too(memory: Nokosu, config: Config) -> None:
    id = save(memory, "push like this")
    assert memory.edit(id, Change(text=f"push with {GITHUB_TOKEN}")).redacted == MASKED
    assert memory.edit(id, Change(subject=f"with {GITHUB_TOKEN}")).redacted == MASKED
    assert memory.edit(id, Change(tags=("a", GITHUB_TOKEN))).redacted == MASKED
    assert memory.edit(id, Change(refs=(f"https://{GITHUB_TOKEN}@host/x",))).redacted != ()
    memory.close()
    assert GITHUB_TOKEN.encode() not in b"".join(path.read_bytes() for path in config.home.iterdir())


@promise("secrets-are-masked")
def test_saving_a_secret_again_tells_again_what_was_masked(memory: Nokosu) -> None:
    memory.save(Draft(text=f"push with {GITHUB_TOKEN}"))
    again = memory.save(Draft(text=f"push with {GITHUB_TOKEN}"))
    assert (again.duplicate, again.redacted) == (True, MASKED)


# Ids ------------------------------------------------------------------------------------------------------------------


def test_a_memory_is_named_by_its_id_or_a_unique_beginning_in_any_case(memory: Nokosu) -> None:
    id = save(memory, "named")
    for name in (id, id[:4], id[:7].upper(), id.replace("0", "o").replace("1", "l")):
        assert memory.get(name).id == id


def test_a_beginning_that_two_share_is_refused_with_both(store: Store, config: Config) -> None:
    peer = Peer(store.personal.id, random=SeededRandom(3))
    store.admit(peer)
    for memory in ("abcd00000000", "abcd11111111", "abce00000000"):
        store.log.append(peer.save(memory, memory=memory))
    with Nokosu(msgspec.structs.replace(config, home=store.database.path.parent)) as memory_of:
        with pytest.raises(Refused, match="abcd00000000, abcd11111111"):
            memory_of.get("abcd")
        assert memory_of.get("abcd1").id == "abcd11111111"
        with pytest.raises(Refused):
            memory_of.forget("abc" + "d")
        with pytest.raises(NotFound, match="no memory abcf"):
            memory_of.get("abcf")


@pytest.mark.parametrize(
    "id", ["", "abc", "../../etc/passwd", "*", "**", "$", "#", "?", "x" * 10_000, "abcdu", "abc def", "%%%%", "____"]
)
def test_what_is_no_id_is_refused_as_such(memory: Nokosu, id: str) -> None:
    save(memory, "there is something")
    for act in (memory.get, memory.forget, memory.restore, memory.purge):
        with pytest.raises(UsageError, match=r"^id: .* is not a memory id"):
            act(id)


# Edit -----------------------------------------------------------------------------------------------------------------


def test_an_edit_changes_what_it_names_and_keeps_the_rest(memory: Nokosu, clock: ManualClock) -> None:
    draft = Draft(
        text="old", subject="s", type="bug", tags=("t",), refs=("r",), importance=3, source="person", project="app"
    )
    id = memory.save(draft).id
    before = memory.get(id)
    clock.advance(days=1)
    memory.edit(id, Change(text="new"))
    after = memory.get(id, history=True)
    assert after.updated == "2026-01-02T00:00:00.000Z"
    assert msgspec.structs.replace(after, text="old", updated=before.updated, history=()) == before
    assert [(event.kind, event.text) for event in after.history] == [("save", "old"), ("edit", "new")]
    assert texts(search(memory, "old", project="app")) == []
    assert texts(search(memory, "new", project="app")) == ["new"]
    assert_sound(memory)


def test_an_edit_can_take_every_optional_field_away(memory: Nokosu) -> None:
    other = save(memory, "other")
    draft = Draft(
        text="x",
        subject="s",
        type="bug",
        tags=("t",),
        refs=("r",),
        importance=3,
        supersedes=(other,),
        expires="2030-01-01",
        project="app",
    )
    id = memory.save(draft).id
    for change in (
        Change(subject=""), Change(type=""), Change(project=""), Change(tags=()), Change(refs=()), Change(importance=0),
        Change(supersedes=()), Change(expires=""),
    ):  # fmt: skip
        assert not memory.edit(id, change).duplicate, change
    left = memory.get(id)
    assert (left.subject, left.type, left.project, left.tags, left.refs) == ("x", "note", "", (), ())
    assert (left.importance, left.supersedes, left.expires) == (None, (), None)
    assert memory.get(other).superseded_by is None
    assert_sound(memory)


def test_an_edit_moves_a_memory_to_another_project(memory: Nokosu) -> None:
    id = save(memory, "moved", project="app")
    assert memory.edit(id, Change(project="web")).project == "web"
    assert texts(search(memory, "moved", project="web")) == ["moved"]
    assert texts(search(memory, "moved", project="app")) == []
    assert_sound(memory)


def test_an_edit_that_changes_nothing_writes_nothing(memory: Nokosu, below: Aside) -> None:
    id = save(memory, "same", tags=("a",))
    before = len(below().records())
    edited = memory.edit(id, Change(text="same", tags=("a",)))
    assert (edited.duplicate, edited.notes) == (True, ("nothing changed",))
    assert len(below().records()) == before


def test_an_edit_of_what_is_not_there_is_refused(memory: Nokosu) -> None:
    id = save(memory, "here")
    with pytest.raises(NotFound):
        memory.edit("0000", Change(text="x"))
    memory.forget(id)
    with pytest.raises(Refused, match="is forgotten") as refused:
        memory.edit(id, Change(text="x"))
    assert refused.value.hint == f"nokosu restore {id}"
    memory.purge(id)
    with pytest.raises(Refused, match="no text any more"):
        memory.edit(id, Change(text="x"))


@promise("conflicts-kept")
def test_a_conflict_shows_all_versions_and_the_next_edit_settles_it(memory: Nokosu, below: Aside) -> None:
    id = save(memory, "port 80")
    store = below()
    (saved,) = store.records()
    peer = Peer(store.personal.id, random=SeededRandom(8), name="desktop", agent="codex", wall_clock=ManualClock())
    store.admit(peer)
    memory.edit(id, Change(text="port 8080"))
    store.log.append(peer.edit(saved, text="port 8443"))
    found = memory.get(id)
    assert found.in_conflict
    assert {version.text for version in found.versions} == {"port 8080", "port 8443"}
    assert {(version.device, version.agent) for version in found.versions} == {
        ("laptop", "tester"),
        ("desktop", "codex"),
    }
    for word in ("8080", "8443"):
        (hit,) = search(memory, word).hits
        assert (hit.id, hit.in_conflict) == (id, True)
    assert_sound(memory)
    memory.edit(id, Change(text="port 8443, really"))
    settled = memory.get(id)
    assert (settled.in_conflict, settled.versions, settled.text) == (False, (), "port 8443, really")
    assert texts(search(memory, "8080")) == []
    assert_sound(memory)


def test_a_conflict_can_be_settled_with_one_of_its_versions(memory: Nokosu, below: Aside) -> None:
    id = save(memory, "port 80")
    store = below()
    (saved,) = store.records()
    peer = Peer(store.personal.id, random=SeededRandom(8))
    store.admit(peer)
    store.log.append_many([peer.edit(saved, text="a"), peer.edit(saved, text="b")])
    memory.edit(id, Change(text=memory.get(id).text))
    assert not memory.get(id).in_conflict


@promise("newer-kept")
def test_an_edit_carries_on_the_fields_of_a_later_version(memory: Nokosu, below: Aside) -> None:
    save(memory, "first")
    store = below()
    peer = Peer(store.personal.id, random=SeededRandom(8))
    store.admit(peer)
    strange = {"mood": {"a": [1, 2.5, None, b"\0"]}, "when": msgspec.msgpack.Ext(-1, b"\xff" * 12), "deep": deep(200)}
    record = peer.write(Kind.SAVE, "0123456789ab", content=Content(text="from the future"), unknown=strange)
    store.log.append(record)
    memory.edit("0123456789ab", Change(text="edited here"))
    edited = store.records()[-1]
    assert edited.core.kind == Kind.EDIT
    assert edited.body is not None
    assert record.body is not None
    plain = msgspec.msgpack.Decoder(tuple[bytes, dict[str, msgspec.Raw]])
    before, after = plain.decode(record.body)[1], plain.decode(edited.body)[1]
    assert {name: bytes(after[name]) for name in strange} == {name: bytes(before[name]) for name in strange}
    assert memory.get("0123456789ab").text == "edited here"
    assert_sound(memory)


def deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


# Forget, restore, purge -----------------------------------------------------------------------------------------------


@promise("forgotten-stays")
def test_a_forgotten_memory_is_hidden_and_can_be_restored(memory: Nokosu) -> None:
    id = save(memory, "the harbour code is blue")
    memory.forget(id)
    found = search(memory, "harbour")
    assert (texts(found), found.withheld) == ([], {"forgotten": 1})
    assert texts(memory.list(Filters())) == []
    hidden = memory.get(id, history=True)
    assert (hidden.status, hidden.text, hidden.type, hidden.tags) == ("forgotten", "", "", ())
    assert [(event.kind, event.text) for event in hidden.history] == [("save", None), ("forget", None)]
    assert memory.get(id, with_forgotten=True).text == "the harbour code is blue"
    assert_sound(memory)
    memory.restore(id)
    assert texts(search(memory, "harbour")) == ["the harbour code is blue"]
    assert_sound(memory)


def test_doing_it_twice_says_so_and_writes_nothing(memory: Nokosu, below: Aside) -> None:
    id = save(memory, "x")
    assert memory.restore(id).notes == ("it is not forgotten",)
    memory.forget(id)
    before = len(below().records())
    assert (memory.forget(id).duplicate, memory.forget(id).notes) == (True, ("it is forgotten already",))
    assert len(below().records()) == before
    memory.purge(id)
    assert memory.purge(id).notes == ("it is purged already",)
    for act in (memory.forget, memory.restore):
        with pytest.raises(Refused, match="was purged: its text is gone"):
            act(id)


@promise("forgotten-stays")
def test_thirty_days_after_forgetting_the_next_save_purges(memory: Nokosu, clock: ManualClock) -> None:
    id = save(memory, "gone in a month")
    memory.forget(id)
    clock.advance(days=30)
    save(memory, "on the last day")
    assert memory.get(id).status == "forgotten"
    clock.advance(ms=1)
    save(memory, "on the day after")
    purged = memory.get(id, history=True, with_forgotten=True)
    assert (purged.status, purged.text, purged.created) == ("purged", "", "2026-01-01T00:00:00.000Z")
    assert [event.kind for event in purged.history] == ["save", "forget", "purge"]
    assert_sound(memory)


@pytest.mark.parametrize("skew_days", [-400, 400])
def test_a_wrong_clock_elsewhere_neither_hastens_nor_delays_a_purge(
    memory: Nokosu, below: Aside, clock: ManualClock, skew_days: int
) -> None:
    id = save(memory, "for thirty days from when it was seen here")
    store = below()
    (saved,) = store.records()
    peer = Peer(store.personal.id, wall_clock=ManualClock(clock() + skew_days * DAY_MS), random=SeededRandom(8))
    store.admit(peer)
    store.log.append(peer.forget(saved))
    clock.advance(days=30)
    save(memory, "on the last day")
    assert memory.get(id).status == "forgotten"
    clock.advance(ms=1)
    save(memory, "on the day after")
    assert memory.get(id).status == "purged"
    assert_sound(memory)


def test_a_memory_forgotten_long_ago_that_arrives_today_can_be_restored_for_thirty_days(
    memory: Nokosu, below: Aside, clock: ManualClock
) -> None:
    save(memory, "first")
    store = below()
    peer = Peer(store.personal.id, wall_clock=ManualClock(clock()), random=SeededRandom(8))
    store.admit(peer)
    theirs = peer.save("theirs", memory="0123456789ab")
    peer.forget(theirs)
    clock.advance(days=90)
    store.log.append_many(peer.log)
    save(memory, "second")
    memory.restore("0123456789ab")
    assert memory.get("0123456789ab").text == "theirs"


def test_a_damaged_memory_whose_time_has_come_stops_no_save(memory: Nokosu, below: Aside, clock: ManualClock) -> None:
    damaged, whole = save(memory, "damaged"), save(memory, "whole")
    for id in (damaged, whole):
        memory.forget(id)
    damage_bodies(below().database, damaged)
    clock.advance(days=31)
    assert save(memory, "life goes on")
    assert memory.get(whole).status == "purged"


def test_what_was_forgotten_in_a_space_this_device_was_removed_from_stops_no_save_and_no_purge(
    memory: Nokosu, below: Aside, clock: ManualClock
) -> None:
    own = save(memory, "mine, and forgotten")
    store = below()
    space = store.join(bytes(16), name="team")
    theirs = [memory.save(Draft(text=f"ours {number}"), space="team").id for number in range(12)]
    for id in (*theirs, own):
        memory.forget(id)
    with store.database.reading() as connection:
        device = roster.own_device(connection).id
    written = [record for record in store.records() if record.place.space == space.id and record.core.device == device]
    store.log.append(store.founders[space.id].revoke(device, written[-1]))
    clock.advance(days=31)
    assert save(memory, "life goes on")
    assert memory.get(own).status == "purged"
    assert memory.get(theirs[0]).status == "forgotten", "that is for the others to do"


@promise("purge-leaves-nothing")
def test_a_purge_leaves_no_byte_of_the_text_on_the_disk(memory: Nokosu, config: Config) -> None:
    choice = random.Random(4)
    letters = "bcdfghjklmnpqrstvwxz"
    words = ["".join(choice.choices(letters, k=12)) for _ in range(40)]
    memory.save_many([Draft(text=f"bystander {number} {words[0][:2]}xyz") for number in range(200)])
    text = " ".join(words) + " 東京タワー"
    id = save(memory, text, subject=words[1][::-1], tags=(words[2][::-1],), refs=(words[3][::-1],))
    memory.edit(id, Change(text=f"{text} {words[4][::-1]}"))
    secrets = [*words, *(words[n][::-1] for n in (1, 2, 3, 4))]

    def on_disk() -> int:
        found = b"".join(path.read_bytes() for path in config.home.iterdir())
        # The index keeps of a word what differs from the one before it in the alphabet: look for the last six letters.
        return sum(found.count(word[-6:].encode()) for word in secrets) + found.count("東京タワー".encode())

    assert on_disk() >= 2 * len(secrets)
    memory.forget(id)
    assert on_disk() >= 2 * len(secrets)
    assert memory.purge(id).notes == ()
    assert on_disk() == 0
    assert_sound(memory)
    assert search(memory, "bystander", limit=1).total == 200


def test_a_purge_beside_a_reader_says_that_old_bytes_remain(memory: Nokosu, below: Aside, config: Config) -> None:
    id = save(memory, "wolframite")
    impatient = Nokosu(config, wait_ms=10)
    with below().database.reading() as reader:
        assert reader.rows("SELECT count(*) FROM record") == [(1,)]
        assert "another process is reading" in impatient.purge(id).notes[0]
    impatient.close()


def test_only_the_device_that_wrote_it_purges_a_shared_memory_at_once(
    memory: Nokosu, below: Aside, clock: ManualClock
) -> None:
    save(memory, "mine")
    store = below()
    peer = Peer(bytes(16), random=SeededRandom(8), name="desktop")
    store.join(bytes(16), peer, name="team")
    store.log.append(peer.save("theirs", memory="0123456789ab"))
    with pytest.raises(Refused, match="written on desktop"):
        memory.purge("0123456789ab")
    memory.forget("0123456789ab")
    with pytest.raises(Refused, match="written on desktop"):
        memory.purge("0123456789ab")
    clock.advance(days=31)
    memory.purge("0123456789ab")
    assert memory.get("0123456789ab").status == "purged"
    ours = memory.save(Draft(text="ours"), space="team").id
    memory.purge(ours)


class Team:
    """A space that this device shares with the devices of others, who may run a changed program."""

    def __init__(self, memory: Nokosu, below: Aside, clock: ManualClock) -> None:
        save(memory, "mine")
        self.clock = clock
        self.store = below()
        self.author, self.other = self.peer(8, "desktop"), self.peer(9, "stranger")
        self.space = self.store.join(bytes(16), self.author, self.other, name="team")

    def peer(self, seed: int, name: str, *, skew_days: int = 0) -> Peer:
        wall_clock = ManualClock(self.clock() + skew_days * DAY_MS)
        return Peer(bytes(16), random=SeededRandom(seed), name=name, wall_clock=wall_clock)

    def bodies(self, id: str) -> int:
        """How many records of a memory still have their text."""
        found = [record for record in self.store.records() if record.core.memory == id]
        return sum(record.body is not None for record in found if record.core.kind in ("save", "edit"))


@pytest.fixture
def team(memory: Nokosu, below: Aside, clock: ManualClock) -> Team:
    return Team(memory, below, clock)


THEIRS = "0123456789ab"


@promise("only-authors-purge")
def test_a_purge_by_another_device_of_a_shared_space_only_hides(memory: Nokosu, team: Team) -> None:
    saved = team.author.save("theirs", memory=THEIRS)
    team.store.log.append_many([saved, team.other.purge(saved)])
    assert (memory.get(THEIRS).status, team.bodies(THEIRS)) == ("forgotten", 1)
    memory.restore(THEIRS)
    assert texts(search(memory, "theirs")) == ["theirs"]
    assert_sound(memory)


@promise("only-authors-purge")
def test_what_a_purge_with_invented_times_takes_is_kept_for_thirty_days_and_comes_back_when_its_device_is_revoked(
    memory: Nokosu, team: Team
) -> None:
    saved = team.author.save("theirs", memory=THEIRS)
    liar = team.peer(10, "liar", skew_days=-40)
    team.store.admit(liar)
    first = liar.save("its own, from before", memory="a" * 12)
    forgotten = liar.forget(saved)
    liar.wall_clock = team.clock
    team.store.log.append_many([first, saved, forgotten, liar.purge(forgotten)])
    assert (memory.get(THEIRS).status, team.bodies(THEIRS)) == ("purged", 1)
    delivery = memory.get(THEIRS).delivery
    assert delivery is not None
    assert "laptop" in [one.device for one in delivery.pending]
    assert_sound(memory)
    team.clock.advance(days=29)
    save(memory, "life goes on")
    memory.rebuild()
    assert team.bodies(THEIRS) == 1
    assert_sound(memory)
    team.store.log.append(team.store.founders[bytes(16)].revoke(liar.device, first))
    assert memory.get(THEIRS).text == "theirs"
    assert_sound(memory)


def test_thirty_days_after_this_device_saw_the_forget_nothing_of_a_purged_memory_is_kept(
    memory: Nokosu, team: Team
) -> None:
    saved = team.author.save("theirs", memory=THEIRS)
    late = team.peer(10, "late", skew_days=40)
    team.store.admit(late)
    forgotten = team.other.forget(saved)
    team.store.log.append_many([saved, forgotten, late.purge(forgotten)])
    team.clock.advance(days=30, ms=-1)
    save(memory, "on the last day")
    assert team.bodies(THEIRS) == 1
    team.clock.advance(ms=1)
    save(memory, "on the day after")
    assert (memory.get(THEIRS).status, team.bodies(THEIRS)) == ("purged", 0)
    assert_sound(memory)


def test_a_purge_that_comes_thirty_days_after_its_forget_erases_at_once(memory: Nokosu, team: Team) -> None:
    saved = team.author.save("theirs", memory=THEIRS)
    forgotten = team.other.forget(saved)
    team.store.log.append_many([saved, forgotten])
    team.clock.advance(days=30)
    team.other.wall_clock = team.clock
    team.store.log.append(team.other.purge(forgotten))
    assert (memory.get(THEIRS).status, team.bodies(THEIRS)) == ("purged", 0)
    assert_sound(memory)


def test_a_forget_by_a_clock_that_is_ahead_is_said_again_before_the_memory_is_purged(
    memory: Nokosu, team: Team
) -> None:
    saved = team.author.save("theirs", memory=THEIRS)
    ahead = team.peer(10, "ahead", skew_days=400)
    team.store.admit(ahead)
    team.store.log.append_many([saved, ahead.forget(saved)])
    kinds = []
    for _ in range(3):
        team.clock.advance(days=30, ms=1)
        save(memory, f"at {team.clock()}")
        kinds.append([event.kind for event in memory.get(THEIRS, history=True).history if event.device == "laptop"])
    assert kinds == [["forget"], ["forget", "purge"], ["forget", "purge"]]
    assert (memory.get(THEIRS).status, team.bodies(THEIRS)) == ("purged", 0)
    assert_sound(memory)


def test_a_purge_of_what_others_wrote_in_erases_ones_own_words_and_says_what_becomes_of_theirs(
    memory: Nokosu, team: Team
) -> None:
    saved = team.author.save("theirs", memory=THEIRS)
    team.store.log.append(saved)
    memory.edit(THEIRS, Change(text="ours"))
    purged = memory.purge(THEIRS)
    assert purged.notes == (
        "what this device wrote is erased; what desktop wrote in it is hidden, and erased 30 days later",
    )
    assert (memory.get(THEIRS).status, team.bodies(THEIRS)) == ("forgotten", 1)
    assert_sound(memory)
    team.clock.advance(days=31)
    save(memory, "a month later")
    assert (memory.get(THEIRS).status, team.bodies(THEIRS)) == ("purged", 0)


# Expiry ---------------------------------------------------------------------------------------------------------------


def test_a_memory_expires_at_the_end_of_its_day(memory: Nokosu, clock: ManualClock) -> None:
    id = save(memory, "for today", expires="2026-01-01")
    clock.advance(ms=DAY_MS - 2)
    assert texts(search(memory, "today")) == ["for today"]
    clock.advance(ms=1)
    assert texts(search(memory, "today")) == []
    assert memory.get(id).expired
    assert texts(search(memory, "today", include_expired=True)) == ["for today"]
    assert_sound(memory)


# Damage ---------------------------------------------------------------------------------------------------------------


@promise("damage-is-named")
def test_a_damaged_memory_is_named_and_never_shown(memory: Nokosu, below: Aside) -> None:
    good, bad = save(memory, "the lamp is good"), save(memory, "the lamp is bad")
    damage_bodies(below().database, bad)
    for found in (search(memory, "lamp"), memory.list(Filters())):
        assert texts(found) == ["the lamp is good"]
        assert found.withheld == {"damaged": 1}
        assert bad in found.notes[0]
    with pytest.raises(StoreError, match="damaged on disk and is not shown"):
        memory.get(bad)
    (problem,) = [problem for problem in memory.verify().problems if problem.where.startswith("log ")]
    assert (problem.memory, problem.what) == (bad, "its body is not what was written")
    memory.rebuild()
    assert texts(search(memory, "lamp")) == ["the lamp is good"]
    assert memory.get(good).text == "the lamp is good"


# Brief, status, backup, rebuild ---------------------------------------------------------------------------------------


def test_the_brief_is_of_one_project_that_there_is(memory: Nokosu) -> None:
    kept = save(memory, "Use tabs.", type="decision", project="app")
    save(memory, "Not of this project.", project="web")
    brief = memory.brief("app")
    assert (brief.ids, brief.left_out, brief.project) == ((kept,), 0, "app")
    with pytest.raises(NotFound):
        memory.brief("nothing of that name")


def test_the_brief_tells_of_old_decisions_behind_hundreds_of_notes(memory: Nokosu) -> None:
    decision = save(memory, "Never force-push.", type="decision")
    memory.save_many([Draft(text=f"chatter {number}") for number in range(150)])
    brief = memory.brief(tokens=200)
    assert decision in brief.ids
    assert f"Left out: {brief.left_out}. search_memory finds them" in brief.text


def test_status_counts_and_says_where_everything_lives(memory: Nokosu, config: Config) -> None:
    saved = memory.save_many(SAMPLE_DRAFTS)
    memory.forget(saved[0].id)
    status = memory.status()
    assert (status.memories, status.forgotten, status.records) == (len(saved) - 1, 1, len(saved) + 1)
    assert (status.home, status.database) == (str(config.home), str(config.home / DATABASE_NAME))
    assert (status.device, status.agent, status.exists, status.read_only) == ("laptop", "tester", True, False)
    assert [(space.name, space.memories) for space in status.spaces] == [("personal", len(saved) - 1), ("local", 0)]
    assert status.last_written == "2026-01-01T00:00:00.000Z"


def test_a_home_whose_folders_are_still_to_be_made_is_not_called_read_only(config: Config) -> None:
    deep_down = msgspec.structs.replace(config, home=config.home / "not" / "there" / "yet")
    with Nokosu(deep_down) as memory:
        assert not memory.status().read_only


def test_a_backup_is_a_whole_store_that_goes_on_where_it_was_made(
    memory: Nokosu, config: Config, tmp_path: Path
) -> None:
    memory.save_many(SAMPLE_DRAFTS)
    copy = tmp_path / "copy" / DATABASE_NAME
    copy.parent.mkdir()
    assert memory.backup(copy) == copy.stat().st_size
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    save(memory, "after the backup")
    with pytest.raises(StoreError, match="exists already"):
        memory.backup(copy)
    with Nokosu(msgspec.structs.replace(config, home=copy.parent)) as restored:
        assert restored.status().memories == len(SAMPLE_DRAFTS)
        assert restored.status().device_id == memory.status().device_id
        save(restored, "in the restored one")
        assert_sound(restored)


@promise("search-is-the-log")
def test_the_index_says_what_the_log_says_after_a_thousand_random_operations(
    memory: Nokosu, clock: ManualClock, config: Config
) -> None:
    choice = random.Random(20)
    ids = [save(memory, "note 0")]
    acts: list[Callable[[str], object]] = [memory.forget, memory.restore, memory.restore]
    for number in range(1, 300):
        clock.advance(ms=choice.randrange(DAY_MS))
        project = choice.choice(("app", "web", None))
        older = (choice.choice(ids),) if choice.random() < 0.1 else ()
        ids.append(save(memory, f"note {number} of {choice.choice('abcdef')}", project=project, supersedes=older))
        target = choice.choice(ids)
        try:
            if choice.random() < 0.3:
                memory.edit(target, Change(text=f"edited {number}", tags=(choice.choice("xyz"),)))
            if choice.random() < 0.3:
                choice.choice(acts)(target)
            if choice.random() < 0.05:
                memory.purge(target)
        except Refused:
            pass
        if number % 60 == 0:
            assert_sound(memory)
    before = answers(memory)
    assert memory.rebuild().memories == len(ids)
    assert answers(memory) == before
    assert_sound(memory)


def answers(memory: Nokosu) -> list[Hits]:
    queries = [Query(text=words, project=project, limit=100, include_forgotten=True, include_superseded=True)
               for words in ("", "note", "edited", "note a", "x") for project in (None, "app", "web")]  # fmt: skip
    return [memory.search(query) for query in queries]


def test_an_edit_and_a_purge_leave_no_word_behind_in_the_index(memory: Nokosu, below: Aside) -> None:
    id = save(memory, "aardvark", tags=("badger",), refs=("civet/dingo",), subject="echidna")
    with below().database.write() as connection:
        connection.run("CREATE VIRTUAL TABLE temp.term USING fts5vocab('main', 'word', 'row')")

        def terms() -> set[str]:
            return {term for (term,) in connection.rows("SELECT term FROM temp.term") if not term.isdecimal()}

        assert {"aardvark", "badger", "civet", "dingo", "echidna"} <= terms()
    memory.edit(id, Change(text="ferret", tags=(), refs=(), subject=""))
    with below().database.reading() as connection:
        assert terms() == {"ferret"}
    memory.purge(id)
    with below().database.reading() as connection:
        assert terms() == set()


def test_open_takes_a_home_and_an_agent(tmp_path: Path) -> None:
    with Nokosu.open(tmp_path / "here", agent="me") as memory:
        id = save(memory, "opened")
        assert memory.get(id).agent == "me"
        assert memory.config.home == tmp_path / "here"


def test_an_agents_name_that_no_peer_would_take_is_made_to_fit(tmp_path: Path) -> None:
    with Nokosu.open(tmp_path / "here", agent="a\nvery\tlong " + "name" * 100) as memory:
        agent = memory.get(save(memory, "opened")).agent
    assert agent.startswith("a very long name")
    assert len(agent) == limits.AUTHOR_CHARS_MAX


def test_it_works_again_after_it_was_closed(memory: Nokosu) -> None:
    id = save(memory, "closed between")
    memory.close()
    memory.close()
    assert memory.get(id).text == "closed between"


def test_two_objects_see_each_others_saves_at_once(memory: Nokosu, config: Config, clock: ManualClock) -> None:
    with Nokosu(config, wall_clock=clock) as other:
        first = save(memory, "from the first")
        assert other.get(first).text == "from the first"
        second = save(other, "from the second")
        assert memory.get(second).text == "from the second"
        assert memory.save(Draft(text="from the second")).id == second
    assert_sound(memory)


def test_agents_are_told_apart(config: Config, clock: ManualClock) -> None:
    for agent in ("claude-code", "codex"):
        with Nokosu(
            msgspec.structs.replace(config, author=Author(agent=agent, session=f"s-{agent}")), wall_clock=clock
        ) as one:
            save(one, f"I am {agent}")
    with Nokosu(config) as reader:
        assert {(hit.agent, hit.session) for hit in reader.list(Filters()).hits} == {
            ("claude-code", "s-claude-code"),
            ("codex", "s-codex"),
        }
