"""Codes that were changed on disk never change an answer, whatever the size of their file and whoever reads them."""

import numpy as np
import pytest

import graphret
from graphret._errors import DamagedIndexError
from graphret.index import held
from graphret.neighbors import row_checksums

N, D = 300, 12


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """No file is small: none is hashed when the index is opened, as those of an archive of any size."""
    monkeypatch.setattr(held, "SMALL_FILE", 0)


def one_value(stored, rng):
    stored[rng.integers(N), rng.integers(D)] = 1e30


def a_sign(stored, rng):
    """The row keeps its length."""
    stored[rng.integers(N), rng.integers(D)] *= -1


def two_values_swapped(stored, rng):
    row = rng.integers(N)
    stored[row, [2, 7]] = stored[row, [7, 2]]


def flipped_bits(stored, rng):
    raw = stored.view(np.uint8).reshape(-1)
    for place in rng.choice(raw.size, 40, replace=False):
        raw[place] ^= 1 << int(rng.integers(8))


def rows_shifted(stored, _):
    stored[1:] = stored[:-1].copy()


def two_rows_swapped(stored, _):
    stored[[20, 170]] = stored[[170, 20]]


CHANGES = [one_value, a_sign, two_values_swapped, flipped_bits, rows_shifted, two_rows_swapped]


def change_codes(root, change, seed=0):
    path = root / "gen-000001" / "codes.npy"
    stored = np.load(path, allow_pickle=False)
    change(stored, np.random.default_rng(seed))
    np.save(path, stored, allow_pickle=False)


@pytest.mark.parametrize("search", ["exact", "graph"])
@pytest.mark.parametrize("change", CHANGES)
def test_no_answer_comes_from_changed_codes(root, whole, codes, change, search):
    """Every query is refused, or answered as before."""
    expected = [whole.query(code, 5, ranking="nearest", search=search) for code in codes[N:]]
    change_codes(root, change)
    refused = 0
    for code, before in zip(codes[N:], expected, strict=True):
        try:
            found = graphret.open(root).query(code, 5, ranking="nearest", search=search)
        except DamagedIndexError as error:
            refused += error.file == root / "gen-000001" / "codes.npy" and "has not its checksum" in str(error)
        else:
            assert found.ids.tolist() == before.ids.tolist()
            assert found.similarities.tobytes() == before.similarities.tobytes()
    assert refused == len(expected) if search == "exact" else refused > 0


@pytest.mark.parametrize("ranking", graphret.list_rankings(with_labels=True))
def test_no_ranking_reads_changed_codes(root, codes, ranking):
    change_codes(root, rows_shifted)
    with pytest.raises(DamagedIndexError, match=r"codes\.npy"):
        graphret.open(root).query(codes[N], 5, ranking=ranking)


@pytest.mark.parametrize(
    "read",
    [
        lambda index: index.codes,
        lambda index: index.query("film007", 3, search="graph"),
        lambda index: index.query_examples(["film007"], k=3),
        lambda index: graphret.evaluate(index, "test", measures=["P@5"]),
    ],
)
def test_whoever_else_reads_codes(root, read):
    change_codes(root, rows_shifted)
    with pytest.raises(DamagedIndexError, match=r"codes\.npy"):
        read(graphret.open(root))


def test_a_row_is_hashed_once(whole, codes):
    index = graphret.open(whole.path)
    index.query(codes[N], 5, ranking="nearest", search="graph")
    seen = index.archive.search.exact.checksums.arguments[3]  # type: ignore[attr-defined]
    some = int(seen.sum())
    assert 0 < some < N
    index.query(codes[N], 5, ranking="nearest", search="graph")
    assert int(seen.sum()) == some


def test_an_index_without_checksums_is_hashed_as_a_whole(root, codes, forge):
    """As builds of the same schema wrote it before there were any."""

    def without(manifest):
        manifest["files"].pop("code-checksums.npy")
        manifest["arrays"].pop("code-checksums.npy")

    (root / "gen-000001" / "code-checksums.npy").unlink()
    forge(root, None, None, without)
    assert graphret.open(root).query(codes[N], 5).ids.shape == (1, 5)
    graphret.open(root).verify(deep=True)
    change_codes(root, one_value)
    with pytest.raises(DamagedIndexError, match=r"codes\.npy: its sha256"):
        graphret.open(root).query(codes[N], 5)


def test_the_rule_of_the_checksums(codes):
    """As docs/index_format.md writes it down, without graphret."""
    state = np.arange(1, D + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    multipliers = (state >> np.uint64(32)) | np.uint64(1)
    expected = (codes.view("<u4").astype(np.uint64) * multipliers).sum(axis=1)
    assert np.array_equal(row_checksums(codes), expected)
