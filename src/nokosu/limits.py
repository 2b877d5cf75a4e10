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
WEAK_HITS_MAX: Final = 5  # shown where nothing holds enough of a question: one may help all the same, and ten are noise
CANDIDATES: Final = 50  # ranked inside FTS5 before any row is loaded
WEIGHED_MAX: Final = 400  # so many are weighed by us as fast as they are ranked inside FTS5
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
CUTS_MAX: Final = 1024  # logs and branches named in a `revoke`; it has to fit a wire record
BOXES_MAX: Final = 1024  # devices a `rekey` reaches; it has to fit a wire record
ADDRESSES_MAX: Final = 16  # that a device announces of itself
BOX_BYTES_MAX: Final = 128  # one of them: two keys' worth and a tag

# Time -----------------------------------------------------------------------------------------------------------------
WRITE_WAIT_MS_MAX: Final = 10_000  # how long a save waits for other writers before it says "not saved"
SETTLED_AT_ONCE_MAX: Final = 500  # memories folded anew in one transaction when the roster changes
BATCH_HOLD_MS_MAX: Final = 20  # how long one batch may hold the write lock while others wait to save
RESTORE_DAYS: Final = 30  # a forgotten memory can be restored for this long
ROOT_COMMIT_WAIT_MS: Final = 50  # a save does not wait longer for git to find the first commit
GIT_WAIT_MS_MAX: Final = 2_000  # for every other question to git

# The brief ------------------------------------------------------------------------------------------------------------
BRIEF_TOKENS_DEFAULT: Final = 1_500
BRIEF_TOKENS_MIN: Final = 100  # a line or two, with what stands around them
BRIEF_TOKENS_MAX: Final = 20_000
BRIEF_LINE_TOKENS_MAX: Final = 80  # of one memory: enough to tell whether to read it whole
BRIEF_MEMORIES_MAX: Final = 50_000  # of a project, the newest, among which a brief chooses
BRIEF_PASSED_OVER_MAX: Final = (
    500  # memories that one brief reads and does not tell, for being told already or too long
)
NEWS_RECORDS_MAX: Final = 2_000  # the latest records, among which news are looked for
COMPARED_CHARS_MAX: Final = 4_000  # of a memory, when it is compared with what was said already
GUIDE_BYTES_MAX: Final = (
    64 * 1024
)  # of one CLAUDE.md or AGENTS.md; agents are told to keep them below 40,000 characters
GUIDE_FOLDERS_MAX: Final = 8  # from where the caller works up to the top of the repository
LOOK_BYTES_MAX: Final = 1024  # the note of how far an agent has been told

# Pairing --------------------------------------------------------------------------------------------------------------
PAIRING_CODE_SECONDS: Final = 600  # an invitation ends after 10 minutes
PAIRING_CONFIRM_SECONDS: Final = 10  # a connection that has not proven the code by then is dropped
PAIRING_UNCONFIRMED_MAX: Final = (
    8  # such connections at a time; a newcomer takes the place of the one that says nothing
)
PAIRING_UNCONFIRMED_BYTES_MAX: Final = 1024  # one message before the code is proven
PAIRING_STEP_SECONDS: Final = 30  # for a message that no person has to think about, a slow disk included
PAIRING_ANSWER_SECONDS: Final = 300  # for a person to say whether memories are to be shared
PAIRING_FRAME_BYTES_MAX: Final = 1024 * 1024
PAIRING_WELCOME_BYTES_MAX: Final = 8 * 1024 * 1024  # secrets and roster: a kilobyte a device
PAIRING_DIALS_MAX: Final = 5  # an invitation under attack drops connections; the joiner tries again
DEVICE_NAME_CHARS_MAX: Final = 64  # in a listing, beside its id
SPACE_NAME_CHARS_MAX: Final = 64
ADDRESS_CHARS_MAX: Final = 260  # the longest host name, and a port
SYNC_SECONDS_DEFAULT: Final = (
    30  # how long `sync --wait` waits: a reconnect takes up to 14, and a day's records a few more
)
SYNC_SECONDS_MAX: Final = 3600
FIRST_SYNC_SECONDS: Final = 15  # how long `join` waits for memories before it says what is there so far

