"""Films with colours: read, resized, encoded, trained on, indexed and asked for, the same on every path."""

import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import graphret
from graphret._errors import FilmError, InvalidParameterError
from graphret.data import ImageTable, read_dataset_spec, read_film, read_pixels
from graphret.data.cards import DatasetSpec
from graphret.data.isolated import Decoding
from graphret.data.origin import SpecOrigin
from graphret.encoders import Encoder, create, encoder_spec, list_encoders
from graphret.encoders.inference.colours import prepare_colours
from graphret.encoders.inference.resize import prepare_film
from graphret.encoding import encode_films
from graphret.training import TrainConfig, train

LUMA = np.float32([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Sixteen discs on a ground; the classes have the same luma and another hue, so that grey cannot tell them."""
    folder, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    hues = np.float64([[200, 40, 0], [20, 132, 0]])  # luma 83 both
    y, x = np.mgrid[:40, :48]
    paths = []
    for number in range(16):
        disc = ((y - rng.uniform(12, 28)) ** 2 + (x - rng.uniform(12, 36)) ** 2) < 100
        picture = np.full((40, 48, 3), 20.0)
        picture[disc] = hues[number % 2]
        picture += rng.integers(0, 3, (40, 48, 1))
        paths.append(folder / f"{number}.png")
        Image.fromarray(picture.astype(np.uint8)).save(paths[-1])
    return paths


@pytest.fixture
def films(colours):
    group = np.arange(16) % 2
    splits = ["train"] * 10 + ["valid"] * 6
    names = [path.stem for path in colours]
    return ImageTable(
        names, [str(p) for p in colours], np.eye(2, dtype=np.int8)[group], ("red", "green"), splits=splits
    )


def test_colours_are_read_as_they_are_stored(colours, tmp_path):
    stored = np.asarray(Image.open(colours[0]))
    np.testing.assert_array_equal(read_pixels(colours[0], colour=True), stored)
    np.testing.assert_allclose(read_pixels(colours[0]), stored @ LUMA / 255, atol=1e-6)
    rng = np.random.default_rng(0)
    alpha = rng.integers(0, 256, (5, 4, 4), dtype=np.uint8)
    Image.fromarray(alpha, "RGBA").save(tmp_path / "alpha.png")
    over_black = alpha[..., :3] / 255.0 * (alpha[..., 3:] / 255.0)
    found = read_pixels(tmp_path / "alpha.png", colour=True)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, over_black, atol=1e-6)
    np.testing.assert_allclose(read_pixels(tmp_path / "alpha.png"), over_black @ LUMA, atol=1e-6)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_pixels(tmp_path / "turned.png", colour=True), np.rot90(stored, -1))
    grey = rng.integers(0, 256, (5, 4), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_pixels(tmp_path / "grey.png", colour=True), grey)


def test_what_has_no_colours_that_are_read_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "film.tif")
    with pytest.raises(FilmError, match="colours of a TIFF file are not read: save it as PNG"):
        read_pixels(tmp_path / "film.tif", colour=True)
    assert read_film(tmp_path / "film.tif").shape == (4, 4)


def test_processes_apart_read_no_colours_and_say_so(films):
    coloured = Encoder.untrained("gem", films.label_names, 32, device="cpu", backbone="small_cnn", channels=3)
    with pytest.raises(InvalidParameterError, match="isolate=True"):
        encode_films(films, coloured, decoding=Decoding(isolate=True))
    with pytest.raises(InvalidParameterError, match="decoders='processes'"):
        encode_films(films, coloured, decoding=Decoding(decoders="processes"))


def test_each_channel_is_resized_as_a_film(colours):
    pixels = read_pixels(colours[0], colour=True)
    found = prepare_colours(pixels, 32)
    for channel in range(3):
        np.testing.assert_array_equal(found[channel], prepare_film(np.ascontiguousarray(pixels[..., channel]), 32))


COLOUR = [name for name in list_encoders() if encoder_spec(name).colour]


def untrained(name, **options):
    if "backbone" in encoder_spec(name).options:
        options["backbone"] = "small_cnn"
    bits = 16 if encoder_spec(name).kind == "hash" else None
    return Encoder.untrained(name, ["a", "b"], 32, n_bits=bits, device="cpu", **options)


@pytest.mark.parametrize("name", ["densenet121", "resnet18", "ynet", "fusion_hash", "dpsh", "gem"])
def test_a_network_is_given_three_channels_normalised_one_by_one(name):
    """Codes are those of the module on normalised colours."""
    assert name in COLOUR
    encoder = untrained(name, channels=3)
    images = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    network = encoder._network.module
    normalised = (torch.from_numpy(images) - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    pixels, network.pixels = network.pixels, torch.nn.Identity()
    with torch.inference_mode():
        wanted = network.features(normalised).numpy()
    network.pixels = pixels
    found = encoder.encode(images)
    np.testing.assert_allclose(found, wanted, atol=2e-4 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("name", ["ynet", "dpsh", "gem"])
def test_a_grey_film_is_one_of_three_equal_channels(name):
    encoder, grey = untrained(name, channels=3), untrained(name)
    images = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    found, equal = encoder.encode(images), np.repeat(images[:, :1], 3, axis=1)
    np.testing.assert_allclose(encoder.encode(equal), grey.encode(images[:, 0]), atol=1e-4 * np.abs(found).max())
    assert np.abs(found - encoder.encode(equal)).max() > 1e-4
    assert encoder.fingerprint != grey.fingerprint
    assert "channels" not in grey.config.options
    with pytest.raises(InvalidParameterError, match=r"float32 \(b, 3, 32, 32\)"):
        encoder.encode(images[:, 0])
    with pytest.raises(InvalidParameterError, match=r"float32 \(b, 32, 32\)"):
        grey.encode(images)


@pytest.mark.parametrize("name", sorted(set(list_encoders()) - set(COLOUR)))
def test_an_encoder_of_grey_films_says_so(name):
    with pytest.raises(InvalidParameterError, match="it reads grey films only"):
        create(name, n_labels=2, channels=3)


@pytest.mark.parametrize("value", [0, 2, 4, True, "3"])
def test_other_numbers_of_channels_are_refused(value):
    with pytest.raises(InvalidParameterError, match="1 for grey films, or 3 for colours"):
        create("resnet18", n_labels=2, channels=value)
    with pytest.raises(InvalidParameterError, match="it reads grey films only"):
        create("densenet121", n_labels=2, channels=3, pixels="xrayvision")


def test_an_index_of_colours_answers_alike_by_path_and_array(films, colours, tmp_path):
    encoder = Encoder.untrained("gem", films.label_names, 32, device="cpu", backbone="small_cnn", channels=3)
    encoder.save(tmp_path / "encoder")
    encoder = Encoder.load(tmp_path / "encoder", device="cpu")
    assert encoder.reads_colour
    assert "film of three colours" in (tmp_path / "encoder" / "MODEL_CARD.md").read_text(encoding="utf-8")
    index = graphret.build(films, encoder, out=tmp_path / "index", k=4, tune=False)
    assert index.manifest["encoder"]["channels"] == 3
    pixels = np.stack([encoder.prepare(read_pixels(path, colour=True)) for path in colours])
    np.testing.assert_allclose(np.asarray(index.codes), encoder.encode(pixels), atol=1e-6)
    image = Image.open(colours[3])
    asked = [
        graphret.open(tmp_path / "index").query(what, k=5)
        for what in (str(colours[3]), image, np.asarray(image), [np.asarray(image) / np.float32(255)])
    ]
    for hits in asked:
        np.testing.assert_array_equal(np.ravel(hits.positions), np.ravel(asked[0].positions))
        np.testing.assert_allclose(np.ravel(hits.similarities), np.ravel(asked[0].similarities), atol=1e-6)
    grey = Encoder.untrained("gem", films.label_names, 32, device="cpu", backbone="small_cnn")
    assert "channels" not in graphret.build(films, grey, out=tmp_path / "grey", k=4, tune=False).manifest["encoder"]


@pytest.mark.parametrize("in_memory", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_training_sees_the_colours(films, tmp_path, in_memory):
    """The classes differ in hue alone; augmentation keeps three channels."""
    shared = {"n_bits": 8, "size": 32, "epochs": 4, "batch_size": 5, "device": "cpu", "augmentation": 0.3, "seed": 1}
    cache = {} if in_memory else {"cache_bytes": 0}
    config = TrainConfig.for_encoder(
        "dpsh", options={"backbone": "small_cnn", "channels": 3}, learning_rate=3e-3, **shared, **cache
    )
    encoder = train(films, "dpsh", out=tmp_path, config=config)
    assert encoder.reads_colour
    codes = encoder.encode(np.stack([encoder.prepare(films.read_pixels(row, colour=True)) for row in range(16)]))
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    nearest = np.where(np.eye(16), -2, unit @ unit.T).argmax(axis=1)
    assert (nearest % 2 == np.arange(16) % 2).mean() > 0.8


def test_other_channels_than_the_spec_says_are_said(films, tmp_path, caplog):
    spec = DatasetSpec("eyes", "Eyes", "folder", labels=films.label_names, channels=3)
    assert DatasetSpec.from_json(spec.to_json()) == spec
    assert read_dataset_spec("fundus").channels == 3
    assert "channels" not in read_dataset_spec("nih").to_json()
    coloured = ImageTable(films.ids, films.paths, films.labels, films.label_names, spec="eyes", origin=SpecOrigin(spec))
    grey = Encoder.untrained("gem", films.label_names, 32, device="cpu", backbone="small_cnn")
    with caplog.at_level(logging.WARNING):
        encode_films(coloured, grey)
    (said,) = [record.getMessage() for record in caplog.records if "eyes" in record.getMessage()]
    assert "16 films of eyes have colours" in said
    assert "the option channels=3" in said


def test_grey_films_and_colours_in_the_other_kind_of_encoder_are_said(colours, tmp_path):
    """In a process of its own, because each is said once."""
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "grey.png")
    code = (
        "import logging, sys; logging.basicConfig(level=logging.WARNING)\n"
        "from graphret.data import read_pixels\n"
        "from graphret.encoders.inference.colours import prepare_colours\n"
        "for _ in range(2):\n"
        "    read_pixels(sys.argv[1])\n"
        "    prepare_colours(read_pixels(sys.argv[2], colour=True), 32)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(colours[0]), str(tmp_path / "grey.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr.count("are read as grey, by their luma") == 1
    assert ran.stderr.count("three channels are equal") == 1
