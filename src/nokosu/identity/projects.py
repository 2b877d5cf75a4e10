"""Which repository is this? A folder in, the keys out by which the same project is recognised elsewhere.

Two places are one project when they share a key: the root commit of the main line (not that of a shallow clone, which
is wherever the clone was cut) or a remote, spelled in one way. So clones, worktrees, subfolders and renamed folders
follow. A folder without git is known by device and path; the home directory and `/` are no project.

Repositories are hostile until shown otherwise. Everything but the root commit is read from files, by one small reader
that does not wait on pipes; git runs once, for the root commit, with what could make it start another program turned
off. Repositories of other users stay refused unless the person's own `safe.directory` allows them. This module reads
no environment and keeps no state; caching by path is the caller's.

Source: gitrepository-layout(5) and git-config(1), "Syntax".
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from nokosu import limits
from nokosu.errors import UsageError

KEY_BYTES: Final = 16

_FILE_BYTES_MAX: Final = 256 * 1024  # a config with two thousand branches; a larger one is not read
_GIT_PATH: Final = "/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin"


class Place(Struct, frozen=True):
    """A folder as a project.

    `root` is the real path of the work tree's top, or of the folder where there is no git; bytes that are not UTF-8
    stand in it as Python writes them (surrogate escapes). `name` is for display: printable, at most
    `limits.PROJECT_NAME_CHARS_MAX`. `keys` are `KEY_BYTES` each, sorted, unique, at least one and at most
    `limits.PROJECT_KEYS_MAX`. `complete` is False when a root commit may still be found: look it up again later.
    """

    root: str
    name: str
    keys: tuple[bytes, ...]
    complete: bool


class _Repository(Struct, frozen=True):
    """The files of one repository: `gitdir` of this work tree, `common` of all its work trees."""

    top: Path
    gitdir: Path
    common: Path

    @property
    def linked(self) -> bool:
        """True for a worktree made by `git worktree add`."""
        return self.gitdir != self.common

    @property
    def main_top(self) -> Path:
        """The one folder that stands for all work trees: the main one, or the bare repository (`app/.bare`: app)."""
        if not self.linked and self.gitdir != self.top:
            return self.top
        return self.common.parent if self.common.name in {".git", ".bare"} else self.common


def locate(
    path: Path, *, home: Path, device: bytes, wait_ms: int = limits.ROOT_COMMIT_WAIT_MS, git: str = "git"
) -> Place | None:
    """The project that *path*, a folder or a file, belongs to; None for *home* and `/`: unfiled.

    git may take *wait_ms* for the root commit (0: it is not asked); *git* is its path, or a name looked up in the
    usual system folders, never in the PATH of whoever runs us. A `.git` in *home* or in `/` makes no project of what
    lies below. A folder with a broken `.git`, with no remote and no commit, or unreadable is known by device and path.

    Raises:
        UsageError: *path* does not exist or cannot be reached; names the field "project".
    """
    folder = _folder(path)
    real_home = _real(home)
    if folder in (real_home, Path("/")):
        return None
    top = top_of(folder, home=real_home)
    repository = _repository(top) if top is not None else _bare_repository(folder, real_home)
    if repository is not None:
        return _place(repository, device, _root_commit_key(repository, real_home, wait_ms, git))
    known_as = folder if top is None else top
    # A broken `.git` may be mended, and then a root comes.
    return Place(str(known_as), _display_name(known_as.name), (_path_key(device, known_as),), complete=top is None)


def key(kind: Literal["root", "remote", "path", "name"], value: str) -> bytes:
    """The key of one fact about a project: the first 16 bytes of SHA-256 of "kind:value" in UTF-8.

    *value* is the commit in hex; the remote as `normalise_remote` gives it; "device in hex:path"; or a name, which is
    folded here (NFKC, casefold, NFKC), so that two spellings are one.
    """
    if kind == "name":
        value = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())
    # A path may hold bytes that are no UTF-8; they get a key too.
    return hashlib.sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).digest()[:KEY_BYTES]


def top_of(path: Path, *, home: Path | None = None) -> Path | None:
    """The nearest folder at or above *path* with a `.git` entry, sound or not, as a real path; only stat calls.

    The walk ends below `/`, and below *home* where given, as `locate` does.
    """
    real_home = None if home is None else _real(home)
    here = _real(path)
    for folder in (here, *here.parents):
        if folder in (real_home, folder.parent):
            return None
        if os.path.lexists(folder / ".git"):
            return folder
    return None


# Remotes ------------------------------------------------------------------------------------------------------------

_NETWORK_SCHEMES: Final = frozenset({"ssh", "git+ssh", "ssh+git", "git", "http", "https", "ftp", "ftps"})
_CASE_INSENSITIVE_HOSTS: Final = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})
_OTHER_NAMES_OF_HOSTS: Final = {
    "www.github.com": "github.com",
    "ssh.github.com": "github.com",  # the hosts that speak ssh on port 443, for networks that block 22
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)/(.*)")
# Neither C:/folder, nor helper::address.
_SCP_LIKE: Final = re.compile(r"((?:[^/:@\[]*@)?(?:\[[^/\]]*\]|[^/:@\[\]]{2,})):(?!:)(.*)")
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9][A-Za-z0-9._-]*))(?::[0-9]*)?")
_LOOPBACK: Final = re.compile(r"localhost|.+\.localhost|127(?:\.[0-9]+){3}|::1")


class _Remote(Struct, frozen=True):
    """Where a network remote is: its host, known by one name, and the path there, in the case it was written in."""

    host: str
    path: str

    @property
    def spelling(self) -> str:
        path = self.path.lower() if self.host in _CASE_INSENSITIVE_HOSTS else self.path
        return f"{self.host}/{path}"


def normalise_remote(url: str) -> str | None:
    """The one spelling of a remote: "github.com/org/repo", whether it was written for ssh or for https.

    User, port, `.git`, slashes around the path and the host's case are dropped; the path's case too on hosts known to
    ignore it. None for what other machines cannot share (paths, `file:`, this very host), and for what is in doubt.
    The result with `https://` in front gives itself again.
    """
    remote = _parse_remote(url)
    return None if remote is None else remote.spelling


def _parse_remote(url: str) -> _Remote | None:
    url = url.strip()
    if not url.isprintable() or re.search(r"[ ?#\\]", url):
        return None
    match = _URL.fullmatch(url)
    if match is not None:
        scheme, authority, path = match.groups()
        if scheme.lower() not in _NETWORK_SCHEMES:
            return None
    else:
        match = _SCP_LIKE.fullmatch(url)
        if match is None or "://" in url:
            return None
        authority, path = match.groups()
    host, path = _host(authority), _trim(path)
    if host is None or not path or {".", ".."} & set(path.split("/")):
        return None
    remote = _Remote(host, path)
    return remote if len(remote.spelling) <= limits.REF_CHARS_MAX else None


def _host(authority: str) -> str | None:
    """The host of "user:password@Host:port", or of "[host:port]" as ssh's short form has it."""
    written = authority.rpartition("@")[2]
    match = _HOST.fullmatch(written) or _HOST.fullmatch(written.removeprefix("[").removesuffix("]"))
    if match is None:
        return None
    address, name = match.groups()
    host = (address or name).lower().rstrip(".")
    if not host or _LOOPBACK.fullmatch(host):
        return None  # every machine calls itself that
    return f"[{host}]" if address else _OTHER_NAMES_OF_HOSTS.get(host, host)


