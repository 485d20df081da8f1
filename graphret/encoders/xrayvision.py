"""The pretrained DenseNet-121 networks of torchxrayvision (extra ``xray``)."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from graphret._errors import EncoderError, MissingDependencyError, UnknownNameError
from graphret.encoders.tensor_files import download, load_allowed, read_tensors

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["XRAYVISION_SIZE", "xrayvision_tensors"]

XRAYVISION_SIZE = 224
"""Side in px that these networks were trained on."""


def xrayvision_tensors(name: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read a network of torchxrayvision.

    Parameters
    ----------
    name
        A name of torchxrayvision, for example ``"densenet121-res224-all"``.

    Returns
    -------
    tensors
        By the names of its DenseNet. Outputs that the network was not trained for (unnamed ones) are left out.
    labels
        Names of the remaining outputs, in order. The classifier gives plain probabilities: torchxrayvision's own call
        rescales them by operating points, which graphret does not.

    Raises
    ------
    MissingDependencyError
        torchxrayvision is not installed.
    UnknownNameError
        It has no DenseNet of that name.
    EncoderError
        The weights are not on this machine and cannot be fetched, or are damaged.
    """
    models = _import_models()
    known = {key: value for key, value in models.model_urls.items() if key.startswith("densenet121-")}
    if name not in known:
        raise UnknownNameError("weights", f"txrv:{name}", [f"txrv:{key}" for key in known])
    url = known[name]["weights_url"]
    file = Path(models.utils.get_cache_dir()) / Path(url).name
    converted = file.with_suffix(".safetensors")
    if converted.is_file():
        tensors = read_tensors(converted)
    else:
        download(url, file)
        tensors = _read_network(name, file, models)
    tensors.pop("op_threshs", None)
    named = [position for position, label in enumerate(known[name]["labels"]) if label]
    tensors["classifier.weight"] = tensors["classifier.weight"][named]
    tensors["classifier.bias"] = tensors["classifier.bias"][named]
    return tensors, tuple(known[name]["labels"][position] for position in named)


def _import_models() -> ModuleType:
    # Importing torchxrayvision silences every warning of the process; the block undoes that.
    with warnings.catch_warnings():
        try:
            return importlib.import_module("torchxrayvision.models")
        except ImportError as error:
            raise MissingDependencyError("torchxrayvision", "xray", "weights='txrv:NAME'") from error


def _read_network(name: str, file: Path, models: ModuleType) -> dict[str, Tensor]:
    """Tensors of a file that holds a whole pickled network, reading it with an allow-list of layer classes.

    torch reads the format of its versions before 1.6 in no such way; a file of those is converted once, where it is
    trusted.
    """
    classes = [models.DenseNet, models._DenseBlock, models._DenseLayer, models._Transition, set]
    classes += [nn.Sequential, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Linear]
    network = load_allowed(file, classes)
    if not isinstance(network, models.DenseNet):
        convert = (
            "import torchxrayvision as x; from safetensors.torch import save_file; "
            f"save_file(x.models.DenseNet(weights='{name}').state_dict(), '{file.with_suffix('.safetensors')}')"
        )
        raise EncoderError(
            f"cannot read pretrained weights {file}: it is damaged, or a pickle of an old torch, which is never "
            f'unpickled (where you trust the file, convert it once: python -c "{convert}")'
        )
    return {key: value.detach() for key, value in network.state_dict().items()}
