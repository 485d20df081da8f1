"""The networks against torchvision's own, and their pixels against the stated ranges."""

import numpy as np
import pytest
import torch
from torchvision import models
from torchvision.transforms.v2.functional import normalize

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret._fidelity import FIDELITIES
from graphret.encoders import create, encoder_spec, list_encoders
from graphret.encoders.inference.pixels import ImageNetPixels, XrayVisionPixels
from graphret.files import sha256_of


def grey(n: int = 2, size: int = 64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((n, 1, size, size), dtype=np.float32))


@pytest.mark.parametrize(("name", "head"), [("densenet121", "classifier"), ("resnet18", "fc")])
def test_the_code_is_the_input_of_torchvisions_classifier(name, head, tmp_path):
    torch.manual_seed(3)
    original = getattr(models, name)(num_classes=5).eval()
    path = tmp_path / "weights.pth"
    torch.save(original.state_dict(), path)
    module = create(name, n_labels=5, weights=f"{path}#sha256={sha256_of(path)}").eval()
    seen = []
    getattr(original, head).register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    images = grey()
    with torch.inference_mode():
        pixels = normalize(images.repeat(1, 3, 1, 1), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        logits = original(pixels)
        torch.testing.assert_close(module.features(images), seen[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(module(images), logits, rtol=1e-4, atol=1e-5)


def test_imagenet_pixels():
    pixels = ImageNetPixels()(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
    assert pixels.shape == (2, 3, 1, 1)
    np.testing.assert_allclose(
        pixels[1, :, 0, 0], (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5
    )


def test_xrayvision_pixels_reach_from_minus_1024_to_1024():
    assert XrayVisionPixels()(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1024.0, 0.0, 1024.0]


def test_pixels_are_an_option_of_densenet121():
    module = create("densenet121", n_labels=1, pixels="xrayvision")
    assert module.backbone.conv0.in_channels == 1
    with pytest.raises(UnknownNameError, match="imagenet, xrayvision"):
        create("densenet121", n_labels=1, pixels="grey")


def test_drop_rate_acts_in_training_only():
    torch.manual_seed(0)
    module = create("densenet121", n_labels=1, drop_rate=0.5)
    images = grey()
    assert not torch.equal(module.features(images), module.features(images))
    module.eval()
    assert torch.equal(module.features(images), module.features(images))
    with pytest.raises(InvalidParameterError, match="drop_rate=1"):
        create("densenet121", n_labels=1, drop_rate=1)


@pytest.mark.slow
def test_memory_efficient_recomputes_and_gives_the_same_gradient():
    gradients, stored = [], []
    for efficient in (False, True):
        torch.manual_seed(0)
        module = create("densenet121", n_labels=1, memory_efficient=efficient)
        sizes: list[int] = []

        def keep(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = module(grey()).sum()
        stored.append(sum(sizes))
        loss.backward()
        gradients.append(module.backbone.conv0.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
    assert stored[1] < stored[0]


def test_the_number_of_labels_does_not_change_the_random_backbone():
    networks = []
    for n_labels in (1, 14):
        torch.manual_seed(5)
        networks.append(create("densenet121", n_labels=n_labels).eval())
    assert torch.equal(networks[0].features(grey()), networks[1].features(grey()))


def test_every_encoder_says_how_close_it_is_to_its_paper():
    found = {name: encoder_spec(name).fidelity for name in list_encoders()}
    assert set(found.values()) <= set(FIDELITIES)
    changed = {name for name, fidelity in found.items() if fidelity == "changed formula"}
    aggregations = {"blcf", "cam", "crow", "gem", "regional_attention", "rmac", "spoc"}
    assert changed == {"ath", "cnnh", "dh", "ynet", *aggregations}
    unread = {name for name, fidelity in found.items() if fidelity in {"abstract only", "public implementation"}}
    newer = {"csq", "dfh", "dpn", "dtsh", "greedyhash", "orthohash", "bihalf", "cibhash", "greedyhash_unsupervised"}
    regions = {"deep_vision_solo", "rmac_rpn", "solar_local"}
    assert unread == {"ddmh", "drh", "osdh", "gist", "gabor_schmid", *regions, *newer}
