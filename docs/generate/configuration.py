"""The tables of all settings: the fields of the config file, and the variables of the environment that are read.

A variable is found by watching `config.load` read it, so one that has no words here stops the page from being made.
"""

from __future__ import annotations

import ast
import inspect
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import NODEFAULT

from nokosu import config
from nokosu.config import FileConfig, ProjectConfig

VARIABLES: Final = {
    "NOKOSU_HOME": "The home: an absolute path. Without it, `nokosu` in the platform's data directory.",
    "NOKOSU_AGENT": "The agent that writes, as each memory then names it. Goes before what the agents set themselves.",
    "NOKOSU_MODEL": "The model behind the agent, for the record.",
    "NOKOSU_SESSION": "The session that a memory is written in, for the record.",
    "NOKOSU_PROJECT": "The project, by name or absolute path, instead of the one of the current folder.",
    "NOKOSU_NODE": "`off` keeps this command or server from starting the node when a space is shared and none runs.",
    "NOKOSU_EMBEDDER": "`off` keeps searches to words where recall by meaning is installed, and its process from being started.",
    "NOKOSU_ENGINE": "A folder with `zenohd` and both its plugins, for the engine `zenohd`, instead of what is installed.",
    "XDG_RUNTIME_DIR": "Where the node keeps its sockets; without it `/run/user/UID`, or a folder of yours below `/tmp`.",
    "HOME": "Your home directory. It is never a project itself.",
    "CLAUDECODE": "Set by Claude Code: the agent is claude-code.",
    "CLAUDE_CODE_SESSION_ID": "Set by Claude Code: the agent and its session.",
    "CLAUDE_PROJECT_DIR": "Set by Claude Code: a folder to look for the project in.",
    "CODEX_SANDBOX": "Set by Codex: the agent is codex.",
    "CODEX_THREAD_ID": "Set by Codex: the agent and its session.",
    "CODEX_PROJECT_DIR": "As `CLAUDE_PROJECT_DIR`, for Codex.",
    "GEMINI_CLI": "Set by Gemini CLI: the agent is gemini-cli.",
    "GEMINI_PROJECT_DIR": "As `CLAUDE_PROJECT_DIR`, for Gemini CLI.",
    "ANTIGRAVITY_AGENT": "Set by Antigravity: the agent is antigravity.",
    "CURSOR_AGENT": "Set by Cursor: the agent is cursor.",
    "CURSOR_PROJECT_DIR": "As `CLAUDE_PROJECT_DIR`, for Cursor.",
}
"""Every variable that `config.load` reads, in the order of the table."""

_KINDS: Final = {bool: "true or false", str: "text", int: "a whole number"}


class _Watched(dict[str, str]):
    """An environment that remembers which variables it was asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As a dictionary does it."""
        self.asked.add(name)
        return super().get(name, default)


def variables_read() -> set[str]:
    """The names of the variables that `config.load` asks for."""
    with tempfile.TemporaryDirectory() as empty:  # a home without a file
        environ = _Watched({"NOKOSU_HOME": empty})
        config.load(environ, cwd=None)
    return environ.asked


def variables() -> str:
    """The table of variables.

    Raises:
        LookupError: one is read and has no words here, or the other way round.
    """
    differing = variables_read() ^ VARIABLES.keys()
    if differing:
        raise LookupError(
            f"docs/generate/configuration.py and config.py do not agree on {', '.join(sorted(differing))}"
        )
    return _table(("variable", "what it does"), [(f"`{name}`", words) for name, words in VARIABLES.items()])


def file() -> str:
    """The table of what `config.toml` may set: name, kind, default and what it does, from the fields of `FileConfig`."""
    rows = [*_rows(FileConfig), *((f"projects.NAME.{name}", *rest) for name, *rest in _rows(ProjectConfig))]
    shown = [(f"`{name}`", kind, default, words) for name, kind, default, words in rows if kind != "table"]
    return _table(("setting", "kind", "default", "what it does"), shown)


def _rows(struct: type[msgspec.Struct]) -> Iterator[tuple[str, str, str, str]]:
    words = _docstrings(struct)
    for field in msgspec.structs.fields(struct):
        default = "" if field.default is NODEFAULT else msgspec.json.encode(field.default).decode()
        yield field.name, _kind(field.type), f"`{default}`" if default else "", words[field.name]


def _kind(type_: Any) -> str:
    if get_origin(type_) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(type_))
    return _KINDS.get(_plain(type_), "table")


def _plain(type_: Any) -> type:
    return type_ if isinstance(type_, type) else dict


def _docstrings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The string that stands below each field in the source."""
    (definition,) = ast.parse(inspect.getsource(struct)).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(below.value, ast.Constant)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
