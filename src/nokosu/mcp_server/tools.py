"""The seven tools: what each takes, what it says of itself, and what it does with a `Nokosu`.

Arguments are checked once for their kind, by the structs here, and once for their bounds, by `Draft`, `Change` and `Query`. The
input schemas are made from these structs, so that they cannot differ. Who the caller is, is never an argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from nokosu import clock, delivery, limits
from nokosu.drafts import TYPES, Change, Draft, Query
from nokosu.errors import UsageError
from nokosu.mcp_server import render
from nokosu.mcp_server.render import Reply
from nokosu.nokosu import Nokosu

ALL_PROJECTS: Final = "*"

_PROJECT: Final = Meta(description="Absolute path of the workspace, or a name")
_PROJECTS: Final = Meta(description='Absolute path of the workspace, or a name: only that project. "*": all')
_ID: Final = Meta(description="Id, or its first 4+ characters")
_TIME: Final = Meta(description="RFC 3339 date or time")
_KIND: Final = Meta(extra_json_schema={"enum": list(TYPES)})
_IMPORTANCE: Final = Meta(extra_json_schema={"minimum": limits.IMPORTANCE_MIN, "maximum": limits.IMPORTANCE_MAX})
_LIMIT: Final = Meta(extra_json_schema={"minimum": 1, "maximum": limits.RESULTS_MAX, "default": limits.RESULTS_DEFAULT})
_TOKENS: Final = Meta(
    extra_json_schema={
        "minimum": limits.BRIEF_TOKENS_MIN,
        "maximum": limits.BRIEF_TOKENS_MAX,
        "default": limits.BRIEF_TOKENS_DEFAULT,
    }
)

Strings: TypeAlias = tuple[str, ...] | UnsetType


class _Arguments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    def given(self) -> dict[str, Any]:
        """What the caller did give, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}


class SaveMemory(_Arguments, frozen=True, kw_only=True):
    """A memory to save."""

    text: Annotated[str, Meta(description="One fact, complete in itself: what, why, exact names")]
    subject: Annotated[str, Meta(description="One line")] | UnsetType = UNSET
    type: Annotated[str, _KIND] | UnsetType = UNSET
    project: Annotated[str, _PROJECT] | UnsetType = UNSET
    tags: Strings = UNSET
    refs: Annotated[tuple[str, ...], Meta(description="Files, commits, URLs")] | UnsetType = UNSET
    importance: Annotated[int, _IMPORTANCE] | UnsetType = UNSET
    supersedes: Annotated[tuple[str, ...], Meta(description="Ids of memories this replaces")] | UnsetType = UNSET
    expires: Annotated[str, _TIME] | UnsetType = UNSET


class SearchMemory(_Arguments, frozen=True, kw_only=True):
    """A search."""

    query: Annotated[str, Meta(description='Words, names, "exact phrases"; empty: the latest')]
    project: Annotated[str, _PROJECTS] | UnsetType = UNSET
    type: Annotated[str, _KIND] | UnsetType = UNSET
    tags: Annotated[tuple[str, ...], Meta(description="All of them")] | UnsetType = UNSET
    agent: Annotated[str, Meta(description="Who wrote it")] | UnsetType = UNSET
    since: Annotated[str, _TIME] | UnsetType = UNSET
    until: Annotated[str, _TIME] | UnsetType = UNSET
    limit: Annotated[int, _LIMIT] | UnsetType = UNSET


class GetMemory(_Arguments, frozen=True, kw_only=True):
    """A memory to read whole."""

    id: Annotated[str, _ID]
    history: Annotated[bool, Meta(description="Also every version")] | UnsetType = UNSET


class EditMemory(_Arguments, frozen=True, kw_only=True):
    """What to change in a memory."""

    id: Annotated[str, _ID]
    text: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    type: Annotated[str, _KIND] | UnsetType = UNSET
    project: Annotated[str, _PROJECT] | UnsetType = UNSET
    tags: Strings = UNSET
    refs: Strings = UNSET
    importance: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": limits.IMPORTANCE_MAX})] | UnsetType = (
        UNSET
    )
    supersedes: Strings = UNSET
    expires: str | UnsetType = UNSET


