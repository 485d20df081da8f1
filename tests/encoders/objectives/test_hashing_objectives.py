"""The losses of deep hashing: equal to their loops, right derivatives, and what they must not depend on."""

import naive_hashing_losses as naive
import numpy as np
import pytest
import torch

from graphret._errors import EncoderError, InvalidParameterError
from graphret.encoders.objectives import create_objective, list_objectives, objective_spec
from graphret.encoders.objectives.cnnh_codes import codes_of_labels, set_relations
from graphret.encoders.objectives.objective import NetworkOutputs, Targets
from graphret.encoders.objectives.relations import mean_where, pair_relations, shared_labels, signs

N_BITS, N_LABELS, BATCH = 6, 3, 9
NAMES = ("ath", "cnnh", "ddmh", "dh", "dnnh", "dpsh", "drh", "dsh", "hashnet", "osdh")
OTHER_OPTIONS = {
    "ath": {"margin": 0.3, "classification": 0.7},
    "cnnh": {"classification": 0.4, "seed": 3},
    "ddmh": {"scale": 6.0, "alpha": 2.0, "quantisation": 0.3, "queue": 5},
    "dh": {"balance": 0.5, "scatter": 0.3, "independence": 0.2},
    "dnnh": {"margin": 0.5, "epsilon": 0.2},
    "dpsh": {"eta": 2.0},
    "drh": {"quantisation": 0.2, "balance": 0.4, "orthogonal": 0.3},
    "dsh": {"alpha": 0.2, "margin": 1.0},
    "hashnet": {"alpha": 4.0, "gamma": 0.5, "step_size": 1},
    "osdh": {"rho": 1.5, "classification": 0.9},
}


