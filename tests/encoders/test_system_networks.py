"""The layers of the four hashing systems at the sizes of their papers, and what their options change."""

import logging

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from graphret._errors import EncoderError, UnknownNameError
from graphret.encoders import Encoder, create, encoder_spec
from graphret.encoders.encoder_config import EncoderConfig
from graphret.encoders.networks.attention_hash import AttentionBlock, InvertedPixels
from graphret.encoders.networks.fusion_hash import RefinementBlock, SpatialAttention
from graphret.encoders.pooling.regions import rmac_regions
from graphret.files import sha256_of


def grey(n=2, size=64, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((n, 1, size, size), dtype=np.float32))


def shapes_of(module, images, kinds):
    """Output shapes, without the batch, of the layers of some kinds, in the order in which they run."""
    seen = []
    hooks = [
        layer.register_forward_hook(
            lambda layer, _, output: seen.append((type(layer).__name__, tuple(output.shape[1:])))
        )
        for layer in module.modules()
        if isinstance(layer, kinds)
    ]
    with torch.inference_mode():
        module.eval()(images)
    for hook in hooks:
        hook.remove()
    return seen


def layers_of(module, kind):
    return [layer for layer in module.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize("n_blocks", [0, 1, 2])
def test_the_attention_network_of_p2(n_blocks):
    attention = create(f"attention_hash_pf{n_blocks}", n_labels=2, n_bits=8).attention
    assert [layer.kernel_size for layer in layers_of(attention.encoder, nn.Conv2d)] == [(5, 5)] * 5
    assert [layer.out_channels for layer in layers_of(attention.encoder, nn.Conv2d)] == [32, 32, 64, 64, 128]
    counts = [len(layers_of(attention.encoder, kind)) for kind in (nn.BatchNorm2d, nn.ELU, nn.MaxPool2d)]
    assert counts == [5, 5, 2]
    counts = [len(layers_of(attention.decoder, kind)) for kind in (nn.ConvTranspose2d, nn.BatchNorm2d, nn.ELU)]
    assert counts == [3, 2, 2]
    assert len(layers_of(attention, AttentionBlock)) == n_blocks
    seen = shapes_of(attention, grey(1, 224), (nn.MaxPool2d, nn.ConvTranspose2d))
    assert [shape for _, shape in seen] == [
        (32, 112, 112),
        (64, 56, 56),
        (64, 112, 112),
        (32, 224, 224),
        (1, 224, 224),
    ]


def test_the_input_of_p2_is_stretched_inverted_and_in_256_steps():
    film = torch.tensor([[0.2, 0.3], [0.45, 0.7]]).view(1, 1, 2, 2)
    expected = torch.tensor([[255, 204], [128, 0]]).view(1, 1, 2, 2) / 255
    torch.testing.assert_close(InvertedPixels()(film), expected, atol=1.01 / 255, rtol=0)
    steps = InvertedPixels()(grey()) * 255
    torch.testing.assert_close(steps, steps.round())
    assert torch.isfinite(InvertedPixels()(torch.zeros(1, 1, 4, 4))).all()


def test_the_hash_network_sees_the_film_and_its_salient_part():
    module = create("attention_hash_pf1", n_labels=2, n_bits=8).eval()
    images = grey()
    with torch.inference_mode():
        inputs, saliency = module.inputs(images), module.saliency(images)
    torch.testing.assert_close(inputs[:, 0], InvertedPixels()(images)[:, 0])
    torch.testing.assert_close(inputs[:, 1], inputs[:, 0] * saliency)
    assert module.backbone.conv1.in_channels == 2
    assert create("resnet18_hash", n_labels=2, n_bits=8).backbone.conv1.in_channels == 1


@pytest.mark.parametrize("name", ["resnet18_hash", "attention_hash_pf2", "fusion_hash"])
def test_weights_of_torchvision_are_taken_and_the_rest_stays_random(name, tmp_path, caplog):
    original = (models.resnet50 if name == "fusion_hash" else models.resnet18)(weights=None)
    path = tmp_path / "weights.pth"
    torch.save(original.state_dict(), path)
    with caplog.at_level(logging.INFO):
        module = create(name, n_labels=2, n_bits=8, weights=f"{path}#sha256={sha256_of(path)}")
    assert "hash does not fit" in caplog.text
    assert torch.equal(module.backbone.layer1[0].conv1.weight, original.layer1[0].conv1.weight)
    weight = module.backbone.conv1.weight
    if name == "fusion_hash":
        assert torch.equal(weight, original.conv1.weight)
    else:  # a grey film has three equal colours
        torch.testing.assert_close(weight.sum(1), original.conv1.weight.sum(1))


@pytest.mark.parametrize("gate", ["sigmoid", "tanh", "elu"])
def test_the_gate_decides_the_saliency(gate):
    torch.manual_seed(0)
    module = create("attention_hash_pf0", n_labels=2, n_bits=8, gate=gate).eval()
    with torch.inference_mode():
        raw, shown = module.attention(module.pixels(grey()))[:, 0], module.saliency(grey())
    assert shown.shape == (2, 64, 64)
    assert (shown >= 0).all()
    assert (shown <= 1).all()
    expected = {"sigmoid": raw, "tanh": (raw + 1) / 2}
    if gate in expected:
        torch.testing.assert_close(shown, expected[gate])
    else:
        assert raw.min() > -1
        assert shown.amax(dim=(1, 2)).tolist() == pytest.approx([1, 1])


def test_the_blocks_of_ynet():
    module = create("ynet", n_labels=2, n_bits=64).eval()
    with torch.inference_mode():
        maps = module.blocks(grey(1, 256))
        assert [tuple(block.shape[1:]) for block in maps] == [
            (32, 64, 64),
            (64, 32, 32),
            (128, 16, 16),
            (256, 8, 8),
        ]
        assert [tuple(block.shape[1:]) for block in module.fpn.blocks(*maps)] == [
            (32, 16, 16),
            (32, 32, 32),
            (32, 64, 64),
        ]
        assert tuple(module.rmac(maps[-1]).shape[1:]) == (512, 8, 8)
        outputs = module.outputs(grey(1, 256))
    assert outputs.mask_logits.shape == (1, 1, 64, 64)
    assert outputs.further["descriptors"].shape == (1, 512)
    assert outputs.logits.shape == (1, 2)
    regions = rmac_regions(8, 8)
    assert len(regions) == 14
    assert [sum(region.side == side for region in regions) for side in (8, 5, 4)] == [1, 4, 9]


@pytest.mark.parametrize(("n_bits", "shape"), [(36, (1, 6, 6)), (64, (1, 8, 8)), (128, (2, 8, 8)), (256, (4, 8, 8))])
def test_the_code_of_ynet_is_the_averaged_core(n_bits, shape):
    module = create("ynet", n_labels=2, n_bits=n_bits).eval()
    assert module.shape == shape
    with torch.inference_mode():
        core = module.blocks(grey(2, 256))[-1]
        codes = module.features(grey(2, 256))
    channels = 256 // shape[0]
    if shape[1] == 8:
        expected = torch.tanh(core.unflatten(1, (shape[0], channels)).mean(2)).flatten(1)
        torch.testing.assert_close(codes, expected)
    assert codes.shape == (2, n_bits)


def test_calibration_centres_every_bit_of_ynet():
    torch.manual_seed(1)
    module = create("ynet", n_labels=2, n_bits=16).eval()
    batches = [grey(5, seed=seed) for seed in range(3)]
    with torch.inference_mode():
        before = torch.cat([module.features(images) for images in batches])
        module.calibrate(batches)
        after = torch.cat([module.features(images) for images in batches])
    assert (before >= 0).all()
    torch.testing.assert_close((after > 0).sum(0), torch.full((16,), 7))  # of 15, one is the median itself
    plain = create("ynet", n_labels=2, n_bits=16, centre=False).eval()
    plain.load_state_dict(module.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(plain.features(batches[0]), before[:5])


@pytest.mark.parametrize(("fpn", "rmac"), [(True, True), (False, True), (True, False), (False, False)])
def test_the_ablations_of_ynet(fpn, rmac):
    module = create("ynet", n_labels=3, n_bits=16, fpn=fpn, rmac=rmac)
    names = {name.split(".")[0] for name, _ in module.named_parameters()}
    assert ("fpn" in names, "rmac" in names) == (fpn, rmac)
    outputs = module.outputs(grey())
    assert (outputs.mask_logits is not None) == fpn
    assert outputs.further["descriptors"].shape[1] == (512 if rmac else 256)


@pytest.mark.parametrize(
    ("descriptors", "channels"),
    [("full", 3), ("without_max_pooling", 2), ("without_max_pooling_and_mean", 1)],
)
def test_the_descriptors_of_p4(descriptors, channels):
    module = create("fusion_hash", n_labels=2, n_bits=8, descriptors=descriptors)
    assert module.attention.convolution.in_channels == channels
    maps = torch.rand(1, 4, 5, 5)
    seen = []
    module.attention.convolution.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module.attention(maps)
    torch.testing.assert_close(seen[0][:, 0], maps.amax(1))
    if channels > 1:
        torch.testing.assert_close(seen[0][:, 1], maps.mean(1))
    if channels > 2:
        around = nn.functional.pad(maps, (1, 1, 1, 1), value=-1.0).unfold(2, 3, 1).unfold(3, 3, 1)
        torch.testing.assert_close(seen[0][:, 2], around.amax((4, 5)).mean(1))


@pytest.mark.parametrize(("feature", "inputs"), [("fused", 4096), ("global", 2048), ("local", 2048)])
def test_the_features_of_p4(feature, inputs):
    module = create("fusion_hash", n_labels=2, n_bits=8, feature=feature)
    assert module.hash.in_features == inputs
    assert len(layers_of(module, RefinementBlock)) == (2 if feature == "fused" else 1)
    assert len(layers_of(module, SpatialAttention)) == (0 if feature == "global" else 1)
    assert module.features(grey(size=32)).shape == (2, 8)


def test_the_layers_of_p5():
    module = create("siamese_hash", n_labels=2, n_bits=48)
    seen = shapes_of(
        nn.Sequential(module.convolutions, nn.Flatten(), module.nodes, module.hash),
        grey(1, 64),
        (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.Linear),
    )
    assert seen == [
        ("Conv2d", (32, 64, 64)),
        ("MaxPool2d", (32, 32, 32)),
        ("Conv2d", (32, 32, 32)),
        ("AvgPool2d", (32, 16, 16)),
        ("Conv2d", (64, 16, 16)),
        ("AvgPool2d", (64, 8, 8)),
        ("Linear", (500,)),
        ("Linear", (48,)),
    ]
    for layer in layers_of(module, nn.Conv2d):
        assert layer.kernel_size == (5, 5)
    for layer in layers_of(module, (nn.MaxPool2d, nn.AvgPool2d)):
        assert (layer.kernel_size, layer.stride) == (3, 2)
    bound = (6 / (64 * 64 + 500)) ** 0.5  # Xavier
    assert module.nodes.weight.abs().max() <= bound
    assert module.nodes.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)


def test_a_longer_code_starts_from_a_shorter_one(tmp_path):
    short = Encoder.untrained("siamese_hash", ("a",), 32, n_bits=8, seed=1, device="cpu")
    short.save(tmp_path)
    longer = create("siamese_hash", n_labels=1, n_bits=20, weights=tmp_path).eval()
    assert torch.equal(longer.hash.weight[:8], short.tensors()["hash.weight"])
    assert longer.hash.weight[8:].abs().min() > 0
    with torch.inference_mode():
        codes = longer.features(grey(3, 32)).numpy()
    np.testing.assert_allclose(codes[:, :8], short.encode(grey(3, 32)[:, 0].numpy()), atol=1e-5)
    shorter = create("siamese_hash", n_labels=1, n_bits=4, weights=tmp_path)  # the other way the code stays random
    assert torch.equal(shorter.nodes.weight, short.tensors()["nodes.weight"])
    assert not torch.equal(shorter.hash.weight, short.tensors()["hash.weight"][:4])


def test_saliency_of_an_encoder():
    encoder = Encoder.untrained("attention_hash_pf1", ("a",), 48, device="cpu")
    images = grey(5, 48)[:, 0].numpy()
    maps = encoder.saliency(images, batch_size=2)
    assert maps.shape == (5, 48, 48)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps[3:4], encoder.saliency(images[3:4]), atol=1e-6)
    fused = Encoder.untrained("fusion_hash", ("a",), 48, n_bits=8, device="cpu")
    assert fused.saliency(images[:2]).shape == (2, 48, 48)
    for name, options in (("resnet18_hash", {}), ("densenet121", {}), ("fusion_hash", {"feature": "global"})):
        with pytest.raises(EncoderError, match="no spatial attention"):
            Encoder.untrained(name, ("a",), 48, device="cpu", **options).saliency(images[:1])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("attention_hash_pf0", {"gate": "relu"}),
        ("fusion_hash", {"descriptors": "none"}),
        ("fusion_hash", {"feature": "both"}),
    ],
)
def test_unknown_words_are_refused(name, options):
    with pytest.raises(UnknownNameError, match=next(iter(options))):
        create(name, n_labels=2, n_bits=8, **options)


