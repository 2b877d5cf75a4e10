"""The one reader of the environment and of the config file."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest

from nokosu import limits
from nokosu.config import Config, load, set_engine
from nokosu.errors import ConfigError


def loaded(tmp_path: Path, text: str = "", **environ: str) -> Config:
    if text:
        tmp_path.joinpath("config.toml").write_text(text)
    return load({"HOME": "/home/aki", **environ}, cwd=Path("/work"), home=tmp_path)


def test_without_anything_set_there_is_a_default_for_everything(tmp_path: Path) -> None:
    config = load({}, cwd=None, home=tmp_path)
    assert (config.home, config.database) == (tmp_path, tmp_path / "nokosu.db")
    assert (config.search_elsewhere, config.projects, config.project, config.workspaces) == (True, {}, None, ())
    assert (config.user_home, config.author.agent) == (Path("/"), "")
    assert config.device_name == config.author.host != ""


def test_the_home_is_named_by_the_environment_or_is_the_platforms(tmp_path: Path) -> None:
    assert load({"NOKOSU_HOME": str(tmp_path)}, cwd=None).home == tmp_path
    assert load({}, cwd=None).home.name == "nokosu"
    assert load({"NOKOSU_HOME": ""}, cwd=None).home.is_absolute()


@pytest.mark.parametrize("home", ["relative", ".", "/with\nnewline", "/with\x1bescape"])
def test_a_home_that_is_no_absolute_path_is_refused(home: str) -> None:
    with pytest.raises(ConfigError, match=r"NOKOSU_HOME: .* is not an absolute path") as refused:
        load({"NOKOSU_HOME": home}, cwd=None)
    assert refused.value.field == "NOKOSU_HOME"
    assert refused.value.message.isprintable()


def test_the_file_sets_what_it_documents(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        'search_elsewhere = false\ndevice_name = " my\\tlaptop "\n[projects.Client]\nsearch_elsewhere = false\n',
    )
    assert (config.search_elsewhere, config.device_name) == (False, "my laptop")
    assert config.project_stays_apart("client")
    assert config.project_stays_apart("CLIENT")
    assert not config.project_stays_apart("other")
    assert (config.space_of("client"), config.space_of("other")) == ("", "")


def test_a_project_may_have_a_space_to_save_in(tmp_path: Path) -> None:
    config = loaded(tmp_path, '[projects.Client]\nspace = "their team"\n')
    assert (config.space_of("client"), config.space_of("CLIENT"), config.space_of("other")) == (
        "their team",
        "their team",
        "",
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("search_elsewhere = 'no'", "search_elsewhere"),
        ("serach_elsewhere = true", "serach_elsewhere"),
        ("hub = 'evil.example'", "hub"),
        ("[projects.x]\nhooks = 1", "hooks"),
        ("a = 1\na = 2", "config.toml"),
        ("a: yes", "config.toml"),
        ("\tsearch_elsewhere", "config.toml"),
    ],
)
def test_a_mistake_in_the_file_is_refused_with_its_place(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as refused:
        loaded(tmp_path, text)
    assert str(tmp_path) in refused.value.message
    assert "\n" not in refused.value.message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        loaded(tmp_path)
    tmp_path.joinpath("config.toml").unlink()
    tmp_path.joinpath("config.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        loaded(tmp_path)


def test_a_home_that_is_a_file_has_no_config(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    assert load({}, cwd=None, home=file).search_elsewhere


@pytest.mark.parametrize(
    ("environ", "agent"),
    [
        ({"CLAUDECODE": "1"}, "claude-code"),
        ({"CODEX_SANDBOX": "seatbelt"}, "codex"),
        ({"GEMINI_CLI": "1"}, "gemini-cli"),
        ({"CURSOR_AGENT": "1"}, "cursor"),
        ({"CLAUDECODE": ""}, ""),
        ({"NOKOSU_AGENT": "me", "CLAUDECODE": "1"}, "me"),
    ],
)
def test_the_agent_is_known_by_what_it_sets_for_its_children(
    tmp_path: Path, environ: dict[str, str], agent: str
) -> None:
    assert loaded(tmp_path, **environ).author.agent == agent


def test_names_from_the_environment_become_one_short_line(tmp_path: Path) -> None:
    author = loaded(tmp_path, NOKOSU_AGENT=" a\n b\x1b[2J ", NOKOSU_MODEL="m" * 1000, CODEX_THREAD_ID="t-1").author
    assert author.agent == "a b [2J"
    assert len(author.model) == limits.AUTHOR_CHARS_MAX
    assert author.session == "t-1"


def test_where_to_look_for_the_project_depends_on_who_asks(tmp_path: Path) -> None:
    environ = {"CLAUDE_PROJECT_DIR": "/from/the/agent", "GEMINI_PROJECT_DIR": "not/absolute"}
    here, named = Path("/work"), Path("/from/the/agent")
    assert load(environ, cwd=here, home=tmp_path).workspaces == (here, named)
    assert load(environ, cwd=here, home=tmp_path, agent_first=True).workspaces == (named, here)
    assert load(environ, cwd=None, home=tmp_path).workspaces == (named,)


def test_nothing_is_read_from_the_real_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOKOSU_AGENT", "NOKOSU_HOME", "NOKOSU_PROJECT", "CLAUDECODE"):
        monkeypatch.setenv(name, "/leaked")
    config = loaded(tmp_path)
    assert "leaked" not in repr(config)
    assert os.environ["NOKOSU_AGENT"] == "/leaked"


def test_the_node_is_started_by_itself_unless_the_environment_says_no(tmp_path: Path) -> None:
    assert loaded(tmp_path).starts_node
    assert loaded(tmp_path, NOKOSU_NODE="on").starts_node
    assert not loaded(tmp_path, NOKOSU_NODE="off").starts_node
    with pytest.raises(ConfigError, match="neither on nor off"):
        loaded(tmp_path, NOKOSU_NODE="no")


def test_sockets_lie_in_the_folder_that_the_system_made_for_them_if_it_did(tmp_path: Path) -> None:
    assert loaded(tmp_path, XDG_RUNTIME_DIR=str(tmp_path)).runtime == tmp_path
    assert loaded(tmp_path, XDG_RUNTIME_DIR=str(tmp_path / "gone")).runtime is None
    assert loaded(tmp_path, XDG_RUNTIME_DIR="relative").runtime is None


def test_the_engine_is_embedded_unless_the_file_says_zenohd(tmp_path: Path) -> None:
    assert loaded(tmp_path).engine == "embedded"
    assert loaded(tmp_path, 'engine = "zenohd"').engine == "zenohd"
    with pytest.raises(ConfigError, match="engine"):
        loaded(tmp_path, 'engine = "rabbit"')


def test_a_folder_with_an_engine_is_named_by_an_absolute_path(tmp_path: Path) -> None:
    assert loaded(tmp_path).engine_folder is None
    assert loaded(tmp_path, NOKOSU_ENGINE="/opt/engine").engine_folder == Path("/opt/engine")
    with pytest.raises(ConfigError, match="NOKOSU_ENGINE: 'engine' is not an absolute path"):
        loaded(tmp_path, NOKOSU_ENGINE="engine")


_COMMENTED = """\
# Mine.
device_name = "desk" # under the window

