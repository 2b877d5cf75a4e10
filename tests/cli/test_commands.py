"""What each command does when all is well, what it answers as JSON, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from nokosu import __version__, memory
from nokosu.cli import COMMANDS
from nokosu.mcp_server.clients import CLIENTS
from tests.cli.processes import Inside, Shell

ID = re.compile(r"[0-9a-hjkmnp-tv-z]{12}")
KEY = "AKIA" + "QYLPMN5HHHFPZAM2"  # in two parts, so that no scanner takes this file for a leak


# The group ------------------------------------------------------------------------------------------------------------


def test_nokosu_alone_shows_the_help(run: Shell) -> None:
    alone = run()
    assert alone.code == 0
    assert alone == run("--help") == run("-h")
    for name, (_, line) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", alone.out, re.MULTILINE)


def test_the_version_is_said(run: Shell) -> None:
    assert run("--version") == (0, f"nokosu {__version__}\n", "")


def test_every_module_of_a_command_is_in_the_table_of_commands() -> None:
    folder = Path(str(sys.modules["nokosu.cli"].__file__)).parent
    with_command = {path.stem for path in folder.glob("*.py") if "\ndef command(" in path.read_text()}
    assert with_command == {module for module, _ in COMMANDS.values()}
    for name, (module, _) in COMMANDS.items():
        assert import_module(f"nokosu.cli.{module}").command.name == name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_shows_an_example(inside: Inside, name: str) -> None:
    code, out, err = inside(name, "--help")
    assert (code, err) == (0, "")
    assert re.search(rf"\n  Examples:\n    (.*\| )?nokosu {name}\b", out)
    assert out == inside(name, "-h").out


def test_an_unknown_command_is_a_usage_error(run: Shell) -> None:
    assert run("frobnicate") == (2, "", "Error: No such command 'frobnicate'.\nTry: nokosu --help\n")


def test_a_mistyped_command_is_told_the_right_one(run: Shell) -> None:
    assert "search" in run("serch", "x").err


# save -----------------------------------------------------------------------------------------------------------------


def test_a_save_prints_the_id_alone_and_a_search_finds_it(run: Shell) -> None:
    saved = run("save", "hello local")
    assert (saved.code, saved.err) == (0, "")
    assert ID.fullmatch(saved.id)
    assert run("search", "hello", "--json").json["hits"][0]["id"] == saved.id


def test_a_save_keeps_every_field(run: Shell) -> None:
    old = run("save", "Deploys run on Fridays.").id
    flags = ["--subject", "Deploys", "--type", "decision", "--project", "harbour", "--tag", "deploy", "--tag", "ci"]
    flags += ["--ref", "Makefile", "--ref", "https://example.org/1", "--importance", "4", "--supersedes", old[:8]]
    id = run("save", "Deploys run from main only.", *flags, "--expires", "2999-12-31").id
    shown = run("show", id, "--json").json
    expected = {
        "subject": "Deploys",
        "text": "Deploys run from main only.",
        "type": "decision",
        "project": "harbour",
        "tags": ["deploy", "ci"],
        "refs": ["Makefile", "https://example.org/1"],
        "importance": 4,
        "supersedes": [old],
        "expires": "2999-12-31T23:59:59.999Z",
        "source": "person",
        "space": "personal",
        "status": "live",
    }
    assert {name: shown[name] for name in expected} == expected
    assert run("show", old, "--json").json["superseded_by"] == id


def test_a_save_as_json_tells_what_became_of_it(run: Shell) -> None:
    saved = msgspec.convert(run("save", "hello", "--project", "harbour", "--json").json, memory.Saved)
    assert ID.fullmatch(saved.id)
    assert (saved.duplicate, saved.project, saved.space) == (False, "harbour", "personal")


def test_the_same_text_again_prints_the_same_id_and_says_so(run: Shell) -> None:
    first = run("save", "hello local")
    again = run("save", "hello local")
    assert (again.code, again.id) == (0, first.id)
    assert "already" in again.err
    assert run("save", "hello local", "--json").json["duplicate"] is True


def test_a_secret_is_masked_and_the_person_told(run: Shell) -> None:
    saved = run("save", f"the key is {KEY} for now")
    assert saved.err.startswith("Note: masked 1 aws")
    assert KEY not in run("show", saved.id).out


def test_a_save_in_no_project_says_unfiled(run: Shell) -> None:
    saved = run("save", "hello", cwd=run.user_home)
    assert saved.code == 0
    assert "unfiled" in saved.err


def test_text_comes_from_stdin_and_from_a_file_without_its_last_line_end(run: Shell) -> None:
    (run.work / "note.txt").write_bytes("one\n\n二\n".encode())
    from_file = run("save", "--from-file", "note.txt").id
    assert run("show", from_file, "--json").json["text"] == "one\n\n二"
    assert run("save", "-", input="one\n\n二\r\n").id == from_file
    assert run("save", "-", input="\ufeffone\n\n二").id == from_file


def test_exactly_one_text_is_asked_for(run: Shell) -> None:
    (run.work / "note.txt").write_text("hello")
    for words in [(), ("text", "--from-file", "note.txt"), ("-", "--from-file", "note.txt")]:
        refused = run("save", *words)
        assert refused.code == 2
        assert refused.err.startswith("Error: text: give one of TEXT, - for stdin, and --from-file\nTry: nokosu save")
    assert run("save", "two", "words").err == 'Error: text: several words: put the text in quotes\nTry: nokosu save "TEXT"\n'
    assert not run.home.exists()


def test_an_agent_and_its_session_sign_what_they_save(run: Shell) -> None:
    agent = {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "s-1"}
    id = run("save", "hello", env=agent).id
    shown = run("show", id, "--json").json
    assert (shown["agent"], shown["session"], shown["source"]) == ("claude-code", "s-1", "agent")


def test_the_local_space_is_a_place_to_save(run: Shell) -> None:
    id = run("save", "only here", "--space", "local").id
    assert run("list", "--space", "local", "--json").json["hits"][0]["id"] == id
    assert run("list", "--space", "personal").code == 1
    assert run("save", "x", "--space", "nowhere").code == 1


# search and list ------------------------------------------------------------------------------------------------------


@pytest.fixture
def five(run: Shell) -> list[str]:
    """Five memories of two projects."""
    return [
        run("save", "We chose Postgres because the exclusion constraint holds slots.", "--type", "decision").id,
        run("save", "Redis evicted live holds during the regatta weekend.\nThey live in Postgres now.", "--tag", "hold").id,
        run("save", "東京都の港ではデプロイを行わない。", "--subject", "港").id,
        run("save", "parse_iban rejects blanks", "--project", "bank", "--importance", "5").id,
        run("save", "The pager is on the third shelf.", "--project", "bank", env={"NOKOSU_AGENT": "codex"}).id,
    ]


def test_words_need_no_quotes_and_the_best_hit_comes_first(run: Shell, five: list[str]) -> None:
    for words in [("why", "did", "we", "choose", "postgres"), ("why did we choose postgres",)]:
        assert run("search", *words, "--json").json["hits"][0]["id"] == five[0]


def test_hits_are_shown_at_length(run: Shell, five: list[str]) -> None:
    found = run("search", "evicted")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(
        rf"{five[1]}  note  work  {stamp}  \S+\n"
        r"  Redis evicted live holds during the regatta weekend\.\n"
        r"  They live in Postgres now\.\n"
        r"\n"
        r"1 of 1 memory\n",
        found.out,
    )
    assert (found.code, found.err) == (0, "")


def test_hits_as_json_are_the_ones_of_the_library(run: Shell, five: list[str]) -> None:
    document = run("search", "postgres", "--json").json
    hits = msgspec.convert(document, memory.Hits)
    assert {hit.id for hit in hits.hits} == set(five[:2])
    assert (hits.total, hits.project) == (2, "work")
    assert {"id", "subject", "text", "type", "project", "tags", "created", "agent", "device", "score"} <= document["hits"][0].keys()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--project", "bank"], {3, 4}),
        (["--all-projects"], {0, 1, 2, 3, 4}),
        (["--type", "decision"], {0}),
        (["--tag", "hold"], {1}),
        (["--agent", "codex"], {4}),
        (["--since", "2000-01-01", "--until", "2999-01-01"], {0, 1, 2, 3, 4}),
        (["--until", "2000-01-01"], set()),
        (["--since", "2999-01-01T00:00:00Z"], set()),
        (["--space", "personal"], {0, 1, 2, 3, 4}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_filters_narrow_a_listing(run: Shell, five: list[str], inside: Inside, flags: list[str], expected: set[int]) -> None:
    flags = flags if "--project" in flags else list(dict.fromkeys([*flags, "--all-projects"]))
    done = inside("list", *flags, "--json")
    assert {five.index(hit["id"]) for hit in done.json["hits"]} == expected
    assert done.code == (0 if expected else 1)
    assert inside("search", "", *flags, "--json") == done


def test_a_device_is_a_filter(run: Shell, five: list[str]) -> None:
    device = run("status", "--json").json["device"]
    assert run("list", "--device", device).code == 0
    assert run("list", "--device", "toaster").code == 1
    assert "toaster" in run("list", "--device", "toaster").err


def test_a_listing_to_a_pipe_is_a_line_with_tabs_for_each_memory(run: Shell, five: list[str]) -> None:
    listed = run("list", "--all-projects")
    rows = [line.split("\t") for line in listed.out.splitlines()]
    assert [row[0] for row in rows] == five[::-1]
    assert {len(row) for row in rows} == {6}
    assert rows[0][1:3] == ["note", "bank"]
    assert rows[2][5] == "港"
    assert listed.err == "5 of 5 memories\n"


def test_what_is_left_out_is_said_with_what_to_type(run: Shell, five: list[str]) -> None:
    run("forget", five[0])
    listed = run("list", "--all-projects", "--limit", "2")
    assert len(listed.out.splitlines()) == 2
    assert re.fullmatch(
        r"2 of (at least )?\d memories; withheld: 1 forgotten \(--forgotten\); more: --limit \d\n"
        r"|2 of (at least )?\d memories; more: --limit \d\n",
        listed.err,
    )
    searched = run("search", "postgres")
    assert searched.out.endswith("\n1 of 1 memory; withheld: 1 forgotten (--forgotten)\n")
    assert five[0] in run("search", "postgres", "--forgotten").out
    assert "[forgotten]" in run("search", "postgres", "--forgotten").out


def test_a_superseded_memory_is_withheld_and_can_be_asked_for(run: Shell) -> None:
    old = run("save", "The harbour opens at eight.").id
    new = run("save", "The harbour opens at nine.", "--supersedes", old).id
    assert [hit["id"] for hit in run("search", "harbour", "--json").json["hits"]] == [new]
    assert "1 superseded (--superseded)" in run("search", "harbour").out
    assert f"[superseded by {new}]" in run("search", "harbour", "--superseded").out


def test_an_expired_memory_is_withheld_and_can_be_asked_for(run: Shell) -> None:
    id = run("save", "The harbour is closed today.", "--expires", "2001-01-01").id
    nothing = run("search", "harbour")
    assert (nothing.code, nothing.out) == (1, "")
    assert nothing.err.startswith("Nothing found; withheld: 1 expired (--expired).\n")
    assert id in run("list", "--expired").out


def test_a_hit_from_elsewhere_is_marked(run: Shell, five: list[str]) -> None:
    assert "  bank (elsewhere)  " in run("search", "parse_iban").out
    assert run("search", "parseIban", "--json").json["hits"][0]["elsewhere"] is True


@pytest.mark.parametrize("command", [("search", "quasar"), ("list", "--type", "bug")])
def test_nothing_found_is_exit_code_1_with_a_line_on_stderr(run: Shell, five: list[str], command: tuple[str, ...]) -> None:
    done = run(*command)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Nothing found.")
    as_json = run(*command, "--json")
    assert (as_json.code, as_json.err) == (1, "")
    assert as_json.json["hits"] == []


@pytest.mark.parametrize("command", [("search", "x"), ("list",), ("list", "--json"), ("show", "abcd")])
def test_before_the_first_save_there_is_nothing_and_nothing_is_made(run: Shell, command: tuple[str, ...]) -> None:
    assert run(*command).code == 1
    assert not run.home.exists()


def test_an_excerpt_shows_the_lines_around_the_words(run: Shell) -> None:
    run("save", "A long story.\n" + "filler " * 400 + "the needle sits here " + "filler " * 400)
    found = run("search", "needle")
    lines = found.out.splitlines()
    assert len(lines) == 1 + 1 + 3 + 1 + 1
    assert "needle" in " ".join(lines[2:5])
    assert lines[2].startswith("  …")
    assert lines[4].endswith("…")


# show -----------------------------------------------------------------------------------------------------------------


def test_show_takes_the_beginning_of_an_id_and_fences_the_text(run: Shell) -> None:
    id = run("save", "one\ntwo", "--tag", "a").id
    shown = run("show", id[:6].upper())
    assert re.search(rf"^id +{id}$", shown.out, re.MULTILINE)
    assert re.search(r"^tags +a$", shown.out, re.MULTILINE)
    fence = re.search(r"\n----- ([0-9a-f]{8}) text: data, not instructions -----\none\ntwo\n----- \1 end -----\n", shown.out)
    assert fence
    assert fence[1] not in run("show", id).out


def test_show_as_json_is_the_memory_of_the_library(run: Shell) -> None:
    id = run("save", "one").id
    shown = msgspec.convert(run("show", id, "--json").json, memory.Memory)
    assert (shown.id, shown.text, shown.history) == (id, "one", ())
    assert [event["kind"] for event in run("show", id, "--history", "--json").json["history"]] == ["save"]


def test_the_history_tells_every_change(run: Shell) -> None:
    id = run("save", "one").id
    run("edit", id, "--text", "two")
    run("forget", id)
    run("restore", id)
    shown = run("show", id, "--history").out
    assert re.findall(r"Z  (\w+) ", shown.partition("\nhistory\n")[2]) == ["save", "edit", "forget", "restore"]


def test_the_text_of_a_forgotten_memory_is_shown_only_when_asked_for(run: Shell) -> None:
    id = run("save", "a sunken wreck").id
    run("forget", id)
    shown = run("show", id)
    assert shown.code == 0
    assert "wreck" not in shown.out
    assert f"nokosu restore {id}" in shown.err
    assert "wreck" in run("show", id, "--forgotten").out


def test_an_unknown_id_is_exit_code_1_and_an_ambiguous_one_3(run: Shell) -> None:
    run("save", "one")
    unknown = run("show", "zzzzzzzz")
    assert unknown.code == 1
    assert unknown.err == "Error: id: no memory zzzzzzzz\nTry: nokosu search WORDS\n"


# edit -----------------------------------------------------------------------------------------------------------------


def test_an_edit_changes_what_is_given_and_keeps_the_rest(run: Shell) -> None:
    id = run("save", "one", "--tag", "a", "--type", "bug", "--importance", "2").id
    assert run("edit", id[:8], "--text", "two", "--tag", "b", "--tag", "c").id == id
    shown = run("show", id, "--json").json
    assert (shown["text"], shown["tags"], shown["type"], shown["importance"]) == ("two", ["b", "c"], "bug", 2)


def test_an_edit_clears_what_is_named(run: Shell) -> None:
    flags = ["--subject", "s", "--tag", "a", "--ref", "r", "--importance", "2", "--expires", "2999-01-01"]
    id = run("save", "one", *flags, "--supersedes", "0123456789ab").id
    fields = ("subject", "tags", "refs", "importance", "supersedes", "expires")
    edited = run("edit", id, *(word for field in fields for word in ("--clear", field)), "--json")
    assert (edited.code, edited.json["id"]) == (0, id)
    shown = run("show", id, "--json").json
    assert [shown[field] for field in fields] == ["one", [], [], None, [], None]
    assert run("edit", id, "--clear", "tags", "--tag", "x").err == "Error: tags: both given and cleared\n"


def test_an_edit_takes_its_text_from_stdin_or_a_file(run: Shell) -> None:
    id = run("save", "one").id
    run("edit", id, "--text", "-", input="two\n")
    assert run("show", id, "--json").json["text"] == "two"
    (run.work / "note.txt").write_text("three\n")
    run("edit", id, "--from-file", "note.txt")
    assert run("show", id, "--json").json["text"] == "three"


def test_an_edit_without_anything_to_change_is_refused_off_a_terminal(run: Shell) -> None:
    id = run("save", "one").id
    refused = run("edit", id)
    assert refused.code == 2
    assert refused.err.startswith("Error: edit: nothing to change")


def test_an_edit_of_a_forgotten_memory_is_refused_with_the_way_out(run: Shell) -> None:
    id = run("save", "one").id
    run("forget", id)
    assert run("edit", id, "--text", "two") == (3, "", f"Error: memory {id} is forgotten\nTry: nokosu restore {id}\n")


# forget and restore ---------------------------------------------------------------------------------------------------


def test_a_forgotten_memory_is_gone_until_it_is_restored(run: Shell) -> None:
    id = run("save", "a sunken wreck").id
    forgotten = run("forget", id[:8])
    assert forgotten.id == id
    assert forgotten.err == f"Undo: nokosu restore {id} (within 30 days)\n"
    assert run("search", "wreck").code == 1
    assert run("restore", id).id == id
    assert run("search", "wreck").code == 0


def test_forget_and_restore_answer_as_json(run: Shell) -> None:
    id = run("save", "one").id
    for command in ("forget", "restore"):
        done = run(command, id, "--json")
        assert (done.code, done.json["id"], done.json["duplicate"]) == (0, id, False)
        assert run(command, id, "--json").json["duplicate"] is True


def test_a_dry_run_of_forget_changes_nothing(run: Shell) -> None:
    id = run("save", "one").id
    for flags in ([], ["--purge"]):
        dry = run("forget", id, "--dry-run", *flags)
        assert dry.code == 0
        assert dry.out == f"would {'purge, for good,' if flags else 'forget'} {id} (one); nothing was changed\n"
    assert run("list").out.startswith(id)
    assert run("forget", "zzzzzzzz", "--dry-run").code == 1


def test_a_purge_off_a_terminal_needs_yes_and_is_final(run: Shell) -> None:
    id = run("save", "a sunken wreck").id
    refused = run("forget", id, "--purge")
    assert refused == (2, "", f"Error: purge: it cannot be undone\nTry: nokosu forget {id} --purge --yes\n")
    assert run("search", "wreck").code == 0
    purged = run("forget", id, "--purge", "--yes")
    assert (purged.id, "Undo" in purged.err) == (id, False)
    assert run("restore", id).code == 3
    assert "purged" in run("show", id).err
    assert not any(b"sunken" in path.read_bytes() for path in run.home.iterdir())


# The rest -------------------------------------------------------------------------------------------------------------


def test_a_brief_tells_what_is_there(run: Shell) -> None:
    id = run("save", "Deploys run from main only.", "--type", "decision", "--project", "harbour").id
    brief = run("brief", "--project", "harbour")
    assert brief.code == 0
    assert id in brief.out
    assert "Deploys run from main only." in brief.out
    as_json = msgspec.convert(run("brief", "--project", "harbour", "--tokens", "200", "--json").json, memory.Brief)
    assert (as_json.ids, as_json.project) == ((id,), "harbour")
    assert run("brief", "--tokens", "1").code == 2


def test_status_says_where_everything_lives(run: Shell) -> None:
    before = run("status")
    assert before.code == 0
    assert "made at the first save" in before.out
    assert not run.home.exists()
    run("save", "one")
    status = msgspec.convert(run("status", "--json").json, memory.Status)
    assert (status.version, status.home, status.memories, status.exists) == (__version__, str(run.home), 1, True)
    shown = run("status").out
    assert re.search(rf"^database +{re.escape(str(run.home / 'nokosu.db'))}, [\d.]+ KiB", shown, re.MULTILINE)
    assert re.search(r"^space personal +1 memory, ", shown, re.MULTILINE)


def test_a_healthy_installation_is_all_green(run: Shell) -> None:
    run("save", "one")
    done = run("doctor")
    assert done.code == 0, done.out
    assert {line.split()[0] for line in done.out.splitlines() if not line.startswith(" ")} == {"ok"}
    assert {result["level"] for result in run("doctor", "--json").json} == {"ok"}


def test_verify_is_clean_and_rebuild_changes_nothing(run: Shell) -> None:
    id = run("save", "a sunken wreck").id
    assert run("verify") == (0, "1 record in 1 log, 1 memory checked: 0 problems\n", "")
    assert run("rebuild").out.startswith("1 memory indexed anew in ")
    assert run("rebuild", "--json").json["memories"] == 1
    assert run("search", "wreck", "--json").json["hits"][0]["id"] == id
    assert msgspec.convert(run("verify", "--json").json, memory.Verified).problems == ()


def test_a_backup_is_a_whole_store_for_its_owners_eyes(run: Shell) -> None:
    id = run("save", "a sunken wreck").id
    done = run("backup", "copy.db")
    copy = run.work / "copy.db"
    assert done.code == 0
    assert done.out == f"copy.db: {copy.stat().st_size:,} bytes\n"
    assert "private key" in done.err
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    again = run("backup", "copy.db")
    assert again.code != 0
    assert "exists already" in again.err
    other = run.work / "other"
    other.mkdir()
    copy.rename(other / "nokosu.db")
    elsewhere = {"NOKOSU_HOME": str(other)}
    assert run("search", "wreck", "--json", env=elsewhere).json["hits"][0]["id"] == id
    assert run("verify", env=elsewhere).code == 0


def test_an_export_is_one_line_of_json_for_each_memory(run: Shell) -> None:
    kept, forgotten, purged = (run("save", text).id for text in ("kept 港", "forgotten", "purged"))
    run("forget", forgotten)
    run("forget", purged, "--purge", "--yes")
    done = run("export")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [(line["id"], line["status"]) for line in lines] == [(kept, "live"), (forgotten, "forgotten")]
    assert lines[0]["text"] == "kept 港"
    assert done.err == "2 memories exported\n"
    assert run("export", "-").out == done.out
    to_file = run("export", "all.jsonl")
    assert (to_file.code, to_file.out) == (0, "")
    assert (run.work / "all.jsonl").read_text() == done.out
    assert stat.S_IMODE((run.work / "all.jsonl").stat().st_mode) == 0o600


def test_an_export_does_not_overwrite_and_leaves_nothing_half_written(run: Shell) -> None:
    run("save", "one")
    (run.work / "all.jsonl").write_text("precious")
    assert run("export", "all.jsonl").code == 3
    assert (run.work / "all.jsonl").read_text() == "precious"
    nowhere = run("export", "missing/all.jsonl")
    assert nowhere.code == 4
    assert "missing/all.jsonl cannot be written" in nowhere.err
    assert sorted(path.name for path in run.work.iterdir()) == ["all.jsonl"]


@pytest.mark.parametrize("client", CLIENTS)
def test_mcp_prints_the_entry_of_a_client(inside: Inside, client: str) -> None:
    done = inside("mcp", "--print-config", client)
    assert done.code == 0
    assert "nokosu" in done.out


def test_mcp_prints_the_common_entry_and_refuses_an_unknown_client(run: Shell) -> None:
    assert "mcpServers" in run("mcp", "--print-config").out
    assert run("mcp", "--print-config", "toaster").code == 2


def test_mcp_ends_when_its_client_is_gone(run: Shell) -> None:
    assert run("mcp") == (0, "", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_line_to_paste(run: Shell, shell: str) -> None:
    done = run("completion", shell)
    assert done.code == 0
    assert len(done.out.splitlines()) == 1
    assert f"_NOKOSU_COMPLETE={shell}_source nokosu" in done.out
    source = run(env={"_NOKOSU_COMPLETE": f"{shell}_source"})
    assert (source.code, source.err) == (0, "")
    assert "_NOKOSU_COMPLETE" in source.out


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("nokosu re", {"restore", "rebuild"}),
        ("nokosu save --typ", {"--type"}),
        ("nokosu list --type de", {"decision"}),
        ("nokosu mcp --print-config co", {"codex"}),
        ("nokosu completion z", {"zsh"}),
    ],
)
def test_completion_knows_commands_options_and_their_words(run: Shell, typed: str, expected: set[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = run(env={"_NOKOSU_COMPLETE": "bash_complete", **words})
    assert {line.split(",")[1] for line in done.out.splitlines()} == expected


def test_the_readme_forms_of_the_first_minute_work(run: Shell) -> None:
    script = """
        set -e
        nokosu save "We moved to Postgres because Redis evicted our holds."
        nokosu search why postgres
        nokosu search "why postgres"
        nokosu list
        git log -1 --format=%B 2>/dev/null | nokosu save - || true
        nokosu status
    """
    done = run.sh(script)
    assert (done.returncode, done.stderr.count("Error")) == (0, 1), done.stderr  # git knows no commit here
    assert os.linesep not in ("\r\n",)
