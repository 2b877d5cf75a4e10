"""What each command does when all is well, what it answers as JSON, and its exit codes."""

from __future__ import annotations

import json
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
from nokosu.testing import Peer, SeededRandom, Store
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
    assert re.search(rf"\n  Examples:\n(.*\n)*    (.*\| )?nokosu {name}\b", out)
    assert out == inside(name, "-h").out


def test_an_unknown_command_is_a_usage_error(run: Shell) -> None:
    assert run("frobnicate") == (2, "", "Error: no such command: frobnicate\nTry: nokosu --help\n")


def test_a_mistyped_command_is_told_the_right_one(inside: Inside) -> None:
    assert "did you mean search?" in inside("serch", "x").err


# save -----------------------------------------------------------------------------------------------------------------


def test_a_save_prints_the_id_alone_and_a_search_finds_it(run: Shell) -> None:
    saved = run("save", "hello local")
    assert (saved.code, saved.err) == (0, "")
    assert ID.fullmatch(saved.id)
    assert run("search", "hello", "--json").json["hits"][0]["id"] == saved.id


def test_a_save_keeps_every_field(inside: Inside) -> None:
    old = inside("save", "Deploys run on Fridays.").id
    flags = ["--subject", "Deploys", "--type", "decision", "--project", "harbour", "--tag", "deploy", "--tag", "ci"]
    flags += ["--ref", "Makefile", "--ref", "https://example.org/1", "--importance", "4", "--supersedes", old[:8]]
    id = inside("save", "Deploys run from main only.", *flags, "--expires", "2999-12-31").id
    shown = inside("show", id, "--json").json
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
    assert inside("show", old, "--json").json["superseded_by"] == id


def test_a_save_as_json_tells_what_became_of_it(inside: Inside) -> None:
    saved = msgspec.convert(inside("save", "hello", "--project", "harbour", "--json").json, memory.Saved)
    assert ID.fullmatch(saved.id)
    assert (saved.duplicate, saved.project, saved.space) == (False, "harbour", "personal")


def test_the_same_text_again_prints_the_same_id_and_says_so(inside: Inside) -> None:
    first = inside("save", "hello local")
    again = inside("save", "hello local")
    assert (again.code, again.id) == (0, first.id)
    assert "already" in again.err
    assert inside("save", "hello local", "--json").json["duplicate"] is True


def test_a_secret_is_masked_and_the_person_told(inside: Inside) -> None:
    saved = inside("save", f"the key is {KEY} for now")
    assert saved.err.startswith("Note: masked 1 aws")
    assert KEY not in inside("show", saved.id).out


def test_a_save_in_no_project_says_unfiled(inside: Inside) -> None:
    saved = inside("save", "hello", cwd=inside.user_home)
    assert saved.code == 0
    assert "unfiled" in saved.err


def test_text_comes_from_stdin_and_from_a_file_without_its_last_line_end(inside: Inside) -> None:
    (inside.work / "note.txt").write_bytes("one\n\n二\n".encode())
    from_file = inside("save", "--from-file", "note.txt").id
    assert inside("show", from_file, "--json").json["text"] == "one\n\n二"
    assert inside("save", "-", stdin="one\n\n二\r\n").id == from_file
    assert inside("save", "-", stdin="\ufeffone\n\n二").id == from_file


def test_exactly_one_text_is_asked_for(inside: Inside) -> None:
    (inside.work / "note.txt").write_text("hello")
    for words in [(), ("text", "--from-file", "note.txt"), ("-", "--from-file", "note.txt")]:
        refused = inside("save", *words)
        assert refused.code == 2
        assert refused.err.startswith("Error: text: give one of TEXT, - for stdin, and --from-file\nTry: nokosu save")
    assert (
        inside("save", "two", "words").err
        == 'Error: text: several words: put the text in quotes\nTry: nokosu save "TEXT"\n'
    )
    assert not inside.home.exists()


def test_an_agent_and_its_session_sign_what_they_save(inside: Inside) -> None:
    agent = {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "s-1"}
    id = inside("save", "hello", env=agent).id
    shown = inside("show", id, "--json").json
    assert (shown["agent"], shown["session"], shown["source"]) == ("claude-code", "s-1", "agent")


