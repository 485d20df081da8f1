"""Dataset specs: what a data set is called, where its files are, which labels are kept. Declarative TOML, no code.

The dataset specs that come with graphret are in ``data_specs/``; anyone's own dataset spec is a .toml file with the
same keys.
"""

from __future__ import annotations

import hashlib
import json
import re
import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from graphret._errors import DatasetSpecError, InvalidParameterError, MissingFileError, UnknownNameError
from graphret.data.other_readers import OTHER_READERS, READERS
from graphret.data.splits import check_fractions
from graphret.files import check_path, read_toml

__all__ = [
    "READERS",
    "UNCERTAIN_POLICIES",
    "CardColumns",
    "CardDicom",
    "CardFacts",
    "CardFiles",
    "CardSample",
    "CardSource",
    "CardSplits",
    "DatasetSpec",
    "list_dataset_specs",
    "read_dataset_spec",
    "specs_folder",
]

UNCERTAIN_POLICIES = ("positive", "negative")
FRAMES = ("refuse", "first", "middle", "each")
IDENTIFIERS = ("hash", "keep")
T = TypeVar("T")


@dataclass(frozen=True)
class CardFiles:
    """Where the files of a data set are, relative to its root.

    ``tables``: names of the label table, the first that exists is read (``.gz`` is tried as well). ``test_tables``:
    a second table whose films are the test split. ``images``: folders of the films, wildcards allowed.
    ``strip_prefixes``: what the table writes before a path and the disk may not have. ``suffix``: what the names of the
    films end with and the table may leave out, as ".png" (``csv`` reader). ``masks``: folders of the masks,
    see `masks.mask_column`. ``boxes``: names of a list of boxes, the first that exists is read (``nih`` reader).
    """

    tables: tuple[str, ...] = ()
    test_tables: tuple[str, ...] = ()
    images: tuple[str, ...] = (".",)
    strip_prefixes: tuple[str, ...] = ()
    suffix: str = ""
    masks: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CardSplits:
    """How films are split: official lists of film names where they exist, shares by patient for the rest."""

    train_list: str = ""
    test_list: str = ""
    fractions: tuple[float, ...] = (0.7, 0.1, 0.2)
    seed: int = 0


@dataclass(frozen=True)
class CardSample:
    """A fixed part of the films: at most so many of a label, and of a split; see `sample.sample_films`."""

    per_label: dict[str, int] = field(default_factory=dict)
    per_split: dict[str, int] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class CardColumns:
    """Columns of a table read by the ``csv`` reader; "" means the key's own name, where the table has it.

    ``labels`` is one column of names between ``separator``; without it every label of the dataset spec is a column of
    its own, with the values ``positive``, ``negative`` and ``uncertain``. A cell that is empty or says so (NaN, N/A,
    NA, None, null; see `_labels.MISSING`) is no finding, unless the dataset spec names it as a value or as a label.
    """

    id: str = ""
    path: str = ""
    labels: str = ""
    patient: str = ""
    view: str = ""
    split: str = ""
    separator: str = "|"
    positive: tuple[str, ...] = ("1", "1.0", "true", "True", "TRUE")
    negative: tuple[str, ...] = ("0", "0.0", "", "false", "False", "FALSE")
    uncertain: tuple[str, ...] = ("-1", "-1.0")


@dataclass(frozen=True)
class CardDicom:
    """How DICOM files become rows (``dicom`` reader); tags are named by the keywords of the standard.

    ``frames``: of a file with several, "refuse", "first", "middle" or "each". ``identifiers``: ids, patients and
    studies as salted hashes ("hash"), or as they are ("keep"); ``salt_file``: see `pseudonyms.salt_file`.
    ``modalities`` that are kept; empty keeps all. ``id`` ... ``date``: the tag of each column; "" leaves it out.
    ``labels``: a tag whose values are label names. ``join``: the tag whose value is the id (``columns.id``) in the
    table of labels (``files.tables``). ``tags``: further columns, name -> tag, as they are.
    """

    frames: str = "refuse"
    identifiers: str = "hash"
    salt_file: str = ""
    modalities: tuple[str, ...] = ()
    id: str = "SOPInstanceUID"
    patient: str = "PatientID"
    study: str = "StudyInstanceUID"
    view: str = "ViewPosition"
    sex: str = "PatientSex"
    age: str = "PatientAge"
    date: str = "StudyDate"
    labels: str = ""
    join: str = "AccessionNumber"
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CardSource:
    """Whose films these are, and what must be said when they are used."""

    license: str = ""
    attribution: str = ""
    citation: str = ""
    url: str = ""


