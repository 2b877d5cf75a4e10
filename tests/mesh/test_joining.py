"""Both ends of a pairing with their stores: who may join what, what moves, and what is left when one end dies."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from nokosu import Change, Draft, Nokosu, Query, ids
from nokosu.config import Config
from nokosu.drafts import Filters
from nokosu.errors import MeshError, NokosuError, NotFound, PairingError, Refused, UsageError
from nokosu.identity.keys import SigningKey
from nokosu.memory import Hit
from nokosu.mesh import devices, joining, pairing, seal
from nokosu.mesh.joining import Entered, Joined, Plan, Way
from nokosu.mesh.pairing import Inviter, Joiner
from nokosu.mesh.pairing_wire import Session, Wire
from nokosu.records import Author
from nokosu.store import membership, moving, roster
from nokosu.store.roster import Member, Space
from nokosu.store.sqlite import Connection
from nokosu.testing import ManualClock, Peer, SeededRandom

CODE = "4k2m7xqp"
_T = TypeVar("_T")


class Device:
    """A device with a home of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.home = folder / f"home {name}"
        self.clock = ManualClock()
        config = Config(home=self.home, user_home=folder, author=Author(agent="tester"), device_name=name)
        self.memory = Nokosu(config, wall_clock=self.clock)

    @property
    def store(self) -> joining.Store:
        return joining.Store(*self.memory.store(), random=os.urandom, version="1.0")

    def save(self, text: str, **more: Any) -> str:
        return self.memory.save(Draft(text=text), **more).id

    def space(self, name: str = "personal") -> Space:
        with self.store.database.reading() as connection:
            return roster.space_named(connection, name)

    def read(self, what: Callable[[Connection, Space], _T], name: str = "personal") -> _T:
        """What a function of the store says of a space."""
        with self.store.database.reading() as connection:
            return what(connection, roster.space_named(connection, name))

    def spaces(self) -> dict[str, int]:
        return {space.name: space.memories for space in self.memory.status().spaces}

    def members(self, name: str = "personal") -> list[Member]:
        return self.read(roster.members, name)

    def names(self, name: str = "personal") -> list[str]:
        return [member.device.name for member in self.members(name) if not member.revoked]

    def listed(self, **filters: Any) -> dict[str, Hit]:
        return {hit.text: hit for hit in self.memory.list(Filters(all_projects=True, **filters)).hits}

    def roster_count(self, name: str = "personal") -> int:
        return len(self.read(membership.roster_records, name))

    def addresses(self, device: bytes) -> list[str]:
        return self.read(lambda connection, space: roster.addresses(connection, space, device))

    def move(self) -> None:
        store = self.store
        while moving.move_some(store.database, store.log):
            pass

    def verified(self) -> bool:
        problems = self.memory.verify().problems
        assert problems == (), problems
        return True


@pytest.fixture
def laptop(tmp_path: Path) -> Device:
    return Device(tmp_path, "laptop")


@pytest.fixture
def desk(tmp_path: Path) -> Device:
    return Device(tmp_path, "desk")


def sessions(make: Callable[[socket.socket], Wire] = Wire) -> tuple[Session, Session]:
    """The joiner's and the inviter's, after both have proven the code; *make* makes the joiner's wire."""
    joiner, inviter = Joiner(CODE, random=os.urandom), Inviter(CODE, random=os.urandom)
    confirm, inviters = inviter.channel(joiner.confirm(inviter.hello(joiner.hello())))
    ours, theirs = socket.socketpair()
    return Session(make(ours), joiner.channel(confirm)), Session(Wire(theirs), inviters)


class Pairing:
    """What became of a pairing at both ends."""

    def __init__(self, entered: Entered | NokosuError, joined: Joined | NokosuError, plan: Plan | None) -> None:
        self.entered, self.joined, self.plan = entered, joined, plan

    @property
    def both(self) -> tuple[Entered, Joined]:
        assert isinstance(self.entered, Entered), self.entered
        assert isinstance(self.joined, Joined), self.joined
        return self.entered, self.joined


