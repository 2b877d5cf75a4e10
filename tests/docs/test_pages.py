"""What pages say of the program is so: commands, options, files, links, fields, bounds; and what is generated is current."""

from __future__ import annotations

import doctest
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any, get_type_hints
from xml.etree import ElementTree as ET

import click
import msgspec
import pytest

from docs.generate import configuration
from nokosu import limits, records
from nokosu.cli import COMMANDS, group
from nokosu.mcp_server.clients import CLIENTS
from nokosu.mcp_server.tools import TOOLS
from tests.docs.pages import EXECUTED, PAGES, ROOT, SHOWN, Block, Page
from tests.docs.shell import steps

SOURCE = ROOT / "src/nokosu"
MAKEFILE = (ROOT / "Makefile").read_text()


def page(name: str) -> Page:
    return Page(ROOT / name)


def command(name: str) -> click.Command:
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return found


def options(name: str) -> set[str]:
    """The options of a command, and of those below it."""
    found = command(name)
    every = [found, *found.commands.values()] if isinstance(found, click.Group) else [found]
    return {
        option
        for one in every
        for parameter in one.params
        if not getattr(parameter, "hidden", False)
        for option in parameter.opts
        if option.startswith("--")
    }


# Commands and options -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_option_is_in_the_reference_with_an_example(name: str) -> None:
    reference = (ROOT / "docs/cli-reference.md").read_text()
    section = reference.partition(f"\n## nokosu {name}\n")[2].partition("\n## ")[0]
    missing = {option for option in options(name) if not re.search(rf"^ +(-\w, )?{option}\b", section, re.MULTILINE)}
    assert section, "type: make docs"
    assert missing == set()
    assert re.search(rf"^    .*nokosu {name}\b", section.partition("\n  Examples:\n")[2], re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_shown_outside_the_reference(name: str) -> None:
    others = [page for page in PAGES if str(page) != "docs/cli-reference.md"]
    assert any(used == name for page in others for used, _ in uses(page))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_names_only_commands_and_options_that_exist(page: Page) -> None:
    unknown = {f"nokosu {name}" for name, _ in uses(page) if name not in COMMANDS}
    unknown |= {
        f"nokosu {name} {option}" for name, given in uses(page) if name in COMMANDS for option in given - options(name)
    }
    assert unknown == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_names_only_make_targets_that_exist(page: Page) -> None:
    code = "\n".join([*page.spans, *(block.text for block in page.blocks)])
    named = set(re.findall(r"^(?:\$ )?make ([a-z-]+)", code, re.MULTILINE))
    assert named - set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)) == set()


def uses(page: Page) -> Iterator[tuple[str, set[str]]]:
    """Each use of a command on a page, in code: its name, and the options it is given."""
    for line in [*page.spans, *(line for block in page.blocks if block.language != "python" for line in typed(block))]:
        for match in re.finditer(r"(?<![\w.])nokosu ([a-z]+)((?: .*)?)", line):
            yield match[1], {word.partition("=")[0] for word in words(match[2]) if re.match(r"--\w", word)}


def typed(block: Block) -> list[str]:
    """The lines of a block, of an executed one those that are commands."""
    if block.language == "console":
        return [step.command.replace("\\\n", " ") for step in steps(block.text)]
    return block.text.split("\n")


def words(line: str) -> list[str]:
    """The words of a command line, up to where another command begins."""
    try:
        split = shlex.split(line)
    except ValueError:  # an apostrophe in an answer
        split = line.split()
    return list(takewhile(lambda word: word not in {"|", "||", "&&", "--"} and not word.endswith(";"), split))


def test_the_readme_names_every_agent_that_can_be_set_up() -> None:
    assert [
        client.title for client in CLIENTS.values() if client.title not in page("README.md").prose + blocks("README.md")
    ] == []


def blocks(name: str) -> str:
    return "\n".join(block.text for block in page(name).blocks)


def test_the_glossary_has_only_words_of_the_program_and_each_of_them_once() -> None:
    heads = re.findall(r"^\| (?!word|---)([^|]+) \|", page("docs/glossary.md").prose, re.MULTILINE)
    defined = [word for head in heads for word in head.split(", ")]
    program = "\n".join(path.read_text().lower() for path in SOURCE.rglob("*.py"))
    assert len(set(defined)) == len(defined) > 40
    assert [word for word in defined if word not in program] == []


def test_the_architecture_page_places_every_module_that_the_layers_hold() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["id"] == "layers")["layers"]
    modules = {module for layer in layers for module in re.findall(r"\w+", layer)} - {"__main__"}
    assert modules - set(page("ARCHITECTURE.md").spans) == set()


def test_the_corridors_of_the_architecture_page_lead_through_names_that_exist() -> None:
    code = "\n".join(block.text for block in page("ARCHITECTURE.md").blocks)
    named = [name for name in re.findall(r"(?<![\w./])[a-z_]+(?:\.\w+)+", code) if not name.endswith((".py", ".db"))]
    assert len(named) > 10
    assert [name for name in named if not leads_somewhere(name)] == []


def leads_somewhere(name: str) -> bool:
    """Whether a module of ours, or something in one, is called so."""
    try:
        pkgutil.resolve_name(f"nokosu.{name}")
    except (ImportError, AttributeError):
        return False
    return True


