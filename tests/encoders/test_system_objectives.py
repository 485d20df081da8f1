"""The losses of the four hashing systems against loops written like their equations, and their own derivatives."""

import math

import numpy as np
import pytest
import torch

from graphret._errors import EncoderError, InvalidParameterError
from graphret.encoders.objectives import create_objective
from graphret.encoders.objectives.objective import NetworkOutputs, Targets
from graphret.encoders.objectives.relations import pair_relations
from graphret.encoders.objectives.ynet import circle_loss_of_pairs, class_relations, masked_pixel_entropy

N_BITS = 5
LABELS = np.array(
    [[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1], [0, -1, 1], [-1, 0, 0], [-1, -1, -1], [0, 1, 0]], np.int8
)


def relation(a, b):
    """Say "similar", "dissimilar", or "open" where uncertain labels decide."""
    if any(x == y == 1 for x, y in zip(a, b, strict=True)) or not any((*a, *b)):
        return "similar"
    may_share = any(x != 0 and y != 0 for x, y in zip(a, b, strict=True))
    return "open" if may_share or 1 not in (*a, *b) else "dissimilar"


def known_pairs(labels):
    n = len(labels)
    pairs = [(i, j, relation(labels[i], labels[j])) for i in range(n) for j in range(i + 1, n)]
    return [pair for pair in pairs if pair[2] != "open"]


