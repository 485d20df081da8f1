"""CSQ, OrthoHash, DPN, GreedyHash, DFH, DTSH; without labels Bi-half, CIBHash, GreedyHash: equal to their loops."""

import naive_newer_losses as naive
import numpy as np
import pytest
import torch

from graphret._errors import EncoderError, InvalidParameterError
from graphret.encoders.objectives import create_objective, objective_spec
from graphret.encoders.objectives.bihalf import bi_half
from graphret.encoders.objectives.centers import hash_centers
from graphret.encoders.objectives.dfh import moved_centers
from graphret.encoders.objectives.objective import NetworkOutputs, Targets

N_BITS, N_LABELS, BATCH = 8, 3, 10
CLASSES = ("csq", "orthohash", "dpn", "greedyhash")
LABELLED = (*CLASSES, "dfh", "dtsh")
UNLABELLED = ("bihalf", "cibhash", "greedyhash_unsupervised")
NAMES = (*LABELLED, *UNLABELLED)
SIGNED = {"greedyhash", *UNLABELLED}
"""Losses of the signs, whose gradient is not that of differences."""
OTHER_OPTIONS: dict[str, dict] = {
    "csq": {"quantisation": 0.3, "centers": "bernoulli", "seed": 2},
    "orthohash": {"scale": 5.0, "margin": 0.4, "centers": "hadamard", "seed": 2},
    "dpn": {"margin": 2.0, "centers": "hadamard", "seed": 2},
    "greedyhash": {"quantisation": 0.7},
    "dfh": {"margin": 1.0, "pull": 0.2, "apart": 0.4, "binary": 3.0, "quantisation": 0.9},
    "dtsh": {"margin": 0.1, "quantisation": 0.6},
    "bihalf": {"gamma": 2.0},
    "cibhash": {"temperature": 0.6, "weight": 0.3, "sampled": False},
    "greedyhash_unsupervised": {"quantisation": 0.8},
}


def some_labels(seed: int = 0, n: int = 30, healthy: bool = True) -> np.ndarray:
    """Films of several findings, of none, of uncertain ones, and some of which nothing is known."""
    labels = np.random.default_rng(seed).choice(np.array([1, 0, 0, -1], dtype=np.int8), (n, N_LABELS))
    labels[:9] = [
        [-1, -1, -1],
        [0, 0, 0],
        [0, 0, 0],
        [1, 0, 0],
        [1, 1, 0],
        [0, 0, 1],
        [1, 1, 1],
        [0, -1, 0],
        [1, -1, 0],
    ]
    if not healthy:
        labels[(labels == 0).all(axis=1), 0] = 1
    return labels


def made(name: str, labels: np.ndarray, **options):
    torch.manual_seed(3)
    return create_objective(name, labels, N_BITS, **options).double()