[projects.acme]
space = "acme"
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        _COMMENTED,
        f'engine = "embedded"  # for now\n{_COMMENTED}',
        f"{_COMMENTED}".replace("# Mine.", "  'engine'='embedded'"),
        f'{_COMMENTED}[projects.other]\nspace = """\nengine = "embedded"\n"""\n',
    ],
)
def test_the_engine_is_set_in_the_file_and_all_else_stays_as_it_is(tmp_path: Path, text: str) -> None:
    before = loaded(tmp_path, text)
    set_engine(tmp_path, "zenohd")
    after = load({"HOME": "/home/aki"}, cwd=Path("/work"), home=tmp_path)
    assert after == msgspec.structs.replace(before, engine="zenohd")
    written = (tmp_path / "config.toml").read_text()
    assert {line for line in text.splitlines() if not line.strip().startswith(("engine", "'engine'"))} <= set(
        written.splitlines()
    )
    assert "for now" not in text or '"zenohd"  # for now' in written
    assert (tmp_path / "config.toml").stat().st_mode & 0o777 == 0o600
    set_engine(tmp_path, "embedded")
    assert load({"HOME": "/home/aki"}, cwd=Path("/work"), home=tmp_path) == before


@pytest.mark.parametrize("text", ['"engi\\u006ee" = "embedded"', "a: yes"])
def test_a_file_in_which_the_engine_cannot_be_set_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path))) as refused:
        set_engine(tmp_path, "zenohd")
    assert refused.value.hint
    assert (tmp_path / "config.toml").read_text() == text