@dataclass(frozen=True)
class CardFacts:
    """Published counts of the whole data set, against which a copy can be checked."""

    films: int = 0
    patients: int = 0
    views: dict[str, int] = field(default_factory=dict)
    positive: dict[str, int] = field(default_factory=dict)
    uncertain: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    Parameters
    ----------
    name, title
        Short and long name.
    reader
        One of `READERS`, or one that another package brings (entry point of the group ``graphret.readers``).
    labels
        Labels of the table, in order; empty: the reader finds them (class folders, names in the label column).
    consolidate
        Label -> labels of the archive that it stands for: positive if any of them is positive, else uncertain if
        any is uncertain, else negative. A label that is not a key stands for the archive's label of that name.
    uncertain
        What an uncertain label counts as when retrieval is evaluated: "positive" or "negative".
    views
        Views that are kept; empty keeps all.
    channels
        1: grey films. 3: films with colours; encoders of grey films read their luma, and say so.
    healthy
        The archive's word for a film without findings. It is a label of the table only if ``labels`` says so.
    allow_shared_patients
        The official split puts films of one patient on both sides, and that is accepted.
    patient_pattern
        Regular expression with one group, the patient, searched in a film's file name (``folder`` reader).
    files, columns, dicom, splits, sample, source, facts
        See their classes.
    paper, notes
        Where the choice of labels comes from, and what a user should know.

    Raises
    ------
    DatasetSpecError
        A value is not allowed.
    """

    name: str
    title: str
    reader: str
    labels: tuple[str, ...] = ()
    consolidate: dict[str, tuple[str, ...]] = field(default_factory=dict)
    uncertain: str = "positive"
    views: tuple[str, ...] = ()
    channels: int = 1
    healthy: str = ""
    allow_shared_patients: bool = False
    patient_pattern: str = ""
    files: CardFiles = field(default_factory=CardFiles)
    columns: CardColumns = field(default_factory=CardColumns)
    dicom: CardDicom = field(default_factory=CardDicom)
    splits: CardSplits = field(default_factory=CardSplits)
    sample: CardSample = field(default_factory=CardSample)
    source: CardSource = field(default_factory=CardSource)
    facts: CardFacts = field(default_factory=CardFacts)
    paper: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        known = self.reader in READERS or self.reader in OTHER_READERS
        self._require(known, "reader", self.reader, f"one of {', '.join([*READERS, *OTHER_READERS])}")
        policies = " or ".join(UNCERTAIN_POLICIES)
        self._require(self.uncertain in UNCERTAIN_POLICIES, "uncertain", self.uncertain, policies)
        self._require(self.channels in (1, 3), "channels", self.channels, "1 for grey films, or 3 for colours")
        self._require(len(set(self.labels)) == len(self.labels), "labels", self.labels, "every label once")
        for name, sources in self.consolidate.items():
            self._require(
                name in self.labels, "consolidate", name, f"a label of the dataset spec: {', '.join(self.labels)}"
            )
            self._require(bool(sources), f"consolidate.{name}", sources, "at least one label of the archive")
        for name in self.sample.per_label:
            self._require(
                name in self.labels, "sample.per_label", name, f"a label of the dataset spec: {', '.join(self.labels)}"
            )
        for name in self.sample.per_split:
            self._require(name in {"train", "test"}, "sample.per_split", name, "train (valid is taken from it) or test")
        self._require(bool(self.files.images), "files.images", self.files.images, 'at least one folder, as "."')
        boxes = self.files.boxes
        self._require(not boxes or self.reader == "nih", "files.boxes", boxes, "none for this reader, only for nih")
        suffix = self.files.suffix
        self._require(not suffix or self.reader == "csv", "files.suffix", suffix, "none for this reader, only for csv")
        self._require("/" not in suffix, "files.suffix", suffix, "the end of a file name")
        self._require(self.dicom.frames in FRAMES, "dicom.frames", self.dicom.frames, f"one of {', '.join(FRAMES)}")
        kinds = " or ".join(IDENTIFIERS)
        self._require(self.dicom.identifiers in IDENTIFIERS, "dicom.identifiers", self.dicom.identifiers, kinds)
        if self.patient_pattern:
            try:
                groups = re.compile(self.patient_pattern).groups
            except re.error as error:
                raise DatasetSpecError(
                    f"dataset spec {self.name!r}: patient_pattern {self.patient_pattern!r}: {error}"
                ) from error
            self._require(groups >= 1, "patient_pattern", self.patient_pattern, "a regular expression with one group")
        try:
            check_fractions(self.splits.fractions)
        except InvalidParameterError as error:
            raise DatasetSpecError(f"dataset spec {self.name!r}: splits.{error}") from error

    def _require(self, holds: bool, key: str, got: object, allowed: str) -> None:
        if not holds:
            raise DatasetSpecError(f"dataset spec {self.name!r}: {key} = {got!r} is not allowed: give {allowed}")

    def sources(self, label: str) -> tuple[str, ...]:
        """Return the archive's labels that a label of the dataset spec stands for."""
        return self.consolidate.get(label, (label,))

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, every key; ``dicom``, ``files.boxes`` and ``channels`` where they say anything."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.dicom == CardDicom():  # so that specs from before it keep their hash
            del content["dicom"]
        if not self.files.boxes:
            del content["files"]["boxes"]
        if self.channels == 1:
            del content["channels"]
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> DatasetSpec:
        """Read what `to_json` made.

        Raises
        ------
        DatasetSpecError
            An unknown key, or a value that is not allowed.

        Examples
        --------
        >>> spec = read_dataset_spec("nih-u")
        >>> DatasetSpec.from_json(spec.to_json()) == spec
        True
        """
        return _fill(cls, content, str(content.get("name", "")), "")

    @property
    def sha256(self) -> str:
        """Hash of all it says: equal dataset specs, and only they, have equal hashes."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def specs_folder() -> Path:
    """Folder of the dataset specs that come with graphret: in an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data_specs"
    return installed if installed.is_dir() else package.parent / "data_specs"


