"""Checksums prove that nothing changed, not who wrote it: what a forger signs is looked at before kernels use it."""

import base64
import hashlib
import json
import os

import numpy as np
import pytest

import graphret
from graphret._errors import DamagedIndexError, GraphretError, StoreError
from graphret.graph.structure import structure_problem
from graphret.index.manifest import serialise

N, D = 300, 12
HIGHEST = 2**31 - 1


def array_of(root, name):
    return np.load(root / "gen-000001" / name, allow_pickle=False)


def with_value(place, value):
    def change(array):
        changed = array.copy()
        changed[place] = value
        return changed

    return change


FORGED = [
    ("graph-indices.npy", with_value(3, HIGHEST)),
    ("graph-indices.npy", with_value(3, -1)),
    ("graph-indices.npy", with_value(0, 0)),
    ("graph-indices.npy", lambda old: old[::-1].copy()),
    ("graph-weights.npy", with_value(2, np.float32(0.123))),
    ("graph-weights.npy", with_value(2, np.float32(np.nan))),
    ("graph-weights.npy", with_value(2, np.float32(-1))),
    ("graph-weights.npy", with_value(2, np.float32(np.inf))),
]


@pytest.mark.parametrize(("name", "change"), FORGED)
def test_a_graph_that_is_none(root, forge, codes, name, change):
    forge(root, name, change(array_of(root, name)))
    index = graphret.open(root)
    for use in (
        lambda: index.graph,
        index.verify,
        lambda: index.query(codes[N], 5, ranking="region_growing"),
        lambda: index.query(codes[N], 5, ranking="diffusion"),
    ):
        with pytest.raises(DamagedIndexError, match=r"graph-indices\.npy: its row \d+ is not sorted, not symmetric"):
            use()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("graph-indptr.npy", with_value(5, HIGHEST)),
        ("communities.npy", with_value(7, HIGHEST)),
        ("communities.npy", with_value(7, -1)),
        ("lengths.npy", with_value(7, 0.0)),
        ("lengths.npy", with_value(7, np.nan)),
        ("lengths.npy", with_value(7, np.inf)),
    ],
)
def test_values_that_every_query_uses(root, forge, name, change):
    forge(root, name, change(array_of(root, name)))
    with pytest.raises(DamagedIndexError) as caught:
        graphret.open(root)
    assert caught.value.file.name == name


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("search-indices.npy", with_value(3, HIGHEST)),
        ("search-indices.npy", with_value(3, -5)),
        ("search-indptr.npy", with_value(5, HIGHEST)),
        ("search-entry-points.npy", with_value(-1, HIGHEST)),
        ("search-entry-points.npy", with_value(0, -1)),
        ("search-directions.npy", with_value((1, 1), np.float32(np.nan))),
    ],
)
def test_links_that_lead_out_are_not_followed(root, forge, whole, codes, name, change):
    """They are derived: codes are scanned in their place, and that is said; `verify` names the file."""
    forge(root, name, change(array_of(root, name)))
    index = graphret.open(root)
    expected = whole.query(codes[N:], 5, ranking="nearest", search="exact")
    found = index.query(codes[N:], 5, ranking="nearest")
    assert found.ids.tolist() == expected.ids.tolist()
    with pytest.raises(DamagedIndexError, match=name):
        index.query(codes[N], 5, search="graph")
    with pytest.raises(DamagedIndexError, match=name):
        index.verify()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["search"].update(beam=2**40), "search.beam"),
        (lambda m: m["search"].update(expanded_share=0), "search.expanded_share"),
        (lambda m: m["search"].update(method="magic"), "search.method"),
        (lambda m: m["parameters"].update(k="5"), "parameters.k"),
        (lambda m: m["parameters"].pop("k"), "parameters.k"),
        (lambda m: m["counts"].pop("patients"), "counts.patients"),
        (lambda m: m["counts"].update(films=N + 1), f"it counts {N + 1} films, there are {N}"),
        (lambda m: m["counts"].update(edges=1), "it counts 1 edges"),
        (lambda m: m["graph"].update(threshold="high"), "graph.threshold"),
        (lambda m: m["communities"].pop("quality"), "communities.quality"),
        (lambda m: m["source"].update(splits=[]), "source.splits"),
        (lambda m: m["novelty"].update(n_films=10**9), "novelty.similarities"),
        (lambda m: m["novelty"].update(similarities="%%%%"), "novelty.similarities"),
        (lambda m: m.update(encoder={"name": "x"}), "encoder.fingerprint"),
        (lambda m: m["files"]["codes.npy"].update(sha256="0"), r"the file 'codes\.npy'"),
        (lambda m: m["files"].update({"./codes.npy": m["files"]["codes.npy"]}), r"the file '\./codes\.npy'"),
        (lambda m: m["files"].update({"x" * 300: m["files"]["codes.npy"]}), "the file 'xxx"),
        (lambda m: m["files"].update({f"{n}": m["files"]["codes.npy"] for n in range(300)}), "it lists 31. files"),
        (lambda m: m["arrays"].update({"codes.npy": 3}), r"the array 'codes\.npy'"),
        (lambda m: m["communities"].update(sha256="0" * 64), "hash of the communities"),
    ],
)
def test_a_manifest_that_says_something_else(root, forge, change, message):
    forge(root, None, None, change)
    with pytest.raises(DamagedIndexError, match=message) as caught:
        graphret.open(root).verify()
    assert caught.value.file == root / "gen-000001" / "manifest.json"


