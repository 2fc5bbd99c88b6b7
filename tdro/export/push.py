"""Models, weights and report to a repository of the hub.

    a package of ``tdro export``, or a folder of results -> OWNER/NAME

A package is one retriever: its files lie at the top of the repository, so that ``SentenceTransformer("OWNER/NAME")``
loads it. Of results all retrievers that were evaluated go, each in a folder of its own, with every weights file and the
report; a card says what lies where.
"""

import logging
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tdro.artifacts.layout import Layout, evaluation_files
from tdro.config.nearest import hint
from tdro.errors import UserError
from tdro.formats import count

log = logging.getLogger(__name__)

#: Files of a repository by their paths there; a card that was made is its text.
Files = Mapping[str, Path | bytes]

# What Snakemake leaves beside outputs.
_NOT_OURS = ".snakemake"


class _Trained(NamedTuple):
    """A retriever of the results, and its folder."""

    model: str
    seed: str
    mixture: str
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.model}.seed{self.seed}.{self.mixture}"


def push(
    source: Path, repository: str, *, private: bool = False, mixtures: Sequence[str] = (), dry_run: bool = False
) -> str:
    """Upload a package or results in one commit; what the repository has besides stays.

    Args:
        source: A package (``.tar.gz``), a folder of a model, or a folder of results.
        repository: ``OWNER/NAME``; it is made where there is none.
        private: Whether a new repository is private; an old one that is public is refused.
        mixtures: Of results only the models of these; none: all.
        dry_run: Send nothing.

    Returns:
        What was sent, or would be: a line a file, with its size.

    Raises:
        UserError: when there is nothing to send, or the hub cannot be reached or refuses.
    """
    check_repository(repository)
    with ExitStack() as stack:
        files = _found(source, repository, mixtures, stack)
        if not dry_run:
            send(files, repository, private=private)
        return _listing(files)


def _found(source: Path, repository: str, mixtures: Sequence[str], stack: ExitStack) -> Files:
    """What is sent of a source."""
    if source.is_file():
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        return _below(_unpacked(source, folder), mixtures, source)
    if (source / "modules.json").is_file():
        return _below(source, mixtures, source)
    return _of_results(source, repository, mixtures)


def _unpacked(package: Path, folder: Path) -> Path:
    try:
        with tarfile.open(package) as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{package} is no package of `tdro export`: {error}.") from None
    found = list(folder.iterdir())
    if len(found) != 1 or not (found[0] / "modules.json").is_file():
        raise UserError(f"{package} is no package of `tdro export`: it does not hold one folder with modules.json.")
    return found[0]


def _below(folder: Path, mixtures: Sequence[str], source: Path) -> Files:
    if mixtures:
        raise UserError(f"--mixtures chooses among the models of results, and {source} is one model; leave it out.")
    return named(folder)


def named(folder: Path, place: str = "") -> dict[str, Path | bytes]:
    """All files of a folder, by their paths in the repository."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and _NOT_OURS not in path.name)
    return {f"{place}{path.relative_to(folder).as_posix()}": path for path in paths}


def _of_results(results: Path, repository: str, mixtures: Sequence[str]) -> Files:
    trained = _trained(results)
    if not trained:
        raise UserError(
            f"{results} is neither a package of `tdro export` nor a folder of results with an evaluated model; "
            "name one of them."
        )
    known = sorted({one.mixture for one in trained})
    for name in mixtures:
        if name not in known:
            raise UserError(
                f"{results} has no evaluated model of {name!r}{hint(name, known)}; there are {', '.join(known)}."
            )
    chosen = [one for one in trained if not mixtures or one.mixture in mixtures]
    files: dict[str, Path | bytes] = {}
    for one in chosen:
        files |= named(one.folder, f"models/{one.name}/")
    for path in sorted(results.glob("*/seed*/weights/*.json")):
        model, seed = path.parents[2].name, path.parents[1].name
        files[f"weights/{model}.{seed}/{path.name}"] = path
    report = Path(Layout(results).report.html).parent
    if report.is_dir():
        files |= named(report, "report/")
    else:
        log.warning("%s has no report; nothing of it is sent", results)
    return {"README.md": _card(repository, chosen, files).encode()} | files


def _trained(results: Path) -> list[_Trained]:
    """The retrievers that were evaluated."""
    found = []
    for marker in sorted(results.glob("*/seed*/*/model/modules.json")):
        folder = marker.parent
        run, seed = folder.parent, folder.parents[1].name.removeprefix("seed")
        one = _Trained(folder.parents[2].name, seed, run.name, folder)
        scores = evaluation_files(Layout(results).evaluation(one.model, seed, one.mixture), "*").scores
        if seed.isdigit() and any(results.glob(str(Path(scores).relative_to(results)))):
            found.append(one)
    return found


def _card(repository: str, trained: Sequence[_Trained], files: Files) -> str:
    first = f"models/{trained[0].name}"
    rows = "\n".join(f"| `models/{one.name}` | {one.model} | {one.seed} | {one.mixture} |" for one in trained)
    report = "`report/index.html` is the report, `report/results.csv` its figures. " if _has_report(files) else ""
    return f"""---
