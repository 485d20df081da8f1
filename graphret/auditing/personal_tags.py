"""Tags of DICOM films that hold personal data, or may: by keyword, kind of value, and private tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphret._errors import FilmError
from graphret.data.decoding.quiet import no_warnings
from graphret.data.dicom_tags import open_dicom

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["personal_tags"]

_KINDS = {
    "PN": "a person's name",
    "DA": "a date",
    "DT": "a date",
    "LT": "free text",
    "ST": "free text",
    "UT": "free text",
}
_IDENTIFYING = {
    *(
        "PatientID",
        "OtherPatientIDs",
        "IssuerOfPatientID",
        "PatientAddress",
        "PatientTelephoneNumbers",
        "PatientBirthName",
    ),
    *(
        "PatientMotherBirthName",
        "MilitaryRank",
        "EthnicGroup",
        "PatientReligiousPreference",
        "Occupation",
        "AccessionNumber",
    ),
    *(
        "StudyID",
        "InstitutionName",
        "InstitutionAddress",
        "InstitutionalDepartmentName",
        "StationName",
        "DeviceSerialNumber",
    ),
    *(
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "PerformedProcedureStepID",
        "FillerOrderNumberImagingServiceRequest",
    ),
    *("PlacerOrderNumberImagingServiceRequest", "AdmissionID", "CurrentPatientLocation", "PatientInstitutionResidence"),
    *("ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers", "CountryOfResidence", "RegionOfResidence"),
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "PatientAge", "PatientSex"),
    *("StudyDescription", "SeriesDescription", "ProtocolName", "RequestedProcedureDescription", "ReasonForStudy"),
}
"""Of what the Basic Application Level Confidentiality Profile (PS3.15 E.1) removes or replaces, the attributes that
films hold most often; it has more, which their kind of value shows."""


def personal_tags(path: Path) -> dict[str, str]:
    """Return the tags of a film that are filled and may be personal: keyword (or number) to what it is.

    Values are never looked at but for whether there is one. Items of sequences count as well.

    Raises
    ------
    FilmError
        It cannot be read.
    """
    import pydicom

    try:
        with no_warnings(), open_dicom(path) as file:
            dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            return {name: what for element in dataset.iterall() for name, what in _of(element)}
    except (FilmError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - the texts of pydicom may hold values of the file
        raise FilmError(path, f"the DICOM file is damaged and cannot be read ({type(error).__name__})") from None


def _of(element: Any) -> list[tuple[str, str]]:
    if element.is_empty or element.VR == "SQ":
        return []
    if element.tag.is_private:
        return [] if element.tag.is_private_creator else [("private tags", "may hold anything")]
    name = element.keyword or str(element.tag)
    if element.keyword in _IDENTIFYING:
        return [(name, "identifies, alone or with others")]
    return [(name, _KINDS[element.VR])] if element.VR in _KINDS else []