def square(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def naive_attention(codes, labels, alpha, margin=1.0):
    pairs = known_pairs(labels)
    share = {kind: len(pairs) / max(1, sum(k == kind for *_, k in pairs)) for kind in ("similar", "dissimilar")}
    contrast, likelihood = [], []
    for i, j, kind in pairs:
        s = float(kind == "similar")
        d = math.sqrt(square(codes[i], codes[j]))
        contrast.append(s / 2 * d**2 + (1 - s) / 2 * max(0.0, margin - d) ** 2)
        x = alpha * sum(a * b for a, b in zip(codes[i], codes[j], strict=True))
        likelihood.append(share[kind] * (math.log(1 + math.exp(x)) - s * x))
    return 0.5 * mean(contrast) + 0.5 * mean(likelihood)


def naive_siamese(codes, labels, loss=3, alpha=0.01, margin=2.0, pairs="consecutive"):
    chosen = known_pairs(labels)
    if pairs == "consecutive":
        chosen = [pair for pair in chosen if pair[0] % 2 == 0 and pair[1] == pair[0] + 1]
    values = []
    for i, j, kind in chosen:
        d = square(codes[i], codes[j])
        value = d / 2 if kind == "similar" else max(margin * len(codes[0]) - d, 0) / 2
        if loss == 3:
            value += alpha * sum(abs(abs(x) - 1) for x in (*codes[i], *codes[j]))
        values.append(value)
    return mean(values)


def naive_fusion(codes, labels, logits, margin=2.0, quantisation=0.01, classification=1.0):
    values = []
    for i, j, kind in known_pairs(labels):
        d = square(codes[i], codes[j])
        values.append(d / 2 if kind == "similar" else max(margin * len(codes[0]) - d, 0) / 2)
    known = [row for row, film in enumerate(labels) if any(label >= 0 for label in film)]
    parts = mean(sum(abs(abs(x) - 1) for x in codes[row]) for row in known)
    entropy = 0.0
    for j in range(len(labels[0])):
        column = [film[j] for film in labels if film[j] >= 0]
        positive = sum(column) / len(column)
        for row, film in enumerate(labels):
            p = 1 / (1 + math.exp(-logits[row][j]))
            if film[j] == 1:
                entropy -= (1 - positive) * math.log(p)
            elif film[j] == 0:
                entropy -= positive * math.log(1 - p)
    return mean(values) + quantisation * parts + classification * entropy / len(labels)


def naive_circle(descriptors, labels, scale=32.0, margin=0.25):
    """Sun et al. 2020, Eq. 6, over the pairs of films of a batch, each once."""
    sums = {"similar": 0.0, "dissimilar": 0.0}
    for i, j, kind in known_pairs(labels):
        lengths = [math.sqrt(sum(x * x for x in descriptors[row])) for row in (i, j)]
        s = sum(x * y for x, y in zip(descriptors[i], descriptors[j], strict=True)) / (lengths[0] * lengths[1])
        if kind == "similar":
            sums[kind] += math.exp(-scale * max(1 + margin - s, 0) * (s - 1 + margin))
        else:
            sums[kind] += math.exp(scale * max(s + margin, 0) * (s - margin))
    return math.log(1 + sums["similar"] * sums["dissimilar"])


def naive_classes(cosines, labels, scale=32.0, margin=0.25, loss="class_circle"):
    """Sun et al. 2020, Eq. 6; the last cosine of a film is that to "no finding"."""
    values = []
    for row, film in zip(cosines, labels, strict=True):
        has = [j for j, label in enumerate(film) if label == 1] + ([len(film)] if not any(film) else [])
        lacks = [j for j, label in enumerate(film) if label == 0] + ([len(film)] if 1 in film else [])
        if not has or not lacks:
            continue
        if loss == "class_circle":
            s_n = sum(math.exp(scale * max(row[j] + margin, 0) * (row[j] - margin)) for j in lacks)
            s_p = sum(math.exp(-scale * max(1 + margin - row[j], 0) * (row[j] - 1 + margin)) for j in has)
            values.append(math.log(1 + s_n * s_p))
        else:
            total = sum(math.exp(scale * row[j]) for j in (*has, *lacks))
            values.append(mean(-math.log(math.exp(scale * row[j]) / total) for j in has))
    return mean(values)


def random(*shape, seed=0, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def targets(masks=None):
    return Targets(torch.from_numpy(LABELS), torch.arange(len(LABELS)), masks)


def masks_of_some():
    masks = torch.rand(len(LABELS), 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    masks[2:5] = torch.nan
    return masks


def ynet_outputs(descriptors, weights, mask_logits=None):
    codes = torch.zeros(len(descriptors), N_BITS, dtype=torch.float64)
    return NetworkOutputs(codes, None, mask_logits, {"descriptors": descriptors, "class_weights": weights})


@pytest.mark.parametrize("options", [{}, {"margin": 2.5, "alpha": 0.7}])
def test_attention_hash_is_its_loop(options):
    codes = random(len(LABELS), N_BITS)
    found = create_objective("attention_hash", LABELS, N_BITS, **options)(NetworkOutputs(codes), targets())
    expected = naive_attention(codes.tolist(), LABELS.tolist(), **{"alpha": 10 / N_BITS, **options})
    assert found.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "options", [{}, {"loss": 1}, {"pairs": "all"}, {"alpha": 0.5, "margin": 0.6}], ids=lambda options: str(options)
)
def test_siamese_hash_is_its_loop(options):
    codes = random(len(LABELS), N_BITS)
    found = create_objective("siamese_hash", LABELS, N_BITS, **options)(NetworkOutputs(codes), targets())
    assert found.item() == pytest.approx(naive_siamese(codes.tolist(), LABELS.tolist(), **options), rel=1e-9)


@pytest.mark.parametrize("options", [{}, {"margin": 0.5, "quantisation": 0.3, "classification": 0.2}])
def test_fusion_hash_is_its_loop(options):
    codes, logits = random(len(LABELS), N_BITS), random(len(LABELS), 3, seed=1)
    found = create_objective("fusion_hash", LABELS, N_BITS, **options)(NetworkOutputs(codes, logits), targets())
    expected = naive_fusion(codes.tolist(), LABELS.tolist(), logits.tolist(), **options)
    assert found.item() == pytest.approx(expected, rel=1e-6)  # its weights are float32


@pytest.mark.parametrize("options", [{}, {"scale": 8.0, "margin": 0.4}])
def test_the_circle_loss_of_ynet_is_the_loop_over_pairs_of_films(options):
    descriptors, weights = random(len(LABELS), 7), random(4, 7, seed=1)
    found = create_objective("ynet", LABELS, N_BITS, segmentation=0.0, **options)(
        ynet_outputs(descriptors, weights), targets()
    )
    assert found.item() == pytest.approx(naive_circle(descriptors.tolist(), LABELS.tolist(), **options), rel=1e-9)


def test_the_circle_loss_of_the_authors_is_ours_but_for_pairs_without_a_finding():
    """Their code multiplies labels of 0 and 1: it is this function where only glaucoma is called a class."""
    ill = torch.tensor([1, 0, 1, 0, 0, 1], dtype=torch.int8)
    descriptors = random(6, 7)
    alike = (ill[:, None] * ill[None, :]).bool()
    unit = torch.nn.functional.normalize(descriptors)
    cosines = unit @ unit.T
    p, n = cosines[alike.triu(1)], cosines[(~alike).triu(1)]
    theirs = torch.log(
        1
        + torch.exp(-8 * torch.relu(1.25 - p) * (p - 0.75)).sum()
        * torch.exp(8 * torch.relu(n + 0.25) * (n - 0.25)).sum()
    )
    torch.testing.assert_close(circle_loss_of_pairs(descriptors, alike, torch.ones_like(alike), 8.0), theirs)
    ours = circle_loss_of_pairs(descriptors, *pair_relations(torch.stack([ill, 1 - ill], dim=1)), 8.0)
    assert ours != pytest.approx(theirs.item(), rel=1e-3)


def test_the_classes_learn_beside_the_circle_loss_and_move_nothing_else():
    inputs = random(len(LABELS), 7).requires_grad_(), random(4, 7, seed=1).requires_grad_()
    loss = create_objective("ynet", LABELS, N_BITS, segmentation=0.0)(ynet_outputs(*inputs), targets())
    loss.backward()
    plain = inputs[0].detach().clone().requires_grad_()
    circle_loss_of_pairs(plain, *pair_relations(torch.from_numpy(LABELS))).backward()
    torch.testing.assert_close(inputs[0].grad, plain.grad)
    other = inputs[1].detach().clone().requires_grad_()
    create_objective("ynet", LABELS, N_BITS, loss="cross_entropy", segmentation=0.0)(
        ynet_outputs(inputs[0].detach(), other), targets()
    ).backward()
    torch.testing.assert_close(inputs[1].grad, other.grad)


def test_a_batch_without_two_similar_films_has_no_circle_loss():
    descriptors = random(3, 7).requires_grad_()
    labels = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.int8)
    loss = circle_loss_of_pairs(descriptors, *pair_relations(labels))
    assert loss.item() == 0
    loss.backward()
    assert not descriptors.grad.any()


def test_the_parts_of_the_loss_are_named():
    objective = create_objective("ynet", LABELS, N_BITS, segmentation=0.3)
    descriptors, weights, logits = random(len(LABELS), 7), random(4, 7, seed=1), random(len(LABELS), 1, 6, 6, seed=4)
    loss = objective(ynet_outputs(descriptors, weights, logits), targets(masks_of_some()))
    parts = objective.parts
    assert set(parts) == {"classes", "segmentation"}
    assert loss.item() == pytest.approx(0.7 * parts["classes"].item() + 0.3 * parts["segmentation"].item(), rel=1e-9)
    objective(ynet_outputs(descriptors, weights), targets())
    assert set(objective.parts) == {"classes"}


@pytest.mark.parametrize(
    "options",
    [{"loss": "class_circle"}, {"loss": "cross_entropy"}, {"loss": "class_circle", "scale": 8.0, "margin": 0.4}],
)
def test_the_classes_of_ynet_are_their_loop(options):
    descriptors, weights = random(len(LABELS), 7), random(4, 7, seed=1)
    found = create_objective("ynet", LABELS, N_BITS, segmentation=0.0, **options)(
        ynet_outputs(descriptors, weights), targets()
    )
    unit = [torch.nn.functional.normalize(values) for values in (descriptors, weights)]
    expected = naive_classes((unit[0] @ unit[1].T).tolist(), LABELS.tolist(), **options)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_the_pixels_of_ynet_are_their_loop():
    logits, masks = random(len(LABELS), 1, 6, 6, seed=4), masks_of_some()
    values = []
    for film in (0, 1, 5, 6, 7, 8):
        for p, share in zip(torch.sigmoid(logits[film]).flatten(), masks[film].flatten(), strict=True):
            values.append(-share.item() * math.log(p) - (1 - share.item()) * math.log(1 - p))
    assert masked_pixel_entropy(logits, masks).item() == pytest.approx(mean(values), rel=1e-9)
    assert masked_pixel_entropy(logits, masks * torch.nan) == 0
    objective = create_objective("ynet", LABELS, N_BITS, segmentation=0.3)
    descriptors, weights = random(len(LABELS), 7), random(4, 7, seed=1)
    classes = create_objective("ynet", LABELS, N_BITS, segmentation=0.0)(ynet_outputs(descriptors, weights), targets())
    both = objective(ynet_outputs(descriptors, weights, logits), targets(masks))
    assert both.item() == pytest.approx(0.7 * classes.item() + 0.3 * mean(values), rel=1e-9)
    without = objective(ynet_outputs(descriptors, weights, logits), targets())
    assert without.item() == pytest.approx(0.7 * classes.item(), rel=1e-9)


def test_pixels_of_several_classes_are_their_loop():
    logits = random(len(LABELS), 3, 6, 6, seed=4)
    masks = 0.5 * torch.rand(len(LABELS), 2, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    masks[2:5] = torch.nan
    values = []
    for film in (0, 1, 5, 6, 7, 8):
        for y in range(6):
            for x in range(6):
                scores = logits[film, :, y, x].tolist()
                total = math.log(sum(map(math.exp, scores)))
                disc, cup = masks[film, :, y, x].tolist()
                shares = (1 - disc - cup, disc, cup)
                values.append(-sum(share * (score - total) for share, score in zip(shares, scores, strict=True)))
    assert masked_pixel_entropy(logits, masks).item() == pytest.approx(mean(values), rel=1e-9)
    one = random(len(LABELS), 1, 6, 6, seed=4)
    either = masked_pixel_entropy(one, masks.sum(dim=1, keepdim=True))
    assert masked_pixel_entropy(one, masks).item() == pytest.approx(either.item(), rel=1e-12)
    with pytest.raises(EncoderError, match="draws 3 classes of masks, and the masks of the films have 2"):
        masked_pixel_entropy(random(len(LABELS), 4, 6, 6), masks)


def test_an_uncertain_film_has_no_class_and_a_healthy_one_the_last():
    positive, negative = class_relations(torch.from_numpy(LABELS))
    assert positive[:, -1].tolist() == [False, False, True, True, *[False] * 5]
    assert not positive[7].any()
    assert not negative[7].any()
    assert not (positive & negative).any()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("attention_hash", {}),
        ("siamese_hash", {"loss": 1}),
        ("siamese_hash", {"pairs": "all"}),
        ("fusion_hash", {}),
        ("ynet", {"loss": "cross_entropy"}),
    ],
    ids=str,
)
def test_the_derivative_is_that_of_the_value(name, options):
    objective = create_objective(name, LABELS, N_BITS, **options).double()
    masks = masks_of_some()

    def of_codes(codes, logits):
        return objective(NetworkOutputs(codes, logits), targets())

    def of_ynet(descriptors, weights, mask_logits):
        return objective(ynet_outputs(descriptors, weights, mask_logits), targets(masks))

    if name == "ynet":
        inputs = (random(len(LABELS), 7), random(4, 7, seed=1), random(len(LABELS), 1, 3, 3, seed=2))
    else:
        inputs = (random(len(LABELS), N_BITS), random(len(LABELS), 3, seed=1))
    function = of_ynet if name == "ynet" else of_codes
    assert torch.autograd.gradcheck(function, [value.requires_grad_() for value in inputs])


