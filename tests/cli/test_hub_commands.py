"""nokosu hub, and invite --hub, as people type them: two homes, real processes, sockets on the loopback.

No node runs here (NOKOSU_NODE=off), and what stands for zenohd only says its version and makes its socket.
"""

from __future__ import annotations

import re
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu.engine import plugins
from nokosu.mesh import hubs
from nokosu.store.connection import Database
from tests.cli.processes import NOKOSU, Done, Shell

LINE = re.compile(
    r"^  nokosu (hub add|hub init|join) (.*?)([\w.:\[\]-]+:[0-9]+) ([0-9A-Z]{4}-[0-9A-Z]{4})(.*)$", re.MULTILINE
)

_ZENOHD = """\
#!/bin/sh
case $1 in
--version) echo "zenohd v1.10.2" ;;
-c) : >"$(sed -n 's/.*unixsock-stream\\/\\([^"]*\\)".*/\\1/p' "$2")" && exec sleep 60 ;;
esac
"""


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what looks like zenohd and its plugins."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / plugins.PROGRAM).write_text(_ZENOHD)
    (folder / plugins.PROGRAM).chmod(0o700)
    for name in plugins.missing(folder):
        (folder / name).touch()
    return folder


def device(folder: Path, name: str, byte_code: Path, engine: Path) -> Shell:
    (folder / name).mkdir()
    shell = Shell(folder / name, byte_code)
    shell.env["NOKOSU_ENGINE"] = str(engine)
    shell.home.mkdir(mode=0o700)
    (shell.home / "config.toml").write_text(f'device_name = "{name}"\n')
    return shell


@pytest.fixture
def laptop(tmp_path: Path, byte_code: Path, engine: Path) -> Shell:
    return device(tmp_path, "laptop", byte_code, engine)


@pytest.fixture
def nas(tmp_path: Path, byte_code: Path, engine: Path) -> Shell:
    return device(tmp_path, "nas", byte_code, engine)


