"""The join of a CUDA device without one: Triton's interpreter runs its kernels, the processor's table is the oracle."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from graphret._errors import InvalidParameterError
from graphret.neighbors import device_table
from graphret.neighbors.device_codes import SCALE, unit_halves
from graphret.neighbors.device_join import Guess, product_error
from graphret.neighbors.device_table import DeviceTable, fits_device_lists

pytest.importorskip("triton")
HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "cases", ["guess_and_panels or run_over or border", pytest.param("test", marks=pytest.mark.slow)]
)
def test_the_kernels_give_the_table_of_the_processor(cases):
    """In a process of its own: whether Triton interprets is decided when it is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-x", "-k", cases, str(HERE / "device_cases.py")]
    done = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "1"}, cwd=HERE.parents[1], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.parametrize("d", [3, 64, 1000])
@pytest.mark.parametrize("kind", ["normal", "equal values", "one large value"])
def test_products_keep_the_bound(d, kind):
    """The worst rounding of float16 comes near the bound, and never over it."""
    generator = np.random.default_rng(0)
    codes = {
        "normal": generator.standard_normal((200, d)),
        "equal values": np.ones((200, d)) * generator.uniform(0.5, 2.0, (200, 1)),
        "one large value": np.where(np.arange(d) == 0, 1.0, 1e-6 * generator.standard_normal((200, d))),
    }[kind].astype(np.float32)
    _, halves = unit_halves(torch.from_numpy(codes))
    products = (halves[:200].float() @ halves[:200].float().T / SCALE**2).double().numpy()
    unit = codes / np.linalg.norm(codes.astype(np.float64), axis=1, keepdims=True)
    assert np.abs(products - unit @ unit.T).max() <= product_error(d)


def test_the_bound_is_not_idle():
    """Values that lie half-way between two numbers of float16 are all rounded to the same side."""
    least = 2.0**-11 * 0.9
    worst = 0.0
    for d in range(2, 400):
        _, halves = unit_halves(torch.ones((1, d)))
        worst = max(worst, abs(float((halves[0].double() ** 2).sum()) / SCALE**2 - 1.0))
    assert least < worst <= product_error(400)


def test_lists_are_long_enough_for_what_a_guess_lets_pass():
    for n in (600, 5_000, 112_120, 1_000_000, 50_000_000):
        guess = Guess.of(n, 50)
        assert guess.n_sampled == 0 or guess.capacity >= 2 * guess.rank * n / guess.n_sampled
        assert fits_device_lists(n, 50)
    assert not fits_device_lists(1_000_000, 2_000)


def plan(n, d, memory, n_devices=1):
    return device_table._Plan.of(n, d, Guess.of(n, 50).capacity, n_devices, memory)


def test_plans_keep_within_the_memory_of_a_device():
    assert plan(112_120, 1024, 100 * 2**30) == device_table._Plan(112_128, 0)
    assert plan(112_120, 1024, 100 * 2**30, n_devices=4).range_rows == 28_032
    lists = plan(4_000_000, 256, 16 * 2**30)
    assert lists.block_rows == 0
    assert 0 < lists.range_rows < 4_000_000
    blocks = plan(20_000_000, 1024, 16 * 2**30)
    assert blocks.block_rows > 0
    assert blocks.range_rows % 128 == blocks.block_rows % 128 == 0
    with pytest.raises(InvalidParameterError, match=r"max_memory=100000 .* at least \d+ bytes on a device"):
        plan(112_120, 1024, 100_000)


def test_parts_are_shared_by_the_threads_of_devices_and_an_error_ends_all(monkeypatch):
    table = DeviceTable(np.eye(300, dtype=np.float32), 5, ["cpu", "cpu"], 2**40)
    both = threading.Barrier(2, timeout=20)
    seen = []
    table._each([0, 1], lambda device, part: (both.wait(), seen.append(part)))
    assert sorted(seen) == [0, 1]

    def fail(device, part):
        raise ValueError(part)

    with pytest.raises(ValueError, match=r"0|1"):
        table._each([0, 1], fail)


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compile_for_devices_that_are_not_here(capability):
    """Down to machine code; the interpreter takes what the compiler refuses."""
    from triton import compile as compile_kernel
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from graphret.neighbors import _device_kernels as kernels

    numbers = ("left_first", "left_stop", "left_start", "right_first", "right_stop", "right_start", "width")
    lists = {"thresholds": "*fp32", "counts": "*i32", "ids": "*i32", "values": "*fp32"}
    of_join = {"left": "*fp16", "right": "*fp16", **lists, **dict.fromkeys(numbers, "i32"), "scale": "fp32"}
    of_lists = {**lists, "proven": "*i8", "first": "i32", "stop": "i32", "k": "i32", "margin": "fp32"}
    of_pairs = {"codes": "*fp32", "left": "*i64", "right": "*i64", "out": "*fp64", "n_pairs": "i32", "width": "i32"}
    shape = {"tile": 128, "depth": 64, "group": 8}
    for kernel, types, constants, options in (
        (kernels._join_pairs, {**of_join, "capacity": "i32"}, {"symmetric": True, **shape}, {"num_warps": 8}),
        (kernels._join_pairs, {**of_join, "capacity": "i32"}, {"symmetric": False, **shape}, {"num_warps": 8}),
        (kernels._tighten, of_lists, {"capacity": 512, "block": 8}, {}),
        (kernels._pair_products, of_pairs, {"block": 16, "depth": 64}, {}),
    ):
        source = ASTSource(kernel, {**types, **dict.fromkeys(constants, "constexpr")}, constants)
        done = compile_kernel(source, GPUTarget("cuda", capability, 32), {**options, "enable_fp_fusion": True})
        assert done.asm["cubin"]
        assert kernel is not kernels._join_pairs or ("wgmma" in done.asm["ptx"]) == (capability == 90)
