"""What is needed, beside the weights, to make an encoder again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphret._checks import check_integer
from graphret._errors import EncoderError, InvalidParameterError
from graphret.encoders.registry.create import create, encoder_spec
from graphret.encoders.registry.spec import MINIMUM_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from pathlib import Path

    from graphret.encoders.networks.network import EncoderNetwork

__all__ = ["EncoderConfig"]


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
        Length of the code of a hash encoder; ``None`` for its default.
    options
        Options of the encoder; those not given have their defaults. ``channels`` is among them where it is 3.
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
        object.__setattr__(self, "n_bits", spec.check_bits(self.n_bits))
        object.__setattr__(self, "size", int(self.size))
        object.__setattr__(self, "label_names", names)
        object.__setattr__(self, "options", spec.check_options(self.options))

    @property
    def code_length(self) -> int:
        """Number of values of a code."""
        return encoder_spec(self.name).length(self.n_bits, self.options)

    @property
    def reads_colour(self) -> bool:
        """Whether the network takes films of three channels."""
        return "channels" in self.options

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
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise EncoderError(f"encoder {source}: {error} (use the graphret that wrote it)") from error

    def deciding(self) -> dict[str, Any]:
        """The config without options that have their default, so that an option added later changes no fingerprint."""
        defaults = encoder_spec(self.name).options
        options = {key: value for key, value in self.options.items() if key not in defaults or value != defaults[key]}
        return {**self.to_json(), "options": options}

    def create(self, weights: str | PathLike[str] | None = None) -> EncoderNetwork:
        """Make the network; see :func:`graphret.encoders.create`."""
        return create(
            self.name, n_labels=len(self.label_names), n_bits=self.n_bits, weights=weights, **dict(self.options)
        )
