"""Fixtures that tests of several rooms share: a command in this process, and judging what trainings learn.

The last bits of a sum differ between processors, and a training makes other weights of them, as another seed does. So
no single training is judged: a few are, by their ranks among many networks that were not trained. That needs no margin.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from scipy.stats import mannwhitneyu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

LEVEL = 0.01
"""Of each round: with two rounds that share no seed, trainings without effect pass in one of 50 cases at most."""


def verdict(score: Callable[[int, int], float], n_passes: int, *others: Sequence[float]) -> tuple[bool, str]:
    """Whether trainings score higher than every group of ``others``, and all figures as a text.

    ``score(seed, n_passes)`` trains once. Three trainings are enough where the gain is plain; six more, of twice the
    passes, decide what those leave in doubt. P-values are exact and one-sided (Mann and Whitney 1947).
    """
    figures = [f"not trained: {[f'{value:.3f}' for value in sorted(group)]}" for group in others]
    for seeds, passes in ((range(3), n_passes), (range(3, 9), 2 * n_passes)):
        found = [score(seed, passes) for seed in seeds]
        p = max(float(mannwhitneyu(found, group, alternative="greater", method="exact").pvalue) for group in others)
        figures.append(f"{passes} passes: {[f'{value:.3f}' for value in found]}, p {p:.4f}")
        if p < LEVEL:
            return True, "; ".join(figures)
    return False, "; ".join(figures)


@pytest.fixture(scope="session")
def judge_trainings() -> Callable[..., tuple[bool, str]]:
    """Judge trainings by several seeds, see :func:`verdict`."""
    return verdict


@pytest.fixture(scope="session")
def torch_threads() -> Callable[[int], AbstractContextManager[None]]:
    """Give a context in which torch has so many threads.

    For networks and losses of the size of tests a second thread only waits, busily, and there is a process for each
    core already: one is what they should have.
    """

    @contextmanager
    def context(number: int) -> Iterator[None]:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    return context


@pytest.fixture
def run(capsys):
    """Run a command in this process: exit status, stdout, stderr."""
    from graphret.cli import main

    def call(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return SimpleNamespace(status=status, out=said.out, err=said.err)

    return call
