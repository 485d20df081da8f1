"""The one door to numba: the jit wrapper of every kernel, and two instructions that numba has no word for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from graphret._threads import call_in_threads, threads_in_force

__all__ = ["jit", "popcount", "prefetch"]

F = TypeVar("F", bound=Callable[..., Any])


def jit(*, parallel: bool = False, reassociate: bool = False) -> Callable[[F], F]:
    """Compile a kernel in nopython mode, without the GIL, cached on disk where a cache can be written.

    Parameters
    ----------
    parallel
        Turn ``numba.prange`` loops into threads, as many as `graphret._threads.borrow_threads` has put in force. For
        one thread the same lines are compiled as plain loops, which need no threads to be there. Such a kernel is
        called from Python only, with positional arguments, and returns nothing.
    reassociate
        Let sums be re-ordered so that they vectorise. Only for kernels whose results are rounded
        afterwards, because the order then depends on the width of the processor's registers.
    """
    fastmath: bool | set[str] = {"reassoc", "contract"} if reassociate else False

    def compile_kernel(function: F) -> F:
        if not parallel:
            return cast("F", _compiled(function, fastmath=fastmath))
        plain = _compiled(_named(function, "in_one_thread"), fastmath=fastmath)
        threaded = _compiled(_named(function, "in_threads"), parallel=True, fastmath=fastmath)

        @functools.wraps(function)
        def call(*arguments: Any) -> None:
            n_threads = threads_in_force()
            if n_threads == 1:
                plain(*arguments)
            else:
                call_in_threads(threaded, arguments, n_threads)

        return cast("F", call)

    return compile_kernel


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    options |= {"nogil": True, "error_model": "numpy"}
    try:
        kernel = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder to write its cache to
        kernel = numba.njit(cache=False, **options)(function)
    return cast("Callable[..., Any]", kernel)


def _named(function: Callable[..., Any], form: str) -> Callable[..., Any]:
    """Return the same function under another name: numba's cache on disk knows functions by name and line only."""
    original = cast("FunctionType", function)
    name = f"{original.__name__}_{form}"
    copy = FunctionType(original.__code__, original.__globals__, name, original.__defaults__, original.__closure__)
    copy.__qualname__, copy.__module__ = name, original.__module__
    return copy


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