def list_dataset_specs() -> list[str]:
    """Return the names of the dataset specs that come with graphret, sorted.

    Examples
    --------
    >>> "phantom" in list_dataset_specs()
    True
    """
    return sorted(path.stem for path in specs_folder().glob("*.toml"))


def read_dataset_spec(name_or_path: str | Path) -> DatasetSpec:
    """Read a dataset spec by its name in `list_dataset_specs`, or by the path of a .toml file.

    Raises
    ------
    UnknownNameError
        There is no dataset spec of that name.
    MissingFileError
        There is no such file.
    DatasetSpecError
        The file is not TOML, has an unknown key, lacks one, or holds a value that is not allowed.

    Examples
    --------
    >>> read_dataset_spec("nih-u").sources("Lesion")
    ('Nodule', 'Mass')
    """
    path = check_path("dataset spec", name_or_path)
    if path.suffix != ".toml":
        path = specs_folder() / f"{name_or_path}.toml"
        if str(name_or_path) not in list_dataset_specs():
            raise UnknownNameError(
                "dataset spec",
                str(name_or_path),
                list_dataset_specs(),
                "or give the path of your own .toml dataset spec",
            )
    elif not path.is_file():
        raise MissingFileError(
            path, "dataset spec", f"dataset specs that come with graphret: {', '.join(list_dataset_specs())}"
        )
    try:
        record = read_toml(path)
    except ValueError as error:
        raise DatasetSpecError(f"dataset spec {path}: {error}") from error
    return _fill(DatasetSpec, record, str(path), "")


def _fill(kind: type[T], record: dict[str, Any], path: str, prefix: str) -> T:
    """Make one of the dataclasses above from a TOML table, refusing what it does not know."""
    known = {item.name: item for item in fields(typing.cast("Any", kind))}
    for key in record:
        if key not in known:
            raise DatasetSpecError(
                f"dataset spec {path}: unknown key {prefix + key!r}: known are {', '.join(prefix + k for k in known)}"
            )
    hints = typing.get_type_hints(kind)
    values = {key: _value(hints[key], value, path, prefix + key) for key, value in record.items()}
    try:
        return kind(**values)
    except TypeError:
        missing = [key for key in ("name", "title", "reader") if key not in record]
        raise DatasetSpecError(f"dataset spec {path}: the keys {', '.join(missing)} are missing: add them") from None


def _value(hint: Any, value: Any, path: str, key: str) -> Any:
    """Return ``value`` as the type that the dataclass wants: tuples from lists, floats from integers."""
    if is_dataclass(hint) and isinstance(value, dict):
        return _fill(typing.cast("type[Any]", hint), value, path, key + ".")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], item, path, key) for item in value)
    if origin is dict and isinstance(value, dict):
        return {name: _value(arguments[1], item, path, f"{key}.{name}") for name, item in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) and type(value) is hint:
        return value
    wanted = {str: "a text", bool: "true or false", int: "an integer", float: "a number"}.get(hint)
    wanted = wanted or ("a list" if origin is tuple else "a table")
    raise DatasetSpecError(f"dataset spec {path}: {key} = {value!r}: give {wanted}")
