"""A backend that is not there, or does not load, is met by the next, and this is said once."""

import builtins
import importlib
import logging
import sys

import numpy as np
import pytest

import graphret
from graphret._errors import MissingDependencyError
from graphret._notes import note_once
from graphret.neighbors import knn, nearest_neighbors

RANDOM = np.random.default_rng(0)
ABSENT = {
    "not installed": ModuleNotFoundError("No module named 'faiss'", name="faiss"),
    "without CUDA's libraries": ImportError("libcudart.so.12: cannot open shared object file:\nNo such file"),
    "a library that the system refuses": OSError("libcublas.so.12: file too short"),
    "of another numpy": AttributeError("_ARRAY_API not found"),
}


@pytest.fixture
def broken(monkeypatch):
    """Make the import of a library fail with an error."""

    def make(library, error):
        real, importing = builtins.__import__, importlib.import_module

        def refuse(name, *arguments, **keywords):
            if name.split(".")[0] == library:
                raise error
            return real(name, *arguments, **keywords)

        def refuse_module(name, *arguments):
            if name.split(".")[0] == library:
                raise error
            return importing(name, *arguments)

        monkeypatch.delitem(sys.modules, library, raising=False)
        monkeypatch.setattr(builtins, "__import__", refuse)
        monkeypatch.setattr(importlib, "import_module", refuse_module)
        note_once.cache_clear()

    return make


@pytest.fixture
def gpu_driver(monkeypatch):
    monkeypatch.setattr(knn, "_has_cuda_driver", lambda: True)


def check(caplog, codes):
    expected = nearest_neighbors(codes, 5, backend="faiss")

    def compare():
        with caplog.at_level(logging.INFO):
            for _ in range(2):
                table = nearest_neighbors(codes, 5)
                np.testing.assert_array_equal(table.neighbors, expected.neighbors)
                np.testing.assert_array_equal(table.similarities, expected.similarities)
        return [record for record in caplog.records if record.name == "graphret.neighbors.knn"]

    return compare


@pytest.mark.parametrize("name", ABSENT)
@pytest.mark.usefixtures("gpu_driver")
def test_without_faiss_a_machine_with_a_gpu_driver_builds(name, broken, caplog, tmp_path):
    error, codes = ABSENT[name], RANDOM.normal(size=(300, 8)).astype(np.float32)
    compare = check(caplog, codes)
    broken("faiss", error)
    (record,) = compare()
    assert "\n" not in record.getMessage()
    assert "pip install 'graphret[cpu]'" in record.getMessage()
    if name == "not installed":
        assert record.levelno == logging.INFO
    else:
        assert record.levelno == logging.WARNING
        assert "does not load" in record.getMessage()
    assert len(graphret.build(codes, out=tmp_path / "index", k=5)) == 300


@pytest.mark.parametrize("library", ["faiss", "torch"])
@pytest.mark.parametrize("name", ABSENT)
def test_a_backend_that_was_named_and_is_not_there_is_one_line(library, name, broken):
    broken(library, ABSENT[name])
    with pytest.raises(MissingDependencyError, match=f"backend='{library}' needs the package {library}") as caught:
        nearest_neighbors(np.eye(3, dtype=np.float32) + 0.1, 1, backend=library)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("gpu_driver")
def test_without_torch_too_the_processor_works(broken, caplog):
    compare = check(caplog, RANDOM.normal(size=(300, 8)).astype(np.float32))
    broken("torch", OSError("libcudnn.so.9: cannot open shared object file"))
    (record,) = compare()
    assert "torch, which does not load (libcudnn.so.9" in record.getMessage()


@pytest.mark.usefixtures("gpu_driver")
def test_a_faiss_that_cannot_use_the_gpu_leaves_it_to_others(monkeypatch, caplog):
    import faiss

    def refuse():
        raise RuntimeError("CUDA driver version is insufficient\nfor CUDA runtime version")

    compare = check(caplog, RANDOM.normal(size=(300, 8)).astype(np.float32))
    note_once.cache_clear()
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", refuse)
    (record,) = compare()
    assert record.getMessage().startswith("Faiss cannot use the GPU: CUDA driver version is insufficient for")


@pytest.mark.parametrize("n_rows", [2, 3, 5, 31, 33, 100, 513])
@pytest.mark.parametrize("kind", ["random", "equal", "whole numbers"])
def test_the_join_is_right_for_few_rows(n_rows, kind, broken, caplog):
    codes = {
        "random": RANDOM.normal(size=(n_rows, 12)),
        "equal": np.ones((n_rows, 12)),
        "whole numbers": RANDOM.integers(1, 3, size=(n_rows, 3)),
    }[kind].astype(np.float32)
    compare = check(caplog, codes)
    broken("faiss", ABSENT["not installed"])
    compare()