class ForgetMemory(_Arguments, frozen=True, kw_only=True):
    """A memory to forget."""

    id: Annotated[str, _ID]


class MemoryBrief(_Arguments, frozen=True, kw_only=True):
    """What to be told of."""

    project: Annotated[str, _PROJECT] | UnsetType = UNSET
    tokens: Annotated[int, _TOKENS] | UnsetType = UNSET
    since: Annotated[str, Meta(description="News from when")] | UnsetType = UNSET


class MemoryStatus(_Arguments, frozen=True, kw_only=True):
    """Nothing to be asked."""


def save_memory(nokosu: Nokosu, asked: SaveMemory) -> Reply:
    """Save it; what is not given is as in `Draft`."""
    return render.saved("saved", nokosu.save(Draft(**_in_one_project(asked.given()))))


def search_memory(nokosu: Nokosu, asked: SearchMemory) -> Reply:
    """Search; where a project was named and gave little, say how to look further."""
    given = asked.given()
    query = Query(text=given.pop("query"), **_widened(given))
    found = nokosu.search(query)
    if query.project is not None and len(found.hits) < query.limit:
        note = f'only this project was searched: project "{ALL_PROJECTS}" searches all'
        found = msgspec.structs.replace(found, notes=(*found.notes, note))
    return render.hits(found)


def get_memory(nokosu: Nokosu, asked: GetMemory) -> Reply:
    """Read it."""
    return render.memory(nokosu.get(**asked.given()))


def edit_memory(nokosu: Nokosu, asked: EditMemory) -> Reply:
    """Change what is given."""
    given = _in_one_project(asked.given())
    return render.saved("edited", nokosu.edit(given.pop("id"), Change(**given)))


def forget_memory(nokosu: Nokosu, asked: ForgetMemory) -> Reply:
    """Forget it."""
    done = nokosu.forget(asked.id)
    effect = delivery.after(done.delivery, done.id, clock.system_wall_clock(), status="forgotten")
    note = f"within {limits.RESTORE_DAYS} days a person can bring it back: nokosu restore {done.id}"
    notes = (*done.notes, *([effect] if effect else []), note)
    return render.saved("forgotten", msgspec.structs.replace(done, notes=notes))


def memory_brief(nokosu: Nokosu, asked: MemoryBrief) -> Reply:
    """Tell what matters, and note that it was told."""
    given = _in_one_project(asked.given())
    tokens = given.pop("tokens", limits.BRIEF_TOKENS_DEFAULT)
    reply = render.brief(lambda fewer: nokosu.brief(tokens=fewer, around=render.FENCE_TOKENS, **given), tokens)
    nokosu.told()
    return reply


def memory_status(nokosu: Nokosu, _: MemoryStatus) -> Reply:
    """Tell how it stands."""
    return render.status(nokosu.status())


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, as it is listed and as it is called."""

    name: str
    description: str
    arguments: type[_Arguments]
    output_schema: dict[str, Any]
    call: Callable[[Nokosu, Any], Reply]
    read_only: bool = False
    destructive: bool = False

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments."""
        schema: dict[str, Any] = msgspec.json.schema(self.arguments)["$defs"][self.arguments.__name__]
        return {name: part for name, part in schema.items() if name not in ("title", "description") and part != []}

    def read(self, arguments: dict[str, Any]) -> _Arguments:
        """Check that the arguments are of their kinds, and no others.

        Raises:
            UsageError: names the argument.
        """
        try:
            return msgspec.convert(arguments, self.arguments)
        except msgspec.ValidationError as error:
            raise self._refused(str(error)) from None

    def _refused(self, reason: str) -> UsageError:
        for pattern, says in _REASONS:
            if match := re.fullmatch(pattern, reason):
                field = match["field"]
                if len(field) > _FIELD_CHARS_MAX:
                    field = f"{field[:_FIELD_CHARS_MAX]}..."
                takes = ", ".join(self.arguments.__struct_fields__) or "no arguments"
                words = {name: _WORDS.get(word, word) for name, word in match.groupdict().items()}
                return UsageError(
                    f"{ascii(field)[1:-1]}: {says.format(**words, tool=self.name, takes=takes)}", field=field
                )
        return UsageError(f"arguments: {reason[:200]}", field="arguments")