class Showing:
    """A command that shows a code and waits; `line` is what is to be typed on the other machine, after `nokosu`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.shown = ""
        assert process.stdout is not None
        while not (found := LINE.search(self.shown)):
            line = process.stdout.readline().decode()
            assert line, (self.shown, process.communicate()[1])
            self.shown += line
        self.address, self.code = found[3], found[4]
        self.line = found[0].split()[1:]

    def done(self) -> Done:
        out, err = self.process.communicate(timeout=60)
        assert b"Traceback" not in err, err.decode()
        return Done(self.process.returncode, self.shown + out.decode(), err.decode())


@contextmanager
def showing(shell: Shell, *words: str) -> Iterator[Showing]:
    with shell.started(*NOKOSU, *words, "--listen", "127.0.0.1") as process:
        yield Showing(process)


def added(laptop: Shell, nas: Shell, *words: str, blind: bool = True) -> tuple[Done, Done]:
    """The hub shows the line, and it is typed on the laptop; what each said."""
    with showing(nas, "hub", "init", *(["--blind"] if blind else []), *words) as waiting:
        done = laptop(*waiting.line)
        return done, waiting.done()


def listed(shell: Shell) -> list[dict[str, Any]]:
    return list(shell("hub", "list", "--json").json)


def error(done: Done) -> tuple[int, str, str]:
    """Its exit code, and the two lines that say what is wrong and what to do."""
    lines = done.err.splitlines()
    wrong = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    todo = [line.removeprefix("Try: ") for line in lines if line.startswith("Try: ")]
    assert len(wrong) == 1, done.err
    return done.code, wrong[0], " ".join(todo)


# A blind hub ----------------------------------------------------------------------------------------------------------


def test_a_blind_hub_is_added_with_the_line_that_it_shows(laptop: Shell, nas: Shell) -> None:
    laptop("save", "on the laptop")
    on_laptop, on_hub = added(laptop, nas)
    assert on_laptop.code == on_hub.code == 0, (on_laptop.err, on_hub.err)
    assert on_hub.out.startswith(
        "To make this machine a blind hub, type this line within 10 minutes on a device that has your memories:\n\n"
    )
    port = hubs.load(nas.home).port  # type: ignore[union-attr]
    assert on_hub.out.endswith(
        "nas is a blind hub now: it keeps what your devices give it, and can read none of it.\n"
        f"Your devices call it at 127.0.0.1:{port}.\n"
        f"Let them in, if there is a firewall: sudo ufw allow {port}/tcp\n"
    )
    assert on_hub.err.endswith("Next: nokosu hub start\nTo have it start with the machine: nokosu hub install\n")
    assert on_laptop.out == (
        "nas is a hub of personal now.\n"
        "It is blind: it keeps what your devices give it, and can read none of it.\n"
        f"Your devices call it at 127.0.0.1:{port}.\n"
    )
    (row,) = listed(laptop)
    assert (row["name"], row["blind"], row["current"], row["reached"]) == ("nas", True, True, None)
    assert row["addresses"] == [f"127.0.0.1:{port}"]
    assert sorted(path.name for path in nas.home.iterdir()) == ["config.toml", "hub.json"]
    assert laptop("verify").code == 0


def test_the_pairing_waits_at_the_port_that_the_hub_will_have(laptop: Shell, nas: Shell) -> None:
    with showing(nas, "hub", "init", "--blind") as waiting:
        assert laptop(*waiting.line).code == 0
        waiting.done()
    found = hubs.load(nas.home)
    assert found is not None
    assert waiting.address == f"127.0.0.1:{found.port}"


def test_a_blind_hub_may_answer_the_code_of_a_device(laptop: Shell, nas: Shell) -> None:
    with showing(laptop, "invite", "--hub", "--blind") as waiting:
        assert waiting.line[:3] == ["hub", "init", "--blind"]
        done = nas(*waiting.line, "--listen", "127.0.0.1", "--name", "attic", "--reach", "vps.example.org:9")
        invited = waiting.done()
    assert (done.code, invited.code) == (0, 0), (done.err, invited.err)
    assert invited.out.startswith("To add a hub to personal, type this line on it within 10 minutes:\n\n")
    assert "attic is a hub of personal now.\nIt is blind" in invited.out
    (row,) = listed(laptop)
    assert (row["name"], row["addresses"][0]) == ("attic", "vps.example.org:9")


def test_a_blind_hub_that_is_paired_again_stays_itself(laptop: Shell, nas: Shell) -> None:
    added(laptop, nas)
    before, row = hubs.load(nas.home), listed(laptop)[0]
    on_laptop, on_hub = added(laptop, nas)
    after = hubs.load(nas.home)
    assert before is not None
    assert after is not None
    assert (after.zid, after.port, after.name) == (before.zid, before.port, before.name)
    assert after.certificate != before.certificate
    assert "nas has a new certificate, and is a blind hub as before" in on_hub.out
    assert "nas is a hub of personal again, with a new certificate." in on_laptop.out
    assert [one["zid"] for one in listed(laptop)] == [row["zid"]]


def test_a_blind_hub_of_an_older_secret_is_told_and_pairing_it_again_is_enough(
    tmp_path: Path, laptop: Shell, nas: Shell, byte_code: Path, engine: Path
) -> None:
    phone = device(tmp_path, "phone", byte_code, engine)
    with showing(laptop, "invite") as waiting:
        assert phone(*waiting.line).code == 0
        waiting.done()
    added(laptop, nas)
    assert laptop("revoke", "phone", "--yes").code == 0
    told = laptop("hub", "list")
    assert "to be paired again" in told.out
    assert "nas was paired before the secret changed: nokosu hub init --blind there, to pair it again\n" in told.err
    added(laptop, nas)
    assert listed(laptop)[0]["current"] is True
    assert "again" not in laptop("hub", "list").err


def test_a_hub_that_is_removed_is_no_hub_any_more(laptop: Shell, nas: Shell) -> None:
    added(laptop, nas)
    assert error(laptop("hub", "remove", "nobody"))[:2] == (1, "hub: none is called 'nobody' (there are: nas)")
    done = laptop("hub", "remove", "NAS")
    assert done.out == "nas is no hub of personal any more.\n"
    assert "nokosu hub stop, on it" in done.err
    assert listed(laptop) == []
    assert laptop("hub", "list").err == "No hub yet: nokosu hub init, on a machine that is always on\n"
    added(laptop, nas)
    zid = listed(laptop)[0]["zid"]
    assert laptop("hub", "remove", zid[:6]).code == 0


def test_a_hub_that_has_moved_is_called_where_it_is_now(laptop: Shell, nas: Shell) -> None:
    added(laptop, nas)
    before = listed(laptop)[0]
    moved = ["10.0.0.9:28123", "[fd00::9]:28123", "vps.example.org:28123"]
    done = laptop("hub", "set-address", "NAS", *moved)
    assert (done.code, done.out) == (0, f"nas is called at {', '.join(moved)}.\n")
    assert "only at this hub" in done.err
    assert listed(laptop) == [{**before, "addresses": moved}]
    for words, said in (
        (["nobody", moved[0]], (1, "hub: none is called 'nobody' (there are: nas)")),
        (
            ["nas", "here"],
            (2, "address: 'here' is not HOST:PORT, such as 192.168.1.5:41234, desk.local:41234 or [fd00::2]:41234"),
        ),
        (["nas", *[f"10.0.0.9:{port}" for port in range(1, 18)]], (2, "address: 17 are more than 16")),
    ):
        assert error(laptop("hub", "set-address", *words))[:2] == said
    assert laptop("hub", "set-address", "nas").code == 2
    assert listed(laptop)[0]["addresses"] == moved
    assert error(nas("hub", "set-address", "nas", moved[0]))[0] == 3


def test_two_hubs_of_one_name_are_told_apart_by_their_ids(
    tmp_path: Path, laptop: Shell, nas: Shell, byte_code: Path, engine: Path
) -> None:
    added(laptop, nas)
    other = device(tmp_path, "other", byte_code, engine)
    on_laptop, _ = added(laptop, other, "--name", "nas")
    found = hubs.load(other.home)
    assert found is not None
    assert f"Note: another hub is called nas too; this one is {found.zid[:8]}\n" in on_laptop.err
    code, wrong, todo = error(laptop("hub", "remove", "nas"))
    assert (code, "2 are meant by 'nas'" in wrong, found.zid[:8] in wrong) == (3, True, True)
    assert "a beginning of its id" in todo
    assert laptop("hub", "remove", found.zid[:8]).code == 0
    assert [row["namesake"] for row in listed(laptop)] == [False]
    assert found.peers == (listed(laptop)[0]["addresses"][0],)


def test_a_blind_hub_knows_no_list_and_does_not_run_yet(laptop: Shell, nas: Shell) -> None:
    added(laptop, nas)
    assert error(nas("hub", "list"))[0] == 3
    assert error(nas("hub", "remove", "nas"))[0] == 3
    done = nas("hub", "status")
    assert (done.code, done.out, done.err) == (1, "This blind hub does not run.\n", "Start it: nokosu hub start\n")
    assert nas("hub", "status", "--json").json == {"pid": None, "stopped": False, "spaces": []}
    assert error(nas("hub", "logs"))[:2] == (1, "the node has said nothing yet")
    assert nas("hub", "stop").out == "The hub does not run; nothing will start it before: nokosu hub start\n"


def test_what_would_be_saved_on_a_blind_hub_is_refused_and_it_stays_one(laptop: Shell, nas: Shell) -> None:
    added(laptop, nas)
    for words in (["save", "text"], ["invite"], ["hub", "add", "127.0.0.1:4", "4k2m7xqp"], ["space", "create", "team"]):
        code, _, _ = error(nas(*words))
        assert code in {3, 5}, words
    assert error(nas("save", "text"))[1] == "this home is a blind hub, and keeps no memories of its own"
    assert not (nas.home / "nokosu.db").exists()
    assert nas("hub", "status").out == "This blind hub does not run.\n"


@pytest.mark.parametrize("word", ["start", "stop", "status", "logs", "install"])
def test_a_machine_that_is_no_hub_says_so(laptop: Shell, word: str) -> None:
    for _ in range(2):
        assert error(laptop("hub", word))[:2] == (1, "this machine is no hub")
        laptop("save", "now there is a store")


# One that reads -------------------------------------------------------------------------------------------------------


def test_a_hub_that_reads_is_one_more_device_with_an_engine(laptop: Shell, nas: Shell) -> None:
    laptop("save", "on the laptop")
    nas("save", "on the nas")
    on_laptop, on_hub = added(laptop, nas, blind=False)
    assert on_laptop.code == on_hub.code == 0, (on_laptop.err, on_hub.err)
    assert on_laptop.out == (
        "nas is a hub of personal now, and brings 1 memory.\nIt is one of your devices: it reads what is in the space.\n"
    )
    assert "nas joined personal: 2 devices, 1 memory here\nIt is a hub now: it keeps everything" in on_hub.out
    assert "1 memory of this device will be shared with them.\n" in on_hub.err
    assert tomllib.loads((nas.home / "config.toml").read_text()) == {"device_name": "nas", "engine": "zenohd"}
    (row,) = listed(nas)
    assert (row["name"], row["blind"], row["this"]) == ("nas", False, True)
    assert [(row["name"], row["this"]) for row in listed(laptop)] == [("nas", False)]
    assert sorted(one["name"] for one in laptop("devices", "--json").json) == ["laptop", "nas"]
    database = Database(nas.home / "nokosu.db")
    ((port, address),) = database.rows("SELECT port, listen FROM space WHERE listen IS NOT NULL")
    database.close()
    assert (address, row["addresses"]) == ("127.0.0.1", [f"127.0.0.1:{port}"])
    for shell in (laptop, nas):
        assert shell("verify").code == 0


def test_a_hub_that_reads_may_answer_the_code_of_a_device(laptop: Shell, nas: Shell) -> None:
    with showing(laptop, "invite", "--hub") as waiting:
        done = nas(*waiting.line, "--listen", "127.0.0.1", "--name", "attic")
        invited = waiting.done()
    assert (done.code, invited.code) == (0, 0), (done.err, invited.err)
    assert "attic is a hub of personal now.\nIt is one of your devices" in invited.out
    assert [row["name"] for row in listed(nas)] == [row["name"] for row in listed(laptop)] == ["attic"]


def test_a_person_who_will_not_share_what_is_on_the_hub_has_no_hub(laptop: Shell, nas: Shell) -> None:
    nas("save", "mine")
    with showing(laptop, "invite", "--hub") as waiting:
        done = nas.terminal(*waiting.line, "--listen", "127.0.0.1", typed="n\n")
        invited = waiting.done()
    assert done.code == 3
    assert "Try: nokosu hub init with a new code, and --apart, keeps this device's memories on it" in done.out
    assert invited.code == 5
    assert "does not want to join" in invited.err
    assert listed(laptop) == []
    assert "engine" not in (nas.home / "config.toml").read_text()


def test_a_device_that_shares_already_becomes_a_hub_at_once(laptop: Shell, nas: Shell) -> None:
    with showing(laptop, "invite") as waiting:
        nas(*waiting.line)
        waiting.done()
    done = nas("hub", "init", "--listen", "127.0.0.1", "--port", "28123")
    assert (done.code, done.out.splitlines()[:2]) == (
        0, ["nas is a hub of personal now.", "Your devices call it at 127.0.0.1:28123."]
    )  # fmt: skip
    again = nas("hub", "init")
    assert again.out.splitlines()[1] == "Your devices call it at 127.0.0.1:28123."
    assert [row["this"] for row in listed(nas)] == [True]
    assert nas("hub", "remove", "nas").err == "It is still a device of the space; to end that too: nokosu revoke nas\n"
    assert listed(nas) == []


def test_of_several_spaces_one_has_to_be_named(laptop: Shell, nas: Shell) -> None:
    for space in ("personal", "team"):
        if space == "team":
            laptop("space", "create", "team")
        with showing(laptop, "invite", "--space", space) as waiting:
            nas(*waiting.line)
            waiting.done()
    assert error(nas("hub", "init"))[:2] == (
        2,
        "space: this device shares several (personal, team): say one with --space",
    )
    assert nas("hub", "init", "--space", "team", "--listen", "127.0.0.1").out.startswith("nas is a hub of team now.\n")
    assert [row["space"] for row in listed(nas)] == ["team"]


# What goes wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blind", [True, False])
def test_a_wrong_code_is_told_at_both_ends_and_it_is_over(laptop: Shell, nas: Shell, *, blind: bool) -> None:
    with showing(nas, "hub", "init", *(["--blind"] if blind else [])) as waiting:
        wrong = "0000-0000" if waiting.code != "0000-0000" else "1111-1111"
        done = laptop("hub", "add", waiting.address, wrong)
        waited = waiting.done()
        again = laptop("hub", "add", waiting.address, waiting.code)
    assert error(done) == (5, "the code is wrong", "nokosu hub init, on the other device: each code may be tried once")
    assert error(waited) == (
        5, "a wrong code was tried, and there is one try: this invitation is over", "nokosu hub init, for a new code"
    )  # fmt: skip
    assert error(again)[:2] == (5, f"nobody waits at {waiting.address}")
    assert "nokosu hub init, on the other device" in error(again)[2]
    assert not (laptop.home / "nokosu.db").exists()
    assert not (nas.home / "nokosu.db").exists()
    assert not (nas.home / "hub.json").exists()


def test_a_device_that_joins_what_a_hub_shows_is_told_what_to_type(laptop: Shell, nas: Shell) -> None:
    with showing(nas, "hub", "init", "--blind") as waiting:
        done = laptop("join", waiting.address, waiting.code)
        waited = waiting.done()
    assert error(done)[1:] == (
        "what waits there is to be a hub", "nokosu hub add ADDRESS CODE, on a device with the memories"
    )  # fmt: skip
    assert "nokosu hub add" in error(waited)[2]


def test_a_hub_that_would_read_is_not_let_in_as_a_blind_one(laptop: Shell, nas: Shell) -> None:
    with showing(nas, "hub", "init") as waiting:
        done = laptop(*waiting.line, "--blind")
        waited = waiting.done()
    assert error(done)[:2] == (5, "the hub is to read, and only a blind one is taken")
    assert error(waited)[:2] == (5, "what answered takes a blind hub only, and this one is to read")
    assert listed(laptop) == []


def test_an_invitation_for_a_device_takes_no_blind_hub(laptop: Shell, nas: Shell) -> None:
    with showing(laptop, "invite") as waiting:
        done = nas("hub", "init", "--blind", waiting.address, waiting.code)
        invited = waiting.done()
    assert error(done)[2] == "nokosu invite --hub there, for a blind hub"
    assert error(invited)[2] == "nokosu invite --hub, for a hub"


def test_an_invitation_for_a_hub_takes_no_plain_device(laptop: Shell, nas: Shell) -> None:
    with showing(laptop, "invite", "--hub") as waiting:
        done = nas("join", waiting.address, waiting.code)
        invited = waiting.done()
    assert error(done)[1] == "that code is for a hub"
    assert error(invited)[1] == "a device answered, and this code was for a hub"


def test_a_blind_hub_of_another_space_is_not_given_a_second_one(
    tmp_path: Path, laptop: Shell, nas: Shell, byte_code: Path, engine: Path
) -> None:
    added(laptop, nas)
    before = (nas.home / "hub.json").read_bytes()
    stranger = device(tmp_path, "stranger", byte_code, engine)
    on_stranger, on_hub = added(stranger, nas)
    assert error(on_stranger)[1] == "nas is a blind hub of another space already"
    assert error(on_hub)[1] == "this home is a blind hub of another space already"
    assert "NOKOSU_HOME" in error(on_hub)[2]
    assert (nas.home / "hub.json").read_bytes() == before


def test_an_ended_wait_has_changed_nothing(laptop: Shell, nas: Shell) -> None:
    with showing(nas, "hub", "init", "--blind") as waiting:
        waiting.process.send_signal(signal.SIGINT)
        done = waiting.done()
    assert done.code == 130
    assert "It is over; nothing was changed." in done.err
    assert [path.name for path in nas.home.iterdir()] == ["config.toml"]


def test_one_home_is_not_both_blind_and_reading(laptop: Shell, nas: Shell) -> None:
    laptop("save", "mine")
    code, wrong, todo = error(laptop("hub", "init", "--blind"))
    assert (code, "has memories" in wrong, "NOKOSU_HOME" in todo) == (3, True, True)
    added(laptop, nas)
    code, wrong, todo = error(nas("hub", "init"))
    assert (code, "is a blind hub" in wrong, "NOKOSU_HOME" in todo) == (3, True, True)


def test_without_a_zenohd_nobody_is_asked_for_anything(laptop: Shell, tmp_path: Path) -> None:
    for words in (["hub", "init"], ["hub", "init", "--blind"]):
        code, _, todo = error(laptop(*words, env={"NOKOSU_ENGINE": str(tmp_path / "nothing")}))
        assert code == 5
        assert "engine-wheel" in todo
    assert not (laptop.home / "nokosu.db").exists()


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["hub", "init", "127.0.0.1:4"], "code"),
        (["hub", "init", "--blind", "--yes"], "blind"),
        (["hub", "init", "--blind", "--space", "team"], "blind"),
        (["hub", "init", "127.0.0.1:4", "4k2m7xqp", "--space", "team"], "space"),
        (["hub", "init", "--name", "a\tb"], "name"),
        (["hub", "init", "--port", "70000"], "port"),
        (["hub", "init", "--reach", "vps.example.org"], "reach"),
        (["hub", "init", "--listen", "nowhere"], "listen"),
        (["hub", "add", "127.0.0.1", "4k2m7xqp"], "address"),
        (["hub", "add", "127.0.0.1:4", "4k2"], "code"),
        (["invite", "--blind"], "blind"),
    ],
)
def test_words_that_do_not_go_together_are_refused_at_once(laptop: Shell, words: list[str], field: str) -> None:
    code, wrong, _ = error(laptop(*words))
    assert (code, wrong.partition(":")[0]) == (2, field)


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"v": 2}', None])
def test_a_hub_whose_file_is_damaged_says_so(laptop: Shell, nas: Shell, text: str | None) -> None:
    added(laptop, nas)
    path = nas.home / "hub.json"
    if text is None:
        found = hubs.load(nas.home)
        assert found is not None
        text = msgspec.json.encode(msgspec.structs.replace(found, v=2)).decode()
    path.write_text(text)
    code, wrong, todo = error(nas("hub", "init", "--blind"))
    assert (code, str(path) in wrong) == (5, True)
    assert f"mv {path} {path}.old; nokosu hub init --blind" in todo
