"""Class folders on disk, and how the tests of readers look at what was read from them."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from graphret.data import ImageTable, read_dataset

FILM = np.arange(64, dtype=np.uint8).reshape(8, 8)


def _put(path, form="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(FILM).save(path, format=form)


def _put_dicom(path, part="", subject=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 8, 8, 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = (FILM.astype(np.uint16) * 64).tobytes()
    if subject is not None:
        data.PatientID = subject
    if part:
        data.BodyPartExamined = part
    data.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="session")
def put_dicom():
    """Write a slice of a CT, with the folders above it: put_dicom(path, part="", subject=None)."""
    return _put_dicom


@pytest.fixture(scope="session")
def put():
    """Write a picture, with the folders above it: put(path, form="PNG"); "DICOM" is one of the forms."""

    def write(path, form="PNG"):
        if form == "DICOM":
            _put_dicom(path)
        else:
            _put(path, form)

    return write


@pytest.fixture
def root(tmp_path):
    """Two classes of two films: A/0.png, A/1.png, B/0.png, B/1.png."""
    for name in ("A/0.png", "A/1.png", "B/0.png", "B/1.png"):
        _put(tmp_path / "films" / name)
    return tmp_path / "films"


@pytest.fixture(scope="session")
def read():
    """Read class folders: twice, to see that the order is the same; what is left out can be stored."""

    def read_twice(root, spec="folder"):
        films, again = read_dataset(spec, root), read_dataset(spec, root)
        assert films.ids.tolist() == again.ids.tolist()
        assert films.problems == again.problems
        json.dumps([asdict(problem) for problem in films.problems], ensure_ascii=False).encode()
        assert ImageTable.from_arrow(films.to_arrow()).problems == films.problems
        return films

    return read_twice


@pytest.fixture(scope="session")
def reasons():
    """Reason by id of what was left out."""
    return lambda films: {problem.id: problem.reason for problem in films.problems}
