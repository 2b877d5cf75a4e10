"""Agents for the tests: a real server process that is spoken to in raw lines, and the SDK's client in this process."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
from mcp import Client
from mcp.types import CallToolResult, Implementation, TextContent

import nokosu
from nokosu.config import Config
from nokosu.mcp_server.protocol import create_server
from nokosu.records import Author

T = TypeVar("T")

ERAS = ("legacy", "auto")
MODERN = "2026-07-28"
WAIT_S = 60.0
COMMAND = (sys.executable, "-m", "nokosu", "mcp")


def config_of(home: Path, *, agent: str = "", session: str = "") -> Config:
    return Config(home=home, author=Author(agent=agent, session=session, host="host"), user_home=Path("/nobody"))


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


class Visit:
    """The SDK's client, connected to a server of ours without a process; every call is one `run`."""

    def __init__(self, config: Config, *, era: str = "auto", name: str = "a-client") -> None:
        self._config = config
        self._era = era
        self._info = Implementation(name=name, version="1.2")

    def do(self, story: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        async def connected() -> T:
            async with Client(create_server(self._config), mode=self._era, client_info=self._info) as client:
                return await story(client)

        return anyio.run(connected)

    def call(self, tool: str, **arguments: Any) -> CallToolResult:
        async def story(client: Client) -> CallToolResult:
            return await client.call_tool(tool, arguments)

        return self.do(story)

    def data(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = self.call(tool, **arguments)
        assert not result.is_error, text_of(result)
        assert isinstance(result.structured_content, dict)
        return result.structured_content

    def refusal(self, tool: str, **arguments: Any) -> str:
        result = self.call(tool, **arguments)
        assert result.is_error, result
        assert result.structured_content is None
        return text_of(result)


class Process:
    """A server in a process of its own. What it writes is read only when a test asks for it, and must be JSON-RPC."""

    def __init__(
        self,
        home: Path,
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        source = str(Path(nokosu.__file__).parents[1])
        self.home = home
        self._errors = (home.parent / f"{home.name}-{time.monotonic_ns()}.stderr").open("w+b")
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=cwd or home.parent,
            env={**os.environ, "PYTHONPATH": source, "NOKOSU_HOME": str(home), **(env or {})},
            bufsize=0,
        )
        self._held = b""
        self._last_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._popen.kill()
        self._popen.wait(WAIT_S)
        for stream in (self._popen.stdin, self._popen.stdout, self._errors):
            assert stream is not None
            stream.close()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdin(self) -> int:
        assert self._popen.stdin is not None
        return self._popen.stdin.fileno()

    @property
    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.stdin, rest) :]

    def flood(self, line: bytes, *, until_blocked_s: float) -> int:
        """Write *line* again and again, reading nothing, until the pipe has been full that long; how often it was written."""
        assert len(line) <= select.PIPE_BUF  # such a line is written whole or not at all
        sent = 0
        while select.select([], [self.stdin], [], until_blocked_s)[1]:
            os.write(self.stdin, line)
            sent += 1
        return sent

    def send(self, method: str, params: dict[str, Any] | None = None, *, id: Any = None) -> Any:
        """Send a request under a new id, or under *id*; the id."""
        sent = self.new_id() if id is None else id
        self.write(message(method, params, id=sent))
        return sent

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        self.write(message(method, params))

    def next(self, *, wait_s: float = WAIT_S) -> dict[str, Any]:
        """The next message from the server; fails at the end of its output."""
        line = self._line(wait_s)
        assert line, f"the server ended its output: {self.errors}"
        answer = json.loads(line)
        assert answer.get("jsonrpc") == "2.0", line
        return dict(answer)

    def answer(self, id: Any) -> dict[str, Any]:
        """The next message, which must answer the request *id*."""
        answer = self.next()
        assert answer.get("id") == id, answer
        return answer

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.answer(self.send(method, params))

    def rest(self) -> list[dict[str, Any]]:
        """All that the server writes until it ends its output."""
        found = []
        while line := self._line(WAIT_S):
            found.append(json.loads(line))
        return found

    def begin(self, *, client: str = "a-client", version: str = "2025-06-18") -> dict[str, Any]:
        """Connect as clients of 2025 do."""
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": client, "version": "1.2"}}
        result = self.ask("initialize", params)["result"]
        self.notify("notifications/initialized")
        return dict(result)

    def send_call(self, tool: str, **arguments: Any) -> int:
        return int(self.send("tools/call", {"name": tool, "arguments": arguments}))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; its data, or {"refused": text}."""
        result = self.answer(self.send_call(tool, **arguments))["result"]
        return {"refused": result["content"][0]["text"]} if result["isError"] else result["structuredContent"]

    def is_alive(self) -> bool:
        return bool(self.ask("ping")["result"] == {})

    def close_stdin(self) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.close()

    def close_stdout(self) -> None:
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self, wait_s: float = WAIT_S) -> int:
        return self._popen.wait(wait_s)

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def _line(self, wait_s: float) -> bytes:
        """One line with its end, or nothing at the end of the output."""
        assert self._popen.stdout is not None
        until = time.monotonic() + wait_s
        while b"\n" not in self._held:
            ready, _, _ = select.select([self._popen.stdout], [], [], max(until - time.monotonic(), 0))
            if not ready:
                raise TimeoutError(f"no answer within {wait_s} s; stderr: {self.errors}")
            chunk = os.read(self._popen.stdout.fileno(), 1 << 20)
            if not chunk:
                assert not self._held, f"half a line: {self._held!r}"
                return b""
            self._held += chunk
        line, self._held = self._held.split(b"\n", 1)
        return line + b"\n"


def message(method: str, params: dict[str, Any] | None = None, *, id: Any = None) -> bytes:
    fields: dict[str, Any] = {"jsonrpc": "2.0"}
    if id is not None:
        fields["id"] = id
    fields["method"] = method
    if params is not None:
        fields["params"] = params
    return json.dumps(fields).encode() + b"\n"


@contextmanager
def connected(home: Path, *, client: str = "a-client", env: dict[str, str] | None = None) -> Iterator[Process]:
    """A server process, already connected in the way of 2025."""
    with Process(home, env=env) as process:
        process.begin(client=client)
        yield process