def _trim(path: str) -> str:
    """*path* with single slashes, and none and no ".git" in any case at its ends, however often they stood there."""
    parts = [part for part in path.split("/") if part]
    while parts and parts[-1][-4:].lower() == ".git":
        parts[-1] = parts[-1][:-4]
        if not parts[-1]:
            parts.pop()
    return "/".join(parts)


# The config file. Runs of characters are possessive and each alternative starts with another character, so that no
# text, however crafted, is read more than a few times. (Possessive groups match wrongly in Python before 3.11.5.)
_BLANK: Final = re.compile(r"(?:[ \t\n]++|[#;][^\n]*+)+")
_SECTION: Final = re.compile(r'\[([A-Za-z0-9.-]+)(?:[ \t]+"((?:[^"\\\n]++|\\[^\n])*)")?\]')
_VARIABLE: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9-]*+)[ \t]*+"
    r'(?:=((?:[^"\\\n#;]++|\\["\\ntb\n]|"(?:[^"\\\n]++|\\["\\ntb\n])*")*))?(?:[#;][^\n]*+)?(?=\n|\Z)'
)
_ESCAPED: Final = re.compile(r'\\(.)|"', re.DOTALL)
_ESCAPES: Final = {"\n": "", "n": "\n", "t": "\t", "b": "\b"}