def paired(
    inviter: Device,
    joiner: Device,
    space: str = "personal",
    *,
    apart: bool = False,
    name: str | None = None,
    make: Callable[[socket.socket], Wire] = Wire,
    spoil: Callable[[Any], Any] | None = None,
    agree: bool = True,
) -> Pairing:
    """Have two devices pair; what moves does so afterwards. *spoil* changes the welcome on its way."""
    to_inviter, to_joiner = sessions(make)
    if spoil is not None:
        to_joiner = _Spoiling(to_joiner, spoil)
    plan: list[Plan] = []

    def join() -> Entered:
        with to_inviter:
            plan.append(joining.knock(to_inviter, joiner.store, name=name))
            if not agree:
                joining.decline(to_inviter)
                raise Refused("the person said no")
            return joining.enter(to_inviter, joiner.store, plan[0], apart=apart, inviter="192.168.1.5")

    def admit() -> Joined:
        with to_joiner:
            where = joining.listening(inviter.store, inviter.space(space), "127.0.0.1")
            return joining.admit(to_joiner, inviter.store, inviter.space(space), where, tell=lambda _: None)

    with ThreadPoolExecutor(1) as pool:
        admitted = pool.submit(_caught, admit)
        entered = _caught(join)
        joined = admitted.result(60)
    return Pairing(entered, joined, plan[0] if plan else None)  # type: ignore[arg-type]


def _caught(step: Callable[[], object]) -> object:
    try:
        return step()
    except NokosuError as error:
        return error


class _Spoiling(Session):
    def __init__(self, session: Session, spoil: Callable[[Any], Any]) -> None:
        super().__init__(session._wire, session.channel)  # noqa: SLF001
        self._spoil = spoil

    def say(self, message: Any) -> None:
        super().say(self._spoil(message) if isinstance(message, pairing.Welcome) else message)


def told(outcome: object, words: str, kind: type[NokosuError] = PairingError) -> NokosuError:
    """An outcome that has to be an error which says *words*, and what to do."""
    assert isinstance(outcome, kind), outcome
    assert words in outcome.message, outcome.message
    assert outcome.message.isprintable()
    return outcome


# Personal into personal -----------------------------------------------------------------------------------------------


def test_a_personal_space_moves_into_the_other_with_all_that_happened_to_its_memories(
    laptop: Device, desk: Device
) -> None:
    laptop.save("on the laptop")
    edited = desk.save("first version")
    desk.clock.advance(ms=10)
    desk.memory.edit(edited, Change(text="second version"))
    forgotten, restored, purged = (
        desk.save(f"a memory that is {what}") for what in ("forgotten", "restored", "purged")
    )
    for id in (forgotten, restored):
        desk.memory.forget(id)
    desk.memory.restore(restored)
    desk.memory.purge(purged)
    history = {
        id: desk.memory.get(id, history=True, with_forgotten=True).history for id in (edited, forgotten, restored)
    }

    entered, joined = paired(laptop, desk).both
    assert (entered.way, entered.space.name, entered.moving) == (Way.MERGE, "personal", 2)
    assert (joined.name, joined.memories, joined.again, joined.namesakes) == ("desk", 2, False, 0)
    assert set(desk.listed()) == {"second version", "a memory that is restored"}  # before it has moved, too
    desk.move()

    assert desk.space().id == laptop.space().id
    assert set(desk.spaces()) == {"local", "personal"}
    assert set(desk.listed()) == {"second version", "a memory that is restored"}
    for id, events in history.items():
        assert desk.memory.get(id, history=True, with_forgotten=True).history == events
    desk.memory.restore(forgotten)
    assert "a memory that is forgotten" in desk.listed()
    assert desk.memory.get(purged).status == "purged"
    assert desk.memory.search(Query(text="second version")).total == 1
    assert desk.verified()
    assert laptop.verified()


def test_both_know_one_another_afterwards(laptop: Device, desk: Device) -> None:
    laptop.save("one")
    desk.save("two")
    entered, joined = paired(laptop, desk).both
    assert entered.devices == ("laptop", "desk")
    assert laptop.names() == desk.names() == ["laptop", "desk"]
    assert [member.device.id for member in laptop.members()] == [member.device.id for member in desk.members()]
    assert joined.device == desk.members()[1].device.id
    assert laptop.read(roster.secrets) == desk.read(roster.secrets)
    assert laptop.read(roster.founder) == desk.read(roster.founder)
    listening = laptop.read(roster.listening)
    assert listening is not None
    found = desk.addresses(laptop.members()[0].device.id)
    assert set(found) == {f"192.168.1.5:{listening.port}", f"127.0.0.1:{listening.port}"}
    assert found[0] == f"192.168.1.5:{listening.port}"  # where it was reached a moment ago


