"""A folder in which the commands and snippets of the documents run: small generated films, an encoder, two indexes."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import graphret
from graphret.data import generate_phantom
from graphret.encoders import Encoder

_SPEC = importlib.util.spec_from_file_location("documents", Path(__file__).with_name("pages.py"))
documents = importlib.util.module_from_spec(_SPEC)
sys.modules["documents"] = documents
_SPEC.loader.exec_module(documents)

N_FILMS = 80


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """Everything that the documents speak of, by the names that they use; the encoder has its first weights."""
    root = tmp_path_factory.mktemp("documents")
    demo = root / "graphret-demo"
    generate_phantom(demo / "films", N_FILMS, size=32)
    films = graphret.read_dataset("phantom", demo / "films")
    encoder = Encoder.untrained("resnet18", films.label_names, 32, 0)
    _class_folders(films, root / "films")
    _table(films, root / "table")
    _dicom(films.read(0), root / "new_film.dcm")
    _dicom(films.read(1), root / "other_film.dcm")
    for folder in (demo / "encoder", root / "runs" / "mine"):
        encoder.save(folder)
    classes = graphret.read_dataset("folder", root / "films")
    for table, out in ((films, demo / "index"), (classes, root / "indexes" / "mine")):
        archive = table.select(table.splits != "test")
        index = graphret.build(archive, encoder, out=out, k=10, n_threads=1, tune=False)
        index.record_tuning({"ranking": "alpha_qe", "options": {"n": 3}, "trials": []})
    return root


def _class_folders(films, root):
    """One folder per class, under train and test."""
    for row, path in enumerate(films.paths):
        split = "test" if films.splits[row] == "test" else "train"
        folder = root / split / ("PNEUMONIA" if films.labels[row].any() else "NORMAL")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)


def _table(films, root):
    root.mkdir()
    lines = ["path,labels,patient,view,split"]
    for row, path in enumerate(films.paths):
        labels = "|".join(np.array(films.label_names)[films.labels[row] == 1]) or "No Finding"
        lines.append(f"{path},{labels},{films.patients[row]},{films.views[row]},{films.splits[row]}")
    (root / "films.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _dicom(film, path):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid(entropy_srcs=["documents"])
    dataset.Modality, dataset.PatientID = "CR", "1234"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = film.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = np.rint(film * 4095).astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def scratch(workshop, tmp_path, monkeypatch):
    """The workshop under other names of its files, which graphret replaces but never changes; the process is there."""
    home = tmp_path / "scratch"
    shutil.copytree(workshop, home, copy_function=os.link)
    monkeypatch.chdir(home)
    return home
