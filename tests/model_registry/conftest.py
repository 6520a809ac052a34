"""The servers, started once for all tests that ask for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.backends import Backend, real_backend


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with real_backend(tmp_path_factory.mktemp("servers")) as backend:
        yield backend
