"""A backend that is not there, or does not load, is met by the next, and this is said once."""

import builtins
import importlib
import logging
import os
import subprocess
import sys
import types
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import graphret
from graphret._checks import unit_rows
from graphret._errors import DeviceError, InvalidParameterError, MissingDependencyError
from graphret._notes import note_once
from graphret.neighbors import backends, knn, nearest_neighbors
from graphret.neighbors.cuvs_graph import cuvs_candidates
from graphret.neighbors.join import join_in_memory

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
    monkeypatch.setattr(backends, "_has_cuda_driver", lambda: True)
    monkeypatch.setattr(backends, "DEVICE_LIMIT", 1)


def check(caplog, codes):
    expected = nearest_neighbors(codes, 5, backend="faiss")

    def compare():
        with caplog.at_level(logging.INFO):
            for _ in range(2):
                table = nearest_neighbors(codes, 5)
                np.testing.assert_array_equal(table.neighbors, expected.neighbors)
                np.testing.assert_array_equal(table.similarities, expected.similarities)
        return [record for record in caplog.records if record.name.startswith("graphret.neighbors.")]

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


@pytest.mark.parametrize("left", ["raise SystemError('undefined symbol: cublasLtMatmul')", ""], ids=["broken", "empty"])
def test_auto_survives_a_faiss_that_is_broken_or_half_removed(left, tmp_path):
    """In a process of its own, with a module on disk, as a wheel that was removed after another leaves it."""
    package = tmp_path / "faiss"
    package.mkdir()
    (package / "__init__.py").write_text(left)
    code = (
        "import numpy as np; from graphret.neighbors import nearest_neighbors;"
        "codes = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32);"
        "print(nearest_neighbors(codes, 5).neighbors.sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=True,
    )
    codes = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    assert int(done.stdout) == nearest_neighbors(codes, 5).neighbors.sum()
    assert "faiss, which does not load" in done.stderr
    assert done.stderr.count("faiss") <= 4


@pytest.mark.usefixtures("gpu_driver")
def test_auto_goes_on_where_a_device_fails_at_work(monkeypatch, caplog):
    codes = RANDOM.normal(size=(300, 8)).astype(np.float32)
    expected = nearest_neighbors(codes, 5, backend="faiss")

    def out_of_memory(self):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(backends, "_torch_has_cuda", lambda: True)
    monkeypatch.setattr(knn._Search, "_by_torch", out_of_memory)
    note_once.cache_clear()
    table = nearest_neighbors(codes, 5)
    np.testing.assert_array_equal(table.neighbors, expected.neighbors)
    assert "torch cannot find these neighbours: CUDA out of memory" in caplog.text


def test_a_device_without_a_compiler_is_searched_by_top_k(monkeypatch, caplog):
    codes = RANDOM.normal(size=(300, 8)).astype(np.float32)
    expected = nearest_neighbors(codes, 5, backend="faiss")

    def no_compiler(self):
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(knn, "engines_of", lambda *_: ["torch"])
    monkeypatch.setattr(knn._Search, "_by_devices", no_compiler)
    monkeypatch.setattr(knn, "torch_proposer", partial(backends.torch_proposer, device="cpu"))
    note_once.cache_clear()
    table = nearest_neighbors(codes, 5, backend="torch")
    np.testing.assert_array_equal(table.neighbors, expected.neighbors)
    assert "no kernel for this CUDA device: Failed to find C compiler" in caplog.text
    with pytest.raises(InvalidParameterError, match=r"max_memory=100000.*at least \d+ bytes on a device"):
        nearest_neighbors(codes, 5, backend="torch", max_memory=100_000)


def test_top_k_keeps_within_the_memory_of_a_device(monkeypatch):
    codes = unit_rows(RANDOM.normal(size=(5_000, 8)).astype(np.float32))
    expected = backends.faiss_proposer(codes)(codes[:16], 40)
    widths = []
    topk = torch.Tensor.topk
    monkeypatch.setattr(torch.Tensor, "topk", lambda self, *a, **k: widths.append(self.shape[1]) or topk(self, *a, **k))
    limit = codes.nbytes + 1_500 * 8 * 16
    similarities, ids = backends.torch_proposer(codes, 16, limit, device="cpu")(codes[:16], 40)
    assert max(widths) == 1_500
    np.testing.assert_allclose(similarities, expected[0], atol=1e-6)
    assert (ids == expected[1]).mean() > 0.99, "but where two are equal up to rounding"


