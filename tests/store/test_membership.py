"""Devices that become one space: founded, invited, revoked, and given a new secret, each store with a key of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from nokosu import limits, records
from nokosu.errors import NotFound, RecordRefused, Refused, UsageError
from nokosu.identity import boxes
from nokosu.identity.secrets import key_id
from nokosu.records import Admission, Author, Content, Kind, Record, Rekeying, Revocation
from nokosu.store import counting, membership, rebuilding, roster
from nokosu.store.index import Index
from nokosu.store.log import Entry
from nokosu.store.roster import Member, Secret, Space
from nokosu.store.sqlite import Connection
from nokosu.store.verify import verify
from nokosu.testing import ManualClock, SeededRandom, Store

NewStore = Callable[[str], Store]


@pytest.fixture
def new_store(quick_path: Path, clock: ManualClock) -> Iterator[NewStore]:
    """Makes a device of that name."""
    opened: list[Store] = []

    def make(name: str) -> Store:
        store = Store(quick_path / f"{name}.db", wall_clock=clock, random=SeededRandom(50 + len(opened)))
        with store.database.write() as connection:
            connection.run("UPDATE device SET name = ?", (name,))
        opened.append(store)
        return store

    yield make
    for one in opened:
        one.close()


def team(store: Store) -> Space:
    return store.space("team")


def at(connection: Connection) -> Space:
    """The team, inside a transaction."""
    return roster.space_named(connection, "team")


def id_of(store: Store) -> bytes:
    with store.database.reading() as connection:
        return roster.own_device(connection).id


def create(store: Store) -> Space:
    with store.database.write() as connection:
        return membership.create_space(connection, "team", SeededRandom(roster.own_device(connection).id[0]))


def admit(store: Store, other: Store) -> Record:
    with other.database.reading() as connection:
        public, box = roster.own_public_key(connection), boxes.public_key(roster.box_private_key(connection))
        name = roster.own_device(connection).name
    with store.database.write() as connection:
        return membership.admit(store.log, connection, at(connection), public_key=public, box_key=box, name=name)


def invite(store: Store, joiner: Store) -> Space:
    """What pairing does on both sides, without the wire."""
    admit(store, joiner)
    with store.database.reading() as connection:
        space = at(connection)
        secrets, welcome = roster.secrets(connection, space), membership.roster_records(connection, space)
        founder = roster.founder(connection, space)
    with joiner.database.write() as connection:
        return membership.enter(
            joiner.log, connection, id=space.id, name="team", founder=founder, secrets=secrets, records=welcome
        )


def revoke(store: Store, other: Store | bytes) -> list[Record]:
    device = other if isinstance(other, bytes) else id_of(other)
    with store.database.write() as connection:
        return membership.revoke(store.log, connection, at(connection), device, SeededRandom(77))


def sync(*stores: Store) -> None:
    """Give every store what the others hold of the team, until nobody learns anything."""
    before = -1
    while before != (before := sum(len(everything(store)) for store in stores)):
        for store in stores:
            for other in stores:
                store.log.append_many(everything(other), refused=lambda *_: None)


def everything(store: Store) -> list[Record]:
    return [record for record in store.records(with_roster=True) if record.place.space == team(store).id]


def members(store: Store) -> list[Member]:
    with store.database.reading() as connection:
        return roster.members(connection, at(connection))


def names(store: Store) -> list[str]:
    return [member.device.name + (" (revoked)" if member.revoked else "") for member in members(store)]


def secrets(store: Store) -> list[Secret]:
    with store.database.reading() as connection:
        return roster.secrets(connection, at(connection))


def save(store: Store, text: str, memory: str) -> Record:
    entry = Entry(kind=Kind.SAVE, memory=memory, author=Author(), content=Content(text=text))
    with store.database.write() as connection:
        return store.log.write(connection, at(connection), [entry])[0]


def assert_sound(*stores: Store) -> None:
    for store in stores:
        assert verify(store.database).problems == ()


# Founding and entering ------------------------------------------------------------------------------------------------


def test_a_new_store_is_the_founder_and_only_member_of_its_spaces(store: Store) -> None:
    with store.database.reading() as connection:
        for space in roster.spaces(connection):
            (only,) = roster.members(connection, space)
            assert (only.own, only.revoked) == (True, False)
            assert roster.founder(connection, space) == only.public_key
            assert not roster.is_shared(connection, space)
            assert [secret.epoch for secret in roster.secrets(connection, space)] == [0]
        assert roster.shared_spaces(connection) == []


def test_a_space_is_shared_from_the_first_invitation_on_and_local_never_is(store: Store) -> None:
    with store.database.write() as connection:
        personal, local = roster.spaces(connection)
        roster.set_listening(connection, personal, 4321, "::")
        assert roster.listening(connection, personal) == roster.Listening(4321, "::")
        roster.set_listening(connection, local, 4321, "::")
        assert roster.shared_spaces(connection) == [personal]


def test_local_is_never_shared(store: Store) -> None:
    with store.database.write() as connection:
        local = roster.space_named(connection, roster.LOCAL)
        with pytest.raises(Refused, match="never leaves this device"):
            membership.admit(store.log, connection, local, public_key=b"k" * 32, box_key=b"b" * 32, name="x")


def test_who_is_invited_knows_everyone_and_is_known_to_everyone(new_store: NewStore) -> None:
    laptop, desktop, nas = map(new_store, ("laptop", "desktop", "nas"))
    create(laptop)
    invite(laptop, desktop)
    sync(laptop, desktop)
    invite(desktop, nas)
    sync(laptop, desktop, nas)
    for store in (laptop, desktop, nas):
        assert sorted(names(store)) == ["desktop", "laptop", "nas"]
        assert members(store)[0].device.id == id_of(laptop), "the founder comes first"
        assert [member.device.id for member in members(store) if member.own] == [id_of(store)]
        assert all(member.box_key is not None for member in members(store))
        assert secrets(store) == secrets(laptop)
    save(nas, "hello", "1" * 12)
    sync(laptop, desktop, nas)
    assert laptop.database.rows("SELECT status FROM memory") == [(0,)]
    assert_sound(laptop, desktop, nas)


def test_the_first_word_of_each_device_is_about_itself(new_store: NewStore) -> None:
    laptop, desktop = map(new_store, ("laptop", "desktop"))
    create(laptop)
    invite(laptop, desktop)
    for store in (laptop, desktop):
        own = next(record for record in everything(store) if record.core.device == id_of(store))
        said = own.roster()
        assert isinstance(said, Admission)
        assert records.device_id(said.key) == id_of(store)


def test_whoever_is_not_admitted_does_not_enter(new_store: NewStore) -> None:
    laptop, desktop, thief = map(new_store, ("laptop", "desktop", "thief"))
    create(laptop)
    invite(laptop, desktop)
    with laptop.database.reading() as connection:
        welcome = membership.roster_records(connection, at(connection))
        founder, known = roster.founder(connection, at(connection)), roster.secrets(connection, at(connection))
    theirs = team(laptop).id
    foreign = [record for record in everything(desktop) if record.core.device == id_of(desktop)]

    def enter(batch: Iterable[Record]) -> None:
        with thief.database.write() as connection:
            membership.enter(
                thief.log, connection, id=theirs, name="x", founder=founder, secrets=known, records=list(batch)
            )

    with pytest.raises(RecordRefused, match="not among those admitted"):
        enter(welcome)
    with pytest.raises(RecordRefused, match="not one that was admitted"):
        enter(foreign)
    forged = records.parse(welcome[0].header, bytes(64), welcome[0].body)
    with pytest.raises(RecordRefused, match=r"^signature"):
        enter([forged])
    with thief.database.reading() as connection:
        assert [space.name for space in roster.spaces(connection)] == ["personal", "local"]


@pytest.mark.parametrize("epoch", [0, 9])
def test_who_pairs_again_takes_no_secret_for_the_current_one_that_no_rekey_has_made(
    new_store: NewStore, epoch: int
) -> None:
    laptop, desktop = map(new_store, ("laptop", "desktop"))
    create(laptop)
    invite(laptop, desktop)
    told = [bytes([epoch, number]) * 16 for number in range(8)]  # of each epoch some sort before and some behind ours
    with laptop.database.reading() as connection:
        welcome = membership.roster_records(connection, at(connection))
        founder, before = roster.founder(connection, at(connection)), roster.secrets(connection, at(connection))
    with desktop.database.write() as connection:
        membership.enter(
            desktop.log,
            connection,
            id=team(laptop).id,
            name="team",
            founder=founder,
            secrets=[Secret(key_id(secret), epoch, secret) for secret in told],
            records=welcome,
        )
    with desktop.database.reading() as connection:
        assert roster.secrets(connection, at(connection))[0] == before[0]
    admit(laptop, phone := new_store("phone"))
    revoke(laptop, phone)
    sync(laptop, desktop)
    with laptop.database.reading() as connection:
        current = roster.secrets(connection, at(connection))[0]
    with desktop.database.reading() as connection:
        assert roster.secrets(connection, at(connection))[0] == current


def test_a_space_is_entered_under_a_name_that_is_free(new_store: NewStore) -> None:
    laptop, desktop = map(new_store, ("laptop", "desktop"))
    create(laptop)
    create(desktop)
    assert invite(laptop, desktop).name == "team 2"


@pytest.mark.parametrize("name", ["", " x", "a\nb", "x\u202e", "n" * (limits.SPACE_NAME_CHARS_MAX + 1)])
def test_what_cannot_be_a_name_of_a_space_is_refused(store: Store, name: str) -> None:
    with store.database.write() as connection, pytest.raises(UsageError, match="cannot be a name"):
        membership.create_space(connection, name, SeededRandom(1))


def test_two_spaces_of_one_name_are_refused(store: Store) -> None:
    with store.database.write() as connection, pytest.raises(Refused, match="one named 'personal' already"):
        membership.create_space(connection, "personal", SeededRandom(1))


def test_admitted_again_a_device_has_another_name_everywhere(new_store: NewStore) -> None:
    laptop, desktop = map(new_store, ("laptop", "desktop"))
    create(laptop)
    invite(laptop, desktop)
    with laptop.database.write() as connection:
        desk = next(member for member in roster.members(connection, at(connection)) if not member.own)
        assert desk.box_key is not None
        membership.admit(
            laptop.log, connection, at(connection), public_key=desk.public_key, box_key=desk.box_key, name="tower"
        )
    sync(laptop, desktop)
    for store in (laptop, desktop):
        assert sorted(names(store)) == ["laptop", "tower"]
        assert store.database.rows("SELECT name FROM device WHERE id = ?", (id_of(desktop),)) == [("tower",)]
    assert_sound(laptop, desktop)


# Revoking -------------------------------------------------------------------------------------------------------------


def three(new_store: NewStore) -> tuple[Store, Store, Store]:
    stores = laptop, desktop, phone = new_store("laptop"), new_store("desktop"), new_store("phone")
    create(laptop)
    invite(laptop, desktop)
    invite(laptop, phone)
    sync(*stores)
    return stores


def test_a_revoked_device_is_out_and_the_others_have_a_secret_that_it_cannot_open(new_store: NewStore) -> None:
    laptop, desktop, phone = three(new_store)
    save(phone, "before", "1" * 12)
    sync(laptop, desktop, phone)
    made = revoke(laptop, phone)
    assert [record.core.kind for record in made] == [Kind.REVOKE, Kind.REKEY]
    save(phone, "after", "2" * 12)
    sync(laptop, desktop)
    sync(laptop, desktop, phone)
    for store in (laptop, desktop):
        assert names(store).count("phone (revoked)") == 1
        assert store.database.rows("SELECT id, status FROM memory ORDER BY id") == [("1" * 12, 0), ("2" * 12, 3)]
        assert [secret.epoch for secret in secrets(store)] == [1, 0]
        assert secrets(store) == secrets(laptop)
    assert [secret.epoch for secret in secrets(phone)] == [0]
    assert_sound(laptop, desktop, phone)


def test_a_device_that_learns_that_it_was_revoked_saves_no_more_there(new_store: NewStore) -> None:
    laptop, _, phone = three(new_store)
    revoke(laptop, phone)
    sync(laptop, phone)
    with pytest.raises(Refused, match="was removed from the space 'team'"):
        save(phone, "into the void", "1" * 12)
    personal = phone.personal
    with phone.database.write() as connection:
        phone.log.write(
            connection,
            personal,
            [Entry(kind=Kind.SAVE, memory="2" * 12, author=Author(), content=Content(text="here it may"))],
        )


def test_nobody_revokes_itself_or_a_stranger_or_twice_or_admits_whom_was_revoked(new_store: NewStore) -> None:
    laptop, _, phone = three(new_store)
    with pytest.raises(Refused, match="cannot revoke itself"):
        revoke(laptop, laptop)
    with pytest.raises(NotFound):
        revoke(laptop, b"x" * 16)
    revoke(laptop, phone)
    with pytest.raises(Refused, match="revoked already"):
        revoke(laptop, phone)
    with pytest.raises(Refused, match="was revoked"):
        admit(laptop, phone)


def test_a_revocation_names_every_end_that_is_held_also_behind_gaps(new_store: NewStore) -> None:
    laptop, _, phone = three(new_store)
    made = [save(phone, f"text{n}", f"{n}" * 12) for n in range(4)]
    laptop.log.append_many([made[0], made[2]])
    said = revoke(laptop, phone)[0].roster()
    assert isinstance(said, Revocation)
    assert {end.hash for end in said.cut} == {made[0].hash, made[2].hash}
    assert laptop.database.rows("SELECT id, status FROM memory ORDER BY id") == [("0" * 12, 0), ("2" * 12, 0)]
    sync(laptop, phone)
    assert laptop.database.rows("SELECT id, status FROM memory ORDER BY id") == [
        ("0" * 12, 0), ("1" * 12, 0), ("2" * 12, 0), ("3" * 12, 3),
    ]  # fmt: skip
    assert_sound(laptop)


def test_one_who_just_joined_and_holds_only_the_roster_revokes_without_throwing_out_the_others(
    new_store: NewStore,
) -> None:
    laptop, desktop, phone = three(new_store)
    nas, tower = new_store("nas"), new_store("tower")
    invite(desktop, nas)
    invite(desktop, tower)
    revoke(tower, desktop)
    sync(laptop, desktop, phone, nas, tower)
    for store in (laptop, phone, nas, tower):
        assert sorted(names(store)) == ["desktop (revoked)", "laptop", "nas", "phone", "tower"]
    assert_sound(laptop, desktop, phone, nas, tower)


def test_when_two_revoke_different_devices_at_once_some_member_makes_one_more_secret(new_store: NewStore) -> None:
    laptop, desktop, phone = three(new_store)
    nas = new_store("nas")
    invite(laptop, nas)
    sync(laptop, desktop, phone, nas)
    revoke(laptop, phone)
    revoke(desktop, nas)
    sync(laptop, desktop)
    with laptop.database.write() as connection:
        assert membership.is_rekey_due(connection, at(connection))
        membership.rekey(laptop.log, connection, at(connection), SeededRandom(5))
        assert not membership.is_rekey_due(connection, at(connection))
    sync(laptop, desktop, phone, nas)
    assert secrets(laptop) == secrets(desktop)
    assert secrets(laptop)[0].epoch == 2
    for out in (phone, nas):
        assert secrets(laptop)[0].key_id not in {secret.key_id for secret in secrets(out)}


def test_one_who_was_admitted_while_the_secret_changed_elsewhere_is_sent_the_next_one(new_store: NewStore) -> None:
    laptop, desktop, phone = three(new_store)
    nas = new_store("nas")
    revoke(laptop, phone)
    invite(desktop, nas)  # desktop has not heard of it
    sync(laptop, desktop, phone, nas)
    assert secrets(nas)[0].epoch == 0
    with nas.database.reading() as connection:
        assert not membership.is_rekey_due(connection, at(connection))  # it cannot help itself
    with laptop.database.write() as connection:
        assert membership.is_rekey_due(connection, at(connection))
        membership.rekey(laptop.log, connection, at(connection), SeededRandom(5))
        assert not membership.is_rekey_due(connection, at(connection))
    sync(laptop, desktop, phone, nas)
    assert secrets(laptop)[0] == secrets(desktop)[0] == secrets(nas)[0]
    assert secrets(phone)[0] != secrets(nas)[0]


def test_no_secret_is_due_where_nobody_was_revoked_or_the_secret_changed_since(new_store: NewStore) -> None:
    laptop, _, phone = three(new_store)
    with laptop.database.reading() as connection:
        assert not membership.is_rekey_due(connection, at(connection))
    revoke(laptop, phone)
    with laptop.database.reading() as connection:
        assert not membership.is_rekey_due(connection, at(connection))


def test_a_joiner_is_given_every_secret_and_knows_which_is_current(new_store: NewStore) -> None:
    laptop, _, phone = three(new_store)
    revoke(laptop, phone)
    nas = new_store("nas")
    invite(laptop, nas)
    assert secrets(nas) == secrets(laptop)
    with nas.database.write() as connection:
        rebuilding.rebuild(connection, Index())
    assert secrets(nas) == secrets(laptop)


def test_a_sleeper_enters_again_and_knows_the_secret_that_it_missed(new_store: NewStore) -> None:
    laptop, desktop, phone = three(new_store)
    revoke(laptop, phone)
    assert invite(laptop, desktop).name == "team"
    assert secrets(desktop) == secrets(laptop)


def test_a_box_opens_for_its_device_its_secret_and_its_space_alone(new_store: NewStore) -> None:
    laptop, desktop, phone = three(new_store)
    said = revoke(laptop, phone)[1].roster()
    assert isinstance(said, Rekeying)
    assert {device for device, _ in said.boxes} == {id_of(laptop), id_of(desktop)}
    box = dict(said.boxes)[id_of(desktop)]
    assert len(box) <= limits.BOX_BYTES_MAX
    with desktop.database.reading() as connection:
        private = roster.box_private_key(connection)
    purpose = counting.box_purpose(team(laptop).id, said.key_id, id_of(desktop))
    assert boxes.open_box(box, private, purpose=purpose) == secrets(laptop)[0].secret
    assert boxes.open_box(box, private, purpose=purpose[::-1]) is None
    assert boxes.open_box(box, b"x" * 32, purpose=purpose) is None
    for broken in (b"", box[:40], box[:-1] + b"\0", bytes(32) + box[32:]):
        assert boxes.open_box(broken, private, purpose=purpose) is None


def test_a_device_whose_box_key_agrees_with_anyones_is_sent_nothing(new_store: NewStore) -> None:
    laptop, _, phone = three(new_store)
    with laptop.database.write() as connection:
        membership.admit(
            laptop.log, connection, at(connection), public_key=b"k" * 32, box_key=bytes(32), name="low order"
        )
    said = revoke(laptop, phone)[1].roster()
    assert isinstance(said, Rekeying)
    assert records.device_id(b"k" * 32) not in dict(said.boxes)


def test_a_secret_that_is_not_the_one_named_is_not_taken(new_store: NewStore) -> None:
    laptop, desktop, _ = three(new_store)
    desk = next(member for member in members(laptop) if member.device.name == "desktop")
    assert desk.box_key is not None
    purpose = counting.box_purpose(team(laptop).id, b"n" * 8, desk.device.id)
    box = boxes.seal(b"s" * 32, desk.box_key, purpose=purpose, random=SeededRandom(3))
    assert box is not None
    lie = Rekeying(epoch=1, key_id=b"n" * 8, previous=secrets(laptop)[0].key_id, boxes=((desk.device.id, box),))
    with laptop.database.write() as connection:
        laptop.log.write(connection, at(connection), [Entry(kind=Kind.REKEY, memory="", author=Author(), content=lie)])
    sync(laptop, desktop)
    assert [secret.epoch for secret in secrets(desktop)] == [0]


# What no record tells -------------------------------------------------------------------------------------------------


def test_a_rebuild_keeps_secrets_addresses_and_what_is_listened_to(new_store: NewStore) -> None:
    laptop, desktop, phone = three(new_store)
    revoke(laptop, phone)
    with laptop.database.write() as connection:
        roster.set_listening(connection, at(connection), 4321, "::")
        roster.set_address(connection, at(connection), id_of(desktop), "10.0.0.2:4321", "set")
    before = (members(laptop), secrets(laptop))
    with laptop.database.write() as connection:
        rebuilding.rebuild(connection, Index())
        assert roster.listening(connection, at(connection)) is not None
        assert roster.addresses(connection, at(connection), id_of(desktop)) == ["10.0.0.2:4321"]
    assert (members(laptop), secrets(laptop)) == before
    assert_sound(laptop)


def test_addresses_the_user_set_come_first_and_of_those_heard_the_latest_few_are_kept(store: Store) -> None:
    with store.database.write() as connection:
        space = roster.space_named(connection, "personal")
        for number in range(20):
            roster.set_address(connection, space, b"d" * 16, f"10.0.0.{number}:1", "heard")
        roster.set_address(connection, space, b"d" * 16, "desk.local:1", "set")
        roster.set_address(connection, space, b"d" * 16, "desk.local:1", "heard")
        roster.set_address(connection, space, b"d" * 16, "10.0.0.15:1", "heard")
        found = roster.addresses(connection, space, b"d" * 16)
    assert found[:3] == ["desk.local:1", "10.0.0.15:1", "10.0.0.19:1"]
    assert len(found) == 9


def test_contents_of_the_roster_are_written_as_maps_with_named_fields(new_store: NewStore) -> None:
    laptop, _, phone = three(new_store)
    made = revoke(laptop, phone)
    for record, fields in zip(made, ({"device", "cut"}, {"epoch", "key_id", "previous", "boxes"}), strict=True):
        assert record.body is not None
        assert set(msgspec.msgpack.decode(record.body)[1]) == fields