# The exchange with other devices --------------------------------------------------------------------------------------
INBOX_SAMPLES_MAX: Final = 10_000  # what arrived live and waits to be appended; what overflows is fetched again
INBOX_BYTES_MAX: Final = 16 * 1024 * 1024
ANSWERS_BYTES_MAX: Final = 32 * 1024 * 1024  # the same for what was asked for
ANSWERS_PER_GET_MAX: Final = 4_000  # a page in which both branches of a log lie, twice over
VECTOR_BYTES_MAX: Final = 1024 * 1024  # an announcement with 15,000 logs and branches: of 60 devices all they may
STARTS_MAX: Final = 256  # logs and branches of one device in a space: each is a line of every announcement
GET_RECORDS_MAX: Final = 1_000  # asked for at once: a page
GETS_PER_PEER_MAX: Final = 2  # one is answered while the other's answers are appended
GETS_PER_LOG_MAX: Final = 2  # more would arrive out of order
GET_SECONDS_MAX: Final = 120  # a question that nobody ended until then has failed
BACK_OFF_SECONDS_MIN: Final = 1  # a peer whose claims are not honoured is asked again after this, then twice that
BACK_OFF_SECONDS_MAX: Final = 600
UNREACHED_SECONDS_MAX: Final = 30  # the same for one that did not answer at all: links come back
ANNOUNCE_QUIET_SECONDS: Final = 0.2  # an announcement follows the last change by this,
ANNOUNCE_SPACING_SECONDS: Final = 1.0  # but while changes go on it is made once in this time,
ANNOUNCE_EVERY_SECONDS: Final = 60.0  # and this often when nothing changes
COMPARE_EVERY_SECONDS: Final = 60.0  # what is missing is looked for again, though nothing was heard
REKEY_QUIET_SECONDS: Final = 10.0  # after two devices were revoked at once, somebody changes the secret once more:
REKEY_TURN_SECONDS: Final = 5.0  # one after the other, until it is done
NODES_PER_DEVICE_MAX: Final = 4  # copies of one device that are on at the same time
STRANGERS_MAX: Final = 256  # liveliness tokens of devices that are not in the roster yet
BODILESS_WAITING_MAX: Final = 10_000  # scrubbed records whose purge has not arrived yet
BODILESS_WAITING_SECONDS: Final = 30
AHEAD_MAX: Final = 64  # chains behind a gap that one announcement names,
AHEAD_ROWS_MAX: Final = 5_000  # found among so many records
PENDING_PURGES_MAX: Final = 256  # named in an announcement
REFUSALS_EVERY_SECONDS: Final = 5.0  # how often the count of what was refused is written down
ANNOUNCE_AGAIN_SECONDS: Final = (
    3.0  # after somebody appeared, or this device moved: what is put while Zenoh changes its ways may be lost
)
STORAGES_MAX: Final = 16  # zenohds of one space that are looked at, and remembered
STORAGE_SILENT_SECONDS_MAX: Final = 15.0  # then a question has failed: Zenoh may wait for another storage, that is gone
QUESTIONS_PER_STORAGE_MAX: Final = 32  # by exact name: more are not answered sooner
GETS_PER_STORAGE_MAX: Final = 4  # for what we lack ourselves: a page each
AUDITS_AT_ONCE: Final = 8  # pages of one storage that are looked at together
AUDIT_BY_NAME_MAX: Final = 128  # records of a page that are asked for one by one; more by the page
BROUGHT_MAX: Final = 65_536  # records fetched from a storage that need not be asked for to prove that it has them
AUDIT_QUIET_SECONDS: Final = 0.5  # what was put live has reached a storage by then,
AUDIT_OTHERS_SECONDS: Final = 30.0  # and what others wrote they look after themselves first
AUDIT_SETTLE_SECONDS: Final = 0.5  # between putting what was missing and asking for it again
AUDIT_EVERY_SECONDS: Final = 3600.0  # how often a storage is asked whether it still has what it had
SCRUB_AGAIN_SECONDS: Final = 120.0  # after a purge: a copy with its text may still be on its way
DOUBTED_MAX: Final = 4_096  # records of a storage that may lie there without their text, and are looked at once more
DOUBTED_PER_LOG: Final = 8  # the first of those that a device says that it lacks,
DOUBT_FIRST_SECONDS: Final = 45.0  # for so long,
DOUBT_AGAIN_SECONDS: Final = 600.0  # and still
PROOFS_EVERY_SECONDS: Final = 10.0  # how often it is written down what a storage has
RECENT_SECONDS: Final = 600.0  # what a storage was given so lately is asked for again when it comes back:
RECENT_MAX: Final = 256  # RocksDB writes to the disk when it likes, and a power cut takes the rest
CHAIN_STEPS_MAX: Final = 1_000  # headers read back to find where a branch joins, in one go: 20 ms