def _remotes(config: str) -> Iterator[tuple[str, str]]:
    """Name and URL of each remote in a config file's text, in its order; no include or `insteadOf` is followed.

    Reading ends at the first line that is none: git would not use such a file at all.
    """
    text = config.removeprefix("\ufeff").replace("\r\n", "\n")
    remote: str | None = None
    position = 0
    while position < len(text):
        if match := _BLANK.match(text, position):
            pass
        elif match := _SECTION.match(text, position):
            remote = _remote_name(*match.groups())
        elif match := _VARIABLE.match(text, position):
            if remote is not None and match[1].lower() == "url" and match[2] is not None:
                yield remote, _unquote(match[2])
        else:
            return
        position = match.end()


def _remote_name(section: str, subsection: str | None) -> str | None:
    """The remote that a section header is about; `[remote.name]` is the old spelling of `[remote "name"]`."""
    if subsection is None:
        kind, dot, name = section.lower().partition(".")
        return name if dot and kind == "remote" else None
    return re.sub(r"\\(.)", r"\1", subsection) if section.lower() == "remote" else None


def _unquote(value: str) -> str:
    """A config value without its quotes and escapes; blanks at its ends go too, as no URL has any."""

    def plain(match: re.Match[str]) -> str:
        return _ESCAPES.get(match[1], match[1]) if match[1] else ""

    return _ESCAPED.sub(plain, value).strip()


# Files ----------------------------------------------------------------------------------------------------------------


def _folder(path: Path) -> Path:
    """The real folder of *path*: itself, or where the file lies."""
    try:
        real = Path(os.path.realpath(path, strict=True))
        is_folder = stat.S_ISDIR(real.stat().st_mode)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(
            f"project: {str(path)!a} cannot be used: {reason}",
            hint="pass the path of a folder that exists, or a project's name",
            field="project",
        ) from error
    return real if is_folder else real.parent


def _is_folder(path: Path) -> bool:
    """As `Path.is_dir`, which before Python 3.14 raises for a path that may not be reached or cannot exist."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _real(path: Path) -> Path:
    """*path* without symbolic links, as far as it exists; a path that cannot exist stays as it is."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        return path


