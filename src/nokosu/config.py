"""The configuration: the one reader of the environment and of the config file.

Entry points call `load` once and hand the result down; nothing below reads the environment. The file is `config.toml`
in the home; every field of `Config` that it may set is documented there and in `docs/configuration.md`, which is made
from this module.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import platformdirs
from msgspec import Struct

from nokosu import filesystem, limits
from nokosu.errors import ConfigError
from nokosu.records import Author

DATABASE_NAME: Final = "nokosu.db"
CONFIG_NAME: Final = "config.toml"
HUB_NAME: Final = "hub.json"

# What coding agents set for the programs that they start: variable, then the agent's name.
_AGENTS: Final = (
    ("CLAUDECODE", "claude-code"),
    ("CLAUDE_CODE_SESSION_ID", "claude-code"),
    ("CODEX_SANDBOX", "codex"),
    ("CODEX_THREAD_ID", "codex"),
    ("GEMINI_CLI", "gemini-cli"),
    ("ANTIGRAVITY_AGENT", "antigravity"),
    ("CURSOR_AGENT", "cursor"),
)
_SESSIONS: Final = ("NOKOSU_SESSION", "CLAUDE_CODE_SESSION_ID", "CODEX_THREAD_ID")
_WORKSPACES: Final = ("CLAUDE_PROJECT_DIR", "GEMINI_PROJECT_DIR", "CODEX_PROJECT_DIR", "CURSOR_PROJECT_DIR")


EngineName = Literal["embedded", "zenohd"]
"""What carries the node's traffic: the Zenoh inside its process, or a zenohd of its own beside it."""

EMBEDDED: Final = "embedded"
ZENOHD: Final = "zenohd"

_ENGINE_LINE: Final = re.compile(
    r"""^(?P<name>[ \t]*(?:engine|"engine"|'engine')[ \t]*=[ \t]*)(?:"[^"\n]*"|'[^'\n]*')""", re.MULTILINE
)


class ProjectConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for one project, by its name: a table `[projects.NAME]` in the file."""

    search_elsewhere: bool = True
    """false keeps this project apart: its searches stay inside it, and searches elsewhere do not show it, unless all
    projects are asked for."""

    space: str = ""
    """The space that memories of this project are saved in, where no other is named; the personal one if empty."""


class FileConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file `config.toml` may set."""

    search_elsewhere: bool = True
    """Whether a search from inside a project also shows stronger hits from other projects (up to 3 of 10)."""

    device_name: str = ""
    """How this device is called when its key is made; the host name if empty."""

    engine: EngineName = "embedded"
    """What carries the node's traffic: `embedded`, the Zenoh inside it, or `zenohd`, the real router with RocksDB beside
    it. `nokosu node engine` sets it."""

    projects: dict[str, ProjectConfig] = {}
    """Settings for single projects, by name."""


class Config(Struct, frozen=True, kw_only=True):
    """All that an entry point knows about where it was started.

    `workspaces` are the folders to look for a project in, best first; `user_home` is never a project itself. `starts_node`
    is whether the node is started when a space is shared and none runs (`load` says yes, for it is entry points that load),
    and `starts_embedder` whether searches use recall by meaning, and start its process, where that is installed;
    `runtime` is the system's folder for sockets; `engine_folder` is where a zenohd and its plugins were said to be.
    """

    home: Path
    author: Author
    user_home: Path
    workspaces: tuple[Path, ...] = ()
    project: str | None = None
    search_elsewhere: bool = True
    device_name: str = "device"
    engine: EngineName = "embedded"
    projects: dict[str, ProjectConfig] = {}
    starts_node: bool = False
    starts_embedder: bool = False
    runtime: Path | None = None
    engine_folder: Path | None = None

    @property
    def database(self) -> Path:
        """Where the store lies."""
        return self.home / DATABASE_NAME

    @property
    def is_blind_hub(self) -> bool:
        """Whether this home is one that carries a space without being able to read it: then there is no store."""
        return (self.home / HUB_NAME).exists() and not self.database.exists()

    def project_stays_apart(self, name: str) -> bool:
        """Whether the project called *name* is kept apart from all others."""
        return not self.projects.get(name.casefold(), ProjectConfig()).search_elsewhere

    def space_of(self, name: str) -> str:
        """The space that memories of the project called *name* are saved in; empty if none is set."""
        return self.projects.get(name.casefold(), ProjectConfig()).space


