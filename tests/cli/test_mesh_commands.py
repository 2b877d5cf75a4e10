"""invite, join, space, devices and revoke as people type them: two homes, real processes, sockets on the loopback.

But for one test no node runs here (NOKOSU_NODE=off): what these commands do, they do themselves.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nokosu.store.connection import Database
from tests.cli.processes import NOKOSU, Done, Inside, Shell
from tests.homes import eventually

LINE = re.compile(r"^  nokosu join (\S+) ([0-9A-Z]{4}-[0-9A-Z]{4})$", re.MULTILINE)


def device(folder: Path, name: str, byte_code: Path) -> Shell:
    (folder / name).mkdir()
    shell = Shell(folder / name, byte_code)
    shell.env["NOKOSU_NODE"] = "off"
    shell.home.mkdir(mode=0o700)
    (shell.home / "config.toml").write_text(f'device_name = "{name}"\n')
    return shell


@pytest.fixture
def laptop(tmp_path: Path, byte_code: Path) -> Shell:
    return device(tmp_path, "laptop", byte_code)


@pytest.fixture
def desk(tmp_path: Path, byte_code: Path) -> Shell:
    return device(tmp_path, "desk", byte_code)


class Inviting:
    """An invitation that waits, and the line that its screen shows."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.shown = ""
        assert process.stdout is not None
        while not (found := LINE.search(self.shown)):
            line = process.stdout.readline().decode()
            assert line, (self.shown, process.communicate()[1])
            self.shown += line
        self.address, self.code = found.groups()

    def done(self) -> Done:
        out, err = self.process.communicate(timeout=60)
        assert b"Traceback" not in err, err.decode()
        return Done(self.process.returncode, self.shown + out.decode(), err.decode())


@contextmanager
def inviting(shell: Shell, *words: str) -> Iterator[Inviting]:
    with shell.started(*NOKOSU, "invite", "--listen", "127.0.0.1", *words) as process:
        yield Inviting(process)


def pair(inviter: Shell, joiner: Shell, *words: str, space: str = "personal") -> tuple[Done, Done]:
    """What `invite` and `join` said."""
    with inviting(inviter, "--space", space) as invitation:
        joined = joiner("join", invitation.address, invitation.code, *words)
        return invitation.done(), joined


def names(shell: Shell, space: str = "personal") -> list[str]:
    return [row["name"] for row in shell("devices", "--space", space, "--json").json if not row["revoked"]]


# invite and join ------------------------------------------------------------------------------------------------------


def test_a_device_joins_with_the_line_that_the_other_shows(laptop: Shell, desk: Shell) -> None:
    laptop("save", "on the laptop")
    desk("save", "on the desk")
    invited, joined = pair(laptop, desk)
    assert invited.code == 0, invited.err
    assert invited.out.startswith("To share personal, type this line on the other device within 10 minutes:\n\n")
    assert invited.out.endswith("\ndesk joined personal, and brings 1 memory.\n")
    assert "desk knows the code; waiting for its answer" in invited.err
    assert (joined.code, joined.out) == (0, "desk joined personal: 2 devices, 1 memory here\n")
    assert "laptop shares personal: 1 device (laptop), 1 memory\n" in joined.err
    assert "1 memory of this device will be shared with them.\n" in joined.err
    assert names(laptop) == names(desk) == ["laptop", "desk"]
    for shell in (laptop, desk):
        assert shell("verify").code == 0


def test_every_address_is_a_line_to_type(laptop: Shell) -> None:
    with laptop.started(*NOKOSU, "invite") as process:
        invitation = Inviting(process)
        process.send_signal(signal.SIGINT)
        done = invitation.done()
    lines = LINE.findall(done.out)
    assert len(lines) >= 1
    assert len({code for _, code in lines}) == 1
    assert len({address.rpartition(":")[2] for address, _ in lines}) == 1


def test_a_code_may_be_typed_in_small_letters_and_without_the_hyphen(laptop: Shell, desk: Shell) -> None:
    with inviting(laptop) as invitation:
        assert desk("join", invitation.address, invitation.code.replace("-", "").lower()).code == 0
        assert invitation.done().code == 0