def some_labels(seed: int = 0, n: int = 40) -> np.ndarray:
    """Films with several findings, without any, with uncertain ones, and some of which nothing is known."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(np.array([1, 0, 0, -1], dtype=np.int8), (n, N_LABELS))
    labels[0], labels[1:3], labels[3:6] = -1, 0, [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    return labels


def batch_of(labels, places, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(len(places), N_BITS, generator=generator, dtype=dtype) * 1.3
    logits = torch.randn(len(places), N_LABELS, generator=generator, dtype=dtype)
    weight = torch.randn(N_BITS, 8, generator=generator, dtype=dtype) / 3
    places = torch.as_tensor(places)
    return codes, logits, weight, Targets(torch.from_numpy(labels)[places], places)


def loss_of(objective, codes, logits, weight, targets):
    return objective(NetworkOutputs(codes, logits, further={"hash_weight": weight}), targets)


def expected(name, objective, options, codes, logits, weight, targets, training_labels, before=()):
    """``before``: batches (codes, labels, places) that were seen in training, the last one first."""
    rows, known = codes.tolist(), targets.labels.tolist()
    training, places = training_labels.tolist(), targets.places.tolist()
    classifying = {"logits": logits.tolist(), "training_labels": training}
    options = objective_spec(name).check_options(options)
    if name in {"dsh", "dnnh", "dh"}:
        return getattr(naive, name)(rows, known, **options)
    if name == "drh":
        return naive.drh(rows, known, weight.tolist(), **options)
    if name in {"ath", "osdh"}:
        return getattr(naive, name)(rows, known, **classifying, **options)
    if name == "hashnet":
        step = int(objective.steps) // options["step_size"] * options["step_size"]
        return naive.hashnet(rows, known, options["alpha"], (1 + options["gamma"] * step) ** 0.5)
    if name == "cnnh":
        wanted = objective.codes[targets.places].tolist()
        return naive.cnnh(rows, known, **classifying, wanted=wanted, classification=options["classification"])
    films = [film for batch in before for film in zip(*(part.tolist() for part in batch), strict=True)]
    films = [film for film in films if max(film[1]) >= 0]
    if name == "ddmh":
        return naive.ddmh(rows, known, places, films[: options.pop("queue")], **options)
    seen = {place: code for code, _, place in reversed(films)}
    kept = naive.known_rows(known)
    seen.update({places[i]: rows[i] for i in kept} if objective.training else {})
    return naive.dpsh(
        [rows[i] for i in kept], [known[i] for i in kept], [places[i] for i in kept], seen, training, **options
    )


def test_the_ten_are_registered_and_tested_here():
    assert set(NAMES) < set(list_objectives())
    assert set(OTHER_OPTIONS) == set(NAMES)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_loss_equals_its_loop_over_pairs_or_triplets(name, changed, seed):
    labels = some_labels(seed)
    options = OTHER_OPTIONS[name] if changed else {}
    objective = create_objective(name, labels, N_BITS, **options).double()
    before = []
    for number, places in enumerate((range(BATCH), range(5, 5 + BATCH), range(2, 2 + BATCH))):
        codes, logits, weight, targets = batch_of(labels, places, seed + number)
        wanted = expected(name, objective, options, codes, logits, weight, targets, labels, before)
        found = loss_of(objective, codes, logits, weight, targets)
        assert found.item() == pytest.approx(wanted, rel=1e-7, abs=1e-9)
        before.insert(0, (codes, targets.labels, targets.places))


@pytest.mark.parametrize("name", NAMES)
def test_every_option_changes_the_loss(name):
    labels = some_labels()
    places = range(BATCH)
    for option, value in OTHER_OPTIONS[name].items():
        if (name, option) == ("ddmh", "queue"):
            continue  # it shows once films have dropped out of the queue: the test of the loops
        found = []
        common = {"hashnet": {"step_size": 2, "gamma": 0.4}}.get(name, {})
        for options in (common, {**common, option: value}):
            objective = create_objective(name, labels, N_BITS, **options).double()
            for _ in range(4):
                loss = loss_of(objective, *batch_of(labels, places))
            found.append(loss.item())
        assert found[0] != found[1], option


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_differences(name):
    labels = some_labels()
    objective = create_objective(name, labels, N_BITS, **({"queue": 4} if name == "ddmh" else {})).double()
    loss_of(objective, *batch_of(labels, range(6, 6 + BATCH), seed=5))  # fills memories and queues
    objective.eval()
    codes, logits, weight, targets = batch_of(labels, range(1, 7))
    codes = codes + 0.05 * codes.sign()  # away from the kinks at zero
    tensors = [value.requires_grad_() for value in (codes, logits, weight)]
    assert torch.autograd.gradcheck(lambda *values: loss_of(objective, *values, targets), tensors, atol=1e-6)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_films_and_of_labels_does_not_matter(name):
    labels = some_labels()
    codes, logits, weight, targets = batch_of(labels, range(BATCH))
    films = torch.tensor([4, 0, 8, 2, 6, 1, 7, 3, 5])
    columns = [2, 0, 1]
    objective = create_objective(name, labels, N_BITS).double()
    reference = loss_of(objective, codes, logits, weight, targets)
    again = create_objective(name, labels, N_BITS).double()
    moved = Targets(targets.labels[films], targets.places[films])
    torch.testing.assert_close(loss_of(again, codes[films], logits[films], weight, moved), reference)
    renamed = create_objective(name, np.ascontiguousarray(labels[:, columns]), N_BITS).double()
    if name == "cnnh":  # the codes it asks for are as good, but others
        renamed.codes.copy_(objective.codes)
    found = loss_of(renamed, codes, logits[:, columns], weight, Targets(targets.labels[:, columns], targets.places))
    torch.testing.assert_close(found, reference)


@pytest.mark.parametrize("name", NAMES)
def test_films_of_unknown_labels_have_no_part(name):
    labels = some_labels()
    labels[BATCH:] = some_labels(1, len(labels) - BATCH)
    labels[[2, 5]] = -1
    kept = [0, 1, 3, 4, 6, 7, 8]
    codes, logits, weight, targets = batch_of(labels, range(BATCH))
    alone = create_objective(name, labels, N_BITS).double()
    subset = Targets(targets.labels[kept], targets.places[kept])
    reference = loss_of(alone, codes[kept], logits[kept], weight, subset)
    together = create_objective(name, labels, N_BITS).double()
    codes, logits = codes.requires_grad_(), logits.requires_grad_()
    loss = loss_of(together, codes, logits, weight, targets)
    torch.testing.assert_close(loss, reference)
    loss.backward()
    assert codes.grad[kept[1:]].any()
    assert not codes.grad[[0, 2, 5]].any()
    assert logits.grad is None or not logits.grad[[0, 2, 5]].any()
    before = together.state_dict()
    again = loss_of(
        together,
        codes[[2, 5]].detach().requires_grad_(),
        logits[[2, 5]].detach(),
        weight,
        Targets(targets.labels[[2, 5]], targets.places[[2, 5]]),
    )
    assert torch.isfinite(again)
    assert again.requires_grad  # a batch of nothing but unknown films can be stepped over
    after = together.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before if key != "steps")


def test_pair_relations_are_those_of_the_loop():
    labels = torch.from_numpy(some_labels(3, 60))
    similar, known = pair_relations(labels)
    for i in range(60):
        for j in range(60):
            kind = naive.relation(labels[i].tolist(), labels[j].tolist())
            assert (bool(similar[i, j]), bool(known[i, j])) == (kind == "similar", kind != "open")
            assert shared_labels(labels)[i, j] == naive.shared(labels[i].tolist(), labels[j].tolist())


def test_the_mean_of_nothing_is_zero_and_the_sign_of_zero_is_one():
    values = torch.ones(2, requires_grad=True)
    mean_where(values, torch.tensor([False, False])).backward()
    assert values.grad.tolist() == [0.0, 0.0]
    assert signs(torch.tensor([-2.0, -0.0, 0.0, 3.0])).tolist() == [-1.0, 1.0, 1.0, 1.0]


def test_beta_of_hashnet_rises_every_so_many_steps_of_training_only():
    labels = some_labels()
    objective = create_objective("hashnet", labels, N_BITS, gamma=0.5, step_size=3)
    betas = []
    for _ in range(7):
        betas.append(objective.beta)
        loss_of(objective, *batch_of(labels, range(BATCH)))
    assert betas == pytest.approx([1, 1, 1, 2.5**0.5, 2.5**0.5, 2.5**0.5, 2.0])
    objective.eval()
    loss_of(objective, *batch_of(labels, range(BATCH)))
    assert int(objective.steps) == 7
    resumed = create_objective("hashnet", labels, N_BITS, gamma=0.5, step_size=3)
    resumed.load_state_dict(objective.state_dict())
    assert resumed.beta == objective.beta


@pytest.mark.parametrize("name", ["dpsh", "ddmh"])
def test_memories_hold_what_training_saw_and_are_resumed(name):
    labels = some_labels()
    objective = create_objective(name, labels, N_BITS, **({"queue": 12} if name == "ddmh" else {})).double()
    first, second = (batch_of(labels, range(start, start + BATCH), seed=start) for start in (0, 7))
    loss_of(objective, *first)
    resumed = create_objective(name, labels, N_BITS, **({"queue": 12} if name == "ddmh" else {})).double()
    resumed.load_state_dict(objective.state_dict())
    assert loss_of(objective, *second).item() == loss_of(resumed, *second).item()
    fresh = create_objective(name, labels, N_BITS).double()
    assert loss_of(fresh, *second).item() != loss_of(resumed, *second).item()
    if name == "ddmh":
        known = (second[3].labels >= 0).any(dim=1)
        assert objective.queue_places[: int(known.sum())].tolist() == second[3].places[known].tolist()
        assert torch.equal(objective.queue_codes[: int(known.sum())], second[0][known])
    objective.eval()
    before = {key: value.clone() for key, value in objective.state_dict().items()}
    loss_of(objective, *first)
    assert all(torch.equal(value, before[key]) for key, value in objective.state_dict().items())


class TestCodesOfLabels:
    @staticmethod
    def error(labels, codes):
        similarity, known = set_relations(labels, labels)
        products = codes.astype(float) @ codes.T.astype(float) / codes.shape[1]
        return ((products - similarity) ** 2)[known].mean()

    def test_they_solve_what_can_be_solved(self):
        labels = np.repeat(np.eye(2, dtype=np.int8), [30, 10], axis=0)
        codes = codes_of_labels(labels, 16)
        assert self.error(labels, codes) == 0
        assert set(np.unique(codes)) == {-1, 1}

    def test_they_are_better_than_chance_and_equal_for_equal_labels(self):
        labels = (np.random.default_rng(0).random((300, 5)) < 0.3).astype(np.int8)
        codes = codes_of_labels(labels, 32)
        random = np.random.default_rng(1).choice([-1, 1], (300, 32))
        assert self.error(labels, codes) < 0.8 * self.error(labels, random)
        for row in range(1, 300):
            if np.array_equal(labels[row], labels[0]):
                assert np.array_equal(codes[row], codes[0])

    def test_more_sweeps_and_more_sets_are_not_worse(self):
        labels = (np.random.default_rng(2).random((400, 6)) < 0.3).astype(np.int8)
        assert self.error(labels, codes_of_labels(labels, 24)) < self.error(
            labels, codes_of_labels(labels, 24, sweeps=1)
        )
        few = codes_of_labels(labels, 24, max_sets=10)
        assert self.error(labels, few) < self.error(labels, np.random.default_rng(1).choice([-1, 1], (400, 24)))
        assert set(np.unique(few)) == {-1, 1}

    def test_the_seed_decides_them(self):
        labels = some_labels()
        assert np.array_equal(codes_of_labels(labels, 8), codes_of_labels(labels, 8))
        assert not np.array_equal(codes_of_labels(labels, 8), codes_of_labels(labels, 8, seed=1))

    def test_the_sweep_falls_by_what_it_says(self):
        from graphret.encoders.objectives._cnnh_kernels import sweep

        generator = np.random.default_rng(0)
        sets, counts = np.unique(some_labels(4, 200), axis=0, return_counts=True)
        similarity, known = set_relations(sets, sets)
        bits = generator.uniform(-1, 1, (8, len(sets)))
        weights = known * counts.astype(float)

        def total():
            return (counts[:, None] * weights * (bits.T @ bits - 8 * similarity) ** 2).sum()

        before = total()
        for _ in range(3):
            fallen = sweep(bits, similarity, weights, counts.astype(float), generator.permutation(len(sets)))
            assert fallen == pytest.approx(before - total(), rel=1e-9)
            assert fallen > 0
            before = total()
        assert np.abs(bits).max() <= 1


@pytest.mark.parametrize("name", ["cnnh", "ddmh", "dpsh"])
def test_a_loss_that_keeps_codes_asks_for_their_length(name):
    with pytest.raises(InvalidParameterError, match="n_bits"):
        create_objective(name, some_labels())


@pytest.mark.parametrize("name", NAMES)
def test_options_out_of_range_are_refused(name):
    for option in objective_spec(name).options:
        with pytest.raises(InvalidParameterError, match=option):
            create_objective(name, some_labels(), N_BITS, **{option: -1})


@pytest.mark.parametrize("name", ["drh", "ath", "osdh"])
def test_a_network_without_what_the_loss_reads_is_refused(name):
    labels = some_labels()
    objective = create_objective(name, labels, N_BITS)
    codes, _, _, targets = batch_of(labels, range(BATCH), dtype=torch.float32)
    with pytest.raises(EncoderError, match=r"choose (another|an) objective"):
        objective(NetworkOutputs(codes), targets)
