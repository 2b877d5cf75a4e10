"""Several agents, each with its own server, one memory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.mcp_server.agents import Process, connected


def test_what_one_agent_saves_another_one_finds(home: Path) -> None:
    with connected(home, client="claude-code") as saver, connected(home, client="codex-mcp-client") as finder:
        id = saver.call("save_memory", text="The tide gauge is off by 12 cm", type="bug", project="harbour")["id"]
        (hit,) = finder.call("search_memory", query="how wrong is the tide gauge", project="harbour")["hits"]
        assert (hit["id"], hit["agent"]) == (id, "claude-code")
        finder.call("edit_memory", id=id, text="The tide gauge is off by 14 cm")
        assert saver.call("get_memory", id=id)["text"] == "The tide gauge is off by 14 cm"
        told = [event["agent"] for event in saver.call("get_memory", id=id, history=True)["history"]]
        assert told == ["claude-code", "codex"]


def test_eight_servers_save_at_once_and_all_is_found(home: Path) -> None:
    servers, each = 8, 25
    with ExitStack() as stack:
        agents = [stack.enter_context(Process(home)) for _ in range(servers)]  # they start side by side
        for number, agent in enumerate(agents):
            agent.begin(client=f"agent-{number}")
        for n in range(each):
            for number, agent in enumerate(agents):
                agent.send_call("save_memory", text=f"agent {number} saves {n}", project="p")
        ids = set()
        for agent in agents:
            for _ in range(each):
                answer = agent.next()["result"]
                assert not answer["isError"], answer
                ids.add(answer["structuredContent"]["id"])
        assert len(ids) == servers * each
        for number, agent in enumerate(agents):
            found = [
                agent.call("search_memory", query="saves", project="p", agent=f"agent-{writer}", limit=100)
                for writer in range(servers)
            ]
            assert {hit["id"] for page in found for hit in page["hits"]} == ids, number
