"""Pairing: what two devices say to each other so that one joins a space of the other. Pure: bytes in, bytes out.

    joiner                                inviter
    hello      share of SPAKE2       ->
                                     <-   hello         share of SPAKE2
    confirm    proof of the code     ->                 one wrong proof ends the invitation, before it is answered
                                     <-   confirm       proof of the code
    introduction  keys, name         ->                 from here on sealed, with a key for each direction
                                     <-   preview       what would be joined
    acceptance                       ->                 a person may have been asked in between
                                     <-   welcome       secrets and roster; the joiner is admitted already
    done                             ->

A hub is paired by the same conversation, and either end may be the one that listens; whoever dials speaks first. A member
that dials a waiting hub says `offer`, and the hub goes on as the joiner. A blind hub, which is to have no secret, says

    application  a key for TLS, its Zenoh id, addresses    ->
                                                           <-  certificate   the space's id, whom to trust, other hubs
    done                                                   ->
                                                           <-  done          the members know of it from now on

The code is a password of 40 bits for one guess: SPAKE2 makes of it a key that both ends share only if both know the
code, and gives who listens in, or stands between, nothing to try codes against. Nothing secret is sent before both
ends have proven that they know it. A `Refusal` may come instead of any answer.

`pairing_wire` moves the bytes; `joining` knows what is said. Source: RFC 9382 (SPAKE2), RFC 5869, RFC 8439.
"""

from __future__ import annotations

import hmac
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec import Meta, Struct
from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError  # type: ignore[import-untyped]
from spake2.ed25519_basic import NotOnCurve  # type: ignore[import-untyped]

from nokosu import ids, limits
from nokosu.errors import PairingError
from nokosu.identity import keys
from nokosu.identity.keys import SigningKey
from nokosu.identity.secrets import derived

VERSION: Final = 1
_JOINER: Final = b"nokosu pairing 1 joiner"
_INVITER: Final = b"nokosu pairing 1 inviter"
_SIGNED: Final = b"nokosu pairing 1 introduction "
_CLAIMED: Final = b"nokosu pairing 1 application "
_SHARE_BYTES: Final = 33


class Reason(StrEnum):
    """Why one end refuses; the other end finds its own words for it."""

    VERSION = "version"  # it speaks another version of this protocol
    CODE = "code"  # the proof of the code was wrong
    OVER = "over"  # the invitation was used, guessed at, or has ended
    SELF = "self"  # a device cannot join itself
    REVOKED = "revoked"  # a revoked device stays out
    DECLINED = "declined"  # the person said no
    SHARED = "shared"  # the joiner's personal space has other devices
    NAME = "name"  # the joiner has another space of that name
    HUB_INVITED = "hub_invited"  # the code is for a hub, and a device answered
    DEVICE_INVITED = "device_invited"  # the code is for a device, and a blind hub answered
    HUB_WAITS = "hub_waits"  # it is a hub that waits for a member
    MEMBER_WAITS = "member_waits"  # it is a member that waits, and no hub
    READS = "reads"  # it is a hub that is to read, and the member takes a blind one only
    BLIND_ONLY = "blind_only"  # it takes a blind hub only, and this one would read
    SPACE = "space"  # the blind hub is one of another space already
    ENGINE = "engine"  # their storages could not align with one another
    FAILED = "failed"  # it met an error of its own


# What is said before both ends have proven the code -------------------------------------------------------------------


class Hello(Struct, frozen=True, tag="hello"):
    """The version of this protocol, and a share of SPAKE2."""

    v: int
    share: bytes


class Confirm(Struct, frozen=True, tag="confirm"):
    """The proof that the sender knows the code."""

    proof: bytes


class Refusal(Struct, frozen=True, tag="refusal"):
    """Why the sender goes no further."""

    reason: Annotated[str, Meta(max_length=32)]


# What is said afterwards, sealed --------------------------------------------------------------------------------------