def test_a_device_that_never_saved_anything_joins_too(laptop: Device, desk: Device) -> None:
    entered, joined = paired(laptop, desk).both
    desk.move()
    assert (entered.moving, joined.memories) == (0, 0)
    assert set(desk.spaces()) == {"local", "personal"}
    assert desk.save("the first one")
    assert desk.verified()


def test_apart_keeps_this_devices_memories_on_it(laptop: Device, desk: Device) -> None:
    desk.save("mine alone")
    entered, joined = paired(laptop, desk, apart=True).both
    desk.move()
    assert (joined.memories, entered.space.name, desk.space().id) == (0, "personal", laptop.space().id)
    assert desk.listed()["mine alone"].space == "local"
    assert desk.spaces() == {"local": 1, "personal": 0}
    assert desk.verified()


def test_apart_after_a_join_that_was_interrupted_keeps_what_has_not_moved_yet(laptop: Device, desk: Device) -> None:
    desk.save("mine, and not shared yet")
    paired(laptop, desk).both  # noqa: B018
    entered, _ = paired(laptop, desk, apart=True).both
    desk.move()
    assert entered.moving == 1
    assert desk.listed()["mine, and not shared yet"].space == "local"
    assert desk.spaces() == {"local": 1, "personal": 0}
    assert paired(laptop, desk, apart=True).both[0].moving == 0
    assert desk.verified()


def test_what_is_saved_while_it_moves_goes_to_the_new_space(laptop: Device, desk: Device) -> None:
    before = desk.save("saved before")
    paired(laptop, desk).both  # noqa: B018
    desk.save("saved meanwhile")
    desk.memory.edit(before, Change(text="edited meanwhile"))
    desk.move()
    assert {text: hit.space for text, hit in desk.listed().items()} == {
        "saved meanwhile": "personal",
        "edited meanwhile": "personal",
    }
    assert desk.spaces() == {"local": 0, "personal": 2}
    assert desk.verified()


def test_a_personal_space_with_other_devices_does_not_join_another(
    tmp_path: Path, laptop: Device, desk: Device
) -> None:
    phone = Device(tmp_path, "phone")
    paired(desk, phone).both  # noqa: B018
    outcome = paired(laptop, desk)
    refused = told(outcome.entered, "the personal space of this device has other devices", Refused)
    assert "nokosu invite here" in refused.hint
    assert "nokosu space create" in refused.hint
    told(outcome.joined, "the personal space of desk has other devices")
    assert laptop.names() == ["laptop"]
    assert desk.names() == ["desk", "phone"]


def test_one_that_invited_in_vain_may_join_and_goes_on_listening(laptop: Device, desk: Device) -> None:
    desk.save("mine")
    told_before = joining.listening(desk.store, desk.space(), "127.0.0.1")
    joining.listen(desk.store, desk.space(), told_before)
    paired(laptop, desk).both  # noqa: B018
    assert desk.read(roster.listening) == told_before
    desk.move()
    assert desk.spaces() == {"local": 0, "personal": 1}


# Other spaces ---------------------------------------------------------------------------------------------------------


def create(device: Device, name: str) -> None:
    with device.store.database.write() as connection:
        membership.create_space(connection, name, os.urandom)


def test_another_space_is_entered_and_nothing_is_copied(laptop: Device, desk: Device) -> None:
    create(laptop, "team")
    laptop.save("for the team", space="team")
    desk.save("mine")
    outcome = paired(laptop, desk, "team")
    entered, joined = outcome.both
    assert outcome.plan is not None
    assert (outcome.plan.memories, outcome.plan.preview.memories, outcome.plan.preview.devices) == (0, 1, ("laptop",))
    assert (entered.way, entered.space.name, joined.memories) == (Way.ENTER, "team", 0)
    assert desk.spaces() == {"personal": 1, "local": 0, "team": 0}
    assert desk.names("team") == ["laptop", "desk"]
    assert desk.names() == ["desk"]
    desk.save("for the team as well", space="team")
    assert desk.verified()


