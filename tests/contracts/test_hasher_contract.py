"""What every registered hasher promises, checked over the whole registry."""

from __future__ import annotations

import json

import numpy as np
import pytest

from graphret._errors import CodesError, EncoderError, InvalidParameterError, MissingFileError, UnknownNameError
from graphret._fidelity import FIDELITIES, FORMULA
from graphret.hashing import Hasher, create_hasher, hamming_search, hasher_options, list_hashers, pack_bits

N_BITS = 12
FAST = {"ksh": {"n_anchors": 40, "n_labeled": 150, "n_iterations": 10}, "mlh": {"n_iterations": 300}}
SUPERVISED = list_hashers(supervised=True)
CHANGES = {
    "itq": {"n_iterations": 1},
    "ksh": {"n_anchors": 15, "n_labeled": 60, "n_iterations": 0, "width": 3.0},
    "lsh": {"center": False},
    "mlh": {"rho": 1, "weight": 0.2, "n_iterations": 30, "batch_size": 10, "rate": 0.5, "momentum": 0.0, "decay": 0.5},
    "spectral_hashing": {},
    "ssh": {"method": "sequential", "eta": 5.0, "alpha": 0.0, "n_labeled": 40},
}


def clustered(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes, none below 0, of ten classes in 24 dimensions, most of whose variance has nothing to do with them."""
    truth = np.random.default_rng(99)
    centres, mixing = truth.normal(size=(10, 12)), np.linalg.qr(truth.normal(size=(24, 20)))[0].T
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 10, n)
    signal = centres[classes] + 0.5 * generator.normal(size=(n, 12))
    own = np.concatenate([signal, 1.5 * generator.normal(size=(n, 8))], axis=1)
    return np.maximum(own @ mixing + 3.0, 0.0).astype(np.float32), classes


CODES, CLASSES = clustered(400, 0)
QUERIES, QUERY_CLASSES = clustered(100, 1)


def fitted(name: str, n_bits: int = N_BITS, **options) -> Hasher:
    options = {**FAST.get(name, {}), **options}
    return create_hasher(name, n_bits, **options).fit(CODES, CLASSES if name in SUPERVISED else None)


def precision(bits_of_queries: np.ndarray, bits: np.ndarray) -> float:
    ids, _ = hamming_search(bits_of_queries, bits, 20)
    return float((CLASSES[ids] == QUERY_CLASSES[:, None]).mean())


@pytest.fixture(scope="module", params=list_hashers())
def hasher(request) -> Hasher:
    return fitted(request.param)


def test_it_says_how_close_it_is_to_its_paper(hasher):
    assert hasher.paper
    assert hasher.fidelity in FIDELITIES
    assert (hasher.fidelity == FORMULA) == (hasher.name not in {"lsh", "ssh"})


def test_values_and_bits_have_the_promised_shape(hasher):
    values, bits = hasher.project(CODES), hasher.transform(CODES)
    assert values.shape == (400, N_BITS)
    assert values.dtype == np.float32
    assert bits.dtype == np.uint8
    np.testing.assert_array_equal(bits, pack_bits(values))
    share = np.unpackbits(bits, axis=1, count=N_BITS, bitorder="little").mean(axis=0)
    assert ((share > 0) & (share < 1)).any(), "some bit says something"
    assert hasher.transform(CODES[:0]).shape == (0, 2)


def test_the_same_with_the_same_seed_and_any_threads(hasher):
    again = fitted(hasher.name)
    np.testing.assert_array_equal(again.transform(CODES), hasher.transform(CODES))
    np.testing.assert_array_equal(hasher.transform(CODES, n_threads=1), hasher.transform(CODES, n_threads=2))
    assert again.is_fitted
    assert again.n_dimensions == 24


def test_another_seed_makes_other_bits_where_anything_is_random(hasher):
    options = {"n_labeled": 60} if hasher.name == "ssh" else {}
    one, other = (fitted(hasher.name, seed=seed, **options) for seed in (0, 1))
    assert (one.transform(CODES) != other.transform(CODES)).any() == (hasher.name != "spectral_hashing")


def test_codes_are_left_as_they_were_and_lists_are_taken(hasher):
    before = CODES.copy()
    hasher.transform(CODES)
    np.testing.assert_array_equal(CODES, before)
    np.testing.assert_array_equal(hasher.transform(CODES[:3].tolist()), hasher.transform(CODES[:3]))


def test_saved_and_opened_it_gives_identical_bits(hasher, tmp_path):
    path = tmp_path / "hasher.npz"
    hasher.save(path)
    for opened in (Hasher.load(path), type(hasher).load(str(path))):
        assert type(opened) is type(hasher)
        assert (opened.n_bits, opened.seed, opened.options) == (hasher.n_bits, hasher.seed, hasher.options)
        np.testing.assert_array_equal(opened.project(QUERIES), hasher.project(QUERIES))
        np.testing.assert_array_equal(opened.transform(QUERIES), hasher.transform(QUERIES))
    assert [entry.name for entry in tmp_path.iterdir()] == ["hasher.npz"]
    with np.load(path, allow_pickle=False) as file:
        assert json.loads(str(file["header"]))["schema"] == "graphret.hasher"


def test_it_beats_random_bits_and_with_labels_random_planes_too(hasher):
    random = np.random.default_rng(0)
    chance = precision(random.integers(0, 256, (100, 2), np.uint8), random.integers(0, 256, (400, 2), np.uint8))
    reached = precision(hasher.transform(QUERIES), hasher.transform(CODES))
    assert reached > chance + 0.1
    if hasher.needs_labels:
        planes = [fitted("lsh", seed=seed) for seed in range(5)]
        assert reached > np.mean([precision(made.transform(QUERIES), made.transform(CODES)) for made in planes]) + 0.05


@pytest.mark.parametrize("name", list_hashers())
def test_every_option_changes_the_bits(name):
    assert set(hasher_options(name)) == set(CHANGES[name])
    for option, value in CHANGES[name].items():  # type: ignore[attr-defined]
        others = {"method": "sequential"} if (name, option) == ("ssh", "alpha") else {}
        plain = fitted(name, **others).project(QUERIES)
        assert (fitted(name, **others, **{option: value}).project(QUERIES) != plain).any(), option


@pytest.mark.parametrize("name", list_hashers())
def test_more_bits_than_dimensions_work_or_are_refused(name):
    if name in {"itq", "ssh"}:
        with pytest.raises(
            InvalidParameterError, match=f"n_bits=30 .* <= 24: '{name}' makes at most one bit a dimension"
        ):
            fitted(name, 30)
    else:
        assert fitted(name, 30).transform(CODES).shape == (400, 4)


@pytest.mark.parametrize("name", list_hashers())
def test_wrong_calls_are_refused(name, tmp_path):
    made = create_hasher(name, N_BITS, **FAST.get(name, {}))
    labels = CLASSES if made.needs_labels else None
    for wrong in (0, 1.5, True):
        with pytest.raises(InvalidParameterError, match=f"n_bits={wrong}"):
            create_hasher(name, wrong)
    with pytest.raises(InvalidParameterError, match="seed=-1"):
        create_hasher(name, 8, seed=-1)
    for call in (made.project, made.transform):
        with pytest.raises(EncoderError, match="not fitted: call fit"):
            call(CODES)
    with pytest.raises(EncoderError, match="not fitted"):
        made.save(tmp_path / "x.npz")
    with pytest.raises(InvalidParameterError, match="labels="):
        made.fit(CODES, None if made.needs_labels else CLASSES)
    for codes, message in (
        (CODES[0], "give a float32 array"),
        (CODES[:1], "at least two"),
        (CODES.astype(str), "dtype <U"),
        (np.where(np.arange(400)[:, None] == 7, np.nan, CODES), "row 7 holds NaN"),
    ):
        with pytest.raises(CodesError, match=message):
            made.fit(codes, labels)
    if name != "lsh":
        with pytest.raises((CodesError, InvalidParameterError)):
            made.fit(np.ones((10, 5)), labels)
    made.fit(CODES, labels)
    with pytest.raises(CodesError, match="23 dimensions, the hasher was fitted on 24"):
        made.transform(CODES[:, 1:])
    broken = CODES.copy()
    broken[5, 3] = np.inf
    with pytest.raises(CodesError, match="row 5 holds NaN, infinity"):
        made.transform(broken)
    with pytest.raises(InvalidParameterError, match="n_threads=0"):
        made.transform(CODES, n_threads=0)


def test_unknown_names_list_the_registry():
    with pytest.raises(UnknownNameError, match=r"itq, ksh, lsh, mlh, spectral_hashing, ssh .*mean 'itq'"):
        create_hasher("itqq", 8)
    with pytest.raises(UnknownNameError, match=r"iterations.* n_iterations"):
        create_hasher("itq", 8, iterations=3)
    with pytest.raises(InvalidParameterError, match="'spectral_hashing' has none"):
        create_hasher("spectral_hashing", 8, center=True)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("lsh", "center", 1),
        ("itq", "n_iterations", -1),
        ("ssh", "method", "spectral"),
        ("ssh", "eta", -0.1),
        ("ssh", "alpha", "1"),
        ("ssh", "n_labeled", 1),
        ("ksh", "n_anchors", 0),
        ("ksh", "n_labeled", 1),
        ("ksh", "n_iterations", -1),
        ("ksh", "width", 0),
        ("mlh", "rho", 0),
        ("mlh", "weight", 0),
        ("mlh", "n_iterations", 0),
        ("mlh", "batch_size", 1),
        ("mlh", "rate", np.nan),
        ("mlh", "momentum", 1),
        ("mlh", "decay", -1),
    ],
)
def test_values_that_are_not_allowed_are_refused(name, option, value):
    with pytest.raises(InvalidParameterError, match=f"{option}="):
        create_hasher(name, 8, **{option: value})


def test_files_that_are_no_hashers_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match="hasher not found"):
        Hasher.load(tmp_path / "none.npz")
    path = tmp_path / "hasher.npz"
    fitted("lsh").save(path)
    content = path.read_bytes()
    for damaged in (b"", b"nonsense", content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(EncoderError, match="is not a hasher"):
            Hasher.load(path)
    np.savez(path, header=np.array(json.dumps({"schema": "graphret.hasher", "version": 9, "name": "lsh"})))
    with pytest.raises(EncoderError, match=r"graphret.hasher 9.*update graphret"):
        Hasher.load(path)
    about = {"schema": "graphret.hasher", "version": 1, "name": "lsh", "n_bits": 8, "seed": 0, "options": {"wide": 1}}
    np.savez(path, header=np.array(json.dumps(about)))
    with pytest.raises(EncoderError, match=r"'lsh' with options .* 'wide'"):
        Hasher.load(path)
    np.savez(path, header=np.array([{}], dtype=object))  # pickled: never read
    with pytest.raises(EncoderError, match="is not a hasher"):
        Hasher.load(path)
    fitted("lsh").save(path)
    with pytest.raises(EncoderError, match="'lsh', not ITQ"):
        type(fitted("itq")).load(path)
