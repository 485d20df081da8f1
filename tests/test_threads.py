"""Threads of a call: how many are in force, locks that a fork frees, the BLAS with one thread."""

import os
import threading
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from graphret import _numba, _threads
from graphret._errors import InvalidParameterError
from graphret._numba import jit
from graphret._threads import ProcessLock, borrow_threads, one_blas_thread, threads_in_force


def test_threads_are_borrowed_for_a_block_and_a_thread_of_the_program():
    seen = []
    with borrow_threads(1), borrow_threads(None, at_most=1) as inner:
        thread = threading.Thread(target=lambda: seen.append(threads_in_force()))
        thread.start()
        thread.join()
        assert inner == threads_in_force() == 1
    assert seen == [1]


def test_an_error_gives_borrowed_threads_back():
    with pytest.raises(ZeroDivisionError), borrow_threads(2):
        1 / 0  # noqa: B018
    assert threads_in_force() == 1


@pytest.mark.parametrize("n_threads", [0, -1, True, 1.5])
def test_a_wrong_number_of_threads_is_refused(n_threads):
    with pytest.raises(InvalidParameterError, match="n_threads"), borrow_threads(n_threads):
        pass


def test_a_kernel_is_written_once_and_compiled_in_two_forms():
    import numba

    @jit(parallel=True)
    def count_up(out):
        for place in numba.prange(out.shape[0]):
            out[place] = place

    for n_threads in (1, 2):
        out = np.zeros(5)
        with borrow_threads(n_threads):
            count_up(out)
        assert out.tolist() == [0, 1, 2, 3, 4]


def test_arrays_of_files_and_of_memory_share_what_was_compiled(monkeypatch):
    import numba

    kernels: list[Any] = []
    compiled = _numba._compiled
    monkeypatch.setattr(
        _numba, "_compiled", lambda function, **options: kernels.append(compiled(function, **options)) or kernels[-1]
    )

    @jit(parallel=True, writes=("found",))
    def add_up(rows, pair, found, out):
        for place in numba.prange(out.shape[0]):
            found[place] = pair[0][place]
            out[place] = rows[place].sum() + pair[1][place]

    rows, first, second = np.ones((2, 3)), np.arange(2), np.arange(2.0)
    with borrow_threads(1):
        for writeable in (True, False):
            for array in (rows, first, second):
                array.flags.writeable = writeable
            found, out = np.zeros(2, np.int64), np.zeros(2)
            add_up(rows, (first, second), found, out)
            assert (found.tolist(), out.tolist()) == ([0, 1], [3, 4])
            assert rows.flags.writeable == writeable
    assert [len(kernel.made().signatures) for kernel in kernels] == [1, 0]


def test_a_kernel_that_writes_to_what_it_says_to_read_is_refused():
    import numba
    from numba.core.errors import TypingError

    @jit(parallel=True)
    def change(rows, out):
        for place in numba.prange(out.shape[0]):
            rows[place] = 0

    with borrow_threads(1), pytest.raises(TypingError, match="readonly"):
        change(np.ones(2), np.ones(2))


def test_a_lock_is_free_in_a_forked_child():
    lock = ProcessLock()
    with lock:
        child = os.fork()
        if child == 0:
            with lock:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with lock:
        pass


class FakeBlas:
    """A BLAS whose limit counts for the process, or for each thread as that of OpenMP does."""

    internal_api, version = "somelib", "1.0"

    def __init__(self, layer, number=4):
        self.threading_layer, self.number = layer, number
        self.here = threading.local()

    @property
    def num_threads(self):
        return getattr(self.here, "number", self.number) if self.threading_layer == "openmp" else self.number

    def set_num_threads(self, number):
        if self.threading_layer == "openmp":
            self.here.number = number
        else:
            self.number = number


def blas_threads():
    """Threads of the BLAS of numpy and scipy, whose limit counts for the process."""
    libraries = _threads._blas_libraries()
    return {library.num_threads for library in libraries if library.threading_layer != "openmp"}


def test_blocks_of_several_threads_are_counted_apart_where_limits_are(monkeypatch):
    process, thread = FakeBlas("pthreads"), FakeBlas("openmp")
    monkeypatch.setattr(_threads, "_blas_libraries", lambda: [process, thread])
    seen = {}

    def ask():
        with one_blas_thread():
            seen["inside"] = process.num_threads, thread.num_threads
        seen["after"] = process.num_threads, thread.num_threads

    with one_blas_thread():
        with one_blas_thread():
            assert (process.num_threads, thread.num_threads) == (1, 1)
        assert (process.num_threads, thread.num_threads) == (1, 1)
        other = threading.Thread(target=ask)
        other.start()
        other.join()
    assert seen == {"inside": (1, 1), "after": (1, 4)}, "the first block of the process was still open"
    assert (process.num_threads, thread.num_threads) == (4, 4)


def test_the_blas_has_one_thread_until_the_last_block_is_left():
    with one_blas_thread():
        pass  # its libraries are loaded
    with threadpool_limits(2, user_api="blas"):
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}, "another thread of the program is still inside"
        second.__exit__(None, None, None)
        assert blas_threads() == {2}


def test_the_blas_has_one_thread_for_any_thread_that_asks():
    """From 3.8 on threadpoolctl lets only the first thread that changed OpenBLAS change it again, and says nothing."""
    seen = []

    def ask():
        with one_blas_thread():
            seen.append(blas_threads())
        seen.append(blas_threads())

    with threadpool_limits(2, user_api="blas"):  # this thread has changed it
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert seen == [{1}, {2}]


def test_a_blas_that_can_not_be_limited_is_said(caplog):
    class Stubborn:
        internal_api, version, num_threads = "somelib", "1.0", 7

        def set_num_threads(self, number):
            return None

    _threads._set_blas_threads(Stubborn(), 1)
    assert "somelib 1.0 works with 7 threads" in caplog.text
