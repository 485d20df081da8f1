"""The one door to numba: the jit wrapper of every kernel, its parallel loop, and two instructions that it lacks.

Numba is imported when the first kernel is called. A program that has called none yet, as a service that starts, does
not wait for it.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Callable
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from graphret._threads import call_in_threads, threads_in_force

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["compile_seconds", "jit", "popcount", "prange", "prefetch", "read_only"]

F = TypeVar("F", bound=Callable[..., Any])


class _Making:
    """The lock of what is made; a forked child begins with a free one, whoever held it before."""

    def __init__(self) -> None:
        self.free()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.free)

    def free(self) -> None:
        self.lock = threading.RLock()  # a kernel is made with those that it calls


_making = _Making()


class _Deferred:
    """What numba makes of a function, made at its first use; until then it stands in the place of it."""

    def __init__(self, make: Callable[[], Callable[..., Any]]) -> None:
        self._make: Callable[[], Callable[..., Any]] | None = make
        self._made: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        return self.made()(*arguments)

    def made(self) -> Callable[..., Any]:
        """Return what numba knows."""
        if self._made is None:
            with _making.lock:
                if self._make is not None:
                    self._made, self._make = self._make(), None
        return cast("Callable[..., Any]", self._made)


def jit(*, parallel: bool = False, reassociate: bool = False, writes: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Compile a kernel in nopython mode, without the GIL, cached on disk where a cache can be written.

    Kernels are functions of a module: what they name of this one, and kernels that they call, are its globals.

    Parameters
    ----------
    parallel
        Turn ``prange`` loops into threads, as many as `graphret._threads.borrow_threads` has put in force. For
        one thread the same lines are compiled as plain loops, which need no threads to be there. Such a kernel is
        called from Python only, with positional arguments, and returns nothing. Its arrays are passed read-only but for
        those named "out..." and those in ``writes``: numba compiles read-only and writeable arrays apart, so a kernel
        would else be compiled once for arrays in memory and again for those of files, for seconds each.
    reassociate
        Let sums be re-ordered so that they vectorise. Only for kernels whose results are rounded
        afterwards, because the order then depends on the width of the processor's registers.
    writes
        Further parameters that a parallel kernel writes to.
    """
    fastmath: bool | set[str] = {"reassoc", "contract"} if reassociate else False

    def compile_kernel(function: F) -> F:
        if not parallel:
            return cast("F", _compiled(function, fastmath=fastmath))
        plain = _compiled(_named(function, "in_one_thread"), fastmath=fastmath)
        threaded = _compiled(_named(function, "in_threads"), parallel=True, fastmath=fastmath)
        written = [name.startswith("out") or name in writes for name in inspect.signature(function).parameters]

        @functools.wraps(function)
        def call(*arguments: Any) -> None:
            given = tuple(
                argument if is_written else read_only(argument)
                for argument, is_written in zip(arguments, written, strict=True)
            )
            n_threads = threads_in_force()
            if n_threads == 1:
                plain(*given)
            else:
                call_in_threads(threaded, given, n_threads)

        return cast("F", call)

    return compile_kernel


@contextmanager
def compile_seconds() -> Iterator[Callable[[], float]]:
    """Give a function that returns the seconds for which kernels have been compiled since the block began.

    A kernel is compiled once on a machine, and read from numba's cache afterwards: who has a limited time for a task
    does not count what only its first run takes.

    Examples
    --------
    >>> with compile_seconds() as seconds:
    ...     seconds()
    0.0
    """
    from numba.core import event

    listener = event.TimingListener()
    with event.install_listener("numba:compile", listener):
        yield lambda: float(listener.duration) if listener.done else 0.0


def read_only(argument: Any) -> Any:
    """Return an array as a view that cannot be written to, a tuple with such views, anything else as it is.

    Examples
    --------
    >>> array = np.zeros(2)
    >>> read_only(array).flags.writeable, array.flags.writeable
    (False, True)
    """
    if isinstance(argument, tuple):
        return tuple(read_only(part) for part in argument)
    if not isinstance(argument, np.ndarray) or not argument.flags.writeable:
        return argument
    view = argument.view()
    view.flags.writeable = False
    return view


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    options |= {"nogil": True, "error_model": "numpy"}

    def make() -> Callable[..., Any]:
        import numba

        _make_what_is_named(cast("FunctionType", function))
        try:
            kernel = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder to write its cache to
            kernel = numba.njit(cache=False, **options)(function)
        return cast("Callable[..., Any]", kernel)

    return functools.update_wrapper(_Deferred(make), function)


def _make_what_is_named(function: FunctionType) -> None:
    """Put what numba knows in the place of what stands for it, in the globals that a function names."""
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        if isinstance(value, _Deferred):
            function.__globals__[name] = value.made()


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _named(function: Callable[..., Any], form: str) -> Callable[..., Any]:
    """Return the same function under another name: numba's cache on disk knows functions by name and line only."""
    original = cast("FunctionType", function)
    name = f"{original.__name__}_{form}"
    copy = FunctionType(original.__code__, original.__globals__, name, original.__defaults__, original.__closure__)
    copy.__qualname__, copy.__module__ = name, original.__module__
    return copy


def _make_prange() -> Callable[..., Any]:
    import numba

    return cast("Callable[..., Any]", numba.prange)


def _make_prefetch() -> Callable[..., Any]:
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    @intrinsic  # type: ignore[untyped-decorator]
    def prefetch(_typing: Any, array: Any, row: Any) -> Any:
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

    return cast("Callable[..., Any]", prefetch)


def _make_popcount() -> Callable[..., Any]:
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic  # type: ignore[untyped-decorator]
    def popcount(_typing: Any, word: Any) -> Any:  # noqa: ARG001 - numba matches its types by name
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.ctpop(arguments[0])

        return types.int64(types.uint64), generate

    return cast("Callable[..., Any]", popcount)


prange: Any = _Deferred(_make_prange)
"""``numba.prange``, a loop whose turns threads may take."""
prefetch: Any = _Deferred(_make_prefetch)
"""``prefetch(array, row)`` asks the processor to fetch the start of a row while a kernel does something else.

For kernels that read rows in an order that no hardware foresees; it changes no result.
"""
popcount: Any = _Deferred(_make_popcount)
"""``popcount(word)``: the bits of a uint64 that are 1, as int64; one instruction, and loops over arrays vectorise."""