def test_deep_verification_scores_edges_again(root, whole, forge):
    """Weights that are a graph, but not that of the codes; a plain verification cannot see it."""
    assert whole.verify(deep=True)["edges_checked"] == len(whole.graph.indices)
    weights = array_of(root, "graph-weights.npy")
    forged = np.round(weights * np.float32(0.9), 4)

    def change(manifest):
        digest = hashlib.sha256()
        for part in (array_of(root, "graph-indptr.npy"), array_of(root, "graph-indices.npy"), forged):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(part.tobytes())
        manifest["graph"]["sha256"] = digest.hexdigest()

    forge(root, "graph-weights.npy", forged, change)
    index = graphret.open(root)
    index.verify()
    with pytest.raises(DamagedIndexError, match=r"graph-weights.*have the cosine|graph-weights.*the cosine"):
        index.verify(deep=True)


@pytest.mark.parametrize("name", ["lengths.npy", "code-checksums.npy", "codes.npy"])
def test_deep_verification_compares_what_belongs_together(root, forge, name):
    old = array_of(root, name)
    forge(root, name, np.roll(old, 1, axis=0))
    index = graphret.open(root)
    index.verify()
    with pytest.raises(DamagedIndexError):
        index.verify(deep=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("options"),
        lambda t: t.update(options=[]),
        lambda t: t.update(ranking=3),
        lambda t: t.pop("tuned_on"),
        lambda t: t.update(apart={"ranking": 1}),
        lambda t: t.update(difference={"mean": "much"}),
        lambda t: t.update(metric={"shape": [10**9, 10**9], "numbers": "", "n_discriminant": 1}),
        lambda t: t.update(metric={"shape": [2, D]}),
        lambda t: t.update(schema_version="1"),
        lambda t: t.update(format="zip"),
    ],
)
def test_a_tuning_that_says_something_else(root, change):
    path = root / "ranking.json"
    tuning = json.loads(path.read_bytes())
    change(tuning)
    path.write_bytes(serialise(tuning))
    with pytest.raises(DamagedIndexError, match=r"ranking\.json.*--reset"):
        graphret.open(root)


HOSTILE = {
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": 1e999}',
    "a lone surrogate": b'{"a": "\\ud800"}',
    "a lone surrogate as a key": b'{"\\ud800": 1}',
    "100,000 levels": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "5,000 digits": b'{"a": ' + b"1" * 5_000 + b"}",
    "no object": b"[]",
    "nothing": b"",
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "twice a key": b'{"a": 1, "a": 2}',
}


@pytest.mark.parametrize("name", ["manifest.json", "ranking.json", "encoder.json"])
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_one_error_of_ours(root, tmp_path, name, content):
    if name == "encoder.json":
        (tmp_path / name).write_bytes(content)
        (tmp_path / "encoder.safetensors").write_bytes(b"")
        with pytest.raises(GraphretError, match=r"encoder\.json"):
            graphret.load_encoder(tmp_path)
        return
    path = root / name if name == "ranking.json" else root / "gen-000001" / name
    path.write_bytes(content)
    with pytest.raises(DamagedIndexError) as caught:
        graphret.open(root)
    assert caught.value.file == path


