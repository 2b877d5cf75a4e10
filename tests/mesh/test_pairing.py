"""The conversation of pairing, each wrong move in it included: pure, without a socket."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nokosu import ids
from nokosu.errors import PairingError, UsageError
from nokosu.identity.keys import SigningKey
from nokosu.mesh import pairing
from nokosu.mesh.pairing import Acceptance, Channel, Confirm, Done, Hello, Inviter, Joiner, Preview, Reason, Refusal
from nokosu.testing import SeededRandom

CODE = "4k2m7xqp"
PREVIEW = Preview(
    space=b"s" * 16,
    name="personal",
    personal=True,
    device=b"d" * 16,
    device_name="laptop",
    version="1",
    devices=("laptop",),
    memories=3,
)


class Meeting:
    """Both ends, with the frames that they have said."""

    def __init__(self, *, code: str = CODE, seed: int = 0) -> None:
        self.random = SeededRandom(seed)
        self.joiner, self.inviter = Joiner(code, random=self.random), Inviter(CODE, random=self.random)

    def proof(self) -> bytes:
        self.hello = self.joiner.hello()
        self.answer = self.inviter.hello(self.hello)
        return self.joiner.confirm(self.answer)

    def channels(self) -> tuple[Channel, Channel]:
        """The joiner's and the inviter's."""
        confirm, inviters = self.inviter.channel(self.proof())
        return self.joiner.channel(confirm), inviters


def flipped(frame: bytes, at: int) -> bytes:
    return frame[:at] + bytes((frame[at] ^ 1,)) + frame[at + 1 :]


# The code ---------------------------------------------------------------------------------------------------------------


def test_a_code_is_read_as_people_write_it() -> None:
    code = ids.new_pairing_code(SeededRandom(3))
    shown = ids.shown_code(code)
    assert (len(code), len(shown), shown[4], shown) == (8, 9, "-", shown.upper())
    assert {
        ids.pairing_code(text) for text in (shown, shown.lower(), code, f" {shown} ", code[:4] + " " + code[4:])
    } == {code}
    assert ids.pairing_code("OILO-1o10") == "01101010"


@pytest.mark.parametrize(
    "text", ["", "4K2M", "4K2M-7XQ", "4K2M-7XQPP", "UUUU-UUUU", "4K2M_7XQP", "港港港港港港港港", "x" * 10_000]
)
def test_what_is_no_code_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="code: not a pairing code") as refused:
        ids.pairing_code(text)
    assert refused.value.field == "code"
    assert len(refused.value.message) < 100


def test_codes_differ() -> None:
    random = SeededRandom(1)
    assert len({ids.new_pairing_code(random) for _ in range(1000)}) == 1000


# Two that know the code -----------------------------------------------------------------------------------------------


def test_two_that_know_the_code_talk_in_both_directions() -> None:
    joiner, inviter = Meeting().channels()
    assert joiner.open(inviter.seal(PREVIEW), Preview) == PREVIEW
    assert inviter.open(joiner.seal(Acceptance(memories=7)), Acceptance) == Acceptance(memories=7)
    assert joiner.open(inviter.seal(PREVIEW), Preview) == PREVIEW
    assert inviter.open(joiner.seal(Done()), Done) == Done()


def test_each_meeting_has_keys_of_its_own() -> None:
    first, second = Meeting(seed=1).channels(), Meeting(seed=2).channels()
    assert first[0].transcript != second[0].transcript
    with pytest.raises(PairingError, match="tampered"):
        second[0].open(first[1].seal(PREVIEW), Preview)


def test_no_frame_before_the_proof_holds_the_code() -> None:
    meeting = Meeting()
    proof = meeting.proof()
    for frame in (meeting.hello, meeting.answer, proof):
        assert CODE.encode() not in frame
        assert len(frame) < 100


def test_an_introduction_is_signed_for_its_conversation() -> None:
    joiner, inviter = Meeting(seed=1).channels()
    key = SigningKey(b"k" * 32)
    said = pairing.introduction(joiner, key, b"b" * 32, "desk", "1.0")
    heard = inviter.open(joiner.seal(said), pairing.Introduction)
    pairing.check_introduction(inviter, heard)
    other, _ = Meeting(seed=2).channels()
    for wrong in (
        msgspec.structs.replace(heard, name="laptop"),
        msgspec.structs.replace(heard, box=b"c" * 32),
        msgspec.structs.replace(heard, key=SigningKey(b"x" * 32).public),
        msgspec.structs.replace(heard, signature=b"\0" * 64),
        pairing.introduction(other, key, b"b" * 32, "desk", "1.0"),
    ):
        with pytest.raises(PairingError, match="did not prove"):
            pairing.check_introduction(inviter, wrong)


# A wrong code ---------------------------------------------------------------------------------------------------------


def test_a_wrong_code_is_seen_by_the_inviter_first() -> None:
    meeting = Meeting(code="00000000")
    with pytest.raises(pairing.WrongCode, match="the code was wrong"):
        meeting.inviter.channel(meeting.proof())


def test_an_inviter_that_does_not_know_the_code_is_found_out() -> None:
    random = SeededRandom()
    joiner, impostor = Joiner(CODE, random=random), Inviter("00000000", random=random)
    impostor_hello = impostor.hello(joiner.hello())
    joiner.confirm(impostor_hello)
    with pytest.raises(pairing.WrongCode, match="does not know the code"):
        joiner.channel(msgspec.msgpack.encode(Confirm(b"\0" * 32)))


def test_the_joiners_own_proof_does_not_serve_the_inviter() -> None:
    meeting = Meeting()
    proof = meeting.proof()
    with pytest.raises(pairing.WrongCode):
        meeting.joiner.channel(proof)


def test_one_that_stands_between_without_the_code_convinces_nobody() -> None:
    random = SeededRandom()
    joiner, to_joiner = Joiner(CODE, random=random), Inviter("11111111", random=random)
    to_inviter, inviter = Joiner("11111111", random=random), Inviter(CODE, random=random)
    proof = joiner.confirm(to_joiner.hello(joiner.hello()))
    own_proof = to_inviter.confirm(inviter.hello(to_inviter.hello()))
    for said in (proof, own_proof):
        with pytest.raises(pairing.WrongCode):
            inviter.channel(said)


def test_one_that_only_relays_cannot_read_change_or_repeat_anything() -> None:
    joiner, inviter = Meeting().channels()  # all three frames have gone through its hands
    first, second = joiner.seal(Acceptance(memories=1)), joiner.seal(Done())
    for wrong in (second, inviter.seal(Done()), flipped(first, 0), first[:-1], first + b"\0", b""):
        with pytest.raises(PairingError, match="tampered"):
            inviter.open(wrong, Acceptance)
    inviter.open(first, Acceptance)
    with pytest.raises(PairingError, match="tampered"):
        inviter.open(first, Acceptance)


# Replays, and frames that were tampered with --------------------------------------------------------------------------


def test_a_replayed_conversation_fails_at_the_proof() -> None:
    meeting = Meeting(seed=1)
    proof = meeting.proof()
    again = Inviter(CODE, random=SeededRandom(2))
    again.hello(meeting.hello)
    with pytest.raises(pairing.WrongCode):
        again.channel(proof)


@pytest.mark.parametrize("who", ["joiner", "inviter"])
def test_a_hello_that_was_changed_never_leads_to_a_channel(who: str) -> None:
    def meet(at: int) -> None:
        meeting = Meeting()
        hello = meeting.joiner.hello()
        answer = meeting.inviter.hello(flipped(hello, at) if who == "joiner" else hello)
        meeting.inviter.channel(meeting.joiner.confirm(answer if who == "joiner" else flipped(answer, at)))

    for at in range(len(Meeting().joiner.hello())):
        with pytest.raises(PairingError):
            meet(at)


def test_what_one_end_said_and_the_other_heard_is_the_same_to_the_last_field() -> None:
    """A later version may say more in its hello, and nobody in between may add to it or take it away."""
    meeting = Meeting()
    fields = msgspec.msgpack.decode(meeting.joiner.hello())
    answer = meeting.inviter.hello(msgspec.msgpack.encode({**fields, "more": 1}))
    with pytest.raises(pairing.WrongCode):
        meeting.inviter.channel(meeting.joiner.confirm(answer))


def test_a_proof_that_was_changed_is_no_proof() -> None:
    length = len(Meeting().proof())
    for at in range(length):
        meeting = Meeting()
        with pytest.raises(PairingError):
            meeting.inviter.channel(flipped(meeting.proof(), at))
        meeting = Meeting()
        answer, _ = meeting.inviter.channel(meeting.proof())
        with pytest.raises(PairingError):
            meeting.joiner.channel(flipped(answer, at))


@pytest.mark.parametrize(
    "share",
    [
        b"",
        b"A",
        b"A" + b"\0" * 31,
        b"A" + b"\0" * 33,
        b"B" + b"\x05" * 32,
        b"S" + b"\x05" * 32,
        b"A" + b"\x01" + b"\0" * 31,  # the neutral element
        b"A" + b"\0" * 32,  # of order 4
        b"A" + b"\xff" * 32,
        b"A" + bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),  # of order 8
        b"A" + b"\x02" + b"\0" * 31,  # on no curve
    ],
)
def test_a_share_that_is_none_is_refused(share: bytes) -> None:
    inviter = Inviter(CODE, random=SeededRandom())
    with pytest.raises(PairingError, match="share is not valid"):
        inviter.hello(msgspec.msgpack.encode(Hello(pairing.VERSION, share)))


def test_a_reflected_share_is_refused() -> None:
    joiner = Joiner(CODE, random=SeededRandom())
    with pytest.raises(PairingError, match="share is not valid"):
        joiner.confirm(joiner.hello())


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80",
        b"\x93" * 500,
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa4type\xa5hello",
    ],
)
def test_noise_is_refused_at_each_step_and_is_no_guess(frame: bytes) -> None:
    with pytest.raises(PairingError):
        Inviter(CODE, random=SeededRandom()).hello(frame)
    meeting = Meeting()
    meeting.proof()
    with pytest.raises(PairingError) as refused:
        meeting.inviter.channel(frame)
    assert not isinstance(refused.value, pairing.WrongCode)
    with pytest.raises(PairingError):
        Joiner(CODE, random=SeededRandom()).confirm(frame)
    with pytest.raises(PairingError):
        meeting.joiner.channel(frame)


# Versions, refusals, and turns ----------------------------------------------------------------------------------------


def test_another_version_is_told_at_both_ends() -> None:
    later = msgspec.msgpack.encode({"type": "hello", "v": 2, "share": b"A" + b"\x05" * 32, "more": 1})
    with pytest.raises(pairing.WrongVersion, match="version 2 of pairing, this one 1"):
        Inviter(CODE, random=SeededRandom()).hello(later)
    with pytest.raises(pairing.WrongVersion, match="version 2 of pairing, this one 1"):
        Joiner(CODE, random=SeededRandom()).confirm(later)


def test_fields_of_a_later_version_are_no_obstacle() -> None:
    meeting = Meeting()
    fields = msgspec.msgpack.decode(meeting.joiner.hello())
    later = msgspec.msgpack.encode({**fields, "more": [1, 2]})
    assert meeting.inviter.hello(later)


def test_a_refusal_may_come_instead_of_any_answer() -> None:
    with pytest.raises(pairing.Refused) as refused:
        Joiner(CODE, random=SeededRandom()).confirm(pairing.refusal(Reason.VERSION))
    assert refused.value.reason == "version"
    meeting = Meeting()
    meeting.proof()
    with pytest.raises(pairing.Refused):
        meeting.joiner.channel(pairing.refusal(Reason.CODE))
    joiner, inviter = Meeting().channels()
    with pytest.raises(pairing.Refused) as refused:
        inviter.open(joiner.seal(Refusal("of a later version")), Acceptance)
    assert refused.value.reason == "of a later version"


def test_a_message_out_of_turn_is_refused() -> None:
    joiner, inviter = Meeting().channels()
    with pytest.raises(PairingError, match="said done out of turn"):
        inviter.open(joiner.seal(Done()), Acceptance)
    meeting = Meeting()
    meeting.proof()
    with pytest.raises(PairingError, match="said hello out of turn"):
        meeting.inviter.channel(meeting.hello)


@pytest.mark.parametrize(
    "change",
    [
        {"space": b"short"},
        {"name": "x" * 201},
        {"memories": -1},
        {"memories": 2**60},
        {"personal": 1},
        {"devices": "laptop"},
        {"device_name": b"\xff"},
        {"devices": ["x" * 1000]},
    ],
)
def test_a_sealed_message_with_fields_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    joiner, inviter = Meeting().channels()
    fields = {**msgspec.to_builtins(PREVIEW, builtin_types=(bytes,)), "type": "preview", **change}
    with pytest.raises(PairingError, match="not understood"):
        joiner.open(_sealed_raw(inviter, fields), Preview)


def _sealed_raw(channel: Channel, fields: dict[str, object]) -> bytes:
    raw: Any = msgspec.defstruct("Raw", [(name, object) for name in fields])(**fields)
    return channel.seal(raw)