_Name = Annotated[str, Meta(max_length=limits.AUTHOR_CHARS_MAX)]
_Id = Annotated[bytes, Meta(min_length=ids.BINARY_ID_BYTES, max_length=ids.BINARY_ID_BYTES)]
_Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
_Address = Annotated[str, Meta(min_length=1, max_length=limits.ADDRESS_CHARS_MAX)]
_Addresses = Annotated[tuple[_Address, ...], Meta(max_length=limits.ADDRESSES_MAX)]
_ZenohId = Annotated[str, Meta(min_length=1, max_length=32)]
_Pem = Annotated[str, Meta(max_length=16 * 1024)]
_Count = Annotated[int, Meta(ge=0, le=limits.SEQ_MAX)]


class Introduction(Struct, frozen=True, tag="introduction"):
    """Who the joiner is. The signature is over this conversation, so it proves that the joiner has the device's key. A *hub*
    joins to be one.
    """

    key: _Key
    box: _Key
    name: _Name
    version: _Name
    signature: bytes
    hub: bool = False


class Preview(Struct, frozen=True, kw_only=True, tag="preview"):
    """What would be joined: the space, the names of its devices, and how many memories are in it.

    `device` and `device_name` are the inviter's.
    """

    space: _Id
    name: _Name
    personal: bool
    device: _Id
    device_name: _Name
    version: _Name
    devices: tuple[_Name, ...]
    memories: _Count


class HubPlace(Struct, frozen=True):
    """Where a hub is: its Zenoh id, and the port and addresses at which the others reach it."""

    zid: _ZenohId
    port: Annotated[int, Meta(gt=0, lt=1 << 16)]
    addresses: _Addresses


class Acceptance(Struct, frozen=True, tag="acceptance"):
    """The joiner agrees, and brings so many memories of its own; a hub says where it is."""

    memories: _Count
    hub: HubPlace | None = None


class WelcomeSecret(Struct, frozen=True):
    """A secret of the space, with its place among the others."""

    epoch: _Count
    secret: _Key


class WelcomeAddress(Struct, frozen=True):
    """Where a device may be reached: host and port."""

    device: _Id
    address: Annotated[str, Meta(max_length=limits.ADDRESS_CHARS_MAX)]


class Welcome(Struct, frozen=True, kw_only=True, tag="welcome"):
    """Everything that makes the joiner a member: `records` are the roster's, each as `seal.pack` makes it; `port` is where
    the inviter's node listens, 0 if it does not.
    """

    founder: _Key
    secrets: Annotated[tuple[WelcomeSecret, ...], Meta(min_length=1)]
    records: Annotated[tuple[bytes, ...], Meta(min_length=1)]
    addresses: tuple[WelcomeAddress, ...]
    port: _Count


class Done(Struct, frozen=True, tag="done"):
    """The joiner is a member, and has it on its disk; a blind hub has its certificate there; the members know the hub."""


# The same about a hub -------------------------------------------------------------------------------------------------


class Offer(Struct, frozen=True, tag="offer"):
    """A member has dialled a hub: it may join as a device that reads, or it is to be *blind*."""

    blind: bool


class Application(Struct, frozen=True, kw_only=True, tag="application"):
    """A blind hub asks for a certificate for `key` (Ed25519), and its signature over this conversation proves that the key
    is its own. `space` is the one that it has been a hub of, if any; `engine` its zenohd's version, and `fingerprint` names
    how its storages replicate.
    """

    key: _Key
    place: HubPlace
    name: _Name
    version: _Name
    engine: _Name
    fingerprint: _Name
    signature: bytes
    space: Annotated[bytes, Meta(max_length=ids.BINARY_ID_BYTES)] = b""


class OlderRoot(Struct, frozen=True):
    """The root of a secret that was replaced (PEM), trusted until then (milliseconds since 1970)."""

    root: _Pem
    until_ms: _Count


class Certificate(Struct, frozen=True, kw_only=True, tag="certificate"):
    """All that a blind hub is told: no secret, and no name."""

    space: _Id
    certificate: _Pem
    root: _Pem
    older: Annotated[tuple[OlderRoot, ...], Meta(max_length=limits.CUTS_MAX)]
    peers: Annotated[tuple[_Address, ...], Meta(max_length=limits.ADDRESSES_DIALLED_MAX)]


_Plain = Hello | Confirm | Refusal
First = Introduction | Application | Offer
"""What whoever dials may begin with, once the code is proven."""

