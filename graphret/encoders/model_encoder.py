"""A model of the user's own as an encoder: a module of torch, or any function that gives codes."""

from __future__ import annotations

import hashlib
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._checks import as_array, check_integer, check_number
from graphret._errors import EncoderError, InvalidParameterError
from graphret.encoders import encoder_files
from graphret.encoders.inference.device import arithmetic, choose_device
from graphret.encoders.inference.resize import prepare_film

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from graphret._types import Float32Array
    from graphret.encoders.inference.workers import Begun

__all__ = ["ModelEncoder"]

logger = logging.getLogger(__name__)

_PROBES = 3
_CLOSE = 1e-3


class ModelEncoder:
    """Make an encoder of a model of your own: a ``torch.nn.Module``, or a function of numpy arrays.

    The model is given films as float32 (b, channels, size, size), each scaled to the square as for all encoders, and
    must return codes, floating (b, d). It is tried at once on three generated pictures. An index does not hold the
    model: it is asked by code or id, or with films where the same encoder is given to ``graphret.open``.

    Parameters
    ----------
    model
        A module gets tensors on its device, without gradients; it is moved there and set to evaluation mode. Any other
        callable gets numpy arrays.
    size
        Side of the square input in px, >= 1.
    pixels
        Values of black and white that the model was trained on, as ``(0, 1)``, ``(0, 255)`` or ``(-1024, 1024)``. There
        is no default: a wrong range gives wrong codes in silence.
    channels
        1, or 3 equal ones.
    name
        Shown in messages and stored in the index; the name of the class or function when not given.
    fingerprint
        Says which model it is, for instance a version or a sha256; another fingerprint is another encoder. Not given,
        it is computed of the weights and the printed form of a module. Code that has changed is not seen then.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``, for a module.

    Raises
    ------
    InvalidParameterError
        No callable, a wrong parameter, or no fingerprint for something that has no weights.
    EncoderError
        The model fails, returns no finite floating (b, d), or gives a film another code in a batch than alone.

    Examples
    --------
    >>> def four_means(images):
    ...     return images.reshape(len(images), 4, -1).mean(axis=2)
    >>> encoder = ModelEncoder(four_means, size=32, pixels=(0, 1), fingerprint="four_means 1")
    >>> encoder.name, encoder.code_length
    ('four_means', 4)
    """

    kind = "dense"
    label_names: tuple[str, ...] = ()
    kept_in_index = False
    """The index holds name and fingerprint, not the model."""
    only_resizes = True
    """As of `Encoder`."""

    def __init__(
        self,
        model: Callable[[Any], Any],
        *,
        size: int,
        pixels: tuple[float, float],
        channels: int = 1,
        name: str | None = None,
        fingerprint: str | None = None,
        device: str = "auto",
    ) -> None:
        if not callable(model) or isinstance(model, type):
            raise InvalidParameterError("model", model, "a torch.nn.Module, or a function of arrays (b, c, h, w)")
        self.size = check_integer("size", size, 1)
        self.pixels = _check_pixels(pixels)
        if isinstance(channels, bool) or channels not in (1, 3):
            raise InvalidParameterError("channels", channels, "1, or 3 for three equal ones")
        self.channels = int(channels)
        for text, given in (("name", name), ("fingerprint", fingerprint)):
            if given is not None and (not isinstance(given, str) or not given.strip()):
                raise InvalidParameterError(text, given, "a text that is not empty, or nothing")
        self._model: Any = model
        self._is_module = _is_module(model)
        self.name = name or str(getattr(model, "__name__", type(model).__name__))
        chosen = choose_device(device) if self._is_module else None
        self.device = "cpu" if chosen is None else chosen.type
        if chosen is not None:
            module: Any = model
            module.eval().to(chosen)
        self.fingerprint = self._fingerprint(fingerprint)
        self.code_length = 0
        self.code_length = self._try()

    def __repr__(self) -> str:
        low, high = self.pixels
        return f"ModelEncoder({self.name!r}, size={self.size}, pixels=({low:g}, {high:g}), codes of {self.code_length})"

    def save(self, folder: Any) -> None:
        """Refuse: only its owner can save a model that graphret did not make."""
        raise EncoderError(
            f"{self.name} is a model of your own, which graphret cannot save in {folder}: keep it yourself"
        )

    def prepare(self, film: NDArray[Any]) -> Float32Array:
        """Resize a film, or its stored pixels, to float32 (size, size) in [0, 1]; see :func:`prepare_film`."""
        return prepare_film(film, self.size)

    def encode(self, images: Float32Array, *, precision: str = "float32", batch_size: int = 64) -> Float32Array:
        """Compute codes, float32 (b, code_length).

        Parameters
        ----------
        images
            float32 (b, size, size) of :meth:`prepare`.
        precision
            ``"float32"``, or for a module ``"bfloat16"``.
        batch_size
            Images that the model is given at once, at most.

        Raises
        ------
        InvalidParameterError
            Images of another shape, or an unknown precision.
        EncoderError
            The model fails, or returns something else than floating (b, code_length).
        """
        if images.ndim != 3 or images.shape[1:] != (self.size, self.size):
            raise InvalidParameterError("images", images.shape, f"float32 (b, {self.size}, {self.size})")
        allowed = ("float32", "bfloat16") if self._is_module else ("float32",)
        if precision not in allowed:
            raise InvalidParameterError("precision", precision, " or ".join(map(repr, allowed)))
        step = check_integer("batch_size", batch_size, 1)
        parts = [self._codes_of(images[first : first + step], precision) for first in range(0, len(images), step)]
        return np.concatenate(parts) if parts else np.empty((0, self.code_length), np.float32)

    @contextmanager
    def encoding(
        self, *, precision: str = "float32", batch_size: int = 64
    ) -> Iterator[Callable[[Float32Array], Begun]]:
        """Give a function that encodes a batch; ``result()`` of what it returns has the codes."""
        from graphret.encoders.inference.workers import Begun

        yield lambda images: Begun(self.encode(images, precision=precision, batch_size=batch_size), [])

    def position_features(self, images: Float32Array) -> None:
        """Return None: what a model has at every position is not known."""

    def saliency(self, images: Float32Array, *, batch_size: int = 16) -> Float32Array:  # noqa: ARG002
        """Refuse: where a model looks is not known."""
        raise EncoderError(f"{self.name} is a model of your own: it draws no saliency")

    def _fingerprint(self, given: str | None) -> str:
        about = {"model": self.name, "size": self.size, "pixels": list(self.pixels), "channels": self.channels}
        if given is not None:
            return hashlib.sha256(f"{sorted(about.items())} {given}".encode()).hexdigest()
        tensors = _weights(self._model) if self._is_module else None
        if not tensors:
            allowed = "a text that says which model it is, as 'my_model 3'"
            raise InvalidParameterError("fingerprint", None, allowed, f"{self.name} has no weights to compute it of")
        return encoder_files.fingerprint({**about, "form": repr(self._model)}, tensors)

    def _try(self) -> int:
        """Encode generated pictures, in a batch and alone; return the length of the codes."""
        shape = (_PROBES, self.size, self.size)
        images = np.random.default_rng(0).random(shape, dtype=np.float32)
        images[1] = np.linspace(0, 1, self.size, dtype=np.float32)
        together = self._codes_of(images, "float32")
        alone = np.concatenate([self._codes_of(image[None], "float32") for image in images])
        if not (np.isfinite(together).all() and np.isfinite(alone).all()):
            raise EncoderError(
                f"{self.name} gives NaN or infinity for pixels in {list(self.pixels)}: "
                "give it the range of its training"
            )
        if alone.shape != together.shape or np.abs(alone - together).max() > _CLOSE * np.abs(together).max():
            raise EncoderError(
                f"{self.name} gives a film another code in a batch than alone: codes must depend on the film only (no "
                "dropout, no statistics of the batch, nothing random)"
            )
        if (together == together[0]).all():
            logger.warning("%s gives three different pictures the same code: see that its range is right", self.name)
        logger.info("%s gets pixels in [%g, %g], float32 (b, %d, %d, %d)", self.name, *self.pixels, self.channels,
                    self.size, self.size)  # fmt: skip
        return int(together.shape[1])

    def _codes_of(self, images: Float32Array, precision: str) -> Float32Array:
        low, high = self.pixels
        scaled = images if (low, high) == (0, 1) else images * np.float32(high - low) + np.float32(low)
        batch = np.repeat(scaled[:, None], self.channels, axis=1).astype(np.float32, copy=False)
        try:
            found = self._run_module(batch, precision) if self._is_module else self._model(batch)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise EncoderError(f"{self.name} failed on float32 {batch.shape}: {reason}") from error
        codes = as_array(f"codes of {self.name}", found) if hasattr(found, "__array__") else np.empty(0, object)
        wanted = f"(b, {self.code_length})" if self.code_length else "(b, d)"
        fits = codes.ndim == 2 and len(codes) == len(images) and codes.shape[1] >= 1 and codes.dtype.kind == "f"
        if not fits or (self.code_length and codes.shape[1] != self.code_length):
            shown = f"{codes.dtype} {codes.shape}" if hasattr(found, "__array__") else type(found).__name__
            raise EncoderError(
                f"{self.name} returned {shown} for {len(images)} films: it must return one floating array {wanted}, "
                "a row for each film"
            )
        return np.ascontiguousarray(codes, dtype=np.float32)

    def _run_module(self, batch: Float32Array, precision: str) -> Any:
        import torch

        device = torch.device(self.device)
        with torch.inference_mode(), arithmetic(device, precision):
            return self._model(torch.from_numpy(batch).to(device))


def _check_pixels(pixels: Any) -> tuple[float, float]:
    if not isinstance(pixels, tuple | list) or len(pixels) != 2:
        raise InvalidParameterError("pixels", pixels, "two numbers, those of black and white: (0, 1), (0, 255), ...")
    low = check_number("pixels", pixels[0])
    return low, check_number("pixels", pixels[1], above=low, hint="white is larger than black")


def _is_module(model: Any) -> bool:
    import sys

    torch = sys.modules.get("torch")  # who has a module has imported torch
    return torch is not None and isinstance(model, torch.nn.Module)


def _weights(model: Any) -> dict[str, Any] | None:
    """Tensors by name, on the processor; None where the state holds something else."""
    found = {}
    for key, value in model.state_dict().items():
        if not hasattr(value, "detach") or value.is_quantized:
            return None
        tensor = value.detach().cpu().contiguous()
        found[key] = tensor.float() if "bfloat16" in str(tensor.dtype) else tensor
    return found
