"""Lines and JSON, as hostile as they come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import limits
from nokosu.mcp_server.framing import INVALID_REQUEST, PARSE_ERROR, Fault, Line, Lines, parse

PING = {"jsonrpc": "2.0", "id": 7, "method": "ping"}


def lines_of(data: bytes, *, step: int = 1 << 16, bytes_max: int = limits.MCP_LINE_BYTES_MAX) -> list[Line]:
    lines = Lines(bytes_max)
    found = [line for at in range(0, len(data), step) for line in lines.feed(data[at : at + step])]
    return [*found, *lines.end()]


def fault_of(content: bytes) -> Fault:
    value = parse(Line(content))
    assert isinstance(value, Fault), value
    return value


def call(literal: str, *, id_last: bool = False) -> bytes:
    params = f'"params": {{"name": "save_memory", "arguments": {{"text": {literal}}}}}'
    if id_last:
        return f'{{"method": "tools/call", {params}, "jsonrpc": "2.0", "id": 7}}'.encode()
    return f'{{"jsonrpc": "2.0", "id": 7, "method": "tools/call", {params}}}'.encode()


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=8), st.integers(1, 16))
def test_lines_do_not_depend_on_where_the_pipe_cuts(lines: list[bytes], step: int) -> None:
    data = b"\n".join(lines)
    assert lines_of(data, step=step, bytes_max=24) == lines_of(data, bytes_max=24)


@given(st.binary(max_size=400))
def test_any_bytes_make_a_message_or_a_fault(data: bytes) -> None:
    for line in lines_of(data):
        assert isinstance(parse(line), dict | Fault)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=12,
    )
)
def test_every_sound_message_is_read_as_it_was_meant(value: Any) -> None:
    message = {**PING, "params": {"value": value}}
    for text in (json.dumps(message), json.dumps(message, ensure_ascii=False)):
        assert parse(Line(text.encode())) == message


def test_a_whole_number_is_an_integer_however_it_is_written() -> None:
    value = parse(Line(call("[5.0, 5e0, 0.5, 1e300]")))
    assert isinstance(value, dict)
    assert [type(number) for number in value["params"]["arguments"]["text"]] == [int, int, float, float]


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\r\n \n\t\n"])
@pytest.mark.parametrize("after", [b"", b"\n", b"\r\n"])
def test_line_ends_blank_lines_and_byte_order_marks_do_not_matter(before: bytes, after: bytes) -> None:
    (line,) = lines_of(before + json.dumps(PING).encode() + after)
    assert parse(line) == PING


def test_a_line_is_as_long_as_its_bound_and_no_longer() -> None:
    (line,) = lines_of(b"x" * 100 + b"\n", bytes_max=100)
    assert line == Line(b"x" * 100)
    (line,) = lines_of(b"x" * 101 + b"\n", bytes_max=100)
    assert line.too_long


def test_of_a_line_that_is_too_long_only_the_edges_are_held() -> None:
    (line, after) = lines_of(b"a" * 10_000_000 + b"z\n" + json.dumps(PING).encode())
    assert len(line.content) < 2048
    assert (line.content[:1], line.content[-1:]) == (b"a", b"z")
    assert parse(after) == PING


@pytest.mark.parametrize("id_last", [False, True])
def test_the_id_of_a_line_that_is_too_long_is_still_found(id_last: bool) -> None:
    (line,) = lines_of(call(json.dumps("x" * 2_000_000), id_last=id_last))
    fault = parse(line)
    assert fault == Fault(INVALID_REQUEST, f"message: more than {limits.MCP_LINE_BYTES_MAX} bytes", 7)


@pytest.mark.parametrize("id_last", [False, True])
@pytest.mark.parametrize(
    ("literal", "says"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e400", "1e400 is out of range"),
        ("9" * 5000, "an integer of 5000 digits"),
        ('{"a": 1, "a": 2}', "the same key twice"),
        (r'"\ud800"', "half of a surrogate pair"),
        (r'"\udc00\ud800"', "half of a surrogate pair"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("tru", "Expecting value"),
        ('"a\x01b"', "control character"),
        ("'a'", "Expecting value"),
    ],
)
def test_bad_json_is_answered_under_the_id_of_its_request(literal: str, says: str, id_last: bool) -> None:
    fault = fault_of(call(literal, id_last=id_last))
    assert (fault.code, fault.id) == (PARSE_ERROR, 7)
    assert says in fault.message
    assert len(fault.message) < 200


def test_a_whole_surrogate_pair_is_a_character() -> None:
    value = parse(Line(call(r'"\ud83d\ude00 \\ud800"')))
    assert isinstance(value, dict)
    assert value["params"]["arguments"]["text"] == "😀 \\ud800"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"hello", PARSE_ERROR),
        (json.dumps(PING).encode("utf-16"), PARSE_ERROR),
        (b'{"jsonrpc": "2.0", "method": "ping", "params": {"t": "\xff"}}', PARSE_ERROR),
        (b'{"jsonrpc": "2.0", "method": "pi', PARSE_ERROR),
        (b"[]", INVALID_REQUEST),
        (json.dumps([PING, PING]).encode(), INVALID_REQUEST),
        (b"7", INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": [1], "method": "ping"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": [1]}', INVALID_REQUEST),
        (rb'{"jsonrpc": "2.0", "id": "\ud800", "method": "ping"}', PARSE_ERROR),
    ],
)
def test_what_has_no_usable_id_is_answered_without_one(content: bytes, code: int) -> None:
    fault = fault_of(content)
    assert (fault.code, fault.id) == (code, None)


def test_half_a_request_is_answered_under_its_id() -> None:
    assert fault_of(b'{"jsonrpc":"2.0","id":"abc-1","method":"tools/ca').id == "abc-1"


def test_an_id_inside_the_arguments_is_not_taken_for_the_request_s() -> None:
    assert fault_of(b'{"method":"tools/call","params":{"arguments":{"id":7}').id is None
    assert fault_of(b'{"jsonrpc":"2.0","method":"tools/call","params":{"arguments":{"id":7}},"x":NaN}').id is None


def test_bytes_that_are_not_utf_8_are_refused_under_the_id_of_their_request() -> None:
    assert fault_of(call('"a"').replace(b'"a"', b'"\xc3\x28"')).id == 7
