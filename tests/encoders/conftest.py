"""Torch has one thread; tests of threads ask for more."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _one_thread(torch_threads):
    with torch_threads(1):
        yield
