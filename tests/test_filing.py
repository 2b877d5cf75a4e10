"""Which project a memory is filed under and a search is about: real folders, real git, and only the public door."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu.config import Config
from nokosu.drafts import Change, Draft, Filters, Query
from nokosu.errors import NotFound, Refused, UsageError
from nokosu.nokosu import Nokosu
from nokosu.testing import ManualClock, SeededRandom
from tests.promises import promise

In = Callable[..., Nokosu]

REMOTE = "https://github.com/org/app.git"


@pytest.fixture
def inside(config: Config, clock: ManualClock) -> Iterator[In]:
    """The same store for somebody who works in a folder: `inside(folder)`; each time as a process of its own."""
    opened: list[Nokosu] = []

    def open_in(*folders: Path, **settings: Any) -> Nokosu:
        here = msgspec.structs.replace(config, workspaces=folders, **settings)
        opened.append(Nokosu(here, wall_clock=clock, random=SeededRandom(len(opened))))
        return opened[-1]

    yield open_in
    for one in opened:
        one.close()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a folder below the home directory."""

    def make(name: str) -> Path:
        made = tmp_path / name
        made.mkdir(parents=True)
        return made

    return make


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def repository(folder: Path, remote: str = REMOTE) -> Path:
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", remote)
    return folder


def save(memory: Nokosu, text: str, **fields: Any) -> str:
    return memory.save(Draft(text=text, **fields)).project


def found(memory: Nokosu, **filters: Any) -> list[str]:
    return sorted(hit.text for hit in memory.list(Filters(**filters)).hits)


# Folders --------------------------------------------------------------------------------------------------------------


@promise("projects-follow")
def test_subfolders_clones_renames_and_worktrees_are_one_project(inside: In, folder: Callable[[str], Path]) -> None:
    first = repository(folder("work/app"))
    clone = repository(folder("elsewhere/my-clone"), "git@github.com:org/app")
    (first / "src" / "deep").mkdir(parents=True)
    git(first, "commit", "--quiet", "--allow-empty", "-m", "first")
    git(first, "worktree", "add", "--quiet", str(first.parent / "a-worktree"))
    places = [first, first / "src" / "deep", clone, first.parent / "a-worktree"]
    assert {save(inside(place), f"from {number}") for number, place in enumerate(places)} == {"app"}
    renamed = first.rename(first.parent / "app-2")
    for place in (renamed, renamed / "src", clone):
        assert found(inside(place)) == ["from 0", "from 1", "from 2", "from 3"]


@promise("projects-follow")
def test_a_clone_is_known_by_the_first_commit_once_that_was_found(
    inside: In, folder: Callable[[str], Path], tmp_path: Path
) -> None:
    first = folder("first")
    git(first, "init", "--quiet")
    git(first, "commit", "--quiet", "--allow-empty", "-m", "the root")
    memory = inside(first)
    save(memory, "before the root was looked for at leisure")
    memory.complete_project()
    save(memory, "after")
    git(first.parent, "clone", "--quiet", str(first), "second")
    there = inside(tmp_path / "second")
    save(there, "from the clone")
    there.complete_project()
    save(there, "from the clone, later")
    assert len(found(inside(tmp_path / "second"))) == 4
    assert len(found(inside(first))) == 4


def test_a_folder_without_git_is_a_project_by_its_path(inside: In, folder: Callable[[str], Path]) -> None:
    notes, other = folder("a/notes"), folder("b/notes")
    assert (save(inside(notes), "here"), save(inside(other), "there")) == ("notes", "notes")
    assert found(inside(notes)) == ["here"]
    assert found(inside(other)) == ["there"]


def test_a_remote_that_is_added_later_joins_what_was_there(inside: In, folder: Callable[[str], Path]) -> None:
    first = folder("app")
    git(first, "init", "--quiet")
    save(inside(first), "before the remote")
    git(first, "remote", "add", "origin", REMOTE)
    save(inside(first), "after the remote")
    clone = repository(folder("clone"))
    assert found(inside(clone)) == ["after the remote", "before the remote"]


def test_home_and_the_root_are_no_project_and_the_answer_says_so(inside: In, tmp_path: Path) -> None:
    for place in (tmp_path, Path("/")):
        saved = inside(place).save(Draft(text=f"at {place}"))
        assert (saved.project, saved.notes) == ("", (f"unfiled: {place} is no project (name one with project)",))
    saved = inside().save(Draft(text="nowhere"))
    assert (saved.project, saved.notes) == ("", ("unfiled: the current folder is no project (name one with project)",))
    assert inside(tmp_path).save(Draft(text="named", project=str(tmp_path))).notes != ()


def test_a_workspace_that_is_gone_is_passed_over(inside: In, folder: Callable[[str], Path], tmp_path: Path) -> None:
    gone, here = tmp_path / "gone", folder("here")
    assert save(inside(gone, here), "x") == "here"
    assert save(inside(gone), "y") == ""


# Names and paths ------------------------------------------------------------------------------------------------------