_FIELD_CHARS_MAX: Final = 40
_REASONS: Final = (
    (r"(?s)Object contains unknown field `(?P<field>.*)`", "no such argument ({tool} takes {takes})"),
    (r"Object missing required field `(?P<field>\w+)`", "is missing"),
    (
        r"Expected `(?P<want>\w+)`, got `null` - at `\$\.(?P<field>\w+).*`",
        "null is not {want}: leave the argument out instead",
    ),
    (r"Expected `(?P<want>\w+)`, got `(?P<got>\w+)` - at `\$\.(?P<field>\w+).*`", "{got} is not {want}"),
)
_WORDS: Final = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number with a fraction",
    "int": "an integer",
    "null": "null",
    "object": "an object",
    "str": "a string",
}


def _widened(given: dict[str, Any]) -> dict[str, Any]:
    """The same filters, with the project that stands for all of them turned into what it means."""
    if given.get("project") != ALL_PROJECTS:
        return given
    return {name: value for name, value in given.items() if name != "project"} | {"all_projects": True}


def _in_one_project(given: dict[str, Any]) -> dict[str, Any]:
    """The same, unless it names all projects where one is meant.

    Raises:
        UsageError: it does.
    """
    if given.get("project") == ALL_PROJECTS:
        words = f'project: "{ALL_PROJECTS}" is for search_memory only: give the path of a folder or a name'
        raise UsageError(words, field="project")
    return given


def _object(**kinds: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in kinds.items()},
        "required": list(kinds),
    }


_SAVED: Final = _object(id="string", duplicate="boolean", project="string")

TOOLS: Final = (
    Tool(
        "save_memory",
        "Remember: save a decision, root cause, fix, gotcha, convention, config fact or summary of work to long-term memory for "
        "later sessions and other agents. Saved means on disk. The same text again changes nothing.",
        SaveMemory,
        _SAVED,
        save_memory,
    ),
    Tool(
        "search_memory",
        "Recall: search long-term memory for past decisions, bugs, fixes, conventions, how-to, earlier work. Use before asking the "
        "user or working it out again.",
        SearchMemory,
        _object(hits="array", total="integer", project="string", withheld="object"),
        search_memory,
        read_only=True,
    ),
    Tool(
        "get_memory",
        "Read one memory whole, with refs and, if asked, history.",
        GetMemory,
        _object(
            id="string", text="string", type="string", project="string", status="string", refs="array", notes="array"
        ),
        get_memory,
        read_only=True,
    ),
    Tool(
        "edit_memory",
        'Correct or update a memory: give only what changes; "" or importance 0 clears a field.',
        EditMemory,
        _SAVED,
        edit_memory,
    ),
    Tool(
        "forget_memory",
        "Forget a wrong or obsolete memory, on every device. If something replaces it, use save_memory with supersedes instead.",
        ForgetMemory,
        _SAVED,
        forget_memory,
        destructive=True,
    ),
    Tool(
        "memory_brief",
        "Start here: news, decisions, traps of the project, at the start of a session or task.",
        MemoryBrief,
        _object(text="string", ids="array", left_out="integer", project="string"),
        memory_brief,
        read_only=True,
    ),
    Tool(
        "memory_status",
        "Where the memory lives, how much is in it, which project this is, what other devices still lack: when saving or finding "
        "fails.",
        MemoryStatus,
        _object(version="string", database="string", exists="boolean", memories="integer", project="string"),
        memory_status,
        read_only=True,
    ),
)
