"""The server in a process of its own, spoken to in raw bytes: rows 19 to 27 of the corpus of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nokosu import Nokosu, Query, limits
from nokosu.mcp_server.desk import instructions
from tests.mcp_server.agents import MODERN, Process, config_of, connected, message

PING = message("ping", id="still-there")
SAVE = {"name": "save_memory", "arguments": {"text": "x", "project": "p"}}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "codex-mcp-client", "version": "9"},
}
STOP_S = 2.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One server for all that must not harm it."""
    with connected(tmp_path_factory.mktemp("shared") / "home") as process:
        yield process


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Another one, for what may well save something."""
    with connected(tmp_path_factory.mktemp("target") / "home") as process:
        yield process


@contextmanager
def held_lock(home: Path) -> Iterator[apsw.Connection]:
    """Another process's transaction, which keeps every save waiting."""
    other = apsw.Connection(str(home / "nokosu.db"))
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


def answers_until_ping(server: Process, data: bytes) -> list[dict[str, Any]]:
    """What the server says to *data*, and proof that it lives on."""
    server.write(data + PING)
    found = []
    while (answer := server.next()).get("id") != "still-there":
        found.append(answer)
    assert answer["result"] == {}
    return found


def codes(answers: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    return [(answer["error"]["code"], answer["id"]) for answer in answers]


# Row 19: bytes that are no message -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"hello\n", [(-32700, None)]),
        (b"\xff\xfe\x00\x80\n", [(-32700, None)]),
        (b"\n\r\n   \n\t\n", []),
        (b"[1, 2]\n", [(-32600, None)]),
        (b'"ping"\n', [(-32600, None)]),
        (b"{}\n", [(-32600, None)]),
        (b'{"jsonrpc": "2.0", "id": 5}\n', [(-32600, 5)]),
        (b'{"jsonrpc": "2.0", "id": [5]}\n', [(-32600, None)]),
        (b'{"jsonrpc": "1.0", "id": 5, "method": "ping"}\n', [(-32600, 5)]),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "ping", "params": [1]}\n', [(-32600, 5)]),
        (b'{"jsonrpc": "2.0", "id": 5, "method": 7}\n', [(-32600, 5)]),
    ],
)
def test_what_is_no_message_is_answered_or_ignored_and_does_no_harm(
    server: Process, data: bytes, expected: list[tuple[int, Any]]
) -> None:
    assert codes(answers_until_ping(server, data)) == expected


def test_utf_16_is_refused_and_does_no_harm(server: Process) -> None:
    answers = answers_until_ping(server, PING.decode().encode("utf-16") + b"\n")
    assert answers
    assert {answer["error"]["code"] for answer in answers} == {-32700}


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf%s\n", b"%s\r\n", b"  %s  \n", b"\r\n\n%s\n\n"])
def test_a_byte_order_mark_and_foreign_line_ends_are_read_over(server: Process, data: bytes) -> None:
    ping = message("ping", id=6).strip()
    (answer,) = answers_until_ping(server, data % ping)
    assert (answer["id"], answer["result"]) == (6, {})


def test_an_answer_to_nothing_is_ignored(server: Process) -> None:
    stray = (
        b'{"jsonrpc":"2.0","id":99,"result":{}}\n{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"m"}}\n'
    )
    odd = b'{"jsonrpc":"2.0","id":[1],"result":7}\n{"jsonrpc":"2.0","id":1.5,"error":{}}\n'
    assert answers_until_ping(server, stray + odd) == []


def test_half_a_line_before_the_end_is_answered_and_the_server_leaves(home: Path) -> None:
    with connected(home) as process:
        process.write(b'{"jsonrpc":"2.0","id":77,"method":"tools/ca')
        process.close_stdin()
        assert codes(process.rest()) == [(-32700, 77)]
        assert process.wait() == 0


# Rows 20 and 21: too long, too deep, not JSON --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [limits.MCP_LINE_BYTES_MAX + 1, 2 * 1024 * 1024, 20 * 1024 * 1024])
def test_a_line_that_is_too_long_is_refused_without_being_held(server: Process, size: int) -> None:
    before = server.rss_kib()
    call = {**SAVE, "arguments": {"text": "x" * size}}
    assert codes(answers_until_ping(server, message("tools/call", call, id=5))) == [(-32600, 5)]
    assert server.rss_kib() - before < 10 * 1024


