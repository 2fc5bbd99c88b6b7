"""Stage ``base``: an embedding model as it is before a training, in the form in which trained ones are written."""

import logging
from pathlib import Path

from tdro.artifacts.folders import check_output, replacing_folder
from tdro.artifacts.sums import write_sums
from tdro.config.commands import BaseJob
from tdro.errors import UserError
from tdro.models.bases import base_prompts, is_embedding_model, load_retriever
from tdro.training.finite import check_weights

log = logging.getLogger(__name__)


def save_base(output: Path, job: BaseJob, fetched: Path | None = None) -> None:
    """Write a base with the modules, tensors and lengths that a training of it would write, in float32.

    Args:
        output: The folder to write.
        job: Model and lengths.
        fetched: Manifest of what was fetched ahead.

    Raises:
        UserError: when the base cannot be had, finds nothing before it is trained, or has weights that are not finite.
    """
    check_output(output)
    # A trained model has its adapters merged, in float32.
    model = job.model.model_copy(update={"lora": None, "dtype": "float32"})
    if not is_embedding_model(model, fetched):
        raise UserError(
            f"base {model.base} of model {model.name!r} is no embedding model, so that nothing is gained by averaging "
            "with it; take `base` out of the soup."
        )
    retriever = load_retriever(model, job.encoding, fetched)
    base_prompts(model, retriever)
    check_weights(retriever.named_parameters(), f"the base {model.base}")
    with replacing_folder(output) as folder:
        retriever.save_pretrained(str(folder), create_model_card=False)
        write_sums(folder)
    log.info("wrote %s", output)
