"""What is fuzzed: readers, each with a right file, how that is changed, and what reads it.

A target reads its file to the end and gives what a command would give, or raises the sentence that a command would
print (``UserError``). Anything else is a failure.
"""

import gzip
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from everyartifact import BENCHMARK, MIXTURE, MODEL, SEED, TASKS, write_all
from fuzz import samples
from fuzz.mutations import (
    Shape,
    gzipped,
    json_document,
    json_lines,
    parquet,
    plain,
    separated,
    tar,
    yaml_document,
    zipped,
)
from fuzz.samples import Make, writes
from reading import zipped as zip_of

from tdro.artifacts import schemas
from tdro.artifacts.files import digest, read_batches, read_counts, read_origin, read_rows, read_table, write_json
from tdro.artifacts.layout import Layout
from tdro.asking.passagefiles import read_passages
from tdro.config.commands import PlanJob, PruneJob
from tdro.config.data import Data
from tdro.config.prompts import own_of_folder
from tdro.config.registry import Registry, Source, TaskRows
from tdro.config.schema import Config
from tdro.config.sections import load
from tdro.data.prepare import prepare_task
from tdro.evaluation.prune import prune
from tdro.evaluation.prune_candidates import prune_candidates
from tdro.evaluation.soups import read as read_soup
from tdro.forecast.models import read as read_network
from tdro.mixtures.derive import derive
from tdro.mixtures.fit_law import read_law
from tdro.mixtures.plan import plan_training
from tdro.mixtures.weights import read_weights
from tdro.models.modelfiles import check_model_folder
from tdro.readers import fetch
from tdro.readers.archives import Archive
from tdro.readers.base import BadRow, Passage, PassageId, Row, rows
from tdro.readers.peek import first_records
from tdro.readers.queryfiles import read_queries
from tdro.readers.testsets.base import Topic, open_testset
from tdro.report.show.output import plain as rendered
from tdro.report.show.show import show
from tdro.report.show.view import Asked
from tdro.retrieval.shards import Embeddings
from tdro.text import markup

#: Reads the changed file, which lies in a folder among right ones.
Read = Callable[[Path], Any]

#: Part of the inputs that what is no reader itself, but goes around one, gets.
SOME = 0.1


class Target(NamedTuple):
    """A reader.

    Attributes:
        name: Of the reader and what it reads.
        file: The file that is changed, below the folder.
        shape: How it is changed.
        make: Writes the right files into an empty folder.
        read: Reads the file.
        share: Part of the inputs that it gets.
    """

    name: str
    file: str
    shape: Shape
    make: Make
    read: Read
    share: float = 1


def check(items: Iterable[Any]) -> None:
    """Take items of a reader, which must be what readers give."""
    for item in items:
        if isinstance(item, Row):
            assert isinstance(item.query, str) and isinstance(item.query_id, str | None), item
            check([*item.positives, *item.negatives])
        elif isinstance(item, Passage):
            assert all(isinstance(part, str) for part in item[:2]) and isinstance(item.passage_id, str | None), item
        elif isinstance(item, Topic):
            assert isinstance(item.text, str) and isinstance(item.query_id, str), item
        elif isinstance(item, BadRow):
            assert item.place and item.reason, item
        else:
            assert isinstance(item, str | PassageId), item


def source(reader: str, path: str, **others: Any) -> Read:
    """Reads a source."""
    return lambda folder: check(rows(Source(reader=reader, path=str(folder / path), **others)))


#: How files are changed, by their endings.
SHAPES = {
    ".jsonl": json_lines,
    ".jsonl.gz": gzipped(json_lines),
    ".csv": separated(b","),
    ".csv.gz": gzipped(separated(b",")),
    ".tsv": separated(b"\t"),
    ".parquet": parquet,
    ".json": json_document,
    ".yaml": yaml_document,
    ".whl": zipped,
    ".tar.gz": tar,
    ".txt": plain,
    # Files of bytes, which have no structure that is known here.
    ".npy": lambda random, content: content,
    ".safetensors": lambda random, content: content,
}


