"""Every example of the pages is run: commands in a terminal, in a home that is empty at first, and Python as Python."""

from __future__ import annotations

import pytest
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from tests import hubs
from tests.docs.pages import EXECUTED, PAGES, Page
from tests.docs.shell import Machine

EXCERPTS = ("CONTRIBUTING.md",)  # its block is a piece of the code, not a thing to run
WITH_ENGINE = ("docs/hub.md",)
RUN = [page for page in PAGES if page.has_blocks(*EXECUTED) and str(page) not in EXCERPTS]


@pytest.mark.parametrize("page", [page for page in RUN if str(page) not in WITH_ENGINE], ids=str)
def test_the_examples_of_a_page_do_what_it_says(page: Page, machine: Machine) -> None:
    try_examples(page, machine)


@pytest.mark.system
@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", [page for page in RUN if str(page) in WITH_ENGINE], ids=str)
def test_the_examples_of_a_page_about_hubs_do_what_it_says(page: Page, machine: Machine) -> None:
    hubs.use(hubs.engine_or_skip(), machine)
    try_examples(page, machine)


def try_examples(page: Page, machine: Machine) -> None:
    """Type them, in their order."""
    parsers = (CodeBlockParser("console", machine.evaluate), PythonCodeBlockParser())
    examples = list(Document.parse(str(page.path), *parsers))
    assert len(examples) >= page.count_blocks(*EXECUTED), "Sybil does not see a block that a reader sees"
    for example in examples:
        example.evaluate()
