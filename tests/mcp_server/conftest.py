"""A home for memories, and an agent that works in it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.mcp_server.agents")  # before it is imported: its asserts show what they compared

from tests.mcp_server.agents import ERAS, Visit, config_of  # noqa: E402


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def agent(home: Path) -> Visit:
    return Visit(config_of(home, agent="tester"))


@pytest.fixture(params=ERAS)
def visit(request: pytest.FixtureRequest, home: Path) -> Visit:
    """The same agent, once in each era of the protocol."""
    return Visit(config_of(home, agent="tester", session="s1"), era=request.param)
