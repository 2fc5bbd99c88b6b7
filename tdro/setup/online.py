"""Whether what a configuration fetches is here, or can be had: models and datasets of the hub, pip packages."""

from collections.abc import Callable, Iterable, Iterator

from tdro.readers import packages
from tdro.readers.fetch import FetchJob
from tdro.setup.findings import Finding

# Seconds that a server has.
_PATIENCE = 10


def hub() -> Iterator[Finding]:
    """Whether the hub answers at all."""
    if said := _asked(_greet):
        yield Finding("hub", "warn", said, "local models, pip packages and what was fetched before work without")
    else:
        yield Finding("hub", "ok", "answers")


def _greet(api) -> None:
    from huggingface_hub.utils import get_session

    get_session().get(api.endpoint, timeout=_PATIENCE)


def fetched(jobs: Iterable[FetchJob]) -> Iterator[Finding]:
    """A finding on each thing that is to be fetched."""
    for job in dict.fromkeys(jobs):
        yield _package(job) if job.kind == "package" else _repository(job)


def _package(job: FetchJob) -> Finding:
    subject = f"package {job.name}"
    if packages.cached(job.name, job.sha256):
        return Finding(subject, "ok", "is in the cache")
    return Finding(subject, "ok", "will be downloaded by pip when the run starts")


def _repository(job: FetchJob) -> Finding:
    """A repository of the hub; what lies in its cache needs no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    subject = f"{job.kind} {job.name}"
    try:
        snapshot_download(job.name, repo_type=job.kind, revision=job.revision, local_files_only=True)
        return Finding(subject, "ok", "is in the hub's cache")
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass
    try:
        said = _asked(
            lambda api: api.auth_check(job.name, repo_type=job.kind), told=(GatedRepoError, RepositoryNotFoundError)
        )
    except GatedRepoError:
        licence = f"accept its licence at https://huggingface.co/{job.name}, then `hf auth login`"
        return Finding(subject, "fail", "is gated", licence)
    except RepositoryNotFoundError:
        return Finding(subject, "fail", "is not on the hub, or private", "correct its name, or `hf auth login`")
    if said:
        elsewhere = "`snakemake fetch_all` where there is a network, or name a local folder"
        return Finding(subject, "fail", f"is not here, and {said}", elsewhere)
    return Finding(subject, "ok", "is on the hub, and may be downloaded")


def _asked(ask: Callable, told: tuple[type[Exception], ...] = ()) -> str | None:
    """Ask the hub; why it does not answer, or None."""
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import HTTPError

    if HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids to ask the hub"
    try:
        ask(HfApi())
    except told:
        raise
    except (HTTPError, OSError, ValueError) as error:
        return f"the hub does not answer ({' '.join(str(error).split())[:120]})"
    return None