def test_the_circle_loss_moves_along_its_weighted_similarities():
    """Its factors are constants for the derivative (Sun et al. 2020, section 3.3), so no gradcheck can hold."""
    descriptors, weights = random(len(LABELS), 7).requires_grad_(), random(4, 7, seed=1)
    create_objective("ynet", LABELS, N_BITS, loss="class_circle", segmentation=0.0)(
        ynet_outputs(descriptors, weights), targets()
    ).backward()
    cosines = torch.nn.functional.normalize(descriptors) @ torch.nn.functional.normalize(weights).T
    positive, negative = class_relations(torch.from_numpy(LABELS))
    apart = cosines.detach()
    p = torch.where(positive, -32 * (1.25 - apart).clamp_min(0) * (cosines - 0.75), -torch.inf).logsumexp(1)
    n = torch.where(negative, 32 * (apart + 0.25).clamp_min(0) * (cosines - 0.25), -torch.inf).logsumexp(1)
    kept = positive.any(1) & negative.any(1)
    (expected,) = torch.autograd.grad(torch.nn.functional.softplus(p[kept] + n[kept]).mean(), descriptors)
    torch.testing.assert_close(descriptors.grad, expected)


@pytest.mark.parametrize("name", ["attention_hash", "siamese_hash", "fusion_hash", "ynet"])
def test_films_of_which_nothing_is_known_leave_a_loss_of_zero_and_no_gradient(name):
    nothing = Targets(torch.full((4, 3), -1, dtype=torch.int8), torch.arange(4))
    codes, logits, weights = random(4, N_BITS).requires_grad_(), random(4, 3), random(4, N_BITS)
    outputs = NetworkOutputs(codes, logits, None, {"descriptors": codes, "class_weights": weights})
    loss = create_objective(name, LABELS, N_BITS)(outputs, nothing)
    assert loss.item() == 0
    loss.backward()
    assert not codes.grad.any()


