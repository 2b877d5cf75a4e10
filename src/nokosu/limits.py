"""Every bound on size and time, each with its unit and its reason.

The error that refuses names the field and the bound; nothing else in the code base repeats these numbers.
"""

from __future__ import annotations

from typing import Final

# Words from outside -------------------------------------------------------------------------------------------------
TEXT_BYTES_MAX: Final = 64 * 1024  # one memory is a note, not a file; it also has to fit a wire record
SUBJECT_CHARS_MAX: Final = 200  # one line in a listing
TAGS_MAX: Final = 32
TAG_CHARS_MAX: Final = 64
REFS_MAX: Final = 32
REF_CHARS_MAX: Final = 1024  # a URL or a path
SUPERSEDES_MAX: Final = 32
PROJECT_CHARS_MAX: Final = 4096  # a name, or the longest path that Linux allows
PROJECT_NAME_CHARS_MAX: Final = 128
AUTHOR_CHARS_MAX: Final = 200  # each of agent, client, session, model, host
IMPORTANCE_MIN: Final = 1
IMPORTANCE_MAX: Final = 5

QUERY_BYTES_MAX: Final = 1024  # longer text is a document, not a question
QUERY_TERMS_MAX: Final = 32  # keeps the worst search below a few dozen milliseconds
QUERY_PHRASES_MAX: Final = 8
RESULTS_MAX: Final = 100
RESULTS_DEFAULT: Final = 10
CANDIDATES: Final = 50  # ranked inside FTS5 before any row is loaded
MATCHES_RANKED_MAX: Final = 2000  # a query that matches more is ranked among the newest of them
MATCHES_COUNTED_MAX: Final = 200  # "200 or more" is all that a total has to tell

ID_PREFIX_CHARS_MIN: Final = 4  # 20 bits: fewer would be ambiguous in any real store
MCP_LINE_BYTES_MAX: Final = 1024 * 1024  # one JSON-RPC message on stdio
MCP_REPLY_CHARS_MAX: Final = 20_000  # what a client shows its model without cutting

# Records --------------------------------------------------------------------------------------------------------------
RECORD_BYTES_MAX: Final = 128 * 1024  # header, signature and body together, before sealing
HEADER_BYTES_MAX: Final = 16 * 1024
AFTER_MAX: Final = 64  # more concurrent heads than devices a person owns
PROJECT_KEYS_MAX: Final = 32
SEQ_MAX: Final = 2**53  # exact in any language's number
HLC_MAX: Final = 2**63 - 1  # what an SQLite integer holds
DRIFT_MS_MAX: Final = 5 * 60 * 1000  # how far a record from the future moves our clock

# Time -----------------------------------------------------------------------------------------------------------------
WRITE_WAIT_MS_MAX: Final = 10_000  # how long a save waits for other writers before it says "not saved"
BATCH_HOLD_MS_MAX: Final = 20  # how long one batch may hold the write lock while others wait to save
RESTORE_DAYS: Final = 30  # a forgotten memory can be restored for this long
ROOT_COMMIT_WAIT_MS: Final = 50  # a save does not wait longer for git to find the first commit
GIT_WAIT_MS_MAX: Final = 2_000  # for every other question to git
BRIEF_TOKENS_DEFAULT: Final = 1_500
BRIEF_TOKENS_MIN: Final = 100
BRIEF_TOKENS_MAX: Final = 20_000
