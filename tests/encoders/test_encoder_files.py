"""Folders of encoders: verified, replaced in one step, explained when damaged."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from graphret._errors import DeviceError, EncoderError, InvalidParameterError, MissingFileError, UnknownNameError
from graphret.encoders import Encoder, load_encoder
from graphret.encoders.encoder_config import EncoderConfig
from graphret.encoders.model_card import model_card

IMAGES = np.random.default_rng(0).random((2, 32, 32), dtype=np.float32)


def make(seed: int = 0, size: int = 32, labels=("Mass", "Nodule")) -> Encoder:
    return Encoder.untrained("resnet18", labels, size, seed, device="cpu")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """One saved encoder; tests that change files copy the folder."""
    folder = tmp_path_factory.mktemp("saved")
    make().save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def edit(folder: Path, change) -> None:
    document = json.loads((folder / "encoder.json").read_text())
    change(document)
    (folder / "encoder.json").write_text(json.dumps(document))


def test_tampered_weights_are_refused_by_name(folder):
    content = bytearray((folder / "encoder.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "encoder.safetensors").write_bytes(content)
    with pytest.raises(EncoderError, match=r"damaged encoder: .*encoder\.safetensors: its sha256"):
        Encoder.load(folder, device="cpu")


def test_truncated_and_missing_weights_are_refused_by_name(folder):
    weights = folder / "encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EncoderError, match=r"encoder\.safetensors"):
        Encoder.load(folder, device="cpu")
    weights.unlink()
    with pytest.raises(EncoderError, match=r"encoder\.safetensors is missing"):
        Encoder.load(folder, device="cpu")


def test_a_changed_config_is_refused(folder):
    edit(folder, lambda document: document["config"].update(size=64))
    with pytest.raises(EncoderError, match=r"encoder\.json: its config is not the one"):
        Encoder.load(folder, device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(format_version=2),
        lambda document: document.pop("record"),
        lambda document: document["weights"].pop("sha256"),
        lambda document: document["config"].update(name="resnet19"),
        lambda document: document["config"].update(colour="red"),
        lambda document: document["config"].pop("label_names"),
        lambda document: document["config"].update(label_names=["a"]),
    ],
)
def test_a_document_that_is_not_ours_is_an_encoder_error(folder, change):
    edit(folder, change)
    with pytest.raises(EncoderError, match="encoder"):
        Encoder.load(folder, device="cpu")


def test_json_that_is_none_is_an_encoder_error(folder):
    (folder / "encoder.json").write_text("{")
    with pytest.raises(EncoderError, match=r"encoder\.json"):
        Encoder.load(folder, device="cpu")


@pytest.mark.parametrize("killed_at", ["encoder.json.pending", "encoder.safetensors", "encoder.json", "MODEL_CARD.md"])
def test_a_kill_while_saving_leaves_the_old_or_the_new_encoder(folder, monkeypatch, killed_at):
    old, new = make(0), make(1)
    replace = Path.replace

    def until_killed(self, target):
        if Path(target).name == killed_at:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", until_killed)
        with pytest.raises(KeyboardInterrupt):
            new.save(folder)
    expected = old if killed_at in {"encoder.json.pending", "encoder.safetensors"} else new
    assert load_encoder(folder, device="cpu").fingerprint == expected.fingerprint
    new.save(folder)
    assert load_encoder(folder, device="cpu").fingerprint == new.fingerprint
    assert sorted(path.name for path in folder.iterdir()) == ["MODEL_CARD.md", "encoder.json", "encoder.safetensors"]


def test_the_fingerprint_is_of_config_and_weights():
    first = make()
    prints = {
        first.fingerprint,
        make(seed=1).fingerprint,
        make(size=64).fingerprint,
        make(labels=("A", "B")).fingerprint,
    }
    assert len(prints) == 4
    assert make().fingerprint == first.fingerprint
    assert first.resized(64).fingerprint == make(size=64).fingerprint
    assert len(first.fingerprint) == 64


def test_the_record_and_the_untrained_state_are_kept(folder):
    encoder = Encoder.load(folder, device="cpu")
    assert not encoder.trained
    assert "untrained" in repr(encoder)
    assert encoder.record == {"trained": False, "seed": 0}
    assert "**Untrained**" in (folder / "MODEL_CARD.md").read_text()
    versions = json.loads((folder / "encoder.json").read_text())["versions"]
    assert {"graphret", "torch", "torchvision"} <= set(versions)


def test_a_missing_folder_and_one_without_an_encoder(tmp_path):
    with pytest.raises(MissingFileError, match="none"):
        load_encoder(tmp_path / "none")
    with pytest.raises(MissingFileError, match="folder of a trained or saved encoder"):
        load_encoder(str(tmp_path))
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "checkpoint.json").touch()
    with pytest.raises(MissingFileError, match="has not finished"):
        load_encoder(tmp_path)


def test_load_encoder_by_name_is_untrained_seeded_and_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        encoder = load_encoder("resnet18", n_labels=3, seed=7, size=32, device="cpu")
    assert "untrained" in caplog.text
    assert encoder.label_names == ("label_0", "label_1", "label_2")
    assert encoder.size == 32
    np.testing.assert_array_equal(encoder.encode(IMAGES), make(seed=7).encode(IMAGES))
    assert load_encoder("resnet18", device="cpu").size == 224


def test_load_encoder_refuses_what_it_cannot_give(folder):
    with pytest.raises(UnknownNameError, match=r"densenet121, .*resnet18"):
        load_encoder("resnet")
    with pytest.raises(InvalidParameterError, match="n_labels=5 is not allowed: give 2 or nothing"):
        load_encoder(folder, n_labels=5, device="cpu")
    with pytest.raises(InvalidParameterError, match="n_bits=5"):
        load_encoder(folder, n_bits=5, device="cpu")
    with pytest.raises(InvalidParameterError, match="size=31"):
        load_encoder(folder, size=31, device="cpu")


def test_load_encoder_gives_another_size(folder):
    encoder = load_encoder(folder, size=48, n_labels=2, device="cpu")
    assert encoder.size == 48
    assert encoder.encode(np.zeros((1, 48, 48), np.float32)).shape == (1, 512)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_without_one_is_an_error_and_auto_says_what_it_took(caplog):
    from graphret._notes import note_once
    from graphret.encoders.inference.device import choose_device

    with pytest.raises(DeviceError, match="no CUDA device") as caught:
        Encoder.untrained("resnet18", ["a"], 32, device="cuda")
    assert caught.value.exit_status == 2
    note_once.cache_clear()
    with caplog.at_level(logging.INFO):
        assert choose_device("auto").type == choose_device("auto").type == "cpu"
    assert caplog.text.count("using the processor") == 1


def test_an_unknown_device_is_refused():
    with pytest.raises(UnknownNameError, match="auto, cpu, cuda"):
        Encoder.untrained("resnet18", ["a"], 32, device="gpu")


@pytest.mark.parametrize("labels", [(), ("a", "a")])
def test_label_names_are_there_and_different(labels):
    with pytest.raises(InvalidParameterError, match="label_names"):
        EncoderConfig("resnet18", 32, labels)


def test_nothing_is_printed(folder, capsys):
    load_encoder(folder, device="cpu").encode(IMAGES)
    load_encoder("resnet18", size=32, device="cpu").save(folder / "again")
    assert capsys.readouterr().out == ""


def test_the_card_shows_bits_and_escapes_its_cells():
    document = {
        "config": {"name": "x", "size": 32, "label_names": ["a|b"], "n_bits": 48, "options": {}},
        "code_length": 48,
        "fingerprint": "f",
        "record": {},
        "versions": {"torch": "1"},
    }
    spec = model_card(document)
    assert "| bits | 48 |" in spec
    assert "a\\|b" in spec
    assert "## Data" not in spec
    assert "## Limits" in spec
