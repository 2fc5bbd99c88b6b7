"""Files of the Hugging Face hub: one commit, only what is wanted, each checked against what the hub states.

The files lie in huggingface_hub's own cache, which other programs share. Nothing of a repository is
executed or unpickled: of a model only configuration, tokenizer and safetensors are fetched.
"""

import contextlib
import fnmatch
import glob
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from tdro.artifacts.files import digest
from tdro.errors import UserError
from tdro.progress import Progress, watching
from tdro.readers.parts import ENDINGS

_LOG = logging.getLogger(__name__)

Kind = Literal["dataset", "model"]

_MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
# The same weights for other programs.
_OTHER_FORMATS = ("onnx/*", "openvino/*", "original/*", "*consolidated*.safetensors")
_KEYS = {"dataset": "`source.hub` in the registry", "model": "the model's name in the configuration"}


class Snapshot(NamedTuple):
    """A commit, the folder that holds its files, and of each file path, size in bytes and sha256."""

    commit: str
    folder: Path
    files: list[tuple[str, int, str]]


def download(kind: Kind, name: str, revision: str | None, patterns: Sequence[str] = ()) -> Snapshot:
    """Fetch a dataset or model repository; what the cache holds already is not fetched again.

    Args:
        kind: ``dataset`` or ``model``.
        name: ``ORG/NAME``.
        revision: commit, tag or branch; null is ``main``.
        patterns: of a dataset, which files (``*`` matches slashes too); none takes all.

    Raises:
        UserError: when it cannot be had, has no such file or only pickled weights, or a file's
            content is not what the hub states; such a file is removed.
    """
    import huggingface_hub
    from huggingface_hub.errors import HTTPError

    try:
        info = huggingface_hub.HfApi().repo_info(name, repo_type=kind, revision=revision, files_metadata=True)
        stated = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        wanted = _model_files(name, stated) if kind == "model" else _dataset_files(name, stated, patterns)
        _LOG.info("%s %s: %s is commit %s%s", kind, name, revision or "main", info.sha, _advice(revision, info.sha))
        size = sum(stated[file].size or 0 for file in wanted)
        _LOG.info("%d files, %.1f MB", len(wanted), size / 1e6)
        with watching(Progress(f"{name}: fetched", "MB"), _arrived(kind, name), round(size / 1e6)):
            folder = huggingface_hub.snapshot_download(
                name, repo_type=kind, revision=info.sha, allow_patterns=[glob.escape(file) for file in wanted]
            )
    except (HTTPError, OSError, ValueError) as error:
        raise UserError(_sentence(error, kind, name, revision)) from None
    return Snapshot(info.sha, Path(folder), [_verified(Path(folder), stated[file], name) for file in wanted])


def data_files(name: str, path: str | None = None, revision: str | None = None) -> tuple[str, str]:
    """The commit of a dataset, and the file or pattern in it that holds its training rows.

    Args:
        name: ``ORG/NAME``.
        path: Which it shall be; none takes files of one kind in one folder, those named ``train`` before others.
        revision: commit, tag or branch; null is ``main``.

    Raises:
        UserError: when it cannot be had, or has no file of a known kind.
    """
    import huggingface_hub
    from huggingface_hub.errors import HTTPError

    try:
        info = huggingface_hub.HfApi().repo_info(name, repo_type="dataset", revision=revision)
    except (HTTPError, OSError, ValueError) as error:
        raise UserError(_sentence(error, "dataset", name, revision)) from None
    files = [PurePosixPath(sibling.rfilename) for sibling in info.siblings or ()]
    data = [file for file in files if file.name.endswith(ENDINGS)]
    if not data and not path:
        raise UserError(f"dataset {name} on the hub has no file of these kinds: {', '.join(ENDINGS)}.")
    return info.sha, path or _pattern(data)