def test_a_space_whose_name_is_taken_is_refused_until_it_is_called_otherwise(laptop: Device, desk: Device) -> None:
    create(laptop, "team")
    create(desk, "team")
    outcome = paired(laptop, desk, "team")
    assert "--as NAME" in told(outcome.entered, "another space called 'team' is on this device already", Refused).hint
    told(outcome.joined, "desk has another space of that name")
    for name in ("personal", "local", "team"):
        told(paired(laptop, desk, "team", name=name).entered, "is on this device already", Refused)
    told(paired(laptop, desk, "team", name="\x1b").entered, "cannot be a name", Refused)
    told(paired(laptop, desk, "team", name="x" * 65).entered, "cannot be a name", Refused)
    entered, _ = paired(laptop, desk, "team", name="their team").both
    assert entered.space.name == "their team"
    assert laptop.names("team") == desk.names("their team") == ["laptop", "desk"]


def test_any_member_may_invite_and_everybody_is_known(tmp_path: Path, laptop: Device, desk: Device) -> None:
    phone = Device(tmp_path, "phone")
    paired(laptop, desk).both  # noqa: B018
    entered, _ = paired(desk, phone).both
    assert sorted(entered.devices) == ["desk", "laptop", "phone"]
    assert phone.names() == desk.names()
    assert phone.addresses(laptop.members()[0].device.id)


def test_local_is_for_nobody(laptop: Device) -> None:
    personal = laptop.space()
    with laptop.store.database.reading() as connection:
        with pytest.raises(Refused, match="local never leaves this device"):
            joining.invitable(connection, "local")
        with pytest.raises(NotFound, match="no space named 'team'"):
            joining.invitable(connection, "team")
        assert joining.invitable(connection, "personal") == personal


# Again, revoked, oneself, declined ------------------------------------------------------------------------------------


def test_a_member_that_pairs_again_gets_the_current_secrets_and_nothing_else_changes(
    tmp_path: Path, laptop: Device, desk: Device
) -> None:
    phone = Device(tmp_path, "phone")
    desk.save("mine")
    paired(laptop, desk).both  # noqa: B018
    desk.move()
    paired(laptop, phone).both  # noqa: B018
    devices.revoke(laptop.store, _named(laptop, "phone"))  # while the desk sleeps
    before = laptop.roster_count()
    outcome = paired(laptop, desk)
    entered, joined = outcome.both
    assert outcome.plan is not None
    assert (outcome.plan.way, entered.way, joined.again, joined.memories) == (Way.AGAIN, Way.AGAIN, True, 0)
    assert laptop.roster_count() == before
    assert desk.read(roster.secrets) == laptop.read(roster.secrets)
    assert desk.names() == ["laptop", "desk"]
    assert desk.spaces() == {"local": 0, "personal": 1}
    assert desk.verified()


def test_nobody_is_admitted_to_where_the_inviters_space_has_moved_meanwhile(
    tmp_path: Path, laptop: Device, desk: Device
) -> None:
    phone = Device(tmp_path, "phone")
    desk.save("mine")
    old = desk.space()
    paired(laptop, desk).both  # noqa: B018
    desk_store = desk.store
    with desk_store.database.write() as connection, pytest.raises(Refused, match="moves to another"):
        membership.admit_self(desk_store.log, connection, old)
    to_desk, to_phone = sessions()

    def admit() -> Joined:
        with to_phone:
            return joining.admit(to_phone, desk_store, old, roster.Listening(20_001, "127.0.0.1"), tell=lambda _: None)

    def join() -> Entered:
        with to_desk:
            plan = joining.knock(to_desk, phone.store)
            return joining.enter(to_desk, phone.store, plan, apart=False, inviter="192.168.1.5")

    with ThreadPoolExecutor(1) as pool:
        admitted = pool.submit(_caught, admit)
        entered = _caught(join)
        told(admitted.result(60), "joined another one meanwhile", Refused)
    told(entered, "")
    assert laptop.names() == ["laptop", "desk"]
    assert desk.names() == ["laptop", "desk"]
    assert phone.spaces() == {"local": 0, "personal": 0}


def test_a_revoked_device_stays_out_and_is_told_what_to_do(laptop: Device, desk: Device) -> None:
    paired(laptop, desk).both  # noqa: B018
    devices.revoke(laptop.store, _named(laptop, "desk"))
    outcome = paired(laptop, desk)
    assert "NOKOSU_HOME" in told(outcome.entered, "this device was revoked from that space").hint
    told(outcome.joined, "desk was revoked from this space")


