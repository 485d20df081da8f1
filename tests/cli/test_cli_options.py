"""Options are the fields of a config: same names, same defaults, same refusals."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from graphret._errors import InvalidParameterError
from graphret.cli.options import config_options, documented_parameters, parse_assignments
from graphret.index import BuildConfig, QueryConfig
from graphret.neighbors.knn import EXACT_LIMIT, RECALL
from graphret.training import TrainConfig


@dataclass(frozen=True)
class Kiln:
    """A kiln.

    Parameters
    ----------
    degrees
        How hot, see :func:`fire`;
        over two lines.
    pots, lid
        How many.
    shelves
        How many; ``None``: as many as fit.
    patience
        How long; ``None``: for ever.
    glaze
        ``"auto"`` or a number.
    kind
        One of two.
    extras
        Further things.

    Returns
    -------
    nothing
        Not a parameter.
    """

    degrees: float = 900.0
    pots: int = 3
    shelves: int | None = None
    lid: bool = True
    name: str | None = None
    glaze: float | Literal["auto"] | None = "auto"
    kind: Literal["wood", "gas"] = "gas"
    patience: float | None = 2.5
    extras: Mapping[str, Any] = field(default_factory=dict)
    k: int = 9
    told: str = field(default="now", metadata={"allowed": ("now", "later")})


def run(*arguments):
    """The config that a command gets for these arguments, and the result of the runner."""
    seen = []
    app = typer.Typer()

    @app.command()
    @config_options(Kiln)
    def fire(*, config: Kiln) -> None:
        seen.append(config)

    result = CliRunner().invoke(app, list(arguments))
    return (seen[0] if seen else None), result


def test_without_options_the_config_is_the_default_one():
    assert run()[0] == Kiln()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--degrees", "20.5"], {"degrees": 20.5}),
        (["--pots", "7"], {"pots": 7}),
        (["--shelves", "2"], {"shelves": 2}),
        (["--no-lid"], {"lid": False}),
        (["--name", "none of these"], {"name": "none of these"}),
        (["--glaze", "0.25"], {"glaze": 0.25}),
        (["--glaze", "none"], {"glaze": None}),
        (["--glaze", "auto"], {}),
        (["--kind", "wood"], {"kind": "wood"}),
        (["--patience", "none"], {"patience": None}),
        (["--patience", "4"], {"patience": 4.0}),
        (["--extras", "x=1.5", "--extras", "y=text"], {"extras": {"x": 1.5, "y": "text"}}),
        (["--told", "later"], {"told": "later"}),
        (["--k", "4"], {"k": 4}),
        (["-k", "4"], {"k": 4}),
    ],
)
def test_every_field_has_an_option_that_changes_it(arguments, expected):
    config, result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert config == dataclasses.replace(Kiln(), **expected)
    assert all(type(getattr(config, name)) is type(value) for name, value in expected.items())


@pytest.mark.parametrize("arguments", [["--pots", "many"], ["--degrees", "hot"], ["--pot", "1"], ["--extras"]])
def test_a_value_of_another_type_is_a_wrong_call(arguments):
    config, result = run(*arguments)
    assert config is None
    assert result.exit_code == 2


def test_help_says_the_words_of_the_docstring_and_the_default():
    text = " ".join(run("--help")[1].output.replace("│", " ").split())
    assert "How hot, see fire; over two lines." in text
    assert "900.0" in text
    assert "One of now, later." in text
    assert "How long; none: for ever." in text  # --patience takes the word none
    assert "not given: as many as fit" in text  # --shelves does not
    assert "Not a parameter" not in text


def test_names_before_a_comma_share_their_words():
    words = documented_parameters(Kiln)
    assert words["pots"] == words["lid"] == "How many."
    assert "nothing" not in words


@pytest.mark.parametrize("entry", ["x", "=1", ""])
def test_an_assignment_without_a_name_or_a_value_is_refused(entry):
    with pytest.raises(InvalidParameterError, match="NAME=VALUE"):
        parse_assignments("extras", [entry])
    with pytest.raises(InvalidParameterError, match="each name once"):
        parse_assignments("extras", ["x=1", "x=2"])


@pytest.mark.parametrize("config", [TrainConfig, BuildConfig, QueryConfig])
def test_every_parameter_of_a_config_explains_itself(config):
    words = documented_parameters(config)
    for entry in dataclasses.fields(config):
        assert words.get(entry.name), f"{config.__name__}.{entry.name} has no help"


def test_help_of_build_says_what_the_code_does():
    words = documented_parameters(BuildConfig)
    assert f"exact up to {EXACT_LIMIT:,} films" in words["method"]
    assert {f"at least {share}" for share in RECALL.values()} == set(re.findall(r"at least [\d.]+\d", words["method"]))
    assert "sets no limit" in words["max_memory"]