def changing(name: str, file: str, make: Make, read: Read, share: float = 1) -> Target:
    """A target of which a file is changed as its ending says."""
    ending = next(ending for ending in sorted(SHAPES, key=len, reverse=True) if file.endswith(ending))
    return Target(name, file, SHAPES[ending], make, read, share)


def _rows() -> Iterable[Target]:
    """Readers of training rows."""
    files = {"a.jsonl": samples.JSONL, "a.jsonl.gz": gzip.compress(samples.JSONL)}
    for file in files:
        yield changing(f"jsonl: {file}", file, writes(files), source("jsonl", file))
    taken = source("jsonl", "a.jsonl", where={"query": [samples.QUERIES[0], None, True, 5]}, clean="markdown")
    yield changing("jsonl: where and clean", "a.jsonl", writes(files), taken)
    for file, content in samples.TABLES.items():
        yield changing(f"table: {file}", file, writes({file: content}), source("table", file, columns=samples.CELLS))
    nested = {"t.parquet": samples.table(samples.NESTED)}
    yield changing("table: objects", "t.parquet", writes(nested), source("table", "t.parquet", columns=samples.COLUMNS))
    template = samples.COLUMNS | {"positive": "{positive}: {negatives}"}
    filled = source("table", "t.jsonl", columns=template)
    yield changing("table: templates", "t.jsonl", writes({"t.jsonl": samples.lines(samples.RECORDS)}), filled)
    for file in ("corpus.jsonl", "queries.jsonl", "qrels/train.tsv"):
        yield changing(f"beir: {file}", file, writes(samples.BEIR), source("beir", ""))
    archive = "task.jsonl.tar.gz"
    yield changing(f"released: {archive}", archive, writes({archive: samples.ARCHIVE}), source("released", archive))
    yield changing("first records", "t.csv", writes(samples.TABLES), lambda folder: first_records(folder / "t.csv", 20))


def _testsets() -> Iterable[Target]:
    """Readers of benchmarks in their own formats, of queries and of passages."""

    def testset(reader: str, part: str | None, folder: Path) -> None:
        opened = open_testset(Source(reader=reader, path=str(folder)), part)
        check(opened.documents())
        check(opened.queries())

    for reader, part, files in (
        ("beir", None, samples.BEIR),
        ("miracl", None, samples.MIRACL),
        ("mkqa", "ar", samples.MKQA),
    ):
        for file in files:
            if file != "qrels/train.tsv":
                yield changing(f"benchmark {reader}: {file}", file, writes(files), partial(testset, reader, part))
    for name, files, read in (
        ("dedup.queries", samples.ASKED, read_queries),
        ("ask --corpus", samples.PASSAGES, read_passages),
    ):
        for file in files:
            yield changing(f"{name}: {file}", file, writes(files), partial(_read_all, read, file))


def _read_all(read: Callable[[Path], Iterable], file: str, folder: Path) -> None:
    check(read(folder / file))


def _texts() -> Iterable[Target]:
    """What takes markup away: of texts, of which none is refused."""

    def cleaned(clean: Callable[[str], str], folder: Path) -> None:
        text = (folder / "a.txt").read_bytes().decode("utf-8", "replace")
        markup.kind_of(text)
        assert isinstance(clean(text), str)

    for name, clean, content in (
        ("HTML", markup.of_html, samples.HTML),
        ("Markdown", markup.of_markdown, samples.MARKDOWN),
    ):
        yield changing(f"clean: {name}", "a.txt", writes({"a.txt": content}), partial(cleaned, clean))