def test_a_device_does_not_join_itself(laptop: Device) -> None:
    outcome = paired(laptop, laptop)
    told(outcome.joined, "that is this device itself")
    told(outcome.entered, "this is the device that invites", NokosuError)
    assert laptop.names() == ["laptop"]


def test_who_does_not_agree_is_not_admitted(laptop: Device, desk: Device) -> None:
    desk.save("mine")
    outcome = paired(laptop, desk, agree=False)
    told(outcome.joined, "desk was asked, and does not want to join")
    assert laptop.names() == ["laptop"]
    assert laptop.read(roster.listening) is None
    assert not laptop.read(roster.is_shared)
    assert desk.spaces() == {"local": 0, "personal": 1}
    assert desk.space().id != laptop.space().id


def test_two_devices_of_one_name_are_told_apart(tmp_path: Path, laptop: Device) -> None:
    other = Device(tmp_path / "other", "laptop")
    other.home.parent.mkdir()
    _, joined = paired(laptop, other).both
    assert joined.namesakes == 1
    rows = laptop.read(lambda connection, space: devices.listed(connection, [space], "1.0"))
    assert [(row.name, row.namesake) for row in rows] == [("laptop", True), ("laptop", True)]
    assert len({row.id for row in rows}) == 2


def test_a_name_that_commands_a_terminal_becomes_one_line(tmp_path: Path, laptop: Device) -> None:
    evil = Device(tmp_path, "evil")
    evil.memory.config = msgspec.structs.replace(evil.memory.config, device_name="a\x1b]52;c;x\x07\nb" + "x" * 100)
    _, joined = paired(laptop, evil).both
    assert joined.name.isprintable()
    assert 60 <= len(joined.name) <= 64
    assert all(name.isprintable() for name in laptop.names())


# One end dies ---------------------------------------------------------------------------------------------------------


class Cut(Wire):
    """A wire that breaks at the joiner's end before it has sent, or received, so many frames."""

    def __init__(self, connection: socket.socket, *, sends: int = 99, receives: int = 99) -> None:
        super().__init__(connection)
        self._sends, self._receives = sends, receives

    def send(self, frame: bytes, *, seconds: float = 30) -> None:
        self._sends -= 1
        if self._sends < 0:
            self.close()
        super().send(frame, seconds=seconds)

    def receive(self, bytes_max: int, *, seconds: float = 30) -> bytes:
        self._receives -= 1
        if self._receives < 0:
            self.close()
        return super().receive(bytes_max, seconds=seconds)


@pytest.mark.parametrize("point", [{"sends": n} for n in range(3)] + [{"receives": n} for n in range(2)], ids=str)
def test_pairing_again_repairs_what_a_break_at_any_point_has_left(
    laptop: Device, desk: Device, point: dict[str, int]
) -> None:
    laptop.save("on the laptop")
    desk.save("on the desk")
    broken = paired(laptop, desk, make=lambda connection: Cut(connection, **point))
    assert isinstance(broken.entered, PairingError)
    assert isinstance(broken.joined, PairingError)
    for device in (laptop, desk):
        assert device.verified()
        assert device.save("it goes on working")
    entered, _ = paired(laptop, desk).both
    desk.move()
    assert entered.devices == ("laptop", "desk")
    assert laptop.names() == desk.names() == ["laptop", "desk"]
    assert laptop.roster_count() == 2  # each admitted once
    assert set(desk.listed()) == {"on the desk", "it goes on working"}
    assert desk.spaces() == {"local": 0, "personal": 2}
    assert laptop.verified()
    assert desk.verified()


def test_what_had_not_moved_when_the_joiner_died_moves_when_it_pairs_again(laptop: Device, desk: Device) -> None:
    saved = {desk.save(f"memory {number}") for number in range(20)}
    paired(laptop, desk).both  # noqa: B018
    with desk.store.database.reading() as connection:
        assert [space.name for space in roster.spaces(connection)] == ["personal (moving)", "local", "personal"]
    paired(laptop, desk).both  # noqa: B018
    desk.move()
    assert {hit.id for hit in desk.listed(limit=100).values()} == saved
    assert set(desk.spaces()) == {"local", "personal"}


# An inviter that lies -------------------------------------------------------------------------------------------------