def test_a_person_is_asked_before_anything_is_shared(laptop: Shell, desk: Shell) -> None:
    for number in range(3):
        desk("save", f"memory {number}")
    with inviting(laptop) as invitation:
        done = desk.terminal("join", invitation.address, invitation.code, typed="\ny\n")
        assert done.code == 0, done.out
        assert done.out.count("Share the 3 memories of this device with them? [y/n]:") == 2  # no answer is no answer
        assert invitation.done().out.endswith("desk joined personal, and brings 3 memories.\n")


def test_a_person_who_says_no_has_shared_and_joined_nothing(laptop: Shell, desk: Shell) -> None:
    desk("save", "mine")
    with inviting(laptop) as invitation:
        done = desk.terminal("join", invitation.address, invitation.code, typed="n\n")
        invited = invitation.done()
    assert done.code == 3
    assert (
        "Error: nothing was shared, and nothing was joined\nTry: nokosu join with a new code, and --apart" in done.out
    )
    assert invited.code == 5
    assert "Error: desk was asked, and does not want to join\nTry: nokosu invite, for a new code\n" in invited.err
    assert desk("devices").err == "No device shares memories with this one yet: nokosu invite\n"
    assert len(desk("list").out.splitlines()) == 1


def test_yes_and_apart_and_nothing_to_share_are_not_asked_about(tmp_path: Path, laptop: Shell, byte_code: Path) -> None:
    for number, words in enumerate([["--yes"], ["--apart"], []]):
        shell = device(tmp_path, f"device-{number}", byte_code)
        if words:
            shell("save", "mine")
        with inviting(laptop) as invitation:
            done = shell.terminal("join", invitation.address, invitation.code, *words)
            assert done.code == 0, done.out
            assert "[y/n]" not in done.out
            assert invitation.done().code == 0
        assert ("1 memory moved to the space local, and stay here" in done.out) == (words == ["--apart"])


def test_a_shared_space_holds_only_what_is_saved_into_it(laptop: Shell, desk: Shell) -> None:
    assert laptop("space", "create", "team").out == "team is here, on this device alone.\n"
    desk("save", "mine")
    laptop("save", "for the team", "--space", "team")
    invited, joined = pair(laptop, desk, space="team")
    assert invited.out.endswith("desk joined team.\n")
    assert joined.out == "desk joined team: 2 devices, 0 memories here\n"
    assert "will be shared" not in joined.err
    desk("save", "for the team as well", "--space", "team")
    spaces = {row["name"]: row["memories"] for row in desk("space", "list", "--json").json}
    assert spaces == {"personal": 1, "local": 0, "team": 1}
    assert [hit["text"] for hit in desk("list", "--space", "team", "--json").json["hits"]] == ["for the team as well"]


def test_a_wrong_code_is_told_at_both_ends_and_the_invitation_is_over(laptop: Shell, desk: Shell) -> None:
    with inviting(laptop) as invitation:
        wrong = "0000-0000" if invitation.code != "0000-0000" else "1111-1111"
        done = desk("join", invitation.address, wrong)
        invited = invitation.done()
        again = desk("join", invitation.address, invitation.code)
    assert (done.code, invited.code, again.code) == (5, 5, 5)
    assert (
        "Error: the code is wrong\nTry: nokosu invite, on the other device: each code may be tried once\n" in done.err
    )
    assert "Error: a wrong code was tried, and there is one try: this invitation is over\n" in invited.err
    assert f"Error: nobody waits at {invitation.address}\n" in again.err
    assert not (desk.home / "nokosu.db").exists()


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_invitation_that_is_ended_has_changed_nothing(
    laptop: Shell, desk: Shell, signal_number: signal.Signals, code: int
) -> None:
    laptop("save", "one")
    with inviting(laptop) as invitation:
        invitation.process.send_signal(signal_number)
        done = invitation.done()
    assert done.code == code
    assert ("The invitation is over; nobody has joined." in done.err) == (signal_number == signal.SIGINT)
    assert desk("join", invitation.address, invitation.code).code == 5
    database = Database(laptop.home / "nokosu.db")
    assert database.rows("SELECT port, listen FROM space WHERE listen IS NOT NULL") == []
    database.close()


