"""Promises and tests belong together: neither stands alone."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.promises import PROMISES

HERE = Path(__file__).parent


@cache
def marks_by_test(name: str) -> dict[str, tuple[str, ...]]:
    """The tests of a file below this folder, and the promises that each is marked with."""
    found = {}
    for node in ast.walk(ast.parse((HERE / name).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found[node.name] = tuple(mark for decorator in node.decorator_list for mark in marks_of(decorator))
    return found


def marks_of(decorator: ast.expr) -> list[str]:
    if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "promise":
        return [str(argument.value) for argument in decorator.args if isinstance(argument, ast.Constant)]
    return []


def all_files() -> list[str]:
    return sorted(path.relative_to(HERE).as_posix() for path in HERE.rglob("test_*.py"))


@pytest.mark.parametrize("id", PROMISES)
def test_a_promise_has_tests_and_each_of_them_exists(id: str) -> None:
    assert PROMISES[id].tests
    for named in PROMISES[id].tests:
        file, _, test = named.partition("::")
        assert (HERE / file).is_file(), f"{id}: there is no {file}"
        assert test in marks_by_test(file), f"{id}: {file} has no {test}"


@pytest.mark.parametrize("file", all_files())
def test_a_marked_test_is_named_by_its_promise(file: str) -> None:
    for test, marks in marks_by_test(file).items():
        for mark in marks:
            assert f"{file}::{test}" in PROMISES[mark].tests, f"{mark}: name {file}::{test} in tests/promises.py"


def test_the_marks_of_this_very_folder_are_found() -> None:
    marked = [test for file in all_files() for test, marks in marks_by_test(file).items() if marks]
    assert len(marked) > len(PROMISES) / 2
