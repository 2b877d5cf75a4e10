"""The Python door: open, save, get, the latest, rebuild, and bytes on disk. Searches have a module of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path

from bench.corpus import PROJECTS, SEED, Corpus, Note
from bench.figures import Figure, Goal, growth, p50_goal, p99_goal
from bench.floors import BareInsert, BareReader, bare_build
from bench.measuring import Spread, Stopwatch
from bench.stores import Store, checkpoint
from nokosu.drafts import Filters
from nokosu.nokosu import Nokosu

_OPENINGS = 31
_SAVES = 300
_GETS = 500
_LISTINGS = 240
_BRIEFS = 60
_WARM_UP = 10
_REBUILT_NOTES_MAX = 50_000


def opening(stores: dict[int, Store], goal_size: int) -> list[Figure]:
    """From nothing open to the first memory read, and closed again."""
    ours = {size: Stopwatch() for size in stores}
    bare = {size: Stopwatch() for size in stores}
    for turn in range(_OPENINGS):
        for size, store in stores.items():
            id = store.ids[turn % len(store.ids)]
            ours[size].time(partial(_open_and_get, store, id))
            reader = BareReader(store.file)
            bare[size].time(partial(reader.open_and_get, id))
            reader.close()
    figures = [
        Figure(
            "open the store, in process, and read one memory",
            size,
            ours[size].spread(),
            floor=bare[size].spread(),
            floor_name="apsw opens the file and reads one record",
            goals=(p50_goal(ours[size].spread(), 15),) if size == goal_size else (),
        )
        for size in stores
    ]
    return figures + _growth("open the store: growth", ours, 1.5)


def _open_and_get(store: Store, id: str) -> None:
    with store.open() as memory:
        memory.get(id)


def saving(stores: dict[int, Store], goal_size: int, folder: Path) -> list[Figure]:
    """Save by save, each store in turn and a bare insert of as many bytes after each, so that noise meets all alike."""
    saved_to = {size: store.copy(f"saving-{size}") for size, store in stores.items()}
    reader = BareReader(stores[goal_size].file)
    floor = BareInsert(folder, reader.record_bytes())
    reader.close()
    ours = {size: Stopwatch() for size in stores}
    bare = {size: Stopwatch() for size in stores}
    memories = {size: store.open() for size, store in saved_to.items()}
    for at, note in enumerate(Corpus(SEED + 1).notes(_WARM_UP + _SAVES)):
        for size, memory in memories.items():
            if at < _WARM_UP:
                memory.save(note.draft())
                continue
            ours[size].time(partial(_save, memory, note))
            bare[size].time(floor.save)
    floor.close()
    for memory in memories.values():
        memory.close()
    figures = [
        _save_figure(size, ours[size].spread(), bare[size].spread(), is_goal=size == goal_size) for size in stores
    ]
    return figures + _growth("save: growth", ours, 1.5)


def _save(memory: Nokosu, note: Note) -> None:
    memory.save(note.draft())


def _save_figure(size: int, ours: Spread, bare: Spread, *, is_goal: bool) -> Figure:
    ratio = Goal("p50 / floor", ours.p50 / bare.p50, 6, unit="", cpu_value=None)
    return Figure(
        "save, in process",
        size,
        ours,
        floor=bare,
        floor_name="one apsw INSERT of as many bytes + COMMIT, WAL, synchronous=FULL",
        goals=(ratio, p99_goal(ours, 20)) if is_goal else (),
    )


def reading(stores: dict[int, Store], goal_size: int) -> list[Figure]:
    """A memory by its id, the 20 latest of a project, and the brief of one."""
    figures = []
    for size, store in stores.items():
        reader = BareReader(store.file)
        with store.open() as memory:
            by_id = _beside(store.ids, _GETS, memory.get, reader.get)
            latest = _beside(
                PROJECTS if size else (store.sample[0].project,),
                _LISTINGS,
                partial(_latest, memory),
                reader.latest,
            )
            brief = _beside(PROJECTS if size else (store.sample[0].project,), _BRIEFS, memory.brief, reader.latest)
        reader.close()
        rows = (
            ("get by id", by_id, 0.1, "one SELECT of its body"),
            ("20 latest of a project", latest, 0.3, "one SELECT of their bodies"),
            ("brief of a project, in 1,500 tokens", brief, 50, "one SELECT of the bodies of the 20 latest"),
        )
        for name, (ours, bare), most, floor_name in rows:
            goals = (p50_goal(ours, most),) if size == goal_size else ()
            figures.append(Figure(name, size, ours, floor=bare, floor_name=floor_name, goals=goals))
    return figures


def _latest(memory: Nokosu, project: str) -> None:
    memory.list(Filters(project=project, limit=20))


def _beside(
    keys: list[str] | tuple[str, ...], count: int, ours: Callable[[str], object], bare: Callable[[str], object]
) -> tuple[Spread, Spread]:
    """*ours* and *bare* in turn, for one key after another."""
    watch, floor = Stopwatch(), Stopwatch()
    ours(keys[0])
    bare(keys[0])
    for _, key in zip(range(count), cycle(keys), strict=False):
        watch.time(partial(ours, key))
        floor.time(partial(bare, key))
    return watch.spread(), floor.spread()


def rebuilding(stores: dict[int, Store], goal_size: int, folder: Path) -> list[Figure]:
    """The index made anew from the log, and what the file weighs; beside them a bare table and FTS5 of the same texts."""
    figures = []
    for size, store in stores.items():
        if not 0 < size <= max(_REBUILT_NOTES_MAX, goal_size):
            figures.append(_disk_figure(store, None, is_goal=False))
            continue
        reader = BareReader(store.file)
        floor = bare_build(reader.texts(), folder)
        reader.close()
        copy = store.copy(f"rebuilding-{size}")
        watch = Stopwatch()
        with copy.open() as memory:
            watch.time(memory.rebuild)
        wall, cpu = watch.wall_ms[0] / 1000, watch.cpu_ms[0] / 1000
        figures.append(
            Figure(
                "full rebuild of the index",
                size,
                value=wall,
                unit="s",
                floor_value=floor.wall_seconds,
                floor_name="the texts into one table and one FTS5 table, one transaction",
                goals=(Goal("", wall, 20, unit="s", cpu_value=cpu),) if size == goal_size else (),
                remark=f"CPU {cpu:.1f} s, floor {floor.cpu_seconds:.1f} s",
            )
        )
        figures.append(_disk_figure(store, floor.file_bytes, is_goal=size == goal_size))
    return figures


def _disk_figure(store: Store, floor_bytes: int | None, *, is_goal: bool) -> Figure:
    checkpoint(store.file)
    file_bytes = store.file.stat().st_size
    value = file_bytes / store.text_bytes
    return Figure(
        "bytes on disk per byte of text",
        store.notes,
        value=value,
        unit="",
        floor_value=None if floor_bytes is None else floor_bytes / store.text_bytes,
        floor_name="the texts in one table and one FTS5 table",
        goals=(Goal("", value, 3.5, unit=""),) if is_goal else (),
        remark=f"{file_bytes / 1e6:.1f} MB",
    )


def loading(stores: dict[int, Store]) -> list[Figure]:
    """How long it took to fill the largest store, in batches of 500."""
    store = stores[max(stores)]
    value = store.load_cpu_seconds / max(store.notes, 1) * 1e6
    return [Figure("save_many in batches of 500, per note", store.notes, value=value, unit="µs CPU")]


def _growth(name: str, watches: dict[int, Stopwatch], most: float) -> list[Figure]:
    sizes = sorted(size for size in watches if size)
    if len(sizes) < 2:
        return []
    return [growth(name, {size: watches[size].spread() for size in sizes}, sizes[0], sizes[-1], most)]
