"""Which views a comparison keeps, and what it says where a paper counts more of them."""

from dataclasses import replace

import numpy as np
import pytest

from graphret.comparison import published, read_published
from graphret.comparison.experiment import DataSettings
from graphret.comparison.films import prepare_films
from graphret.comparison.published import why_other_images
from graphret.data import read_dataset_spec
from graphret.data.cards import CardFacts
from graphret.data.chexpert import CHEXPERT_LABELS
from graphret.data.images import write_png


@pytest.fixture(scope="module")
def chexpert(tmp_path_factory):
    """Twenty patients with a frontal and a lateral film each, in the form of CheXpert."""
    root = tmp_path_factory.mktemp("chexpert")
    lines = [f"Path,Sex,Age,Frontal/Lateral,AP/PA,{','.join(CHEXPERT_LABELS)}"]
    for patient in range(1, 21):
        for number, side, view in ((1, "Frontal", "PA"), (2, "Lateral", "")):
            path = f"train/patient{patient:05d}/study1/view{number}_{side.lower()}.jpg"
            labels = ["1.0" if place == 2 + patient % 2 else "" for place in range(len(CHEXPERT_LABELS))]
            lines.append(f"{path},Female,60,{side},{view},{','.join(labels)}")
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            write_png(root / path, np.full((8, 8), patient / 20, dtype=np.float32))
    (root / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def films_of(chexpert, out, **settings):
    return prepare_films(DataSettings(spec="stanford", root=str(chexpert), size=32, **settings), out)


def test_views_of_the_experiment_stand_in_for_those_of_the_spec(chexpert, tmp_path):
    films = films_of(chexpert, tmp_path / "spec")
    assert len(films.table) == 20
    assert films.record["views"] == ["PA", "AP", "LL", "RL"]
    every = films_of(chexpert, tmp_path / "all", views=("all",))
    assert len(every.table) == 40
    assert every.record["views"] == "all"
    lateral = films_of(chexpert, tmp_path / "lateral", views=("LATERAL",))
    assert set(lateral.table.views) == {"LATERAL"}


def test_figures_are_of_the_same_images_only_with_the_lateral_films(chexpert, tmp_path, monkeypatch):
    facts = CardFacts(films=40, patients=20)
    monkeypatch.setattr(published, "read_dataset_spec", lambda name: replace(read_dataset_spec(name), facts=facts))
    table = read_published("haq2021-table7")
    assert why_other_images(table, films_of(chexpert, tmp_path / "all", views=("all",))) == ""
    why = why_other_images(table, films_of(chexpert, tmp_path / "spec"))
    assert why.startswith("20 films, the dataset spec says 40 (only the views PA, AP, LL, RL are kept; ")
    assert "data.views = ['all']" in why
