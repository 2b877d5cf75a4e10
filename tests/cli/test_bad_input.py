"""Bad input at the command line: one line that names the field, the exit code of its kind, no traceback, nothing written.

The numbers are the rows of the corpus in the project's reliability notes.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from nokosu import limits
from tests.cli.processes import Done, Inside, Shell

HOSTILE = "before \x1b]52;c;cm0gLXJm\x07 \x1b[2J \r gone \x08 \x9b31m \x7f after"
BIDI = "admin\u202e txt.exe \u2066x\u2069 a\u200bb tag\U000e0041\U000e0042 v\ufe0f"


def refused(done: Done, *parts: str, code: int = 2) -> None:
    """Check that a command was refused with a line that says all of *parts*, and nothing on stdout."""
    assert (done.code, done.out) == (code, ""), done
    first, *rest = done.err.splitlines()
    assert first.startswith("Error: ")
    assert len(rest) <= 1
    for part in parts:
        assert part in first


# Rows 1 to 4: texts that cannot be saved ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\u200d\ufeff", "\u3000"])
def test_01_a_text_that_is_empty_to_the_eye_is_refused(inside: Inside, text: str) -> None:
    refused(inside("save", "--", text), "text: empty text")
    refused(inside("save", "-", stdin=text), "text: empty text")
    assert not inside.home.exists()


def test_02_the_longest_text_is_saved_and_one_byte_more_is_refused(run: Shell) -> None:
    longest = "x" * (limits.TEXT_BYTES_MAX - 3) + "港"
    id = run("save", longest).id
    assert run("show", id, "--json").json["text"] == longest
    assert run("save", "-", stdin=longest + "\n").id == id
    refused(run("save", "x" + longest), "text: 65537 bytes, at most 65536")
    refused(run("save", "-", stdin="x" + longest), "text: stdin holds more than 65536 bytes, at most 65536")


def test_02_a_file_is_measured_before_it_is_read(run: Shell) -> None:
    longest = "x" * (limits.TEXT_BYTES_MAX - 3) + "港"
    (run.work / "fits.txt").write_text(longest + "\n")
    assert run("save", "--from-file", "fits.txt").code == 0
    (run.work / "long.txt").write_text("x" + longest)
    refused(run("save", "--from-file", "long.txt"), "text: long.txt holds", "65536")
    with (run.work / "huge.txt").open("wb") as huge:
        huge.truncate(1 << 40)
    refused(run("save", "--from-file", "huge.txt"), "text: huge.txt holds 1099511627776 bytes, at most 65536")
    refused(run("save", "--from-file", "/dev/zero"), "text: /dev/zero holds more than 65536 bytes, at most 65536")


def test_02_a_file_that_cannot_be_read_is_one_line(inside: Inside) -> None:
    refused(inside("save", "--from-file", "missing.txt"), "text: missing.txt cannot be read (No such file")
    refused(inside("save", "--from-file", "."), "text: . cannot be read (Is a directory)")
    (inside.work / "latin.txt").write_bytes(b"caf\xe9")
    refused(inside("save", "--from-file", "latin.txt"), "text: latin.txt is not valid UTF-8 (byte 3)")


@pytest.mark.parametrize("text", [b"\xff\xfe", b"ok \xed\xa0\x80", b"half \xe6\xb8"])
def test_03_text_that_is_not_utf_8_is_refused_before_the_store_is_touched(run: Shell, text: bytes) -> None:
    refused(run("save", text), "text: not valid UTF-8")
    refused(run("save", "-", stdin=text), "text: stdin is not valid UTF-8")
    refused(run("save", "x", "--subject", text), "subject: not valid UTF-8")
    assert not run.home.exists()


def test_03_a_query_a_filter_and_an_id_that_are_not_utf_8_are_refused(run: Shell) -> None:
    run("save", "one")
    refused(run("search", b"\xff"), "query: not valid UTF-8")
    refused(run("list", "--tag", b"\xff"), "tags: not valid UTF-8")
    refused(run("list", "--project", b"\xff"), "project: not valid UTF-8")
    refused(run("show", b"\xff\xff\xff\xff"), "id: ")


def test_04_a_nul_is_refused(inside: Inside) -> None:
    refused(inside("save", "-", stdin="ab\0cd"), "text: contains a NUL character")


# Rows 5 to 7: texts that are saved as they are ------------------------------------------------------------------------


def test_05_what_commands_a_terminal_is_stored_exactly_and_shown_written_out(run: Shell) -> None:
    id = run("save", "-", stdin=HOSTILE).id
    assert run("show", id, "--json").json["text"] == HOSTILE
    shown = [run("search", "gone", "--superseded"), run("list"), run("show", id, "--history"), run("brief")]
    shown += [run.terminal("search", "gone"), run.terminal("list"), run.terminal("show", id)]
    for done in shown:
        assert done.code == 0
        left = re.sub(r"\x1b\[[0-9]+m|[\n\t]", "", done.out)  # our colours, lines and columns
        assert left.isprintable(), ascii(left)
    assert r"\u{1b}]52;c;cm0gLXJm\u{7}" in shown[0].out


def test_05_json_on_a_terminal_is_the_same_document_and_commands_nothing(run: Shell) -> None:
    id = run("save", "-", stdin=HOSTILE + BIDI).id
    on_terminal = run.terminal("show", id, "--json", columns=4000)
    assert on_terminal.out.replace("\n", "").isprintable()
    assert on_terminal.json == run("show", id, "--json").json


def test_06_what_is_hidden_or_reorders_is_stored_exactly_flagged_and_written_out(inside: Inside) -> None:
    id = inside("save", BIDI).id
    hit = inside("search", "admin", "--json").json["hits"][0]
    assert hit["text"] == BIDI
    assert {"bidi", "tag", "zero-width"} <= set(hit["suspicious"])
    found = inside("search", "admin").out
    assert r"admin\u{202e} txt.exe" in found
    assert "suspicious: bidi characters" in found
    assert "bidi characters" in inside("show", id).out


@pytest.mark.parametrize(
    "text", ["-x", "--", "--subject", "-", "@file", "$(touch pwned)", "`touch pwned`", "--yes now", "%s %d", "\\n", "!"]
)
def test_07_text_is_literal(run: Shell, inside: Inside, text: str) -> None:
    words = ["save", "--", text] if text != "-" else ["save", "-"]
    id = inside(*words, stdin=text).id
    assert inside("show", id, "--json").json["text"] == text
    assert list(run.work.iterdir()) == []


def test_07_text_with_a_hyphen_first_is_told_how_to_be_literal(inside: Inside) -> None:
    for command in ("save", "search"):
        done = inside(command, "-x marks the spot")
        assert done.code == 2
        assert 'words that begin with "-" stand after "--"' in done.err
    assert "stands after --" in " ".join(inside("save", "--help").out.split())


# Rows 8 to 12: queries ------------------------------------------------------------------------------------------------

SYNTAX = [
    '"',
    '""',
    '"x',
    "AND",
    "x AND",
    "NEAR(",
    "NEAR(x y)",
    "*",
    "x*",
    "x NOT",
    "NOT",
    "-x",
    "col:x",
    "body:x",
    "{a b}:x",
]
SYNTAX += [
    "(" * 500,
    ")",
    "x ^ y",
    "a + b",
    "'; DROP TABLE log; --",
    "%",
    "_",
    "\\",
    "a\\",
    ";",
    "/*",
    "--",
    "x OR",
    "\x1b[2J",
]


@pytest.mark.parametrize("query", SYNTAX)
def test_08_every_query_is_literal(inside: Inside, query: str) -> None:
    inside("save", "an ordinary x in the body, and y")
    done = inside("search", "--", query)
    assert done.code in {0, 1}
    assert not done.err.startswith("Error")


def test_08_an_empty_query_lists_the_latest_and_no_query_is_an_error(inside: Inside) -> None:
    id = inside("save", "one").id
    assert inside("search", "").out.startswith(id)
    assert inside("search", " \t").out.startswith(id)
    refused(inside("search"), "Missing argument 'QUERY...'")


def test_09_a_query_that_is_a_document_is_refused(run: Shell, inside: Inside) -> None:
    run("save", "one")
    refused(run("search", *(f"w{n}" for n in range(50_000))), "query: ", "at most 1024")
    refused(inside("search", '"' + "phrase " * 150_000 + '"'), "query: ", "at most 1024")
    refused(inside("search", " OR ".join(["a"] * 5_000)), "query: ", "at most 1024")


def test_10_random_strings_of_operators_are_never_an_error(inside: Inside) -> None:
    for text in ("an ordinary text", "AND OR NOT NEAR", "quotes \" and ' and (brackets)"):
        inside("save", text)
    choose = random.Random(10)
    pieces = [
        '"',
        "'",
        "(",
        ")",
        "*",
        "-",
        "+",
        "^",
        ":",
        "{",
        "}",
        "AND",
        "OR",
        "NOT",
        "NEAR",
        "NEAR/2",
        ",",
        " ",
        "a",
        "港",
    ]
    for _ in range(200):
        query = "".join(choose.choices(pieces, k=choose.randrange(1, 24)))
        done = inside("search", "--json", "--", query)
        assert done.code in {0, 1}, query
        assert done.err == "", query


@pytest.mark.parametrize("value", ["'; DROP TABLE log; --", "%", "_", "a\\", '"', "*", "x) OR (1=1", "{a}"])
def test_11_filters_are_literal(inside: Inside, value: str) -> None:
    id = inside("save", "one", "--tag", value, env={"NOKOSU_AGENT": value}).id
    inside("save", "two", "--tag", "other")
    for flag in ("--tag", "--agent"):
        assert [hit["id"] for hit in inside("list", flag, value, "--json").json["hits"]] == [id]
    for flag in ("--project", "--device", "--space"):
        assert inside("list", flag, value).code == 1
    assert inside("verify").code == 0


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("東京都の港ではデプロイしない", ["東京", "港", "デプロイ", "東京都の港", "都"]),
        ("数据库迁移失败了", ["数据库", "迁移", "败"]),
        ("데이터베이스를 옮겼다", ["데이터베이스", "데이"]),
        ("family 👩\u200d👩\u200d👧 emoji", ["👩\u200d👩\u200d👧", "family"]),
        ("cafe\u0301 au lait", ["café", "cafe", "cafe\u0301"]),
        ("שלום עולם", ["שלום"]),
        ("run ci on go", ["ci", "go", "c"][:2]),
    ],
)
def test_12_every_script_is_found_by_short_words_too(inside: Inside, text: str, queries: list[str]) -> None:
    inside("save", "something else altogether")
    id = inside("save", text).id
    for query in queries:
        assert inside("search", query, "--json").json["hits"][0]["id"] == id, query


# Rows 13 to 15: numbers, times, ids -----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["-1", "0", "101", "1e9", "٣", "1_0", " 5", "2.0", str(2**63), "9" * 5000, "", "ten"])
def test_13_a_limit_is_a_small_whole_number(inside: Inside, limit: str) -> None:
    inside("save", "one")
    for command in (("list",), ("search", "one")):
        refused(inside(*command, "--limit", limit), "limit: ")
    assert inside("list", "--limit", "100").code == 0


@pytest.mark.parametrize("importance", ["0", "6", "-1", "٣", "high", str(2**63)])
def test_13_an_importance_is_from_1_to_5(inside: Inside, importance: str) -> None:
    refused(inside("save", "one", "--importance", importance), "importance: ")


TIMES = ["0000", "9999-12-31T23:59:60Z", "2026-03-31T18:00:00", "yesterday", "2026-3-1", "٢٠٢٦-٠٣-٣١", "2026-13-01", ""]
TIMES += ["2026-02-30", "1969-12-31", "31.3.2026", "2026-03-31T18:00Z", "2026-03-31T25:00:00Z", "x" * 1000]


@pytest.mark.parametrize("time", TIMES)
def test_14_a_time_is_rfc_3339_or_refused(inside: Inside, time: str) -> None:
    for flag in ("--since", "--until"):
        refused(inside("list", flag, time), f"{flag[2:]}: ", "is not a date")
    refused(inside("save", "one", "--expires", time), "expires: ", "is not a date")


@pytest.mark.parametrize(
    "id", ["../../etc/passwd", "*", "**", "$", "#", "?", "x" * 10_000, "abc", "", " ", "港港港港", "%__%"]
)
def test_15_an_id_is_letters_and_digits(inside: Inside, id: str) -> None:
    inside("save", "one")
    for words in (("show", "--", id), ("forget", "--", id), ("restore", "--", id), ("edit", "--text", "x", "--", id)):
        refused(inside(*words), "id: ", "is not a memory id")
    refused(inside("save", "two", f"--supersedes={id}"), "supersedes: ")


def test_15_an_id_may_be_typed_in_capitals(inside: Inside) -> None:
    id = inside("save", "one").id
    assert inside("show", id.upper().replace("1", "I").replace("0", "O"), "--json").json["id"] == id


# Row 18: where the home may be ----------------------------------------------------------------------------------------


def test_18_without_home_the_password_file_names_it(run: Shell) -> None:
    status = run("status", "--json", env={"HOME": None, "NOKOSU_HOME": None})
    assert status.code == 0
    assert status.json["home"].startswith("/")


def test_18_the_home_is_the_data_directory_of_the_platform(run: Shell) -> None:
    env: dict[str, str | None] = {"NOKOSU_HOME": None}
    id = run("save", "one", env=env).id
    home = Path(run("status", "--json", env=env).json["home"])
    assert home.is_relative_to(run.user_home)
    assert run("list", env=env).out.startswith(id)
    assert (home.stat().st_mode & 0o777, (home / "nokosu.db").stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize("home", ["relative/path", "/tmp/new\nline", "/tmp/\x1b[2J", "~nobody-here/x"])
def test_18_a_home_that_is_no_absolute_path_is_refused(run: Shell, home: str) -> None:
    for command in (("save", "one"), ("list",), ("status",)):
        refused(run(*command, env={"NOKOSU_HOME": home}), "NOKOSU_HOME: ", "is not an absolute path")


def test_18_a_home_that_cannot_be_made_is_told_and_searching_is_not_stopped(run: Shell) -> None:
    env = {"NOKOSU_HOME": "/dev/null/nokosu"}
    refused(run("save", "one", env=env), "not saved: cannot make /dev/null/nokosu", code=4)
    assert run("list", env=env).code == 1


def test_18_a_loop_of_links_is_told(run: Shell) -> None:
    (run.work / "loop").symlink_to(run.work / "loop")
    env = {"NOKOSU_HOME": str(run.work / "loop" / "home")}
    for command in (("save", "one"), ("list",), ("doctor",)):
        done = run(*command, env=env)
        assert done.code in {2, 4}
        assert "loop" in done.out + done.err


def test_18_a_home_in_a_path_with_a_newline_works(run: Shell) -> None:
    env = {"HOME": str(run.user_home / "new\nline"), "NOKOSU_HOME": None}
    id = run("save", "one", env=env).id
    assert run("search", "one", "--json", env=env).json["hits"][0]["id"] == id
    status = run("status", env=env)
    assert r"new\nline" in status.out
    assert len([line for line in status.out.splitlines() if line.startswith("home")]) == 1


def test_18_a_folder_that_is_gone_is_no_reason_to_fail(run: Shell) -> None:
    done = run.sh('mkdir gone && cd gone && rmdir "$PWD" && nokosu save one && nokosu list --all-projects')
    assert done.returncode == 0, done.stderr
    assert "unfiled" in done.stderr
    assert len(done.stdout.splitlines()) == 2


# Stores and settings that are broken ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting", ["backend = 'sqlite'", "search_elsewhere = 'no'", "not toml at all", "\t=", "[projects]\nx=1"]
)
def test_a_misspelt_setting_is_an_error_and_never_an_empty_answer(inside: Inside, setting: str) -> None:
    inside("save", "one")
    (inside.home / "config.toml").write_text(setting)
    for command in (("search", "one"), ("save", "two"), ("list", "--json")):
        refused(inside(*command), "config.toml")


def test_a_damaged_store_is_an_error_and_never_an_empty_answer(run: Shell) -> None:
    run("save", "one")
    for damage in (b"", b"garbage " * 1000):
        for path in run.home.iterdir():
            path.unlink()
        (run.home / "nokosu.db").write_bytes(damage)
        for command in (("search", "one"), ("save", "two"), ("list", "--json"), ("verify",)):
            refused(run(*command), code=4)
        assert run("doctor").code == 4
        assert run("status").code in {0, 4}
        assert (run.home / "nokosu.db").read_bytes() == damage
