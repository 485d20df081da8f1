"""The dataset spec that a table was read by, kept with the table: a name may come to mean another spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphret._errors import GraphretError
from graphret.data.cards import DatasetSpec, read_dataset_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SpecOrigin"]


@dataclass(frozen=True)
class SpecOrigin:
    """A dataset spec, and what the caller named it by.

    Parameters
    ----------
    spec
        The dataset spec itself.
    given
        Its name, if it comes with graphret; the absolute path of its file; "" for a `DatasetSpec` made in Python.
    """

    spec: DatasetSpec
    given: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; `from_json` reads it."""
        return {"given": self.given, "sha256": self.spec.sha256, "content": self.spec.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SpecOrigin:
        """Read what `to_json` made.

        Raises
        ------
        ValueError
            The content does not have the hash that was stored with it.
        DatasetSpecError
            The content is no dataset spec.

        Examples
        --------
        >>> origin = SpecOrigin(read_dataset_spec("nih"), "nih")
        >>> SpecOrigin.from_json(origin.to_json()) == origin
        True
        """
        spec = DatasetSpec.from_json(values["content"])
        if spec.sha256 != values["sha256"]:
            raise ValueError(f"the stored dataset spec {spec.name!r} does not have its sha256 {values['sha256']}")
        return cls(spec, str(values["given"]))

    @property
    def changed(self) -> str:
        """A sentence if the name or the file holds another dataset spec by now, or none; "" if it is the same."""
        if not self.given:
            return ""
        try:
            found = read_dataset_spec(self.given)
        except (GraphretError, OSError):
            how = "cannot be read any more"
        else:
            if found.sha256 == self.spec.sha256:
                return ""
            how = "has changed since"
        return f"the dataset spec {self.given} {how}: the one that the films were read by is used, from the index"
