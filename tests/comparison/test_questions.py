"""Questions: which rows are compared, how they are pooled, and what is answered."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest

from graphret._errors import ExperimentError
from graphret.comparison import IntervalSettings, OrderSettings, QuestionSettings
from graphret.comparison.answers import NOT_ASKED, NOT_TOLD_APART, answer_questions
from graphret.comparison.pooled import PairedSet, Resampler, resamples_needed
from graphret.comparison.query_values import QueryValues
from graphret.comparison.question_pairs import AskedReport
from graphret.comparison.significance import false_discovery
from graphret.comparison.training_curve import not_to_the_end, training_state

SETTINGS = IntervalSettings(n_resamples=400)
SAME_BITS = QuestionSettings("graph?", ranking="contextual:bits", against="hamming")


def row(method, ranking, bits=64, size=8.0, kind="hasher"):
    name = ", ".join([method, *([f"{bits} bits"] if bits else []), ranking])
    costs = {"bytes_per_film": size, "query_milliseconds": size / 100}
    return {
        "name": name,
        "method": method,
        "kind": kind,
        "n_bits": bits,
        "ranking": ranking,
        "error": None,
        "costs": costs,
    }


def report(name, gains, *, noise=0.05, seeds=1, keep=True, extra=()):
    """A report whose ranking contextual:bits gains so much on the bits of every method."""
    generator = np.random.default_rng([*name.encode()])
    rows, values = [], []
    base = generator.uniform(0.3, 0.7, (seeds, 120))
    for method, gain in gains.items():
        rows += [row(method, "hamming"), row(method, "contextual:bits", size=700.0)]
        own = base + generator.normal(0, noise, (seeds, 120))
        values += [own, own + gain + generator.normal(0, noise, (seeds, 120))]
    rows += extra
    values += [base] * len(extra)
    patients = np.arange(120) // 2
    kept = QueryValues(
        tuple(one["name"] for one in rows),
        ("P@10",),
        tuple(range(seeds)),
        patients,
        np.array(values, np.float32)[:, None],
    )
    pairs = []
    for place in range(0, 2 * len(gains), 2):
        difference = values[place + 1] - values[place]
        error = difference.mean(axis=0).reshape(60, 2).mean(axis=1).std() / math.sqrt(60)
        mean = difference.mean()
        figures = {"mean": mean, "low": mean - 1.96 * error, "high": mean + 1.96 * error}
        pairs.append(
            {"row": rows[place + 1]["name"], "reference": rows[place]["name"], "differences": {"P@10": figures}}
        )
    document = {"rows": rows, "reference": None, "differences": {}, "same_codes": pairs, "orders": []}
    document["experiment"] = {"methods": [{"label": one["method"], "on": ""} for one in rows]}
    return AskedReport(name, document, kept if keep else None)


def answer(question, reports, orders=(), settings=SETTINGS):
    (found,) = answer_questions([question], orders, reports, settings, "P@10")
    return found


def test_yes_no_and_not_told_apart():
    methods = [f"m{number}" for number in range(6)]
    for gain, said in ((0.05, "yes"), (-0.05, "no"), (0.0, NOT_TOLD_APART)):
        found = answer(SAME_BITS, [report(name, dict.fromkeys(methods, gain)) for name in ("one", "two")])
        assert found["answer"] == said
        assert found["mean"] == pytest.approx(gain, abs=0.01)
        assert found["low"] < found["mean"] < found["high"]
        assert found["n_pairs"] == 12
        assert found["bytes"] == [700, 8]
        assert [entry["evidence"] for entry in found["sets"]] == ["queries", "queries"]


def test_an_answer_turns_on_at_least():
    reports = [report("one", dict.fromkeys("abcd", -0.02))]
    assert answer(SAME_BITS, reports)["answer"] == "no"
    assert answer(replace(SAME_BITS, at_least=-0.05), reports)["answer"] == "yes"
    assert answer(replace(SAME_BITS, at_least=-0.02), reports)["answer"] == NOT_TOLD_APART


def test_sets_that_disagree_are_no_answer():
    reports = [report("one", dict.fromkeys("abcd", 0.3)), report("two", dict.fromkeys("abcd", -0.05))]
    found = answer(SAME_BITS, reports)
    assert found["low"] > 0
    assert found["answer"] == NOT_TOLD_APART
    assert "two says the opposite" in found["note"]


def test_intervals_answer_where_no_values_were_kept_and_are_wider():
    gains = dict.fromkeys("abcd", 0.05)
    exact, read = (answer(SAME_BITS, [report("one", gains, keep=keep)]) for keep in (True, False))
    assert read["sets"][0]["evidence"] == "intervals"
    assert read["mean"] == pytest.approx(exact["mean"], abs=1e-6)
    assert read["high"] - read["low"] > exact["high"] - exact["low"]
    assert read["answer"] == exact["answer"] == "yes"


def test_a_pair_that_a_report_did_not_compare_takes_both_errors():
    one = report("one", {"a": 0.05, "b": 0.0}, keep=False)
    figures = {name: {"P@10": {"mean": mean, "low": mean - 0.0196, "high": mean + 0.0196}}
               for name, mean in (("a, 64 bits, hamming", 0.3), ("b, 64 bits, hamming", 0.1))}  # fmt: skip
    one.document.update(reference="r", differences=figures)
    order = OrderSettings("o", ("a, 64 bits, hamming", "b, 64 bits, hamming"))
    found = answer(QuestionSettings("order?", order="o"), [one], [order])
    assert found["mean"] == pytest.approx(0.2)
    assert (found["high"] - found["low"]) / 2 == pytest.approx(1.96 * 0.02, rel=0.1)


def test_equal_bytes_takes_the_longest_code_that_fits():
    extra = (row("a", "hamming", 4096, 512.0), row("a", "hamming", 5120, 640.0), row("a", "hamming", 8192, 1024.0))
    question = replace(SAME_BITS, equal_bytes=True)
    found = answer(question, [report("one", {"a": 0.2, "b": 0.2}, extra=extra)])
    assert (found["n_pairs"], found["bytes"]) == (1, [700, 640])
    nothing = answer(question, [report("one", {"a": 0.2})])
    assert nothing["answer"] == NOT_ASKED
    assert "contextual:bits takes 700 bytes a film, hamming 8" in nothing["note"]
    assert nothing["mean"] is None


def test_a_row_may_be_the_rival_of_all():
    extra = (row("net", "nearest", None, 4096.0, "encoder"), row("random", "contextual:bits", kind="random"))
    question = QuestionSettings("gap?", ranking="contextual:bits", against="net, nearest")
    found = answer(question, [report("one", {"a": 0.2, "b": 0.1}, extra=extra)])
    assert (found["n_pairs"], found["bytes"]) == (2, [700, 4096])  # random codes are no method
    assert answer(replace(question, methods=("a",)), [report("one", {"a": 0.2, "b": 0.1}, extra=extra)])["n_pairs"] == 1
    assert (
        "no row has the ranking tuned" in answer(replace(question, ranking="tuned"), [report("one", {"a": 1})])["note"]
    )


def test_an_order_holds_where_every_pair_does():
    reports = [report("one", {"a": 0.3, "b": 0.2, "c": 0.1})]
    names = ["a, 64 bits, contextual:bits", "b, 64 bits, contextual:bits", "c, 64 bits, contextual:bits"]
    for methods, said in ((names, "yes"), (names[::-1], "no"), ((names[0], names[2], names[1]), "no")):
        found = answer(QuestionSettings("order?", order="all"), reports, [OrderSettings("o", tuple(methods))])
        assert (found["answer"], found["n_pairs"]) == (said, 2)
    assert "1 as published, 1 reversed" in found["note"]
    lone = answer(QuestionSettings("order?", order="o"), reports, [OrderSettings("o", ("x", "y"))])
    assert lone["answer"] == NOT_ASKED


def test_p_counts_all_questions():
    reports = [report("one", dict.fromkeys("abcdef", 0.012), noise=0.08)]
    alone = answer_questions([SAME_BITS], (), reports, SETTINGS, "P@10")[0]
    many = [replace(SAME_BITS, title=str(number)) for number in range(5)]
    for adjust, factor in (("holm", 5), ("fdr", 1)):
        found = answer_questions(many, (), reports, replace(SETTINGS, adjust=adjust), "P@10")[0]
        assert found["p_adjusted"] == pytest.approx(min(1, factor * found["p_value"]))
    assert alone["p_adjusted"] == alone["p_value"]


def test_there_are_enough_resamples_for_every_number_of_questions():
    for n_tests in (1, 15, 300):
        n = resamples_needed(n_tests, 0.05, 2000)
        assert n_tests / (n + 1) < 0.05 / 19


def test_false_discovery_by_the_definition():
    def rejected(p_values, level):
        ordered = sorted(p_values)
        passed = [p for rank, p in enumerate(ordered, 1) if p <= level * rank / len(ordered)]
        return [p <= max(passed, default=-1) for p in p_values]

    for p_values in ([0.01, 0.04, 0.03], [0.5, 0.001, 0.02, 0.02], [0.05], [0.9, 0.8], [0.03, 0.03, 0.2]):
        for level in (0.011, 0.05, 0.1, 0.25):
            assert [p <= level + 1e-12 for p in false_discovery(p_values)] == rejected(p_values, level)
    assert math.isnan(false_discovery([0.1, math.nan])[1])


def shares_of(generator_key, n):
    """How often each of n seeds is among the n - 1 that are drawn, as a share."""
    return np.random.default_rng(generator_key).multinomial(n - 1, np.full(n, 1 / n), 60) / (n - 1)


def test_the_pooled_bootstrap_agrees_with_loops():
    generator = np.random.default_rng(4)
    sets = []
    trainings = {"a": ("net", "net"), "b": ("b", "rival"), "c": ("c", "rival"), "d": ("net", "d")}
    for name, pairs in (("one", "abc"), ("two", "bd")):
        sides = generator.normal(0.02, 0.1, (2, len(pairs), 3, 30))
        sides[0, 0, :, :3] = np.nan
        sides[1, 1, :, 2:5] = np.nan
        of_pairs = tuple(trainings[pair] for pair in pairs)
        sets.append(PairedSet(name, tuple(pairs), sides, generator.integers(0, 12, 30), trainings=of_pairs))
    resampler = Resampler(60, 7)
    found = resampler.pool(sets, at_least=0.01)
    groups = ["a", "b", "c", "d"]
    weights = resampler._group_weights(4)
    assert (weights.sum(axis=1) == 3).all()
    means, drawn = [], np.empty((60, 2))
    for number, one in enumerate(sets):
        _, patient = np.unique(one.patients, return_inverse=True)
        of_patients = resampler._patients(one.name, patient.max() + 1)
        names = {name for pair in one.trainings for name in pair}
        seeds = {name: shares_of([7, 2, *one.name.encode(), 0, *name.encode()], 3) for name in names}
        means.append(np.mean([[np.nanmean(first - second) for first, second in zip(*both, strict=True)]
                              for both in zip(*one.sides, strict=True)]))  # fmt: skip
        for sample in range(60):
            total = weight = 0.0
            for place, pair in enumerate(one.pairs):
                of_pair = 0.0
                for seed in range(3):
                    missing = np.isnan(one.sides[:, place, seed]).any(axis=0)
                    often = of_patients[sample][patient] * ~missing
                    for side, sign in ((0, 1), (1, -1)):
                        values = np.where(missing, 0.0, one.sides[side, place, seed])
                        share = seeds[one.trainings[place][side]][sample, seed]
                        of_pair += sign * share * (often * values).sum() / often.sum()
                total += weights[sample, groups.index(pair)] * of_pair
                weight += weights[sample, groups.index(pair)]
            drawn[sample, number] = total / weight if weight else np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        together = np.nanmean(drawn, axis=1)
    together = together[~np.isnan(together)]
    assert found.mean == pytest.approx(np.mean(means))
    assert [found.low, found.high] == pytest.approx(np.quantile(together, [0.025, 0.975]), abs=1e-6)
    beyond = np.abs(together - found.mean) >= abs(found.mean - 0.01)
    assert found.p_value == pytest.approx((1 + beyond.sum()) / (1 + len(together)))


def test_what_a_seed_does_to_a_common_rival_it_does_to_all_pairs():
    """Eight methods against one row whose seeds differ: the mean of eight is no surer of that row than one is."""
    generator = np.random.default_rng(0)
    of_rival = np.array([-0.1, 0.0, 0.1])[None, :, None]
    sides = np.stack([np.zeros((8, 3, 400)), np.broadcast_to(of_rival, (8, 3, 400))]) + 0.001 * generator.normal(
        size=(2, 8, 3, 400)
    )
    names, patients = tuple(map(str, range(8))), np.arange(400)
    widths = {}
    for kind, rival in (("one rival", "rival"), ("eight rivals", "")):
        trainings = tuple((name, rival or f"{name} rival") for name in names)
        found = Resampler(4000, 0).pool([PairedSet("films", names, sides, patients, trainings=trainings)])
        widths[kind] = found.high - found.low
    assert widths["one rival"] > 0.19  # the draws of two of three seeds span -0.1 to 0.1
    assert widths["eight rivals"] < 0.7 * widths["one rival"]
    same = tuple((name, name) for name in names)
    within = Resampler(4000, 0).pool([PairedSet("films", names, np.stack([sides[1], sides[1] + 0.1]), patients,
                                                trainings=same)])  # fmt: skip
    assert within.high - within.low < 1e-6  # a ranking of the same codes: the seed is on both sides


def test_few_seeds_do_not_look_surer_than_they_are():
    """Of three seeds the variance of the mean is that of the textbook, s^2 / 3, and not two thirds of it."""
    of_seeds = np.array([0.3, 0.5, 0.9])
    sides = np.zeros((2, 1, 3, 50))
    sides[0, 0] = of_seeds[:, None]
    resampler = Resampler(40_000, 0)
    one = PairedSet("films", ("a",), sides, np.arange(50), trainings=(("a", "rival"),))
    _, drawn = resampler._of_set(one, np.ones((40_000, 1)))
    assert drawn.mean() == pytest.approx(of_seeds.mean(), abs=0.002)
    assert drawn.var() == pytest.approx(of_seeds.var(ddof=1) / 3, rel=0.03)


def sets_of(means, noise=0.002, n=3):
    """Sets whose means differ."""
    made = []
    for number, mean in enumerate(means):
        sides = np.random.default_rng(number).normal(0, noise, (2, n, 1, 200))
        sides[0] += mean
        made.append(PairedSet(str(number), tuple("abcdefgh"[:n]), sides, np.arange(200)))
    return made


def test_other_sets_are_judged_by_the_spread_of_these():
    two = Resampler(500, 0).pool(sets_of([0.05, 0.15]))
    half = 12.7062 * 0.05  # Student's t of one degree of freedom, times the standard error of two means
    assert two.elsewhere[:2] == pytest.approx((two.mean - half, two.mean + half), rel=0.01)
    assert two.elsewhere[2] > 0.2
    three = Resampler(500, 0).pool(sets_of([0.10, 0.11, 0.12]))
    assert three.elsewhere[0] > 0
    assert three.elsewhere[2] < 0.02
    alike = Resampler(500, 0).pool(sets_of([0.1, 0.1], noise=0.3))
    assert alike.elsewhere[0] <= alike.low
    assert alike.elsewhere[1] >= alike.high
    assert alike.elsewhere[2] >= alike.p_value
    assert Resampler(500, 0).pool(sets_of([0.1])).elsewhere is None


def test_the_interval_of_other_sets_covers_where_a_bootstrap_of_two_does_not():
    """Sets drawn around 0: how often the interval holds it. A bootstrap of two sets reaches from one to the other."""
    generator = np.random.default_rng(0)
    held = {2: [], 3: []}
    between = []
    for number in range(300):
        for n_sets, found in held.items():
            means = generator.normal(0, 0.1, n_sets)
            low, high, _ = Resampler(40, number).pool(sets_of(means, noise=1e-6)).elsewhere
            found.append(low <= 0 <= high)
            if n_sets == 2:
                between.append(means.min() <= 0 <= means.max())
    assert np.mean(held[2]) > 0.92
    assert np.mean(held[3]) > 0.92
    assert np.mean(between) < 0.58


def test_an_answer_says_what_it_is_worth_elsewhere():
    methods = [f"m{number}" for number in range(6)]
    for gains, here, elsewhere in (((0.05, 0.051), "yes", "yes"), ((0.02, 0.12), "yes", NOT_TOLD_APART)):
        reports = [
            report(name, dict.fromkeys(methods, gain), noise=0.02) for name, gain in zip("ab", gains, strict=True)
        ]
        found = answer(SAME_BITS, reports)
        assert found["answer"] == here
        if elsewhere != "yes":
            assert found["elsewhere"]["answer"] == elsewhere
        assert found["elsewhere"]["low"] <= found["low"] < found["high"] <= found["elsewhere"]["high"]
    assert answer(SAME_BITS, [report("one", dict.fromkeys(methods, 0.05))])["elsewhere"] is None


def test_a_method_that_alone_gains_is_not_the_kind():
    """Thousands of queries do not make one lucky method of six a property of all."""
    lucky = report("one", {**dict.fromkeys("abcde", 0.0), "f": 0.3}, noise=0.001)
    assert answer(SAME_BITS, [lucky])["answer"] == NOT_TOLD_APART


def test_lengths_of_one_method_are_drawn_together():
    generator = np.random.default_rng(0)
    gains = np.repeat([0.0, 0.1], 10)[:, None, None]
    sides = np.stack([gains + generator.normal(0, 0.001, (20, 1, 50)), np.zeros((20, 1, 50))])
    pairs = tuple(map(str, range(20)))
    widths = []
    for groups in ((), tuple("ab"[number // 10] for number in range(20))):
        found = Resampler(2000, 0).pool([PairedSet("one", pairs, sides, np.arange(50), groups=groups)])
        widths.append(found.high - found.low)
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": " "}, r"questions.title"),
        ({"against": ""}, r"questions.ranking = .* ranking and against; or order alone"),
        ({"order": "o"}, r"questions.ranking"),
        ({"ranking": "nearby"}, r"questions.ranking = 'nearby' cannot be read"),
        ({"at_least": 2.0}, r"questions.at_least = 2.0"),
        ({"order": "o", "ranking": "", "against": "", "equal_bytes": True}, r"questions.order .* without methods"),
    ],
)
def test_questions_that_cannot_be_asked(changes, message):
    with pytest.raises(ExperimentError, match=message):
        replace(SAME_BITS, **changes)


def test_training_states():
    assert not_to_the_end(training_state([], 0.27)) == "0.27 passes only"
    assert not_to_the_end(training_state([0.1, 0.2, 0.3, 0.31], 4.0)) == "still rising"
    assert not_to_the_end(training_state([0.1, 0.3, 0.3, 0.3], 4.0)) == ""
    state = training_state([0.1, 0.5, 0.4, 0.2, 0.3], 5.4)
    assert (state["best_pass"], round(state["passes_since"], 6)) == (2, 3.4)
