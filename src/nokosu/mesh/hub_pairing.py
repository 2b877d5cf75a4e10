"""Both ends of a hub's pairing: who answered whom, and how a blind hub gets its certificate and nothing else.

A member writes the `hub` record only after the blind hub has said that it keeps what it was given; the hub hears that it
is written. What is lost in between is repaired by pairing again, which changes neither its Zenoh id nor its port.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from nokosu import limits
from nokosu.clock import WallClock
from nokosu.engine import located, replication
from nokosu.errors import NokosuError, PairingError
from nokosu.mesh import addresses, certificates, hubs, joining, pairing, trust
from nokosu.mesh.hubs import BlindHub, OlderRoots
from nokosu.mesh.joining import Joined, Store
from nokosu.mesh.pairing import Application, Certificate, Done, HubPlace, Introduction, Offer, OlderRoot, Reason
from nokosu.mesh.pairing_wire import Session
from nokosu.mesh.pairing_words import HUB_INIT, explained, refused
from nokosu.records import Hub
from nokosu.store import membership, roster
from nokosu.store.roster import Listening, Space
from nokosu.store.roster_fold import clean_name
from nokosu.store.sqlite import Connection

Tell = Callable[[str], None]


# The member -----------------------------------------------------------------------------------------------------------


class Certified(Struct, frozen=True):
    """A blind hub that was paired: `again` if it was one of this space before; `namesakes` have its name too."""

    hub: Hub
    again: bool
    namesakes: int


def answer(
    session: Session, store: Store, space: Space, *, blind: bool, dialled: str, tell: Tell
) -> Certified | Joined:
    """Take the hub into *space* that showed the code which was typed here; a *blind* one only, if so said. *dialled* is the
    host at which it was reached, and *tell* is given its name.

    Raises:
        PairingError: it came to nothing; the message and the hint say why.
    """
    session.say(Offer(blind))
    try:
        said = session.hear_first()
    except pairing.Refused as error:
        raise explained(error, "the hub") from error
    if isinstance(said, Offer):
        raise refused(session, Reason.MEMBER_WAITS)
    return _taken(session, store, space, said, where=None, dialled=dialled, tell=tell)


def receive(
    session: Session, store: Store, space: Space, where: Listening, *, blind: bool, tell: Tell
) -> Certified | Joined:
    """Take the hub into *space* that answered the code shown here; with a reading one's admission this device begins to listen
    at *where*.

    Raises:
        PairingError: it came to nothing; the message and the hint say why.
    """
    said = session.hear_first()
    if isinstance(said, Offer):
        raise refused(session, Reason.MEMBER_WAITS)
    if isinstance(said, Introduction) and not said.hub:
        raise refused(session, Reason.HUB_INVITED)
    if isinstance(said, Introduction) and blind:
        raise refused(session, Reason.BLIND_ONLY, name=clean_name(said.name) or "what answered")
    return _taken(session, store, space, said, where=where, dialled="", tell=tell)


def _taken(
    session: Session,
    store: Store,
    space: Space,
    said: Introduction | Application,
    *,
    where: Listening | None,
    dialled: str,
    tell: Tell,
) -> Certified | Joined:
    tell(clean_name(said.name) or "the hub")
    if isinstance(said, Application):
        return certify(session, store, space, said, dialled=dialled)
    return joining.admit_introduced(session, store, space, where, said, dialled=dialled, tell=lambda _: None)


def certify(session: Session, store: Store, space: Space, said: Application, *, dialled: str) -> Certified:
    """Give a blind hub its certificate, and have the members know of it.

    Raises:
        PairingError: it is a hub of another space, its storages would not align, or it was lost on the way.
    """
    pairing.check_application(session.channel, said)
    name = clean_name(said.name)[: limits.DEVICE_NAME_CHARS_MAX] or "hub"
    if said.space not in (b"", space.id):
        raise refused(session, Reason.SPACE, name=name)
    why = _misfit(said)
    if why:
        raise refused(session, Reason.ENGINE, name=name, why=why)
    with store.database.reading() as connection:
        certificate, key_id = _certificate(connection, space, said, store.wall_clock())
    try:
        session.say(certificate)
        session.hear(Done)
    except pairing.Refused as error:
        raise explained(error, name) from error
    except PairingError as error:
        message = f"{name} hung up before it said that it keeps its certificate: nothing was noted"
        raise PairingError(message, hint=f"pair it again: {HUB_INIT} there") from error
    with store.database.write() as connection:
        before = {hub.zid: hub for hub in roster.hubs(connection, space)}
        hub = Hub(
            zid=said.place.zid, name=name, addresses=joining.reached_at(said.place, dialled), blind=True, key_id=key_id
        )
        membership.set_hub(store.log, connection, space, hub)
    with suppress(PairingError):  # a hub that has gone knows its part already
        session.say(Done())
    others = [one for zid, one in before.items() if zid != hub.zid]
    return Certified(hub, hub.zid in before, sum(one.name == hub.name for one in others))


def _certificate(connection: Connection, space: Space, said: Application, now_ms: int) -> tuple[Certificate, bytes]:
    """All that a blind hub is told, and the name of the secret that signed it. Of older secrets their roots alone are named,
    and for as long as a device may not have heard that they are over.
    """
    current, ending = roster.secrets(connection, space)[0], trust.ending(connection, space, now_ms)
    trusted = [current, *(secret for secret, _ in ending)]
    roots, certificate = certificates.issue(trusted, said.key, said.place.zid, now_ms=now_ms)
    others = [hub for hub in roster.hubs(connection, space) if hub.zid != said.place.zid]
    dialled = [address for hub in others for address in hub.addresses if addresses.is_address(address)]
    told = Certificate(
        space=space.id,
        certificate=certificate.decode(),
        root=roots[0].decode(),
        older=tuple(OlderRoot(root.decode(), until) for root, (_, until) in zip(roots[1:], ending, strict=True)),
        peers=tuple(dict.fromkeys(dialled))[: limits.ADDRESSES_DIALLED_MAX],
    )
    return told, current.key_id


def _misfit(said: Application) -> str:
    """Why a hub's storages and those of this device's nokosu would ignore one another; empty if they would not."""
    if said.fingerprint != replication.FINGERPRINT:
        return f"they replicate differently (nokosu {clean_name(said.version)} there)"
    if said.engine.rpartition(".")[0] != located.MINOR:
        return f"it has zenohd {clean_name(said.engine)}, and this nokosu Zenoh {located.MINOR}"
    return ""


# The hub --------------------------------------------------------------------------------------------------------------


class Applicant(Struct, frozen=True, kw_only=True):
    """What a machine that is to be a blind hub brings: where it listens (`listening`), where it is reached, its zenohd's
    version, and what it was before, if it was one.
    """

    name: str
    place: HubPlace
    listening: Listening
    version: str
    engine: str
    before: BlindHub | None = None


def apply(session: Session, who: Applicant, *, keep: Callable[[BlindHub], None], wall_clock: WallClock) -> BlindHub:
    """Become a blind hub; *keep* has it on the disk when it returns.

    Raises:
        PairingError: it came to nothing; the message and the hint say why.
    """
    private, public = certificates.new_key()
    session.say(
        Application(
            key=public,
            place=who.place,
            name=who.name,
            version=who.version,
            engine=who.engine,
            fingerprint=replication.FINGERPRINT,
            signature=certificates.proof(private, pairing.claim(session.channel, who.place)),
            space=who.before.space if who.before is not None else b"",
        )
    )
    try:
        told = session.hear(Certificate)
    except pairing.Refused as error:
        raise explained(error) from error
    if who.before is not None and who.before.space != told.space:
        session.refuse(Reason.FAILED)
        raise PairingError("the other device gave a certificate of another space than this hub keeps", hint=HUB_INIT)
    hub = _made(who, told, private, wall_clock())
    try:
        keep(hub)
    except NokosuError:
        session.refuse(Reason.FAILED)
        raise
    session.say(Done())
    try:
        session.hear(Done)
    except PairingError as error:
        message = "this hub has its certificate, but the other device hung up before it said that it knows of it"
        raise PairingError(message, hint="nokosu hub list there; if it is missing, pair it again") from error
    return hub


def _made(who: Applicant, told: Certificate, private: bytes, now_ms: int) -> BlindHub:
    return BlindHub(
        v=hubs.VERSION,
        space=told.space,
        zid=who.place.zid,
        name=who.name,
        port=who.listening.port,
        address=who.listening.address,
        certificate=told.certificate,
        key=private.decode(),
        roots=told.root,
        older=tuple(OlderRoots(one.root, one.until_ms) for one in told.older),
        peers=told.peers,
        added_ms=now_ms,
    )


def offered(session: Session, *, blind: bool) -> None:
    """On the hub that showed the code: hear whether who answered takes it.

    Raises:
        PairingError: it does not.
    """
    said = session.hear_first()
    if not isinstance(said, Offer):
        raise refused(session, Reason.HUB_WAITS)
    if said.blind and not blind:
        raise refused(session, Reason.READS)
