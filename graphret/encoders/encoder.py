"""A network, the labels it knows and the size of its input: everything that turns a film into a code."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from graphret._errors import EncoderError, InvalidParameterError, UnknownNameError
from graphret._types import Float32Array, check_integer
from graphret.encoders import encoder_files
from graphret.encoders.device import choose_device
from graphret.encoders.registry import create, encoder_spec
from graphret.encoders.spec import MINIMUM_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    import torch

    from graphret.encoders.network import EncoderNetwork, InferenceNetwork

__all__ = ["Encoder", "EncoderConfig", "Precision", "prepare_film"]

Precision = Literal["float32", "bfloat16"]

PIXELS_AT_ONCE = 4 * 224 * 224
"""Input pixels that one thread of a processor takes at once: what its network then works on stays in the cache."""


@dataclass(frozen=True)
class EncoderConfig:
    """What is needed, beside the weights, to make an encoder again.

    Parameters
    ----------
    name
        Registry name.
    size
        Side of the square input in px, >= 32.
    label_names
        Labels of the classifier, in order, all different.
    n_bits
        Length of the code of a hash encoder.
    options
        Options of the encoder; those not given have their defaults.
    """

    name: str
    size: int
    label_names: tuple[str, ...]
    n_bits: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spec = encoder_spec(self.name)
        check_integer("size", self.size, MINIMUM_SIZE, "the backbones halve the image five times")
        names = tuple(str(name) for name in self.label_names)
        if not names or len(set(names)) != len(names):
            raise InvalidParameterError("label_names", names, "one or more names, all different")
        spec.check_bits(self.n_bits)
        object.__setattr__(self, "size", int(self.size))
        object.__setattr__(self, "label_names", names)
        object.__setattr__(self, "options", spec.check_options(self.options))

    @property
    def code_length(self) -> int:
        """Number of values of a code."""
        length = encoder_spec(self.name).code_length
        return int(self.n_bits if length is None else length)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; :meth:`from_json` reads it."""
        return {
            "name": self.name,
            "size": self.size,
            "label_names": list(self.label_names),
            "n_bits": self.n_bits,
            "options": dict(self.options),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], source: Path) -> EncoderConfig:
        """Read what :meth:`to_json` made.

        Raises
        ------
        EncoderError
            Not such an object; the message names ``source``.
        """
        try:
            return cls(**{**fields, "label_names": tuple(fields["label_names"])})
        except (TypeError, KeyError, InvalidParameterError) as error:
            raise EncoderError(f"encoder {source}: {error} (use the graphret that wrote it)") from error

    def deciding(self) -> dict[str, Any]:
        """The config without options that have their default, so that an option added later changes no fingerprint."""
        defaults = encoder_spec(self.name).options
        options = {key: value for key, value in self.options.items() if value != defaults[key]}
        return {**self.to_json(), "options": options}

    def create(self, weights: str | PathLike[str] | None = None) -> EncoderNetwork:
        """Make the network; see :func:`graphret.encoders.create`."""
        return create(
            self.name, n_labels=len(self.label_names), n_bits=self.n_bits, weights=weights, **dict(self.options)
        )