Sealed = First | Preview | Acceptance | Welcome | Certificate | Done | Refusal
_PLAIN: Final = msgspec.msgpack.Decoder(_Plain)
_SEALED: Final = msgspec.msgpack.Decoder(Sealed)
_ENCODER: Final = msgspec.msgpack.Encoder()
_P = TypeVar("_P", bound=Hello | Confirm)
_S = TypeVar("_S", bound=Sealed)


class Refused(PairingError):
    """The other end refused, for `reason`: one of `Reason`, or a later version's."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the other device refused ({reason})")
        self.reason = reason


class WrongCode(PairingError):
    """The proof was made with another code: the other end mistyped it, or guesses."""


class WrongVersion(PairingError):
    """The other end speaks another version of this protocol."""


# Both ends -----------------------------------------------------------------------------------------------------------


class Channel:
    """The conversation after the code is proven: sealed, in order, each direction with a key and a counter of its own.

    A message that was changed, left out, repeated or turned around does not open.
    """

    def __init__(self, sending: bytes, receiving: bytes, transcript: bytes) -> None:
        self.transcript = transcript
        self._sending, self._receiving = ChaCha20Poly1305(sending), ChaCha20Poly1305(receiving)
        self._sent = self._received = 0

    def seal(self, message: Sealed) -> bytes:
        """The next frame to send."""
        frame = self._sending.encrypt(_nonce(self._sent), _ENCODER.encode(message), self.transcript)
        self._sent += 1
        return frame

    def open(self, frame: bytes, *kinds: type[_S]) -> _S:
        """The next message, which has to be of one of these *kinds*.

        Raises:
            Refused: the other end refuses instead.
            PairingError: it was tampered with, or is no message of ours.
        """
        try:
            plain = self._receiving.decrypt(_nonce(self._received), frame, self.transcript)
        except InvalidTag:
            raise PairingError("the connection was tampered with: pairing was given up") from None
        self._received += 1
        try:
            message = _SEALED.decode(plain)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise PairingError(f"the other device said something that is not understood here ({error})") from None
        return _expected(message, *kinds)


class Joiner:
    """The joiner's end until the code is proven."""

    def __init__(self, code: str, *, random: ids.Random) -> None:
        self._spake = SPAKE2_A(code.encode(), idA=_JOINER, idB=_INVITER, entropy_f=random)
        self._hello = _ENCODER.encode(Hello(VERSION, self._spake.start()))
        self._keys: _Keys | None = None

    def hello(self) -> bytes:
        """The first frame."""
        return self._hello

    def confirm(self, hello: bytes) -> bytes:
        """The answer to the inviter's hello.

        Raises:
            Refused, WrongVersion, PairingError: no conversation comes of it.
        """
        share = _share(_plain(hello, Hello))
        self._keys = _agree(self._spake, share, joiner=self._hello, inviter=hello)
        return _ENCODER.encode(Confirm(self._keys.joiner_proof))

    def channel(self, confirm: bytes) -> Channel:
        """The conversation, once the inviter has proven the code.

        Raises:
            Refused: our proof was wrong: the code is.
            WrongCode: its proof is wrong: it is not who showed the code.
        """
        assert self._keys is not None
        if not hmac.compare_digest(_plain(confirm, Confirm).proof, self._keys.inviter_proof):
            raise WrongCode("what answers there does not know the code")
        return Channel(self._keys.joiner_sends, self._keys.inviter_sends, self._keys.transcript)


class Inviter:
    """The inviter's end of one connection until the code is proven. `Invitation` says what becomes of the code."""

    def __init__(self, code: str, *, random: ids.Random) -> None:
        self._spake = SPAKE2_B(code.encode(), idA=_JOINER, idB=_INVITER, entropy_f=random)
        self._keys: _Keys | None = None

    @property
    def has_answered(self) -> bool:
        """Whether the joiner has said hello."""
        return self._keys is not None

    def hello(self, hello: bytes) -> bytes:
        """The answer to a hello.

        Raises:
            WrongVersion, PairingError: it is none; this costs no guess, since nothing can be learnt from it.
        """
        share = _share(_plain(hello, Hello))
        ours = _ENCODER.encode(Hello(VERSION, self._spake.start()))
        self._keys = _agree(self._spake, share, joiner=hello, inviter=ours)
        return ours

    def channel(self, confirm: bytes) -> tuple[bytes, Channel]:
        """The answer to a right proof, and the conversation.

        Raises:
            WrongCode: the proof is wrong: that was the one guess.
            PairingError: it is no proof at all, and so no guess.
        """
        assert self._keys is not None
        if not hmac.compare_digest(_plain(confirm, Confirm).proof, self._keys.joiner_proof):
            raise WrongCode("the code was wrong")
        channel = Channel(self._keys.inviter_sends, self._keys.joiner_sends, self._keys.transcript)
        return _ENCODER.encode(Confirm(self._keys.inviter_proof)), channel


