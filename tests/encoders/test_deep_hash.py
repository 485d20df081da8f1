"""Networks of deep hashing: heads, backbones, pretrained weights, and their form for a processor."""

import pytest
import torch
from torchvision import models

from graphret._errors import EncoderError, InvalidParameterError, UnknownNameError
from graphret.encoders import create, encoder_spec
from graphret.encoders.networks.deep_hash import DivideAndEncode
from graphret.encoders.registry.comparison_specs import COMPARISON_SPECS
from graphret.files import sha256_of

HASHES = [spec.name for spec in COMPARISON_SPECS if spec.kind == "hash"]
BITS = 12


def images_of(n: int = 4, size: int = 64) -> torch.Tensor:
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(0))


def network(name: str, backbone: str = "small_cnn", n_labels: int = 3):
    torch.manual_seed(0)
    n_bits = BITS if encoder_spec(name).kind == "hash" else None
    return create(name, n_labels=n_labels, n_bits=n_bits, backbone=backbone)


@pytest.mark.parametrize("name", HASHES)
def test_outputs_are_codes_and_logits_where_it_classifies(name):
    module = network(name).eval()
    with torch.inference_mode():
        outputs = module.outputs(images_of())
        torch.testing.assert_close(outputs.codes, module.features(images_of()))
        assert outputs.codes.shape == (4, BITS)
        if encoder_spec(name).classifies:
            assert module(images_of()).shape == (4, 3)
        else:
            assert outputs.logits is None
            with pytest.raises(EncoderError, match="no classifier"):
                module(images_of())


def test_divide_and_encode_gives_every_bit_a_slice_of_its_own():
    torch.manual_seed(0)
    head = DivideAndEncode(8, 3, width=5)
    pooled = torch.rand(2, 8)
    hidden = torch.relu(head.expand(pooled))
    for bit in range(3):
        own = hidden[:, 5 * bit : 5 * bit + 5] @ head.weight[bit] + head.bias[bit]
        torch.testing.assert_close(head(pooled)[:, bit], own)


def test_the_gate_of_ath_is_a_convolution_of_mean_and_maximum():
    module = network("ath").eval()
    with torch.inference_mode():
        maps = module.maps(images_of())
        seen = torch.stack([maps.mean(dim=1), maps.amax(dim=1)], dim=1)
        gate = torch.sigmoid(torch.nn.functional.conv2d(seen, module.attention.weight, padding=1))
        torch.testing.assert_close(module.pooled(images_of()), (maps * gate).mean(dim=(2, 3)))
        assert gate.std() > 0
        saliency = module.saliency(images_of())
        assert saliency.shape == (4, 64, 64)
        assert gate.min() <= saliency.min() <= saliency.max() <= gate.max()


@pytest.mark.parametrize(
    ("name", "backbone"),
    [*((name, "small_cnn") for name in ("dsh", "ath", "gem", "rmac", "cam")), ("dsh", "resnet50"), ("gem", "resnet18")],
)
def test_the_folded_form_is_the_same_function(name, backbone):
    module = network(name, backbone).eval()
    random = torch.Generator().manual_seed(1)
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.2, generator=random)
            norm.running_var.uniform_(0.5, 1.5, generator=random)
            norm.bias.data.normal_(0, 0.3, generator=random)
    form = module.for_inference()
    assert form is not module
    images = images_of(2)
    with torch.inference_mode():
        expected = module.features(images)
        torch.testing.assert_close(form.features(images), expected, rtol=0, atol=2e-5 * expected.abs().max().item())
        if encoder_spec(name).classifies:
            torch.testing.assert_close(form.forward(images), module(images), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in form.modules())
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in module.modules())


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "backbone", ["resnet18", pytest.param("resnet50", marks=SLOW), pytest.param("densenet121", marks=SLOW)]
)
def test_torchvisions_weights_start_the_backbone(backbone, tmp_path):
    torch.manual_seed(3)
    original = getattr(models, backbone)(num_classes=3).eval()
    path = tmp_path / "weights.pth"
    torch.save(original.state_dict(), path)
    for name in ("spoc",) if backbone == "resnet50" else ("dpsh", "spoc"):
        n_bits = BITS if name == "dpsh" else None
        module = create(
            name, n_labels=3, n_bits=n_bits, weights=f"{path}#sha256={sha256_of(path)}", backbone=backbone
        ).eval()
        with torch.inference_mode():
            pixels = module.pixels(images_of(2))
            if name == "spoc":  # its classifier fits and comes along
                torch.testing.assert_close(module(images_of(2)), original(pixels), rtol=1e-4, atol=1e-5)
            wanted = dict(original.named_parameters())
            key = "features.conv0.weight" if backbone == "densenet121" else "conv1.weight"
            assert torch.equal(module.state_dict()["backbone." + key.removeprefix("features.")], wanted[key])


def test_a_saved_encoder_starts_one_of_another_length(tmp_path):
    from graphret.encoders import Encoder

    source = Encoder.untrained("dsh", ["a"], 32, seed=4, n_bits=8, device="cpu", backbone="small_cnn")
    source.save(tmp_path)
    torch.manual_seed(0)
    fresh = network("dsh", n_labels=1)
    torch.manual_seed(0)
    module = create("dsh", n_labels=1, n_bits=BITS, weights=tmp_path, backbone="small_cnn")
    assert torch.equal(module.backbone.conv1.weight, source.tensors()["backbone.conv1.weight"])
    assert torch.equal(module.hash.weight, fresh.hash.weight)


def test_a_backbone_that_nobody_trained_has_no_imagenet_weights():
    with pytest.raises(InvalidParameterError, match="nobody has trained this backbone"):
        create("dsh", n_labels=1, n_bits=8, weights="imagenet", backbone="small_cnn")


def test_an_unknown_backbone_lists_them():
    with pytest.raises(UnknownNameError, match="densenet121, resnet18, resnet50, small_cnn"):
        create("gem", n_labels=1, backbone="vgg")
