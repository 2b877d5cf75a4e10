"""Between the wire and the SDK: lines in, lines out, and a bound on everything in between.

The SDK reads a line of any length, and says nothing to one that is not JSON. So we read: each message is bounded and strict, and
what cannot be read is answered. At most `CALLS_AT_ONCE` tool calls are with the SDK and `WAITING_BYTES_MAX` of them wait to be, while
other requests pass them by; beyond that we stop reading, so that a client which never reads fills its own pipe and not our memory.

At the end of the input what was asked is still answered, for a moment; then the process leaves, whatever is still at work.
"""

from __future__ import annotations

import logging
import signal
from collections import deque
from typing import Final

import anyio
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.lowlevel import Server
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types.jsonrpc import jsonrpc_message_adapter

from nokosu.mcp_server.desk import Desk
from nokosu.mcp_server.framing import INVALID_REQUEST, Fault, Line, Lines, parse
from nokosu.mcp_server.stdio import Wire

CALLS_AT_ONCE: Final = 16
"""They are worked off one at a time; a few more keep the answers coming."""

REQUESTS_AT_ONCE: Final = 64
"""Calls and all others that are with the SDK and not yet answered."""

WAITING_BYTES_MAX: Final = 2 * 1024 * 1024
"""A thousand calls at once, from a client that reads no answer before it has written them all."""

END_S: Final = 1.0
"""How long what was asked may still be answered after the input has ended, or a signal has come."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger(__name__)

ToServer = MemoryObjectSendStream[SessionMessage | Exception]
FromServer = MemoryObjectReceiveStream[SessionMessage]


async def serve(wire: Wire, server: Server[Desk]) -> int:
    """Serve one client until it is gone or a signal comes: 0, or 128 and the signal's number."""
    return await Transport(wire).serve(server)


class Transport:
    """Serves one client over one wire. It is made inside the event loop that it runs in."""

    def __init__(self, wire: Wire) -> None:
        """Nothing is read yet."""
        self._wire = wire
        self._waiting: deque[tuple[SessionMessage, int]] = deque()
        self._waiting_bytes = 0
        self._unanswered = 0
        self._ended = False
        self._changed = anyio.Condition()
        self._life = anyio.CancelScope()
        self._input = anyio.CancelScope()
        self._signal = 0

    async def serve(self, server: Server[Desk]) -> int:
        """Serve until the end; the exit code."""
        to_server, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        write_stream, from_server = anyio.create_memory_object_stream[SessionMessage](0)
        with self._life:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._heed_signals)
                tasks.start_soon(self._read, to_server)
                tasks.start_soon(self._hand_on, to_server)
                tasks.start_soon(self._write, from_server)
                await server.run(read_stream, write_stream, server.create_initialization_options())
                self._life.cancel()
        return 128 + self._signal if self._signal else 0

    # In ---------------------------------------------------------------------------------------------------------------

    async def _read(self, to_server: ToServer) -> None:
        lines = Lines()
        with self._input:
            while chunk := await self._read_some():
                for line in lines.feed(chunk):
                    await self._take(line, to_server)
            for line in lines.end():
                await self._take(line, to_server)
        await self._end()

    async def _read_some(self) -> bytes:
        try:
            return await self._wire.read()
        except OSError as error:
            logger.warning("stdin cannot be read: %s", error.strerror)
            return b""

    async def _take(self, line: Line, to_server: ToServer) -> None:
        """Hand a message on, or let a call wait for its turn; answer at once what is no message."""
        value = parse(line)
        if isinstance(value, Fault):
            await self._refuse(value)
            return
        try:
            message = jsonrpc_message_adapter.validate_python(value, by_name=False)
        except ValueError:
            if "result" not in value and "error" not in value:  # an answer is never answered
                await self._refuse(Fault(INVALID_REQUEST, "not a JSON-RPC 2.0 request", value.get("id")))
            return
        if isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            if not self._withdraw((message.params or {}).get("requestId")):
                await to_server.send(SessionMessage(message))
            return
        item = SessionMessage(message)
        if isinstance(message, types.JSONRPCRequest):
            item.metadata = ServerMessageMetadata(on_request_unanswered=self._settled)
            if message.method == "tools/call":
                await self._let_wait(item, len(line.content))
                return
            async with self._changed:
                while self._unanswered >= REQUESTS_AT_ONCE:
                    await self._changed.wait()
                self._unanswered += 1
        await to_server.send(item)

    async def _let_wait(self, call: SessionMessage, size: int) -> None:
        async with self._changed:
            while self._waiting_bytes > WAITING_BYTES_MAX:
                await self._changed.wait()
            self._waiting.append((call, size))
            self._waiting_bytes += size
            self._changed.notify_all()

    def _withdraw(self, id: object) -> bool:
        """Drop a request that was cancelled before its turn; whether there was one."""
        for waiting in self._waiting:
            message, size = waiting[0].message, waiting[1]
            if isinstance(message, types.JSONRPCRequest) and message.id == id:
                self._waiting.remove(waiting)
                self._waiting_bytes -= size
                return True
        return False

    async def _hand_on(self, to_server: ToServer) -> None:
        """Give the SDK one call after another, as answers make room; at the end, when all is answered, tell it so."""
        async with to_server:
            while (call := await self._next()) is not None:
                await to_server.send(call)
            async with self._changed:
                while self._unanswered:
                    await self._changed.wait()

    async def _next(self) -> SessionMessage | None:
        async with self._changed:
            while not self._waiting or self._unanswered >= CALLS_AT_ONCE:
                if self._ended and not self._waiting:
                    return None
                await self._changed.wait()
            call, size = self._waiting.popleft()
            self._waiting_bytes -= size
            self._unanswered += 1
            self._changed.notify_all()
            return call

    # Out --------------------------------------------------------------------------------------------------------------

    async def _write(self, from_server: FromServer) -> None:
        async with from_server:
            async for item in from_server:
                await self._send(item.message)
                if isinstance(item.message, types.JSONRPCResponse | types.JSONRPCError):
                    await self._settled()

    async def _refuse(self, fault: Fault) -> None:
        error = types.ErrorData(code=fault.code, message=fault.message)
        await self._send(types.JSONRPCError(jsonrpc="2.0", id=fault.id, error=error))

    async def _send(self, message: types.JSONRPCMessage) -> None:
        try:
            await self._wire.write(message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
        except OSError as error:
            logger.info("stdout is closed: %s", error.strerror)
            self._life.cancel()

    async def _settled(self) -> None:
        """A request was answered, or never will be."""
        async with self._changed:
            self._unanswered -= 1
            self._changed.notify_all()

    # The end ----------------------------------------------------------------------------------------------------------

    async def _heed_signals(self) -> None:
        with anyio.open_signal_receiver(*_SIGNALS) as signals:
            async for number in signals:
                self._signal = number
                self._waiting.clear()
                self._input.cancel()

    async def _end(self) -> None:
        """Nothing more comes in: the rest has `END_S`."""
        self._life.deadline = anyio.current_time() + END_S
        async with self._changed:
            self._ended = True
            self._changed.notify_all()