def introduction(
    channel: Channel, key: SigningKey, box: bytes, name: str, version: str, *, hub: bool = False
) -> Introduction:
    """The joiner's introduction, signed for this conversation."""
    signature = key.sign(_signed(channel, box, name))
    return Introduction(key=key.public, box=box, name=name, version=version, signature=signature, hub=hub)


def check_introduction(channel: Channel, said: Introduction) -> None:
    """Check that who introduces itself holds the device's key.

    Raises:
        PairingError: it does not.
    """
    if not keys.verifies(said.key, said.signature, _signed(channel, said.box, said.name)):
        raise PairingError("the joining device did not prove that its key is its own")


def claim(channel: Channel, place: HubPlace) -> bytes:
    """What a blind hub signs with its key for TLS: that it is this one's, in this conversation."""
    return _CLAIMED + channel.transcript + place.zid.encode()


def check_application(channel: Channel, said: Application) -> None:
    """Check that who asks for a certificate holds its key.

    Raises:
        PairingError: it does not, or its Zenoh id is none.
    """
    if not ids.is_zenoh_id(said.place.zid) or not keys.verifies(said.key, said.signature, claim(channel, said.place)):
        raise PairingError("the hub did not prove that its key is its own")


def refusal(reason: Reason) -> bytes:
    """The frame that refuses before a channel is there."""
    return _ENCODER.encode(Refusal(reason))


# Below ----------------------------------------------------------------------------------------------------------------


class _Keys(Struct, frozen=True):
    transcript: bytes
    joiner_proof: bytes
    inviter_proof: bytes
    joiner_sends: bytes
    inviter_sends: bytes


def _agree(spake: SPAKE2_A | SPAKE2_B, share: bytes, *, joiner: bytes, inviter: bytes) -> _Keys:
    """Both proofs and both keys, from the shared key and from all that was said so far."""
    try:
        shared: bytes = spake.finish(share)
    except (SPAKEError, ValueError, NotOnCurve) as error:
        raise PairingError("the other device's share is not valid") from error
    transcript = sha256(b"".join(len(said).to_bytes(4, "big") + said for said in (joiner, inviter))).digest()
    secret = shared + transcript
    return _Keys(
        transcript=transcript,
        joiner_proof=derived(secret, "pairing proof of the joiner"),
        inviter_proof=derived(secret, "pairing proof of the inviter"),
        joiner_sends=derived(secret, "pairing key of the joiner"),
        inviter_sends=derived(secret, "pairing key of the inviter"),
    )


def _share(hello: Hello) -> bytes:
    if hello.v != VERSION:
        raise WrongVersion(f"the other device speaks version {hello.v} of pairing, this one {VERSION}")
    if len(hello.share) != _SHARE_BYTES:
        raise PairingError("the other device's share is not valid")
    return hello.share


def _plain(frame: bytes, kind: type[_P]) -> _P:
    try:
        message = _PLAIN.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise PairingError("what answers there is not nokosu's pairing") from None
    return _expected(message, kind)


_E = TypeVar("_E")


def _expected(message: object, *kinds: type[_E]) -> _E:
    if isinstance(message, Refusal):
        raise Refused(message.reason)
    if not isinstance(message, kinds):
        raise PairingError(f"the other device said {type(message).__name__.lower()} out of turn")
    return message


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _signed(channel: Channel, box: bytes, name: str) -> bytes:
    return _SIGNED + channel.transcript + box + name.encode()
