from __future__ import annotations

import os
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sumo_k8 import Client

if TYPE_CHECKING:
    from collections.abc import Iterator


DOCS = Path(os.environ["DOCS"])
"""The folder of the documents; the scenarios that they name are beside it."""


@pytest.fixture(scope="session")
def operator() -> Iterator[Client]:
    """Knows the admin key of the service."""
    with Client(os.environ["SUMO_K8_URL"], admin_key=os.environ["SUMO_K8_ADMIN_KEY"]) as client:
        yield client


@pytest.fixture(scope="session")
def key(operator: Client) -> str:
    """The API key of a tenant of these tests."""
    tenant = operator.api.register_tenant({"tenant_id": f"python-{uuid.uuid4()}", "max_concurrent_jobs": 4})
    return str(tenant["api_key"])


@pytest.fixture(scope="session")
def client(key: str) -> Iterator[Client]:
    with Client(os.environ["SUMO_K8_URL"], key) as client:
        yield client


@pytest.fixture(scope="session")
def networks() -> Path:
    """The folder of the ready scenarios, as zips."""
    return DOCS.parent / "test_networks" / "ready_to_use"


@pytest.fixture
def cross(networks: Path, tmp_path: Path) -> Path:
    """A small scenario as a folder."""
    folder = tmp_path / "cross"
    with zipfile.ZipFile(networks / "cross.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def endless(cross: Path) -> Path:
    """A scenario that runs until it is stopped."""
    config = next(cross.glob("*.sumocfg"))
    text = config.read_text()
    start, _, rest = text.partition("<end value=")
    config.write_text(start + '<end value="1000000000"/>' + rest.partition("/>")[2])
    return cross
