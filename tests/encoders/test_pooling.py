"""Aggregations of maps against literal references, and the encoders that are made of them."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.encoders import create, encoder_spec
from graphret.encoders.encoder_config import EncoderConfig
from graphret.encoders.networks.backbone_names import BACKBONE_CHANNELS
from graphret.encoders.networks.backbones import create_backbone
from graphret.encoders.pooling.blcf import BLCF
from graphret.encoders.pooling.cam import CAM, class_activation_maps
from graphret.encoders.pooling.crow import CroW, channel_weights
from graphret.encoders.pooling.gem import GeM
from graphret.encoders.pooling.kmeans import RowSample, kmeans, nearest_rows
from graphret.encoders.pooling.regional_attention import RegionalAttention
from graphret.encoders.pooling.regions import region_averages, region_maxima, rmac_regions
from graphret.encoders.pooling.rmac import RMAC
from graphret.encoders.pooling.spoc import SPoC, centre_prior

DENSE = ("blcf", "cam", "crow", "gem", "regional_attention", "rmac", "spoc")


def some_maps(b: int = 3, c: int = 6, h: int = 7, w: int = 7, seed: int = 0) -> torch.Tensor:
    """Like the output of a ReLU: half of the values are zero, and one channel is dead."""
    maps = torch.randn(b, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).relu()
    maps[:, 2] = 0
    return maps


def test_rmac_has_14_regions_of_square_maps_at_three_scales():
    for side in range(2, 20):
        regions = rmac_regions(side, side)
        assert [sum(region.side == size for region in regions) for size in sorted({r.side for r in regions})[::-1]]
        assert len(regions) == 14
        assert len(rmac_regions(side, side, n_scales=4)) == 30
    sides = [region.side for region in rmac_regions(8, 8)]
    assert sides == [8] + [5] * 4 + [4] * 9
    assert {(r.top, r.left) for r in rmac_regions(8, 8)[5:]} == {(y, x) for y in (0, 2, 4) for x in (0, 2, 4)}
    assert rmac_regions(1, 1) == [(0, 0, 1)] * 14


@pytest.mark.parametrize("height", [1, 2, 5, 7, 12])
@pytest.mark.parametrize("width", [1, 3, 7, 16])
def test_regions_lie_inside_and_cover_the_maps(height, width):
    regions = rmac_regions(height, width)
    covered = np.zeros((height, width), dtype=bool)
    for top, left, side in regions:
        assert 0 <= top <= height - side
        assert 0 <= left <= width - side
        covered[top : top + side, left : left + side] = True
    if max(height, width) <= 6 * min(height, width):
        assert covered.all()
    turned = [(left, top, side) for top, left, side in rmac_regions(width, height)]
    assert sorted(turned) == sorted(tuple(region) for region in regions)


def test_largest_regions_of_oblong_maps_overlap_by_about_40_percent():
    for width in (10, 14, 20):
        starts = [region.left for region in rmac_regions(8, width) if region.side == 8]
        step = (width - 8) / (len(starts) - 1)
        shares = {count: abs(1 - (width - 8) / (count - 1) / 8 - 0.4) for count in range(2, 8)}
        assert abs(1 - step / 8 - 0.4) == min(shares.values())


def test_rmac_is_the_sum_of_region_maxima_of_length_one():
    maps = some_maps(h=8, w=8)
    found = RMAC()(maps)
    for film in range(3):
        total = np.zeros(6)
        for top, left, side in rmac_regions(8, 8):
            vector = maps[film, :, top : top + side, left : left + side].numpy().max(axis=(1, 2))
            total += vector / np.linalg.norm(vector)
        np.testing.assert_allclose(found[film], total)
    assert not torch.equal(RMAC(n_scales=2)(maps), found)


def test_gem_is_the_mean_at_1_and_the_maximum_at_infinity():
    maps = some_maps() + 0.01
    torch.testing.assert_close(GeM(1.0)(maps), maps.mean(dim=(2, 3)))
    torch.testing.assert_close(GeM(500.0)(maps), maps.amax(dim=(2, 3)), rtol=0.01, atol=1e-6)
    p, reference = 3.0, np.zeros((3, 6))
    for film in range(3):
        for channel in range(6):
            values = [float(value) ** p for value in maps[film, channel].flatten()]
            reference[film, channel] = (sum(values) / len(values)) ** (1 / p)
    np.testing.assert_allclose(GeM()(maps).detach(), reference)
    module = GeM().double()
    assert torch.autograd.gradcheck(lambda values: module(values), maps.requires_grad_())
    assert torch.autograd.gradcheck(lambda p: torch.func.functional_call(module, {"p": p}, maps.detach()), module.p)
    with pytest.raises(InvalidParameterError, match="p=0"):
        GeM(0)


def test_spoc_weighs_by_a_gaussian_of_a_third_of_the_way_to_the_edge():
    maps = some_maps(h=6, w=9)
    sigma, reference, total = 1.0, np.zeros((3, 6)), 0.0
    for y in range(6):
        for x in range(9):
            weight = math.exp(-((y - 2.5) ** 2 + (x - 4) ** 2) / (2 * sigma**2))
            total += weight
            reference += weight * maps[:, :, y, x].numpy()
    np.testing.assert_allclose(SPoC()(maps), reference / total)
    prior = centre_prior(7, 7)
    assert prior.sum().item() == pytest.approx(1)
    assert torch.equal(prior, prior.flip(0))
    assert torch.equal(prior, prior.T)
    assert prior[3, 3] / prior[3, 0] == pytest.approx(math.exp(9 / (2 * (3.5 / 3) ** 2)))


def literal_crow(film: np.ndarray) -> np.ndarray:
    total = film.sum(axis=0)
    spatial = np.sqrt(total / np.sqrt((total**2).sum()))
    active = np.array([np.count_nonzero(channel) / channel.size for channel in film])
    weights = np.array([np.log(active.sum() / share) if share > 0 else 0.0 for share in active])
    return (film * spatial).sum(axis=(1, 2)) * weights


def test_crow_is_that_of_the_authors():
    maps = some_maps()
    np.testing.assert_allclose(CroW()(maps), [literal_crow(film.numpy()) for film in maps])
    assert channel_weights(maps)[:, 2].eq(0).all()
    black = torch.zeros(1, 6, 4, 4, dtype=torch.float64, requires_grad=True)
    CroW()(black).sum().backward()
    assert torch.isfinite(black.grad).all()


def test_cam_adds_a_descriptor_of_every_class():
    maps = some_maps()
    weights = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights[3] = -1  # nothing speaks for this class anywhere
    found = CAM()(maps, weights)
    for film in range(3):
        values, total = maps[film].numpy(), np.zeros(6)
        active = (values > 0).mean(axis=(1, 2))
        channel = np.array([np.log(active.sum() / share) if share else 0.0 for share in active])
        for row in weights.numpy():
            activation = np.maximum(np.einsum("c,chw->hw", row, values), 0)
            if activation.max() > 0:
                descriptor = (activation / activation.max() * values).sum(axis=(1, 2)) * channel
                total += descriptor / np.linalg.norm(descriptor)
        np.testing.assert_allclose(found[film], total)
    assert class_activation_maps(maps, weights).amax() == 1
    assert class_activation_maps(maps, weights)[:, 3].eq(0).all()


def test_regional_attention_weighs_regions_by_what_they_and_the_film_hold():
    torch.manual_seed(0)
    module = RegionalAttention(6).double()
    maps = some_maps(h=8, w=8)
    regions = rmac_regions(8, 8)
    context = maps.mean(dim=(2, 3))
    reference = torch.zeros(3, 6, dtype=torch.float64)
    for number, (top, left, side) in enumerate(regions):
        part = maps[:, :, top : top + side, left : left + side]
        seen = torch.cat([part.mean(dim=(2, 3)), context], dim=1)
        hidden = torch.log1p(torch.exp(module.hidden(seen)))
        weight = torch.log1p(torch.exp(module.score(hidden)))
        torch.testing.assert_close(module.attention(maps)[:, number], weight[:, 0])
        reference += weight * part.amax(dim=(2, 3)) / len(regions)
    torch.testing.assert_close(module(maps), reference)
    assert region_averages(maps, regions).shape == region_maxima(maps, regions).shape == (3, 14, 6)


def test_a_bag_counts_words_and_can_weigh_positions():
    torch.manual_seed(0)
    maps = some_maps(h=5, w=5).float()
    for weighting in ("none", "centre", "activity"):
        torch.manual_seed(0)
        module = BLCF(6, n_words=9, weighting=weighting)
        found = module(maps)
        reference = np.zeros((3, 9))
        for film in range(3):
            values = maps[film].numpy()
            total = values.sum(axis=0)
            weights = {
                "none": np.ones((5, 5)),
                "centre": centre_prior(5, 5).numpy(),
                "activity": np.sqrt(total / np.linalg.norm(total)),
            }[weighting]
            for y in range(5):
                for x in range(5):
                    vector = values[:, y, x] / max(np.linalg.norm(values[:, y, x]), 1e-12)
                    word = np.argmin(((module.words.numpy() - vector) ** 2).sum(axis=1))
                    reference[film, word] += weights[y, x]
        np.testing.assert_allclose(found, reference, rtol=1e-5, atol=1e-7)
    with pytest.raises(UnknownNameError, match="activity"):
        BLCF(6, weighting="entropy")
    with pytest.raises(InvalidParameterError, match="tf_idf"):
        BLCF(6, tf_idf="yes")


def test_words_are_fitted_and_whitened():
    torch.manual_seed(0)
    batches = [some_maps(8, 6, 4, 4, seed).float() for seed in range(3)]
    module = BLCF(6, n_words=5, tf_idf=True)
    untouched = BLCF(6, n_words=5)
    module.fit(lambda: batches)
    vectors = torch.cat([module._vectors(maps) for maps in batches])
    white = (vectors - module.mean) @ module.whitening
    alive = white.std(dim=0) > 0
    assert alive.sum() == 5  # the dead channel has no direction
    np.testing.assert_allclose(np.cov(white[:, alive].T.numpy(), bias=True), np.eye(5), atol=1e-4)
    bags = torch.cat([untouched_like(module)(maps) for maps in batches])
    having = (bags > 0).sum(dim=0)
    torch.testing.assert_close(module.word_weights, torch.log(24 / having.clamp_min(1)))
    again = BLCF(6, n_words=5, tf_idf=True)
    again.fit(lambda: iter(batches))
    assert torch.equal(again.words, module.words)
    assert not torch.equal(untouched.words, module.words)
    with pytest.raises(InvalidParameterError, match="no film"):
        again.fit(list)


def untouched_like(module: BLCF) -> BLCF:
    """The same words, before they are weighed."""
    same = BLCF(6, n_words=5)
    same.load_state_dict({**module.state_dict(), "word_weights": torch.ones(5)})
    return same


def test_kmeans_finds_clusters_and_fills_empty_ones():
    generator = torch.Generator().manual_seed(0)
    truth = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    rows = truth.repeat(40, 1) + 0.1 * torch.randn(120, 2, generator=generator)
    for seed in range(5):
        centres = kmeans(rows, 3, seed=seed)
        assert nearest_rows(truth, centres)[1].max() < 0.01
    few = kmeans(rows[:2], 4)
    assert few.shape == (4, 2)
    assert nearest_rows(rows[:2], few)[1].max() == 0
    nearest, distances = nearest_rows(rows, truth, block=7)
    reference = ((rows[:, None] - truth[None]) ** 2).sum(dim=2)
    assert torch.equal(nearest, reference.argmin(dim=1))
    torch.testing.assert_close(distances, reference.amin(dim=1), rtol=1e-4, atol=1e-5)


def test_a_sample_of_rows_is_uniform_and_without_replacement():
    counts = np.zeros(50)
    for seed in range(300):
        sample = RowSample(10, seed)
        for start in range(0, 50, 7):
            sample.add(torch.arange(start, min(start + 7, 50))[:, None])
        kept = sample.rows[:, 0].long().numpy()
        assert len(set(kept)) == 10
        counts[kept] += 1
    assert counts.min() > 30  # of 60 expected; 30 is 4 standard deviations away
    assert counts.max() < 90
    assert len(RowSample(10, 0).rows) == 0


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("size", [32, 70, 256])
def test_codes_of_any_size_have_length_one(name, size):
    torch.manual_seed(0)
    module = create(name, n_labels=3, backbone="small_cnn").eval()
    with torch.inference_mode():
        codes = module.features(torch.rand(2, 1, size, size))
    config = EncoderConfig(name, size, ("a", "b", "c"), options={"backbone": "small_cnn"})
    assert codes.shape == (2, config.code_length)
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(2))
    assert (codes >= 0).all()


@pytest.mark.parametrize("name", DENSE)
def test_every_option_changes_the_code_and_its_length_is_told_before(name):
    images = torch.rand(2, 1, 96, 96, generator=torch.Generator().manual_seed(0))

    def codes_with(**options):
        torch.manual_seed(0)
        module = create(name, n_labels=2, **{"backbone": "small_cnn", **options}).eval()
        if options.keys() & {"tf_idf", "whitening"}:
            module.calibrate([images])
        with torch.inference_mode():
            codes = module.features(images)
        config = EncoderConfig(name, 96, ("a", "b"), options={"backbone": "small_cnn", **options})
        assert codes.shape[1] == config.code_length
        return codes

    plain = codes_with()
    others = {
        **{option: {option: value} for option, value in (("p", 1.0), ("n_scales", 2), ("n_words", 30))},
        "weighting": {"weighting": "activity"},
        "tf_idf": {"tf_idf": True},
        "whitening": {"whitening": "training"},
        "n_values": {"whitening": "training", "n_values": 9},
    }
    for option in encoder_spec(name).options:
        if option != "backbone":
            changed = codes_with(**others[option])
            assert changed.shape != plain.shape or not torch.equal(changed, plain), option


@pytest.mark.parametrize("name", BACKBONE_CHANNELS)
def test_backbones_give_maps_of_the_promised_channels(name):
    backbone = create_backbone(name).eval()
    with torch.inference_mode():
        for size, side in ((32, 2 if name == "small_cnn" else 1), (64, 4 if name == "small_cnn" else 2)):
            maps = backbone(torch.rand(1, 3, size, size))
            assert maps.shape == (1, BACKBONE_CHANNELS[name], side, side)
            assert (maps >= 0).all()


def test_an_aggregation_without_parameters_is_trained_on_plain_averages():
    module = create("spoc", n_labels=2, backbone="small_cnn").eval()
    learnt = create("gem", n_labels=2, backbone="small_cnn").eval()
    images = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(module(images), module.classifier(module.maps(images).mean(dim=(2, 3))))
        torch.testing.assert_close(learnt(images), learnt.classifier(learnt.pooling(learnt.maps(images))))
        torch.testing.assert_close(module.outputs(images).codes, normalize(module.pooling(module.maps(images)), dim=1))


def test_calibration_makes_words_of_the_films():
    torch.manual_seed(0)
    module = create("blcf", n_labels=2, backbone="small_cnn", n_words=12).eval()
    images = [torch.rand(4, 1, 64, 64) for _ in range(2)]
    words = module.pooling.words.clone()
    module.calibrate(images)
    assert not torch.equal(module.pooling.words, words)
    used = (module.features(torch.cat(images)) > 0).any(dim=0)
    assert used.float().mean() > 0.8
