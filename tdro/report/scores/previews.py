"""Previews: what was evaluated on a sample of a corpus, or averages over such, and how it is marked."""

from tdro.artifacts.layout import IN_DOMAIN
from tdro.config.commands import Content
from tdro.formats import listed
from tdro.report.scores.subjects import MEAN, OUT_OF_DOMAIN


def is_preview(settings: Content, benchmark: str, dataset: str = MEAN) -> bool:
    """Whether a preview is in the score of a dataset, of a benchmark, or of an average over benchmarks."""
    if benchmark == IN_DOMAIN:
        return False
    if dataset != MEAN:
        return dataset in settings.sampled
    members = settings.out_of_domain if benchmark == OUT_OF_DOMAIN else settings.suites.get(benchmark, [benchmark])
    return any(name in settings.sampled for member in members for name in settings.benchmarks[member])


def marked(settings: Content, benchmark: str, heading: str | None = None) -> str:
    """What a benchmark or an average is called, and that it is a preview."""
    return f"{heading or benchmark}{' (preview)' if is_preview(settings, benchmark) else ''}"


def sentence(settings: Content) -> str:
    """What must be known of previews; empty where there is none."""
    if not settings.sampled:
        return ""
    names = [name for name in settings.out_of_domain if is_preview(settings, name)]
    return (
        f"Previews: {listed(names)} {'was' if len(names) == 1 else 'were'} evaluated on a sample of the passages "
        "(evaluation.sample). Such scores are higher than those of the whole corpus, and can be compared between the "
        "retrievers of this run only, not with other runs or published figures. Averages that hold one are marked, "
        "too. Without evaluation.sample the whole corpora are evaluated."
    )
