"""The parameters of a training, and their defaults; no torch, so that the command line can show them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from graphret._checks import check_integer, check_number
from graphret._errors import UnknownNameError
from graphret.encoders.inference.device import DEVICES
from graphret.encoders.objectives import objective_spec
from graphret.encoders.registry.create import encoder_spec
from graphret.encoders.registry.spec import MINIMUM_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["TrainConfig"]

_PRECISIONS = ("auto", "no", "bf16", "fp16")
_OPTIMIZERS = ("adam", "sgd")
_SCHEDULES = ("plateau", "steps", "cosine")
_SAMPLERS = ("shuffled", "few_of_a_class", "pairs")
CACHE_TYPES = ("float32", "uint8")
SELECTIONS = ("auc", "retrieval")
# They decide how long and on what a training runs, not what an epoch computes.
_WITHOUT_EFFECT_ON_RESULTS = {
    *("epochs", "n_workers", "max_minutes", "checkpoint_minutes"),
    *("device", "cache_bytes", "device_cache_bytes"),
}


@dataclass(frozen=True)
class TrainConfig:
    """Parameters of :func:`graphret.training.train`; the defaults are those of Haq et al. 2021 for the NIH films.

    :meth:`for_encoder` puts what an encoder's own paper says in their place.

    Parameters
    ----------
    epochs
        Passes over the training split, >= 1.
    iterations
        Steps of the whole training, >= 1: it ends with that one, within an epoch if need be, whatever ``epochs`` says;
        ``None``: ``epochs`` decides. ``epochs`` given alone also does where a recipe has iterations. A run does not go
        on with another number of them.
    batch_size
        Films of a step (on each device), >= 2 because batch normalisation has no statistics of a single film.
    learning_rate
        At the start; Haq et al. (2021) have 1e-3 for NIH and 1e-4 for Stanford.
    size
        Side of the input in px; Haq et al. (2021) have 224 (LR) and 512 (HR).
    horizontal_flip
        Mirror half of the films of every epoch at random.
    augmentation
        How strongly films are turned, cropped and changed in contrast at random, in [0, 1]: at 1 turned by up to 15
        degrees, cropped by up to a fifth of their side, contrast times 0.67 to 1.49; 0 leaves them as they are.
    objective
        What is minimised, see :func:`graphret.encoders.objectives.list_objectives`; ``None``: the encoder's own.
    objective_options
        Options of the objective.
    optimizer
        ``"adam"`` or ``"sgd"`` (stochastic gradient descent).
    momentum
        Of ``"sgd"``, in [0, 1).
    weight_decay
        Share of every weight that is added to its gradient, >= 0.
    schedule
        When the learning rate falls: ``"plateau"`` (the validation score stands still), ``"steps"`` (of a fixed
        number of iterations) or ``"cosine"`` (half a wave down to the floor at the end of the training; a run is then
        not continued with more ``epochs``).
    warmup_iterations
        The learning rate rises in equal steps over so many iterations at the start; 0: it does not.
    plateau_patience
        Epochs without a better validation score before the learning rate is reduced.
    plateau_factor
        The learning rate is then multiplied by it, in (0, 1).
    step_iterations
        Iterations of a step of the schedule ``"steps"``, >= 1.
    step_factor
        The learning rate is multiplied by it after every step, in (0, 1).
    learning_rate_floor
        It is never reduced below this.
    averaging
        Validate and keep a running average of the weights, with this weight of what was before at every step, in
        [0, 1); 0: the weights as they are.
    sampler
        Films of a batch: ``"shuffled"``, every film once an epoch; ``"few_of_a_class"``, at most ``max_of_a_class`` of
        each class (Öztürk et al. 2021); ``"pairs"``, pairs of films of which 3 are dissimilar for 2 that are similar
        (Cai et al. 2019).
    max_of_a_class
        Films of a class in a batch of ``"few_of_a_class"``, >= 1.
    select_by
        The epoch is kept whose validation films have the highest ``"auc"`` (mean over the labels) or ``"retrieval"``
        (mean average precision of ranking them, by the bits of a hash encoder, leaving out films of the same patient);
        ``None``: ``"auc"`` for a dense encoder with a classifier, else ``"retrieval"``.
    seed
        Of the first weights, the order of the films, the flips, and the validation split if one must be made.
    weights
        Before training: ``"imagenet"``, ``"txrv:NAME"`` or a path (of a .pth file with ``#sha256=HEX`` behind it),
        see :func:`graphret.encoders.create`; ``None``: random weights.
    n_bits
        Length of the code of a hash encoder; ``None``: that of its paper.
    options
        Options of the encoder.
    validation_share
        Share of the training patients that validate when the data set has no such split, in (0, 1).
    mixed_precision
        ``"no"``, ``"bf16"``, ``"fp16"`` (CUDA only), or ``"auto"``: ``"bf16"`` on a GPU that has it, else ``"no"``; the
        record of a training says which it was.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    n_workers
        Threads that decode films; ``None``: all processors.
    cache_bytes
        Films are kept in memory, decoded and resized, if they need no more than this; otherwise every epoch decodes
        them again.
    device_cache_bytes
        Films that are kept in memory are kept on the GPU as well, if they need no more than this and than half of its
        free memory.
    cache_type
        ``"float32"``, or ``"uint8"``: films are rounded to 256 values, and four times as many fit.
    max_minutes
        Stop after this time, within an epoch if need be; the best epoch so far is kept, or the unfinished one if it is
        better. A later call continues.
    checkpoint_minutes
        Write a checkpoint also within an epoch, this often; ``None``: only after every epoch. Several processes look at
        the time every 16 steps, one process at every step; so with ``max_minutes``.
    """

    epochs: int = 20
    iterations: int | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    size: int = 224
    horizontal_flip: bool = True
    augmentation: float = 0.0
    objective: str | None = None
    objective_options: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "plateau"
    plateau_patience: int = 1
    plateau_factor: float = 0.1
    step_iterations: int = 4000
    step_factor: float = 0.6
    learning_rate_floor: float = 1e-8
    warmup_iterations: int = 0
    averaging: float = 0.0
    sampler: str = "shuffled"
    max_of_a_class: int = 3
    select_by: str | None = None
    seed: int = 0
    weights: str | None = None
    n_bits: int | None = field(default=None, metadata={"flags": ("--bits",)})
    options: Mapping[str, Any] = field(default_factory=dict)
    validation_share: float = 0.1
    mixed_precision: str = "auto"
    device: str = "auto"
    n_workers: int | None = None
    cache_bytes: int = 4 * 2**30
    device_cache_bytes: int = 16 * 2**30
    cache_type: str = "float32"
    max_minutes: float | None = None
    checkpoint_minutes: float | None = None

    def __post_init__(self) -> None:
        check_integer("epochs", self.epochs, 1)
        check_integer("batch_size", self.batch_size, 2, "batch normalisation has no statistics of a single film")
        check_integer("size", self.size, MINIMUM_SIZE, "the backbones halve the image five times")
        check_integer("plateau_patience", self.plateau_patience, 0)
        check_integer("seed", self.seed, 0)
        if self.iterations is not None:
            check_integer("iterations", self.iterations, 1, "None trains for the epochs")
        check_integer("step_iterations", self.step_iterations, 1)
        check_integer("warmup_iterations", self.warmup_iterations, 0)
        check_number("augmentation", self.augmentation, at_least=0, at_most=1)
        check_number("averaging", self.averaging, at_least=0, below=1)
        check_integer("max_of_a_class", self.max_of_a_class, 1)
        check_integer("cache_bytes", self.cache_bytes, 0, "0 decodes the films in every epoch")
        check_integer("device_cache_bytes", self.device_cache_bytes, 0, "0 keeps no films on a GPU")
        if self.n_workers is not None:
            check_integer("n_workers", self.n_workers, 1, "None takes every processor")
        check_number("learning_rate", self.learning_rate, above=0)
        check_number("learning_rate_floor", self.learning_rate_floor, above=0)
        check_number("plateau_factor", self.plateau_factor, above=0, below=1)
        check_number("validation_share", self.validation_share, above=0, below=1)
        check_number("step_factor", self.step_factor, above=0, below=1)
        check_number("momentum", self.momentum, at_least=0, below=1)
        check_number("weight_decay", self.weight_decay, at_least=0)
        for name in ("max_minutes", "checkpoint_minutes"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), above=0)
        for name, known in (
            ("mixed_precision", _PRECISIONS),
            ("cache_type", CACHE_TYPES),
            ("device", DEVICES),
            ("optimizer", _OPTIMIZERS),
            ("schedule", _SCHEDULES),
            ("sampler", _SAMPLERS),
            ("select_by", (*SELECTIONS, None)),
        ):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), [str(word) for word in known])
        if self.objective is not None:
            objective_spec(self.objective).check_options(self.objective_options)
        # A path is written into JSON and compared when a run is resumed.
        object.__setattr__(self, "weights", None if self.weights is None else str(self.weights))
        object.__setattr__(self, "options", dict(self.options))
        object.__setattr__(self, "objective_options", dict(self.objective_options))

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
        _check_names(cls, overrides or {})
        return replace(config or cls(), **(overrides or {}))

    @classmethod
    def for_encoder(cls, name: str, **overrides: Any) -> TrainConfig:
        """Take the size, the code length and the recipe of an encoder's paper, and put single parameters over them.

        Options of the encoder and of the objective that are not given keep those of the recipe; another ``objective``
        than the recipe's takes none of them.

        Raises
        ------
        UnknownNameError
            Unknown encoder, or an override that is no parameter of a training.

        Examples
        --------
        >>> TrainConfig.for_encoder("densenet121", epochs=5) == TrainConfig(epochs=5)
        True
        """
        spec = encoder_spec(name)
        _check_names(cls, overrides)
        values = {"size": spec.default_size, "n_bits": spec.default_bits, **spec.recipe, **overrides}
        if "epochs" in overrides and "iterations" not in overrides:
            values["iterations"] = None
        if overrides.get("objective") in {None, spec.objective}:
            own = dict(spec.recipe.get("objective_options", {}))
            values["objective_options"] = {**own, **overrides.get("objective_options", {})}
        elif "objective_options" not in overrides:
            values["objective_options"] = {}
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Every parameter, as a JSON object."""
        return asdict(self)

    def deciding(self) -> dict[str, Any]:
        """The parameters that decide the weights; a run is only resumed if they are the same."""
        without = _WITHOUT_EFFECT_ON_RESULTS - ({"epochs"} if self.schedule == "cosine" else set())
        return {name: value for name, value in self.to_json().items() if name not in without}


def _check_names(config: type[TrainConfig], names: Iterable[str]) -> None:
    known = [entry.name for entry in fields(config)]
    for name in names:
        if name not in known:
            raise UnknownNameError("training parameter", name, known)
