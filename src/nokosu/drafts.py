"""Words from outside, checked once: a `Draft` to save, a `Change` to make, and the `Filters` of a search or listing.

Every surface builds one of these and hands it down; below, nothing checks again. What does not fit raises `UsageError`
with one line that names the field and the bound.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from nokosu import ids, limits, times
from nokosu.errors import UsageError

TYPES: Final = ("note", "decision", "bug", "pattern", "config", "summary")
SOURCES: Final = ("person", "agent", "tool", "import")

_TOOL_MARKUP: Final = re.compile(
    r"</(?:content|text|parameter|argument|memory)>\s*(?:<(?:parameter|subject|type|project|tags|invoke|argument)\b|</(?:invoke|function))"
)
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn"})


class Draft(Struct, frozen=True, kw_only=True):
    """A memory that is to be saved.

    `project` is a name or an absolute path; None means the project that the caller works in. `supersedes` holds ids or
    unique prefixes. `expires` is an RFC 3339 date or time.

    Raises:
        UsageError: a field is empty, too long, or not of its kind.
    """

    text: str
    subject: str = ""
    type: str = "note"
    project: str | None = None
    tags: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    importance: int | None = None
    supersedes: tuple[str, ...] = ()
    expires: str | None = None
    source: str = "agent"

    def __post_init__(self) -> None:
        check_text(self.text, source=self.source)
        _check_fields(self.subject, self.type, self.project, self.importance, self.expires)
        one_of("source", self.source, SOURCES)
        _replace(self, subject=" ".join(self.subject.split()), project=_name_or_path(self.project))
        _replace(
            self, tags=check_tags(self.tags), refs=check_refs(self.refs), supersedes=check_supersedes(self.supersedes)
        )


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an edit changes; None leaves a field as it is.

    An empty string, or an importance of 0, takes the value away again.

    Raises:
        UsageError: a field is too long, not of its kind, or nothing is changed at all.
    """

    text: str | None = None
    subject: str | None = None
    type: str | None = None
    project: str | None = None
    tags: tuple[str, ...] | None = None
    refs: tuple[str, ...] | None = None
    importance: int | None = None
    supersedes: tuple[str, ...] | None = None
    expires: str | None = None

    def __post_init__(self) -> None:
        if all(getattr(self, name) is None for name in self.__struct_fields__):
            raise UsageError("edit: nothing to change: give at least one field", field="edit")
        if self.text is not None:
            check_text(self.text, source="agent")
        _check_fields(
            self.subject or "", self.type or "note", self.project or None, self.importance or None, self.expires or None
        )
        if self.subject is not None:
            _replace(self, subject=" ".join(self.subject.split()))
        _replace(self, project=_name_or_path(self.project))
        if self.tags is not None:
            _replace(self, tags=check_tags(self.tags))
        if self.refs is not None:
            _replace(self, refs=check_refs(self.refs))
        if self.supersedes is not None:
            _replace(self, supersedes=check_supersedes(self.supersedes))


class Filters(Struct, frozen=True, kw_only=True):
    """Which memories a search or listing is about.

    `project` restricts to one; with None a search ranks the caller's project first, and `all_projects` ignores
    projects. `tags` must all be there. `since` and `until` bound the time a memory was last written, both ends
    included.

    Raises:
        UsageError: a field is too long or not of its kind.
    """

    project: str | None = None
    all_projects: bool = False
    type: str | None = None
    tags: tuple[str, ...] = ()
    agent: str | None = None
    device: str | None = None
    space: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int = limits.RESULTS_DEFAULT
    include_superseded: bool = False
    include_forgotten: bool = False
    include_expired: bool = False

    def __post_init__(self) -> None:
        _check_fields("", self.type or "note", self.project, None, None)
        for field in ("agent", "device", "space"):
            value = getattr(self, field)
            if value is not None:
                _bounded(field, plain(field, value), limits.AUTHOR_CHARS_MAX)
        _replace(self, tags=check_tags(self.tags), project=_name_or_path(self.project))
        if self.project is not None and self.all_projects:
            raise UsageError("project: cannot be given together with all_projects", field="project")
        if not 1 <= self.limit <= limits.RESULTS_MAX:
            raise UsageError(f"limit: {_number(self.limit)} is not from 1 to {limits.RESULTS_MAX}", field="limit")
        since, until = self.since_ms, self.until_ms
        if since is not None and until is not None and since > until:
            raise UsageError("since: is later than until", field="since")

    @property
    def since_ms(self) -> int | None:
        """The first millisecond asked for."""
        return None if self.since is None else times.parse(self.since, field="since")

    @property
    def until_ms(self) -> int | None:
        """The last millisecond asked for."""
        return None if self.until is None else times.parse(self.until, field="until", end_of_day=True)


