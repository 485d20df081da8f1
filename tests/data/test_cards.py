"""Dataset specs: what is refused, what they mean, and their facts against the official label files."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from graphret._errors import DataError, DatasetSpecError, MissingFileError, UnknownNameError
from graphret.data import list_dataset_specs, read_dataset_spec
from graphret.data.cards import READERS, DatasetSpec
from graphret.data.chexpert import CHEXPERT_LABELS, parse_chexpert_table
from graphret.data.datasets import _READERS, consolidate
from graphret.data.nih import NIH_LABELS, parse_nih_table

MINIMAL = 'name = "mine"\ntitle = "My films"\nreader = "csv"\n'


def own_card(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_card_reads_and_is_called_like_its_file():
    names = list_dataset_specs()
    assert {"nih", "nih-u", "nih-15", "stanford", "stanford-u", "chexpert-12", "phantom", "folder", "csv"} <= set(names)
    for name in names:
        spec = read_dataset_spec(name)
        assert spec.name == name
        assert spec.title
        if spec.labels:
            assert spec.source.license
            assert spec.source.attribution


def test_readers_are_those_that_cards_may_name():
    assert tuple(sorted(_READERS)) == READERS


def test_unknown_name():
    with pytest.raises(UnknownNameError, match=r"dataset spec='nih-v' .* \(did you mean 'nih") as caught:
        read_dataset_spec("nih-v")
    assert "phantom" in str(caught.value)


def test_own_card(tmp_path):
    path = own_card(tmp_path, MINIMAL + "[splits]\nfractions = [1, 0, 0]\nseed = 4\n")
    spec = read_dataset_spec(path)
    assert spec.splits.fractions == (1.0, 0.0, 0.0)
    assert spec.splits.seed == 4
    assert read_dataset_spec(str(path)) == spec


def test_missing_card_file(tmp_path):
    with pytest.raises(MissingFileError, match=r"mine.toml"):
        read_dataset_spec(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "colour = 1", "unknown key 'colour': known are .*labels"),
        (MINIMAL + "[files]\ntable = ['a']", "unknown key 'files.table': known are files.tables"),
        ('title = "x"\nreader = "csv"', "keys name are missing"),
        (MINIMAL + "labels = 'Edema'", "labels = 'Edema': give a list"),
        (MINIMAL + "labels = ['Edema', 3]", "labels = 3: give a text"),
        (MINIMAL + "labels = ['Edema', 'Edema']", "every label once"),
        (MINIMAL + "uncertain = 'ignore'", "uncertain = 'ignore' .* positive or negative"),
        (MINIMAL.replace("csv", "pacs"), "reader = 'pacs' .* chexpert, cifar10, csv, .*nih"),
        (MINIMAL + "[consolidate]\nOpacity = ['Edema']", "consolidate = 'Opacity'"),
        (MINIMAL + "labels = ['A']\n[consolidate]\nA = []", "consolidate.A"),
        (MINIMAL + "patient_pattern = 'x('", "patient_pattern"),
        (MINIMAL + "patient_pattern = 'x'", "one group"),
        (MINIMAL + "[splits]\nfractions = [0.5, 0.5, 0.5]", "splits.fractions"),
        (MINIMAL + "[splits]\nseed = 'x'", "splits.seed = 'x': give an integer"),
        (MINIMAL + "allow_shared_patients = 1", "give true or false"),
        (MINIMAL + "[facts]\nviews = 3", "facts.views = 3: give a table"),
        ("name = ", "is not TOML"),
    ],
)
def test_wrong_cards_are_refused(tmp_path, text, message):
    with pytest.raises(DatasetSpecError, match=message):
        read_dataset_spec(own_card(tmp_path, text))


def test_consolidation_is_positive_over_uncertain_over_negative():
    spec = DatasetSpec(
        name="c", title="c", reader="csv", labels=("A", "Both"), consolidate={"Both": ("B", "C")}
    )  # A stands for itself
    labels = np.array([[1, 1, -1], [0, -1, 0], [-1, 0, 0], [0, -1, 1], [0, -1, -1]], np.int8)
    merged = consolidate(spec, labels, ("A", "B", "C"))
    assert merged.tolist() == [[1, 1], [0, -1], [-1, 0], [0, 1], [0, -1]]
    assert merged.dtype == np.int8


def test_a_label_that_the_archive_does_not_have():
    spec = DatasetSpec(name="c", title="c", reader="nih", labels=("Fracture",))
    with pytest.raises(DataError, match="no label 'Fracture'"):
        consolidate(spec, np.zeros((2, 2), np.int8), ("Edema", "Mass"))


def test_labels_of_the_papers():
    assert len(read_dataset_spec("nih").labels) == 13
    assert "Hernia" not in read_dataset_spec("nih").labels
    assert set(read_dataset_spec("nih-15").labels) == set(NIH_LABELS)
    assert len(read_dataset_spec("stanford").labels) == 9
    names = [set(read_dataset_spec(name).labels) for name in ("chexpert-12", "nih-12")]
    assert [len(of) for of in names] == [8, 10]
    assert not read_dataset_spec("chexpert-12").consolidate
    assert names[1] <= set(NIH_LABELS)
    assert "Lung Opacity" not in names[1]
    assert read_dataset_spec("nih-u").sources("Opacities") == ("Consolidation", "Edema", "Pneumonia", "Infiltration")
    assert read_dataset_spec("stanford-u").sources("Enlarged Heart") == ("Enlarged Cardiomediastinum", "Cardiomegaly")
    assert read_dataset_spec("phantom").labels == read_dataset_spec("nih").labels
    for name in ("stanford", "stanford-u", "chexpert-12"):
        spec = read_dataset_spec(name)
        assert {source for label in spec.labels for source in spec.sources(label)} <= set(CHEXPERT_LABELS)


def official(name):
    """A label file inside the installed torchxrayvision, found without importing it (that would load torch)."""
    spec = importlib.util.find_spec("torchxrayvision")
    path = Path(spec.origin).parent / "data" / name if spec and spec.origin else Path()
    if not path.is_file():
        pytest.skip(f"torchxrayvision with {name} is not installed")
    return path


@pytest.fixture(scope="module")
def nih():
    return parse_nih_table(official("Data_Entry_2017_v2020.csv.gz"))


@pytest.fixture(scope="module")
def chexpert():
    return parse_chexpert_table(official("chexpert_train.csv.gz"), read_dataset_spec("stanford").files.strip_prefixes)


@pytest.mark.parametrize("name", ["nih", "nih-u", "nih-12", "nih-15"])
def test_facts_of_nih(nih, name):
    spec = read_dataset_spec(name)
    facts = spec.facts
    assert len(nih.ids) == facts.films == 112_120
    assert len(set(nih.patients)) == facts.patients == 30_805
    assert {view: nih.views.count(view) for view in set(nih.views)} == facts.views == {"PA": 67_310, "AP": 44_810}
    positive = (consolidate(spec, nih.labels, nih.label_names) == 1).sum(axis=0)
    counts = dict(zip(spec.labels, positive.tolist(), strict=True))
    assert {label: counts[label] for label in facts.positive} == facts.positive
    assert facts.positive["Infiltration" if name != "nih-u" else "Effusion"] in {19_894, 13_317}


def test_consolidated_nih_counts(nih):
    spec = read_dataset_spec("nih-u")
    merged = consolidate(spec, nih.labels, nih.label_names)
    of = {name: nih.labels[:, nih.label_names.index(name)] == 1 for name in nih.label_names}
    assert np.array_equal(merged[:, spec.labels.index("Lesion")] == 1, of["Nodule"] | of["Mass"])
    opacities = of["Consolidation"] | of["Edema"] | of["Pneumonia"] | of["Infiltration"]
    assert np.array_equal(merged[:, spec.labels.index("Opacities")] == 1, opacities)


def test_ages_of_nih(nih):
    ages = nih.columns["age"]
    assert np.isfinite(ages).all()
    assert ages.min() >= 0
    assert ages.max() == 95


@pytest.mark.parametrize("name", ["stanford", "stanford-u", "chexpert-12"])
def test_facts_of_chexpert(chexpert, name):
    spec = read_dataset_spec(name)
    facts = spec.facts
    # The paper counts the 234 films of the 200 patients of valid.csv too, none of them uncertain.
    assert len(chexpert.ids) + 234 == facts.films == 223_648
    assert len(set(chexpert.patients)) + 200 == facts.patients == 64_740
    positive = (consolidate(spec, chexpert.labels, chexpert.label_names) == 1).sum(axis=0)
    trained = dict(zip(spec.labels, positive.tolist(), strict=True))
    assert facts.positive["Atelectasis"] == 33_456
    assert all(0 <= number - trained[label] <= 234 for label, number in facts.positive.items())
    uncertain = (consolidate(spec, chexpert.labels, chexpert.label_names) == -1).sum(axis=0)
    counts = dict(zip(spec.labels, uncertain.tolist(), strict=True))
    assert {label: counts[label] for label in facts.uncertain} == facts.uncertain
    assert facts.uncertain["Atelectasis"] == 33_739


def test_views_of_chexpert(chexpert):
    views = read_dataset_spec("stanford").views
    kept = [view for view in chexpert.views if view in views]
    assert len(kept) == 191_027  # 191,229 frontal films with the 202 of valid.csv (Haq et al. 2021, Section 2.1)
    assert chexpert.views.count("LATERAL") == 32_387
    assert chexpert.ids[0] == "train/patient00001/study1/view1_frontal.jpg"


def test_cards_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        read_dataset_spec("nih").name = "x"