# Files and links ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Page) -> None:
    dead = []
    for link in page.links:
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in Page(target).anchors):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_file_that_a_page_names_in_code_exists(page: Page) -> None:
    places = (ROOT, SOURCE, page.path.parent)
    named = {span for span in page.spans if re.fullmatch(r"[\w./-]+/[\w.-]+\.(py|md|json|lock|svg|toml)|\w+\.py", span)}
    everywhere = {path.name for path in SOURCE.rglob("*.py")}  # a module of ours may be called by its name alone
    assert {name for name in named - everywhere if not any((place / name).exists() for place in places)} == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_block_has_a_language_that_says_whether_it_is_run(page: Page) -> None:
    assert {block.language for block in page.blocks} - {*EXECUTED, *SHOWN} == set()


@pytest.mark.parametrize("picture", sorted(ROOT.glob("docs/*.svg")), ids=lambda path: path.name)
def test_a_picture_is_sound_has_a_title_and_a_ground_of_its_own(picture: Path) -> None:
    root = ET.fromstring(picture.read_text())
    names = [element.tag.rpartition("}")[2] for element in root]
    first = root[names.index("rect")]
    assert "title" in names
    assert float(first.attrib["width"]) >= float(root.attrib["width"]) - 1, "a page may be light or dark"


# What is generated --------------------------------------------------------------------------------------------------


def test_the_generated_pages_and_pictures_are_current(tmp_path: Path) -> None:
    shown = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("*.svg"))]
    files = [path for path in shown if "[[[cog" in path.read_text()]
    env = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    cog = (sys.executable, "-m", "cogapp", "--check", "--diff", "-P", "-I", ".")
    done = subprocess.run([*cog, *files], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert {"README.md", "cli-reference.md", "configuration.md", "wire-format.md", "search.svg"} <= {
        path.name for path in files
    }
    assert done.returncode == 0, f"type: make docs\n{done.stdout}{done.stderr}"


def test_every_variable_and_setting_is_described() -> None:
    assert configuration.variables_read() == configuration.VARIABLES.keys()
    assert "|  |" not in configuration.file() + configuration.variables()


# The wire format ----------------------------------------------------------------------------------------------------

WIRE = page("docs/wire-format.md")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    section = re.split(rf"^#+ {heading}$", WIRE.prose, flags=re.MULTILINE)[1]
    rows = takewhile(lambda line: line.startswith("|"), section[section.index("| ") :].split("\n"))
    return [[cell.strip(" `") for cell in row.strip("|").split(" | ")] for row in list(rows)[2:]]


@pytest.mark.parametrize(
    ("heading", "struct"),
    [("Core", records.Core), ("Author", records.Author), ("Place", records.Position), ("Content", records.Content)],
)
def test_the_wire_format_describes_every_field_with_its_type_and_default(
    heading: str, struct: type[msgspec.Struct]
) -> None:
    described = {name: (kind, default) for name, kind, default, _ in table(heading)}
    types = get_type_hints(struct)
    assert list(described) == list(struct.__struct_fields__)
    for field in msgspec.structs.fields(struct):
        kind, default = described[field.name]
        assert kind.startswith(wire_type(types[field.name])), field.name
        assert default == wire_default(field), field.name


def wire_type(type_: Any) -> str:
    names = {int: "int", str: "str", bytes: "bin ", records.Author: "map", int | None: "int or nil"}
    return names.get(type_, "array of ")


def wire_default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return "required"
    if field.default is None:
        return "nil"
    if field.default == b"":
        return "absent"
    return str(field.default) if field.default and isinstance(field.default, str) else "empty"


def test_the_wire_format_gives_the_bounds_that_hold() -> None:
    said = " ".join(f"{name}: {bound};" for name, bound in table("Bounds")).replace(",", "")
    for bound in (
        limits.RECORD_BYTES_MAX, limits.HEADER_BYTES_MAX, limits.TEXT_BYTES_MAX, limits.SUBJECT_CHARS_MAX, limits.TAG_CHARS_MAX,
        limits.TAGS_MAX, limits.REF_CHARS_MAX, limits.REFS_MAX, limits.SUPERSEDES_MAX, limits.PROJECT_NAME_CHARS_MAX,
    ):  # fmt: skip
        assert re.search(rf"\b{bound}\b", said), bound
    text = WIRE.text
    assert f"at most {limits.AFTER_MAX} record ids" in text
    assert f"at most {limits.PROJECT_KEYS_MAX} [project keys]" in text
    assert f"at most {limits.AUTHOR_CHARS_MAX} characters" in text
    assert f"wall_ms + {limits.DRIFT_MS_MAX} + 1" in text
    assert limits.SEQ_MAX == 2**53
    assert limits.HLC_MAX == 2**63 - 1


def test_the_wire_format_lists_the_kinds() -> None:
    assert [name for name, _ in table("Kinds")] == list(records.Kind)


# Other words --------------------------------------------------------------------------------------------------------


def test_the_pages_name_only_tools_that_the_server_has() -> None:
    tools = {tool.name for tool in TOOLS}
    people = [page for page in PAGES if page.path.name != "DESIGN.md"]  # there, they are indexes of the store
    named = {span for page in people for span in page.spans if re.fullmatch(r"\w+_memory|memory_\w+", span)}
    assert named
    assert named - {"delete_memory", "memory_type"} <= tools  # those are kioku-mesh's


def modules_with_examples() -> list[str]:
    paths = [path for path in sorted(SOURCE.rglob("*.py")) if re.search(r"^ *>>> ", path.read_text(), re.MULTILINE)]
    return [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in paths]


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_in_a_modules_docstrings_are_right(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
