"""Work beside its caller: results, errors, and the order where there is one thread."""

import threading

import pytest

from graphret._errors import InvalidParameterError
from graphret.index.changes.beside import beside


@pytest.mark.parametrize("n_threads", [1, 2, None])
def test_a_result_is_there_as_often_as_it_is_asked_for(n_threads):
    calls = []

    def work():
        calls.append(1)
        return object()

    with beside(n_threads) as start:
        found = start(work)
        assert found() is found()
    assert calls == [1]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_comes_to_whoever_asks(n_threads):
    def fail():
        raise KeyError("of the work")

    with beside(n_threads) as start:
        found = start(fail)
        with pytest.raises(KeyError, match="of the work"):
            found()


def test_one_thread_works_in_its_own_thread_and_others_beside_it():
    with beside(1) as start:
        assert start(threading.get_ident)() == threading.get_ident()
    with beside(2) as start:
        met = threading.Barrier(2, timeout=20)
        other = start(met.wait)  # neither of the two goes on alone
        assert {met.wait(), other()} == {0, 1}


def test_work_may_wait_for_work_that_was_started_before():
    """As much of it as there can be at once, and more."""
    for n_threads in (1, 2):
        with beside(n_threads) as start:
            found = start(lambda: 1)
            for _ in range(12):
                found = start(lambda before=found: before() + 1)
            assert found() == 13


def test_what_waits_is_given_up_where_the_caller_fails():
    begun, go = [], threading.Event()

    def fail_beside():
        with beside(2) as start:
            for number in range(20):
                start(lambda number=number: (begun.append(number), go.wait(0.2)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_beside()
    assert len(begun) < 20


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, "two", True])
def test_a_number_of_threads_that_is_none(n_threads):
    with pytest.raises(InvalidParameterError, match="n_threads"), beside(n_threads):
        pass
