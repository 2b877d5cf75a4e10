"""Projects, with real git repositories: what makes two places one, what keeps them apart, and what must not run."""

from __future__ import annotations

import os
import subprocess
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nokosu import limits
from nokosu.errors import UsageError
from nokosu.identity import projects
from nokosu.identity.projects import Place, key, normalise_remote, top_of

DEVICE = bytes(range(16))
PATIENT_MS = 30_000  # a loaded test machine must not change an answer
NOBODY = 65534

Repo = Callable[..., Path]


def git(folder: Path, *words: str) -> str:
    """Run git in *folder* as the same person at the same time, whoever runs the tests."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Aki",
        "GIT_AUTHOR_EMAIL": "aki@example.org",
        "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
        "GIT_COMMITTER_NAME": "Aki",
        "GIT_COMMITTER_EMAIL": "aki@example.org",
        "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    }
    command = ["git", "-C", str(folder), "-c", "protocol.file.allow=always", *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, message: str) -> None:
    git(folder, "commit", "--quiet", "--allow-empty", "-m", message)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home directory; everything a test makes lies below it, so that the walk up ends here."""
    return tmp_path.resolve()


@pytest.fixture
def repo(home: Path) -> Repo:
    """Makes a repository below home: `repo("app")` has one commit of its own, `repo("app", commits=0)` none."""

    def make(name: str, *, remote: str = "", commits: int = 1) -> Path:
        folder = home / name
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "-b", "main")
        for number in range(commits):
            commit(folder, f"{name} {number}")
        if remote:
            git(folder, "remote", "add", "origin", remote)
        return folder

    return make


@pytest.fixture
def find(home: Path) -> Callable[..., Place | None]:
    def locate(path: Path, *, wait_ms: int = PATIENT_MS, git: str = "git", device: bytes = DEVICE) -> Place | None:
        return projects.locate(path, home=home, device=device, wait_ms=wait_ms, git=git)

    return locate


@pytest.fixture
def place(find: Callable[..., Place | None]) -> Callable[..., Place]:
    def locate(path: Path, **options: object) -> Place:
        found = find(path, **options)
        assert found is not None
        return found

    return locate


Locate = Callable[..., Place]


def path_key(folder: Path) -> bytes:
    return key("path", f"{DEVICE.hex()}:{folder}")