def test_a_line_without_an_end_takes_no_memory(server: Process) -> None:
    before = server.rss_kib()
    for _ in range(64):
        server.write(b"[" * (1 << 20))
    assert server.rss_kib() - before < 10 * 1024
    assert codes(answers_until_ping(server, b"\n")) == [(-32600, None)]


@pytest.mark.parametrize(
    "literal",
    [
        "NaN",
        "1e400",
        "9" * 5000,
        '{"a":1,"a":2}',
        r'"\ud800"',
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "'x'",
        "x",
    ],
)
def test_a_request_in_bad_json_is_answered_under_its_own_id(server: Process, literal: str) -> None:
    line = (
        f'{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"search_memory","arguments":{literal}}}}}\n'
    )
    assert codes(answers_until_ping(server, line.encode())) == [(-32700, 5)]


def test_none_of_this_was_saved(server: Process) -> None:
    assert server.call("memory_status")["exists"] is False
    assert not server.home.exists()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
METHODS = st.sampled_from(
    ["ping", "tools/list", "tools/call", "initialize", "notifications/cancelled", "server/discover"]
)
TOOLS = st.sampled_from(["save_memory", "search_memory", "get_memory", "edit_memory", "forget_memory", "memory_status"])
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | VALUES,
        "id": st.integers() | st.text(max_size=4) | VALUES,
        "method": METHODS | VALUES,
        "params": VALUES
        | st.fixed_dictionaries(
            {},
            optional={
                "name": TOOLS | VALUES,
                "arguments": VALUES | st.dictionaries(st.sampled_from(["text", "id", "query", "limit"]), VALUES),
                "requestId": VALUES,
                "_meta": VALUES,
            },
        ),
        "result": VALUES,
        "error": VALUES,
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(MESSAGES, min_size=1, max_size=5))
def test_no_message_harms_the_server_and_every_request_is_answered(
    target: Process, messages: list[dict[str, Any]]
) -> None:
    expected = set()
    for one in messages:
        if "result" in one or "error" in one:
            one.pop("method", None)  # an answer, and nothing else
        if isinstance(one.get("id"), int | str) and not isinstance(one["id"], bool):
            one["id"] = target.new_id()
            if "result" not in one and "error" not in one:
                expected.add(one["id"])
    target.write("".join(f"{json.dumps(one)}\n" for one in messages).encode())
    while expected:
        expected.discard(target.next(wait_s=20)["id"])
    answers_until_ping(target, b"")


# Rows 22 and 23: requests that are not valid ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("tools/delete", {}, -32601),
        ("resources/list", {}, -32601),
        ("tools/call", None, -32602),
        ("tools/call", {}, -32602),
        ("tools/call", {"name": None}, -32602),
        ("tools/call", {"name": "delete_all_memories", "arguments": {}}, -32602),
        ("tools/call", {"name": "save_memory", "arguments": ["text"]}, -32602),
        ("tools/call", {"name": "save_memory", "arguments": "text"}, -32602),
    ],
)
def test_a_request_for_nothing_we_have_is_a_protocol_error(
    server: Process, method: str, params: dict[str, Any] | None, code: int
) -> None:
    assert server.ask(method, params)["error"]["code"] == code


@pytest.mark.parametrize("arguments", [None, {}])
def test_missing_arguments_are_named(server: Process, arguments: dict[str, Any] | None) -> None:
    params = {"name": "save_memory"} if arguments is None else {"name": "save_memory", "arguments": arguments}
    result = server.ask("tools/call", params)["result"]
    assert result["isError"] is True
    assert result["content"][0]["text"] == "text: is missing"


@pytest.mark.parametrize("id", ["null", "1.5", "true", "[]", "{}"])
def test_an_id_that_is_none_is_answered_without_one(server: Process, id: str) -> None:
    line = f'{{"jsonrpc":"2.0","id":{id},"method":"ping"}}\n'.encode()
    assert codes(answers_until_ping(server, line)) == [(-32600, None)]


@pytest.mark.parametrize("id", [0, -1, 2**60, 10**100, "", "x" * 1000, "１\u2028"])
def test_every_other_id_comes_back_as_it_was(server: Process, id: Any) -> None:
    server.send("ping", id=id)
    assert server.answer(id)["result"] == {}


def test_the_same_id_twice_at_once_is_answered_twice(server: Process) -> None:
    found = answers_until_ping(server, message("ping", id=5) * 2)
    assert [answer["id"] for answer in found] == [5, 5]


def test_a_second_initialize_does_no_harm(server: Process) -> None:
    assert server.begin()["serverInfo"]["name"] == "nokosu"
    assert server.is_alive()


