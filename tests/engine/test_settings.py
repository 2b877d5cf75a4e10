"""The one configuration of zenohd: what must be in it, and what must never be."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nokosu import limits
from nokosu.engine import replication
from nokosu.engine.located import Engine
from nokosu.engine.settings import EngineSettings, config
from nokosu.mesh import keys

SPACE = bytes(range(16))
ENGINE = Engine(Path("/usr/bin/zenohd"), Path("/usr/lib"), "1.10.2", "system")


def settings(**changed: Any) -> EngineSettings:
    usual = EngineSettings(
        space=SPACE,
        zid="1f" * 16,
        roots=b"ROOTS",
        certificate=b"CERTIFICATE",
        key=b"KEY",
        listen=("0.0.0.0:7447", "[::]:7447"),
        connect=("hub.example:7447",),
        socket=Path("/run/nokosu/x.engine"),
        folder=Path("/home/aki/engine"),
    )
    return msgspec.structs.replace(usual, **changed)


def made(**changed: Any) -> dict[str, Any]:
    return config(settings(**changed), ENGINE)


def test_it_is_a_router_with_a_fixed_id_that_listens_to_members_and_to_local_clients() -> None:
    found = made()
    assert (found["mode"], found["id"]) == ("router", "1f" * 16)
    assert found["listen"]["endpoints"] == [
        "tls/0.0.0.0:7447",
        "tls/[::]:7447",
        "unixsock-stream//run/nokosu/x.engine",
    ], "the socket last: who waits for it waits for all"
    assert found["listen"]["exit_on_failure"] is True
    assert found["connect"]["endpoints"] == ["tls/hub.example:7447"]
    assert found["connect"]["exit_on_failure"] is False
    assert found["timestamping"]["enabled"] is True


def test_two_storages_hold_what_the_keys_name() -> None:
    manager = made()["plugins"]["storage_manager"]
    assert manager["__required__"] is True
    assert manager["volumes"] == {"rocksdb": {"__required__": True}}
    space = keys.space(SPACE)
    for name in ("rec", "vec"):
        storage = manager["storages"][name]
        assert storage["key_expr"] == f"{space}/{name}/**"
        assert storage["strip_prefix"] == f"{space}/{name}"
        assert storage["complete"] is True
        assert storage["volume"] == {"id": "rocksdb", "dir": name, "create_db": True}
        assert storage["replication"] == replication.parameters()
    assert set(manager["storages"]) == {"rec", "vec"}


def test_plugins_come_from_one_folder_and_rest_is_never_among_them() -> None:
    found = made()
    assert found["plugins_loading"]["search_dirs"] == ["/usr/lib"]
    assert found["plugins"]["storage_manager"]["backend_search_dirs"] == ["/usr/lib"]
    assert set(found["plugins"]) == {"storage_manager"}
    assert "rest" not in json.dumps(found).replace("interest", "")


def test_members_may_do_everything_in_their_space_but_delete() -> None:
    access = made()["access_control"]
    assert (access["enabled"], access["default_permission"]) == (True, "deny")
    rule, state = access["rules"]
    assert state["messages"] == ["query", "reply"]
    assert state["key_exprs"] == ["@/" + made()["id"] + "/router"], "the rest of the admin space can stop it for good"
    assert rule["permission"] == "allow"
    assert rule["flows"] == ["ingress", "egress"]
    assert rule["key_exprs"] == [f"{keys.space(SPACE)}/**", "@-digest/**", "@zid/**"]
    assert sorted(rule["messages"]) == sorted(
        ["put", "declare_subscriber", "query", "declare_queryable", "reply", "liveliness_token",
         "declare_liveliness_subscriber", "liveliness_query"]
    )  # fmt: skip
    everybody, socket = access["subjects"]
    assert access["policies"] == [
        {"rules": [rule["id"]], "subjects": [everybody["id"]]},
        {"rules": [state["id"]], "subjects": [socket["id"]]},
    ]
    assert set(everybody) == {"id"}, "everybody that TLS lets in"
    assert socket["link_protocols"] == ["unixsock-stream"]


def test_nobody_gets_in_without_a_certificate_of_the_space() -> None:
    transport = made()["transport"]
    tls = transport["link"]["tls"]
    assert tls["enable_mtls"] is True
    assert tls["verify_name_on_connect"] is False
    assert base64.b64decode(tls["root_ca_certificate_base64"]) == b"ROOTS"
    for side in ("listen", "connect"):
        assert base64.b64decode(tls[f"{side}_certificate_base64"]) == b"CERTIFICATE"
        assert base64.b64decode(tls[f"{side}_private_key_base64"]) == b"KEY"
    assert transport["link"]["protocols"] == ["tls", "unixsock-stream"]


def test_it_keeps_to_itself_and_within_bounds() -> None:
    found = made()
    assert found["scouting"] == {"multicast": {"enabled": False}, "gossip": {"enabled": False}}
    assert found["adminspace"]["permissions"]["write"] is False
    assert found["queries_default_timeout"] == 600_000
    assert found["transport"]["shared_memory"] == {"enabled": False}
    assert found["transport"]["link"]["rx"]["max_message_size"] == limits.ENGINE_MESSAGE_BYTES_MAX == 64 * 2**20
    assert found["transport"]["unicast"]["max_sessions"] == limits.SESSIONS_MAX


def test_the_key_layout_of_the_storages_is_the_meshs() -> None:
    assert f"nokosu/{replication.KEYS_VERSION}" == keys.ROOT


# Replication ----------------------------------------------------------------------------------------------------------


def test_the_replication_is_the_networks_constant() -> None:
    """Whoever changes one of these cuts the network in two: every hub and spoke has to change at the same time."""
    assert replication.parameters() == {
        "interval": 10.0,
        "sub_intervals": 5,
        "hot": 6,
        "warm": 30,
        "propagation_delay": 250,
    }
    assert replication.FINGERPRINT == "242882018c20f9f5"


def test_any_other_replication_has_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {replication.FINGERPRINT, replication.fingerprint(2.0)}
    for name in ("KEYS_VERSION", "SUB_INTERVALS", "HOT", "WARM", "PROPAGATION_DELAY_MS"):
        with monkeypatch.context() as patch:
            patch.setattr(replication, name, getattr(replication, name) + 1)
            seen.add(replication.fingerprint())
    assert len(seen) == 7


def test_a_test_may_compare_more_often() -> None:
    storages = made(interval_s=2.0)["plugins"]["storage_manager"]["storages"]
    assert {storage["replication"]["interval"] for storage in storages.values()} == {2.0}
