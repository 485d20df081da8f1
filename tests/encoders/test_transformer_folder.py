"""A local folder of transformers: its codes, an index that needs it no more, and nothing else is run or read."""

import json

import numpy as np
import pytest

import graphret
from graphret._errors import EncoderError, MissingFileError
from graphret.encoders import list_encoders, load_encoder

transformers = pytest.importorskip("transformers")
SMALL = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "image_size": 32,
    "patch_size": 16,
}  # fmt: skip
PIXELS = {"do_rescale": True, "rescale_factor": 1 / 255, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}


def write(folder, config=None, pixels=PIXELS):
    import torch

    torch.manual_seed(0)
    model = transformers.ViTModel(transformers.ViTConfig(**SMALL)) if config is None else config
    model.save_pretrained(folder, safe_serialization=True)
    if pixels is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
    return model.eval()


def change(folder, name, **fields):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def films(n=3):
    return np.random.default_rng(0).random((n, 32, 32), dtype=np.float32)


def expected(model, images, pick):
    import torch

    pixels = torch.from_numpy(images)[:, None].repeat(1, 3, 1, 1)
    mean, std = (torch.tensor(PIXELS[name]).view(1, 3, 1, 1) for name in ("image_mean", "image_std"))
    with torch.inference_mode():
        return pick(model(pixel_values=(pixels - mean) / std)).numpy()


def test_codes_are_those_of_the_model(tmp_path):
    model = write(tmp_path)
    encoder = load_encoder(f"hf:{tmp_path}", device="cpu")
    assert (encoder.size, encoder.code_length, encoder.kind, encoder.trained) == (32, 16, "dense", True)
    assert np.allclose(
        encoder.encode(films()), expected(model, films(), lambda out: out.last_hidden_state[:, 0]), atol=1e-5
    )
    assert "transformer" not in list_encoders()


@pytest.mark.parametrize("family", ["CLIP", "Siglip"])
def test_of_pictures_and_texts_the_pictures_are_taken(tmp_path, family):
    text = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 20,
    }
    config = getattr(transformers, f"{family}Config")(text_config=text, vision_config=SMALL)
    model = write(tmp_path, getattr(transformers, f"{family}Model")(config))
    encoder = load_encoder(f"hf:{tmp_path}", device="cpu")
    wanted = expected(model.vision_model, films(), lambda out: out.pooler_output)
    assert np.allclose(encoder.encode(films()), wanted, atol=1e-5)


def test_an_index_keeps_the_encoder_and_needs_the_folder_no_more(tmp_path):
    from PIL import Image

    (tmp_path / "model").mkdir()
    write(tmp_path / "model")
    encoder = load_encoder(f"hf:{tmp_path / 'model'}", device="cpu")
    paths = []
    for number, film in enumerate(films(12)):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray((film * 255).astype(np.uint8)).save(paths[-1])
    table = graphret.ImageTable(ids=[str(n) for n in range(12)], paths=paths, labels=np.zeros((12, 0), np.int8))
    graphret.build(table, encoder, out=tmp_path / "index", k=3, tune=False)
    (tmp_path / "model").rename(tmp_path / "away")
    opened = graphret.open(tmp_path / "index")
    assert opened.query(paths[5], k=1).ids.tolist() == [["5"]]
    assert opened.encoder.fingerprint == encoder.fingerprint


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: change(folder, "config.json", auto_map={"AutoModel": "mine.Model"}), "auto_map"),
        (lambda folder: change(folder, "config.json", model_type="nobody"), "nobody"),
        (lambda folder: change(folder, "config.json", hidden_size=32), "do not fit its config"),
        (lambda folder: change(folder, "config.json", image_size=None), "image_size"),
        (lambda folder: change(folder, "preprocessor_config.json", rescale_factor=1 / 127.5), "rescale_factor"),
        (lambda folder: change(folder, "preprocessor_config.json", do_rescale=False), "do_rescale"),
        (lambda folder: change(folder, "preprocessor_config.json", image_std=[0, 1, 1]), "image_std"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "config.json"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"nothing"), "are damaged"),
    ],
)
def test_what_would_give_wrong_codes_or_run_code_is_refused(tmp_path, harm, message):
    write(tmp_path)
    harm(tmp_path)
    with pytest.raises(EncoderError, match=message):
        load_encoder(f"hf:{tmp_path}", device="cpu")


def test_pickles_are_never_read(tmp_path):
    write(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(MissingFileError, match="only safetensors are read"):
        load_encoder(f"hf:{tmp_path}", device="cpu")


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingFileError, match=name):
        load_encoder(f"hf:{tmp_path}", device="cpu")


def test_a_part_outside_the_folder_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}))
    with pytest.raises(EncoderError, match="outside its folder"):
        load_encoder(f"hf:{tmp_path}", device="cpu")
