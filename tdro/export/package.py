"""Stage ``export``: a trained retriever as something to hand on: a folder, one archive, or a repository of the hub."""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import tdro
from tdro.artifacts.beside import scratch
from tdro.artifacts.files import read_json, replacing
from tdro.artifacts.folders import check_output, replacing_folder
from tdro.artifacts.packed import of_nobody, packing
from tdro.artifacts.schemas import METRICS
from tdro.artifacts.sums import CHECKSUMS, write_sums
from tdro.config.commands import ExportJob
from tdro.errors import UserError
from tdro.export import checks, gguf, graphs
from tdro.export.cardparts import describe_data, describe_formats, write_model_meta
from tdro.export.checks import Check
from tdro.export.push import check_repository, named, send
from tdro.export.served import write_for_servers
from tdro.export.shrunk import HeldOut, score_shrunk, shrunk_table
from tdro.export.texts import Text, embed, texts_for
from tdro.mixtures.weights import read_weights
from tdro.models.load import load_trained
from tdro.models.room import length_of
from tdro.training.card import describe_results

log = logging.getLogger(__name__)

#: Formats beside the folder itself.
FORMATS = ("onnx", "onnx-int8", "openvino", *gguf.TYPES)
#: Those whose weights lose more than a rounding; how close they are is only stated.
QUANTISED = ("onnx-int8", "gguf-q8_0")
_FOLDER = "sentence-transformers"
#: What is not copied: marks of the workflow, and what an earlier export made of other weights, maybe.
_LEFT = (".snakemake*", "onnx", "openvino", "*.gguf", "export.json", "mteb_model_meta.json", CHECKSUMS)
_ARCHIVE = ".tar.gz"
# Of gzip: weights do not get smaller with more work.
_LEVEL = 1
_OTHER_ARCHIVES = (".zip", ".tgz", ".tar", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_VERSIONS = ("sentence-transformers", "transformers", "torch", "onnxruntime", "openvino", "llama-cpp-python")


def export(
    model: Path,
    weights: Path,
    scores: Sequence[Path],
    output: Path | None,
    repository: str | None = None,
    *,
    private: bool = False,
    formats: Sequence[str] = (),
    held_out: Sequence[HeldOut] = (),
    job: ExportJob | None = None,
    converter: str = gguf.CONVERTER,
) -> str:
    """Complete a model's folder by its weights, results and other formats, then write, pack or push it.

    Each format is loaded again and embeds 64 texts; what is compared stands in ``export.json``.

    Args:
        model: A SentenceTransformer folder that ``tdro train`` wrote.
        weights: Weights JSON that it was trained with.
        scores: JSONs that ``tdro evaluate`` wrote for it.
        output: Archive to write, ``.tar.gz``, which holds one folder, of the archive's name; or that folder itself,
            any other name. None writes neither.
        repository: Hub repository ``OWNER/NAME``, made where there is none. None pushes nothing.
        private: Whether a new repository is private.
        formats: Of :data:`FORMATS`, beside the folder.
        held_out: Test sets that embeddings of fewer bits are scored on.
        job: What the card says of the licences and the datasets.
        converter: As :func:`tdro.export.gguf.write_gguf` takes it.

    Returns:
        The comparisons as tables.

    Raises:
        UserError: when a file is missing or no such file, a format does not give what the trained model gives, or the
            hub refuses. Nothing is written then.
    """
    if not (model / "README.md").is_file() or not (model / "modules.json").is_file():
        raise UserError(f"{model} is no model that `tdro train` wrote: README.md or modules.json is missing.")
    _check_name(output)
    if repository:
        check_repository(repository)
    mixture, (found, previews), job = read_weights(weights), _read_scores(scores), job or ExportJob()
    name = repository.rpartition("/")[2] if repository else _name(output)
    with _beside(output, name) as folder:
        shutil.copytree(model, folder, ignore=shutil.ignore_patterns(*_LEFT), dirs_exist_ok=True)
        shutil.copyfile(weights, folder / "weights.json")
        retriever = load_trained(model)
        done = _formats(retriever, folder, name, formats, converter)
        shrunk = score_shrunk(model, held_out) if held_out else {}
        checks.write_checks(folder / "export.json", done, shrunk, _versions())
        write_model_meta(folder, repository or name, job, mixture.weights, retriever)
        describe_data(folder, job, mixture.weights)
        describe_results(folder, name, mixture, found, previews)
        describe_formats(folder, {check.file: (check.format, check.lowest) for check in done}, shrunk)
        write_sums(folder)
        if output and output.name.endswith(_ARCHIVE):
            _pack(folder, output)
        if repository:
            send(named(folder), repository, private=private)
    if output:
        log.info("wrote %s", output)
    return checks.table(done) + (shrunk_table(shrunk) if shrunk else "")


def _check_name(output: Path | None) -> None:
    if output and not output.name.endswith(_ARCHIVE):
        if output.suffix in _OTHER_ARCHIVES:
            raise UserError(f"{output} must end in .tar.gz, or be a folder's name; rename it.")
        check_output(output)


def _name(output: Path) -> str:
    return output.name.removesuffix(_ARCHIVE)


@contextmanager
def _beside(output: Path | None, name: str) -> Iterator[Path]:
    """The folder to write to: that of the output, or one that is packed or pushed and then goes."""
    if output and not output.name.endswith(_ARCHIVE):
        with replacing_folder(output) as folder:
            yield folder
        return
    packed = output and output.with_name(f"{output.name}-content")
    with scratch(packed) if packed else tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        yield folder


def _pack(folder: Path, output: Path) -> None:
    with replacing(output) as archive, packing(archive, _LEVEL) as packed:
        packed.add(folder, arcname=_name(output), filter=of_nobody)
    log.info("packed %.0f MB", output.stat().st_size / 1e6)


def _formats(model, folder: Path, name: str, formats: Sequence[str], converter: str) -> list[Check]:
    """Write each format and compare it with the trained model.

    Raises:
        UserError: for the first that does not give what the trained model gives.
    """
    lengths = [length for kind in ("query", "document") if (length := length_of(model, kind)) is not None]
    write_for_servers(folder, max(lengths, default=None))
    texts = texts_for(model)
    expected = embed(model, texts)
    done = [checks.compare(_FOLDER, "modules.json", expected, embed(load_trained(folder), texts))]
    for format in dict.fromkeys(formats):
        file, found = _write(format, model, folder, name, texts, converter)
        required = None if format in QUANTISED else checks.AT_LEAST
        done.append(checks.compare(format, file, expected, found, required))
        log.info("%s: lowest cosine %.6f", file, done[-1].lowest)
    checks.refuse_lost(done)
    return done


def _write(format: str, model, folder: Path, name: str, texts: list[Text], converter: str) -> tuple[str, np.ndarray]:
    """Write a format; its file, and the embeddings that this gives."""
    if format == "onnx":
        graphs.write_onnx(model, folder)
        return graphs.ONNX_FILE, embed(graphs.open_onnx(folder), texts)
    if format == "onnx-int8":
        graphs.write_onnx_int8(model, folder)
        return graphs.ONNX_INT8_FILE, embed(graphs.open_onnx(folder, graphs.ONNX_INT8_FILE), texts)
    if format == "openvino":
        graphs.write_openvino(model, folder)
        return graphs.OPENVINO_FILE, embed(graphs.open_openvino(folder), texts)
    file = folder / f"{name}.{gguf.TYPES[format]}.gguf"
    gguf.write_gguf(model, folder, file, format, converter)
    return file.name, gguf.embed_gguf(file, model, texts)


def _versions() -> dict[str, str]:
    """Of this project, and of the packages that embedded."""
    found = {"tdro": tdro.__version__}
    for package in _VERSIONS:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _read_scores(files: Sequence[Path]) -> tuple[dict[str, dict[str, float]], dict[str, tuple[int, int]]]:
    """Metric to value, by dataset; and of previews the passages of the sample and of the whole corpus."""
    found, previews = {}, {}
    for file in files:
        content = read_json(file)
        datasets = content.get("datasets") if isinstance(content, dict) else None
        if not isinstance(datasets, dict) or not all(isinstance(figures, dict) for figures in datasets.values()):
            raise UserError(f"{file} has no key `datasets` with the scores of each; name files of `tdro evaluate`.")
        for dataset, figures in datasets.items():
            found[dataset] = {metric: figures[metric] for metric in METRICS if metric in figures}
            if figures.get("sampled_from", 0) > figures.get("passages", 0):
                previews[dataset] = figures["passages"], figures["sampled_from"]
    return found, previews