def root_key(folder: Path, revision: str = "HEAD") -> bytes:
    """What we expect of git: the only commit of a history of one commit."""
    return key("root", git(folder, "rev-parse", revision))


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Root ignores modes, so be nobody for a while; *folder* is given to nobody first."""
    if os.geteuid() != 0:
        yield
        return
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o055 != 0o055 and parent != folder:
            parent.chmod(0o755)
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


# What makes two places one --------------------------------------------------------------------------------------------


def test_a_repository_is_known_by_its_root_commit_and_its_remote(repo: Repo, place: Locate) -> None:
    app = repo("app", remote="git@github.com:Org/App.git")
    assert place(app) == Place(
        root=str(app),
        name="App",
        keys=tuple(sorted((root_key(app), key("remote", "github.com/org/app")))),
        complete=True,
    )


def test_the_root_commit_is_the_first_one_and_stays_when_more_are_made(repo: Repo, place: Locate) -> None:
    app = repo("app")
    first = place(app).keys
    commit(app, "second")
    assert place(app).keys == first == (root_key(app, "HEAD~1"),)


def test_a_clone_is_the_same_project_though_its_remote_is_a_path(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app")
    git(home, "clone", "--quiet", str(app), "copy")
    assert place(home / "copy").keys == place(app).keys
    assert place(home / "copy").name == "copy"


def test_a_fork_with_another_remote_shares_the_root_commit(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app", remote="https://github.com/org/app")
    git(home, "clone", "--quiet", str(app), "fork")
    git(home / "fork", "remote", "set-url", "origin", "https://github.com/me/fork")
    assert set(place(app).keys) & set(place(home / "fork").keys) == {root_key(app)}
    assert place(home / "fork").name == "fork"


def test_a_subfolder_and_a_file_are_the_repository_they_lie_in(repo: Repo, place: Locate) -> None:
    app = repo("app")
    (app / "src" / "deep").mkdir(parents=True)
    (app / "src" / "main.py").touch()
    assert place(app / "src" / "deep") == place(app / "src" / "main.py") == place(app / ".git" / "hooks") == place(app)


def test_a_renamed_folder_stays_the_same_project(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app")
    before = place(app)
    renamed = app.rename(home / "app-2")
    assert place(renamed).keys == before.keys
    assert place(renamed).name == "app-2"


def test_a_worktree_has_its_own_root_and_the_repository_s_name_and_keys(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app", remote="/srv/git/other-name.git")
    git(app, "worktree", "add", "--quiet", "-b", "fix", str(home / "fix-123"))
    assert place(home / "fix-123") == Place(str(home / "fix-123"), "app", place(app).keys, complete=True)


def test_a_worktree_with_an_unrelated_branch_follows_the_main_line(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app")
    git(app, "worktree", "add", "--quiet", "--detach", str(home / "pages"))
    git(home / "pages", "checkout", "--quiet", "--orphan", "pages")
    commit(home / "pages", "another root")
    assert place(home / "pages").keys == (root_key(app),)


def test_worktrees_of_a_bare_repository_with_no_main_branch_ask_their_own(place: Locate, home: Path) -> None:
    git(home, "init", "--quiet", "--bare", "-b", "main", "app/.bare")
    git(home / "app" / ".bare", "fetch", "--quiet", str(lone_commit(home)), "main:dev")
    git(home / "app" / ".bare", "worktree", "add", "--quiet", str(home / "app" / "dev"), "dev")
    assert place(home / "app" / "dev").keys == (root_key(home / "lone"),)
    assert place(home / "app" / "dev").name == "app"


def lone_commit(home: Path) -> Path:
    git(home, "init", "--quiet", "-b", "main", "lone")
    commit(home / "lone", "lone")
    return home / "lone"


def test_a_repository_reached_through_a_symbolic_link_is_the_real_one(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app")
    (home / "link").symlink_to(app)
    assert place(home / "link") == place(app)


def test_every_remote_counts_and_origin_gives_the_name(repo: Repo, place: Locate) -> None:
    app = repo("app", commits=0)
    git(app, "remote", "add", "backup", "https://example.org/mirrors/backup.git")
    git(app, "remote", "add", "origin", "ssh://git@example.org:2222/team/Main.git")
    assert place(app).name == "Main"
    assert set(place(app).keys) == {
        key("remote", "example.org/mirrors/backup"),
        key("remote", "example.org/team/Main"),
    }


def test_more_remotes_than_a_record_holds_keep_the_root_and_origin(repo: Repo, place: Locate) -> None:
    app = repo("app")
    remotes = "".join(f'[remote "r{number}"]\nurl = https://example.org/r{number}\n' for number in range(100))
    with (app / ".git" / "config").open("a") as config:
        config.write(remotes + '[remote "origin"]\nurl = https://example.org/origin\n')
    keys = place(app).keys
    assert len(keys) == limits.PROJECT_KEYS_MAX
    assert {root_key(app), key("remote", "example.org/origin")} <= set(keys)
    assert list(keys) == sorted(set(keys))


# What keeps two places apart ------------------------------------------------------------------------------------------


def test_two_repositories_are_two_projects(repo: Repo, place: Locate) -> None:
    assert not set(place(repo("one")).keys) & set(place(repo("two")).keys)


def test_a_history_merged_in_does_not_join_two_projects(repo: Repo, place: Locate) -> None:
    app, library = repo("app"), repo("library")
    before = place(app).keys
    git(app, "fetch", "--quiet", str(library), "main:library")
    git(app, "merge", "--quiet", "--no-edit", "--allow-unrelated-histories", "library")
    assert place(app).keys == before
    assert not set(before) & set(place(library).keys)


def test_a_shallow_clone_is_known_by_its_remote_alone(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app", commits=2)
    git(home, "clone", "--quiet", "--depth", "1", f"file://{app}", "shallow")
    assert (home / "shallow" / ".git" / "shallow").exists()
    assert place(home / "shallow").keys == (path_key(home / "shallow"),)
    git(home / "shallow", "remote", "set-url", "origin", "https://github.com/org/app")
    assert place(home / "shallow").keys == (key("remote", "github.com/org/app"),)
    assert place(home / "shallow").complete


def test_a_submodule_is_its_own_project(repo: Repo, place: Locate) -> None:
    app, library = repo("app"), repo("library")
    git(app, "submodule", "--quiet", "add", str(library), "parts/lib")
    assert place(app / "parts" / "lib") == Place(
        root=str(app / "parts" / "lib"), name="lib", keys=place(library).keys, complete=True
    )
    assert place(app / "parts").keys == place(app).keys


@pytest.mark.parametrize("remote", ["/srv/git/app.git", "../app", "file:///srv/git/app.git", "http://localhost/app"])
def test_a_remote_on_this_very_machine_is_no_shared_key(repo: Repo, place: Locate, remote: str) -> None:
    app = repo("app", remote=remote)
    assert place(app) == Place(str(app), "app", (root_key(app),), complete=True)


def test_a_replaced_root_commit_counts_as_before(repo: Repo, place: Locate) -> None:
    app = repo("app", commits=2)
    before = place(app).keys
    git(app, "replace", "--graft", "HEAD")
    assert git(app, "rev-list", "--count", "HEAD") == "1"
    assert place(app).keys == before


# No git, home, `/` ----------------------------------------------------------------------------------------------------


def test_a_folder_without_git_is_known_by_device_and_path(find: Locate, home: Path) -> None:
    (home / "Notes").mkdir()
    (home / "Notes" / "todo.txt").touch()
    expected = Place(str(home / "Notes"), "Notes", (path_key(home / "Notes"),), complete=True)
    assert find(home / "Notes") == find(home / "Notes" / "todo.txt") == expected
    assert find(home / "Notes", device=b"other").keys != expected.keys


def test_home_and_slash_and_a_file_in_home_are_no_project(find: Locate, home: Path) -> None:
    (home / "todo.txt").touch()
    (home / "self").symlink_to(home)
    assert find(home) is find(home / "todo.txt") is find(home / "self") is find(Path("/")) is None


def test_a_home_under_git_stays_no_project_and_takes_nothing_below_it(repo: Repo, find: Locate, home: Path) -> None:
    git(home, "init", "--quiet", "-b", "main")
    commit(home, "dotfiles")
    (home / "Notes").mkdir()
    assert find(home) is None
    for folder in (home / "Notes", home / ".git" / "hooks"):
        assert find(folder) == Place(str(folder), folder.name, (path_key(folder),), complete=True)
    app = repo("app")
    assert find(app / ".git").keys == (root_key(app),)


def test_the_walk_up_finds_the_nearest_git_entry_and_stops_at_home(repo: Repo, home: Path) -> None:
    outer = repo("outer")
    inner = repo("outer/inner")
    (inner / "src").mkdir()
    (home / ".git").mkdir()
    (home / "Notes").mkdir()
    assert top_of(inner / "src") == top_of(inner / "no" / "such") == inner
    assert top_of(outer) == outer
    assert top_of(home / "Notes") == home
    assert top_of(home / "Notes", home=home) is top_of(Path("/")) is top_of(Path("a\0b"), home=home) is None


# No commit yet, bare, broken ------------------------------------------------------------------------------------------


def test_an_empty_repository_is_filed_by_its_path_until_a_root_comes(repo: Repo, place: Locate) -> None:
    app = repo("app", commits=0)
    assert place(app) == Place(str(app), "app", (path_key(app),), complete=False)
    commit(app, "first")
    assert place(app) == Place(str(app), "app", (root_key(app),), complete=True)


def test_an_empty_repository_with_a_remote_has_no_path_key(repo: Repo, place: Locate) -> None:
    app = repo("app", commits=0, remote="https://github.com/org/app")
    assert place(app) == Place(str(app), "app", (key("remote", "github.com/org/app"),), complete=False)


def test_a_worktree_without_keys_shares_the_path_key_of_the_main_one(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app")
    git(app, "worktree", "add", "--quiet", "--detach", str(home / "fix"))
    assert place(home / "fix", wait_ms=0).keys == place(app, wait_ms=0).keys == (path_key(app),)


def test_a_bare_repository_is_a_project_inside_and_out(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app")
    git(home, "clone", "--quiet", "--bare", str(app), "app.git")
    expected = Place(str(home / "app.git"), "app", (root_key(app),), complete=True)
    assert place(home / "app.git") == place(home / "app.git" / "refs" / "heads") == expected


def test_a_repository_with_its_git_folder_elsewhere_is_sound(place: Locate, home: Path) -> None:
    git(home, "init", "--quiet", "-b", "main", "--separate-git-dir", str(home / "elsewhere"), "app")
    commit(home / "app", "first")
    assert place(home / "app") == Place(str(home / "app"), "app", (root_key(home / "app"),), complete=True)


@pytest.mark.parametrize("content", ["gitdir: /nowhere\n", "gitdir: \n", "gitdir:", "", "\0", "gitdir: a\0b\n"])
def test_a_git_file_that_leads_nowhere_leaves_the_folder_its_path(place: Locate, home: Path, content: str) -> None:
    (home / "app" / "src").mkdir(parents=True)
    (home / "app" / ".git").write_text(content)
    assert place(home / "app" / "src") == Place(str(home / "app"), "app", (path_key(home / "app"),), complete=False)


def test_a_hollow_git_folder_is_not_answered_with_the_repository_above(repo: Repo, place: Locate) -> None:
    outer = repo("outer")
    (outer / "app" / ".git").mkdir(parents=True)
    assert place(outer / "app").keys == (path_key(outer / "app"),)
    git(outer, "init", "--quiet", "odd")
    (outer / "odd" / ".git" / "HEAD").write_text("no reference\n")
    assert place(outer / "odd") == Place(str(outer / "odd"), "odd", (path_key(outer / "odd"),), complete=False)
    (outer / "loop").mkdir()
    (outer / "loop" / ".git").symlink_to(".git")
    assert place(outer / "loop").keys == (path_key(outer / "loop"),)


def test_a_pipe_in_a_file_s_place_does_not_stop_us(repo: Repo, place: Locate, home: Path) -> None:
    (home / "trap").mkdir()
    os.mkfifo(home / "trap" / ".git")
    assert place(home / "trap").keys == (path_key(home / "trap"),)
    app = repo("app")
    (app / ".git" / "config").unlink()
    os.mkfifo(app / ".git" / "config")
    assert place(app, wait_ms=50) == Place(str(app), "app", (path_key(app),), complete=False)


@pytest.mark.parametrize("path", ["missing", "loop", "file/below", "a\0b", "x" * 300])
def test_a_path_that_cannot_be_reached_is_refused_by_name(find: Locate, home: Path, path: str) -> None:
    (home / "loop").symlink_to("loop")
    (home / "file").touch()
    with pytest.raises(UsageError, match="project") as caught:
        find(home / path)
    assert caught.value.field == "project"
    assert caught.value.hint


def test_a_folder_that_may_not_be_entered_is_known_by_its_path(place: Locate, home: Path) -> None:
    closed = home / "closed"
    (closed / ".git").mkdir(parents=True)
    with unprivileged(closed):
        closed.chmod(0)
        try:
            found = place(closed)
            with pytest.raises(UsageError, match="Permission denied"):
                place(closed / "below")
        finally:
            closed.chmod(0o700)
    assert found == Place(str(closed), "closed", (path_key(closed),), complete=True)


def test_a_folder_whose_name_is_not_utf_8_or_does_not_print_can_be_named(place: Locate, home: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(home) + b"/caf\xe9\x1b[31m\n"))
    folder.mkdir()
    assert place(folder).name == "caf??[31m?"
    assert place(folder).root == str(folder)
    long = home / ("x" * 200)
    long.mkdir()
    assert place(long).name == "x" * limits.PROJECT_NAME_CHARS_MAX


# git, and what it must not do -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["no-such-git", "/nonexistent/git", "/"])
def test_without_git_the_remotes_still_count(repo: Repo, place: Locate, missing: str) -> None:
    app = repo("app", remote="https://github.com/org/app")
    found = place(app, git=missing)
    assert found == Place(str(app), "app", (key("remote", "github.com/org/app"),), complete=False)


def test_a_git_that_does_not_answer_is_killed_and_asked_again_later(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app")
    stuck = program(home / "stuck", f"echo $$ > {home}/pid; exec tail -f /dev/null")
    assert place(app, git=stuck, wait_ms=1_000) == Place(str(app), "app", (path_key(app),), complete=False)
    with pytest.raises(ProcessLookupError):
        os.kill(int((home / "pid").read_text()), 0)


def test_with_no_time_git_is_not_started(repo: Repo, place: Locate, monkeypatch: pytest.MonkeyPatch) -> None:
    app = repo("app")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("git was started"))
    assert not place(app, wait_ms=0).complete


@pytest.mark.parametrize(
    "answer", ["echo", "echo main", f"printf '%s\\n' {'a' * 40} {'b' * 40}", f"echo {'a' * 40}; exit 1"]
)
def test_an_answer_that_is_not_one_commit_is_none(repo: Repo, place: Locate, home: Path, answer: str) -> None:
    assert not place(repo("app"), git=program(home / "git", answer)).complete


def test_the_caller_s_git_variables_do_not_reach_git(
    repo: Repo, place: Locate, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, other = repo("app"), repo("other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert place(app).keys == (root_key(app),)
    place(app, git=program(home / "git", f"env > {home}/seen; pwd >> {home}/seen"))
    seen = (home / "seen").read_text().splitlines()
    assert {"GIT_CONFIG_NOSYSTEM=1", "GIT_OPTIONAL_LOCKS=0", f"HOME={home}", "PWD=/"} <= set(seen)
    assert not [line for line in seen if line.startswith(("GIT_DIR", "GIT_WORK_TREE", "PYTEST"))]


def test_a_repository_cannot_make_git_run_its_programs(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app", commits=2)
    expected = place(app)
    trap = program(home / "trap", f"touch {home}/sprung")
    for setting in ("core.fsmonitor", "core.pager", "pager.rev-list", "core.sshCommand", "core.editor"):
        git(app, "config", setting, trap)
    for hook in ("post-index-change", "reference-transaction", "post-checkout", "fsmonitor-watchman"):
        program(app / ".git" / "hooks" / hook, f"touch {home}/sprung")
    assert place(app) == expected
    assert not (home / "sprung").exists()


def test_a_partial_clone_does_not_fetch_what_it_lacks(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app", commits=2)
    first = git(app, "rev-parse", "HEAD~1")
    (app / ".git" / "objects" / first[:2] / first[2:]).unlink()
    trap = program(home / "trap", f"touch {home}/sprung")
    for setting, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", str(home)),
        ("remote.origin.uploadpack", trap),
    ):
        git(app, "config", setting, value)
    assert not place(app).complete
    assert not (home / "sprung").exists()
    with pytest.raises(subprocess.CalledProcessError):
        git(app, "rev-list", "HEAD")
    assert (home / "sprung").exists()  # so the trap was one


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a repository to another user")
def test_another_user_s_repository_is_asked_only_if_the_person_trusts_it(repo: Repo, place: Locate, home: Path) -> None:
    app = repo("app")
    expected = (root_key(app),)
    for entry in (app, app / ".git"):
        os.chown(entry, NOBODY, NOBODY)
    assert place(app) == Place(str(app), "app", (path_key(app),), complete=False)
    (home / ".gitconfig").write_text(f"[safe]\ndirectory = {app}\n")
    assert place(app).keys == expected


# The config file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "spellings"),
    [
        (
            '[remote "origin"]\n\turl = git@example.org:b.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n',
            ["example.org/b"],
        ),
        ('[REMOTE "origin"] URL=https://example.org/b # comment', ["example.org/b"]),
        ('[remote "origin"]\nurl = "https://example.org/b" ; comment\n', ["example.org/b"]),
        ('[remote "a\\"]b"]\nurl = https://example.org/b\n', ["example.org/b"]),
        ("[remote.origin]\nurl = https://example.org/b\n", ["example.org/b"]),
        ('[remote "origin"]\nurl = https://example.org\\\n/b\n', ["example.org/b"]),
        ('\ufeff[remote "origin"]\r\n\turl = https://example.org/b\r\n', ["example.org/b"]),
        (
            '[remote "o"]\nurl = https://example.org/b\nurl = https://example.org/c\n',
            ["example.org/b", "example.org/c"],
        ),
        ('[remote "o"]\npushurl = https://example.org/b\n', []),
        ('[remote "o"]\n# url = https://example.org/b\n;url = https://example.org/b\n', []),
        ('[remote "o"]\nurl\nurl =\n', []),
        ('[remote "o"]\n[branch "o"]\nurl = https://example.org/b\n', []),
        ('[submodule "o"]\nurl = https://example.org/b\n[remote]\nurl = https://example.org/c\n', []),
        ('[url "https://example.org/"]\ninsteadOf = gh:\n[remote "o"]\nurl = "gh:\\"b"\n', ['gh/"b']),
        ('[remote "o"]\nurl = "https://example.org/b\n', []),
        ('[remote "o"]\nurl = https://example.org/\\b\n', []),
        ('[remote "o"\nurl = https://example.org/b\n[remote "p"]\nurl = https://example.org/c\n', []),
        ('[remote "o"]\nurl = https://example.org/b\n\n= 1\nurl = https://example.org/c\n', ["example.org/b"]),
        ('[branch "x"]\n[remote "o\nurl = https://example.org/b\n', []),
        ('[remote "o"]\nnot a line\nurl = https://example.org/b\n', []),
    ],
)
def test_remotes_are_read_as_git_reads_them_and_left_out_in_doubt(
    repo: Repo, place: Locate, config: str, spellings: list[str]
) -> None:
    app = repo("app", commits=0)
    (app / ".git" / "config").write_bytes(config.encode())
    expected = [key("remote", spelling) for spelling in spellings] or [path_key(app)]
    assert list(place(app, wait_ms=0).keys) == sorted(expected)


def test_a_config_too_large_to_be_one_is_not_read(repo: Repo, place: Locate) -> None:
    app = repo("app", remote="https://example.org/b")
    with (app / ".git" / "config").open("a") as config:
        config.write("# padding\n" * 30_000)
    assert place(app, wait_ms=0).keys == (path_key(app),)


@pytest.mark.parametrize(
    "hard", ["\\", '"', "=", "[", " ", "\n", "\\\n", '"\\', '[remote "', "a=", "a=\\\n", 'a="', "#", "a ", ";\n"]
)
def test_a_crafted_config_is_read_in_passing(repo: Repo, place: Locate, hard: str) -> None:
    app = repo("app", commits=0)
    (app / ".git" / "config").write_text('[remote "o"]\nurl = ' + hard * (250_000 // len(hard)) + '"')
    assert place(app, wait_ms=0).keys == (path_key(app),)


# Keys and spellings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "spelling"),
    [
        ("https://github.com/Org/Repo.git", "github.com/org/repo"),
        ("git@github.com:Org/Repo.git", "github.com/org/repo"),
        ("ssh://git@GitHub.com:22/org/repo/", "github.com/org/repo"),
        ("ssh://git@ssh.github.com:443/org/repo.git", "github.com/org/repo"),
        ("git://github.com/org/repo", "github.com/org/repo"),
        ("git+ssh://git@codeberg.org/Org/Repo", "codeberg.org/org/repo"),
        ("https://user:p@ss@gitlab.com/group/sub/repo.git/", "gitlab.com/group/sub/repo"),
        ("  github.com:org/repo\n", "github.com/org/repo"),
        ("https://Git.Example.ORG./Team/Repo", "git.example.org/Team/Repo"),
        ("git@git.example.org:/Team//Repo.git", "git.example.org/Team/Repo"),
        ("https://example.org:8443/repo/.git", "example.org/repo"),
        ("https://example.org/repo.git.git", "example.org/repo"),
        ("user@example.org:~/notes.git", "example.org/~/notes"),
        ("ssh://git@[2001:DB8::1]:2222/org/repo", "[2001:db8::1]/org/repo"),
        ("git@[2001:db8::1]:org/repo", "[2001:db8::1]/org/repo"),
        ("[git@example.org:2222]:org/repo", "example.org/org/repo"),
        ("https://example.org/日本/語.git", "example.org/日本/語"),
    ],
)
def test_a_remote_has_one_spelling(url: str, spelling: str) -> None:
    assert normalise_remote(url) == spelling


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "/srv/git/repo.git", "./repo", "../repo", "repo", "~/repo", "./a:b", "C:/repo", r"C:\repo"),
        *("file:///srv/repo.git", "file://host/repo", "ext::sh -c true", "codecommit::eu-1://repo", "foo://host/repo"),
        *("https://github.com", "https://github.com/", "https:///repo", "git@github.com:", "git@github.com:.git"),
        *("https://localhost:3000/me/repo", "git@127.0.0.1:repo", "ssh://[::1]/repo", "http://app.localhost/repo"),
        *("https://example.org/a/../b", "https://example.org/a?b=c", "https://example.org/a#b", "ssh://h:org/repo"),
        *("https://example.org/a b", "https://example.org/a\x00b", "https://exa mple/a", "https://-x.org/a", "h:a\nb"),
        *("https://example.org/\udcff", "https://exämple.org/a", "https://example.org/" + "a" * 2_000),
    ],
)
def test_what_others_cannot_share_or_is_in_doubt_has_no_spelling(url: str) -> None:
    assert normalise_remote(url) is None


hosts = st.sampled_from(["github.com", "GitLab.com", "example.org", "[::2]", "www.github.com", "h.", "localhost", ""])
paths = st.lists(st.sampled_from(["Org", "repo", ".git", "a.git", ".GIT", "", "..", "~", "İ", "22", ":"])).map("/".join)
prefixes = st.sampled_from(["https://", "ssh://git@", "git@", "", "file://", "a:b@", "git://u:p@", "x::"])
joints = st.sampled_from(["/", ":", ":22/", ":/", "]:", "//"])
urls = st.text() | st.builds(lambda *parts: "".join(parts), prefixes, hosts, joints, paths)


@given(urls)
@example("https://github.com/.GIT")
@example("ab:" + "c" * 1_020)
@example("github.com:" + "İ" * 600)
def test_any_text_is_a_remote_or_none_and_a_spelling_spells_itself(url: str) -> None:
    spelling = normalise_remote(url)
    if spelling is not None:
        assert normalise_remote(f"https://{spelling}") == spelling
        assert normalise_remote(f"ssh://git@{spelling}.git/") == spelling
        assert len(spelling) <= limits.REF_CHARS_MAX


@given(st.sampled_from(["Org/Repo", "a/b/c"]), st.sampled_from(["github.com", "example.org"]))
def test_ssh_and_https_are_one(path: str, host: str) -> None:
    spellings = {
        normalise_remote(url) for url in (f"git@{host}:{path}.git", f"https://{host}/{path}", f"ssh://{host}/{path}")
    }
    assert len(spellings) == 1


def test_a_key_is_sixteen_bytes_of_a_digest_that_anyone_can_compute() -> None:
    assert key("remote", "github.com/org/repo").hex() == "14b1f9c8cd696a68160fe3c8809a65df"
    assert key("name", "Straße").hex() == key("name", "STRASSE").hex() == "81acc73d082edd77623edc7b68b9fd6a"
    assert key("name", "ﬁle") == key("name", "FILE") != key("remote", "file")
    assert len(key("path", "00:/caf\udce9")) == projects.KEY_BYTES


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_name_folded_by_the_caller_has_the_same_key(name: str) -> None:
    folded = unicodedata.normalize("NFKC", name).casefold()
    assert key("name", folded) == key("name", name)