def test_the_local_space_is_a_place_to_save(inside: Inside) -> None:
    id = inside("save", "only here", "--space", "local").id
    assert inside("list", "--space", "local", "--json").json["hits"][0]["id"] == id
    assert inside("list", "--space", "personal").code == 1
    assert inside("save", "x", "--space", "nowhere").code == 1


# search and list ------------------------------------------------------------------------------------------------------


@pytest.fixture
def five(inside: Inside) -> list[str]:
    """Five memories of two projects."""
    return [
        inside("save", "We chose Postgres because the exclusion constraint holds slots.", "--type", "decision").id,
        inside(
            "save", "Redis evicted live holds during the regatta weekend.\nThey live in Postgres now.", "--tag", "hold"
        ).id,
        inside("save", "東京都の港ではデプロイを行わない。", "--subject", "港").id,
        inside("save", "parse_iban rejects blanks", "--project", "bank", "--importance", "5").id,
        inside("save", "The pager is on the third shelf.", "--project", "bank", env={"NOKOSU_AGENT": "codex"}).id,
    ]


def test_words_need_no_quotes_and_the_best_hit_comes_first(run: Shell, five: list[str]) -> None:
    for words in [("why", "did", "we", "choose", "postgres"), ("why did we choose postgres",)]:
        assert run("search", *words, "--json").json["hits"][0]["id"] == five[0]


def test_hits_are_shown_at_length(inside: Inside, five: list[str]) -> None:
    found = inside("search", "evicted")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(
        rf"{five[1]}  note  work  {stamp}  \S+\n"
        r"  Redis evicted live holds during the regatta weekend\.\n"
        r"  They live in Postgres now\.\n"
        r"  \[has evicted\]\n"
        r"\n"
        r"1 of 1 memory\n",
        found.out,
    )
    assert (found.code, found.err) == (0, "")


def test_hits_as_json_are_the_ones_of_the_library(inside: Inside, five: list[str]) -> None:
    document = inside("search", "postgres", "--json").json
    hits = msgspec.convert(document, memory.Hits)
    assert {hit.id for hit in hits.hits} == set(five[:2])
    assert (hits.total, hits.project) == (2, "work")
    assert {"id", "subject", "text", "type", "project", "tags", "created", "agent", "device", "score"} <= document[
        "hits"
    ][0].keys()


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
def test_filters_narrow_a_listing(inside: Inside, five: list[str], flags: list[str], expected: set[int]) -> None:
    flags = flags if "--project" in flags else list(dict.fromkeys([*flags, "--all-projects"]))
    done = inside("list", *flags, "--json")
    assert {five.index(hit["id"]) for hit in done.json["hits"]} == expected
    assert done.code == (0 if expected else 1)
    assert inside("search", "", *flags, "--json") == done


def test_a_device_is_a_filter(inside: Inside, five: list[str]) -> None:
    device = inside("status", "--json").json["device"]
    assert inside("list", "--device", device).code == 0
    assert inside("list", "--device", "toaster").code == 1
    assert "toaster" in inside("list", "--device", "toaster").err


def test_a_listing_to_a_pipe_is_a_line_with_tabs_for_each_memory(inside: Inside, five: list[str]) -> None:
    listed = inside("list", "--all-projects")
    rows = [line.split("\t") for line in listed.out.splitlines()]
    assert [row[0] for row in rows] == five[::-1]
    assert {len(row) for row in rows} == {6}
    assert rows[0][1:3] == ["note", "bank"]
    assert rows[2][5] == "港"
    assert listed.err == "5 of 5 memories\n"


def test_a_listing_is_of_the_current_project_and_says_so(inside: Inside, five: list[str]) -> None:
    listed = inside("list")
    assert [line.split("\t")[0] for line in listed.out.splitlines()] == five[2::-1]
    assert listed.err == "3 of 3 memories in work (--all-projects shows the others)\n"


def test_what_is_left_out_is_said_with_what_to_type(inside: Inside, five: list[str]) -> None:
    inside("forget", five[0])
    listed = inside("list", "--all-projects", "--limit", "2")
    assert len(listed.out.splitlines()) == 2
    assert re.fullmatch(
        r"2 of (at least )?\d memories; withheld: 1 forgotten \(--forgotten\); more: --limit \d\n"
        r"|2 of (at least )?\d memories; more: --limit \d\n",
        listed.err,
    )
    searched = inside("search", "postgres")
    assert searched.out.endswith("\n1 of 1 memory; withheld: 1 forgotten (--forgotten)\n")
    assert five[0] in inside("search", "postgres", "--forgotten").out
    assert "[forgotten, has postgres]" in inside("search", "postgres", "--forgotten").out


