"""Why a pairing came to nothing, in words, with what to do next: at the end that refuses, and at the one that is refused."""

from __future__ import annotations

from typing import Final

from nokosu.errors import PairingError
from nokosu.mesh import pairing
from nokosu.mesh.pairing import Reason
from nokosu.mesh.pairing_wire import INVITE, Session

HUB_INIT: Final = "nokosu hub init"
INVITE_HUB: Final = "nokosu invite --hub"

REVOKED_HINT: Final = "a revoked device stays out: set NOKOSU_HOME to a new folder and join from there, as a new device"

_HOME: Final = "a blind hub keeps one space: NOKOSU_HOME=/another/folder nokosu hub init --blind, for this one"
_UPGRADE: Final = "install the same versions on both: nokosu --version, zenohd --version"

_EXPLAINED: Final = {
    Reason.VERSION: ("{name} has another version of pairing", "upgrade the older of the two"),
    Reason.CODE: ("the code is wrong", "{command}, on the other device: each code may be tried once"),
    Reason.SELF: ("this is the device that invites", "type the line on the other device"),
    Reason.REVOKED: ("this device was revoked from that space", REVOKED_HINT),
    Reason.DECLINED: ("{name} was asked, and does not want to join", "{command}, for a new code"),
    Reason.SHARED: ("the personal space of {name} has other devices, so it cannot join", "invite from there instead"),
    Reason.NAME: ("{name} has another space of that name", "nokosu invite, and join there with --as NAME"),
    Reason.FAILED: ("{name} met an error of its own, and says there what it is", "nokosu doctor, on that device"),
    Reason.HUB_INVITED: ("that code is for a hub", "nokosu invite there, for a device; nokosu hub init here, for a hub"),
    Reason.DEVICE_INVITED: ("that code is for a device that reads", "nokosu invite --hub there, for a blind hub"),
    Reason.HUB_WAITS: ("what waits there is to be a hub", "nokosu hub add ADDRESS CODE, on a device with the memories"),
    Reason.MEMBER_WAITS: ("what waits there invites a device, and is no hub", "nokosu hub init, on the hub"),
    Reason.READS: ("the hub is to read, and only a blind one is taken", "nokosu hub init --blind, there; or no --blind here"),
    Reason.BLIND_ONLY: ("what waits there takes a blind hub only", "nokosu hub init --blind; or no --blind there"),
    Reason.SPACE: ("this home is a blind hub of another space already", _HOME),
    Reason.ENGINE: ("the storages of the two would not align: another version of zenohd or nokosu", _UPGRADE),
}  # fmt: skip
_SAID: Final = {
    Reason.SELF: ("that is this device itself: type the line on another one", ""),
    Reason.REVOKED: ("{name} was revoked from this space, and stays out: it may join from a new home, as a new device", ""),
    Reason.HUB_INVITED: ("a device answered, and this code was for a hub", "nokosu invite, for a device"),
    Reason.DEVICE_INVITED: ("a blind hub answered, and this code was for a device", "nokosu invite --hub, for a hub"),
    Reason.HUB_WAITS: (
        "what answered wants to join, and a hub waits for a device with the memories",
        "nokosu hub init, and nokosu hub add ADDRESS CODE there",
    ),
    Reason.MEMBER_WAITS: (
        "what answered adds a hub, and this device invites",
        "nokosu hub init here; or nokosu join ADDRESS CODE there",
    ),
    Reason.READS: (
        "what answered takes a blind hub only, and this one is to read",
        "nokosu hub init --blind; or no --blind there",
    ),
    Reason.BLIND_ONLY: (
        "{name} is to read, and only a blind hub is taken",
        "nokosu hub init --blind, there; or no --blind here",
    ),
    Reason.SPACE: ("{name} is a blind hub of another space already", "there: " + _HOME),
    Reason.ENGINE: ("the storages of {name} and this device would not align: {why}", _UPGRADE),
}  # fmt: skip


def refused(session: Session, reason: Reason, *, name: str = "", why: str = "") -> PairingError:
    """Tell the other end why it goes no further; the error that says so at this one."""
    session.refuse(reason)
    message, hint = _SAID[reason]
    return PairingError(message.format(name=name, why=why), hint=hint)


def explained(error: PairingError, name: str = "the other device", *, command: str = INVITE) -> PairingError:
    """The same error, in words of this end where the other one refused. *command* is what showed the code."""
    if not isinstance(error, pairing.Refused):
        return error
    known = error.reason in set(Reason)
    words, hint = _EXPLAINED[Reason(error.reason)] if known else ("{name} refused ({reason})", "")
    reason = error.reason if error.reason.isidentifier() else "for a reason unknown here"
    return PairingError(words.format(name=name, reason=reason), hint=hint.format(command=command))