class Query(Filters, frozen=True, kw_only=True):
    """A search: words as a person types them, and filters. An empty text asks for the latest that the filters let
    through.

    Raises:
        UsageError: the text is longer than 1 KiB, or a filter is not valid.
    """

    text: str = ""

    def __post_init__(self) -> None:
        size = len(encoded("query", self.text))
        if size > limits.QUERY_BYTES_MAX:
            raise UsageError(f"query: {size} bytes, at most {limits.QUERY_BYTES_MAX}", field="query")
        Filters.__post_init__(self)


def check_text(text: str, *, source: str) -> None:
    """Check the text of a memory: not empty to the eye, valid Unicode, within its bound, no NUL, no leaked tool
    call.
    """
    size = len(encoded("text", text))
    if size > limits.TEXT_BYTES_MAX:
        raise UsageError(f"text: {size} bytes, at most {limits.TEXT_BYTES_MAX}", field="text")
    if "\0" in text:
        raise UsageError("text: contains a NUL character", field="text")
    if not text.strip() or all(unicodedata.category(character) in _INVISIBLE for character in text):
        raise UsageError("text: empty text", field="text")
    if source == "agent" and _TOOL_MARKUP.search(text):
        raise UsageError(
            "text: holds the markup of a tool call; pass each field as an argument of its own", field="text"
        )


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without surrounding blanks, each once, in their order."""
    found = tuple(dict.fromkeys(_bounded("tags", plain("tags", tag).strip(), limits.TAG_CHARS_MAX) for tag in tags))
    if not all(found):
        raise UsageError("tags: an empty tag", field="tags")
    return _few("tags", found, limits.TAGS_MAX)


def check_refs(refs: Iterable[str]) -> tuple[str, ...]:
    """References (files, commits, URLs), each once, in their order."""
    found = tuple(dict.fromkeys(_bounded("refs", plain("refs", ref).strip(), limits.REF_CHARS_MAX) for ref in refs))
    if not all(found):
        raise UsageError("refs: an empty reference", field="refs")
    return _few("refs", found, limits.REFS_MAX)


def check_supersedes(supersedes: Iterable[str]) -> tuple[str, ...]:
    """Ids, or beginnings of ids, each once, in their order."""
    found = tuple(dict.fromkeys(ids.memory_id_prefix(id, field="supersedes") for id in supersedes))
    return _few("supersedes", found, limits.SUPERSEDES_MAX)


def one_of(field: str, value: str, allowed: tuple[str, ...]) -> None:
    """Check that *value* is one of the words *allowed*."""
    if value not in allowed:
        raise UsageError(f"{field}: {_shown(value)} is not one of {', '.join(allowed)}", field=field)


def encoded(field: str, text: str) -> bytes:
    """The text in UTF-8; a lone surrogate, which is what bytes that are not UTF-8 become, is refused."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{field}: not valid UTF-8", field=field) from None


def plain(field: str, text: str) -> str:
    """A short text that is one line of visible characters."""
    encoded(field, text)
    if not text.isprintable():
        raise UsageError(f"{field}: holds a control character", field=field)
    return text


def _check_fields(subject: str, type: str, project: str | None, importance: int | None, expires: str | None) -> None:
    _bounded("subject", plain("subject", " ".join(subject.split())), limits.SUBJECT_CHARS_MAX)
    one_of("type", type, TYPES)
    if project is not None:
        if not plain("project", project).strip():
            raise UsageError("project: an empty name", field="project")
        absolute = project.startswith("/")
        _bounded("project", project, limits.PROJECT_CHARS_MAX if absolute else limits.PROJECT_NAME_CHARS_MAX)
    if importance is not None and not limits.IMPORTANCE_MIN <= importance <= limits.IMPORTANCE_MAX:
        bounds = f"{limits.IMPORTANCE_MIN} to {limits.IMPORTANCE_MAX}"
        raise UsageError(f"importance: {_number(importance)} is not from {bounds}", field="importance")
    if expires is not None:
        times.parse(expires, field="expires", end_of_day=True)


def _name_or_path(project: str | None) -> str | None:
    """A project's name without blanks around it; a path as it is."""
    return project.strip() if project is not None and not project.startswith("/") else project


def _bounded(field: str, text: str, chars_max: int) -> str:
    if len(text) > chars_max:
        raise UsageError(f"{field}: {len(text)} characters, at most {chars_max}", field=field)
    return text


def _few(field: str, values: tuple[str, ...], count_max: int) -> tuple[str, ...]:
    if len(values) > count_max:
        raise UsageError(f"{field}: {len(values)} given, at most {count_max}", field=field)
    return values


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def _number(value: int) -> str:
    return str(value) if abs(value) < 10**18 else "a number of more than 18 digits"


def _replace(value: Struct, **fields: object) -> None:
    """Set normalised fields while the value is being made; afterwards it is frozen."""
    for name, field in fields.items():
        msgspec.structs.force_setattr(value, name, field)
