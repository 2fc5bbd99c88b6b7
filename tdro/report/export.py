"""A trained retriever as something to hand on: one archive, or a repository of the hub."""

import logging
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tdro.artifacts.files import read_json, replacing
from tdro.artifacts.schemas import METRICS
from tdro.errors import UserError
from tdro.mixtures.weights import read_weights
from tdro.training.card import describe_results

log = logging.getLogger(__name__)


def export(
    model: Path,
    weights: Path,
    scores: Sequence[Path],
    output: Path | None,
    repository: str | None = None,
    *,
    private: bool = False,
) -> None:
    """Complete a model's folder by its weights and results, then pack it, push it, or both.

    Args:
        model: A SentenceTransformer folder that ``tdro train`` wrote.
        weights: Weights JSON that it was trained with.
        scores: JSONs that ``tdro evaluate`` wrote for it.
        output: Archive to write, ``.tar.gz``; it holds one folder, of the archive's name. None packs nothing.
        repository: Hub repository ``OWNER/NAME``, made where there is none. None pushes nothing.
        private: Whether a new repository is private.

    Raises:
        UserError: when a file is missing or no such file, or the hub refuses.
    """
    if not (model / "README.md").is_file() or not (model / "modules.json").is_file():
        raise UserError(f"{model} is no model that `tdro train` wrote: README.md or modules.json is missing.")
    if output and not output.name.endswith(".tar.gz"):
        raise UserError(f"{output} must end in .tar.gz; rename it.")
    mixture, (found, previews) = read_weights(weights), _read_scores(scores)
    name = repository.rpartition("/")[2] if repository else output.name.removesuffix(".tar.gz")
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent if output else None) as temporary:
        folder = Path(temporary) / name
        shutil.copytree(model, folder, ignore=shutil.ignore_patterns(".snakemake*"))
        shutil.copyfile(weights, folder / "weights.json")
        describe_results(folder, name, mixture, found, previews)
        if output:
            with replacing(output) as archive, tarfile.open(archive, "w:gz", compresslevel=1) as packed:
                packed.add(folder, arcname=output.name.removesuffix(".tar.gz"))
            log.info("wrote %s (%.0f MB)", output, output.stat().st_size / 1e6)
        if repository:
            _push(folder, repository, private)


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


def _push(folder: Path, repository: str, private: bool) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    hub = HfApi()
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=folder, commit_message="Model, weights and results of tdro")
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{repository} cannot be pushed ({reason}); correct the name, run `hf auth login`, unset HF_HUB_OFFLINE."
        ) from None
    log.info("pushed to %s/%s", hub.endpoint, repository)
