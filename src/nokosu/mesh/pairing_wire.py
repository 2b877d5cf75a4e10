"""The sockets of pairing: frames, the listener that survives a flood of strangers, and the joiner's dialling.

A frame is a length of four bytes, big-endian, and so many bytes; each step bounds both its length and its time. One thread
serves all: until the code is proven a connection costs two small messages, and there are never more than
`limits.PAIRING_UNCONFIRMED_MAX` of them. Whoever proves it has the inviter to itself from then on.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

from nokosu import ids, limits
from nokosu.errors import PairingError, UsageError
from nokosu.mesh import pairing
from nokosu.mesh.pairing import Application, Channel, First, Introduction, Offer, Reason, Sealed

_LENGTH_BYTES: Final = 4
_READ_BYTES: Final = 64 * 1024
_BACKLOG: Final = 128
_PAUSE_S: Final = 0.3
ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - to invite is the person's word to listen
"""The address that stands for all of this machine's, IPv6 too where there is any."""

INVITE: Final = "nokosu invite"
"""What shows a code to whoever joins; a hub shows one as well, by another command."""

_AGAIN: Final = f"{INVITE}, on the other device, and nokosu join with the new code"

Monotonic = Callable[[], float]
_S = TypeVar("_S", bound=Sealed)


class Dropped(PairingError):
    """The other end closed the connection."""


class Wire:
    """A connection that carries frames."""

    def __init__(self, connection: socket.socket, *, again: str = _AGAIN) -> None:
        """Take a connection; *again* is what to do when it is lost."""
        self._socket = connection
        self._again = again
        self._bytes = bytearray()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, frame: bytes, *, seconds: float = limits.PAIRING_STEP_SECONDS) -> None:
        """Send a frame.

        Raises:
            PairingError: it could not be sent in time; `Dropped` if the other end has gone.
        """
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(len(frame).to_bytes(_LENGTH_BYTES, "big") + frame)
        except OSError as error:
            raise self._failed(error) from error

    def receive(self, bytes_max: int, *, seconds: float = limits.PAIRING_STEP_SECONDS) -> bytes:
        """The next frame.

        Raises:
            PairingError: it is too long, or has not come in time; `Dropped` if the other end has gone.
        """
        until = time.monotonic() + seconds
        while (frame := self._next(bytes_max)) is None:
            self._read(max(until - time.monotonic(), 0))
        return frame

    def poll(self, bytes_max: int) -> bytes | None:
        """The next frame if it is there, after reading once from a socket that is ready."""
        frame = self._next(bytes_max)
        if frame is None:
            self._read(limits.PAIRING_CONFIRM_SECONDS)
            frame = self._next(bytes_max)
        return frame

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _read(self, seconds: float) -> None:
        try:
            if seconds <= 0:
                raise TimeoutError
            self._socket.settimeout(seconds)
            data = self._socket.recv(_READ_BYTES)
        except OSError as error:
            raise self._failed(error) from error
        if not data:
            raise Dropped("the other device hung up", hint=self._again)
        self._bytes += data

    def _failed(self, error: OSError) -> PairingError:
        if isinstance(error, TimeoutError | BlockingIOError):
            return PairingError("the other device does not answer", hint=self._again)
        return Dropped("the other device hung up", hint=self._again)

    def _next(self, bytes_max: int) -> bytes | None:
        if len(self._bytes) < _LENGTH_BYTES:
            return None
        end = _LENGTH_BYTES + int.from_bytes(self._bytes[:_LENGTH_BYTES], "big")
        if end - _LENGTH_BYTES > bytes_max:
            raise PairingError("what answers there is not nokosu's pairing, or says too much at once")
        if len(self._bytes) < end:
            return None
        frame = bytes(self._bytes[_LENGTH_BYTES:end])
        del self._bytes[:end]
        return frame