def batch_of(labels: np.ndarray, places, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(len(places), N_BITS, generator=generator, dtype=torch.float64) * 1.3
    features = torch.rand(len(places), 7, generator=generator, dtype=torch.float64)
    places = torch.as_tensor(places)
    return codes, features, Targets(torch.from_numpy(labels)[places], places)


def loss_of(objective, codes, features, targets):
    return objective(NetworkOutputs(codes, further={"features": features}), targets)


def expected(name, objective, options, batch, before, training_labels):
    codes, features, targets = batch
    rows, labels = codes.tolist(), targets.labels.tolist()
    healthy = (training_labels == 0).all(axis=1).any()
    if name in {"csq", "orthohash", "dpn"}:
        centers = {"centers": objective.centers.centers.tolist(), "healthy": healthy}
        centers |= {"tie": objective.centers.tie.tolist()} if name == "csq" else {}
        used = {key: value for key, value in options.items() if key not in {"centers", "seed"}}
        return getattr(naive, name)(rows, labels, **centers, **used)
    if name == "greedyhash":
        return naive.greedyhash(rows, labels, objective.classifier.weight.tolist(), healthy, **options)
    if name == "dtsh":
        return naive.dtsh(rows, labels, **options)
    if name == "cibhash":
        return naive.cibhash(rows, options["temperature"], options["weight"])
    if name == "bihalf":
        return naive.bihalf(rows, features.tolist())
    if name == "greedyhash_unsupervised":
        return naive.greedyhash_unsupervised(rows, features.tolist(), **options)
    seen, relaxed = {}, [[0.0] * (N_LABELS + healthy)] * N_BITS
    for former, _, known in (*before, batch):
        kept = [i for i, film in enumerate(known.labels.tolist()) if max(film) >= 0]
        own = [former[i].tolist() for i in kept]
        films = [known.labels[i].tolist() for i in kept]
        members = [[int(m == 1) for m in naive.classes_of(film, healthy)] for film in films]
        bits = naive.dfh_bits(own, members, relaxed, options["pull"])
        relaxed = naive.dfh_centers(relaxed, members, bits, options["apart"], options["binary"])
        places = [known.places[i].item() for i in kept]
        seen.update(dict(zip(places, own, strict=True)))
    found = naive.dfh(
        own, films, places, seen, training_labels.tolist(), bits, options["margin"], options["quantisation"]
    )
    np.testing.assert_allclose(objective.relaxed.numpy(), np.array(relaxed), rtol=1e-7, atol=1e-9)
    return found


@pytest.mark.parametrize("healthy", [True, False])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_loss_equals_its_loop(name, changed, healthy):
    labels = some_labels(healthy=healthy)
    options = objective_spec(name).check_options(OTHER_OPTIONS[name] if changed else {})
    if name == "cibhash":
        options["sampled"] = False
    objective = made(name, labels, **options)
    before = []
    for number, places in enumerate((range(BATCH), range(5, 5 + BATCH))):
        batch = batch_of(labels, places, number)
        found = loss_of(objective, *batch)
        wanted = expected(name, objective, options, batch, before, labels)
        assert found.item() == pytest.approx(wanted, rel=1e-7, abs=1e-9)
        before.append(batch)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_changes_the_loss_its_gradient_or_the_centres_that_move(name):
    labels = some_labels()
    for option, value in OTHER_OPTIONS[name].items():
        found = []
        common = {"centers": "bernoulli"} if option == "seed" else {}
        for options in (common, {**common, option: value}):
            objective = made(name, labels, **options)
            torch.manual_seed(0)
            for number in range(3):  # DFH's bits show what its centres were before
                codes, features, targets = batch_of(labels, range(BATCH), number)
                loss = loss_of(objective, codes.requires_grad_(), features, targets)
            loss.backward()
            kept = objective.relaxed.tolist() if name == "dfh" else []
            found.append((loss.item(), codes.grad.tolist(), kept))
        assert found[0] != found[1], option


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SIGNED])
def test_the_gradient_is_that_of_differences(name):
    labels = some_labels()
    objective = made(name, labels)
    loss_of(objective, *batch_of(labels, range(6, 6 + BATCH), seed=5))  # fills memories
    objective.eval()
    codes, features, targets = batch_of(labels, range(1, 8))
    codes = (codes + 0.05 * codes.sign()).requires_grad_()  # away from the kinks at zero
    assert torch.autograd.gradcheck(lambda values: loss_of(objective, values, features, targets), [codes], atol=1e-6)