def _packages() -> Iterable[Target]:
    """Readers of pip packages, and models out of archives."""

    def read(reader: str, folder: Path) -> None:
        file = folder / "data-1-py3-none-any.whl"
        held = fetch.FetchedFile(path=file.name, size=file.stat().st_size, sha256=digest(file))
        request = fetch.FetchJob(kind="package", name="data==1")
        manifest = fetch.Manifest(request=request, folder=str(folder), files=[held])
        write_json(folder / "fetched.json", manifest.model_dump())
        check(rows(Source(reader=reader, package="data==1"), fetched=folder / "fetched.json"))

    for reader, members in samples.PACKAGES.items():
        file = "data-1-py3-none-any.whl"
        yield changing(f"package: {reader}", file, writes({file: zip_of(members)}), partial(read, reader), SOME)
    for file, content in samples.MODELS.items():
        yield changing(f"model out of {file}", file, writes({file: content}), partial(_extracted, file))


def _extracted(file: str, folder: Path) -> None:
    """Unpack a model, which may write below its own folder only, and nothing but plain files and folders."""
    place = folder / "cache/model"
    try:
        Archive(folder / file).extract("m", place)
    finally:
        assert {path.name for path in folder.iterdir()} <= {file, "cache"}, "it has left its folder"
        assert not list(folder.parent.glob("x.jsonl")), "it has left its folder"
        for path in sorted((folder / "cache").rglob("*"), reverse=True):
            assert not path.is_symlink() and place in (path, *path.parents), path
            path.rmdir() if path.is_dir() else path.unlink()


def _configurations() -> Iterable[Target]:
    """Files that a person writes, and models from elsewhere."""

    def loaded(section: type, folder: Path) -> Any:
        return load(folder / "a.yaml", section)

    def looked_at(folder: Path) -> None:
        check_model_folder(str(folder))
        own_of_folder(folder)
        read_network(str(folder), folder)

    for name, section, text in (("configuration", Config, samples.CONFIG), ("registry", Registry, samples.REGISTRY)):
        yield changing(name, "a.yaml", writes({"a.yaml": text}), partial(loaded, section))
    of_model = ("config.json", "modules.json", "config_sentence_transformers.json", "model.safetensors.index.json")
    for file in (*of_model, "model.safetensors"):
        yield changing(f"model: {file}", file, samples.base_model, looked_at)


def _stages() -> Iterable[Target]:
    """Artifacts, as the next rule reads them."""
    layout = Layout("results")
    trajectory, law = layout.run(MODEL, SEED, "tdro/trajectory.parquet"), layout.experts(MODEL, SEED, "law.json")
    uniform, weights = layout.weights(MODEL, SEED, "uniform"), layout.weights(MODEL, SEED, MIXTURE)
    plan, train = layout.run(MODEL, SEED, "tdro/plan.parquet"), layout.task(TASKS[0], "train.parquet")
    asked, merged = layout.experts(MODEL, SEED, "candidates.json"), layout.experts(MODEL, SEED, "dev.parquet")
    dev, soup = layout.dev_scores(MODEL, SEED, MIXTURE), layout.soup_scores(MODEL, SEED, MIXTURE)
    pruned, means = layout.experts(MODEL, SEED, "prune.json"), layout.task_means
    corpus, manifest = layout.task(TASKS[0], "corpus.parquet"), layout.fetched("package/data==1.abc")
    embeddings = layout.task(TASKS[0], "embeddings/queries")
    job, drawn = PruneJob(samples=100), PlanJob(layout="mixed", steps=4, batch_size=2, negatives=1, seed=1)

    def of(mixture: str, *sources: str) -> Read:
        return lambda folder: derive([folder / one for one in sources], mixture, rows=100, seed=1)

    def planned(folder: Path) -> None:
        plan_training(folder / weights, folder / "results", folder / "out.parquet", drawn)

    def pruned_by(folder: Path) -> None:
        prune(folder / asked, folder / dev, [folder / dev], folder / "out.json", job)

    def doubted(folder: Path) -> None:
        prune_candidates(folder / merged, folder / "out.json", job)

    def pieces(folder: Path) -> None:
        list(read_batches(folder / corpus, schemas.CORPUS, 2, 1, 5))
        read_rows(folder / corpus, schemas.CORPUS, [0, 3])
        read_counts(folder / corpus), read_origin(folder / corpus)

    def held(folder: Path) -> None:
        opened = Embeddings(folder / embeddings)
        opened.slice(0, len(opened))

    yield changing("weights JSON", weights, write_all, lambda folder: read_weights(folder / weights))
    yield changing("trajectory", trajectory, write_all, of("curr", trajectory))
    yield changing("plan", plan, write_all, lambda folder: read_table(folder / plan, schemas.PLAN))
    yield changing("law.json", law, write_all, lambda folder: read_law(folder / law))
    yield changing("soup.json", soup, write_all, lambda folder: read_soup(folder / soup))
    yield changing("manifest", manifest, write_all, lambda folder: fetch.read(folder / manifest))
    yield changing("prune.json", pruned, write_all, of("prune", pruned, uniform))
    yield changing("candidates.json", asked, write_all, pruned_by)
    yield changing("rows in pieces", corpus, write_all, pieces)
    yield changing("embeddings: manifest", f"{embeddings}/manifest.json", write_all, held)
    yield changing("embeddings: shard", f"{embeddings}/00000.npy", write_all, held)
    for name, file, read in (
        ("derive: top50", trajectory, of("top50", trajectory)),
        ("derive: shuffled", weights, of("shuffled-1", weights)),
        ("derive: mergemix", law, of("mergemix", law, uniform)),
        ("derive: transfer", law, of("transfer", law, uniform)),
        ("derive: chameleon", means, of("chameleon", means, uniform)),
        ("plan: weights", weights, planned),
        ("plan: rows", train, planned),
        ("prune: dev scores", dev, pruned_by),
        ("prune-candidates", merged, doubted),
    ):
        yield changing(name, str(file), samples.with_experts, read, SOME)


