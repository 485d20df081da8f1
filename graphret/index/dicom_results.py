"""Hits, and marks of them, as DICOM: a structured report in the query's study, or JSON with the UIDs of the films."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphret._errors import FilmError, InvalidParameterError, MissingDependencyError
from graphret._version import __version__
from graphret.data.decoding.quiet import no_warnings
from graphret.data.dicom_tags import open_dicom, read_tags
from graphret.data.film_kinds import DICOM, kind_of
from graphret.data.frame_place import split_frame
from graphret.files import replacing, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dicom_manifest", "dicom_of_marks", "write_dicom_results"]

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_SCHEME = "99GRAPHRET"
_NEEDED = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime"),
)


def dicom_manifest(document: dict[str, Any]) -> dict[str, Any]:
    """Return the query and its hits with the UIDs of their files, as JSON values.

    Parameters
    ----------
    document
        From `answers.describe_hits`, of one query.

    Returns
    -------
    dict
        "graphret" (version), "ranking", "query" and "hits". Each film has ``uids`` (by keyword) and ``frame``, None
        where it is no DICOM file, or is not there any more; each hit also rank, id, similarity, score and labels.

    Raises
    ------
    InvalidParameterError
        Several queries.
    """
    answers = document["queries"]
    if len(answers) != 1:
        raise InvalidParameterError("sr", f"{len(answers)} queries", "one query: a report is about one film")
    (answer,) = answers
    kept = ("rank", "id", "similarity", "score", "labels")
    return {
        "graphret": __version__,
        "ranking": document["ranking"],
        "query": _references(answer["path"]),
        "hits": [{**{name: hit[name] for name in kept}, **_references(hit["path"])} for hit in answer["hits"]],
    }


def write_dicom_results(path: str | Path, document: dict[str, Any]) -> int:
    """Write hits as a Comprehensive SR, or as `dicom_manifest` where the name ends in .json; return the hits in it.

    The report belongs to the patient and study of the query. It names the films of other patients by their UIDs, with
    rank and similarity, and no text of theirs. Hits that are no DICOM files have no UID, and are not in an SR.

    Raises
    ------
    InvalidParameterError
        Several queries, or for an SR a query that is no DICOM film.
    MissingDependencyError
        An SR needs the extra ``dicomweb``.
    StoreError
        The file cannot be written.
    """
    manifest = dicom_manifest(document)
    if Path(path).suffix.lower() == ".json":
        write_text(path, json.dumps(manifest, indent=1) + "\n")
        return len(manifest["hits"])
    hits = [(hit, found) for hit, found in zip(manifest["hits"], document["queries"][0]["hits"], strict=True)]
    if manifest["query"]["uids"] is None:
        raise InvalidParameterError("sr", str(path), "a query that is a DICOM film", "or a name that ends in .json")
    cited = [(hit, found["path"]) for hit, found in hits if hit["uids"] is not None]
    query = document["queries"][0]["path"]
    films = [
        (hit, [("rank", "Rank", hit["rank"]), ("similarity", "Cosine similarity", round(hit["similarity"], 6))])
        for hit, _ in cited
    ]
    evidence = {film["uids"]["SOPInstanceUID"]: file for film, file in [(manifest["query"], query), *cited]}
    with no_warnings():
        headers = [_header(file) for file in evidence.values()]
    content = _report(manifest["query"], films, headers)
    with replacing(path) as file:
        file.write(content)
    return len(cited)


def dicom_of_marks(query: str, marks: Sequence[tuple[str, int]]) -> tuple[bytes, int]:
    """Return films that were marked for a query as a Comprehensive SR, without a word on any patient.

    The report has the UIDs of the films and of the query's study, and the relevance of each film. Patient, dates and
    accession number are empty, also those of the query: whoever files it knows them by the UID of the study.

    Parameters
    ----------
    query
        Path of the query's film.
    marks
        Path of every marked film, and its relevance.

    Returns
    -------
    tuple of bytes and int
        The DICOM file, and how many films are in it: films that are no DICOM files have no UID, and are not.

    Raises
    ------
    InvalidParameterError
        The query is no DICOM film, or not there any more.
    MissingDependencyError
        It needs the extra ``dicomweb``.
    """
    asked = _references(query)
    if asked["uids"] is None:
        raise InvalidParameterError("query", "a film without UIDs", "a query that is a DICOM film of the archive")
    found = [(_references(path), relevance) for path, relevance in marks]
    films = [
        (film, [("relevance", "Relevance: 0 not relevant, 1 relevant, 2 very relevant", relevance)])
        for film, relevance in found
        if film["uids"] is not None
    ]
    evidence = {film["uids"]["SOPInstanceUID"]: film["uids"] for film in [asked, *(film for film, _ in films)]}
    return _report(asked, films, list(map(_nameless, evidence.values()))), len(films)


def _references(path: str) -> dict[str, Any]:
    """UIDs and frame of a film's file."""
    nothing: dict[str, Any] = {"uids": None, "frame": None}
    if not path:
        return nothing
    file, frame = split_frame(path)
    try:
        if kind_of(file) != DICOM:
            return nothing
        uids = {name: next(iter(values), "") for name, values in read_tags(file, _UIDS).items()}
    except (FilmError, OSError):
        return nothing
    return {"uids": uids, "frame": frame} if all(uids.values()) else nothing


def _report(
    query: dict[str, Any], films: Sequence[tuple[dict[str, Any], Sequence[tuple[str, str, float]]]], evidence: list[Any]
) -> bytes:
    """An SR with the query and, for each film, its numbers (code, meaning, value); of the first evidence's patient."""
    try:
        import highdicom as hd
    except ImportError as error:
        raise MissingDependencyError("highdicom", "dicomweb", "a structured report") from error

    from highdicom.sr import CodedConcept, ContainerContentItem, ImageContentItem, NumContentItem

    def concept(value: str, meaning: str) -> Any:
        return CodedConcept(value, _SCHEME, meaning)

    def image(name: Any, film: dict[str, Any]) -> Any:
        uids = film["uids"]
        return ImageContentItem(name, uids["SOPClassUID"], uids["SOPInstanceUID"], film["frame"], None, "CONTAINS")

    root = ContainerContentItem(concept("similar-films", "Similar films"), is_content_continuous=False)
    root.ContentSequence = [image(concept("query", "Query"), query)]
    unit = CodedConcept("1", "UCUM", "no units")
    for film, numbers in films:
        part = ContainerContentItem(concept("hit", "Similar film"), False, None, "CONTAINS")
        part.ContentSequence = [
            image(concept("film", "Film"), film),
            *(NumContentItem(concept(code, name), value, unit, None, "CONTAINS") for code, name, value in numbers),
        ]
        root.ContentSequence.append(part)
    content = io.BytesIO()
    with no_warnings():
        report = hd.sr.ComprehensiveSR(
            evidence=evidence,
            content=root,
            series_instance_uid=hd.UID(),
            series_number=1,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="graphret",
            software_versions=__version__,
            series_description="Similar films",
        )
        report.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _nameless(uids: dict[str, str]) -> Any:
    """What an SR cites a film by, and nothing else of its header."""
    import pydicom

    dataset = pydicom.Dataset()
    for keyword, value in {**dict.fromkeys(_NEEDED, ""), **uids}.items():
        setattr(dataset, keyword, value)
    return dataset


def _header(path: str) -> Any:
    import pydicom

    with open_dicom(split_frame(path)[0]) as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
    for keyword in _NEEDED:
        if keyword not in dataset:  # the report needs them, empty or not
            setattr(dataset, keyword, "")
    return dataset
