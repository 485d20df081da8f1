"""Figures that papers have published: read from `data_specs/published`, and never taken for measurements of ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphret._errors import ExperimentError, UnknownNameError
from graphret.comparison.experiment_file import fill_toml, read_toml
from graphret.comparison.films import ALL_VIEWS
from graphret.data import read_dataset_spec
from graphret.data.cards import specs_folder

if TYPE_CHECKING:
    from pathlib import Path

    from graphret.comparison.films import ComparedFilms

__all__ = [
    "OTHER_IMAGES",
    "PublishedFigure",
    "PublishedTable",
    "list_published",
    "published_folder",
    "read_published",
    "why_other_images",
]

OTHER_IMAGES = "published, other images"
"""What stands over every published figure, unless the films are those of the paper."""


@dataclass(frozen=True)
class PublishedFigure:
    """One figure of a table.

    Parameters
    ----------
    name
        The paper's name of the method.
    measure
        As `list_measures` where it is one of those, otherwise in words.
    value
        As printed, percentages as shares.
    method
        Label of the method of the template that it stands beside; "" for a method that graphret does not have.
    bits
        Length of the code; 0 where the paper gives none.
    spec, size
        Dataset spec of the films and side of the input in px, where the table has several; "" and 0 where not.
    ranking
        Of the row that it stands beside; "" for the first of the method.
    """

    name: str
    measure: str
    value: float
    method: str = ""
    bits: int = 0
    spec: str = ""
    size: int = 0
    ranking: str = ""


@dataclass(frozen=True)
class PublishedTable:
    """One table of a paper.

    Parameters
    ----------
    name
        Of the file, as "cai2019-table1".
    table, paper
        As "Cai et al. 2019, Table 1", and who published it.
    specs
        Dataset specs of the paper's own films; empty where no dataset spec stands for them.
    setting
        Which films were searched, by whom asked.
    notes
        What is unclear in the paper, and how it was read.
    figures
        See `PublishedFigure`.
    """

    name: str
    table: str
    paper: str
    specs: tuple[str, ...] = ()
    setting: str = ""
    notes: str = ""
    figures: tuple[PublishedFigure, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.figures:
            raise ExperimentError("figures = () is not allowed: give at least one figure")

    def to_dict(self, spec: str, size: int, other_images: str) -> dict[str, Any]:
        """Return the figures as plain data for films of ``spec`` at ``size``.

        ``other_images`` is why they are of other images, "" if they are not. A figure of another dataset spec or size
        than these keeps its place in the paper's table, but stands beside no method.
        """
        figures = []
        for figure in self.figures:
            suits = figure.spec in {"", spec} and figure.size in {0, size}
            where = ", ".join(
                [*([figure.spec] if figure.spec else []), *([f"{figure.size} px"] if figure.size else [])]
            )
            name = f"{figure.name} ({where})" if where else figure.name
            figures.append({**vars(figure), "name": name, "method": figure.method if suits else ""})
        kept = ("name", "table", "paper", "setting", "notes")
        return {**{name: getattr(self, name) for name in kept}, "other_images": other_images, "figures": figures}


def published_folder() -> Path:
    """Folder of the published figures that come with graphret."""
    return specs_folder() / "published"


def list_published() -> list[str]:
    """Names of the tables of published figures, sorted.

    Examples
    --------
    >>> "cai2019-table1" in list_published()
    True
    """
    return sorted(path.stem for path in published_folder().glob("*.toml"))


def read_published(name: str) -> PublishedTable:
    """Read a table of published figures.

    Raises
    ------
    UnknownNameError
        There is no such table.
    ExperimentError
        The file is not as `PublishedTable` says.

    Examples
    --------
    >>> read_published("cai2019-table1").table
    'Cai et al. 2019, Table 1'
    """
    if name not in list_published():
        raise UnknownNameError("published", name, list_published())
    path = published_folder() / f"{name}.toml"
    return fill_toml(PublishedTable, read_toml(path), str(path))


def why_other_images(table: PublishedTable, films: ComparedFilms) -> str:
    """Say why published figures are of other images than the films of a comparison; "" when they are the same.

    They are the same only if the dataset spec is one of the paper's, nothing of it was left out, and the counts of the
    spec's [facts] hold for the films that were read (a spec may keep fewer views than the paper: `DataSettings.views`).
    """
    spec = films.table.spec
    if spec not in table.specs:
        return (
            f"the films are those of {spec!r}, the paper's are {', '.join(map(repr, table.specs)) or 'not in a spec'}"
        )
    if not films.whole_spec:
        return "not all films of the data set were used"
    facts = read_dataset_spec(spec).facts
    if not facts.films:
        return f"the dataset spec {spec!r} states no counts to check the films against"
    own = films.table
    counts: list[tuple[str, int, int]] = [("films", facts.films, len(own))]
    if facts.patients:
        counts.append(("patients", facts.patients, len(set(own.patients.tolist()))))
    counts += [
        (f"films of view {view}", number, int((own.views == view).sum())) for view, number in facts.views.items()
    ]
    for word, value, numbers in (("positive", 1, facts.positive), ("uncertain", -1, facts.uncertain)):
        for label, number in numbers.items():
            found = -1
            if label in own.label_names:
                found = int((own.labels[:, own.label_names.index(label)] == value).sum())
            counts.append((f"{word} films of {label}", number, found))
    wrong = [f"{found} {what}, the dataset spec says {number}" for what, number, found in counts if found != number]
    if not wrong:
        return ""
    kept = read_dataset_spec(spec).views
    if kept and set(own.views.tolist()) <= set(kept):
        return f"{wrong[0]} (only the views {', '.join(kept)} are kept; data.views = [{ALL_VIEWS!r}] keeps all)"
    return wrong[0]
