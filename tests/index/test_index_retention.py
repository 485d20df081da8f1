"""Old generations: how many stay, which ones, and how they go."""

import shutil

import numpy as np
import pytest

import graphret
from graphret._errors import InvalidParameterError
from graphret.files import link_or_copy, remove_folder
from graphret.index import store
from graphret.index.manifest import read_manifest


@pytest.fixture
def root(codes, tmp_path):
    return graphret.build(codes, out=tmp_path / "index", k=3, tune=False).path


def again(root, keep=store.KEEP):
    """Publish the current generation once more, its files as hard links."""
    before = root / store.current_name(root)
    manifest = read_manifest(before)

    def write(folder):
        for name in manifest["files"]:
            link_or_copy(before / name, folder / name)
        return {key: value for key, value in manifest.items() if key != "sha256"}

    return store.publish(root, write, keep=keep)


def test_as_many_generations_stay_as_are_asked_for(root):
    for keep, there in ((1, [2]), (3, [2, 3]), (3, [2, 3, 4]), (3, [3, 4, 5]), (2, [5, 6])):
        name = again(root, keep)
        assert store.generation_names(root) == [f"gen-{number:06d}" for number in there]
        assert store.lineage(root, name) == store.generation_names(root)[::-1]
        assert graphret.open(root).verify()["unused"] == []


def test_files_that_are_the_same_are_linked_and_not_hashed_again(root, monkeypatch):
    from graphret.index import manifest

    def never(path):
        raise AssertionError(path)

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "sha256_of", never)
        name = again(root)
    assert (root / name / "codes.npy").samefile(root / "gen-000001" / "codes.npy")
    graphret.open(root).verify()


def test_what_never_became_current_goes_first(root):
    shutil.copytree(root / "gen-000001", root / "gen-000002")
    assert again(root, keep=5) == "gen-000003"
    assert store.generation_names(root) == ["gen-000001", "gen-000003"]


def test_an_old_generation_is_renamed_before_its_files_go(root, monkeypatch):
    """Killed in the middle of the removal: no half generation has the name of one, and the next writer clears up."""
    again(root)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            again(root)
    assert "gen-000001" not in store.generation_names(root)
    assert np.array_equal(graphret.open(root).codes, np.load(root / "gen-000003" / "codes.npy"))
    assert list(root.glob(".gen-000001.partial-*"))
    again(root)
    assert not list(root.glob(".gen-*"))


def test_a_folder_goes_in_one_step(tmp_path):
    (tmp_path / "old" / "inner").mkdir(parents=True)
    remove_folder(tmp_path / "old")
    assert list(tmp_path.iterdir()) == []


def test_keep_is_checked():
    for wrong in (0, -1, 1.5, "2", True):
        with pytest.raises(InvalidParameterError, match="keep"):
            store.check_keep(wrong)
