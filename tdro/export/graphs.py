"""The network of a retriever as a graph that other runtimes execute: ONNX and OpenVINO.

The files have the places and names that sentence-transformers' backends, text-embeddings-inference and
transformers.js look for: ``onnx/model.onnx`` and ``openvino/openvino_model.xml``. A graph maps ``input_ids``,
``attention_mask`` and, where the network has them, ``token_type_ids``, integers of shape (texts, tokens), to
``last_hidden_state``, shape (texts, tokens, dimension). What follows it (pooling, normalisation) is said by the other
files of the folder, and done by who runs it.

torch writes the graph itself. The exporters of Optimum, which sentence-transformers calls, need an older transformers
than the one a retriever is trained with here.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tdro.errors import UserError
from tdro.export.needs import need
from tdro.models.load import load_trained
from tdro.models.networks import network_of

log = logging.getLogger(__name__)

#: Runs a graph: its inputs by name, to the hidden states.
Run = Callable[[dict[str, np.ndarray]], np.ndarray]
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUT = "last_hidden_state"
ONNX_FILE, ONNX_INT8_FILE = "onnx/model.onnx", "onnx/model_quantized.onnx"
OPENVINO_FILE = "openvino/openvino_model.xml"
#: A file of protobuf holds no more than 2 GB; beyond that the weights lie beside it.
_LARGEST = 1_900_000_000


def write_onnx(model, folder: Path) -> None:
    """Write the graph to ``folder / ONNX_FILE``.

    Args:
        model: The retriever, in float32.
        folder: The exported folder.

    Raises:
        UserError: when packages are missing, for a static embedding, and for a network that torch cannot trace.
    """
    need("onnx", "onnx", "onnxscript", "onnxruntime")
    network = _network(model)
    file = folder / ONNX_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    with suppress(AttributeError):
        network.config.use_cache = False
    network.set_attn_implementation("sdpa" if network._supports_sdpa else "eager")
    features = model.preprocess(["one text", "and another that is longer"])
    names = [name for name in _INPUTS if name in features]
    length = torch.export.Dim.DYNAMIC
    size = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    try:
        with torch.no_grad(), _quiet():
            torch.onnx.export(
                _Graph(network, names),
                tuple(features[name].to("cpu") for name in names),
                file,
                input_names=names,
                output_names=[_OUTPUT],
                dynamic_shapes=(tuple({0: length, 1: length} for _ in names),),
                external_data=size > _LARGEST,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"torch cannot write {type(network).__name__} as ONNX ({reason}); export without it.") from None
    _name_weights(file)


def write_onnx_int8(model, folder: Path) -> None:
    """Write the graph with weights of 8 bits to ``folder / ONNX_INT8_FILE``, made of the one in float32.

    Activations are quantised as they come (ONNX Runtime's dynamic quantisation), so no data are needed. Each column of
    a matrix has a scale of its own; with one for all, a MiniLM had a mean cosine of 0.954 instead of 0.992.

    Raises:
        UserError: as :func:`write_onnx`.
    """
    need("onnx", "onnx", "onnxscript", "onnxruntime")
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _graph(model, folder) as source, _quiet():
        (folder / ONNX_INT8_FILE).parent.mkdir(parents=True, exist_ok=True)
        size = sum(weight.numel() for weight in model.parameters())
        large = size > _LARGEST
        to = folder / ONNX_INT8_FILE
        quantize_dynamic(source, to, per_channel=True, weight_type=QuantType.QInt8, use_external_data_format=large)


def write_openvino(model, folder: Path) -> None:
    """Write the graph to ``folder / OPENVINO_FILE``, made of the ONNX graph, in float32.

    Raises:
        UserError: as :func:`write_onnx`.
    """
    need("openvino", "openvino", "onnx", "onnxscript", "onnxruntime")
    import openvino

    with _graph(model, folder) as source:
        (folder / OPENVINO_FILE).parent.mkdir(parents=True, exist_ok=True)
        openvino.save_model(openvino.convert_model(source), folder / OPENVINO_FILE, compress_to_fp16=False)


def open_onnx(folder: Path, file: str = ONNX_FILE):
    """The exported folder as a SentenceTransformer whose network ONNX Runtime executes on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / file, providers=["CPUExecutionProvider"])
    return _with(folder, lambda inputs: session.run([_OUTPUT], inputs)[0], [each.name for each in session.get_inputs()])


def open_openvino(folder: Path):
    """The exported folder as a SentenceTransformer whose network OpenVINO executes on the CPU."""
    import openvino

    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # a CPU with bfloat16 would take that
    compiled = openvino.Core().compile_model(folder / OPENVINO_FILE, "CPU", exact)
    names = [each.get_any_name() for each in compiled.inputs]
    return _with(folder, lambda inputs: np.array(compiled(inputs)[_OUTPUT]), names)


@contextmanager
def _graph(model, folder: Path) -> Iterator[Path]:
    """The ONNX file of a folder in float32; where there is none, one that goes afterwards."""
    if (folder / ONNX_FILE).is_file():
        yield folder / ONNX_FILE
        return
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        write_onnx(model, Path(temporary))
        yield Path(temporary) / ONNX_FILE


def _name_weights(file: Path) -> None:
    """Call the weights beside a large graph as Optimum and text-embeddings-inference do that download both."""
    import onnx

    written, wanted = file.with_name(f"{file.name}.data"), file.with_name(f"{file.name}_data")
    if not written.is_file():
        return
    graph = onnx.load(file, load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = wanted.name
    onnx.save(graph, file)
    written.rename(wanted)


def _network(model):
    network = network_of(model)
    if network is None:
        raise UserError(
            "a static embedding has no network to write as ONNX or OpenVINO; its folder is all that a server needs."
        )
    return network.to("cpu").float()


def _with(folder: Path, run: Run, names: list[str]):
    model = load_trained(folder).to("cpu")
    model[0].model = _Running(model[0].model, run, names)
    return model


class _Graph(torch.nn.Module):
    """A network with its inputs in order and one output."""

    def __init__(self, network, names: list[str]) -> None:
        super().__init__()
        self.network, self._names = network, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Hidden states of the last layer."""
        return self.network(**dict(zip(self._names, inputs, strict=True)), return_dict=True).last_hidden_state


class _Running(torch.nn.Module):
    """Stands in a SentenceTransformer for the network, which a runtime executes.

    Attributes:
        config: The network's configuration.
        device: The CPU.
    """

    def __init__(self, network, run: Run, names: list[str]) -> None:
        super().__init__()
        self.config, self.device = network.config, torch.device("cpu")
        self._run, self._names = run, names

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:
        """What the network gives, under the name that the module asks for."""
        inputs = {name: features[name].cpu().numpy().astype(np.int64) for name in self._names}
        return {_OUTPUT: torch.from_numpy(self._run(inputs))}


@contextmanager
def _quiet():
    """Torch's exporter names steps and rewritten shapes at each export; they are nothing to act on."""
    import warnings

    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