def rewritten(encoder, change):
    path = encoder / "encoder.json"
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "weights",
    [b"", b"\xff" * 8, (10**12).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"{]", b"\x00" * 7],
)
def test_weights_that_are_no_tensors(encoder, weights):
    rewritten(encoder, lambda d: d["weights"].update(sha256=hashlib.sha256(weights).hexdigest()))
    (encoder / "encoder.safetensors").write_bytes(weights)
    with pytest.raises(GraphretError, match=r"encoder\.safetensors"):
        graphret.load_encoder(encoder)


@pytest.mark.parametrize("key", ["config", "record", "fingerprint", "weights"])
@pytest.mark.parametrize("value", [None, 3, "x"])
def test_an_encoder_file_with_other_keys(encoder, key, value):
    rewritten(encoder, lambda d: d.update({key: value}))
    with pytest.raises(GraphretError):
        graphret.load_encoder(encoder)


PLACES = ["CURRENT", "ranking.json", "gen-000001/manifest.json", "gen-000001/codes.npy", "gen-000001/films.parquet"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "device", "holes"])
def test_what_is_no_plain_file_is_refused_without_waiting(root, tmp_path, place, kind):
    path = root / place
    content = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(8 * 2**30)
    with pytest.raises(StoreError, match=path.name):
        graphret.open(root)


@pytest.mark.parametrize("name", ["gen-000001", "gen-000001/search-codes.npy"])
def test_no_link_out_of_the_index_is_followed(root, tmp_path, name):
    (root / name).rename(tmp_path / "elsewhere")
    (root / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedIndexError, match=r"a link, (which|and) is not followed"):
        graphret.open(root).verify()


def test_a_link_in_the_place_of_the_encoders_folder(tmp_path, codes, saved):
    encoder = graphret.load_encoder(saved, device="cpu")
    stored = np.where(codes[:40] > 1, 1, -1).astype(np.float32).repeat(2, axis=1)[:, :16]
    root = graphret.build(np.ascontiguousarray(stored), encoder, out=tmp_path / "index", k=3, tune=False).path
    (root / "gen-000001" / "encoder").rename(tmp_path / "elsewhere")
    (root / "gen-000001" / "encoder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedIndexError, match="encoder: it is a link"):
        graphret.open(root)


def test_the_reference_of_the_structure():
    """Against scipy, on graphs of which one entry was changed."""
    import scipy.sparse

    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 9))
        dense = np.triu(rng.random((n, n)) < 0.4, 1)
        matrix = scipy.sparse.csr_array((dense + dense.T).astype(np.float32))
        indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
        weights = matrix.data.copy()
        assert structure_problem(indptr, indices, weights) is None
        if not len(indices):
            continue
        place, value = int(rng.integers(len(indices))), int(rng.integers(-1, n + 1))
        changed = indices.copy()
        changed[place] = value
        same = np.array_equal(changed, indices)
        assert (structure_problem(indptr, changed, weights) is None) == same


def test_packed_floats_of_any_length():
    from graphret.index.manifest_keys import is_packed_floats

    for n in range(9):
        text = base64.b64encode(np.zeros(n, "<f4").tobytes()).decode()
        assert [is_packed_floats(text, m) for m in range(9)] == [m == n for m in range(9)]


def test_too_many_open_files_are_no_damage(root):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, hard))  # noqa: PTH208
    kept = []
    try:
        for _ in range(20):  # as many as are let go can be opened
            graphret.open(root).query("film003", 3)
        with pytest.raises(StoreError) as caught:
            kept.extend(graphret.open(root) for _ in range(20))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not isinstance(caught.value, DamagedIndexError)
    assert "Too many open files" in str(caught.value)
    graphret.open(root).verify()


def test_a_file_that_may_not_be_read_is_no_damage(root, monkeypatch):
    import errno

    real = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith("codes.npy"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=r"cannot read .*codes\.npy: Permission denied") as caught:
        graphret.open(root)
    assert not isinstance(caught.value, DamagedIndexError)
