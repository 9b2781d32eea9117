from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

from .conftest import DOCS

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOK = DOCS / "python.ipynb"
BLOCK = re.compile(r"<!-- run -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch, key: str, tmp_path: Path) -> None:
    """A reader with a key of a tenant, who has configured nothing else, and has the scenarios at hand."""
    monkeypatch.setenv("SUMO_K8_API_KEY", key)
    monkeypatch.delenv("SUMO_K8_ADMIN_KEY")
    for variable in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    (tmp_path / "test_networks").symlink_to(DOCS.parent / "test_networks")
    monkeypatch.chdir(tmp_path)


def test_the_tutorial_runs_from_top_to_bottom() -> None:
    """With UPDATE=1 it writes the notebook with its new outputs."""
    committed: Any = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=300).execute()
    if os.environ.get("UPDATE"):
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # the times at which it ran
        nbformat.write(notebook, NOTEBOOK)  # type: ignore[no-untyped-call]
        return
    for i, (now, before) in enumerate(zip(notebook.cells, committed.cells)):
        assert shape(now) == shape(before), f"cell {i} has other outputs than docs/python.ipynb: make tutorial"


def shape(cell: Any) -> list[str]:
    """What is the same in the outputs of all runs of a cell: their kinds, and their text without numbers."""
    return [
        f"{output.name}: {re.sub(r'[0-9.,]+', '#', output.text)}" if output.output_type == "stream" else ", ".join(sorted(output.data))
        for output in cell.get("outputs", [])
    ]


@pytest.mark.parametrize("document", ["docs/python.md", "README.md"])
def test_the_code_of_documents_runs(document: str) -> None:
    """All blocks of a document run one after the other, as a reader would run them."""
    blocks = BLOCK.findall((DOCS.parent / document).read_text())
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, document, "exec"), names)
