import json
from dataclasses import fields

import pytest

from graphret._errors import InvalidParameterError, UnknownNameError
from graphret.training import TrainConfig, train


def test_the_defaults_are_those_of_the_paper():
    config = TrainConfig()
    assert (config.epochs, config.batch_size, config.learning_rate, config.size) == (20, 32, 1e-3, 224)
    assert (config.plateau_factor, config.learning_rate_floor, config.horizontal_flip) == (0.1, 1e-8, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("iterations", 0),
        ("batch_size", 1),
        ("size", 31),
        ("seed", -1),
        ("plateau_patience", -1),
        ("cache_bytes", -1),
        ("n_workers", 0),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("learning_rate_floor", -1e-8),
        ("plateau_factor", 1.0),
        ("validation_share", 1),
        ("max_minutes", 0),
        ("checkpoint_minutes", True),
        ("mixed_precision", "fp8"),
        ("device", "tpu"),
        ("optimizer", "lion"),
        ("momentum", 1.0),
        ("weight_decay", -0.1),
        ("schedule", "waves"),
        ("warmup_iterations", -1),
        ("augmentation", 1.5),
        ("averaging", 1.0),
        ("step_iterations", 0),
        ("step_factor", 1.0),
        ("sampler", "random"),
        ("max_of_a_class", 0),
        ("select_by", "loss"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(name, value):
    with pytest.raises(InvalidParameterError, match=f"{name}=") as caught:
        TrainConfig(**{name: value})
    assert caught.value.exit_status == 2


def test_an_unknown_parameter_lists_the_known_ones(table, tmp_path):
    with pytest.raises(UnknownNameError, match=r"learning_rate, .*did you mean 'learning_rate'"):
        train(table, "tiny", out=tmp_path / "out", learningrate=0.1)
    assert not (tmp_path / "out").exists()


def test_overrides_go_over_the_config():
    config = TrainConfig.of(TrainConfig(epochs=3, seed=5), {"epochs": 7})
    assert (config.epochs, config.seed) == (7, 5)


def test_it_is_json_and_every_parameter_is_in_it(tmp_path):
    config = TrainConfig(weights=tmp_path, options={"drop_rate": 0.1})
    assert list(json.loads(json.dumps(config.to_json()))) == [entry.name for entry in fields(TrainConfig)]
    assert set(config.to_json()) - set(config.deciding()) == {
        "epochs",
        "n_workers",
        "max_minutes",
        "checkpoint_minutes",
        "device",
        "cache_bytes",
        "device_cache_bytes",
    }


def test_every_parameter_is_documented():
    for entry in fields(TrainConfig):
        assert f"{entry.name}\n" in TrainConfig.__doc__ or f"{entry.name}," in TrainConfig.__doc__, entry.name


def test_the_iterations_of_the_papers_hold_unless_epochs_are_given():
    assert TrainConfig.for_encoder("attention_hash_pf2").iterations == 15_000
    assert TrainConfig.for_encoder("siamese_hash").iterations == 50_000
    given = TrainConfig.for_encoder("siamese_hash", epochs=3)
    assert (given.epochs, given.iterations) == (3, None)
    both = TrainConfig.for_encoder("siamese_hash", epochs=3, iterations=7)
    assert (both.epochs, both.iterations) == (3, 7)