# The node -------------------------------------------------------------------------------------------------------------
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024  # what Zenoh puts together of one message; the largest is an announcement
SESSIONS_MAX: Final = 128  # connections of one space that Zenoh keeps at a time
ADDRESSES_DIALLED_MAX: Final = 64  # of one space; each that does not answer is tried every four seconds
ADDRESSES_PER_DEVICE_MAX: Final = 12
ADDRESSES_HEARD_MAX: Final = 8  # kept of one device in one space, the latest; those that the user set are not counted
QUESTIONS_WAITING_MAX: Final = 256  # asked by others and not answered yet; more are refused, and asked again
CALL_BYTES_MAX: Final = 64 * 1024 * 1024  # answers to one question
NODE_LOG_BYTES_MAX: Final = 1024 * 1024  # a longer node.log is put aside when a node starts
FAULT_SECONDS_MIN: Final = 1.0  # the node's pause after a fault of the store or the network; then twice that, up to
FAULT_SECONDS_MAX: Final = 60.0
REOPEN_SECONDS_MIN: Final = 15.0  # between two sessions of a space, unless certificates or the port changed
SPLIT_SECONDS: Final = 5.0  # a router that is connected has declared its token by then
SILENCES_MAX: Final = 3  # questions in a row that a node which is there did not answer
SPLIT_AGAIN_SECONDS_MIN: Final = 10.0  # a transport that was opened because of one stands so long,
SPLIT_AGAIN_SECONDS_MAX: Final = 1800.0  # and twice as long each time: somebody may mean to declare none
ADDRESSES_EVERY_SECONDS: Final = 15.0  # how often the node looks at this machine's addresses
CONTROL_BYTES_MAX: Final = 4 * 1024 * 1024  # one line to the node or from it
CONTROLS_AT_ONCE: Final = 16  # conversations with the node

# The engine -----------------------------------------------------------------------------------------------------------
ENGINE_MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024  # what zenohd puts together: all keys that a replica lacks are one
ENGINE_LOG_BYTES_MAX: Final = 1024 * 1024  # a longer zenohd.log is put aside while it runs
ENGINE_TRIAL_SECONDS: Final = (
    20.0  # for a zenohd to load both plugins and open an empty RocksDB; half a second is usual
)
ENGINE_START_SECONDS_MAX: Final = 30.0  # for zenohd to open RocksDB and its socket: 0.3 s with 50,000 records
SILENT_MS_MAX: Final = 12_000  # until a connection that confirms nothing ends: Zenoh's own lease is ten seconds

# Recall by meaning ----------------------------------------------------------------------------------------------------
EMBEDDED_BYTES_MAX: Final = 1200  # of a memory, from its beginning: about what a model reads at a time
MEANING_WAIT_MS: Final = 150  # a search waits no longer for the embedder, and then answers by words alone
EMBEDDER_IDLE_SECONDS: Final = 600.0  # without a question and without anything to embed, it ends
