"""R-MAC + RPN, Deep Vision with SOLO, SOLAR-local: their parts and losses against loops."""

import math

import numpy as np
import pytest
import torch

from graphret._errors import EncoderError, InvalidParameterError
from graphret._notes import note_once
from graphret.encoders import create, encoder_spec
from graphret.encoders.networks.solar import SecondOrderAttention
from graphret.encoders.objectives import create_objective
from graphret.encoders.objectives.objective import NetworkOutputs, Targets
from graphret.encoders.objectives.proposals import mask_parts
from graphret.encoders.pooling.proposals import anchors_of, box_changes, maxima, segment_sum

LABELS = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [-1, 0], [1, -1], [0, 0], [-1, -1]], dtype=np.int8)


def torch_of(seed):
    return torch.Generator().manual_seed(seed)


def targets_of(labels=LABELS, masks=None):
    return Targets(torch.from_numpy(labels), torch.arange(len(labels)), masks)


def test_second_order_attention_gathers_position_by_position():
    torch.manual_seed(0)
    block = SecondOrderAttention(8, 2).double().eval().requires_grad_(False)
    torch.nn.init.normal_(block.out.weight)
    maps = torch.randn(1, 8, 3, 2, dtype=torch.float64)
    places = [(row, column) for row in range(3) for column in range(2)]

    def at(layer):
        return [layer(maps)[0, :, row, column] for row, column in places]

    query, key, value = at(block.query), at(block.key), at(block.value)
    found = block(maps)
    for number, (row, column) in enumerate(places):
        weights = [math.exp(float(query[number] @ other) / math.sqrt(4)) for other in key]
        gathered = sum(weight * each for weight, each in zip(weights, value, strict=True)) / sum(weights)
        expected = maps[0, :, row, column] + block.out.weight[:, :, 0, 0] @ gathered + block.out.bias
        torch.testing.assert_close(found[0, :, row, column], expected)


def test_a_code_of_solar_local_adds_the_descriptors_of_its_patches():
    torch.manual_seed(0)
    module = create("solar_local", n_labels=1, n_values=16).eval()
    film = torch.rand(1, 1, 70, 70)  # six pixels are left over
    patches = [film[:, :, top : top + 32, left : left + 32] for top in (0, 32) for left in (0, 32)]
    descriptors = torch.cat([module.descriptors(patch)[:, 0] for patch in patches])
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(4))
    total = descriptors.sum(dim=0)
    torch.testing.assert_close(module.features(film)[0], total / total.norm(), rtol=1e-4, atol=1e-6)
    darker = 0.5 * film + 0.1  # patches are normalised first
    torch.testing.assert_close(module.features(darker), module.features(film), rtol=1e-2, atol=2e-3)


def naive_second_order(codes, labels, margin, weight):
    codes = [code / math.sqrt(sum(value**2 for value in code)) for code in codes.tolist() and codes.numpy()]

    def similar(one, other):
        return any(a == b == 1 for a, b in zip(one, other, strict=True)) or not (one.any() or other.any())

    def dissimilar(one, other):
        may_share = any(a != 0 and b != 0 for a, b in zip(one, other, strict=True))
        return not may_share and not ((one != 1).all() and (other != 1).all())

    def distance(i, j):
        return sum((a - b) ** 2 for a, b in zip(codes[i], codes[j], strict=True))

    first, second = [], []
    for a, p, n in np.ndindex(*[len(labels)] * 3):
        if a not in {p, n} and similar(labels[a], labels[p]) and dissimilar(labels[a], labels[n]):
            first.append(max(0.0, distance(a, p) - distance(a, n) + margin))
            second.append((distance(a, n) - distance(p, n)) ** 2)
    return sum(first) / len(first) + weight * math.sqrt(sum(second) / len(second))


@pytest.mark.parametrize(("margin", "weight"), [(0.7, 5.0), (0.2, 0.0), (1.5, 1.0)])
def test_the_losses_of_solar_are_their_loops(margin, weight):
    codes = torch.randn(8, 5, dtype=torch.float64, generator=torch_of(1))
    loss = create_objective("second_order", LABELS, margin=margin, weight=weight)
    found = loss(NetworkOutputs(codes), targets_of())
    assert float(found) == pytest.approx(naive_second_order(codes, LABELS, margin, weight), rel=1e-9)


