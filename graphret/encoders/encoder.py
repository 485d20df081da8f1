"""A network, the labels it knows and the size of its input: everything that turns a film into a code."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graphret._checks import check_integer
from graphret._errors import EncoderError
from graphret.encoders import encoder_files
from graphret.encoders.encoder_config import EncoderConfig
from graphret.encoders.inference.colours import prepare_colours
from graphret.encoders.inference.device import choose_device
from graphret.encoders.inference.forward import Forward
from graphret.encoders.inference.resize import prepare_film
from graphret.encoders.own_network import OwnNetwork, StoredNetwork
from graphret.encoders.registry.create import encoder_spec, list_encoders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from os import PathLike

    import torch
    from numpy.typing import NDArray

    from graphret._types import Float32Array
    from graphret.encoders.inference.device_batches import BegunOnDevice
    from graphret.encoders.inference.workers import Begun
    from graphret.encoders.networks.network import EncoderNetwork

__all__ = ["Encoder", "Precision"]

Precision = Literal["float32", "bfloat16"]


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

    only_resizes = True
    """`prepare` is `prepare_film` to ``size``, so another process may do it."""

    def __init__(
        self,
        module: EncoderNetwork,
        config: EncoderConfig,
        *,
        device: str = "auto",
        record: Mapping[str, Any] | None = None,
    ) -> None:
        self._own(OwnNetwork(module, choose_device(device)), config, record)

    def _own(
        self, network: OwnNetwork | StoredNetwork, config: EncoderConfig, record: Mapping[str, Any] | None
    ) -> None:
        self.config, self.record = config, dict(record or {})
        self._network = network

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
    def load(
        cls, folder: str | PathLike[str], *, device: str = "auto", stored: Mapping[str, bytes] | None = None
    ) -> Encoder:
        """Open an encoder that :meth:`save` or a training wrote.

        ``stored`` holds its files by name where they were read already; the folder is then only named in messages.

        Raises
        ------
        MissingFileError
            The folder holds no encoder.
        EncoderError
            A file is damaged: its sha256 is not the one of ``encoder.json``.
        """
        folder = Path(folder)
        document, tensors = encoder_files.read_encoder(folder, stored)
        config = EncoderConfig.from_json(document["config"], folder / "encoder.json")
        encoder = cls.__new__(cls)
        encoder._own(StoredNetwork(config, tensors, choose_device(device), folder), config, document["record"])
        if encoder.fingerprint != document["fingerprint"]:
            raise EncoderError(
                f"damaged encoder: {folder / 'encoder.json'}: its config is not the one that it was saved with "
                "(restore it from a backup; another size is asked for when it is loaded)"
            )
        return encoder

    def __repr__(self) -> str:
        state = "trained" if self.trained else "untrained"
        return f"Encoder({self.name!r}, size={self.size}, {len(self.label_names)} labels, {state}, {self.device})"

    def save(self, folder: str | PathLike[str]) -> None:
        """Write ``encoder.safetensors``, ``encoder.json`` and ``MODEL_CARD.md``, each replaced in one step."""
        about = {
            "config": self.config.to_json(),
            "code_length": self.code_length,
            "fingerprint": self.fingerprint,
            "record": self.record,
        }
        encoder_files.write_encoder(Path(folder), self.tensors(), about)

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
    def kind(self) -> Literal["dense", "hash"]:
        """``"dense"``: codes are compared by cosine. ``"hash"``: their signs are bits, compared by Hamming distance."""
        return encoder_spec(self.name).kind

    @property
    def code_length(self) -> int:
        """Number of values of a code."""
        return self.config.code_length

    @property
    def reads_colour(self) -> bool:
        """Whether images are float32 (b, 3, size, size), of the option ``channels=3``, and not (b, size, size)."""
        return self.config.reads_colour

    @property
    def device(self) -> str:
        """Where the network is: ``"cpu"`` or ``"cuda"``."""
        return self._network.device.type

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
        return self._network.tensors()

    def resized(self, size: int) -> Encoder:
        """The same weights for inputs of another size; they are shared, not copied."""
        config = EncoderConfig(self.name, size, self.label_names, self.config.n_bits, self.config.options)
        resized = Encoder.__new__(Encoder)
        resized._own(self._network, config, self.record)
        return resized

    def prepare(self, film: NDArray[Any]) -> Float32Array:
        """Resize a film, or its stored pixels, to the input of the network; see :func:`prepare_film`.

        (size, size), or (3, size, size) of an encoder that reads colours.
        """
        return prepare_colours(film, self.size) if self.reads_colour else prepare_film(film, self.size)

    def encode(self, images: Float32Array, *, precision: Precision = "float32", batch_size: int = 64) -> Float32Array:
        """Compute codes.

        Parameters
        ----------
        images
            float32 (b, size, size) of :meth:`prepare`; (b, 3, size, size) of an encoder that reads colours.
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
        return self._forward.apply("features", images, self.code_length, precision, batch_size)

    def bits(
        self, images: Float32Array, *, precision: Precision = "float32", batch_size: int = 64
    ) -> NDArray[np.uint8]:
        """Compute the packed bits of a hash encoder: bit j is 1 where value j of the code is >= 0 (sign(0) = +1).

        Parameters
        ----------
        images, precision, batch_size
            As in :meth:`encode`.

        Returns
        -------
        ndarray
            uint8 (b, ceil(code_length / 8)), as :func:`graphret.hashing.hamming_search` and Faiss read them: bit j is
            bit j % 8 of byte j // 8, the lowest first; the bits after the last are 0.

        Raises
        ------
        EncoderError
            The encoder is not a hash encoder.
        """
        if self.kind != "hash":
            raise EncoderError(
                f"{self.name!r} is a dense encoder, whose codes have no bits (hashers make bits of them)"
            )
        codes = self.encode(images, precision=precision, batch_size=batch_size)
        return np.packbits(codes >= 0, axis=1, bitorder="little")

    def saliency(self, images: Float32Array, *, batch_size: int = 16) -> Float32Array:
        """Compute where the network looks: float32 (b, size, size) in [0, 1], for networks with a spatial attention.

        Parameters
        ----------
        images, batch_size
            As in :meth:`encode`.

        Raises
        ------
        EncoderError
            The network draws no such map.
        """
        maps = self._forward.saliency(images, batch_size)
        if maps is None:
            raise EncoderError(
                f"{self.name!r} with the options {dict(self.config.options)} has no spatial attention, so it "
                "draws no saliency (attention_hash_pf0 to pf2 and fusion_hash do)"
            )
        return maps

    @property
    def draws_masks(self) -> bool:
        """Whether :meth:`segmentation` gives something."""
        return "mask_classes" in self.config.options and bool(self.config.options.get("fpn"))

    def segmentation(self, images: Float32Array, *, batch_size: int = 16) -> NDArray[np.uint8]:
        """Compute the class of every pixel: uint8 (b, size, size), 0 outside, for networks that draw masks.

        Parameters
        ----------
        images, batch_size
            As in :meth:`encode`.

        Raises
        ------
        EncoderError
            The network draws no masks.
        """
        maps = self._forward.segmentation(images, batch_size)
        if maps is None:
            raise EncoderError(
                f"{self.name!r} with the options {dict(self.config.options)} draws no masks (ynet with fpn=True does)"
            )
        return maps

    def position_features(self, images: Float32Array) -> Float32Array | None:
        """Compute what the network has at every position before it averages them to a code.

        Parameters
        ----------
        images
            As in :meth:`encode`; all go through the network at once.

        Returns
        -------
        ndarray or None
            float32 (b, code_length, h, w), whose mean over h and w is the code up to rounding; ``None`` for a network
            whose code is no such average.

        Raises
        ------
        InvalidParameterError
            Images of another shape or dtype.
        """
        return self._forward.position_features(images)

    def predict(self, images: Float32Array, *, precision: Precision = "float32", batch_size: int = 64) -> Float32Array:
        """Compute the probability of every label, float32 (b, L) in [0, 1]; parameters as in :meth:`encode`.

        Raises
        ------
        EncoderError
            The network has no classifier.
        """
        if not encoder_spec(self.name).classifies:
            raise EncoderError(
                f"{self.name!r} has no classifier, so it predicts no labels (encode and bits give codes; "
                f"these encoders have one: {', '.join(n for n in list_encoders() if encoder_spec(n).classifies)})"
            )
        logits = self._forward.apply("forward", images, len(self.label_names), precision, batch_size)
        # exp may overflow to infinity for a very small logit; the probability is then exactly 0.
        with np.errstate(over="ignore"):
            return (1.0 / (1.0 + np.exp(-logits.astype(np.float64)))).astype(np.float32)

    def encoding(
        self, *, precision: Precision = "float32", batch_size: int = 64
    ) -> AbstractContextManager[Callable[[Float32Array], Begun | BegunOnDevice]]:
        """Encode batch after batch without a wait between them.

        Gives a function that takes images and returns at once, and ``result()`` of what it returns waits for their
        codes, those of :meth:`encode`. A caller that begins a batch before it asks for the last one keeps every thread
        of a processor busy: the first to end its part of one batch goes on with the next. On a GPU copies of one batch
        and arithmetic of the other overlap. A processor works inside the call in bfloat16.

        Parameters
        ----------
        precision, batch_size
            As in :meth:`encode`.

        Examples
        --------
        >>> import numpy as np
        >>> encoder = Encoder.untrained("resnet18", ["Mass"], size=32, seed=0, device="cpu")
        >>> images = np.zeros((3, 32, 32), dtype=np.float32)
        >>> with encoder.encoding() as begin:
        ...     first, second = begin(images), begin(images[:2])
        ...     first.result().shape, second.result().shape
        ((3, 512), (2, 512))
        """
        return self._forward.beginning("features", self.code_length, precision, batch_size)

    def films_at_once(self, precision: Precision = "float32") -> int:
        """Images that a batch should have where nobody says it: 32 on a processor, which is given fewer at once.

        On a GPU a power of two up to 256 that fits in half of its free memory, by a trial at the first call.

        Examples
        --------
        >>> Encoder.untrained("resnet18", ["Mass"], size=32, seed=0, device="cpu").films_at_once()
        32
        """
        return self._forward.films_at_once("features", precision)

    @cached_property
    def _forward(self) -> Forward:
        return Forward(self._network, self.size, colour=self.reads_colour)
