"""From which weights the trainings of a comparison begin: those that an experiment asks for, where they are at hand."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphret.comparison.experiment import Experiment, MethodSettings

__all__ = ["Start", "fallbacks", "start_of"]

logger = logging.getLogger(__name__)

RANDOM = "random"


@dataclass(frozen=True)
class Start:
    """The first weights of a training.

    Attributes
    ----------
    wanted
        As the experiment asks for: "imagenet", "txrv:NAME", a path, "random", or a shorter code of the same method.
    had
        The same, or "random" where the weights are not on this machine.
    why
        What is missing; "" where the training had what was wanted.
    weights
        What `train` is given.
    key
        Of the codes of the shorter code.
    """

    wanted: str = RANDOM
    had: str = RANDOM
    why: str = ""
    weights: str | None = None
    key: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"wanted": self.wanted, "had": self.had, "why": self.why}


def start_of(experiment: Experiment, method: MethodSettings, n_bits: int | None, n_labels: int) -> Start:
    """Find the first weights of a training: ImageNet's only if their file is on this machine already.

    A comparison fetches nothing. ImageNet's weights that are not there become random ones, with a warning, so that a
    template of a paper also runs where they cannot be had; its rows then say so. Weights that a path names must be
    there: they are somebody's own choice.

    Examples
    --------
    >>> from graphret.comparison.experiment import Experiment, MethodSettings
    >>> method = MethodSettings("encoder", "siamese_hash")
    >>> start_of(Experiment(name="mine", methods=(method,)), method, 48, 2)
    Start(wanted='random', had='random', why='', weights=None, key='')
    """
    wanted = {**experiment.training, **method.training}.get("weights")
    if wanted is None:
        return Start()
    if wanted != "imagenet":
        return Start(str(wanted), str(wanted), weights=str(wanted))
    from graphret.encoders import create
    from graphret.encoders.weights import imagenet_file

    file, url = imagenet_file(create(method.name, n_labels=n_labels, n_bits=n_bits, **method.options))
    if file.is_file():
        return Start(wanted, wanted, weights=wanted)
    why = f"there is no {file.name} among the weights of torch on this machine (fetch {url} and put it there)"
    logger.warning("%s begins from random weights, not from ImageNet's: %s", method.label, why)
    return Start(wanted, RANDOM, why)


def fallbacks(rows: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, bits and start of every training that did not begin from the weights that were asked for.

    Parameters
    ----------
    rows
        Of `Comparison.to_dict`.
    """
    found = {
        (row["method"], "" if row["n_bits"] is None else str(row["n_bits"])): row["costs"]["start"]
        for row in rows
        if row["kind"] == "encoder" and ((row["costs"] or {}).get("start") or {}).get("why")
    }
    return [(method, bits, start) for (method, bits), start in found.items()]