def load(
    environ: Mapping[str, str], *, cwd: Path | None, home: Path | None = None, agent_first: bool = False
) -> Config:
    """Read the environment and the file.

    *cwd* is the current folder, None when it is gone. *agent_first* looks for the project where the agent says its
    workspace is before the current folder: right for a server that the agent starts, wrong for a command typed in a
    folder.

    Raises:
        ConfigError: the file cannot be read, or names a setting that does not exist or is not of its kind.
    """
    user_home = _user_home(environ)
    base = home or _home(environ)
    file = _read_file(base / CONFIG_NAME)
    host = _one_line(socket.gethostname().split(".")[0]) or "device"
    named = [Path(environ[name]) for name in _WORKSPACES if environ.get(name, "").startswith("/")]
    here = [cwd] if cwd is not None else []
    return Config(
        home=base,
        author=Author(
            agent=_one_line(environ.get("NOKOSU_AGENT", "") or _agent(environ)),
            session=_one_line(next((environ[name] for name in _SESSIONS if environ.get(name)), "")),
            model=_one_line(environ.get("NOKOSU_MODEL", "")),
            host=host,
        ),
        user_home=user_home,
        workspaces=tuple([*named, *here] if agent_first else [*here, *named]),
        project=environ.get("NOKOSU_PROJECT") or None,
        search_elsewhere=file.search_elsewhere,
        device_name=_one_line(file.device_name) or host,
        engine=file.engine,
        projects={name.casefold(): settings for name, settings in file.projects.items()},
        starts_node=_on_or_off(environ, "NOKOSU_NODE"),
        starts_embedder=_on_or_off(environ, "NOKOSU_EMBEDDER"),
        runtime=_runtime(environ),
        engine_folder=_engine_folder(environ),
    )


def set_engine(home: Path, engine: EngineName) -> None:
    """Write `engine` into the file, and leave every other line as it is; the file is made if there is none.

    Raises:
        ConfigError: the file is not valid, or cannot be written.
    """
    path = home / CONFIG_NAME
    before = _text(path)
    wanted = {**_parsed(path, before), "engine": engine}
    line = f'engine = "{engine}"'
    tables = re.search(r"^[ \t]*\[", before, re.MULTILINE)
    top = before[: tables.start()] if tables else before
    replaced, count = _ENGINE_LINE.subn(lambda found: f'{found["name"]}"{engine}"', top, count=1)
    after = (replaced if count else f"{line}\n{top}") + before[len(top) :]
    try:
        is_so = tomllib.loads(after) == wanted
    except tomllib.TOMLDecodeError:
        is_so = False
    if not is_so:  # a name or a value that is written as we do not expect it
        raise ConfigError(f"{path}: engine cannot be set there", field=str(path), hint=f"write {line} into {path}")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        filesystem.replace(path, after.encode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})", field=str(path)) from error


def _home(environ: Mapping[str, str]) -> Path:
    named = environ.get("NOKOSU_HOME", "")
    if not named:
        return Path(platformdirs.user_data_dir("nokosu", appauthor=False))
    path = Path(os.path.expanduser(named))  # noqa: PTH111 - Path.expanduser raises for a user who does not exist
    if not path.is_absolute() or not named.isprintable():
        raise ConfigError(f"NOKOSU_HOME: {named!a} is not an absolute path", field="NOKOSU_HOME")
    return path


def _on_or_off(environ: Mapping[str, str], name: str) -> bool:
    said = environ.get(name, "") or "on"
    if said not in {"on", "off"}:
        raise ConfigError(f"{name}: {said!a} is neither on nor off", field=name)
    return said == "on"


def _engine_folder(environ: Mapping[str, str]) -> Path | None:
    """The folder with a zenohd and its plugins that was named, or None."""
    named = environ.get("NOKOSU_ENGINE", "")
    if named and (not named.startswith("/") or not named.isprintable()):
        raise ConfigError(f"NOKOSU_ENGINE: {named!a} is not an absolute path", field="NOKOSU_ENGINE")
    return Path(named) if named else None


def _runtime(environ: Mapping[str, str]) -> Path | None:
    """The folder for sockets that the system has made for this user, or None."""
    named = Path(environ.get("XDG_RUNTIME_DIR", "") or f"/run/user/{os.getuid()}")
    return named if named.is_absolute() and named.is_dir() else None


def _user_home(environ: Mapping[str, str]) -> Path:
    named = environ.get("HOME", "")
    return Path(named) if named.startswith("/") else Path("/")


def _read_file(path: Path) -> FileConfig:
    return _converted(path, _parsed(path, _text(path)))


def _text(path: Path) -> str:
    """What the file says; nothing when there is none."""
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})", field=str(path)) from error


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _invalid(path, error) from error


def _converted(path: Path, found: dict[str, Any]) -> FileConfig:
    try:
        return msgspec.convert(found, FileConfig)
    except msgspec.ValidationError as error:
        raise _invalid(path, error) from error


def _invalid(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path}: {error}", field=str(path), hint=f"edit {path}")


def _agent(environ: Mapping[str, str]) -> str:
    return next((agent for variable, agent in _AGENTS if environ.get(variable)), "")


def _one_line(text: str) -> str:
    """A name from outside as one short line that can be stored and shown."""
    kept = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"\s+", " ", kept).strip()[: limits.AUTHOR_CHARS_MAX]
