"""Training rows for people who train elsewhere: mined, without near-duplicates, with their scores.

    train.parquet, negatives.parquet, corpus.parquet, queries.parquet of each task -> a folder in one of the forms

A form is a module of :mod:`tdro.data.exports`. Rows are written as they are read.
"""

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import yaml

from tdro.artifacts.files import count_rows
from tdro.artifacts.folders import check_output, replacing_folder
from tdro.artifacts.layout import Layout
from tdro.config.commands import ExportDataJob
from tdro.config.nearest import hint
from tdro.data.exports import flagembedding, released, sentencetransformers, tevatron
from tdro.data.exports.forms import Told
from tdro.data.exports.rows import examples, most_negatives
from tdro.errors import UserError
from tdro.formats import listed
from tdro.progress import Progress

log = logging.getLogger(__name__)

#: Forms by the names that the command knows them by.
FORMS: dict[str, ModuleType] = {
    "sentence-transformers": sentencetransformers,
    "flagembedding": flagembedding,
    "tevatron": tevatron,
    "released": released,
}

#: What says of a folder that it is such an export, and what is in it.
ABOUT = "about.yaml"


def export_data(
    results: Path, form: str, output: Path, job: ExportDataJob, tasks: Iterable[str] = (), most: int | None = None
) -> None:
    """Write the training rows of some tasks as one folder.

    Args:
        results: Folder of the results.
        form: A name of ``FORMS``.
        output: Folder to write. It takes the place of an earlier export, but of nothing else.
        job: The instructions of the tasks, for the form that has a place for them.
        tasks: Which; none: all that have training rows.
        most: Negatives of a row, of which those with the highest scores are taken; None takes all.

    Raises:
        UserError: for a task without training rows, files that do not belong together, or another folder in the place.
    """
    check_output(output, ABOUT, "export of rows")
    layout = Layout(results)
    names = _chosen(layout, list(tasks), job)
    about = {}
    with replacing_folder(output) as folder:
        for name in names:
            about[name] = _write(name, layout, FORMS[form], folder, job, most)
        if form == "sentence-transformers":
            sentencetransformers.finish(names, folder)
        (folder / ABOUT).write_text(yaml.safe_dump({"form": form, "tasks": about}, sort_keys=False), encoding="utf-8")


def _chosen(layout: Layout, tasks: list[str], job: ExportDataJob) -> list[str]:
    """Names of the tasks to export; raises UserError: when there is nothing of one."""
    known = sorted(path.parent.name for path in Path(layout.task_folder("TASK")).parent.glob("*/train.parquet"))
    if not known:
        raise UserError(f"{layout.task('TASK', 'train.parquet')} is there for no task; run the workflow to `dedup`.")
    names = list(dict.fromkeys(tasks)) or known
    for name in names:
        if name not in known:
            raise UserError(
                f"task {name!r}{hint(name, known)} has no training rows; there are those of {listed(known)}."
            )
        if job.tasks and name not in job.tasks:
            raise UserError(f"`tasks` of the settings has no instruction for {name!r}; add it, or give none at all.")
    return names


def _write(
    name: str, layout: Layout, form: ModuleType, folder: Path, job: ExportDataJob, most: int | None
) -> dict[str, object]:
    """Write one task; what is said of it in the folder."""
    train = Path(layout.task(name, "train.parquet"))
    total, width = count_rows(train), most_negatives(train)
    told = Told(name, width if most is None else min(width, most), job.tasks.get(name), job.seed)
    counted = Progress(f"{name}: exported", "rows", total)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        (texts := Path(scratch) / "texts").mkdir()
        number = form.write(told, counted.through(examples(name, layout, texts, most)), folder, Path(scratch))
    log.info("%s: %d training rows, %d rows written", name, total, number)
    said: dict[str, object] = {"training_rows": total, "rows": number, "negatives": told.width}
    if told.prompted is not None:
        said |= {"instruction": list(told.prompted.instruction), "symmetric": told.prompted.symmetric}
    return said
