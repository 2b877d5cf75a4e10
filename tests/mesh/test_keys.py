from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nokosu import limits
from nokosu.mesh import keys
from nokosu.mesh.keys import Name

IDS = st.binary(min_size=16, max_size=16)
HASHES = st.binary(min_size=32, max_size=32)


@given(IDS, st.integers(1, limits.SEQ_MAX), HASHES)
def test_the_name_of_a_record_reads_back(log: bytes, seq: int, hash: bytes) -> None:
    assert keys.parse_tail(keys.tail(log, seq, hash)) == Name(log, seq, hash[: keys.NAME_HASH_BYTES])


def test_a_page_holds_a_thousand_records() -> None:
    assert [keys.page_of(seq) for seq in (1, 1000, 1001, 2000, 2001)] == [0, 0, 1, 1, 2]


@given(IDS, IDS)
def test_the_names_of_announcements_and_tokens_read_back(space: bytes, device: bytes) -> None:
    assert keys.parse_vec(keys.vec(space, device)) == (space, device)
    assert keys.parse_here(keys.here(space, device, "a1b2", "c3")) == (space, device, "a1b2")


LOG, HASH = "0a" * 16, "0b" * 16


@pytest.mark.parametrize(
    "tail",
    [
        "", "**", f"{LOG}/0/**", f"{LOG}/0/1-*", f"{LOG}/1/1-{HASH}", f"{LOG}/0/0-{HASH}", f"{LOG}/00/1-{HASH}", f"{LOG}/0/01-{HASH}",
        f"{LOG}/0/-1-{HASH}", f"{LOG}/0/١-{HASH}", f"{LOG.upper()}/0/1-{HASH}", f"{LOG}/0/1-{HASH}\n", f"{LOG}/0/1-{HASH}/x",
        f"{LOG}/9223372036854775807/9223372036854775807-{HASH}", "x" * 4096,
    ],
)  # fmt: skip
def test_a_name_that_no_member_makes_is_no_name(tail: str) -> None:
    assert keys.parse_tail(tail) is None


@pytest.mark.parametrize(
    "text",
    ["", "nokosu/1/*/vec/*", f"nokosu/2/{LOG}/vec/{HASH}", f"nokosu/1/{LOG}/vec/{HASH}/x", f"nokosu/1/{LOG}/vec/**"],
)
def test_a_wildcard_or_another_version_names_no_device(text: str) -> None:
    assert keys.parse_vec(text) is None
    assert keys.parse_here(text.replace("/vec/", "/here/")) is None
    assert keys.parse_here(f"nokosu/1/{LOG}/here/{HASH}/a1") is None, "no router"


@given(IDS)
def test_the_token_of_a_zenohd_reads_back(space: bytes) -> None:
    found = keys.parse_hub(keys.hub(space, "1.10.2", "0123456789abcdef", "a1b2"))
    assert found == keys.Hub(space, "1.10.2", "0123456789abcdef", "a1b2")


@pytest.mark.parametrize(
    "end", ["", "1.10.2/ab/0a", "1.10.2/ab", "1.10.2/xy/a1", "1.*/ab/a1", "1.10.2/ab/a1/x", f"1.10.2/ab/{'a' * 33}"]
)
def test_what_is_no_token_of_a_zenohd_tells_of_none(end: str) -> None:
    assert keys.parse_hub(f"nokosu/1/{LOG}/hub/{end}") is None
