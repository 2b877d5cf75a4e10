"""Projects in the store: keys that occurred together are one project, in whatever order the records came."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nokosu.store import projects
from nokosu.store.projects import Project
from nokosu.store.sqlite import Connection
from nokosu.testing import Store

A, B, C, D = (letter.encode() * 16 for letter in "abcd")


@pytest.fixture
def connection(store: Store) -> Iterator[Connection]:
    with store.database.write() as writing:
        yield writing


def test_no_keys_are_no_project(connection: Connection) -> None:
    assert projects.resolve(connection, (), "app", 1) is None
    assert projects.find(connection, ()) is None
    assert projects.find(connection, (A,)) is None
    assert projects.name_of(connection, None) == ""
    assert projects.all_names(connection) == []


def test_keys_that_occur_together_are_one_project(connection: Connection) -> None:
    first = projects.resolve(connection, (A,), "app", 1)
    other = projects.resolve(connection, (B,), "app-clone", 2)
    assert first is not None
    assert first != other
    assert projects.resolve(connection, (A, B, C), "app", 3) == first
    assert {projects.find(connection, (key,)) for key in (A, B, C)} == {first}
    assert projects.members(connection, first) == (first, other)
    assert projects.keys_of(connection, first) == (A, B, C)
    assert projects.named(connection, "APP") == [Project(first, "app")]
    assert projects.named(connection, "app-clone") == []


def test_numbers_given_out_before_a_join_still_lead_there(connection: Connection) -> None:
    first, second, third = (projects.resolve(connection, (key,), "x", 1) for key in (A, B, C))
    assert first is not None
    assert third is not None
    projects.resolve(connection, (B, C), "joined", 2)
    projects.resolve(connection, (A, C), "all", 3)
    for number in (first, second, third):
        assert number is not None
        assert projects.members(connection, number) == (first, second, third)
        assert projects.name_of(connection, number) == "all"
        assert projects.keys_of(connection, number) == (A, B, C)


def test_the_name_given_latest_is_shown_also_after_a_join(connection: Connection) -> None:
    number = projects.resolve(connection, (A,), "new", 5)
    assert projects.resolve(connection, (A,), "old", 4) == number
    assert projects.name_of(connection, number) == "new"
    projects.resolve(connection, (B,), "newest", 9)
    projects.resolve(connection, (A, B), "between", 7)
    assert projects.name_of(connection, number) == "newest"
    assert projects.all_names(connection) == ["newest"]


def test_a_project_that_no_text_names_is_not_listed_until_one_does(connection: Connection) -> None:
    number = projects.resolve(connection, (A, B))
    assert (projects.all_names(connection), projects.name_of(connection, number)) == ([], "")
    assert projects.resolve(connection, (B,), "app", 1) == number
    assert projects.all_names(connection) == ["app"]


KEYS = st.lists(st.sampled_from((A, B, C, D)), min_size=1, unique=True).map(tuple)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_order_of_records_gives_the_same_projects_and_names(connection: Connection, data: st.DataObject) -> None:
    named = data.draw(st.lists(KEYS, max_size=6))
    given_names = [(keys, f"name {number}", number + 1) for number, keys in enumerate(named)]
    seen = []
    for order in (given_names, data.draw(st.permutations(given_names))):
        for table in ("project", "project_key"):
            connection.run(f"DELETE FROM {table}")
        for keys, name, hlc in order:
            projects.resolve(connection, keys, name, hlc)
        groups = {}
        for key in (A, B, C, D):
            number = projects.find(connection, (key,))
            if number is not None:
                groups[key] = (projects.keys_of(connection, number), projects.name_of(connection, number))
        seen.append(groups)
    assert seen[0] == seen[1]