def test_a_named_backend_that_fails_at_work_is_one_line(monkeypatch):
    def out_of_memory(self):
        raise RuntimeError("CUDA out of memory.\n Tried to allocate")

    monkeypatch.setattr(knn, "engines_of", lambda *_: ["torch"])
    monkeypatch.setattr(knn._Search, "_by_torch", out_of_memory)
    with pytest.raises(DeviceError, match=r"backend='torch' cannot find .* out of memory\. Tried to .*backend='auto'"):
        nearest_neighbors(np.eye(3, dtype=np.float32) + 0.1, 1, backend="torch")


def test_a_backend_beside_a_join_is_not_passed_over():
    with pytest.raises(InvalidParameterError, match=r"backend='faiss'.*'auto' beside join"):
        nearest_neighbors(np.eye(3, dtype=np.float32) + 0.1, 1, backend="faiss", join=join_in_memory)


@pytest.fixture
def cuvs(monkeypatch):
    """A stand-in for cuVS, with its names and its faults: rows among their own neighbours, ids twice, ids of no row."""
    asked = []

    def build(dataset, k, params, *, indices):
        best = (dataset @ dataset.T).topk(k, dim=1).indices
        best[:, -1] = best[:, 0]
        best[:, -2] = 2**32 - 1
        lossy = int(len(best) * min(1.0, params["degree"] / 200))
        best[lossy:, 1:4] = 0
        indices.copy_(best)
        asked.append(params["degree"])

    neighbors: Any = types.ModuleType("cuvs.neighbors")
    neighbors.all_neighbors = types.ModuleType("cuvs.neighbors.all_neighbors")
    neighbors.all_neighbors.build = build
    neighbors.all_neighbors.AllNeighborsParams = lambda **kind: {"degree": kind["nn_descent_params"]}
    neighbors.nn_descent = types.ModuleType("cuvs.neighbors.nn_descent")
    neighbors.nn_descent.IndexParams = lambda **kind: kind["intermediate_graph_degree"]
    for module in (types.ModuleType("cuvs"), neighbors, neighbors.all_neighbors, neighbors.nn_descent):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(backends, "_torch_has_cuda", lambda: True)
    monkeypatch.setattr(knn, "cuvs_candidates", partial(cuvs_candidates, device="cpu"))
    return asked


def test_the_recall_of_cuvs_is_measured_and_more_is_asked_where_it_is_short(cuvs, monkeypatch):
    codes = RANDOM.normal(size=(400, 8)).astype(np.float32)
    expected = nearest_neighbors(codes, 5, method="exact")
    found = nearest_neighbors(codes, 5, backend="cuvs", method="approximate", recall=0.75)
    shared = sum(np.intersect1d(a, b).size for a, b in zip(found.neighbors, expected.neighbors, strict=True))
    assert (found.method, found.n_proven) == ("approximate", 0)
    assert 0.75 <= found.recall < 1.0
    assert abs(found.recall - shared / expected.neighbors.size) < 0.05
    for row, ids in enumerate(found.neighbors):
        assert row not in ids
        assert len(set(ids)) == 5
    assert len(cuvs) == 3
    monkeypatch.setattr(knn, "BLOCK", 70)  # which is not the number of rows, nor divides it
    in_blocks = nearest_neighbors(codes, 5, backend="cuvs", method="approximate", recall=0.75)
    np.testing.assert_array_equal(in_blocks.neighbors, found.neighbors)


def test_where_cuvs_stays_short_torch_finds_the_neighbours(cuvs, monkeypatch, caplog):
    codes = RANDOM.normal(size=(400, 8)).astype(np.float32)
    instead = object()
    monkeypatch.setattr(knn._Search, "_by_torch", lambda self: instead)
    note_once.cache_clear()
    assert nearest_neighbors(codes, 5, backend="cuvs", method="approximate", recall=0.999) is instead
    assert len(cuvs) == 3
    assert sorted(cuvs) == cuvs
    assert "cuVS found 0." in caplog.text


def test_cuvs_proves_nothing_and_needs_a_device(monkeypatch):
    codes = np.eye(3, dtype=np.float32) + 0.1
    with pytest.raises(InvalidParameterError, match="cuVS, which proves nothing"):
        nearest_neighbors(codes, 1, backend="cuvs", method="exact")
    with pytest.raises(MissingDependencyError, match=r"needs the package cuvs: pip install 'graphret\[cuvs\]'"):
        nearest_neighbors(codes, 1, backend="cuvs")


def test_few_rows_stay_on_the_processor(monkeypatch):
    monkeypatch.setattr(backends, "_has_cuda_driver", lambda: True)
    monkeypatch.setattr(backends, "_torch_has_cuda", lambda: True)
    assert backends.engines_of("auto", 4_000, "auto") == ["faiss", "join"]
    assert backends.engines_of("auto", 5_000, "auto")[0] == "torch"
