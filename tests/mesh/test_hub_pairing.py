"""Both ends of a hub's pairing with a store on one side: what a blind hub is given, and what is left when it goes wrong."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from cryptography import x509

from nokosu import Draft, Nokosu
from nokosu.config import Config
from nokosu.engine import replication
from nokosu.errors import MeshError, NokosuError, PairingError
from nokosu.identity import boxes
from nokosu.mesh import certificates, hub_pairing, hubs, joining, known_hubs, pairing, trust
from nokosu.mesh.hub_pairing import Applicant, Certified
from nokosu.mesh.hubs import BlindHub
from nokosu.mesh.joining import HubHere, Joined
from nokosu.mesh.pairing import Application, Certificate, Done, HubPlace, Inviter, Joiner
from nokosu.mesh.pairing_wire import Session, Wire
from nokosu.records import Author, Hub
from nokosu.store import membership, roster
from nokosu.store.roster import Listening, Space
from nokosu.store.sqlite import Connection
from nokosu.testing import ManualClock
from tests.promises import promise

CODE = "4k2m7xqp"
ZID = "c0ffee0123"
PLACE = HubPlace(zid=ZID, port=28123, addresses=("10.0.0.7:28123", "nas.local:28123"))
_T = TypeVar("_T")


class Member:
    """A device with memories."""

    def __init__(self, folder: Path, name: str = "laptop") -> None:
        config = Config(home=folder / name, user_home=folder, author=Author(agent="tester"), device_name=name)
        self.clock = ManualClock()
        self.memory = Nokosu(config, wall_clock=self.clock)
        self.memory.save(Draft(text="the deploy key lives in the vault", project="harbour"))

    @property
    def store(self) -> joining.Store:
        return joining.Store(*self.memory.store(), random=os.urandom, version="1.0", wall_clock=self.clock)

    def space(self) -> Space:
        return self.read(lambda _, space: space)

    def read(self, what: Callable[[Connection, Space], _T]) -> _T:
        with self.store.database.reading() as connection:
            return what(connection, roster.space_named(connection, "personal"))

    def write(self, what: Callable[[Connection, Space], _T]) -> _T:
        with self.store.database.write() as connection:
            return what(connection, roster.space_named(connection, "personal"))

    def hubs(self) -> list[Hub]:
        return self.read(roster.hubs)

    def note(self, hub: Hub) -> None:
        self.write(lambda connection, space: membership.set_hub(self.store.log, connection, space, hub))

    def rekey(self) -> None:
        self.write(lambda connection, space: membership.rekey(self.store.log, connection, space, os.urandom))


@pytest.fixture
def laptop(tmp_path: Path) -> Member:
    return Member(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "blind"


def sessions() -> tuple[Session, Session]:
    """Of who dialled and of who waited, after both have proven the code."""
    joiner, inviter = Joiner(CODE, random=os.urandom), Inviter(CODE, random=os.urandom)
    confirm, waiting = inviter.channel(joiner.confirm(inviter.hello(joiner.hello())))
    ours, theirs = socket.socketpair()
    return Session(Wire(ours), joiner.channel(confirm)), Session(Wire(theirs), waiting)


def applicant(**more: Any) -> Applicant:
    fields: dict[str, Any] = {
        "name": "nas", "place": PLACE, "listening": Listening(28123, "0.0.0.0"), "version": "1.0", "engine": "1.10.2",
    }  # fmt: skip
    return Applicant(**{**fields, **more})


def become(session: Session, home: Path, clock: ManualClock, **more: Any) -> BlindHub:
    return hub_pairing.apply(session, applicant(**more), keep=lambda made: hubs.save(home, made), wall_clock=clock)


def both(one: Callable[[], _T], other: Callable[[], Any]) -> tuple[_T | NokosuError, Any]:
    """What became of both ends, each with its session."""

    def outcome(do: Callable[[], Any]) -> Any:
        try:
            return do()
        except NokosuError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(outcome, one), pool.submit(outcome, other)
        return first.result(30), second.result(30)


def added(laptop: Member, home: Path, *, blind: bool = True, **more: Any) -> tuple[Any, Any]:
    """The hub shows a code, and the laptop answers it."""
    ours, waiting = sessions()

    def hub() -> BlindHub:
        with waiting:
            hub_pairing.offered(waiting, blind=True)
            return become(waiting, home, laptop.clock, **more)

    def member() -> Certified | Joined:
        with ours:
            return hub_pairing.answer(
                ours, laptop.store, laptop.space(), blind=blind, dialled="203.0.113.7", tell=lambda _: None
            )

    return both(member, hub)


def invited(laptop: Member, home: Path, *, blind: bool = False, **more: Any) -> tuple[Any, Any]:
    """The laptop shows a code, and the hub answers it."""
    dialling, waiting = sessions()

    def hub() -> BlindHub:
        with dialling:
            return become(dialling, home, laptop.clock, **more)

    def member() -> Certified | Joined:
        with waiting:
            return hub_pairing.receive(
                waiting, laptop.store, laptop.space(), Listening(4, "0.0.0.0"), blind=blind, tell=lambda _: None
            )

    return both(member, hub)


# A blind hub ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [added, invited])
def test_a_blind_hub_is_paired_whichever_end_listens(
    laptop: Member, home: Path, pair: Callable[..., tuple[Any, Any]]
) -> None:
    certified, hub = pair(laptop, home)
    assert isinstance(certified, Certified), certified
    assert isinstance(hub, BlindHub), hub
    assert hubs.load(home) == hub
    assert ((home / "hub.json").stat().st_mode & 0o777, home.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (hub.space, hub.zid, hub.name, hub.port) == (laptop.space().id, ZID, "nas", 28123)
    assert laptop.hubs() == [certified.hub]
    dialled = ("203.0.113.7:28123",) if pair is added else ()
    assert certified.hub.addresses == (*dialled, *PLACE.addresses)
    assert (certified.again, certified.namesakes) == (False, 0)


@promise("a-blind-hub-cannot-read")
def test_a_blind_hub_is_told_no_secret_and_no_name(laptop: Member, home: Path) -> None:
    ours, waiting = sessions()
    told: list[Certificate] = []

    def hub() -> None:
        with waiting:
            hub_pairing.offered(waiting, blind=True)
            private, public = certificates.new_key()
            proof = certificates.proof(private, pairing.claim(waiting.channel, PLACE))
            waiting.say(
                Application(
                    key=public, place=PLACE, name="nas", version="1", engine="1.10.2", fingerprint=replication.FINGERPRINT,
                    signature=proof,
                )
            )  # fmt: skip
            told.append(waiting.hear(Certificate))
            waiting.say(Done())
            waiting.hear(Done)

    def member() -> Certified | Joined:
        with ours:
            return hub_pairing.answer(
                ours, laptop.store, laptop.space(), blind=True, dialled="10.0.0.7", tell=lambda _: None
            )

    both(member, hub)
    said = msgspec.msgpack.encode(told[0])
    secrets = laptop.read(roster.secrets)
    for text in ("laptop", "personal", "harbour", "vault", "deploy"):
        assert text.encode() not in said
    for secret in secrets:
        assert secret.secret not in said
        assert secret.secret.hex().encode() not in said
    assert {field.name for field in msgspec.structs.fields(Certificate)} == {
        "space", "certificate", "root", "older", "peers",
    }  # fmt: skip


def test_the_key_of_a_blind_hub_stays_on_it_and_its_certificate_is_of_that_key(laptop: Member, home: Path) -> None:
    _, hub = added(laptop, home)
    found = x509.load_pem_x509_certificate(hub.certificate.encode())
    message = b"mine"
    found.public_key().verify(certificates.proof(hub.key.encode(), message), message)  # type: ignore[union-attr,call-arg]
    member = laptop.read(lambda connection, space: trust.needed(connection, space, laptop.clock()))
    issuer = x509.load_pem_x509_certificate(hub.roots.encode())
    assert found.issuer == issuer.subject
    assert member.signer.key_id.hex() in found.issuer.rfc4514_string()


def test_a_blind_hub_that_is_paired_again_keeps_its_place_and_has_a_new_certificate(laptop: Member, home: Path) -> None:
    _, first = added(laptop, home)
    laptop.note(
        Hub(zid="beef", name="vps", addresses=("vps.example.org:9", "not an address"), blind=True, key_id=bytes(8))
    )
    certified, second = invited(laptop, home, before=first)
    assert certified.again
    assert (second.zid, second.port, second.space) == (first.zid, first.port, first.space)
    assert second.certificate != first.certificate
    assert second.key != first.key
    assert (first.peers, second.peers) == ((), ("vps.example.org:9",))
    assert [hub.name for hub in laptop.hubs()] == ["nas", "vps"]


def test_members_know_of_a_blind_hub_that_was_paired_before_the_secret_changed(laptop: Member, home: Path) -> None:
    def current() -> list[bool]:
        return laptop.read(lambda connection, space: [row.current for row in known_hubs.listed(connection, [space])])

    _, first = added(laptop, home)
    assert current() == [True]
    laptop.rekey()
    assert current() == [False]
    _, second = added(laptop, home, before=first)
    assert current() == [True]
    assert second.roots != first.roots


def test_what_a_blind_hub_trusts_of_the_secret_before_ends_with_its_time(
    laptop: Member, home: Path, tmp_path: Path
) -> None:
    desk = Member(tmp_path, "desk")
    key, box = desk.read(
        lambda connection, _: (
            roster.own_public_key(connection),
            boxes.public_key(roster.box_private_key(connection)),
        )
    )
    laptop.write(
        lambda connection, space: membership.admit(
            laptop.store.log, connection, space, public_key=key, box_key=box, name="desk"
        )
    )
    laptop.rekey()
    laptop.clock.advance(days=10)
    _, hub = added(laptop, home)
    now, until = laptop.clock(), laptop.clock() + 20 * 86_400_000
    assert [one.until_ms for one in hub.older] == [until]
    assert hub.changes_at(now) == until
    assert hub.tls(now).roots.count(b"BEGIN CERTIFICATE") == 2
    assert hub.tls(until).roots.count(b"BEGIN CERTIFICATE") == 1
    assert hub.changes_at(until) is None
    assert len(x509.load_pem_x509_certificates(hub.certificate.encode())) == 2, "the old secret vouches for the new one"


def test_another_hub_of_that_name_is_told(laptop: Member, home: Path) -> None:
    laptop.note(Hub(zid="beef", name="nas", addresses=(), blind=True, key_id=bytes(8)))
    certified, _ = added(laptop, home)
    assert certified.namesakes == 1


# Refused --------------------------------------------------------------------------------------------------------------


def refusal(error: Any) -> tuple[str, str]:
    assert isinstance(error, PairingError), error
    return error.message, error.hint


def test_a_blind_hub_of_another_space_stays_one(laptop: Member, home: Path) -> None:
    _, before = added(laptop, home)
    elsewhere = msgspec.structs.replace(before, space=b"s" * 16)
    member, hub = added(laptop, home, before=elsewhere)
    assert refusal(member)[0] == "nas is a blind hub of another space already"
    assert refusal(hub)[0] == "this home is a blind hub of another space already"
    assert "NOKOSU_HOME" in refusal(hub)[1]
    assert hubs.load(home) == before


@pytest.mark.parametrize("engine", ["1.9.0", "2.0.0", "", "1.100.2"])
def test_a_hub_whose_zenohd_is_of_another_version_is_refused(laptop: Member, home: Path, engine: str) -> None:
    member, hub = added(laptop, home, engine=engine)
    assert f"zenohd {engine}" in refusal(member)[0]
    assert "would not align" in refusal(hub)[0]
    assert "nokosu --version" in refusal(hub)[1]
    assert laptop.hubs() == []
    assert hubs.load(home) is None


def test_a_hub_that_replicates_differently_is_refused(laptop: Member) -> None:
    ours, waiting = sessions()

    def hub() -> None:
        with waiting:
            hub_pairing.offered(waiting, blind=True)
            private, public = certificates.new_key()
            proof = certificates.proof(private, pairing.claim(waiting.channel, PLACE))
            waiting.say(
                Application(
                    key=public,
                    place=PLACE,
                    name="nas",
                    version="9.9",
                    engine="1.10.2",
                    fingerprint="0" * 16,
                    signature=proof,
                )
            )
            waiting.hear(Certificate)

    with ours:
        member, said = both(
            lambda: hub_pairing.answer(ours, laptop.store, laptop.space(), blind=True, dialled="", tell=lambda _: None),
            hub,
        )
    assert "they replicate differently (nokosu 9.9 there)" in refusal(member)[0]
    assert isinstance(said, pairing.Refused)
    assert said.reason == "engine"


def test_a_hub_that_does_not_hold_the_key_it_names_gets_no_certificate(laptop: Member) -> None:
    ours, waiting = sessions()

    def hub() -> None:
        with waiting:
            hub_pairing.offered(waiting, blind=True)
            _, public = certificates.new_key()
            waiting.say(
                Application(
                    key=public, place=PLACE, name="nas", version="1", engine="1.10.2", fingerprint=replication.FINGERPRINT,
                    signature=bytes(64),
                )
            )  # fmt: skip
            waiting.hear(Certificate)

    def member() -> Certified | Joined:
        with ours:
            return hub_pairing.answer(ours, laptop.store, laptop.space(), blind=True, dialled="", tell=lambda _: None)

    found, said = both(member, hub)
    assert refusal(found)[0] == "the hub did not prove that its key is its own"
    assert isinstance(said, PairingError)
    assert laptop.hubs() == []


def test_what_a_hub_could_not_keep_is_known_to_nobody(laptop: Member, home: Path) -> None:
    home.write_text("a file, and no folder")
    member, hub = added(laptop, home)
    assert "met an error of its own" in refusal(member)[0]
    assert isinstance(hub, MeshError)
    assert laptop.hubs() == []


def test_a_hub_that_goes_before_it_has_kept_its_certificate_is_known_to_nobody(laptop: Member) -> None:
    ours, waiting = sessions()

    def hub() -> None:
        with waiting:
            hub_pairing.offered(waiting, blind=True)
            private, public = certificates.new_key()
            proof = certificates.proof(private, pairing.claim(waiting.channel, PLACE))
            waiting.say(
                Application(
                    key=public, place=PLACE, name="nas", version="1", engine="1.10.2", fingerprint=replication.FINGERPRINT,
                    signature=proof,
                )
            )  # fmt: skip
            waiting.hear(Certificate)

    def member() -> Certified | Joined:
        with ours:
            return hub_pairing.answer(ours, laptop.store, laptop.space(), blind=True, dialled="", tell=lambda _: None)

    found, _ = both(member, hub)
    assert refusal(found) == (
        "nas hung up before it said that it keeps its certificate: nothing was noted",
        "pair it again: nokosu hub init there",
    )
    assert laptop.hubs() == []


def test_a_hub_is_told_when_the_member_goes_before_it_knows_of_it(laptop: Member, home: Path) -> None:
    dialling, waiting = sessions()

    def member() -> None:
        with waiting:
            said = waiting.hear_first()
            assert isinstance(said, Application)
            told, _ = laptop.read(
                lambda connection, space: hub_pairing._certificate(connection, space, said, laptop.clock())  # noqa: SLF001
            )
            waiting.say(told)
            waiting.hear(Done)

    def hub() -> BlindHub:
        with dialling:
            return become(dialling, home, laptop.clock)

    _, found = both(member, hub)
    assert "hung up before it said that it knows of it" in refusal(found)[0]
    assert hubs.load(home) is not None


# Who answered whom ----------------------------------------------------------------------------------------------------


def knocks(session: Session, device: Member, *, hub: bool = False) -> Any:
    with session:
        return joining.knock(session, device.store, hub=hub)


def test_a_device_that_answers_a_hubs_code_is_told_what_to_type(laptop: Member, tmp_path: Path) -> None:
    ours, waiting = sessions()

    def hub() -> None:
        with waiting:
            hub_pairing.offered(waiting, blind=True)

    joiner, waited = both(lambda: knocks(ours, laptop), hub)
    assert refusal(joiner) == (
        "what waits there is to be a hub",
        "nokosu hub add ADDRESS CODE, on a device with the memories",
    )
    assert "nokosu hub add" in refusal(waited)[1]


def test_a_member_that_takes_a_blind_hub_only_does_not_let_one_read(laptop: Member) -> None:
    ours, waiting = sessions()

    def hub() -> None:
        with waiting:
            hub_pairing.offered(waiting, blind=False)

    def member() -> Certified | Joined:
        with ours:
            return hub_pairing.answer(ours, laptop.store, laptop.space(), blind=True, dialled="", tell=lambda _: None)

    found, waited = both(member, hub)
    assert refusal(found)[0] == "the hub is to read, and only a blind one is taken"
    assert refusal(waited)[0] == "what answered takes a blind hub only, and this one is to read"
    assert len(laptop.read(roster.members)) == 1


def test_a_member_that_shows_the_code_of_a_blind_hub_does_not_let_one_read(laptop: Member, tmp_path: Path) -> None:
    nas = Member(tmp_path, "nas")
    dialling, waiting = sessions()

    def member() -> Certified | Joined:
        with waiting:
            return hub_pairing.receive(
                waiting, laptop.store, laptop.space(), Listening(4, "0.0.0.0"), blind=True, tell=lambda _: None
            )

    found, said = both(member, lambda: knocks(dialling, nas, hub=True))
    assert refusal(found)[0] == "nas is to read, and only a blind hub is taken"
    assert refusal(said)[0] == "what waits there takes a blind hub only"
    assert len(laptop.read(roster.members)) == 1


def test_a_plain_device_does_not_get_in_by_the_code_of_a_hub(laptop: Member, tmp_path: Path) -> None:
    desk = Member(tmp_path, "desk")
    dialling, waiting = sessions()

    def member() -> Certified | Joined:
        with waiting:
            return hub_pairing.receive(
                waiting, laptop.store, laptop.space(), Listening(4, "0.0.0.0"), blind=False, tell=lambda _: None
            )

    found, said = both(member, lambda: knocks(dialling, desk))
    assert refusal(found) == ("a device answered, and this code was for a hub", "nokosu invite, for a device")
    assert refusal(said)[0] == "that code is for a hub"


def test_a_blind_hub_does_not_get_in_by_the_code_of_a_device(laptop: Member, home: Path) -> None:
    dialling, waiting = sessions()

    def member() -> Joined:
        with waiting:
            return joining.admit(waiting, laptop.store, laptop.space(), Listening(4, "0.0.0.0"), tell=lambda _: None)

    def hub() -> BlindHub:
        with dialling:
            return become(dialling, home, laptop.clock)

    found, said = both(member, hub)
    assert refusal(found)[1] == "nokosu invite --hub, for a hub"
    assert refusal(said)[1] == "nokosu invite --hub there, for a blind hub"
    assert hubs.load(home) is None


@pytest.mark.parametrize("waits_for_hub", [True, False])
def test_two_members_that_meet_are_told(laptop: Member, tmp_path: Path, *, waits_for_hub: bool) -> None:
    desk = Member(tmp_path, "desk")
    dialling, waiting = sessions()

    def inviter() -> Any:
        with waiting:
            here = Listening(4, "0.0.0.0")
            if waits_for_hub:
                return hub_pairing.receive(
                    waiting, laptop.store, laptop.space(), here, blind=False, tell=lambda _: None
                )
            return joining.admit(waiting, laptop.store, laptop.space(), here, tell=lambda _: None)

    def adder() -> Certified | Joined:
        with dialling:
            return hub_pairing.answer(dialling, desk.store, desk.space(), blind=False, dialled="", tell=lambda _: None)

    found, said = both(inviter, adder)
    assert "adds a hub" in refusal(found)[0]
    assert refusal(said) == ("what waits there invites a device, and is no hub", "nokosu hub init, on the hub")


# One that reads -------------------------------------------------------------------------------------------------------


def test_a_hub_that_reads_is_a_member_and_known_as_a_hub_at_once(laptop: Member, tmp_path: Path) -> None:
    nas = Member(tmp_path, "nas")
    ours, waiting = sessions()
    here = HubHere(PLACE, Listening(28123, "0.0.0.0"))

    def hub() -> Any:
        with waiting:
            hub_pairing.offered(waiting, blind=False)
            plan = joining.knock(waiting, nas.store, hub=True)
            return joining.enter(waiting, nas.store, plan, apart=False, inviter="", hub=here)

    def member() -> Certified | Joined:
        with ours:
            return hub_pairing.answer(
                ours, laptop.store, laptop.space(), blind=False, dialled="203.0.113.7", tell=lambda _: None
            )

    joined, entered = both(member, hub)
    assert isinstance(joined, Joined), joined
    assert (joined.name, joined.hub) == ("nas", True)
    assert not isinstance(entered, NokosuError), entered
    device = nas.read(lambda connection, _: roster.own_device(connection).id)
    expected = Hub(zid=ZID, name="nas", addresses=("203.0.113.7:28123", *PLACE.addresses), blind=False, device=device)
    assert laptop.hubs() == nas.hubs() == [expected]
    assert nas.read(roster.listening) == here.listening
    assert laptop.read(roster.listening) is None
    assert nas.read(lambda connection, _: known_hubs.of_this_device(connection)) == [(entered.space, expected)]
    assert laptop.read(lambda connection, _: known_hubs.of_this_device(connection)) == []


def test_a_member_becomes_a_hub_without_pairing_and_says_so_once(laptop: Member) -> None:
    here = HubHere(PLACE, Listening(28123, "0.0.0.0"))
    for _ in range(2):
        laptop.write(lambda connection, space: joining.be_hub(laptop.store, connection, space, here))
    said = laptop.read(membership.roster_records)
    assert [record.core.kind for record in said] == ["hub"]
    assert [hub.addresses for hub in laptop.hubs()] == [PLACE.addresses]
    other = HubHere(msgspec.structs.replace(PLACE, addresses=("10.0.0.8:28123",)), here.listening)
    laptop.write(lambda connection, space: joining.be_hub(laptop.store, connection, space, other))
    assert [hub.addresses for hub in laptop.hubs()] == [("10.0.0.8:28123",)]