@contextmanager
def asked(shell: Shell, invitation: Inviting) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A `join` on a terminal that has just asked whether memories are to be shared, and the other end of that terminal."""
    ours, theirs = os.openpty()
    words = (*NOKOSU, "join", invitation.address, invitation.code)
    try:
        with shell.started(*words, stdin=theirs, stdout=theirs, stderr=theirs) as joining:
            shown = b""
            while b"[y/n]" not in shown:
                shown += os.read(ours, 1000)
            yield joining, ours
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_joiner_that_is_killed_while_it_asks_leaves_nothing_and_may_try_again(laptop: Shell, desk: Shell) -> None:
    desk("save", "mine")
    with inviting(laptop) as invitation:
        with asked(desk, invitation) as (joining, _):
            joining.kill()
        invited = invitation.done()
    assert invited.code == 5
    assert "Error: the other device hung up\n" in invited.err
    assert names(laptop) == ["laptop"]
    invited, joined = pair(laptop, desk)
    assert (invited.code, joined.code) == (0, 0)


def test_an_inviter_that_is_killed_while_the_other_is_asked_leaves_nothing(laptop: Shell, desk: Shell) -> None:
    desk("save", "mine")
    with inviting(laptop) as invitation, asked(desk, invitation) as (joining, terminal):
        invitation.process.kill()
        invitation.process.wait(30)
        os.write(terminal, b"y\n")
        assert joining.wait(30) == 5
        assert b"Error: the other device hung up" in os.read(terminal, 10_000)
    assert desk("devices").err.startswith("No device shares memories")
    assert pair(laptop, desk)[1].code == 0


def test_a_member_joins_again_and_a_revoked_one_does_not(laptop: Shell, desk: Shell) -> None:
    pair(laptop, desk)
    invited, joined = pair(laptop, desk)
    assert invited.out.endswith("desk is in again: personal.\n")
    assert joined.out == "desk is in personal: 2 devices, 0 memories here\n"
    assert laptop("revoke", "desk", "--yes").code == 0
    invited, joined = pair(laptop, desk)
    assert (invited.code, joined.code) == (5, 5)
    assert (
        "Error: this device was revoked from that space\nTry: a revoked device stays out: set NOKOSU_HOME" in joined.err
    )
    assert "Error: desk was revoked from this space, and stays out" in invited.err


def test_a_device_does_not_join_itself(laptop: Shell) -> None:
    with inviting(laptop) as invitation:
        done = laptop("join", invitation.address, invitation.code)
        assert (done.code, invitation.done().code) == (5, 5)
    assert "Error: this is the device that invites\n" in done.err


def test_two_devices_of_one_name_are_told(tmp_path: Path, laptop: Shell, byte_code: Path) -> None:
    (tmp_path / "other").mkdir()
    twin = device(tmp_path / "other", "laptop", byte_code)
    invited, _ = pair(laptop, twin)
    found = re.search(r"another device is called laptop too; (nokosu devices rename \S+ NAME)", invited.err)
    assert found is not None
    assert laptop(*found[1].replace("NAME", "twin").split()[1:]).code == 0
    assert names(laptop) == ["laptop", "twin"]


def test_with_nodes_a_join_ends_when_everything_is_there_and_devices_tells_who_is_connected(
    laptop: Shell, desk: Shell
) -> None:
    for shell in (laptop, desk):
        shell.env |= {"NOKOSU_NODE": "on", "XDG_RUNTIME_DIR": str(shell.home)}
        shell("save", f"on {shell.home}")
    try:
        invited, joined = pair(laptop, desk)
        assert invited.code == 0, invited.err
        assert (joined.code, joined.out) == (0, "desk joined personal: 2 devices, 2 memories here\n"), joined.err
        assert "Not everything has arrived yet" not in joined.err

        def told() -> dict[str, Any]:
            return next(row for row in desk("devices", "--json").json if not row["this"])

        there = told()
        assert (there["name"], there["reachable"], there["version"]) == ("laptop", True, "0.1.0")
        eventually(lambda: told()["clock_offset_ms"] is not None)  # as soon as it was heard live
        assert abs(told()["clock_offset_ms"]) < 5000
        assert "connected" in desk("devices").out
    finally:
        for shell in (laptop, desk):
            shell("node", "stop")
    done = desk("devices", "rename", "laptop", "portable")
    assert "the node was stopped here, so nothing is sent or received: nokosu node start" in done.err


# space, devices, revoke -----------------------------------------------------------------------------------------------


def test_spaces_are_listed_and_made(laptop: Shell) -> None:
    assert laptop("space", "list") == (0, "", "No space yet: they are made at the first save.\n")
    created = laptop("space", "create", "our team", "--json").json
    assert created["name"] == "our team"
    listed = laptop("space", "list", "--json").json
    assert [(row["name"], row["memories"]) for row in listed] == [("personal", 0), ("local", 0), ("our team", 0)]
    assert listed[2]["id"] == created["id"]
    lines = laptop("space", "list").out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["personal", "local", "our team"]
    assert "never leaves this device" in lines[1]
    assert laptop("space", "create", "third").err == "Next: nokosu invite --space third\n"


def test_devices_are_listed_renamed_and_given_an_address(laptop: Shell, desk: Shell) -> None:
    assert laptop("devices") == (0, "", "No device shares memories with this one yet: nokosu invite\n")
    assert not (laptop.home / "nokosu.db").exists()
    laptop("save", "one")
    pair(laptop, desk)
    here, there = laptop("devices", "--json").json
    assert (here["name"], here["this"], here["version"], here["behind"]) == ("laptop", True, "0.1.0", 0)
    assert (there["name"], there["this"], there["last_seen"], there["reachable"]) == ("desk", False, None, None)
    assert there["behind"] > 0
    assert re.fullmatch(r"([0-9a-z]{4}-){6}[0-9a-z]{2}", there["id"])
    lines = laptop("devices").out.splitlines()
    assert lines[0] == "personal"
    assert re.match(r"  laptop \(this device\)  \S{9}  here  ", lines[1])
    assert re.match(r"  desk +\S{9}  never seen  [0-9]+ behind", lines[2])

    assert laptop("devices", "rename", "desk", "studio").out == "desk is called studio now.\n"
    assert laptop("devices", "set-address", there["id"][:9], "studio.local:7447").out == (
        "studio is called at studio.local:7447 first.\n"
    )
    assert laptop("devices", "--json").json[1]["addresses"] == ["studio.local:7447"]
    assert names(laptop) == ["laptop", "studio"]


def test_a_lost_device_is_revoked_after_asking(tmp_path: Path, laptop: Shell, desk: Shell, byte_code: Path) -> None:
    pair(laptop, desk)
    pair(laptop, device(tmp_path, "phone", byte_code))
    done = laptop("revoke", "desk")
    assert (done.code, done.err) == (2, "Error: revoke: it cannot be undone\nTry: nokosu revoke desk --yes\n")
    done = laptop.terminal("revoke", "desk", typed="n\n")
    assert done.code == 3
    assert "Revoke desk from personal for good? [y/N]:" in done.out
    assert names(laptop) == ["laptop", "desk", "phone"]
    done = laptop.terminal("revoke", "desk", typed="y\n")
    assert done.code == 0
    assert "desk is revoked from personal.\n" in done.out
    assert "It counts on phone as soon as each of them hears of it: nokosu devices" in done.out
    assert names(laptop) == ["laptop", "phone"]
    assert "revoked" in laptop("devices").out
    done = laptop("revoke", "phone", "--yes", "--json").json
    assert done == {"name": "phone", "spaces": ["personal"], "to_hear": []}
    assert laptop("verify").code == 0


# The space of a project -----------------------------------------------------------------------------------------------


def test_a_project_may_have_a_space_of_its_own_to_save_in(laptop: Shell) -> None:
    (laptop.home / "config.toml").write_text('[projects.Harbour]\nspace = "team"\n')
    done = laptop("save", "one", "--project", "harbour")
    assert done.code == 1
    assert "space: no space named 'team'" in done.err
    laptop("space", "create", "team")
    for words in (["--project", "harbour"], ["--project", "other"], ["--project", "harbour", "--space", "personal"]):
        assert laptop("save", f"text {words}", *words).code == 0
    hits = laptop("list", "--all-projects", "--json").json["hits"]
    assert sorted((hit["project"], hit["space"]) for hit in hits) == [
        ("harbour", "personal"),
        ("harbour", "team"),
        ("other", "personal"),
    ]


# Bad input ------------------------------------------------------------------------------------------------------------


def refused(done: Done, *parts: str, code: int = 2) -> None:
    """Check that a command was refused with a line that says all of *parts*, a hint at most, and nothing on stdout."""
    assert (done.code, done.out) == (code, ""), done
    lines = [line for line in done.err.splitlines() if not line.startswith("Calling ")]
    assert lines[0].startswith("Error: ")
    assert len(lines) <= 2
    for part in parts:
        assert part in lines[0]


HOSTILE = [
    "",
    " ",
    "\x1b[2J",
    "a\nb",
    "../../etc/passwd",
    "*",
    "**",
    "x" * 10_000,
    "港",
    "$(id)",
    "-x",
    "'; DROP TABLE x",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_words_that_name_nothing_are_one_line_and_nothing_is_made(inside: Inside, text: str) -> None:
    refused(inside("join", "--", text, "4K2M-7XQP"), "address: ", "is not HOST:PORT")
    refused(inside("join", "127.0.0.1:1", "--", text), "code: not a pairing code")
    refused(inside("invite", f"--listen={text}"), "listen: ", "is not an IP address")
    assert not inside.home.exists()
    inside("save", "one")
    refused(inside("invite", f"--space={text}"), "space: no space named", code=1)
    refused(inside("devices", f"--space={text}"), "space: no space named", code=1)
    refused(inside("revoke", "--yes", "--", text), "device: none is called", code=1)
    for change in ("rename", "set-address"):
        refused(inside("devices", change, "--", text, "other:1"), "device: none is called", code=1)


@pytest.mark.parametrize("name", ["", " ", " x", "x ", "\x1b[2J", "a\nb", "x" * 65, "\u202e"])
def test_a_space_has_a_plain_name(inside: Inside, name: str) -> None:
    refused(inside("space", "create", "--", name), "space: ", "cannot be a name")


@pytest.mark.parametrize("name", ["personal", "local", "team"])
def test_a_space_has_a_name_of_its_own(inside: Inside, name: str) -> None:
    inside("space", "create", "team")
    refused(inside("space", "create", name), f"there is one named '{name}' already", code=3)


@pytest.mark.parametrize("port", ["-1", "65536", "1e3", "٣", "", "x", str(2**63)])
def test_a_port_is_a_port(inside: Inside, port: str) -> None:
    for words in (
        ("invite", f"--port={port}"),
        ("invite", f"--pairing-port={port}"),
        ("join", "a:1", "4K2M-7XQP", f"--port={port}", "--listen=127.0.0.1"),
    ):
        refused(inside(*words), "port: ")
    refused(inside("join", "a:1", "4K2M-7XQP", "--port=7000"), "port: it goes with --listen")


def test_an_address_that_is_not_of_this_machine_is_refused(inside: Inside) -> None:
    refused(inside("invite", "--listen", "192.0.2.250"), "listen: cannot listen on 192.0.2.250")


def test_local_is_never_shared(inside: Inside) -> None:
    refused(inside("invite", "--space", "local"), "space: local never leaves this device", code=3)


def test_words_that_are_not_utf_8_are_refused(run: Shell) -> None:
    for words in ((b"invite", b"--space", b"\xff"), (b"revoke", b"\xff", b"--yes"), (b"space", b"create", b"\xff")):
        done = run(*words)
        assert done.code in {1, 2}
        assert done.err.startswith("Error: ")


def test_where_nobody_waits_is_one_line_with_what_to_do(inside: Inside) -> None:
    refused(inside("join", "127.0.0.1:1", "4K2M-7XQP"), "nobody waits at 127.0.0.1:1", code=5)
    refused(inside("join", "nowhere.invalid:1", "4K2M-7XQP"), "the host nowhere.invalid is not known here", code=5)
    assert not inside.home.exists()


def test_this_device_is_not_revoked_by_itself(laptop: Shell, desk: Shell) -> None:
    pair(laptop, desk)
    refused(laptop("revoke", "laptop", "--yes"), "this one cannot revoke itself", code=3)
    refused(laptop("devices", "set-address", "laptop", "a:1"), "this one is not called by itself", code=3)
    refused(laptop("devices", "set-address", "desk", "nonsense"), "address: 'nonsense' is not HOST:PORT")
    refused(laptop("devices", "rename", "desk", "a\nb"), "name: ", "cannot be a name")


def test_a_home_that_cannot_be_made_joins_nobody_and_the_inviter_is_told(laptop: Shell, desk: Shell) -> None:
    (desk.work / "file").write_text("no folder")
    with inviting(laptop) as invitation:
        done = desk("join", invitation.address, invitation.code, env={"NOKOSU_HOME": str(desk.work / "file" / "home")})
        assert (done.code, invitation.done().code) == (4, 5)
    assert names(laptop) == ["laptop"]