def test_a_project_is_named_by_its_name_in_any_case_or_by_a_path(inside: In, folder: Callable[[str], Path]) -> None:
    app = repository(folder("app"))
    (app / "src").mkdir()
    save(inside(app), "from the folder")
    nowhere = inside()
    assert save(nowhere, "by name", project="APP") == "app"
    assert save(nowhere, "by path", project=str(app / "src")) == "app"
    for project in ("app", "App", str(app), str(app / "src")):
        assert found(nowhere, project=project) == ["by name", "by path", "from the folder"]


def test_a_path_that_does_not_exist_is_refused_by_name(inside: In, tmp_path: Path) -> None:
    memory = inside()
    save(memory, "x")
    for act in (
        lambda: memory.save(Draft(text="y", project=str(tmp_path / "gone"))),
        lambda: memory.list(Filters(project=str(tmp_path / "gone"))),
    ):
        with pytest.raises(UsageError, match="project: ") as refused:
            act()
        assert refused.value.field == "project"


def test_an_unknown_name_is_refused_with_those_that_there_are(inside: In) -> None:
    memory = inside()
    save(memory, "x", project="harbour")
    with pytest.raises(NotFound, match=r"none is called 'harbor' \(there are: harbour\)"):
        memory.search(Query(text="x", project="harbor"))


def test_a_name_that_two_projects_share_is_refused_with_candidates_that_can_be_typed(
    inside: In, folder: Callable[[str], Path]
) -> None:
    one, other = repository(folder("a/app")), repository(folder("b/app"), "https://github.com/another/app")
    save(inside(one), "of one")
    save(inside(other), "of the other")
    nowhere = inside()
    for act in (lambda: save(nowhere, "z", project="app"), lambda: found(nowhere, project="app")):
        with pytest.raises(Refused, match="2 projects are called 'app'"):
            act()
    candidates = candidates_of(nowhere, "app")
    assert sorted(found(nowhere, project=candidate)[0] for candidate in candidates) == ["of one", "of the other"]
    assert found(nowhere, project=str(one)) == ["of one"]


def candidates_of(memory: Nokosu, name: str) -> list[str]:
    with pytest.raises(Refused) as refused:
        found(memory, project=name)
    return [word.rstrip(",") for word in refused.value.message.split() if "@" in word]


def test_a_project_known_by_name_only_is_joined_by_the_folder_of_that_name(
    inside: In, folder: Callable[[str], Path]
) -> None:
    save(inside(), "said before there was a folder", project="harbour")
    harbour = repository(folder("x/harbour"), "https://github.com/org/harbour")
    here = inside(harbour)
    assert found(here) == ["said before there was a folder"]
    save(here, "said in the folder")
    another = folder("y/harbour")
    assert save(inside(another), "of another folder") == "harbour"
    assert found(inside(another)) == ["of another folder"]
    assert found(inside(harbour)) == ["said before there was a folder", "said in the folder"]


@promise("projects-follow")
def test_the_environment_may_name_the_project(inside: In, folder: Callable[[str], Path]) -> None:
    app = folder("app")
    save(inside(), "of no project")
    named = inside(app, project="harbour")
    assert named.search(Query(text="anything")).hits == ()
    assert named.status().project == "harbour"
    assert named.brief().ids == ()
    assert save(named, "of the harbour") == "harbour"
    assert found(named) == ["of the harbour"]
    assert found(inside(app), project=str(app)) == []


# The index ------------------------------------------------------------------------------------------------------------


@promise("search-is-the-log")
def test_a_rebuild_knows_the_same_projects(inside: In, folder: Callable[[str], Path]) -> None:
    first = folder("app")
    git(first, "init", "--quiet")
    save(inside(first), "known by path")
    git(first, "remote", "add", "origin", REMOTE)
    joining = inside(first).save(Draft(text="names both keys")).id
    clone = repository(folder("clone"))
    save(inside(clone), "known by remote")
    memory = inside(clone)
    memory.purge(joining)
    before = found(memory)
    assert before == ["known by path", "known by remote"]
    memory.rebuild()
    assert found(inside(clone)) == before
    assert found(inside(first)) == before
    assert memory.verify().problems == ()


def test_a_memory_that_moved_away_leaves_its_projects_joined(inside: In, folder: Callable[[str], Path]) -> None:
    first = folder("app")
    git(first, "init", "--quiet")
    save(inside(first), "known by path")
    git(first, "remote", "add", "origin", REMOTE)
    memory = inside(first)
    joining = memory.save(Draft(text="names both keys")).id
    save(inside(repository(folder("clone"))), "known by remote")
    memory.edit(joining, Change(project="somewhere else"))
    memory.rebuild()
    assert found(inside(first)) == ["known by path", "known by remote"]
    assert memory.verify().problems == ()


def test_a_folder_that_became_another_repository_is_another_project(inside: In, folder: Callable[[str], Path]) -> None:
    app = repository(folder("app"))
    save(inside(app), "of the old one")
    shutil.rmtree(app)
    repository(folder("app"), "https://github.com/org/other")
    assert found(inside(app)) == []
    assert save(inside(app), "of the new one") == "other"
