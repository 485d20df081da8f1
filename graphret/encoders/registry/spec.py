"""What the registry knows of an encoder without importing torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from graphret._checks import check_integer
from graphret._errors import InvalidParameterError
from graphret._fidelity import FORMULA
from graphret._registry import check_options
from graphret.encoders.networks.backbone_names import backbone_channels

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MINIMUM_SIZE", "EncoderSpec"]

MINIMUM_SIZE = 32
"""Smallest side of an input in px: the backbones halve it five times."""


@dataclass(frozen=True)
class EncoderSpec:
    """One encoder of the registry: where its model file is, and what the model promises.

    Parameters
    ----------
    name
        Registry name.
    kind
        ``"dense"``: real-valued codes compared by cosine. ``"hash"``: ``n_bits`` real-valued outputs whose signs are
        the code.
    module, factory
        Model file and the class in it. ``factory(n_labels=..., [n_bits=...,] **options)`` gives a ``torch.nn.Module``
        with ``forward(images) -> logits`` and ``features(images) -> codes``.
    code_length
        Length of a code with the default options; ``None`` for a hash encoder, whose codes have ``n_bits`` values.
    default_size
        Side of the square input in px that the paper used.
    paper
        The source of the model.
    fidelity
        How close the code is to its source: one of `graphret._fidelity.FIDELITIES`. The docstring of the code says
        what departs.
    formula_options
        Option values, any of which makes an encoder of a lesser ``fidelity`` the formula of its paper.
    changing_options
        Options that make the formula another one where they do not have their default.
    options
        Keyword options of the factory and their defaults.
    non_negative
        No value of a code is ever below zero, with the default options.
    pretrained
        Kinds of weights beside a path: ``"imagenet"``, ``"txrv"``.
    classifies
        The network has a classifier, so that it predicts labels and has an AUC.
    objective
        Name of what its training minimises, see :func:`graphret.encoders.objectives.list_objectives`.
    recipe
        Parameters of a training that its paper sets otherwise than Haq et al. 2021, by their names in ``TrainConfig``.
    default_bits
        Bits of a hash encoder when no number is asked for.
    colour
        The network takes films of three channels too: the option ``channels=3``, which is no option of the factory.
    builds_channels
        But this factory takes ``channels``, because its first layer has another shape for colours.
    from_tensors
        Module with a function ``for_inference(tensors, **options)`` that makes the network's form for a processor of
        its weights alone, without the libraries of ``module``; "" where there is none.
    length_option
        Option that decides the length of a code: a number, or the name of a backbone whose channels it is.
    length_factor
        Times which that is the length.
    kept_option
        Option with a number of values that are kept of a code; 0 for all. "" where there is none.

    Examples
    --------
    >>> from graphret.encoders import encoder_spec
    >>> encoder_spec("densenet121").code_length
    1024
    """

    name: str
    kind: Literal["dense", "hash"]
    module: str
    factory: str
    code_length: int | None
    default_size: int
    paper: str
    fidelity: str = FORMULA
    formula_options: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: MappingProxyType({}))
    changing_options: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    non_negative: bool = False
    pretrained: tuple[str, ...] = ()
    classifies: bool = True
    objective: str = "classification"
    recipe: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    default_bits: int | None = None
    length_option: str | None = None
    length_factor: int = 1
    kept_option: str = ""
    colour: bool = False
    builds_channels: bool = False
    from_tensors: str = ""

    def length(self, n_bits: int | None, options: Mapping[str, Any]) -> int:
        """Length of a code with these bits, of a hash encoder, and these options (:meth:`check_options`).

        Examples
        --------
        >>> from graphret.encoders import encoder_spec
        >>> encoder_spec("gem").length(None, {"backbone": "resnet50"})
        2048
        """
        if self.code_length is None:
            return int(n_bits)  # type: ignore[arg-type]
        if options.get(self.kept_option):
            return int(options[self.kept_option])
        if self.length_option is None:
            return self.code_length
        value = options[self.length_option]
        return self.length_factor * (backbone_channels(value) if isinstance(value, str) else int(value))

    def fidelity_with(self, options: Mapping[str, Any]) -> str:
        """How close the code is to its source with these options; those that are not given have their defaults.

        Examples
        --------
        >>> from graphret.encoders import encoder_spec
        >>> encoder_spec("spoc").fidelity_with({}), encoder_spec("spoc").fidelity_with({"whitening": "archive"})
        ('changed formula', 'formula of the paper')
        """
        if any(options.get(name, self.options[name]) != self.options[name] for name in self.changing_options):
            return "changed formula"
        met = any(options.get(name) in values for name, values in self.formula_options.items())
        return FORMULA if met else self.fidelity

    def check_bits(self, n_bits: int | None) -> int | None:
        """Return ``n_bits``, or ``default_bits`` for ``None``, if it suits the kind of the encoder; or say why not."""
        if self.kind == "dense":
            if n_bits is not None:
                raise InvalidParameterError(
                    "n_bits",
                    n_bits,
                    "None",
                    f"{self.name!r} is a dense encoder with codes of {self.code_length} values",
                )
            return None
        bits = self.default_bits if n_bits is None else n_bits
        return check_integer("n_bits", bits, 1, f"{self.name!r} is a hash encoder")

    def options_for(self, weights: object, options: Mapping[str, Any]) -> dict[str, Any]:
        """:meth:`check_options`, with the pixels that pretrained weights were trained on unless others are given."""
        if "txrv" in self.pretrained and str(weights).startswith("txrv:"):
            options = {"pixels": "xrayvision", **options}
        return self.check_options(options)

    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return every option of the factory: those given over the defaults; and ``channels`` where it is 3.

        ``channels=1``, grey films, is what every encoder reads: it is left out, so that it changes nothing.

        Raises
        ------
        UnknownNameError
            An option that the factory does not have.
        InvalidParameterError
            The encoder has no options at all, or reads no colours and is asked to.
        """
        given = dict(options)
        channels = given.pop("channels", 1)
        colours = self.colour and given.get("pixels") != "xrayvision"
        if isinstance(channels, bool) or channels not in ((1, 3) if colours else (1,)):
            allowed = "1 for grey films, or 3 for colours" if colours else "1: it reads grey films only"
            raise InvalidParameterError("channels", channels, allowed, f"encoder {self.name!r}")
        found = check_options(f"encoder {self.name!r}", given, self.options)
        return found if channels == 1 else {**found, "channels": 3}