def _without_us(welcome: pairing.Welcome) -> pairing.Welcome:
    return msgspec.structs.replace(welcome, records=welcome.records[:1])


def _other_founder(welcome: pairing.Welcome) -> pairing.Welcome:
    return msgspec.structs.replace(welcome, founder=SigningKey(b"f" * 32).public)


def _noise(welcome: pairing.Welcome) -> pairing.Welcome:
    return msgspec.structs.replace(welcome, records=(*welcome.records, b"\xc1 noise"))


def _of_a_stranger(welcome: pairing.Welcome) -> pairing.Welcome:
    space = seal.unpack(welcome.records[0]).place.space
    peer = Peer(space, random=SeededRandom(9))
    return msgspec.structs.replace(
        welcome, records=(*welcome.records, seal.pack(peer.admit(b"k" * 32, b"b" * 32, "x")))
    )


@pytest.mark.parametrize("spoil", [_without_us, _other_founder, _noise, _of_a_stranger])
def test_a_welcome_that_is_not_what_the_members_signed_changes_nothing(
    laptop: Device, desk: Device, spoil: Callable[[pairing.Welcome], pairing.Welcome]
) -> None:
    desk.save("mine")
    before = desk.space()
    outcome = paired(laptop, desk, spoil=spoil)
    told(outcome.entered, "what the other device sent is not valid", MeshError)
    told(outcome.joined, "")
    assert desk.space() == before
    assert set(desk.spaces()) == {"local", "personal"}
    assert desk.verified()
    assert paired(laptop, desk).both


def test_addresses_that_are_none_are_left_out(laptop: Device, desk: Device) -> None:
    id = laptop.members()[0].device.id

    def spoil(welcome: pairing.Welcome) -> pairing.Welcome:
        bad = [pairing.WelcomeAddress(id, text) for text in ("\x1b:5", "tcp/evil:1", "", "good.local:77")]
        unknown = pairing.WelcomeAddress(b"u" * 16, "1.2.3.4:5")
        return msgspec.structs.replace(welcome, addresses=(*bad, unknown), port=70_000)

    paired(laptop, desk, spoil=spoil).both  # noqa: B018
    assert desk.addresses(id) == ["good.local:77"]
    assert desk.addresses(b"u" * 16) == []


@pytest.mark.parametrize("name", ["local", "personal", "personal (moving)", "local "])
def test_a_space_whose_name_is_one_of_ours_does_not_become_it(laptop: Device, desk: Device, name: str) -> None:
    """Only the flag says that a space is personal, and the person agrees to it; a name says nothing."""

    def liar(connection: Connection, space: Space) -> pairing.Preview:
        return msgspec.structs.replace(joining._preview(connection, space, "1.0"), name=name, personal=False)  # noqa: SLF001

    desk.save("mine")
    before = desk.spaces()
    preview = laptop.read(liar)
    to_inviter, to_joiner = sessions()
    with to_inviter, to_joiner, ThreadPoolExecutor(1) as pool:
        knocking = pool.submit(_caught, lambda: joining.knock(to_inviter, desk.store))
        to_joiner.hear(pairing.Introduction)
        to_joiner.say(preview)
        plan = knocking.result(60)
    assert isinstance(plan, Refused) or (isinstance(plan, Plan) and plan.way is Way.ENTER and plan.memories == 0)
    assert desk.spaces() == before


# Ports ----------------------------------------------------------------------------------------------------------------


def test_the_port_of_the_node_is_chosen_once_and_kept(laptop: Device) -> None:
    def listening(*words: Any) -> roster.Listening:
        found = joining.listening(laptop.store, laptop.space(), *words)
        joining.listen(laptop.store, laptop.space(), found)
        return found

    first = listening("127.0.0.1")
    assert 20_000 <= first.port < 32_768
    assert listening("127.0.0.1") == first
    assert listening("0.0.0.0") == roster.Listening(first.port, "0.0.0.0")
    assert listening("0.0.0.0", 7447).port == 7447
    assert laptop.read(lambda connection, space: joining.listening_address(connection, space, None)) == "0.0.0.0"
    assert laptop.read(lambda connection, space: joining.listening_address(connection, space, "::1")) == "::1"


# Devices by name ------------------------------------------------------------------------------------------------------