class Session:
    """A sealed conversation over a wire."""

    def __init__(self, wire: Wire, channel: Channel) -> None:
        self.channel = channel
        self._wire = wire

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wire.close()

    def say(self, message: Sealed) -> None:
        """Send a message.

        Raises:
            PairingError: it could not be sent.
        """
        frame = self.channel.seal(message)
        if len(frame) > limits.PAIRING_WELCOME_BYTES_MAX:
            raise PairingError(f"the roster of this space is too large to send ({len(frame)} bytes)")
        self._wire.send(frame)

    def hear(
        self,
        *kinds: type[_S],
        bytes_max: int = limits.PAIRING_FRAME_BYTES_MAX,
        seconds: float = limits.PAIRING_STEP_SECONDS,
    ) -> _S:
        """The next message, of one of these *kinds*.

        Raises:
            pairing.Refused: the other end refuses. PairingError: it has gone, is too slow, or not to be trusted.
        """
        return self.channel.open(self._wire.receive(bytes_max, seconds=seconds), *kinds)

    def hear_first(self) -> First:
        """What whoever dialled begins with; raises what `hear` does."""
        said = self.hear(Introduction, Application, Offer)
        assert isinstance(said, First)
        return said

    def refuse(self, reason: Reason) -> None:
        """Say why it goes no further, if the other end is still there to hear it."""
        try:
            self.say(pairing.Refusal(reason))
        except PairingError:
            return