def _pattern(files: list[PurePosixPath]) -> str:
    """The file, or a pattern of those that lie beside it and are named alike."""
    first = min(files, key=lambda file: ("train" not in file.name, len(file.parts), str(file)))
    stem = re.split(r"\d|\.", first.name)[0]
    kind = next(ending for ending in sorted(ENDINGS, key=len, reverse=True) if first.name.endswith(ending))
    alike = [f for f in files if f.parent == first.parent and f.name.startswith(stem) and f.name.endswith(kind)]
    return str(first) if len(alike) == 1 else str(first.parent / f"{stem}*{kind}")


def _arrived(kind: Kind, name: str) -> Callable[[], int]:
    """Tells how many megabytes of a repository have come into the cache since now."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    blobs = Path(HF_HUB_CACHE, repo_folder_name(repo_id=name, repo_type=kind), "blobs")

    def there() -> int:
        with contextlib.suppress(OSError):  # a file is renamed when it is whole
            return sum(file.stat().st_size for file in blobs.glob("*"))
        return 0

    before = there()
    return lambda: round((there() - before) / 1e6)


def _advice(revision: str | None, commit: str) -> str:
    return "" if revision == commit else "; write it as `revision` to pin it"


def _dataset_files(name: str, files: Iterable[str], patterns: Sequence[str]) -> list[str]:
    wanted = sorted(f for f in files if not patterns or any(fnmatch.fnmatchcase(f, p) for p in patterns))
    if not wanted:
        raise UserError(
            f"dataset {name} on the hub has no file {' or '.join(patterns) or 'at all'}; "
            "correct `source.path` or `source.revision` in the registry."
        )
    return wanted


def _model_files(name: str, files: Iterable[str]) -> list[str]:
    """Configuration, tokenizer and safetensors; never pickles, never code."""
    ours = [f for f in files if not any(fnmatch.fnmatchcase(f, p) for p in _OTHER_FORMATS)]
    safe = {PurePosixPath(f).parent for f in ours if f.endswith(".safetensors")}
    pickled = [f for f in ours if fnmatch.fnmatchcase(PurePosixPath(f).name, "pytorch_model*.bin")]
    unsafe = [f for f in pickled if PurePosixPath(f).parent not in safe]
    if unsafe or not safe:
        found = f"only pickled weights ({unsafe[0]})" if unsafe else "no weights"
        raise UserError(
            f"model {name} on the hub has {found}; expected safetensors, as a pickle can run code; "
            "choose another model or revision."
        )
    return sorted(f for f in ours if any(fnmatch.fnmatchcase(f, p) for p in _MODEL_FILES))


def _verified(folder: Path, stated, name: str) -> tuple[str, int, str]:
    """Path, size and sha256 of a file that is what the hub states; another one is removed.

    huggingface_hub compares no more than sizes, and those only of what it has just downloaded. Its
    ``verify_repo_checksums`` reads all of a snapshot, hence each file anew for every dataset out of one repository.
    """
    from huggingface_hub.utils.sha import git_hash

    path = folder / stated.rfilename
    size, sha256 = path.stat().st_size, digest(path)
    if stated.lfs:
        kind, found, expected = "sha256", sha256, stated.lfs.sha256
    else:  # a file in git itself: a few MB at most
        kind, found, expected = "git hash", git_hash(path.read_bytes()), stated.blob_id
    if expected not in (None, found):
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise UserError(
            f"{stated.rfilename} of {name} arrived with {size} bytes and {kind} {found}, expected {stated.size} bytes "
            f"and {expected}; it was removed: fetch again."
        )
    return stated.rfilename, size, sha256


def _sentence(error: Exception, kind: Kind, name: str, revision: str | None) -> str:
    from huggingface_hub import errors

    what, key = f"{kind} {name} (revision {revision or 'main'})", _KEYS[kind]
    if isinstance(error, errors.GatedRepoError):
        return f"{what} is gated: accept its licence at the hub with your account, then run `hf auth login`."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{what} is not on the hub, or is private: correct {key}, or run `hf auth login`."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{what} has no such revision; correct `revision` beside {key}."
    if isinstance(error, errors.HFValidationError):
        return f"{name!r} is no name of a {kind} on the hub; correct {key} to ORG/NAME."
    reason = " ".join(str(error).split())
    return f"{what} cannot be fetched ({reason}); with a network, fetch again: finished files are kept."