class TestThroughTheSign:
    """The gradient of a loss of bits is what the bits would get, and that of the penalty is its own."""

    def test_greedyhash(self):
        labels = some_labels()
        objective = made("greedyhash", labels, quantisation=0.0)
        codes, features, targets = batch_of(labels, range(BATCH))
        loss_of(objective, codes.requires_grad_(), features, targets).backward()
        bits = torch.where(codes < 0, -1.0, 1.0).double().requires_grad_()
        weight = objective.classifier.weight.detach()
        shares = torch.zeros(BATCH, N_LABELS + 1, dtype=torch.float64)
        hidden = torch.zeros_like(shares)
        for i, film in enumerate(targets.labels.tolist()):
            members = naive.classes_of(film, True)
            for c, member in enumerate(members):
                shares[i, c] = float(member == 1) / max(members.count(1), 1)
                hidden[i, c] = -1e9 if member == -1 else 0.0
        with_class = shares.sum(dim=1) > 0
        logits = bits @ weight.T + hidden
        wanted = torch.nn.functional.cross_entropy(logits[with_class], shares[with_class])
        wanted.backward()
        torch.testing.assert_close(codes.grad, bits.grad)
        assert codes.grad.any()

    def test_the_penalty(self):
        labels = some_labels()
        with_penalty, without = (made("greedyhash_unsupervised", labels, quantisation=q) for q in (0.5, 0.0))
        grads = []
        for objective in (with_penalty, without):
            codes, features, targets = batch_of(labels, range(BATCH))
            loss_of(objective, codes.requires_grad_(), features, targets).backward()
            grads.append(codes.grad)
        size = codes.detach().abs()
        slope = 0.5 * 3 * (size - 1).square() * (size - 1).sign() * codes.detach().sign() / codes.numel()
        torch.testing.assert_close(grads[0] - grads[1], slope)

    def test_bi_half_adds_the_transport(self):
        values = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        upstream = torch.arange(36, dtype=torch.float64).reshape(9, 4)
        bits = bi_half(values, 6.0)
        bits.backward(upstream)
        torch.testing.assert_close(values.grad, upstream + 6 * (values.detach() - bits) / 36)
        assert bits.sum(dim=0).tolist() == [-1.0] * 4  # four of nine are 1
        for column in range(4):
            ones, others = values[bits[:, column] == 1, column], values[bits[:, column] == -1, column]
            assert ones.min() >= others.max()

    def test_cibhash(self):
        objective = made("cibhash", some_labels(), sampled=False, weight=0.0)
        codes = torch.randn(6, N_BITS, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
        _, features, targets = batch_of(some_labels(), range(3))
        loss_of(objective, codes, features, targets).backward()
        bits = torch.where(codes < 0, -1.0, 1.0).double().requires_grad_()
        unit = bits / bits.norm(dim=1, keepdim=True)
        scores = unit @ unit.T / 0.3
        rows = [[j for j in range(6) if j != i] for i in range(6)]
        total = sum(torch.logsumexp(scores[i, rows[i]], 0) - scores[i, (i + 3) % 6] for i in range(6)) / 6
        total.backward()
        chances = torch.sigmoid(codes.detach())
        torch.testing.assert_close(codes.grad, bits.grad * chances * (1 - chances))


def test_bits_of_cibhash_are_drawn_in_training_with_the_chance_of_their_values():
    objective = made("cibhash", some_labels(), weight=0.0)
    _, features, targets = batch_of(some_labels(), range(BATCH))
    codes = torch.zeros(2 * BATCH, N_BITS, dtype=torch.float64)
    drawn = {loss_of(objective, codes, features, targets).item() for _ in range(3)}
    assert len(drawn) == 3  # equal codes, other bits every time
    sure = codes + 40.0
    assert loss_of(objective, sure, features, targets).item() == pytest.approx(np.log(2 * BATCH - 1))
    objective.eval()
    assert len({loss_of(objective, codes, features, targets).item() for _ in range(3)}) == 1


@pytest.mark.parametrize("name", LABELLED)
def test_films_of_which_nothing_is_known_have_no_part(name):
    labels = some_labels()
    kept = [place for place in range(BATCH) if labels[place].max() >= 0]
    assert len(kept) < BATCH
    codes, features, targets = batch_of(labels, range(BATCH))
    subset = Targets(targets.labels[kept], targets.places[kept])
    reference = loss_of(made(name, labels), codes[kept], features[kept], subset)
    loss = loss_of(made(name, labels), codes.requires_grad_(), features, targets)
    torch.testing.assert_close(loss, reference)
    loss.backward()
    unknown = [place for place in range(BATCH) if place not in kept]
    assert not codes.grad[unknown].any()
    alone = codes[unknown].detach().requires_grad_()
    nothing = loss_of(
        made(name, labels), alone, features[unknown], Targets(targets.labels[unknown], targets.places[unknown])
    )
    nothing.backward()  # a batch of nothing but unknown films can be stepped over
    assert nothing.item() == 0
    assert not alone.grad.any()


@pytest.mark.parametrize("name", UNLABELLED)
def test_no_label_is_read(name):
    labels = some_labels()
    objective = made(name, labels).eval()
    codes, features, targets = batch_of(labels, range(BATCH))
    other = Targets(torch.full_like(targets.labels, -1), targets.places)
    assert loss_of(objective, codes, features, targets).item() == loss_of(objective, codes, features, other).item()


@pytest.mark.parametrize("name", LABELLED)
def test_descent_brings_films_of_a_class_together_and_others_apart(name):
    labels = np.repeat(np.eye(3, dtype=np.int8), 4, axis=0)
    objective = made(name, labels)
    codes, features, targets = batch_of(labels, range(12))
    optimizer = torch.optim.Adam([codes.requires_grad_(), *objective.parameters()], lr=0.2)
    same = np.arange(12)[:, None] // 4 == np.arange(12)[None] // 4
    gaps = []
    for step in range(41):
        if step in {0, 40}:
            bits = (codes >= 0).numpy()
            distances = (bits[:, None] != bits[None]).sum(axis=2)
            gaps.append(distances[~same].mean() - distances[same].mean())
        optimizer.zero_grad()
        loss_of(objective, codes, features, targets).backward()
        optimizer.step()
    assert gaps[1] > gaps[0] + 1.5
    if name in {"csq", "dpn"}:
        np.testing.assert_array_equal(bits[::4], objective.centers.centers.numpy() > 0)


class TestLayersOverFeatures:
    """Without labels: a layer over features in groups ranks films of a group before others, better than random ones."""

    N_GROUPS, N_FILMS, LENGTH = 6, 120, 32

    def precision(self, layer, features, group) -> float:
        """Share of films of the same group among the ten nearest by Hamming distance; ties fall by chance."""
        with torch.no_grad():
            bits = torch.where(layer(features) < 0, -1.0, 1.0).numpy()
        nearness = bits @ bits.T + 0.5 * np.random.default_rng(0).random((len(bits), len(bits)))
        np.fill_diagonal(nearness, -np.inf)
        first = np.argsort(-nearness, axis=1)[:, :10]
        return float((group[first] == group[:, None]).mean())

    def random_layer(self, seed: int) -> torch.nn.Linear:
        torch.manual_seed(seed)
        return torch.nn.Linear(self.LENGTH, N_BITS)

    @pytest.mark.parametrize("name", UNLABELLED)
    def test_training_beats_random_layers(self, name, judge_trainings):
        generator = torch.Generator().manual_seed(0)
        middles = torch.relu(torch.randn(self.N_GROUPS, self.LENGTH, generator=generator))
        group = np.arange(self.N_FILMS) % self.N_GROUPS
        clean = middles[group]

        def view():
            return torch.relu(clean + 0.5 * torch.randn(clean.shape, generator=generator))

        features = view()
        untrained = [self.precision(self.random_layer(seed), features, group) for seed in range(100, 120)]

        def score(seed: int, n_passes: int) -> float:
            layer, objective = self.random_layer(seed), create_objective(name, some_labels(), N_BITS)
            optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
            for _ in range(n_passes):
                order = torch.randperm(self.N_FILMS)
                for rows in order.split(30):
                    seen = torch.cat([view()[rows], view()[rows]]) if name == "cibhash" else features[rows]
                    targets = Targets(torch.full((len(rows), N_LABELS), -1, dtype=torch.int8), rows)
                    loss = objective(NetworkOutputs(layer(seen), further={"features": seen}), targets)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            return self.precision(layer, features, group)

        better, figures = judge_trainings(score, 15, untrained)
        assert better, figures


class TestCentres:
    @pytest.mark.parametrize("n_classes", [2, 8, 15, 16])
    def test_rows_of_hadamard_differ_in_half_of_the_bits_or_in_all(self, n_classes):
        centers = hash_centers(n_classes, 8, centers="hadamard").astype(int)
        products = centers @ centers.T
        assert (np.diag(products) == 8).all()
        assert set(products[~np.eye(n_classes, dtype=bool)].tolist()) <= {0, -8}

    @pytest.mark.parametrize(("n_classes", "n_bits"), [(10, 12), (3, 9), (40, 16), (1, 5)])
    def test_drawn_ones_are_balanced_apart_and_of_the_seed(self, n_classes, n_bits):
        centers = hash_centers(n_classes, n_bits)  # no Hadamard matrix has these
        assert ((centers == -1).sum(axis=1) == n_bits // 2).all()
        np.testing.assert_array_equal(centers, hash_centers(n_classes, n_bits))
        assert (centers != hash_centers(n_classes, n_bits, seed=1)).any()
        if n_classes > 1:
            closest = [(hash_centers(n_classes, n_bits, seed=s).astype(int)) for s in range(3)]
            single = np.random.default_rng(5).permuted(np.tile(centers[0], (n_classes, 1)), axis=1).astype(int)

            def nearest(c):
                return (c @ c.T)[~np.eye(n_classes, dtype=bool)].max()

            assert max(nearest(c) for c in closest) <= nearest(single)

    def test_what_is_not_possible_is_refused(self):
        with pytest.raises(InvalidParameterError, match="power of 2"):
            hash_centers(3, 12, centers="hadamard")
        with pytest.raises(InvalidParameterError, match="power of 2"):
            hash_centers(17, 8, centers="hadamard")
        with pytest.raises(InvalidParameterError, match='"auto" or "hadamard" or "bernoulli"'):
            hash_centers(3, 8, centers="random")


def test_centres_of_dfh_end_where_they_are_near_their_bits_and_apart():
    member = torch.eye(3, dtype=torch.float64).repeat_interleave(4, dim=0)
    bits = torch.from_numpy(hash_centers(3, 8).astype(float)).repeat_interleave(4, dim=0)
    centers = moved_centers(torch.zeros(8, 3, dtype=torch.float64), member, bits, 0.0, 1.0)
    np.testing.assert_array_equal(torch.sign(centers).T.numpy(), bits[::4].numpy())
    apart = moved_centers(centers, member, bits, 1.0, 1.0)
    before, after = (torch.triu(c.T @ c, 1).sum() for c in (centers, apart))
    assert after < before


@pytest.mark.parametrize("name", NAMES)
def test_options_out_of_range_are_refused(name):
    for option in objective_spec(name).options:
        with pytest.raises(InvalidParameterError, match=option):
            create_objective(name, some_labels(), N_BITS, **{option: -1})


@pytest.mark.parametrize("name", [*CLASSES, "dfh"])
def test_the_length_of_the_codes_is_asked_for(name):
    with pytest.raises(InvalidParameterError, match="n_bits"):
        create_objective(name, some_labels())


@pytest.mark.parametrize("name", ["bihalf", "greedyhash_unsupervised"])
def test_a_network_that_passes_no_features_on_is_refused(name):
    codes, _, targets = batch_of(some_labels(), range(BATCH))
    with pytest.raises(EncoderError, match="choose another objective"):
        made(name, some_labels())(NetworkOutputs(codes), targets)


@pytest.mark.parametrize("name", ["csq", "orthohash", "dpn", "greedyhash", "dfh"])
def test_a_checkpoint_brings_back_what_a_loss_knows(name):
    labels = some_labels()
    objective = made(name, labels)
    loss_of(objective, *batch_of(labels, range(BATCH)))
    torch.manual_seed(9)
    resumed = create_objective(name, labels, N_BITS).double()
    resumed.load_state_dict(objective.state_dict())
    second = batch_of(labels, range(5, 5 + BATCH), 1)
    assert loss_of(resumed, *second).item() == loss_of(objective, *second).item()