class Invitation:
    """A listener that waits for the one device that knows a code.

    The code is good for one proof, right or wrong, and for 10 minutes. A connection that proves nothing costs it nothing.
    """

    def __init__(
        self,
        code: str,
        *,
        random: ids.Random,
        address: str = ANYWHERE,
        port: int = 0,
        seconds: float = limits.PAIRING_CODE_SECONDS,
        monotonic: Monotonic = time.monotonic,
        command: str = INVITE,
    ) -> None:
        """Listen at once; a *port* of 0 is one that the system chooses. *command* is what a person types for a new code.

        Raises:
            UsageError: this machine has no such *address*, or the *port* is taken.
        """
        self._code = code
        self._random = random
        self._monotonic = monotonic
        self._until = monotonic() + seconds
        self._over = ""
        self._command = command
        self._guests: dict[int, _Guest] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = listener(address, port)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, and hang up on everybody but whoever proved the code."""
        self._end("the invitation was ended")
        self._selector.close()

    def wait(self, tell: Callable[[str], None] = lambda _: None) -> Session:
        """Wait for the device that knows the code; *tell* is given a line about a stranger that a person can help.

        Raises:
            WrongCode: a wrong code was tried; the invitation is over.
            PairingError: the 10 minutes are over.
        """
        while not self._over:
            now = self._monotonic()
            if now >= self._until:
                self._end("the code was not used in time")
                break
            for guest in [guest for guest in self._guests.values() if guest.until <= now]:
                self._drop(guest)
            wake = min([self._until, *(guest.until for guest in self._guests.values())])
            for key, _ in self._selector.select(max(wake - now, 0)):
                session = self._ready(key, tell)
                if session is not None:
                    return session
        raise PairingError(self._over, hint=self._command)

    def _ready(self, key: selectors.SelectorKey, tell: Callable[[str], None]) -> Session | None:
        if key.fileobj is self._listener:
            self._accept()
            return None
        guest: _Guest | None = key.data
        if guest is None or guest.number not in self._guests:
            return None  # it was hung up on a moment ago
        try:
            frame = guest.wire.poll(limits.PAIRING_UNCONFIRMED_BYTES_MAX)
            if frame is None:
                return None
            if guest.end.has_answered:
                return self._judge(guest, frame)
            guest.wire.send(guest.end.hello(frame), seconds=_PAUSE_S)
        except pairing.WrongCode:
            raise
        except pairing.WrongVersion as error:
            tell(f"{guest.host}: {error.message}: upgrade the older of the two")
            guest.refuse(Reason.VERSION)
            self._drop(guest)
        except PairingError:
            self._drop(guest)
        return None

    def _judge(self, guest: _Guest, proof: bytes) -> Session:
        """What a proof of the code leads to. Right or wrong, the code is used up before anything is answered."""
        try:
            answer, channel = guest.end.channel(proof)
        except pairing.WrongCode as error:
            self._end("a wrong code was tried, and there is one try: this invitation is over", but=guest)
            guest.refuse(Reason.CODE)
            self._drop(guest)
            raise pairing.WrongCode(self._over, hint=f"{self._command}, for a new code") from error
        self._end("the code was used", but=guest)
        self._release(guest)
        guest.wire.send(answer)
        return Session(guest.wire, channel)

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except OSError:
            return  # it has gone again, or this process has no descriptor left for it
        if len(self._guests) >= limits.PAIRING_UNCONFIRMED_MAX:
            self._drop(self._least_promising())
        until = self._monotonic() + limits.PAIRING_CONFIRM_SECONDS
        guest = _Guest(Wire(connection), str(address[0]), until, pairing.Inviter(self._code, random=self._random))
        self._guests[guest.number] = guest
        self._selector.register(connection, selectors.EVENT_READ, guest)

    def _least_promising(self) -> _Guest:
        """Whom a newcomer takes the place of: who says nothing; of those, from where most come; of those, the oldest."""
        hosts = Counter(guest.host for guest in self._guests.values())
        return max(
            self._guests.values(), key=lambda guest: (not guest.end.has_answered, hosts[guest.host], -guest.until)
        )

    def _end(self, words: str, *, but: _Guest | None = None) -> None:
        """The code is worth nothing any more: nobody is listened to, *but* one."""
        if not self._over:
            self._over = words
            self._selector.unregister(self._listener)
            self._listener.close()
        for guest in [guest for guest in self._guests.values() if guest is not but]:
            self._drop(guest)

    def _drop(self, guest: _Guest) -> None:
        self._release(guest)
        guest.wire.close()

    def _release(self, guest: _Guest) -> None:
        if self._guests.pop(guest.number, None) is not None:
            self._selector.unregister(guest.number)


class _Guest:
    """A connection that has not proven the code yet."""

    def __init__(self, wire: Wire, host: str, until: float, end: pairing.Inviter) -> None:
        self.wire = wire
        self.number = wire.fileno()
        self.host = host
        self.until = until
        self.end = end

    def refuse(self, reason: Reason) -> None:
        try:
            self.wire.send(pairing.refusal(reason), seconds=_PAUSE_S)
        except PairingError:
            return


def dial(host: str, port: int, code: str, *, random: ids.Random, shown_by: str = INVITE) -> Session:
    """Connect to whoever shows a code, by the command *shown_by*, and prove the code to each other.

    A connection that is dropped before anything was proven, as an inviter under attack has to, is dialled again.

    Raises:
        pairing.Refused, pairing.WrongCode, PairingError: it came to nothing; the message and the hint say why.
    """
    again = f"{shown_by}, on the other device, and the same command here with the new code"
    for left in range(limits.PAIRING_DIALS_MAX - 1, -1, -1):
        wire = Wire(_connected(host, port, shown_by), again=again)
        end = pairing.Joiner(code, random=random)
        try:
            try:
                wire.send(end.hello(), seconds=limits.PAIRING_CONFIRM_SECONDS)
                hello = _unproven(wire)
            except Dropped:
                if not left:
                    raise
                wire.close()
                time.sleep(_PAUSE_S)
                continue
            wire.send(end.confirm(hello), seconds=limits.PAIRING_CONFIRM_SECONDS)
            return Session(wire, end.channel(_unproven(wire)))
        except BaseException:
            wire.close()
            raise
    raise AssertionError("the last attempt returns or raises")


def _unproven(wire: Wire) -> bytes:
    return wire.receive(limits.PAIRING_UNCONFIRMED_BYTES_MAX, seconds=limits.PAIRING_CONFIRM_SECONDS)


def listener(address: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        UsageError: this machine has no such *address*, or the *port* is taken.
    """
    if not 0 <= port < 1 << 16:
        raise UsageError(f"port: {port} is not from 0 to 65535", field="port")
    try:
        if address == ANYWHERE and socket.has_dualstack_ipv6():
            try:
                return socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
            except OSError:  # IPv6 is switched off
                return socket.create_server(("", port), backlog=_BACKLOG)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UsageError(f"listen: cannot listen on {address}, port {port} ({reason})", field="listen") from error


def is_free(address: str, port: int) -> bool:
    """Whether this machine could listen there, and nothing does yet."""
    try:
        listener(address, port).close()
    except UsageError:
        return False
    return True


def _connected(host: str, port: int, shown_by: str) -> socket.socket:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return socket.create_connection((host, port), timeout=limits.PAIRING_CONFIRM_SECONDS)
    except ConnectionRefusedError as error:
        hint = f"{shown_by}, on the other device: it shows the line to type here, and waits"
        raise PairingError(f"nobody waits at {where}", hint=hint) from error
    except socket.gaierror as error:
        hint = f"another of the addresses that {shown_by} shows"
        raise PairingError(f"the host {host} is not known here ({error.strerror})", hint=hint) from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        hint = f"both devices have to be in one network, and a firewall there has to let port {port} through"
        raise PairingError(f"{where} cannot be reached ({reason})", hint=hint) from error
