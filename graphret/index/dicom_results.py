"""Hits as DICOM: a structured report beside the query's study, or a JSON manifest of the films by their UIDs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from graphret._errors import FilmError, InvalidParameterError, MissingDependencyError
from graphret._version import __version__
from graphret.data.decoding.quiet import no_warnings
from graphret.data.dicom_tags import open_dicom, read_tags
from graphret.data.film_kinds import DICOM, kind_of
from graphret.data.frame_place import split_frame
from graphret.files import replacing, write_text

__all__ = ["dicom_manifest", "write_dicom_results"]

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
    content = io.BytesIO()
    with no_warnings():
        _report(manifest, document["queries"][0]["path"], cited).save_as(content, enforce_file_format=True)
    with replacing(path) as file:
        file.write(content.getvalue())
    return len(cited)


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


def _report(manifest: dict[str, Any], query: str, cited: list[tuple[dict[str, Any], str]]) -> Any:
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
    root.ContentSequence = [image(concept("query", "Query"), manifest["query"])]
    for hit, _ in cited:
        part = ContainerContentItem(concept("hit", "Similar film"), False, None, "CONTAINS")
        numbers = (("rank", "Rank", hit["rank"]), ("similarity", "Cosine similarity", round(hit["similarity"], 6)))
        unit = CodedConcept("1", "UCUM", "no units")
        part.ContentSequence = [
            image(concept("film", "Film"), hit),
            *(NumContentItem(concept(code, name), value, unit, None, "CONTAINS") for code, name, value in numbers),
        ]
        root.ContentSequence.append(part)
    evidence = {manifest["query"]["uids"]["SOPInstanceUID"]: _header(query)}
    for hit, path in cited:
        evidence.setdefault(hit["uids"]["SOPInstanceUID"], _header(path))
    return hd.sr.ComprehensiveSR(
        evidence=list(evidence.values()),
        content=root,
        series_instance_uid=hd.UID(),
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="graphret",
        software_versions=__version__,
        series_description="Similar films",
    )


def _header(path: str) -> Any:
    import pydicom

    with open_dicom(split_frame(path)[0]) as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
    for keyword in _NEEDED:
        if keyword not in dataset:  # the report needs them, empty or not
            setattr(dataset, keyword, "")
    return dataset