def test_equal_codes_of_dissimilar_films_have_a_finite_gradient():
    codes = torch.ones(2, N_BITS, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1, 0, 0], [0, 1, 0]], dtype=torch.int8)
    create_objective("attention_hash", LABELS, N_BITS)(
        NetworkOutputs(codes), Targets(labels, torch.arange(2))
    ).backward()
    assert torch.isfinite(codes.grad).all()


@pytest.mark.parametrize(
    ("name", "options", "n_bits"),
    [
        ("attention_hash", {"margin": 0.0}, 8),
        ("attention_hash", {}, None),
        ("siamese_hash", {"loss": 2}, 8),
        ("siamese_hash", {"alpha": -1.0}, 8),
        ("siamese_hash", {"pairs": "some"}, 8),
        ("fusion_hash", {"quantisation": -0.1}, 8),
        ("ynet", {"loss": "triplet"}, 8),
        ("ynet", {"segmentation": 1.5}, 8),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(name, options, n_bits):
    with pytest.raises(InvalidParameterError, match=next(iter(options), "alpha")):
        create_objective(name, LABELS, n_bits, **options)


@pytest.mark.parametrize("name", ["fusion_hash", "ynet"])
def test_a_network_without_what_the_loss_reads_is_refused(name):
    with pytest.raises(EncoderError, match="objective"):
        create_objective(name, LABELS, N_BITS)(NetworkOutputs(random(len(LABELS), N_BITS)), targets())