class Encoder:
    """Turn films into codes and label probabilities.

    Parameters
    ----------
    module
        A network of :func:`graphret.encoders.create` that fits ``config``. It is moved to the device and set to
        evaluation mode, and belongs to the encoder from then on.
    config
        What the network is.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    record
        How the weights came about (data, training, validation AUC), JSON values only; it goes into the model card.

    Examples
    --------
    >>> import numpy as np
    >>> encoder = Encoder.untrained("resnet18", ["Mass", "Nodule"], size=32, seed=0, device="cpu")
    >>> image = encoder.prepare(np.zeros((50, 40), dtype=np.float32))
    >>> encoder.encode(image[None]).shape, encoder.predict(image[None]).shape
    ((1, 512), (1, 2))
    """

    def __init__(
        self,
        module: EncoderNetwork,
        config: EncoderConfig,
        *,
        device: str = "auto",
        record: Mapping[str, Any] | None = None,
    ) -> None:
        import torch

        self.config = config
        self.record = dict(record or {})
        self._device = choose_device(device)
        # The type stubs of torch know no call that takes both.
        network: Any = module.eval().requires_grad_(False)
        self._module = network.to(self._device, memory_format=torch.channels_last)

    @classmethod
    def untrained(
        cls,
        name: str,
        label_names: Sequence[str],
        size: int | None = None,
        seed: int = 0,
        *,
        n_bits: int | None = None,
        device: str = "auto",
        **options: Any,
    ) -> Encoder:
        """Make an encoder with random weights, the same for the same seed; the global torch seed stays as it is."""
        import torch

        spec = encoder_spec(name)
        config = EncoderConfig(name, spec.default_size if size is None else size, tuple(label_names), n_bits, options)
        check_integer("seed", seed, 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = config.create()
        return cls(module, config, device=device, record={"trained": False, "seed": int(seed)})

    @classmethod
    def load(cls, folder: str | PathLike[str], *, device: str = "auto") -> Encoder:
        """Open an encoder that :meth:`save` or a training wrote.

        Raises
        ------
        MissingFileError
            The folder holds no encoder.
        EncoderError
            A file is damaged: its sha256 is not the one of ``encoder.json``.
        """
        folder = Path(folder)
        document, tensors = encoder_files.read_encoder(folder)
        config = EncoderConfig.from_json(document["config"], folder / "encoder.json")
        import torch

        with torch.random.fork_rng(devices=[]):
            module = config.create()
        encoder_files.fill(module, tensors, folder)
        encoder = cls(module, config, device=device, record=document["record"])
        if encoder.fingerprint != document["fingerprint"]:
            raise EncoderError(
                f"damaged encoder: {folder / 'encoder.json'}: its config is not the one that it was saved with "
                "(restore it from a backup; load_encoder(folder, size=...) gives another size)"
            )
        return encoder

    def __repr__(self) -> str:
        state = "trained" if self.trained else "untrained"
        return f"Encoder({self.name!r}, size={self.size}, {len(self.label_names)} labels, {state}, {self.device})"

    def save(self, folder: str | PathLike[str]) -> None:
        """Write ``encoder.safetensors``, ``encoder.json`` and ``MODEL_CARD.md``, each replaced in one step."""
        encoder_files.write_encoder(Path(folder), self)

    @property
    def name(self) -> str:
        """Registry name."""
        return self.config.name

    @property
    def size(self) -> int:
        """Side of the square input in px."""
        return self.config.size

    @property
    def label_names(self) -> tuple[str, ...]:
        """Labels of the classifier, in the order of :meth:`predict`."""
        return self.config.label_names

    @property
    def code_length(self) -> int:
        """Number of values of a code."""
        return self.config.code_length

    @property
    def device(self) -> str:
        """Where the network is: ``"cpu"`` or ``"cuda"``."""
        return self._device.type

    @property
    def trained(self) -> bool:
        """Whether the weights come from a training, and not from a seed."""
        return bool(self.record.get("trained", True))

    @cached_property
    def fingerprint(self) -> str:
        """Hex sha256 over the config and every tensor; equal fingerprints give equal codes on one machine."""
        return encoder_files.fingerprint(self.config.deciding(), self.tensors())

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights by name, on the processor, contiguous."""
        return {key: value.detach().cpu().contiguous() for key, value in self._module.state_dict().items()}

    def resized(self, size: int) -> Encoder:
        """The same weights for inputs of another size; they are shared, not copied."""
        config = EncoderConfig(self.name, size, self.label_names, self.config.n_bits, self.config.options)
        return Encoder(self._module, config, device=self.device, record=self.record)

    def prepare(self, film: Float32Array) -> Float32Array:
        """Resize a film to the input of the network; see :func:`prepare_film`."""
        return prepare_film(film, self.size)

    def encode(self, images: Float32Array, *, precision: Precision = "float32", batch_size: int = 64) -> Float32Array:
        """Compute codes.

        Parameters
        ----------
        images
            float32 (b, size, size) of :meth:`prepare`.
        precision
            ``"float32"``, or ``"bfloat16"``: faster on recent hardware, codes differ in the third digit.
        batch_size
            Images that go through the network at once, at most; only memory and time depend on it (codes to 1e-5).
            A processor, in float32, is given fewer at once, in as many threads as torch has in the caller's thread.

        Returns
        -------
        ndarray
            float32 (b, code_length), as they leave the network: not scaled to length one.

        Raises
        ------
        InvalidParameterError
            Images of another shape or dtype, or an unknown precision.
        """
        return self._apply("features", images, self.code_length, precision, batch_size)

    def predict(self, images: Float32Array, *, precision: Precision = "float32", batch_size: int = 64) -> Float32Array:
        """Compute the probability of every label, float32 (b, L) in [0, 1]; parameters as in :meth:`encode`."""
        logits = self._apply("forward", images, len(self.label_names), precision, batch_size)
        # exp may overflow to infinity for a very small logit; the probability is then exactly 0.
        with np.errstate(over="ignore"):
            return (1.0 / (1.0 + np.exp(-logits.astype(np.float64)))).astype(np.float32)

    def _apply(
        self, method: str, images: Float32Array, n_outputs: int, precision: str, batch_size: int
    ) -> Float32Array:
        import torch

        check_integer("batch_size", batch_size, 1)
        if precision not in {"float32", "bfloat16"}:
            raise UnknownNameError("precision", precision, ["float32", "bfloat16"])
        array = np.asarray(images)
        if array.ndim != 3 or array.shape[1:] != (self.size, self.size) or array.dtype != np.float32:
            raise InvalidParameterError(
                "images",
                f"{array.dtype} {array.shape}",
                f"float32 (b, {self.size}, {self.size})",
                "encoder.prepare(film) makes one image of a film",
            )
        out = np.empty((len(array), n_outputs), dtype=np.float32)
        on_processor = self.device == "cpu" and precision == "float32"
        function = getattr(self._for_inference if on_processor else self._module, method)

        def fill(rows: slice) -> None:
            block = torch.from_numpy(np.ascontiguousarray(array[rows])[:, None])
            block = block.to(self._device).contiguous(memory_format=torch.channels_last)
            out[rows] = function(block).float().cpu().numpy()

        with torch.inference_mode(), _arithmetic(self._device, precision):
            if on_processor:
                from graphret.encoders.workers import share_rows

                share_rows(fill, len(array), min(batch_size, max(1, PIXELS_AT_ONCE // self.size**2)))
            else:
                for start in range(0, len(array), batch_size):
                    fill(slice(start, start + batch_size))
        return out

    @cached_property
    def _for_inference(self) -> InferenceNetwork:
        network: InferenceNetwork = self._module.for_inference()
        return network


def prepare_film(film: Float32Array, size: int) -> Float32Array:
    """Resize a film to a square with an antialiased bilinear filter.

    The whole film is kept and its sides are scaled apart, as P1 does it: nothing at the border is lost.

    Parameters
    ----------
    film
        Floating (h, w) in [0, 1], larger = brighter as displayed.
    size
        Side of the result in px.

    Returns
    -------
    ndarray
        float32 (size, size) in [0, 1].

    Raises
    ------
    InvalidParameterError
        Not a floating (h, w) array with finite values in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> prepare_film(np.full((3, 6), 0.25, dtype=np.float32), 2)
    array([[0.25, 0.25],
           [0.25, 0.25]], dtype=float32)
    """
    array = np.asarray(film)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind != "f":
        raise InvalidParameterError("film", f"{array.dtype} {array.shape}", "float32 (h, w)", "read_film gives one")
    # Written so that NaN fails too; the margin allows for rounding in what made the film.
    if not (array.min() >= -1e-4 and array.max() <= 1 + 1e-4):
        raise InvalidParameterError(
            "film",
            f"values from {array.min():g} to {array.max():g}",
            "finite values in [0, 1]",
            "divide by the maximum",
        )
    image = Image.fromarray(np.ascontiguousarray(array, dtype=np.float32))
    resized = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)
    return np.clip(resized, 0.0, 1.0)


@contextmanager
def _arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Full float32 convolutions (no TF32, so that a GPU gives the codes of a processor), or bfloat16 ones."""
    import torch

    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with flags, torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        yield
