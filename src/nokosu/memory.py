"""What a person or an agent sees: a memory, a hit, and what became of a save. Field names are the same on every
surface.
"""

from __future__ import annotations

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True):
    """One record of a memory, for its history."""

    kind: str
    time: str
    agent: str
    device: str
    session: str
    text: str | None


class Snapshot(Struct, frozen=True, kw_only=True):
    """One of several concurrent versions of a memory."""

    subject: str
    text: str
    time: str
    agent: str
    device: str


class Lagging(Struct, frozen=True, kw_only=True):
    """A device that does not have it all yet, by name and id: `behind` counts the records that it lacks; `last_seen` is
    when this device last heard of it, None if never.
    """

    device: str
    device_id: str
    behind: int
    last_seen: str | None


class Delivery(Struct, frozen=True, kw_only=True):
    """On how many of a space's devices something is, this one and no revoked one counted, and which are `pending`.

    It is what the others have announced, signed by them. Of a forgotten or purged memory it tells where that has taken
    effect.
    """

    on: int
    devices: int
    pending: tuple[Lagging, ...] = ()


class Memory(Struct, frozen=True, kw_only=True):
    """A memory, as the fold of its records shows it now. Times are RFC 3339 in UTC; `subject` is never empty.

    `status` is live, forgotten, purged or unknown; of a purged memory only who and when is left. `versions` holds all
    concurrent versions when `in_conflict`. `history` is filled on demand. `delivery` is None where the space is not
    shared.
    """

    id: str
    subject: str
    text: str
    type: str
    project: str
    tags: tuple[str, ...]
    refs: tuple[str, ...]
    importance: int | None
    supersedes: tuple[str, ...]
    superseded_by: str | None
    expires: str | None
    expired: bool
    source: str
    created: str
    updated: str
    agent: str
    client: str
    session: str
    model: str
    host: str
    device: str
    space: str
    status: str
    in_conflict: bool
    versions: tuple[Snapshot, ...] = ()
    history: tuple[Event, ...] = ()
    delivery: Delivery | None = None