def test_a_request_before_initialize_is_refused_and_a_ping_is_not(home: Path) -> None:
    with Process(home) as process:
        assert process.is_alive()
        assert process.ask("tools/list")["error"]["code"] == -32602
        assert process.ask("tools/call", SAVE)["error"]["code"] == -32602
        process.begin()
        assert len(process.ask("tools/list")["result"]["tools"]) == 7
    assert not home.exists()


@pytest.mark.parametrize("version", ["1999-01-01", "", "latest"])
def test_an_unknown_version_is_answered_with_one_we_speak(server: Process, version: str) -> None:
    assert server.begin(version=version)["protocolVersion"] == "2025-11-25"


def test_an_unknown_version_of_the_later_era_is_refused_with_those_we_speak(home: Path) -> None:
    with Process(home) as process:
        process.send(
            "server/discover", {"_meta": {**ENVELOPE, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}}
        )
        assert process.next()["error"]["data"]["supported"] == [MODERN]
        assert process.ask("server/discover", {"_meta": {}})["error"]["code"] == -32602
        assert process.ask("server/discover", {"_meta": ENVELOPE})["result"]["supportedVersions"] == [MODERN]


# Both eras -------------------------------------------------------------------------------------------------------------


def test_tools_and_instructions_as_they_are_sent_take_no_more_than_8_kb(server: Process, home: Path) -> None:
    with Process(home) as modern:
        told = modern.ask("server/discover", {"_meta": ENVELOPE})["result"]
        sent = json.dumps(modern.ask("tools/list", {"_meta": ENVELOPE}), ensure_ascii=False, separators=(",", ":"))
    assert told["instructions"] == instructions() == server.begin()["instructions"]
    assert len(sent.encode()) + len(json.dumps(told["instructions"]).encode()) <= 8_000
    assert server.ask("tools/list")["result"]["tools"] == json.loads(sent)["result"]["tools"]


def test_in_the_later_era_the_client_in_each_request_is_the_author(home: Path) -> None:
    with Process(home) as process:
        saved = process.ask("tools/call", {**SAVE, "_meta": ENVELOPE})["result"]["structuredContent"]
        read = process.ask("tools/call", {"name": "get_memory", "arguments": {"id": saved["id"]}, "_meta": ENVELOPE})[
            "result"
        ]["structuredContent"]
    assert (read["agent"], read["client"]) == ("codex", "codex-mcp-client 9")


def test_the_agent_and_session_come_from_the_environment(home: Path) -> None:
    env = {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "s-1", "NOKOSU_MODEL": "m-1"}
    with connected(home, client="someone-else", env=env) as process:
        read = process.call("get_memory", id=process.call("save_memory", text="x", project="p")["id"])
    assert (read["agent"], read["session"], read["model"]) == ("claude-code", "s-1", "m-1")
    assert read["client"] == "someone-else 1.2"