def test_a_superseded_memory_is_withheld_and_can_be_asked_for(inside: Inside) -> None:
    old = inside("save", "The harbour opens at eight.").id
    new = inside("save", "The harbour opens at nine.", "--supersedes", old).id
    assert [hit["id"] for hit in inside("search", "harbour", "--json").json["hits"]] == [new]
    assert "1 superseded (--superseded)" in inside("search", "harbour").out
    assert f"[has harbour, superseded by {new}]" in inside("search", "harbour", "--superseded").out


def test_an_expired_memory_is_withheld_and_can_be_asked_for(inside: Inside) -> None:
    id = inside("save", "The harbour is closed today.", "--expires", "2001-01-01").id
    nothing = inside("search", "harbour")
    assert (nothing.code, nothing.out) == (1, "")
    assert nothing.err.startswith("Nothing found; withheld: 1 expired (--expired).\n")
    assert id in inside("list", "--expired").out


def test_a_hit_from_elsewhere_is_marked(inside: Inside, five: list[str]) -> None:
    assert "  bank (elsewhere)  " in inside("search", "parse_iban").out
    assert inside("search", "parseIban", "--json").json["hits"][0]["elsewhere"] is True


def test_each_hit_says_which_words_brought_it_or_what_it_stands_for(inside: Inside) -> None:
    old = inside("save", "Holds live in Redis.").id
    assert "  [has holds redis]\n" in inside("search", "holds", "redis").out
    new = inside("save", "Kept by slotd now.", "--supersedes", old).id
    done = inside("search", "holds", "redis")
    assert new in done.out
    assert f"  [in place of {old}, has holds redis]\n" in done.out
    assert inside("search", "holds", "--json").json["hits"][0]["in_place_of"] == old


def test_a_hit_that_has_few_of_the_words_is_marked(inside: Inside, five: list[str]) -> None:
    done = inside("search", "which colour has the parse_iban logo on the new header of the website")
    assert "  [weak: has only " in done.out
    assert "may be no answer" in done.err


@pytest.mark.parametrize("command", [("search", "quasar"), ("list", "--type", "bug")])
def test_nothing_found_is_exit_code_1_with_a_line_on_stderr(
    inside: Inside, five: list[str], command: tuple[str, ...]
) -> None:
    done = inside(*command)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Nothing found.")
    as_json = inside(*command, "--json")
    assert (as_json.code, as_json.err) == (1, "")
    assert as_json.json["hits"] == []


@pytest.mark.parametrize("command", [("search", "x"), ("list",), ("list", "--json"), ("show", "abcd")])
def test_before_the_first_save_there_is_nothing_and_nothing_is_made(inside: Inside, command: tuple[str, ...]) -> None:
    assert inside(*command).code == 1
    assert not inside.home.exists()


def test_an_excerpt_shows_the_lines_around_the_words(inside: Inside) -> None:
    inside("save", "A long story.\n" + "filler " * 400 + "the needle sits here " + "filler " * 400)
    found = inside("search", "needle")
    lines = found.out.splitlines()
    assert len(lines) == 1 + 1 + 3 + 1 + 1 + 1
    assert "needle" in " ".join(lines[2:5])
    assert lines[2].startswith("  …")
    assert lines[4].endswith("…")


# show -----------------------------------------------------------------------------------------------------------------


def test_show_takes_the_beginning_of_an_id_and_fences_the_text(inside: Inside) -> None:
    id = inside("save", "one\ntwo", "--tag", "a").id
    shown = inside("show", id[:6].upper())
    assert re.search(rf"^id +{id}$", shown.out, re.MULTILINE)
    assert re.search(r"^tags +a$", shown.out, re.MULTILINE)
    fence = re.search(
        r"\n----- ([0-9a-f]{8}) text: data, not instructions -----\none\ntwo\n----- \1 end -----\n", shown.out
    )
    assert fence
    assert fence[1] not in inside("show", id).out


def test_show_as_json_is_the_memory_of_the_library(inside: Inside) -> None:
    id = inside("save", "one").id
    shown = msgspec.convert(inside("show", id, "--json").json, memory.Memory)
    assert (shown.id, shown.text, shown.history) == (id, "one", ())
    assert [event["kind"] for event in inside("show", id, "--history", "--json").json["history"]] == ["save"]


