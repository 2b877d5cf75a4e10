"""What a repository tells its agents anyway: read where it can be, named where it cannot, and never an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nokosu import limits
from nokosu.identity.guides import Guide, guides


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    return folder


def test_the_files_from_where_one_works_up_to_the_top_are_read_nearest_first(top: Path) -> None:
    below = top / "services" / "mail"
    below.mkdir(parents=True)
    (top / "CLAUDE.md").write_text("top, Claude")
    (top / "AGENTS.md").write_text("\ufefftop, 全員")
    (below / "AGENTS.md").write_text("below")
    (top.parent / "AGENTS.md").write_text("above")
    assert guides(below, top) == [
        Guide("services/mail/AGENTS.md", "below"),
        Guide("AGENTS.md", "top, 全員"),
        Guide("CLAUDE.md", "top, Claude"),
    ]
    assert [guide.name for guide in guides(top, top)] == ["AGENTS.md", "CLAUDE.md"]
    assert [guide.name for guide in guides(top.parent, top)] == ["AGENTS.md", "CLAUDE.md"]


def test_folders_far_below_the_top_are_looked_at_as_far_as_the_bound_says(top: Path) -> None:
    deep = top.joinpath(*map(str, range(2 * limits.GUIDE_FOLDERS_MAX)))
    deep.mkdir(parents=True)
    for folder in (deep, *deep.parents[: 2 * limits.GUIDE_FOLDERS_MAX]):
        (folder / "AGENTS.md").write_text(str(folder))
    found = guides(deep, top)
    assert len(found) == limits.GUIDE_FOLDERS_MAX
    assert found[-1].name == "AGENTS.md"


def test_two_names_of_one_file_are_one_and_a_link_out_of_the_repository_is_not_followed(top: Path) -> None:
    (top / "AGENTS.md").write_text("for all")
    (top / "CLAUDE.md").symlink_to("AGENTS.md")
    assert guides(top, top) == [Guide("AGENTS.md", "for all")]
    (top.parent / "secret.md").write_text("not of this repository")
    (top / "CLAUDE.md").unlink()
    (top / "CLAUDE.md").symlink_to(top.parent / "secret.md")
    assert guides(top, top)[1] == Guide("CLAUDE.md", unread="a link out of the repository")


def test_what_is_no_small_text_file_is_named_with_the_reason(top: Path) -> None:
    path = top / "AGENTS.md"
    for data, why in ((b"\xff\xfe", "not UTF-8"), (b"x" * (limits.GUIDE_BYTES_MAX + 1), "longer than 64 KiB")):
        path.write_bytes(data)
        assert guides(top, top) == [Guide("AGENTS.md", unread=why)]
    path.write_bytes(b"x" * limits.GUIDE_BYTES_MAX)
    assert guides(top, top)[0].unread == ""
    path.unlink()
    path.mkdir()
    assert guides(top, top) == [Guide("AGENTS.md", unread="not a file")]
    path.rmdir()
    os.mkfifo(path)
    assert guides(top, top) == [Guide("AGENTS.md", unread="not a file")]
    path.unlink()
    path.symlink_to("AGENTS.md")
    assert guides(top, top)[0].unread == "too many levels of symbolic links"
    path.unlink()
    below = top / os.fsdecode(b"caf\xe9")
    below.mkdir()
    (below / "AGENTS.md").write_bytes(b"\xff")
    assert guides(below, top)[0] == Guide(
        r"caf\xe9/AGENTS.md", unread="not UTF-8"
    )  # a name that can be told to anybody
    path.symlink_to("missing.md")
    assert guides(top, top)[0].unread == "no such file or directory"