def test_a_batch_without_triplets_has_a_gradient_of_zero():
    codes = torch.randn(2, 4, requires_grad=True)
    loss = create_objective("second_order", LABELS)(NetworkOutputs(codes), targets_of(LABELS[3:7:3]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not codes.grad.any()
    with pytest.raises(InvalidParameterError, match="margin=0"):
        create_objective("second_order", LABELS, margin=0)


def test_maxima_of_regions_are_those_of_the_positions_inside():
    maps = torch.rand(2, 3, 8, 8, generator=torch_of(2))
    regions = [torch.tensor([[0.25, 0.0, 0.75, 0.5], [0.0, 0.0, 1.0, 1.0]]), torch.tensor([[0.5, 0.5, 1.0, 1.0]])]
    found = maxima(maps, regions)
    torch.testing.assert_close(found[0][0], maps[0, :, 0:4, 2:6].amax(dim=(1, 2)))
    torch.testing.assert_close(found[0][1], maps[0].amax(dim=(1, 2)))
    torch.testing.assert_close(found[1][0], maps[1, :, 4:, 4:].amax(dim=(1, 2)))


def test_proposals_are_the_best_anchors_that_overlap_little():
    torch.manual_seed(0)
    module = create("rmac_rpn", n_labels=1, backbone="small_cnn", n_regions=6).eval().requires_grad_(False)
    torch.nn.init.normal_(module.proposals.objectness.weight)
    proposed = module.proposals(module.maps(torch.rand(2, 1, 96, 96)))
    for objectness, changes, regions in zip(
        proposed["objectness"], proposed["changes"], module.proposals.regions(proposed), strict=True
    ):
        boxes = [naive_changed(*pair) for pair in zip(proposed["anchors"].tolist(), changes.tolist(), strict=True)]
        kept: list = []
        for number in sorted(range(len(boxes)), key=lambda place: -float(objectness[place])):
            if len(kept) < 6 and all(overlap_of(boxes[number], box) <= 0.7 for box in kept):
                kept.append(boxes[number])
        np.testing.assert_allclose(regions.numpy(), kept, atol=1e-5)


def naive_changed(anchor, change):
    left, top, right, bottom = anchor
    x, y = (left + right) / 2 + change[0] * (right - left), (top + bottom) / 2 + change[1] * (bottom - top)
    width, height = (right - left) * math.exp(change[2]), (bottom - top) * math.exp(change[3])
    return [min(1, max(0, edge)) for edge in (x - width / 2, y - height / 2, x + width / 2, y + height / 2)]


def overlap_of(one, other):
    width, height = (max(0, min(one[k + 2], other[k + 2]) - max(one[k], other[k])) for k in (0, 1))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)


def masks_of():
    """Two parts; none; no mask; one part, of two classes."""
    masks = torch.zeros(4, 2, 40, 40)
    masks[0, 0, 5:15, 5:25], masks[0, 0, 30:38, 28:36] = 1, 1
    masks[2] = torch.nan
    masks[3, 0, 10:30, 20:30], masks[3, 1, 10:30, 30:40] = 1, 1
    return masks


def test_parts_of_a_mask():
    counts = [len(mask_parts(mask.sum(dim=0))) for mask in masks_of()]
    assert counts == [2, 0, 0, 1]
    assert mask_parts(masks_of()[0].sum(dim=0))[1].nonzero().min(dim=0).values.tolist() == [30, 28]


def log_loss(logit, wanted):
    return math.log1p(math.exp(-logit if wanted else logit))


def test_the_loss_of_region_proposals_is_its_loop():
    anchors = anchors_of(4, 4)
    objectness = torch.randn(4, len(anchors), generator=torch_of(3))
    changes = torch.randn(4, len(anchors), 4, generator=torch_of(4))
    logits = torch.randn(4, 2, generator=torch_of(5))
    outputs = NetworkOutputs(
        torch.ones(4, 2), logits, further={"objectness": objectness, "changes": changes, "anchors": anchors}
    )
    objective = create_objective("region_proposals", LABELS, proposals=0.5)
    plain = create_objective("classification", LABELS)(outputs, targets_of(LABELS[:4]))
    found = objective(outputs, targets_of(LABELS[:4], masks_of()))
    boxes_of = {0: [(5, 5, 25, 15), (28, 30, 36, 38)], 3: [(20, 10, 40, 30)]}
    total = 0.0
    for film, boxes in boxes_of.items():
        boxes = [tuple(value / 40 for value in box) for box in boxes]
        overlaps = np.array([[overlap_of(anchor, box) for box in boxes] for anchor in anchors.tolist()])
        best = overlaps.max(axis=0)
        positive = [n for n, row in enumerate(overlaps) if row.max() >= 0.7 or (np.abs(row - best) < 1e-6).any()]
        negative = [n for n, row in enumerate(overlaps) if row.max() < 0.3 and n not in positive]
        score = objectness[film].tolist()
        total += np.mean([log_loss(score[n], True) for n in positive]) / 2
        total += np.mean([log_loss(score[n], False) for n in negative]) / 2
        distances = []
        for n in positive:
            left, top, right, bottom = anchors[n].tolist()
            a, b, c, d = boxes[int(overlaps[n].argmax())]
            wanted = (
                ((a + c) - (left + right)) / 2 / (right - left),
                ((b + d) - (top + bottom)) / 2 / (bottom - top),
                math.log((c - a) / (right - left)),
                math.log((d - b) / (bottom - top)),
            )
            for value, aim in zip(changes[film, n].tolist(), wanted, strict=True):
                away = abs(value - aim)
                distances.append(away**2 / 2 if away < 1 else away - 0.5)
        total += np.mean(distances)
    assert float(found) == pytest.approx(float(plain) + 0.5 * total / 2, rel=1e-4)


def test_the_loss_of_segments_is_its_loop():
    cells, segments = torch.randn(4, 9, generator=torch_of(6)), torch.randn(4, 9, 8, 8, generator=torch_of(7))
    logits = torch.randn(4, 2, generator=torch_of(8))
    outputs = NetworkOutputs(torch.ones(4, 2), logits, further={"cells": cells, "segments": segments})
    objective = create_objective("segment_proposals", LABELS, proposals=2.0)
    plain = create_objective("classification", LABELS)(outputs, targets_of(LABELS[:4]))
    found = objective(outputs, targets_of(LABELS[:4], masks_of()))
    # centres of mass: (10, 15) and (34, 32) of 40 in film 0, (20, 30) in film 3, on a grid of three
    owners = {0: {1: (5, 15, 5, 25), 8: (30, 38, 28, 36)}, 3: {5: (10, 30, 20, 40)}}
    owners[0] = {3 * int(10 * 3 / 40) + int(15 * 3 / 40): owners[0][1], 8: owners[0][8]}
    total = 0.0
    for film, owner in owners.items():
        focal = 0.0
        for cell, logit in enumerate(cells[film].tolist()):
            chance = 1 / (1 + math.exp(-logit))
            right = chance if cell in owner else 1 - chance
            focal -= (0.25 if cell in owner else 0.75) * (1 - right) ** 2 * math.log(right)
        dice = []
        for cell, (top, bottom, left, right) in owner.items():
            whole = np.zeros((40, 40))
            whole[top:bottom, left:right] = 1
            drawn = whole.reshape(8, 5, 8, 5).mean(axis=(1, 3))
            shown = 1 / (1 + np.exp(-segments[film, cell].numpy()))
            dice.append(1 - 2 * (shown * drawn).sum() / ((shown**2).sum() + (drawn**2).sum()))
        total += focal / len(owner) + 3 * np.mean(dice)
    assert float(found) == pytest.approx(float(plain) + 2.0 * total / 2, rel=1e-4)


def test_films_without_masks_are_noted_and_other_networks_refused(caplog):
    module = create("rmac_rpn", n_labels=2, backbone="small_cnn").requires_grad_(False)
    outputs = module.outputs(torch.rand(8, 1, 32, 32))
    objective = create_objective("region_proposals", LABELS)
    note_once.cache_clear()
    loss = objective(outputs, targets_of())
    assert "no film has a mask: the region proposals stay as they began" in caplog.text
    assert float(loss) == pytest.approx(float(create_objective("classification", LABELS)(outputs, targets_of())))
    with pytest.raises(EncoderError, match="reads cells, segments of region proposals"):
        create_objective("segment_proposals", LABELS)(outputs, targets_of())


def test_box_changes_are_undone():
    anchors = anchors_of(3, 5)
    boxes = torch.rand(len(anchors), 4, generator=torch_of(9)) * 0.4
    boxes[:, 2:] += 0.5
    changes = box_changes(anchors, boxes).tolist()
    expected = [naive_changed(*pair) for pair in zip(anchors.tolist(), changes, strict=True)]
    np.testing.assert_allclose(boxes.numpy(), expected, atol=1e-5)


def test_segments_are_averaged_and_added_with_their_scores():
    maps = torch.rand(1, 4, 3, 3, generator=torch_of(10))
    proposed = {"cells": torch.randn(1, 4, generator=torch_of(11)), "segments": torch.randn(1, 4, 3, 3)}
    total = np.zeros(4)
    for cell in range(4):
        share = 1 / (1 + np.exp(-proposed["segments"][0, cell].numpy()))
        average = np.array([(share * maps[0, channel].numpy()).sum() / share.sum() for channel in range(4)])
        total += average / np.linalg.norm(average) / (1 + math.exp(-float(proposed["cells"][0, cell])))
    np.testing.assert_allclose(segment_sum(maps, proposed)[0].numpy(), total, rtol=1e-5)


def test_lengths():
    assert encoder_spec("deep_vision_solo").length(None, {"backbone": "resnet50", "grid": 5}) == 4096
    assert encoder_spec("rmac_rpn").length(None, {"backbone": "resnet50", "n_regions": 32}) == 2048
    assert encoder_spec("solar_local").length(None, {"n_values": 128}) == 128
