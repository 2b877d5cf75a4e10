"""The MCP server as an agent starts it, beside a bare one of the same SDK."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.corpus import PROJECTS
from bench.figures import Figure, Goal
from bench.measuring import Stopwatch, percentile
from bench.processes import NOKOSU, environment
from bench.stdio_client import StdioClient
from bench.stores import Store

_STARTS = 7
_SEARCHES = 50


def serving(store: Store) -> list[Figure]:
    """Start, tools/list, first search, and memory after some more."""
    served = store.copy("served")
    environ = {**environment(served.home), "NOKOSU_PROJECT": PROJECTS[0]}
    bare_environ = {**environ, "PYTHONPATH": f"{Path(__file__).resolve().parents[1]}:{environ['PYTHONPATH']}"}
    start, bare, first, later = Stopwatch(), Stopwatch(), Stopwatch(), Stopwatch()
    memory, bare_memory = [], []
    words = [max(note.text.replace(".", "").lower().split(), key=len) for note in store.sample[-_SEARCHES:]]
    for at in range(_STARTS + 1):
        with StdioClient([*NOKOSU, "mcp"], environ) as client:
            found = _ms(partial(client.call, "search_memory", {"query": words[0]}))
            for word in words:
                later.note(_ms(partial(client.call, "search_memory", {"query": word})), 0)
            resident = client.memory_mib
            ready = client.ready_ms
        with StdioClient([sys.executable, "-m", "bench.bare_server"], bare_environ) as floor:
            if at:  # the first round fills the caches
                start.note(ready, 0)
                first.note(found, 0)
                bare.note(floor.ready_ms, 0)
                memory.append(resident)
                bare_memory.append(floor.memory_mib)
    return _figures(store.notes, (start, bare, first, later), percentile(memory, 50), percentile(bare_memory, 50))


def _figures(
    notes: int, watches: tuple[Stopwatch, Stopwatch, Stopwatch, Stopwatch], memory: float, bare_memory: float
) -> list[Figure]:
    start, bare, first, later = (percentile(watch.wall_ms, 50) for watch in watches)
    return [
        Figure(
            "MCP: from spawn to the answer to tools/list",
            notes,
            value=start,
            unit="ms",
            floor_value=bare,
            floor_name="a bare SDK server with seven tools",
            goals=(Goal("above the floor", start - bare, 150),),
        ),
        Figure("MCP: first search after that", notes, value=first, unit="ms", goals=(Goal("", first, 30),)),
        Figure("MCP: later searches", notes, value=later, unit="ms"),
        Figure(
            "MCP: resident memory after 51 searches",
            notes,
            value=memory,
            unit="MiB",
            floor_value=bare_memory,
            floor_name="a bare SDK server with seven tools",
            goals=(Goal("", memory, 110, unit="MiB"),),
        ),
    ]


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