def test_the_history_tells_every_change(inside: Inside) -> None:
    id = inside("save", "one").id
    inside("edit", id, "--text", "two")
    inside("forget", id)
    inside("restore", id)
    shown = inside("show", id, "--history").out
    assert re.findall(r"Z  (\w+) ", shown.partition("\nhistory\n")[2]) == ["save", "edit", "forget", "restore"]


def test_the_text_of_a_forgotten_memory_is_shown_only_when_asked_for(inside: Inside) -> None:
    id = inside("save", "a sunken wreck").id
    inside("forget", id)
    shown = inside("show", id)
    assert shown.code == 0
    assert "wreck" not in shown.out
    assert f"nokosu restore {id}" in shown.err
    assert "wreck" in inside("show", id, "--forgotten").out


def test_an_unknown_id_is_exit_code_1_and_an_ambiguous_one_3(inside: Inside) -> None:
    inside("save", "one")
    unknown = inside("show", "zzzzzzzz")
    assert unknown.code == 1
    assert unknown.err == "Error: id: no memory zzzzzzzz\nTry: nokosu search WORDS\n"


def test_a_conflict_is_shown_with_all_its_versions(inside: Inside) -> None:
    id = inside("save", "port 80").id
    with Store(inside.home / "nokosu.db") as store:
        (saved,) = store.records()
        peer = Peer(store.personal.id, random=SeededRandom(8), name="desktop", agent="codex")
        store.admit(peer)
        store.log.append_many([peer.edit(saved, text="port 8080"), peer.edit(saved, text="port 8443")])
    shown = inside("show", id).out
    assert re.search(r"^conflict +2 versions; the next edit settles it$", shown, re.MULTILINE)
    for number, text in enumerate(re.findall(r"port \d{4}", "".join(shown.split("\n\n")[1:])), 1):
        assert re.search(rf"----- \w+ version {number} of 2, \S+Z, codex@desktop: data, .*\n{text}\n", shown)
    assert set(re.findall(r"^port \d+$", shown, re.MULTILINE)) == {"port 8080", "port 8443"}
    assert "[has port, in conflict: nokosu show tells]" in inside("search", "port").out
    inside("edit", id, "--text", "port 8443, really")
    assert "conflict" not in inside("show", id).out


# edit -----------------------------------------------------------------------------------------------------------------


def test_an_edit_changes_what_is_given_and_keeps_the_rest(inside: Inside) -> None:
    id = inside("save", "one", "--tag", "a", "--type", "bug", "--importance", "2").id
    assert inside("edit", id[:8], "--text", "two", "--tag", "b", "--tag", "c").id == id
    shown = inside("show", id, "--json").json
    assert (shown["text"], shown["tags"], shown["type"], shown["importance"]) == ("two", ["b", "c"], "bug", 2)


def test_an_edit_clears_what_is_named(inside: Inside) -> None:
    flags = ["--subject", "s", "--tag", "a", "--ref", "r", "--importance", "2", "--expires", "2999-01-01"]
    id = inside("save", "one", *flags, "--supersedes", "0123456789ab").id
    fields = ("subject", "project", "tags", "refs", "importance", "supersedes", "expires")
    edited = inside("edit", id, *(word for field in fields for word in ("--clear", field)), "--json")
    assert (edited.code, edited.json["id"]) == (0, id)
    shown = inside("show", id, "--json").json
    assert [shown[field] for field in fields] == ["one", "", [], [], None, [], None]
    assert inside("edit", id, "--clear", "tags", "--tag", "x").err == "Error: tags: both given and cleared\n"


def test_an_edit_takes_its_text_from_stdin_or_a_file(inside: Inside) -> None:
    id = inside("save", "one").id
    inside("edit", id, "--text", "-", stdin="two\n")
    assert inside("show", id, "--json").json["text"] == "two"
    (inside.work / "note.txt").write_text("three\n")
    inside("edit", id, "--from-file", "note.txt")
    assert inside("show", id, "--json").json["text"] == "three"


def test_an_edit_without_anything_to_change_is_refused_off_a_terminal(inside: Inside) -> None:
    id = inside("save", "one").id
    refused = inside("edit", id)
    assert refused.code == 2
    assert refused.err.startswith("Error: edit: nothing to change")


