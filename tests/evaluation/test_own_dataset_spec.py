"""A dataset spec of one's own, under any name: an index reads its data set back by the spec that it was built with."""

import logging

import numpy as np
import pytest

import graphret
from graphret._errors import DataError
from graphret.data import ImageTable
from graphret.data.cards import read_dataset_spec, specs_folder
from graphret.data.images import write_png

FEW = {"measures": ["P@2"], "n_resamples": 20}
SPLITS = "\n[splits]\nfractions = [0.5, 0.1, 0.4]\nseed = 7\n"


@pytest.fixture
def archive(tmp_path):
    """Films with a table, and a spec as a user makes it: csv.toml copied, what differs changed."""
    rng = np.random.default_rng(0)
    rows = ["path,labels,patient"]
    for number in range(24):
        write_png(tmp_path / f"{number}.png", rng.random((40, 40), dtype=np.float32))
        rows.append(f"{number}.png,{'Edema' if number % 2 else 'Mass'},p{number}")
    (tmp_path / "films.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def own_spec(folder, name):
    text = (specs_folder() / "csv.toml").read_text() + SPLITS
    path = folder / "mine.toml"
    path.write_text(text.replace('name = "csv"', f'name = "{name}"'))
    return path


def build(films, folder):
    encoder = graphret.load_encoder("densenet121", size=32)
    return graphret.open(graphret.build(films.select(films.splits != "test"), encoder, out=folder).path)


@pytest.mark.parametrize("name", ["csv", "hospital"])
def test_further_splits_are_those_of_the_stored_spec(archive, name, caplog):
    path = own_spec(archive, name)
    films = graphret.read_dataset(path, archive)
    wanted = films.ids[films.splits == "test"].tolist()
    builtin = graphret.read_dataset("csv", archive, split="test").ids.tolist()
    assert wanted != builtin
    index = build(films, archive / "index")
    assert index.films.origin.spec == read_dataset_spec(path)
    assert index.source["spec_sha256"] == index.films.origin.spec.sha256
    found = graphret.evaluate(index, "test", **FEW)
    assert found.queries.ids.tolist() == wanted
    assert "changed" not in found.to_dict()["queries"]["origin"]

    # The file changes: the stored spec counts, and that is said; so it is when the file is gone.
    path.write_text(path.read_text().replace("seed = 7", "seed = 8"))
    assert graphret.read_dataset(path, archive, split="test").ids.tolist() != wanted
    for change, said in ((None, "mine.toml has changed since"), (path.unlink, "mine.toml cannot be read any more")):
        if change is not None:
            change()
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="graphret"):
            again = graphret.evaluate(index, "test", **FEW)
        assert again.queries.ids.tolist() == wanted
        assert said in again.to_dict()["queries"]["origin"]
        assert said in caplog.text


def test_a_table_keeps_its_spec_and_refuses_another_content(archive):
    films = graphret.read_dataset(own_spec(archive, "csv"), archive)
    arrow = films.select(films.splits == "valid").to_arrow()
    assert ImageTable.from_arrow(arrow).origin == films.origin
    metadata = arrow.schema.metadata[b"graphret"]
    assert b'"seed": 7' in metadata
    other = arrow.replace_schema_metadata({"graphret": metadata.replace(b'"seed": 7', b'"seed": 8')})
    with pytest.raises(DataError, match="does not have its sha256"):
        ImageTable.from_arrow(other)
