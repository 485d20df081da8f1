"""Labels of films are corrected in every form; a value that is missing says nothing of its label."""

import numpy as np
import pytest

from graphret._errors import InvalidParameterError
from graphret.index import build


@pytest.fixture
def index(codes, described, tmp_path):
    return build(codes[:60], films=described.select(range(60)), out=tmp_path / "index", k=6, n_threads=1)


def test_forms_of_labels(index):
    one_column = index.update_labels(["film001", "film002"], {"Mass": [1, -1]})
    assert one_column.films.labels[[1, 2], 1].tolist() == [1, -1]
    assert one_column.films.labels[[1, 2], 0].tolist() == index.films.labels[[1, 2], 0].tolist()
    matrix = index.update_labels("film001", [[-1, 1]])
    assert matrix.films.labels[1].tolist() == [-1, 1]
    for labels, words in (([["Hernia"]], "add_labels=True"), ([[1, 0, 0]], "3 columns"), ([[1, 0], [0, 1]], "2 rows")):
        with pytest.raises(InvalidParameterError, match=words):
            index.update_labels(["film001"], labels)
    more = index.update_labels(["film001"], [["Hernia"]], add_labels=True)
    assert more.films.label_names == ("Edema", "Mass", "Hernia")
    assert more.films.labels[:, 2].sum() == 1


@pytest.mark.parametrize("empty", [np.nan, None, "", "NA"])
def test_a_missing_value_leaves_the_label_as_it_is(index, empty, caplog):
    caplog.set_level("INFO", logger="graphret")
    known = index.update_labels(["film001", "film002"], [[1, -1], [1, 1]])
    columns = {"Mass": np.array([empty, 0], dtype=object), "Edema": np.array([0, empty], dtype=object)}
    changed = known.update_labels(["film001", "film002"], columns)
    assert changed.films.labels[[1, 2]].tolist() == [[0, -1], [1, 0]]
    assert "2 cells are empty" in caplog.text
    same = changed.update_labels(["film001"], {"Mass": np.array([empty], dtype=object)})
    assert same.generation == changed.generation


def test_a_missing_value_in_a_matrix_leaves_the_label_as_it_is(index):
    known = index.update_labels(["film001", "film002"], [[1, -1], [1, 1]])
    changed = known.update_labels(["film002", "film001"], np.array([[np.nan, 0], [0, np.nan]]))
    assert changed.films.labels[[1, 2]].tolist() == [[0, -1], [1, 0]]
    named = known.update_labels(["film001"], np.array([[np.nan, 0]]), label_names=["Mass", "Edema"])
    assert named.films.labels[1].tolist() == [0, -1]
    frame = pytest.importorskip("pandas").DataFrame({"Edema": [np.nan], "Mass": [0]})
    assert known.update_labels("film002", frame).films.labels[2].tolist() == [1, 0]


def test_a_missing_value_of_a_new_label_is_no_finding(index):
    more = index.update_labels(["film001", "film002"], {"Hernia": [1, np.nan]}, add_labels=True)
    assert more.films.labels[[1, 2], 2].tolist() == [1, 0]