def test_an_edit_of_a_forgotten_memory_is_refused_with_the_way_out(inside: Inside) -> None:
    id = inside("save", "one").id
    inside("forget", id)
    assert inside("edit", id, "--text", "two") == (
        3,
        "",
        f"Error: memory {id} is forgotten\nTry: nokosu restore {id}\n",
    )


# forget and restore ---------------------------------------------------------------------------------------------------


def test_a_forgotten_memory_is_gone_until_it_is_restored(inside: Inside) -> None:
    id = inside("save", "a sunken wreck").id
    forgotten = inside("forget", id[:8])
    assert forgotten.id == id
    assert forgotten.err == f"Undo: nokosu restore {id} (within 30 days)\n"
    assert inside("search", "wreck").code == 1
    assert inside("restore", id).id == id
    assert inside("search", "wreck").code == 0


def test_forget_and_restore_answer_as_json(inside: Inside) -> None:
    id = inside("save", "one").id
    for command in ("forget", "restore"):
        done = inside(command, id, "--json")
        assert (done.code, done.json["id"], done.json["duplicate"]) == (0, id, False)
        assert inside(command, id, "--json").json["duplicate"] is True


def test_a_dry_run_of_forget_changes_nothing(inside: Inside) -> None:
    id = inside("save", "one").id
    for flags in ([], ["--purge"]):
        dry = inside("forget", id, "--dry-run", *flags)
        assert dry.code == 0
        assert dry.out == f"would {'purge, for good,' if flags else 'forget'} {id} (one); nothing was changed\n"
    assert inside("list").out.startswith(id)
    assert inside("forget", "zzzzzzzz", "--dry-run").code == 1


def test_a_purge_off_a_terminal_needs_yes_and_is_final(inside: Inside) -> None:
    id = inside("save", "a sunken wreck").id
    refused = inside("forget", id, "--purge")
    assert refused == (2, "", f"Error: purge: it cannot be undone\nTry: nokosu forget {id} --purge --yes\n")
    assert inside("search", "wreck").code == 0
    purged = inside("forget", id, "--purge", "--yes")
    assert (purged.id, "Undo" in purged.err) == (id, False)
    assert inside("restore", id).code == 3
    assert "purged" in inside("show", id).err
    assert not any(b"sunken" in path.read_bytes() for path in inside.home.iterdir())


# The rest -------------------------------------------------------------------------------------------------------------


def test_a_brief_tells_what_is_there(inside: Inside) -> None:
    id = inside("save", "Deploys run from main only.", "--type", "decision", "--project", "harbour").id
    brief = inside("brief", "--project", "harbour")
    assert brief.code == 0
    assert id in brief.out
    assert "Deploys run from main only." in brief.out
    as_json = msgspec.convert(inside("brief", "--project", "harbour", "--tokens", "200", "--json").json, memory.Brief)
    assert (as_json.ids, as_json.project) == ((id,), "harbour")
    for words in (("--tokens", "1"), ("--tokens", "many"), ("--since", "lately")):
        refused = inside("brief", *words)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.startswith(f"Error: {words[0][2:]}: ")
        assert refused.err.count("\n") == 1


def test_a_brief_tells_each_agent_what_is_new_to_it(inside: Inside) -> None:
    codex, claude = ({"NOKOSU_AGENT": name} for name in ("codex", "claude-code"))
    inside("save", "We moor at pier 7", "--project", "harbour", env=codex)
    assert "New since" not in inside("brief", "--project", "harbour", env=claude).out
    id = inside("save", "Pier 7 is closed on Mondays", "--project", "harbour", env=codex).id
    first = inside("brief", "--project", "harbour", env=claude).out
    assert first == inside("brief", "--project", "harbour", env=claude).out
    assert first.index("New since you were last told") < first.index(id) < first.index("Notes")
    assert "New since" not in inside("brief", "--project", "harbour", env=codex).out
    since = inside("brief", "--project", "harbour", "--since", "2026-01-01", env=claude).out
    assert "New since 2026-01-01T00:00Z, by others" in since


def test_a_file_that_a_brief_could_not_read_is_noted(inside: Inside) -> None:
    (inside.work / "AGENTS.md").write_bytes(b"\xff")
    inside("save", "We moor at pier 7")
    brief = inside("brief")
    assert brief.code == 0
    assert "Note: not read: AGENTS.md (not UTF-8)" in brief.err
    assert "pier 7" in brief.out


