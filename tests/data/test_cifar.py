"""CIFAR-10's binary version, on tiny batches: images, classes, splits, and files that are something else."""

import numpy as np
import pytest

from graphret._errors import DataError, FilmError, MissingFileError
from graphret.data import read_dataset, read_film, read_pixels
from graphret.data.cifar import CIFAR_LABELS
from graphret.data.isolated import IsolatedReader

BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def write_batches(folder, n=4):
    """Write six batches of n images; return their classes and colours by batch, (n,) and (n, 32, 32, 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    made = {}
    for batch in BATCHES:
        classes = rng.integers(0, 10, n)
        colours = rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
        content = b""
        for kind, image in zip(classes, colours, strict=True):  # as the owners describe it: class, red, green, blue
            content += bytes([kind])
            for channel in range(3):
                for row in range(32):
                    content += bytes(image[row, :, channel].tolist())
        (folder / f"{batch}.bin").write_bytes(content)
        made[batch] = classes, colours
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR_LABELS) + "\n\n", encoding="ascii")
    return made


@pytest.mark.parametrize("inside", [".", "cifar-10-batches-bin"])
def test_every_image_is_its_luma_and_its_class(tmp_path, inside):
    made = write_batches(tmp_path / inside)
    table = read_dataset("cifar10", tmp_path)
    assert table.ids.tolist() == [f"{batch}-{number:05d}" for batch in BATCHES for number in range(1, 5)]
    assert table.label_names == CIFAR_LABELS
    assert table.labels.argmax(axis=1).tolist() == [kind for classes, _ in made.values() for kind in classes]
    assert set(table.labels.sum(axis=1)) == {1}
    assert table.patients.tolist() == table.ids.tolist()
    for row, name in enumerate(table.ids.tolist()):
        batch, _, number = name.rpartition("-")
        expected = made[batch][1][int(number) - 1].astype(np.float64) @ [0.299, 0.587, 0.114] / 255
        np.testing.assert_allclose(table.read(row), expected, atol=1e-6)
        assert (table.splits[row] == "test") == (batch == "test_batch")


def test_a_tenth_of_the_training_images_chooses_the_epoch(tmp_path):
    write_batches(tmp_path, 100)
    splits, counts = np.unique(read_dataset("cifar10", tmp_path).splits, return_counts=True)
    found = dict(zip(splits.tolist(), counts.tolist(), strict=True))
    assert found["test"] == 100
    assert found["train"] + found["valid"] == 500
    assert 30 <= found["valid"] <= 70  # drawn by a hash of the id


def test_an_image_is_decoded_in_another_process_as_here(tmp_path):
    write_batches(tmp_path)
    path = str(read_dataset("cifar10", tmp_path).paths[5])
    assert path.endswith("data_batch_2.bin#frame=2")
    with IsolatedReader() as reader:
        np.testing.assert_array_equal(reader.read_pixels(path), read_pixels(path))


def test_an_image_that_is_not_there_or_not_named(tmp_path):
    write_batches(tmp_path)
    batch = tmp_path / "data_batch_1.bin"
    with pytest.raises(FilmError, match=r"it holds 4 images: name one, as data_batch_1\.bin#frame=1"):
        read_film(batch)
    with pytest.raises(FilmError, match="it has 4 images, and no image 5"):
        read_film(f"{batch}#frame=5")
    content = bytearray(batch.read_bytes())
    content[3073] = 10
    batch.write_bytes(content)
    with pytest.raises(FilmError, match="image 2 is of class 10"):
        read_film(f"{batch}#frame=2")
    with pytest.raises(DataError, match=r"data_batch_1.bin: image 2 is of class 10: CIFAR-10 has the classes 0 to 9"):
        read_dataset("cifar10", tmp_path)
    batch.write_bytes(content[:-1])
    with pytest.raises(DataError, match="has 12,291 bytes, no multiple of the 3,073 of an image"):
        read_dataset("cifar10", tmp_path)
    with pytest.raises(FilmError, match="not an image"):
        read_film(batch)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r"looked in \., cifar-10-batches-bin"):
        read_dataset("cifar10", tmp_path)
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x02}q\x01.")
    with pytest.raises(DataError, match="the Python version of CIFAR-10, which is pickled and never read"):
        read_dataset("cifar10", tmp_path)
    write_batches(tmp_path)
    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(MissingFileError, match="all six are needed"):
        read_dataset("cifar10", tmp_path)
    write_batches(tmp_path)
    (tmp_path / "batches.meta.txt").write_text("apple\nbear\n", encoding="ascii")
    with pytest.raises(DataError, match="names the classes apple, bear: this is not CIFAR-10"):
        read_dataset("cifar10", tmp_path)
