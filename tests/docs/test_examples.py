"""Every example of the pages is run: commands in a terminal, in a home that is empty at first, and Python as Python."""

from __future__ import annotations

import pytest
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from tests.docs.pages import EXECUTED, PAGES, Page
from tests.docs.shell import Machine

EXCERPTS = ("CONTRIBUTING.md",)  # its block is a piece of the code, not a thing to run
RUN = [page for page in PAGES if page.has_blocks(*EXECUTED) and str(page) not in EXCERPTS]


@pytest.mark.parametrize("page", RUN, ids=str)
def test_the_examples_of_a_page_do_what_it_says(page: Page, machine: Machine) -> None:
    parsers = (CodeBlockParser("console", machine.evaluate), PythonCodeBlockParser())
    examples = list(Document.parse(str(page.path), *parsers))
    assert len(examples) >= page.count_blocks(*EXECUTED), "Sybil does not see a block that a reader sees"
    for example in examples:
        example.evaluate()
