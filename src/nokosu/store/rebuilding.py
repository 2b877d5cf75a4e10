"""Everything that follows from the records, made anew from them: what `nokosu rebuild` does, in one transaction."""

from __future__ import annotations

from nokosu.store import chain, counting, embeddings, schema
from nokosu.store.index import Index
from nokosu.store.sqlite import Connection


def rebuild(connection: Connection, index: Index) -> int:
    """Make links, members, what counts, and the index anew; how many memories there are. What no record tells stays:
    secrets, announcements, addresses, and when a forget was first seen.
    """
    chain.relink(connection)
    counting.recount(connection)
    memories = index.rebuild(connection, schema.WORD_TABLE)
    embeddings.tidy(connection)
    return memories