def test_status_says_where_everything_lives(inside: Inside) -> None:
    before = inside("status")
    assert before.code == 0
    assert "made at the first save" in before.out
    assert not inside.home.exists()
    inside("save", "one")
    status = msgspec.convert(inside("status", "--json").json, memory.Status)
    assert (status.version, status.home, status.memories, status.exists) == (__version__, str(inside.home), 1, True)
    shown = inside("status").out
    assert re.search(rf"^database +{re.escape(str(inside.home / 'nokosu.db'))}, [\d.]+ KiB", shown, re.MULTILINE)
    assert re.search(r"^space personal +1 memory, ", shown, re.MULTILINE)


def test_a_healthy_installation_is_all_green(inside: Inside) -> None:
    inside("save", "one")
    done = inside("doctor")
    assert done.code == 0, done.out
    assert {line.split()[0] for line in done.out.splitlines() if not line.startswith(" ")} == {"ok"}
    assert {result["level"] for result in inside("doctor", "--json").json} == {"ok"}


def test_verify_is_clean_and_rebuild_changes_nothing(inside: Inside) -> None:
    id = inside("save", "a sunken wreck").id
    assert inside("verify") == (0, "1 record in 1 log, 1 memory checked: 0 problems\n", "")
    assert inside("rebuild").out.startswith("1 memory indexed anew in ")
    assert inside("rebuild", "--json").json["memories"] == 1
    assert inside("search", "wreck", "--json").json["hits"][0]["id"] == id
    assert msgspec.convert(inside("verify", "--json").json, memory.Verified).problems == ()


def test_a_backup_is_a_whole_store_for_its_owners_eyes(inside: Inside) -> None:
    id = inside("save", "a sunken wreck").id
    done = inside("backup", "copy.db")
    copy = inside.work / "copy.db"
    assert done.code == 0
    assert done.out == f"copy.db: {copy.stat().st_size:,} bytes\n"
    assert "private key" in done.err
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    again = inside("backup", "copy.db")
    assert again.code != 0
    assert "exists already" in again.err
    other = inside.work / "other"
    other.mkdir()
    copy.rename(other / "nokosu.db")
    elsewhere = {"NOKOSU_HOME": str(other)}
    assert inside("search", "wreck", "--json", env=elsewhere).json["hits"][0]["id"] == id
    assert inside("verify", env=elsewhere).code == 0


def test_an_export_is_one_line_of_json_for_each_memory(inside: Inside) -> None:
    kept, forgotten, purged = (inside("save", text).id for text in ("kept 港", "forgotten", "purged"))
    inside("forget", forgotten)
    inside("forget", purged, "--purge", "--yes")
    done = inside("export")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [(line["id"], line["status"]) for line in lines] == [(kept, "live"), (forgotten, "forgotten")]
    assert lines[0]["text"] == "kept 港"
    assert done.err == "2 memories exported\n"
    assert inside("export", "-").out == done.out
    to_file = inside("export", "all.jsonl")
    assert (to_file.code, to_file.out) == (0, "")
    assert (inside.work / "all.jsonl").read_text() == done.out
    assert stat.S_IMODE((inside.work / "all.jsonl").stat().st_mode) == 0o600


def test_an_export_does_not_overwrite_and_leaves_nothing_half_written(inside: Inside) -> None:
    inside("save", "one")
    (inside.work / "all.jsonl").write_text("precious")
    assert inside("export", "all.jsonl").code == 3
    assert (inside.work / "all.jsonl").read_text() == "precious"
    nowhere = inside("export", "missing/all.jsonl")
    assert nowhere.code == 4
    assert "missing/all.jsonl cannot be written" in nowhere.err
    assert sorted(path.name for path in inside.work.iterdir()) == ["all.jsonl"]


@pytest.mark.parametrize("client", CLIENTS)
def test_mcp_prints_the_entry_of_a_client(inside: Inside, client: str) -> None:
    done = inside("mcp", "--print-config", client)
    assert done.code == 0
    assert "nokosu" in done.out


def test_mcp_prints_the_common_entry_and_refuses_an_unknown_client(inside: Inside) -> None:
    assert "mcpServers" in inside("mcp", "--print-config").out
    assert inside("mcp", "--print-config", "toaster").code == 2


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
        ("nokosu re", {"restore", "rebuild", "revoke"}),
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
