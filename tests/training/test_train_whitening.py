"""A whitening is learnt from the films that the option names: of the training, of the archive, or of another one."""

import dataclasses

import numpy as np
import pytest
import torch

from graphret._errors import EncoderError
from graphret.encoders import Encoder
from graphret.encoders.pooling.whitening import Whitening
from graphret.training import TrainConfig, train, whitened_encoder

SIZE = 32


def trained(table, out, whitening: str, **further) -> Encoder:
    options = {"backbone": "small_cnn", "whitening": whitening}
    settings = {"size": SIZE, "epochs": 1, "batch_size": 12, "device": "cpu", "n_workers": 1, "seed": 3}
    config = TrainConfig.for_encoder("spoc", **settings, options=options, **further)
    return train(table, "spoc", out=out, config=config)


def of_films(encoder: Encoder, table, rows) -> Whitening:
    """Learnt from films one by one, with the weights of an encoder."""
    network = encoder.config.create()
    network.load_state_dict(encoder.tensors())
    network.eval()
    module = Whitening(64)
    images = [torch.from_numpy(encoder.prepare(table.read_pixels(int(row)))) for row in rows]
    with torch.no_grad():
        module.fit(network.descriptors(network.maps(image[None, None])) for image in images)
    return module


@pytest.mark.parametrize("select_by", ["auc", "retrieval"])
@pytest.mark.parametrize(("whitening", "splits"), [("training", {"train"}), ("archive", {"train", "valid"})])
def test_the_option_names_the_films(whitening, splits, select_by, table, tmp_path):
    encoder = trained(table, tmp_path, whitening, select_by=select_by)
    tensors = encoder.tensors()
    for films in ({"train"}, {"train", "valid"}):
        rows = np.flatnonzero(np.isin(table.splits, list(films)))
        expected = of_films(encoder, table, rows)
        same = torch.allclose(torch.as_tensor(tensors["whitening.mean"]), expected.mean, atol=1e-6)
        assert same == (films == splits)


def test_another_archive_brings_a_whitening_and_nothing_else(table, tmp_path):
    encoder = trained(table, tmp_path, "training")
    archive = table.split("test")
    other = whitened_encoder(encoder, archive, batch_size=3)
    before, after = encoder.tensors(), other.tensors()
    changed = {name for name in before if not torch.equal(torch.as_tensor(before[name]), torch.as_tensor(after[name]))}
    assert changed == {"whitening.mean", "whitening.axes"}
    expected = of_films(encoder, archive, range(len(archive)))
    torch.testing.assert_close(torch.as_tensor(after["whitening.mean"]), expected.mean)
    assert other.record["whitening"] == {"films": len(archive), "unreadable": 0, "spec": archive.spec}
    assert other.fingerprint != encoder.fingerprint
    again = whitened_encoder(encoder, archive, batch_size=3)
    assert again.fingerprint == other.fingerprint


def test_films_that_cannot_be_read_are_counted(table, tmp_path):
    encoder = Encoder.untrained("crow", ["a"], SIZE, device="cpu", backbone="small_cnn", whitening="archive")
    paths = np.asarray(table.paths).copy()
    paths[5] = "missing.png"
    holed = dataclasses.replace(table, paths=paths)
    assert whitened_encoder(encoder, holed).record["whitening"]["unreadable"] == 1


def test_an_encoder_without_a_whitening_is_refused(table):
    encoder = Encoder.untrained("spoc", ["a"], SIZE, device="cpu", backbone="small_cnn")
    with pytest.raises(EncoderError, match="has no whitening to learn"):
        whitened_encoder(encoder, table)