def _read(path: Path) -> str:
    """The text of a small regular file; empty if it is anything else. A pipe in a file's place must not stop us."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return ""
    with os.fdopen(handle, "rb") as file:
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return ""
            content = file.read(_FILE_BYTES_MAX + 1)
        except OSError:
            return ""
    return "" if len(content) > _FILE_BYTES_MAX else os.fsdecode(content)


def _repository(top: Path) -> _Repository | None:
    """The repository whose work tree begins at *top*; None when its `.git` leads nowhere."""
    gitdir = top / ".git"
    if not _is_folder(gitdir):
        prefix, _, target = _read(gitdir).partition(" ")
        if prefix != "gitdir:":
            return None
        gitdir = top / target.rstrip("\r\n")
    return _sound(top, _real(gitdir))


def _bare_repository(folder: Path, home: Path) -> _Repository | None:
    """The bare repository at or above *folder*, below *home* and `/`."""
    for candidate in (folder, *folder.parents):
        if candidate == home:
            return None
        if candidate.name == ".git":
            continue  # only that of home or `/` gets here, and it is ignored
        if os.path.lexists(candidate / "HEAD") and (found := _sound(candidate, candidate)):
            return found
    return None


def _sound(top: Path, gitdir: Path) -> _Repository | None:
    """The repository in *gitdir* if it has what git itself asks of one: otherwise git would look further up."""
    shared = _read(gitdir / "commondir").rstrip("\r\n")
    common = _real(gitdir / shared) if shared else gitdir
    if os.path.lexists(gitdir / "HEAD") and _is_folder(common / "objects") and _is_folder(common / "refs"):
        return _Repository(top, gitdir, common)
    return None


def _is_shallow(repository: _Repository) -> bool:
    try:
        return (repository.common / "shallow").stat().st_size > 0
    except OSError:
        return False


# The place ----------------------------------------------------------------------------------------------------------


class _Root(Struct, frozen=True):
    """What is known of the root commit: its key if found, and whether asking again could tell more."""

    keys: tuple[bytes, ...]
    settled: bool


def _place(repository: _Repository, device: bytes, root: _Root) -> Place:
    written = sorted(_remotes(_read(repository.common / "config")), key=lambda named: named[0] != "origin")
    remotes = [remote for _, url in written if (remote := _parse_remote(url))]
    shared = dict.fromkeys((*root.keys, *(key("remote", remote.spelling) for remote in remotes)))
    # The root and "origin" come first: they stay where there are more remotes than a record has room for.
    keys = list(shared)[: limits.PROJECT_KEYS_MAX] or [_path_key(device, repository.main_top)]
    name = remotes[0].path.rpartition("/")[2] if remotes else repository.main_top.name.removesuffix(".git")
    return Place(str(repository.top), _display_name(name), tuple(sorted(keys)), complete=root.settled)


def _path_key(device: bytes, folder: Path) -> bytes:
    return key("path", f"{device.hex()}:{folder}")


def _display_name(name: str) -> str:
    """*name* as a terminal may show it: what does not print becomes "?"."""
    shown = "".join(char if char.isprintable() else "?" for char in name).strip()
    return shown[: limits.PROJECT_NAME_CHARS_MAX] or "unnamed"


# git ----------------------------------------------------------------------------------------------------------------


def _root_commit_key(repository: _Repository, home: Path, wait_ms: int, git: str) -> _Root:
    """The key of the main line's first commit: for a worktree that of its repository, whatever it has checked out."""
    if _is_shallow(repository):
        return _Root((), settled=True)
    deadline = time.monotonic() + wait_ms / 1000
    for head in ("main-worktree/HEAD", "HEAD") if repository.linked else ("HEAD",):
        wait_s = deadline - time.monotonic()
        commit = _root_commit(repository.top, head, home, wait_s, git) if wait_s > 0 else None
        if commit is not None:
            return _Root((key("root", commit),), settled=True)
    return _Root((), settled=False)


def _root_commit(top: Path, head: str, home: Path, wait_s: float, git: str) -> str | None:
    """Ask git for the commit without parents that following first parents from *head* ends at, as hex.

    First parents only: a history merged in from elsewhere must not join two projects. None when git is missing,
    refuses, does not answer in *wait_s*, or there is no commit yet.
    """
    command = [
        *(git, "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(top)),
        *("rev-list", "--max-parents=0", "--first-parent", head, "--"),
    ]
    try:
        done = subprocess.run(  # kills git when the time is over
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",  # ours may be gone
            env=_git_environment(top, home),
            timeout=wait_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    commit = done.stdout.strip()
    if done.returncode == 0 and re.fullmatch(rb"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return commit.decode("ascii")
    return None


def _git_environment(top: Path, home: Path) -> dict[str, str]:
    """All that git gets to see: the person's own config, and nothing through which a repository could run a program."""
    return {
        "PATH": _GIT_PATH,
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        # A partial clone fetches what it lacks, through a program that its config names. Git from before 2.45 knows
        # no such variable as the first, so the second forbids every transport.
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        # Replaced and grafted commits are one clone's own view, and clones must agree.
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": "/dev/null",
        "GIT_CEILING_DIRECTORIES": str(top.parent),  # a `.git` that breaks now must not lead to a repository above
    }