library_name: sentence-transformers
tags: [sentence-transformers, sentence-similarity, feature-extraction]
---

# {repository.rpartition("/")[2]}

Retrievers that were trained on mixtures of datasets by [tDRO](https://arxiv.org/abs/2408.10613), with the weights of
the mixtures. {report}`weights/` has a file for each mixture: the share of every dataset.

| folder | model | seed | mixture |
|---|---|--:|---|
{rows}

```python
from huggingface_hub import snapshot_download
from sentence_transformers import SentenceTransformer

folder = snapshot_download("{repository}", allow_patterns="{first}/*")
model = SentenceTransformer(f"{{folder}}/{first}")
```
"""


def _has_report(files: Files) -> bool:
    return "report/index.html" in files


def _listing(files: Files) -> str:
    sizes = {name: len(what) if isinstance(what, bytes) else what.stat().st_size for name, what in files.items()}
    lines = [f"{size / 1e6:10.3f} MB  {name}" for name, size in sizes.items()]
    return "\n".join([*lines, f"{sum(sizes.values()) / 1e6:10.3f} MB  in {count(len(sizes))} files"])


def check_repository(repository: str) -> None:
    """Raises UserError: when it is no name of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
        wrong = repository.count("/") != 1
    except HFValidationError:
        wrong = True
    if wrong:
        raise UserError(f"{repository!r} is no name of a repository; expected OWNER/NAME, such as me/my-retriever.")


def send(files: Files, repository: str, *, private: bool) -> None:
    """Upload files in one commit to a repository, which is made where there is none.

    Raises:
        UserError: without a token, without a network, without the right to write there, and for a public repository
            where a private one was asked for.
    """
    import huggingface_hub
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    hub = huggingface_hub.HfApi()
    if huggingface_hub.get_token() is None:
        raise UserError(
            "the hub takes nothing without a token; run `hf auth login` with one that may write, or set HF_TOKEN."
        )
    log.info("sending %d files to %s", len(files), hub.endpoint)
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        if private and not hub.repo_info(repository).private:
            raise UserError(f"{repository} exists and is public; make it private at the hub, or leave out --private.")
        add = [
            huggingface_hub.CommitOperationAdd(name, what if isinstance(what, bytes) else str(what))
            for name, what in files.items()
        ]
        hub.create_commit(repository, add, commit_message="Models, weights and report of tdro")
    except (HTTPError, OfflineModeIsEnabled, OSError, RuntimeError, ValueError) as error:
        raise UserError(_sentence(error, repository, hub.endpoint)) from None
    log.info("sent to %s/%s", hub.endpoint, repository)


def _sentence(error: Exception, repository: str, endpoint: str) -> str:
    """Why the hub took nothing; the token stands in no error of the library."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    if isinstance(cause, OfflineModeIsEnabled):
        return f"{repository} cannot be reached, as HF_HUB_OFFLINE is set; unset it and push again."
    status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else None
    if status == 401:
        return f"{endpoint} does not know your token; run `hf auth login` with a valid one, or correct HF_TOKEN."
    if status in (403, 404):
        return (
            f"your token may not write to {repository}; name a repository of yours or of your organisation, or make a "
            "token that may write."
        )
    reason = " ".join(str(cause).split())
    advice = "" if status else "; with a network, push again: what has arrived is not sent twice"
    return f"{repository} cannot be pushed ({reason}){advice}."
