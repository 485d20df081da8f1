"""Fixtures that tests of several rooms share."""

from types import SimpleNamespace

import pytest


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