def test_bits_of_the_siamese_hash_can_be_cut_at_their_medians(tmp_path):
    torch.manual_seed(0)
    plain = create("siamese_hash", n_labels=1, n_bits=12).eval()
    torch.manual_seed(0)
    centred = create("siamese_hash", n_labels=1, n_bits=12, centre=True).eval()
    images = torch.rand(41, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before = plain.features(images)
        centred.calibrate([images[:20], images[20:]])
        after = centred.features(images)
        torch.testing.assert_close(after, before - before.median(dim=0).values)
        assert (after >= 0).sum(dim=0).tolist() == [21] * 12
        torch.testing.assert_close(centred.outputs(images).codes, before)  # the loss reads what it read
    encoder = Encoder(centred, EncoderConfig("siamese_hash", 64, ("a",), 12, {"centre": True}), device="cpu")
    encoder.save(tmp_path)
    codes = encoder.encode(images[:, 0].numpy())
    assert (Encoder.load(tmp_path, device="cpu").encode(images[:, 0].numpy()) == codes).all()
    longer = create("siamese_hash", n_labels=1, n_bits=20, centre=True, weights=tmp_path)
    assert longer.median.eq(0).all()
    assert torch.equal(longer.hash.weight[:12], centred.hash.weight)
    spec = encoder_spec("siamese_hash")
    assert spec.fidelity_with({}) == spec.fidelity_with({"centre": False}) == "formula of the paper"
    assert spec.fidelity_with({"centre": True}) == "changed formula"