def _commands() -> Iterable[Target]:
    """Commands that go around readers: what stores rows, and what shows any file."""

    def prepare(folder: Path) -> None:
        task = TaskRows(source=Source(reader="jsonl", path=str(folder / "a.jsonl")))
        prepare_task("faq", task, Data(max_bad_rows=100), folder / "out")

    def shown(file: str, folder: Path) -> None:
        rendered(show([folder / file], Asked()))

    yield changing("prepare", "a.jsonl", writes({"a.jsonl": samples.JSONL}), prepare, SOME)
    layout = Layout("results")
    names = ("plan", "reference", "trajectory", "heaviest_rows")
    files = [layout.run(MODEL, SEED, f"tdro/{name}.parquet") for name in names]
    names = ("corpus", "queries", "train", "negatives", "candidates", "duplicates")
    files += [layout.task(TASKS[0], f"{name}.parquet") for name in names]
    files += [
        layout.experts(MODEL, SEED, name) for name in ("dev.parquet", "law.json", "candidates.json", "prune.json")
    ]
    files += [layout.dev_scores(MODEL, SEED, MIXTURE), layout.dev_pool(TASKS[0]), layout.leaks, layout.task_means]
    files += [f"{layout.evaluation(MODEL, SEED, MIXTURE)}/{BENCHMARK}{end}" for end in (".json", ".queries.parquet")]
    files += [layout.benchmark("own", "queries.parquet"), layout.rankings(MODEL, SEED, MIXTURE, BENCHMARK)]
    files += [layout.weights(MODEL, SEED, MIXTURE), layout.soup_scores(MODEL, SEED, MIXTURE), layout.recommendation]
    files += [
        layout.project,
        layout.fetched("package/data==1.abc"),
        f"{layout.versions}/train/0123456789ab/version.json",
    ]
    files += [layout.task(TASKS[0], "embeddings/queries/manifest.json"), layout.package(MODEL, SEED, MIXTURE)]
    for file in map(str, files):
        yield changing(f"show: {'/'.join(Path(file).parts[-2:])}", file, write_all, partial(shown, file), SOME)


TARGETS = {
    target.name: target
    for group in (_rows, _testsets, _texts, _packages, _configurations, _stages, _commands)
    for target in group()
}
