"""The parameters of a training, and their defaults; no torch, so that the command line can show them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret._types import check_integer
from graphret.encoders.device import DEVICES
from graphret.encoders.spec import MINIMUM_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TrainConfig"]

_PRECISIONS = ("no", "bf16", "fp16")
# They decide how long and on what a training runs, not what an epoch computes.
_WITHOUT_EFFECT_ON_RESULTS = {"epochs", "n_workers", "max_minutes", "checkpoint_minutes", "device", "cache_bytes"}


@dataclass(frozen=True)
class TrainConfig:
    """Parameters of :func:`graphret.training.train`; the defaults are those of P1 for the NIH films.

    Parameters
    ----------
    epochs
        Passes over the training split, >= 1.
    batch_size
        Films of a step (on each device), >= 2 because batch normalisation has no statistics of a single film.
    learning_rate
        Of Adam; P1 has 1e-3 for NIH and 1e-4 for Stanford.
    size
        Side of the input in px; P1 has 224 (LR) and 512 (HR).
    horizontal_flip
        Mirror half of the films of every epoch at random.
    plateau_patience
        Epochs without a better mean validation AUC before the learning rate is reduced.
    plateau_factor
        The learning rate is multiplied by it, in (0, 1).
    learning_rate_floor
        It is never reduced below this.
    seed
        Of the first weights, the order of the films, the flips, and the validation split if one must be made.
    weights
        Before training: ``None``, ``"imagenet"``, ``"txrv:NAME"`` or a path; see :func:`graphret.encoders.create`.
    n_bits
        Length of the code of a hash encoder.
    options
        Options of the encoder.
    validation_share
        Share of the training patients that validate when the data set has no such split, in (0, 1).
    mixed_precision
        ``"no"``, ``"bf16"``, or ``"fp16"`` (CUDA only).
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    n_workers
        Threads that decode films; ``None`` for as many as there are processors.
    cache_bytes
        Films are kept in memory, decoded and resized, if they need no more than this; otherwise every epoch decodes
        them again.
    max_minutes
        Stop after this time and keep the best epoch so far; a later call continues.
    checkpoint_minutes
        Write a checkpoint also within an epoch, this often; ``None`` for only after every epoch.
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    size: int = 224
    horizontal_flip: bool = True
    plateau_patience: int = 1
    plateau_factor: float = 0.1
    learning_rate_floor: float = 1e-8
    seed: int = 0
    weights: str | None = None
    n_bits: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    validation_share: float = 0.1
    mixed_precision: str = "no"
    device: str = "auto"
    n_workers: int | None = None
    cache_bytes: int = 4 * 2**30
    max_minutes: float | None = None
    checkpoint_minutes: float | None = None

    def __post_init__(self) -> None:
        check_integer("epochs", self.epochs, 1)
        check_integer("batch_size", self.batch_size, 2, "batch normalisation has no statistics of a single film")
        check_integer("size", self.size, MINIMUM_SIZE, "the backbones halve the image five times")
        check_integer("plateau_patience", self.plateau_patience, 0)
        check_integer("seed", self.seed, 0)
        check_integer("cache_bytes", self.cache_bytes, 0, "0 decodes the films in every epoch")
        if self.n_workers is not None:
            check_integer("n_workers", self.n_workers, 1, "None takes every processor")
        _check_number("learning_rate", self.learning_rate)
        _check_number("learning_rate_floor", self.learning_rate_floor)
        _check_number("plateau_factor", self.plateau_factor, below=1.0)
        _check_number("validation_share", self.validation_share, below=1.0)
        for name in ("max_minutes", "checkpoint_minutes"):
            if getattr(self, name) is not None:
                _check_number(name, getattr(self, name))
        if self.mixed_precision not in _PRECISIONS:
            raise UnknownNameError("mixed_precision", self.mixed_precision, _PRECISIONS)
        if self.device not in DEVICES:
            raise UnknownNameError("device", self.device, DEVICES)
        # A path is written into JSON and compared when a run is resumed.
        object.__setattr__(self, "weights", None if self.weights is None else str(self.weights))
        object.__setattr__(self, "options", dict(self.options))

    @classmethod
    def of(cls, config: TrainConfig | None = None, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
        """Put single parameters over a config.

        Raises
        ------
        UnknownNameError
            An override that is no parameter of a training; the message lists them.

        Examples
        --------
        >>> TrainConfig.of(TrainConfig(epochs=5), {"batch_size": 8}).batch_size
        8
        """
        known = [entry.name for entry in fields(cls)]
        for name in overrides or {}:
            if name not in known:
                raise UnknownNameError("training parameter", name, known)
        return replace(config or cls(), **(overrides or {}))

    def to_json(self) -> dict[str, Any]:
        """Every parameter, as a JSON object."""
        return asdict(self)

    def deciding(self) -> dict[str, Any]:
        """The parameters that decide the weights; a run is only resumed if they are the same."""
        return {name: value for name, value in self.to_json().items() if name not in _WITHOUT_EFFECT_ON_RESULTS}


def _check_number(name: str, value: Any, below: float = float("inf")) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < below:
        allowed = "a number > 0" if below == float("inf") else f"a number > 0 and < {below:g}"
        raise InvalidParameterError(name, value, allowed)
