"""The brief of a real store: who is told what as new, and when; what stands; and what the repository says anyway."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu import limits, looks
from nokosu.brief import tokens_in
from nokosu.config import Config, ProjectConfig
from nokosu.drafts import Change, Draft, Filters
from nokosu.errors import UsageError
from nokosu.identity.projects import key
from nokosu.memory import Brief
from nokosu.nokosu import Nokosu
from nokosu.records import Author
from nokosu.testing import ManualClock, Peer, SeededRandom, Store
from tests.promises import promise

As = Callable[..., Nokosu]
NEW = "New since you were last told, by others"


@pytest.fixture
def agent(config: Config, clock: ManualClock) -> Iterator[As]:
    """The same store as some agent sees it: `agent("codex")`, in project app; each time as a process of its own."""
    opened: list[Nokosu] = []

    def open_as(name: str, **settings: Any) -> Nokosu:
        seen = msgspec.structs.replace(config, **{"author": Author(agent=name), "project": "app"} | settings)
        opened.append(Nokosu(seen, wall_clock=clock, random=SeededRandom(len(opened))))
        return opened[-1]

    yield open_as
    for one in opened:
        one.close()


def save(memory: Nokosu, text: str, **fields: Any) -> str:
    return memory.save(Draft(text=text, **fields)).id


def told(memory: Nokosu, **asked: Any) -> Brief:
    """The brief of a session that begins, and is told."""
    brief = memory.brief(**asked)
    assert memory.told()
    return brief


def news(brief: Brief, title: str = NEW) -> list[str]:
    """The ids below the title of what is new."""
    lines = iter(brief.text.split("\n"))
    if title not in lines:
        return []
    return [line.split()[1] for line in iter(lambda: next(lines), "")]


# What is new ----------------------------------------------------------------------------------------------------------


def test_an_agent_is_told_as_new_what_others_wrote_since_it_was_last_told(agent: As) -> None:
    codex, claude = agent("codex"), agent("claude-code")
    save(codex, "Deploys run from main", type="decision")
    first = told(claude)
    assert (news(first), len(first.ids)) == ([], 1)
    found = save(codex, "The race in reserve_slot is fixed", type="bug")
    save(claude, "Written by the one who asks")
    second = told(claude)
    assert news(second) == [found]
    assert second.text.count(found) == 1
    later = save(agent("gemini-cli"), "Slots are held in slotd")
    assert news(told(claude)) == [later]
    assert news(told(codex)) == []


@promise("brief-is-repeatable")
def test_the_same_store_gives_the_same_text_however_often_it_is_asked(agent: As) -> None:
    codex, claude = agent("codex"), agent("claude-code")
    save(codex, "Deploys run from main", type="decision")
    assert len({told(claude).text for _ in range(3)}) == 1
    found = save(codex, "The race in reserve_slot is fixed", type="bug")
    texts = [told(agent("claude-code")) for _ in range(3)]
    assert len({brief.text for brief in texts}) == 1
    assert news(texts[0]) == [found]


def test_what_is_only_read_and_not_told_stays_new(agent: As) -> None:
    codex, claude = agent("codex"), agent("claude-code")
    save(codex, "one")
    told(claude)
    found = save(codex, "two")
    for _ in range(2):
        assert news(claude.brief()) == [found]
        save(claude, "one's own")


def test_what_comes_late_from_a_device_whose_clock_is_behind_is_new(agent: As, config: Config) -> None:
    claude = agent("claude-code", project=None)
    save(claude, "first", project="app")
    with Store(config.database) as below:
        peer = Peer(below.personal.id, wall_clock=ManualClock(10**12), random=SeededRandom(8), agent="claude-code")
        below.admit(peer)
        told(claude, project="app")
        record = peer.save("learnt years ago", projects=(key("name", "app"),), type="pattern", project="app")
        below.log.append(record)
    assert news(told(claude, project="app")) == [record.core.memory]


def test_an_edit_by_another_is_new_and_what_was_forgotten_or_superseded_is_not(agent: As) -> None:
    codex, claude = agent("codex"), agent("claude-code")
    ids = [save(codex, f"fact of pier number {number}") for number in range(4)]
    told(claude)
    codex.edit(ids[0], Change(text="the pier has moved"))
    gone, old = save(codex, "gone soon"), save(codex, "replaced soon")
    codex.forget(gone)
    newer = save(codex, "the replacement", supersedes=(old,))
    brief = told(claude)
    assert news(brief) == [newer, ids[0]]
    assert not {gone, old} & set(brief.ids)


def test_each_project_and_each_agent_has_a_mark_of_its_own_and_a_person_too(agent: As) -> None:
    codex, person = agent("codex"), agent("")
    save(codex, "in app")
    save(codex, "in web", project="web")
    for memory in (person, agent("claude-code")):
        for project in ("app", "web", None):
            told(memory, project=project)
    found = save(codex, "new in app")
    assert news(told(person, project="web")) == []
    assert news(told(person, project="app")) == [found]
    assert news(told(agent("claude-code"), project="app")) == [found]


def test_news_since_a_time_leave_the_mark_where_it_is(agent: As, clock: ManualClock) -> None:
    codex, claude = agent("codex"), agent("claude-code")
    save(codex, "long ago")
    told(claude)
    clock.advance(days=3)
    found = save(codex, "lately")
    save(claude, "one's own")
    since = told(claude, since="2026-01-02")
    assert news(since, "New since 2026-01-02T00:00Z, by others") == [found]
    assert "3 d ago" in since.text
    assert news(told(claude)) == [found]
    with pytest.raises(UsageError, match="since: 'lately' is not a date"):
        claude.brief(since="lately")


def test_a_note_that_is_damaged_or_of_another_store_means_no_news_and_is_replaced(agent: As, config: Config) -> None:
    codex, claude = agent("codex"), agent("claude-code")
    save(codex, "one")
    told(claude)
    (note,) = (config.home / looks.FOLDER).iterdir()
    whole = looks.read(note)
    assert whole is not None
    other = msgspec.structs.replace(whole, until=looks.Position(whole.until.record, b"of another store"))
    for data in (b"", b"\xff{", msgspec.json.encode(other)):
        note.write_bytes(data)
        save(codex, f"another one, {data!r}")
        assert news(told(claude)) == []
        assert looks.read(note) is not None
    found = save(codex, "and one more")
    assert news(told(claude)) == [found]


def test_a_home_in_which_nothing_can_be_noted_is_told_the_same_again(agent: As, config: Config) -> None:
    codex, claude = agent("codex"), agent("claude-code")
    save(codex, "one")
    (config.home / looks.FOLDER).write_text("a file where the folder should be")
    assert claude.brief().ids == claude.brief().ids
    assert not claude.told()
    assert claude.told()


# What stands ----------------------------------------------------------------------------------------------------------


def test_what_is_forgotten_expired_superseded_or_of_another_project_is_not_told(agent: As, clock: ManualClock) -> None:
    codex = agent("codex")
    ids = {name: save(codex, f"{name} is one of those") for name in ("kept", "gone", "replaced")}
    save(codex, "not for long", expires="2026-01-02")
    save(codex, "elsewhere", project="web")
    codex.forget(ids["gone"])
    newer = save(codex, "in its place", supersedes=(ids["replaced"],))
    clock.advance(days=5)
    brief = codex.brief()
    assert set(brief.ids) == {ids["kept"], newer}
    assert brief.withheld == {}
    codex.forget(newer)
    assert set(codex.brief().ids) == {ids["kept"], ids["replaced"]}


def test_of_memories_that_supersede_one_another_in_a_circle_the_latest_is_told(agent: As, clock: ManualClock) -> None:
    codex = agent("codex")
    first = save(codex, "the chicken")
    clock.advance(ms=1)
    second = save(codex, "the egg", supersedes=(first,))
    codex.edit(first, Change(supersedes=(second,)))
    assert codex.brief().ids == tuple(hit.id for hit in codex.list(Filters(project="app")).hits)


def test_the_important_come_first_and_of_summaries_the_latest(agent: As, clock: ManualClock) -> None:
    codex = agent("codex")
    ids = []
    for number, (type, importance) in enumerate(
        [("decision", None), ("decision", 5), ("decision", 2), ("summary", 5), ("summary", None)]
    ):
        ids.append(save(codex, f"thing number {number} of {type}", type=type, importance=importance))
        clock.advance(ms=1)
    brief = codex.brief()
    order = [line.split()[1] for line in brief.text.split("\n") if line.startswith("- ")]
    assert order == [ids[1], ids[2], ids[0], ids[4]]
    assert brief.withheld == {"older summaries": 1}


def test_in_no_project_all_are_told_but_those_kept_apart_and_each_names_its_own(agent: As) -> None:
    apart = {"acme": ProjectConfig(search_elsewhere=False)}
    anywhere = agent("codex", project=None, projects=apart)
    seen, hidden = save(anywhere, "of web", project="web"), save(anywhere, "of acme", project="acme")
    brief = anywhere.brief()
    assert brief.ids == (seen,)
    assert "in web |" in brief.text
    assert hidden not in brief.text
    assert anywhere.brief("acme").ids == (hidden,)


def test_damage_is_counted_and_never_shown(agent: As, config: Config) -> None:
    codex = agent("codex")
    bad, good = save(codex, "the sunken lamp"), save(codex, "the lamp that is lit")
    with Store(config.database) as below, below.database.write() as connection:
        connection.run("UPDATE record SET body = zeroblob(40) WHERE memory = ?", (bad,))
    brief = codex.brief()
    assert (brief.ids, brief.withheld) == ((good,), {"damaged": 1})
    assert "sunken" not in brief.text


def test_only_so_many_of_the_newest_are_looked_at_and_then_it_says_at_least(
    agent: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    codex = agent("codex")
    codex.save_many([Draft(text=f"thing {number} of this very kind") for number in range(30)])
    monkeypatch.setattr(limits, "BRIEF_MEMORIES_MAX", 20)
    brief = codex.brief(tokens=300)
    assert brief.left_out == 20 - len(brief.ids)
    assert "at least" in brief.text


@pytest.mark.parametrize("tokens", [limits.BRIEF_TOKENS_MIN - 1, limits.BRIEF_TOKENS_MAX + 1, -1])
def test_a_budget_out_of_bounds_is_refused_with_the_bounds(agent: As, tokens: int) -> None:
    with pytest.raises(UsageError, match=f"^tokens: {tokens} is not from 100 to 20000$"):
        agent("codex").brief(tokens=tokens)


@promise("brief-keeps-its-budget")
@pytest.mark.parametrize("tokens", [limits.BRIEF_TOKENS_MIN, 300, limits.BRIEF_TOKENS_DEFAULT])
def test_what_the_caller_puts_around_a_brief_is_part_of_its_budget(agent: As, tokens: int) -> None:
    codex = agent("codex")
    codex.save_many(
        [Draft(text=f"{number}番目の決定: デプロイは main から 🚀", type="decision") for number in range(60)]
    )
    assert tokens_in(codex.brief(tokens=tokens, around=37).text) <= tokens - 37


# What the repository says ---------------------------------------------------------------------------------------------


def test_what_the_repository_tells_every_agent_is_left_out(agent: As, tmp_path: Path) -> None:
    top = tmp_path / "code" / "app"
    below = top / "src"
    below.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", str(top)], check=True)
    (top / "AGENTS.md").write_text("# App\n\n- Deploys run from `main` only.\n")
    (below / "CLAUDE.md").write_bytes(b"\xff")
    here = agent("codex", project=None, workspaces=(below,))
    said = save(here, "Deploys run from main only.", type="decision")
    kept = save(here, "Deploys to staging run from any branch.", type="decision")
    brief = here.brief()
    assert (brief.ids, brief.withheld) == ((kept,), {"in CLAUDE.md or AGENTS.md": 1})
    assert brief.notes == ("not read: src/CLAUDE.md (not UTF-8)",)
    assert brief.text.split("\n")[-2] == "Not read: src/CLAUDE.md (not UTF-8)."
    for named in (brief.project, str(below), str(top)):
        assert here.brief(named).ids == (kept,)
    elsewhere = agent("codex", project=None)
    assert set(elsewhere.brief(brief.project).ids) == {said, kept}
    shutil.rmtree(top)
    assert set(agent("codex", project=None, workspaces=(below,)).brief(brief.project).ids) == {said, kept}