class Hit(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A memory that a search or listing found.

    `score` grows with relevance and compares hits of one search only; `elsewhere` marks a hit from outside the project
    that the caller works in. `matched` are the words of the query that it holds; `meaning` says that it came for what it means,
    and `weak` that neither is enough for it to be an answer. `in_place_of` is a memory that was found so, and that this one
    superseded.
    """

    id: str
    subject: str
    text: str
    type: str
    project: str
    tags: tuple[str, ...]
    created: str
    agent: str
    device: str
    score: float
    updated: str | None = None
    session: str = ""
    importance: int | None = None
    expires: str | None = None
    superseded_by: str | None = None
    supersedes: tuple[str, ...] = ()
    space: str = ""
    status: str = "live"
    elsewhere: bool = False
    matched: tuple[str, ...] = ()
    meaning: bool = False
    weak: bool = False
    in_place_of: str | None = None
    expired: bool = False
    in_conflict: bool = False
    suspicious: tuple[str, ...] = ()


class Hits(Struct, frozen=True, kw_only=True):
    """What a search found, and the truth about it.

    `total` counts all memories that match; when `total_is_exact` is false there are at least that many. `withheld`
    counts matches that were not shown, by reason: superseded, forgotten, expired, damaged, weak. `project` is the project
    that was ranked first or searched alone. `notes` are lines for the reader.
    """

    hits: tuple[Hit, ...]
    total: int
    total_is_exact: bool = True
    project: str = ""
    withheld: dict[str, int] = {}
    notes: tuple[str, ...] = ()


class Finding(Struct, frozen=True):
    """A kind of secret that was masked in a text before it was saved, and how often."""

    rule: str
    count: int


class Saved(Struct, frozen=True, kw_only=True):
    """What became of a save, edit, forget, restore or purge: it is on disk when this is returned.

    `duplicate`: the same text was already there, and nothing was changed. `redacted` tells what was masked. `notes` are
    lines for whoever saved. `delivery` tells, after a forget, restore or purge in a shared space, where it has taken
    effect so far.
    """

    id: str
    duplicate: bool = False
    project: str = ""
    space: str = ""
    redacted: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    delivery: Delivery | None = None


class Brief(Struct, frozen=True, kw_only=True):
    """What an agent should know before it starts: `text` within the budget, the ids it tells of, and how many it left
    out, in `withheld` by reason: room, older summaries, alike, in CLAUDE.md or AGENTS.md, damaged. `notes` are lines for the reader.
    """

    text: str
    ids: tuple[str, ...]
    left_out: int
    project: str
    withheld: dict[str, int] = {}
    notes: tuple[str, ...] = ()


class DeviceStatus(Struct, frozen=True, kw_only=True):
    """A device of a space: `this` is this one; `behind` counts our records that it lacks; `last_seen` and `version` are
    None and empty until it is heard of.
    """

    name: str
    id: str
    this: bool
    revoked: bool
    last_seen: str | None
    behind: int
    version: str


class HubStatus(Struct, frozen=True, kw_only=True):
    """An always-on machine that serves a space, by its name and its Zenoh id; a `blind` one cannot read what it keeps."""

    name: str
    zid: str
    blind: bool


class SpaceStatus(Struct, frozen=True, kw_only=True):
    """A space as `status` shows it. `devices`, `hubs` and `delivery` are of a shared one; `delivery` is None, too, where
    this device was revoked.
    """

    name: str
    id: str
    memories: int
    shared: bool = False
    devices: tuple[DeviceStatus, ...] = ()
    hubs: tuple[HubStatus, ...] = ()
    delivery: Delivery | None = None


class NodeStatus(Struct, frozen=True, kw_only=True):
    """The process that connects this host to the others. Where it does not run, `why` says so and `hint` what to type."""

    running: bool
    pid: int = 0
    version: str = ""
    why: str = ""
    hint: str = ""


class MeaningStatus(Struct, frozen=True, kw_only=True):
    """Recall by meaning: whether it is installed, whether its process runs, of how many memories that has vectors, and of how many
    not yet. `lacks` says what keeps it from working, or from working for every language; `hint` is what to type.
    """

    installed: bool
    running: bool = False
    pid: int = 0
    memories: int = 0
    pending: int = 0
    lacks: str = ""
    hint: str = ""


class Status(Struct, frozen=True, kw_only=True):
    """Where everything lives and how much there is. Sizes are in bytes; times RFC 3339.

    `exists` is false until the first save; then the counts are 0 and `device_id` is empty. `node` is None where no space
    is shared: then none is needed. `meaning` is None until there is a store, and
    where it is switched off.
    """

    version: str
    home: str
    database: str
    config: str
    exists: bool
    read_only: bool
    database_bytes: int
    wal_bytes: int
    sqlite: str
    device: str
    device_id: str
    agent: str
    project: str
    memories: int
    forgotten: int
    records: int
    last_written: str | None
    spaces: tuple[SpaceStatus, ...]
    node: NodeStatus | None = None
    meaning: MeaningStatus | None = None


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is not as it was written: where, and what."""

    where: str
    what: str
    memory: str = ""


class Verified(Struct, frozen=True, kw_only=True):
    """What was checked, and every problem found; none means that the store is what was written.

    `waiting` counts records of shared spaces that lie behind a gap: those before them are still on their way.
    """

    logs: int
    records: int
    memories: int
    problems: tuple[Problem, ...]
    waiting: int = 0


class Rebuilt(Struct, frozen=True, kw_only=True):
    """What a rebuild of the index made."""

    memories: int
    seconds: float


class RebuiltVectors(Struct, frozen=True, kw_only=True):
    """Of how many memories the vectors were thrown away, for the embedder to make anew."""

    memories: int