def test_a_device_is_named_by_its_name_or_by_the_beginning_of_its_id(
    tmp_path: Path, laptop: Device, desk: Device
) -> None:
    paired(laptop, desk).both  # noqa: B018
    with laptop.store.database.reading() as connection:
        spaces = devices.shared(connection)
        rows = devices.listed(connection, spaces, "1.0")
        for text in ("desk", "DESK", rows[1].id, rows[1].id[:9], rows[1].id[:4].upper(), rows[1].id.replace("-", "")):
            assert devices.named(connection, text, spaces).name == "desk"
        for text in ("", "des", "phone", "*", rows[1].id[:3], "x" * 1000, "\x1b"):
            with pytest.raises(NotFound, match=r"none is called .*\(there are: desk, laptop\)"):
                devices.named(connection, text, spaces)


def test_a_name_that_two_have_is_refused_with_their_ids(tmp_path: Path, laptop: Device) -> None:
    (tmp_path / "other").mkdir()
    paired(laptop, Device(tmp_path / "other", "laptop")).both  # noqa: B018
    with laptop.store.database.reading() as connection:
        spaces = devices.shared(connection)
        with pytest.raises(Refused, match="2 devices are meant by 'laptop': say ") as refused:
            devices.named(connection, "laptop", spaces)
        said = refused.value.message.split("say ")[1].split(", ")
        assert {devices.named(connection, one, spaces).name for one in said} == {"laptop"}


def _named(device: Device, text: str) -> devices.Named:
    with device.store.database.reading() as connection:
        return devices.named(connection, text, devices.shared(connection))


def test_a_device_gets_another_name_in_every_space(laptop: Device, desk: Device) -> None:
    create(laptop, "team")
    paired(laptop, desk).both  # noqa: B018
    paired(laptop, desk, "team").both  # noqa: B018
    assert devices.rename(laptop.store, _named(laptop, "desk"), "studio") == 2
    assert laptop.names() == laptop.names("team") == ["laptop", "studio"]
    assert devices.rename(laptop.store, _named(laptop, "laptop"), "travel") == 2
    assert laptop.names() == ["travel", "studio"]
    for name in ("", " x", "a\nb", "\x1b", "x" * 65):
        with pytest.raises(UsageError, match=r"name: .* cannot be a name"):
            devices.rename(laptop.store, _named(laptop, "studio"), name)
    assert laptop.verified()


def test_a_revoked_device_is_out_of_every_space_that_was_meant(tmp_path: Path, laptop: Device, desk: Device) -> None:
    phone = Device(tmp_path, "phone")
    create(laptop, "team")
    for device, space in ((desk, "personal"), (desk, "team"), (phone, "personal")):
        paired(laptop, device, space).both  # noqa: B018
    done = devices.revoke(laptop.store, _named(laptop, "desk"))
    assert (done.spaces, done.to_hear) == (("personal", "team"), ("phone",))
    assert laptop.names() == ["laptop", "phone"]
    assert laptop.names("team") == ["laptop"]
    assert [secret.epoch for secret in laptop.read(roster.secrets)] == [1, 0]
    id = desk.members()[1].device.id
    with pytest.raises(Refused, match="desk is revoked already"):
        devices.revoke(laptop.store, _named(laptop, ids.grouped(id)))
    with pytest.raises(NotFound, match="none is called 'desk'"):
        _named(laptop, "desk")
    with pytest.raises(Refused, match="this one cannot revoke itself"):
        devices.revoke(laptop.store, _named(laptop, "laptop"))
    assert laptop.verified()


def test_an_address_that_was_set_goes_before_what_was_heard(laptop: Device, desk: Device) -> None:
    paired(laptop, desk).both  # noqa: B018
    device = _named(desk, "laptop")
    assert devices.set_address(desk.store, device, " studio.example:7447 ") == "studio.example:7447"
    before = desk.addresses(device.id)
    assert before[0] == "studio.example:7447"
    devices.set_address(desk.store, device, "[fd00::2]:1")
    assert desk.addresses(device.id)[0] == "[fd00::2]:1"
    assert set(desk.addresses(device.id)) == {*before, "[fd00::2]:1"}
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        devices.set_address(desk.store, device, "studio.example")
    with pytest.raises(Refused, match="this one is not called by itself"):
        devices.set_address(desk.store, _named(desk, "desk"), "studio.example:1")
