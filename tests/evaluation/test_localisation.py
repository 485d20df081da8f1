"""Saliency maps against boxes: by counting small cells, and what is refused."""

import numpy as np
import pytest

from graphret._errors import EncoderError, InvalidParameterError
from graphret.data import ImageTable
from graphret.data.images import write_png
from graphret.encoders import Encoder
from graphret.evaluation import localise, localise_findings

FINE = 20
"""Cells of the count on a side: boxes and maps below lie on this grid."""


def in_a_box(row, column, boxes):
    x, y = (column + 0.5) / FINE, (row + 0.5) / FINE
    return any(left < x < left + w and top < y < top + h for left, top, w, h in boxes)


def naive(saliency, boxes, threshold):
    """The figures by counting cells one by one; the map has 4 x 5 positions."""
    saliency = saliency.astype(np.float64)
    height, width = saliency.shape
    value = {
        (row, column): saliency[row * height // FINE, column * width // FINE] for row, column in np.ndindex(FINE, FINE)
    }
    covered = [cell for cell in value if in_a_box(*cell, boxes)]
    strong = [cell for cell in value if value[cell] >= threshold * saliency.max()]
    rows, columns = [row for row, _ in strong], [column for _, column in strong]
    predicted = {
        (row, column)
        for row, column in value
        if min(rows) <= row <= max(rows) and min(columns) <= column <= max(columns)
    }
    overlaps = []
    for box in boxes:
        drawn = {cell for cell in value if in_a_box(*cell, [box])}
        overlaps.append(len(predicted & drawn) / len(predicted | drawn))
    inside = sum(value[cell] for cell in covered) / sum(value.values())
    return inside, len(covered) / FINE**2, max(overlaps)


@pytest.mark.parametrize("seed", range(6))
def test_figures_are_those_of_counting_cells(seed):
    rng = np.random.default_rng(seed)
    saliency = rng.random((4, 5)).astype(np.float32) ** 3
    boxes = []
    for _ in range(3):
        left, top = rng.integers(0, FINE - 1, 2)
        boxes.append([left, top, rng.integers(1, FINE - left + 1), rng.integers(1, FINE - top + 1)])
    boxes = (np.array(boxes) / FINE).tolist()
    found = localise(saliency, boxes, threshold=0.4)
    inside, chance, overlap = naive(saliency, boxes, 0.4)
    assert (found.inside, found.by_chance, found.overlap) == pytest.approx((inside, chance, overlap), rel=1e-6)
    row, column = divmod(int(saliency.argmax()), 5)
    x, y = (column + 0.5) / 5, (row + 0.5) / 4
    assert found.hit == any(left <= x < left + w and top <= y < top + h for left, top, w, h in boxes)


def test_a_constant_map_is_chance_and_a_map_of_zeros_looks_nowhere():
    boxes = [[0.4, 0.45, 0.25, 0.2]]
    even = localise(np.ones((3, 7), dtype=np.float32), boxes)
    assert even.inside == pytest.approx(even.by_chance) == pytest.approx(0.05)
    assert even.overlap == pytest.approx(0.05)
    nowhere = localise(np.zeros((3, 3), dtype=np.float32), boxes)
    assert np.isnan(nowhere.inside)
    assert nowhere.overlap == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"saliency": np.ones((2, 2), dtype=int)}, r"saliency='int64 \(2, 2\)'.*floating"),
        ({"saliency": -np.ones((2, 2))}, r"saliency=-1.0.*values >= 0"),
        ({"boxes": np.zeros((0, 4))}, r"boxes=\(0, 4\).*at least one box"),
        ({"boxes": [[0.5, 0.5, 0.6, 0.1]]}, r"boxes=.*shares of the film in \[0, 1\]"),
        ({"boxes": [[0.5, 0.5, 0.0, 0.1]]}, r"boxes=.*wider and higher than 0"),
        ({"threshold": 0}, r"threshold=0.*> 0 and <= 1"),
    ],
)
def test_wrong_input_is_named(changes, message):
    call = {"saliency": np.ones((2, 2)), "boxes": [[0, 0, 1, 1]], "threshold": 0.5}
    localise(**call)
    with pytest.raises(InvalidParameterError, match=message):
        localise(**(call | changes))


@pytest.fixture
def films(tmp_path):
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, path in enumerate(paths):
        write_png(path, np.random.default_rng(number).random((40, 60), dtype=np.float32))
    cells = np.array(["Mass:0.1,0.2,0.5,0.5|Mass:0.7,0.7,0.2,0.2", "", "Mass:0.1,0.2,0.5,0.5|Nodule:0.0,0.0,1.0,1.0"])
    return ImageTable(["a", "b", "c"], paths, np.eye(3, dtype=np.int8), ("x", "y", "z"), columns={"boxes": cells})


def test_findings_are_the_means_over_the_films_that_have_their_box(films):
    encoder = Encoder.untrained("attention_hash_pf1", ["x"], 32, n_bits=8, device="cpu")
    found = localise_findings(encoder, films)
    assert list(found) == ["Mass", "Nodule"]
    assert [of["n"] for of in found.values()] == [2, 1]
    maps = [encoder.saliency(encoder.prepare(films.read_pixels(row))[None])[0] for row in (0, 2)]
    alone = [
        localise(maps[0], [[0.1, 0.2, 0.5, 0.5], [0.7, 0.7, 0.2, 0.2]]),
        localise(maps[1], [[0.1, 0.2, 0.5, 0.5]]),
    ]
    for name in ("hit", "inside", "by_chance", "overlap"):
        assert found["Mass"][name] == pytest.approx(np.mean([getattr(one, name) for one in alone]))
    assert found["Nodule"]["inside"] == found["Nodule"]["by_chance"] == 1


def test_films_without_boxes_and_encoders_without_maps_are_refused(films):
    encoder = Encoder.untrained("attention_hash_pf1", ["x"], 32, n_bits=8, device="cpu")
    with pytest.raises(InvalidParameterError, match=r"1 films, none with a box.*nih-12"):
        localise_findings(encoder, films.select(np.array([1])))
    with pytest.raises(EncoderError, match="draws no saliency"):
        localise_findings(Encoder.untrained("resnet18", ["x"], 32, device="cpu"), films)