def test_the_agent_s_workspace_is_the_project(home: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "harbour"
    workspace.mkdir()
    with connected(home, env={"CLAUDE_PROJECT_DIR": str(workspace)}) as process:
        assert process.call("save_memory", text="x")["project"] == "harbour"


# Row 26: many at once, cancelled, never read ---------------------------------------------------------------------------


def test_a_thousand_calls_at_once_are_all_answered(home: Path) -> None:
    with connected(home) as process:
        sent = {process.send_call("save_memory", text=f"call number {n}", project="p") for n in range(1000)}
        answers = [process.next() for _ in sent]
        assert {answer["id"] for answer in answers} == sent
        assert len({answer["result"]["structuredContent"]["id"] for answer in answers}) == 1000
        assert process.call("memory_status")["memories"] == 1000


def test_a_client_that_never_reads_fills_its_own_pipe_and_not_our_memory(server: Process) -> None:
    call = message("tools/call", {"name": "memory_status", "arguments": {}}, id=5).replace(b"{", b"{" + b" " * 3_900, 1)
    sent = server.flood(call, until_blocked_s=1.0)
    assert sent * len(call) < 4 * 1024 * 1024, "nothing pushed back"
    assert server.rss_kib() < 130 * 1024
    assert [server.next()["id"] for _ in range(sent)] == [5] * sent
    assert server.is_alive()


def test_a_flood_of_what_is_no_call_is_bounded_too(server: Process) -> None:
    sent = server.flood(message("ping", id=5), until_blocked_s=1.0)
    assert sent < 20_000, "nothing pushed back"
    assert [server.next()["id"] for _ in range(sent)] == [5] * sent
    assert server.is_alive()


def test_a_cancelled_call_is_not_answered(home: Path) -> None:
    with connected(home) as process:
        process.call("save_memory", text="the first", project="p")
        with held_lock(home):
            waiting = process.send_call("save_memory", text="waits for the lock", project="p")
            assert process.is_alive()
            behind = [process.send_call("save_memory", text=f"behind it, {n}", project="p") for n in range(40)]
            for id in (waiting, behind[0], behind[39]):  # at work, with the SDK, not yet with the SDK
                process.notify("notifications/cancelled", {"requestId": id, "reason": "changed my mind"})
            assert process.ask("tools/list")["result"]["tools"]  # answered while a save waits
        answers = [process.next()["id"] for _ in range(38)]
        assert answers == behind[1:39]
        assert process.is_alive()
        texts = {hit["text"] for hit in process.call("search_memory", query="behind", project="p", limit=100)["hits"]}
        assert texts - {"behind it, 0"} == {f"behind it, {n}" for n in range(1, 39)}  # it may have had its turn already


@pytest.mark.parametrize("params", [None, {}, {"requestId": None}, {"requestId": [1]}, {"requestId": 10**9}])
def test_cancelling_nothing_does_no_harm(server: Process, params: dict[str, Any] | None) -> None:
    assert answers_until_ping(server, message("notifications/cancelled", params)) == []


# The end ---------------------------------------------------------------------------------------------------------------


def test_at_the_end_of_input_all_is_answered_and_the_server_leaves_at_once(home: Path) -> None:
    with connected(home) as process:
        sent = [process.send_call("save_memory", text=f"n {n}", project="p") for n in range(20)]
        process.close_stdin()
        ended = time.monotonic()
        answers = process.rest()
        assert process.wait() == 0
        assert time.monotonic() - ended < STOP_S
    assert [answer["id"] for answer in answers] == sent
    assert all(answer["result"]["structuredContent"]["id"] for answer in answers)


def test_input_that_ends_before_it_began_is_no_error(home: Path) -> None:
    with Process(home) as process:
        process.close_stdin()
        assert process.rest() == []
        assert process.wait() == 0
        assert process.errors == ""


@pytest.mark.parametrize("how", ["end of input", "SIGTERM", "SIGINT"])
def test_a_save_that_waits_for_another_process_does_not_hold_up_the_exit(home: Path, how: str) -> None:
    with connected(home) as process:
        process.call("save_memory", text="the first", project="p")
        with held_lock(home):
            waiting = process.send_call("save_memory", text="never", project="p")
            assert process.ask("tools/list")["result"]["tools"]
            ended = time.monotonic()
            if how == "end of input":
                process.close_stdin()
            else:
                process.signal(signal.Signals[how])
            code = process.wait()
            assert time.monotonic() - ended < STOP_S
            answers = process.rest()
        assert code == {"end of input": 0, "SIGTERM": 143, "SIGINT": 130}[how]
        assert all(answer["id"] == waiting and "error" in answer for answer in answers)
    with Nokosu(config_of(home)) as memory:
        assert memory.search(Query(text="never", all_projects=True)).total == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_is_at_work_and_leaves(home: Path, number: signal.Signals) -> None:
    with connected(home) as process:
        for n in range(50):
            process.send_call("save_memory", text=f"before the signal {n}", project="p")
        acknowledged = [process.next()]
        process.signal(number)
        ended = time.monotonic()
        acknowledged += process.rest()
        assert process.wait() == 128 + number
        assert time.monotonic() - ended < STOP_S
        assert "Traceback" not in process.errors
    with Nokosu(config_of(home)) as memory:
        for answer in acknowledged:
            assert memory.get(answer["result"]["structuredContent"]["id"]).text.startswith("before the signal")
        assert memory.verify().problems == ()


def test_a_signal_without_work_ends_it_although_the_input_is_open(home: Path) -> None:
    with connected(home) as process:
        process.signal(signal.SIGTERM)
        ended = time.monotonic()
        assert process.wait() == 143
        assert time.monotonic() - ended < STOP_S


def test_a_client_that_reads_no_more_ends_it_quietly(home: Path) -> None:
    with connected(home) as process:
        process.close_stdout()
        process.send("ping")
        assert process.wait() == 0
        assert process.errors == ""


def test_when_the_agent_is_killed_the_server_ends(home: Path, tmp_path: Path) -> None:
    agent = f"""
import subprocess, sys
server = subprocess.Popen({[sys.executable, "-m", "nokosu", "mcp"]!r}, stdin=subprocess.PIPE)
print(server.pid, file=sys.stderr, flush=True)
server.stdin.write({message("ping", id=1)!r}); server.stdin.flush()
server.wait()
"""
    with Process(home, command=(sys.executable, "-c", agent)) as process:
        assert process.next()["id"] == 1
        server_pid = int(process.errors.split()[0])
        process.signal(signal.SIGKILL)
        assert process.rest() == []  # its stdout is closed when the last process that has it is gone
        assert (
            not Path(f"/proc/{server_pid}").exists() or "Z" in Path(f"/proc/{server_pid}/stat").read_text().split()[2]
        )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-", "2>&-"])
def test_it_starts_and_leaves_whatever_descriptor_is_missing(home: Path, closed: str) -> None:
    shell = f"exec {sys.executable} -m nokosu mcp {closed}"
    with Process(home, command=("/bin/sh", "-c", shell)) as process:
        if closed == "2>&-":
            process.begin()
            assert process.call("save_memory", text="x", project="p")["id"]
        process.close_stdin()
        assert process.rest() == []
        assert process.wait() == 0


# Row 27: stdout is the protocol's alone --------------------------------------------------------------------------------

NOISE = """
import ctypes, os, subprocess, sys, threading, warnings
from pathlib import Path

def noise(wire=os.fstat(1)):
    wait = threading.Event()
    while (os.fstat(1).st_dev, os.fstat(1).st_ino) == (wire.st_dev, wire.st_ino):
        wait.wait(0.001)
    while True:
        print("a banner")
        sys.stdout.flush()
        sys.__stdout__.write("another\\n")
        os.write(1, b"from Rust\\n")
        ctypes.CDLL(None).puts(b"from C")
        warnings.warn("deprecated")
        subprocess.run(["echo", "from a child"])
        subprocess.run(["cat"], timeout=5)  # swallows no message: its stdin is empty
        wait.wait(0.01)

warnings.simplefilter("always")
threading.Thread(target=noise, daemon=True).start()
from nokosu import config
from nokosu.mcp_server.server import main
sys.exit(main(config.load(os.environ, cwd=Path.cwd(), agent_first=True)))
"""


def test_whatever_prints_in_the_process_or_below_it_the_protocol_stays_pure(home: Path) -> None:
    with Process(home, command=(sys.executable, "-c", NOISE)) as process:
        process.begin()
        for n in range(30):
            assert process.call("save_memory", text=f"quiet {n}", project="p")["id"]
        process.close_stdin()
        assert process.rest() == []
        assert process.wait() == 0
        for noise in ("a banner", "another", "from Rust", "from C", "from a child", "deprecated"):
            assert noise in process.errors


def test_a_person_who_types_it_is_told_what_it_is_for(home: Path) -> None:
    master, terminal = os.openpty()
    command = [sys.executable, "-m", "nokosu", "mcp"]
    server = subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(master, b"\x04")
    said = server.communicate(timeout=60)
    os.close(master)
    os.close(terminal)
    assert (server.returncode, said[0]) == (0, b"")
    assert b"nokosu mcp --print-config" in said[1]


def test_no_reply_is_longer_than_a_client_shows(home: Path) -> None:
    with connected(home) as process:
        saved = [process.call("save_memory", text=f'{n}: "\\ 語' * 7_000, project="p")["id"] for n in range(3)]
        for call in (
            ("search_memory", {"query": "語", "project": "p"}),
            ("get_memory", {"id": saved[0], "history": True}),
            ("memory_brief", {"project": "p", "tokens": limits.BRIEF_TOKENS_MAX}),
        ):
            result = process.answer(process.send_call(call[0], **call[1]))["result"]
            assert not result["isError"]
            size = len(json.dumps(result, ensure_ascii=False, separators=(",", ":")))
            assert (
                limits.MCP_REPLY_CHARS_MAX * (call[0] != "memory_brief") * 0.9 < size < limits.MCP_REPLY_CHARS_MAX + 200
            )


def test_an_error_of_the_store_is_a_refusal_and_the_server_lives_on(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "nokosu.db").write_bytes(b"this is no database" * 1000)
    with connected(home) as process:
        said = process.call("save_memory", text="x", project="p")["refused"]
        assert "\n" not in said
        assert "Traceback" not in process.errors
        assert process.is_alive()


def test_home_and_files_are_for_their_owner_only(home: Path) -> None:
    with connected(home) as process:
        process.call("save_memory", text="x", project="p")
        assert home.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in home.iterdir()} == {0o600}
