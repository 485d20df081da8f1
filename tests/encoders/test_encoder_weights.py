"""Pretrained weights: torchvision's, torchxrayvision's, files; offline, damaged, tampered."""

import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from graphret._errors import (
    EncoderError,
    InvalidParameterError,
    MissingDependencyError,
    MissingFileError,
    UnknownNameError,
)
from graphret.encoders import Encoder, create, load_encoder
from graphret.files import sha256_of

IMAGES = torch.from_numpy(np.random.default_rng(0).random((2, 1, 32, 32), dtype=np.float32))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Empty caches of torch hub and torchxrayvision, and no network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def refuse(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    return tmp_path


def test_imagenet_offline_says_which_file_goes_where(offline):
    with pytest.raises(EncoderError) as caught:
        create("densenet121", n_labels=2, weights="imagenet")
    text = str(caught.value)
    assert str(offline / "torch" / "hub" / "checkpoints" / "densenet121-a639ec97.pth") in text
    assert models.DenseNet121_Weights.IMAGENET1K_V1.url in text
    assert "weights=PATH" in text
    assert not list((offline / "torch").rglob("*.pth"))


def test_imagenet_weights_in_the_cache_are_used_with_their_old_names(offline):
    torch.manual_seed(1)
    tensors = models.densenet121().state_dict()
    # The file that torchvision hosts calls the layers norm.1, conv.2, ... and has no batch counters.
    old = {
        key.replace("norm1.", "norm.1.")
        .replace("conv1.", "conv.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv2.", "conv.2."): value
        for key, value in tensors.items()
        if "num_batches" not in key
    }
    assert set(old) != set(tensors)
    file = offline / "torch" / "hub" / "checkpoints" / "densenet121-a639ec97.pth"
    file.parent.mkdir(parents=True)
    torch.save(old, file)
    module = create("densenet121", n_labels=2, weights="imagenet")
    assert torch.equal(
        module.backbone.denseblock1.denselayer1.conv2.weight, tensors["features.denseblock1.denselayer1.conv2.weight"]
    )
    assert module.classifier.out_features == 2


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_file_of_torchvisions_tensors(tmp_path, suffix):
    torch.manual_seed(1)
    tensors = models.resnet18(num_classes=7).state_dict()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save({"state_dict": tensors} if suffix == ".pt" else tensors, path)
    module = create("resnet18", n_labels=7, weights=path if suffix == ".safetensors" else summed(path))
    assert torch.equal(module.backbone.conv1.weight, tensors["conv1.weight"])
    assert torch.equal(module.classifier.weight, tensors["fc.weight"])


def test_a_classifier_for_other_labels_stays_random(tmp_path):
    source = Encoder.untrained("resnet18", ["a", "b", "c"], 32, seed=4, device="cpu")
    source.save(tmp_path)
    torch.manual_seed(0)
    fresh = create("resnet18", n_labels=2)
    torch.manual_seed(0)
    module = create("resnet18", n_labels=2, weights=tmp_path)
    assert torch.equal(module.classifier.weight, fresh.classifier.weight)
    assert torch.equal(module.backbone.conv1.weight, source.tensors()["backbone.conv1.weight"])
    same = create("resnet18", n_labels=3, weights=tmp_path / "encoder.safetensors")
    assert torch.equal(same.classifier.weight, source.tensors()["classifier.weight"])


def test_weights_of_another_architecture_are_refused(tmp_path):
    Encoder.untrained("resnet18", ["a"], 32, device="cpu").save(tmp_path)
    with pytest.raises(
        EncoderError, match=r"do not fit DenseNet121: backbone\.conv0\.weight is missing.* and \d+ more"
    ):
        create("densenet121", n_labels=1, weights=tmp_path)
    save_file(create("densenet121", n_labels=1).state_dict(), tmp_path / "d.safetensors")
    with pytest.raises(EncoderError, match=r"conv0\.weight has shape \(64, 3, 7, 7\) instead of \(64, 1, 7, 7\)"):
        create("densenet121", n_labels=1, pixels="xrayvision", weights=tmp_path / "d.safetensors")


def summed(path: Path) -> str:
    return f"{path}#sha256={sha256_of(path)}"


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_objects_are_never_unpickled(tmp_path, kind):
    marker, path = tmp_path / "executed", tmp_path / "weights.pth"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Malicious(marker)))
    else:
        torch.save(Malicious(marker), path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(EncoderError, match="objects are never unpickled"):
        create("resnet18", n_labels=1, weights=summed(path))
    assert not marker.exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_a_damaged_file_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00" * 100)
    with pytest.raises(EncoderError, match=name):
        create("resnet18", n_labels=1, weights=summed(tmp_path / name))


def test_what_is_no_weights_is_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r"missing\.pth"):
        create("resnet18", n_labels=1, weights=tmp_path / "missing.pth")
    with pytest.raises(UnknownNameError, match="did you mean 'imagenet'"):
        create("resnet18", n_labels=1, weights="imagnet")
    (tmp_path / "weights.h5").touch()
    with pytest.raises(InvalidParameterError, match=r"\.safetensors, \.pth or \.pt"):
        create("resnet18", n_labels=1, weights=tmp_path / "weights.h5")
    with pytest.raises(InvalidParameterError, match="None, 'imagenet', or a path"):
        create("resnet18", n_labels=1, weights="txrv:densenet121-res224-all")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(EncoderError, match="no dictionary of tensors"):
        create("resnet18", n_labels=1, weights=summed(tmp_path / "list.pth"))


