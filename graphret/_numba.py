"""The one door to numba: the jit wrapper of every kernel, and threads borrowed for one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from graphret._errors import InvalidParameterError

__all__ = ["available_threads", "borrow_threads", "jit", "popcount", "prefetch"]

F = TypeVar("F", bound=Callable[..., Any])


def jit(*, parallel: bool = False, reassociate: bool = False) -> Callable[[F], F]:
    """Compile a kernel in nopython mode, without the GIL, cached on disk where a cache can be written.

    Parameters
    ----------
    parallel
        Turn ``numba.prange`` loops into threads.
    reassociate
        Let sums be re-ordered so that they vectorise. Only for kernels whose results are rounded
        afterwards, because the order then depends on the width of the processor's registers.
    """
    fastmath: bool | set[str] = {"reassoc", "contract"} if reassociate else False

    def compile_kernel(function: F) -> F:
        options = {"nogil": True, "parallel": parallel, "fastmath": fastmath, "error_model": "numpy"}
        try:
            kernel = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder to write its cache to
            kernel = numba.njit(cache=False, **options)(function)
        return cast("F", kernel)

    return compile_kernel


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(_typing: Any, array: Any, row: Any) -> Any:
    """Ask the processor to fetch the start of a row of an array while a kernel does something else.

    For kernels that read rows in an order that no hardware foresees; it changes no result.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, found.strides)[0]
        number = context.cast(builder, arguments[1], signature.args[1], types.intp)
        address = builder.add(builder.ptrtoint(found.data, stride.type), builder.mul(stride, number))
        pointer, integer = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, integer, integer, integer])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # to read, to keep in every level of cache, data
        flags = [ir.Constant(integer, flag) for flag in (0, 3, 1)]
        builder.call(fetch, [builder.inttoptr(address, pointer), *flags])
        return context.get_dummy_value()

    return types.void(array, row), generate


@intrinsic  # type: ignore[untyped-decorator]
def popcount(_typing: Any, word: Any) -> Any:  # noqa: ARG001 - numba matches its types by name
    """Count the bits of a uint64 that are 1, as int64: one instruction, and one that loops over arrays vectorise."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


def available_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@contextmanager
def borrow_threads(n_threads: int | None, *, at_most: int | None = None) -> Iterator[int]:
    """Run numba with ``n_threads`` threads inside the block, and give the old number back after it.

    ``None`` means every processor that this process may use; more threads than numba started are cut to
    those, and to ``at_most``: a thread without work still waits in the way of others. Yields the number in force.

    Examples
    --------
    >>> with borrow_threads(1) as n:
    ...     n
    1
    """
    if n_threads is not None and (isinstance(n_threads, bool) or int(n_threads) != n_threads or n_threads < 1):
        raise InvalidParameterError("n_threads", n_threads, "an integer >= 1, or None for all processors")
    wanted = available_threads() if n_threads is None else int(n_threads)
    before = numba.get_num_threads()
    number = max(1, min(wanted, numba.config.NUMBA_NUM_THREADS, wanted if at_most is None else at_most))
    numba.set_num_threads(number)
    try:
        yield number
    finally:
        numba.set_num_threads(before)
