"""What kind of file system a folder is on, from what Linux and macOS say."""

from __future__ import annotations

from pathlib import Path

import pytest

from nokosu.filesystem import parse_mount_output, parse_mountinfo, unfit_for_wal

MOUNTINFO = r"""22 28 0:21 / /proc rw,nosuid shared:13 - proc proc rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
31 28 0:45 / /mnt/team rw,relatime shared:20 - nfs4 server:/export rw,vers=4.2
32 28 0:46 / /mnt/with\040blank rw - cifs //nas/share rw
33 28 0:47 / /mnt/back\134slash rw - 9p drvfs rw
34 31 0:48 / /mnt/team/local rw master:3 propagate_from:2 - xfs /dev/vdb rw
not a line of it
35 28
"""
MACOS = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//aki@nas/share on /Volumes/share on nas (smbfs, nodev, nosuid, mounted by aki)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
nothing
"""


def test_the_mounts_of_linux_are_read() -> None:
    assert parse_mountinfo(MOUNTINFO) == [
        ("/proc", "proc"),
        ("/", "ext4"),
        ("/mnt/team", "nfs4"),
        ("/mnt/with blank", "cifs"),
        ("/mnt/back\\slash", "9p"),
        ("/mnt/team/local", "xfs"),
    ]


def test_a_mount_point_that_is_not_ascii_is_read() -> None:
    assert parse_mountinfo("33 28 0:47 / /mnt/données\\040x rw - 9p drvfs rw") == [("/mnt/données x", "9p")]


def test_the_mounts_of_macos_are_read() -> None:
    assert parse_mount_output(MACOS) == [
        ("/", "apfs"),
        ("/Volumes/share on nas", "smbfs"),
        ("/System/Volumes/Data/home", "autofs"),
    ]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        (".", None),
        ("team", "nfs4"),
        ("team/below/it", "nfs4"),
        ("teamwork", None),
        ("team/local/nokosu", None),
        ("with blank/x", "cifs"),
    ],
)
def test_the_mount_that_lies_deepest_decides(tmp_path: Path, folder: str, kind: str | None) -> None:
    base = tmp_path.resolve()
    mounts = [("/", "ext4"), (f"{base}/team", "nfs4"), (f"{base}/team/local", "xfs"), (f"{base}/with blank", "cifs")]
    (base / folder).mkdir(parents=True, exist_ok=True)
    assert unfit_for_wal(base / folder, mounts) == kind
    assert unfit_for_wal(base / folder, mounts[::-1]) == kind


def test_a_folder_is_judged_by_where_it_really_lies(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    link = tmp_path / "link"
    link.symlink_to(share)
    mounts = [("/", "ext4"), (str(share.resolve()), "nfs")]
    assert unfit_for_wal(share, mounts) == "nfs"
    assert unfit_for_wal(link / "home" / "still" / "to" / "be" / "made", mounts) == "nfs"
    assert unfit_for_wal(tmp_path, mounts) is None


def test_a_later_mount_covers_an_earlier_one(tmp_path: Path) -> None:
    point = str(tmp_path.resolve())
    assert unfit_for_wal(tmp_path, [(point, "nfs"), (point, "tmpfs")]) is None
    assert unfit_for_wal(tmp_path, [(point, "tmpfs"), (point, "fuse.sshfs")]) == "fuse.sshfs"


def test_what_is_not_known_is_taken_for_local(tmp_path: Path) -> None:
    assert unfit_for_wal(tmp_path, []) is None
    assert unfit_for_wal(tmp_path) is None