def test_a_pickle_is_taken_with_its_sum_only(tmp_path):
    tensors = models.resnet18(num_classes=1).state_dict()
    for name in ("w.pth", "w.pt"):
        torch.save(tensors, tmp_path / name)
        with pytest.raises(InvalidParameterError, match=r"#sha256=HEX.*sha256sum FILE"):
            create("resnet18", n_labels=1, weights=tmp_path / name)
    save_file(tensors, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        with pytest.raises(EncoderError, match=r"have the sha256 [0-9a-f]{64}, not 0{64}"):
            create("resnet18", n_labels=1, weights=f"{tmp_path / name}#sha256={'0' * 64}")
        with pytest.raises(InvalidParameterError, match="64 hexadecimal digits"):
            create("resnet18", n_labels=1, weights=f"{tmp_path / name}#sha256=12ab")
        upper = f"{tmp_path / name}#sha256={sha256_of(tmp_path / name).upper()}"
        module = create("resnet18", n_labels=1, weights=upper)
        assert torch.equal(module.backbone.conv1.weight, tensors["conv1.weight"])
    with pytest.raises(InvalidParameterError, match="a folder alone"):
        create("resnet18", n_labels=1, weights=f"{tmp_path}#sha256={'0' * 64}")
    with pytest.raises(MissingFileError, match=r"never\.pth"):
        create("resnet18", n_labels=1, weights=f"{tmp_path / 'never.pth'}#sha256={'0' * 64}")


class TestXrayVision:
    """The files of torchxrayvision are whole pickled networks; here its own class makes one with random weights."""

    name = "densenet121-res224-nih"

    @pytest.fixture
    def network(self, offline):
        xrv = pytest.importorskip("torchxrayvision")
        torch.manual_seed(2)
        return xrv.models.DenseNet(num_classes=18).eval()

    @pytest.fixture
    def file(self, network, offline) -> Path:
        from torchxrayvision.models import model_urls

        file = offline / ".torchxrayvision" / "models_data" / Path(model_urls[self.name]["weights_url"]).name
        file.parent.mkdir(parents=True)
        return file

    @pytest.mark.parametrize("converted", [pytest.param(False, marks=pytest.mark.slow), True])
    def test_codes_and_probabilities_are_torchxrayvisions(self, network, file, converted):
        if converted:
            save_file(network.state_dict(), file.with_suffix(".safetensors"))
        else:
            torch.save(network, file)
        encoder = load_encoder(f"txrv:{self.name}", device="cpu")
        assert encoder.size == 224
        assert encoder.label_names[:2] == ("Atelectasis", "Consolidation")
        assert len(encoder.label_names) == 14
        assert encoder.trained
        images = np.random.default_rng(0).random((1, 224, 224), dtype=np.float32)
        with torch.inference_mode():
            film = torch.from_numpy(images)[:, None] * 2048 - 1024
            codes, probabilities = network.features2(film), torch.sigmoid(network(film))
        np.testing.assert_allclose(encoder.encode(images), codes, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(encoder.predict(images), probabilities[:, :14], atol=1e-4)

    def test_its_backbone_starts_a_network_with_other_labels(self, network, file):
        torch.save(network, file)
        module = create("densenet121", n_labels=3, weights=f"txrv:{self.name}")
        assert torch.equal(module.backbone.conv0.weight, network.features.conv0.weight)
        assert module(IMAGES).shape == (2, 3)

    def test_offline_says_which_file_goes_where(self, file):
        with pytest.raises(EncoderError) as caught:
            load_encoder(f"txrv:{self.name}", device="cpu")
        assert str(file) in str(caught.value)
        assert "https://" in str(caught.value)

    def test_a_file_of_an_old_torch_is_not_unpickled_but_explained(self, network, file):
        torch.save(network, file, _use_new_zipfile_serialization=False)
        with pytest.raises(EncoderError, match=r"convert it once.*save_file"):
            load_encoder(f"txrv:{self.name}", device="cpu")

    def test_a_tampered_file_runs_nothing(self, file, tmp_path):
        torch.save(Malicious(tmp_path / "executed"), file)
        with pytest.raises(EncoderError, match="cannot read pretrained weights"):
            load_encoder(f"txrv:{self.name}", device="cpu")
        assert not (tmp_path / "executed").exists()

    def test_an_unknown_name_lists_the_networks(self, network):
        with pytest.raises(UnknownNameError, match="txrv:densenet121-res224-nih"):
            load_encoder("txrv:densenet121-res224-hin", device="cpu")


def test_without_torchxrayvision_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchxrayvision.models", None)
    with pytest.raises(MissingDependencyError, match=r"graphret\[xray\]"):
        load_encoder("txrv:densenet121-res224-all", device="cpu")
