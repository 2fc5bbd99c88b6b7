"""A folder of results with one small file of every kind that docs/artifacts.md names."""

import json
import tarfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tdro.artifacts import schemas
from tdro.artifacts.files import write_json, write_table
from tdro.artifacts.foreign import write_foreign
from tdro.artifacts.layout import Layout
from tdro.artifacts.sums import crc, write_sums
from tdro.mixtures.weights import Weights, write_weights

TASKS = ("code", "news")
MODEL, SEED, MIXTURE, BENCHMARK = "tiny", 1, "curr", "web"
STEPS = 12
#: Weight of the first task over the steps; the other has what is left.
RISING = np.linspace(0.5, 0.8, STEPS)


def write_all(root: Path) -> Layout:
    """Write the folder ``results`` below ``root``."""
    layout = Layout(root / "results")
    for task in TASKS:
        _task(layout, task)
    _benchmark(layout)
    _learnt(layout)
    _trained(layout)
    _chosen(layout)
    _notes(layout)
    return layout


def _task(layout: Layout, task: str) -> None:
    texts(layout.task_folder(task), task)
    texts(f"{layout.task_folder(task)}/heldout", task)
    dev = {"query_id": ["3"], "query": [f"{task} question 3"], "positives": [[3]], "negatives": [[]], "row": [3]}
    write_table(layout.dev_queries(task), dev, schemas.DEV_QUERIES)
    rows = {"query": [0, 1, 2], "positives": [[0], [1], [2]], "negatives": [[5, 4], [5, 3], [4, 3]]}
    write_table(layout.task(task, "train.parquet"), rows, schemas.TRAIN)
    write_table(layout.task(task, "dev.parquet"), rows, schemas.DEV_ROWS)
    scores = [[0.6, None], [0.5, 0.4], [0.3, 0.2]]
    mined = {"query": [0, 1, 2], "negatives": rows["negatives"], "scores": scores}
    mined["positive_scores"] = [[0.9], [0.8], [0.7]]
    write_table(layout.task(task, "negatives.parquet"), mined, schemas.NEGATIVES)
    found = {"candidates": [[0, 5, 4, 3, 2, 1]] * 3, "scores": [[0.9, 0.6, 0.5, 0.4, 0.3, 0.2]] * 3}
    write_table(layout.task(task, "candidates.parquet"), mined | found, schemas.CANDIDATES)
    removed = {"query": [3], "text": ["how to stop a machine"], "source": [BENCHMARK], "distance": [2]}
    removed["matched"] = ["how to stop the machine"]
    write_table(layout.task(task, "duplicates.parquet"), removed, schemas.DUPLICATES)
    for name in ("corpus", "queries", "dev/queries", "train", "dev", "heldout/corpus", "heldout/queries"):
        Path(layout.digest(layout.task(task, f"{name}.parquet"))).write_text("abc123\n")
    write_table(layout.dev_pool(task), {"query": [0], "candidates": [[0, 5, 4]]}, schemas.DEV_POOL)
    for side in ("corpus", "queries"):
        folder = Path(layout.task(task, f"embeddings/{side}"))
        folder.mkdir(parents=True)
        np.save(folder / "00000.npy", np.eye(3, 4, dtype=np.float16))
        manifest = {"model": "miner", "shards": ["00000.npy"], "rows": 3, "dimension": 4, "shard_size": 8}
        write_json(folder / "manifest.json", manifest | {"crc32": [crc(folder / "00000.npy")]})


def texts(folder: str, task: str, rows: int = 6) -> None:
    """Corpus and queries of a dataset."""
    ids = [str(row) for row in range(rows)]
    passages = {"passage_id": ids, "title": ["A title", *[""] * (rows - 1)]}
    write_table(f"{folder}/corpus.parquet", passages | {"text": [f"{task} answer {n}" for n in ids]}, schemas.CORPUS)
    asked = {"query_id": ids, "query": [f"{task} question {n}" for n in ids]}
    asked |= {"positives": [[n] for n in range(rows)], "negatives": [[]] * rows}
    write_table(f"{folder}/queries.parquet", asked, schemas.QUERIES)


def _benchmark(layout: Layout) -> None:
    folder = Path(layout.benchmark(BENCHMARK, "corpus.parquet")).parent
    texts(str(folder), BENCHMARK)
    own = {"query_id": ["a", "b"], "query": ["first", "second"], "positives": [[1], []], "negatives": [[], []]}
    own |= {"grades": [[2], None], "answers": [None, ["forty-two"]]}
    write_table(layout.benchmark("own", "queries.parquet"), own, schemas.TEST_QUERIES)
    sample = {"passage_id": ["2", "4"], "title": ["", ""], "text": ["two", "four"], "whole_row": [2, 4]}
    write_table(layout.benchmark(f"{BENCHMARK}@sample", "corpus.parquet"), sample, schemas.SAMPLED_CORPUS)
    example = {"kind": "query", "side": "positive", "task": "code", "row": 3, "share": 0.9}
    example |= {"evaluation": "what leaks", "training": "what leaks out"}
    numbers = {key: [1] for key in ("queries", "passages", "query_in_query", "query_in_positive")}
    numbers |= {key: [0] for key in ("passage_in_query", "passage_in_positive")}
    write_table(layout.leaks, numbers | {"dataset": [BENCHMARK], "examples": [[example]]}, schemas.LEAKS)
    means = {"task": list(TASKS), "mean": [[1.0, 0.0], [0.6, 0.8]]}
    write_table(layout.task_means, means, schemas.TASK_MEANS)


def plan(*, mixed: bool) -> dict:
    """A plan of two rows a step, of one task each or of both."""
    steps = np.repeat(np.arange(STEPS), 2)
    tasks = [TASKS[slot if mixed else step % 2] for step in range(STEPS) for slot in range(2)]
    rows = [int(step) % 3 for step in steps]
    columns = {"step": steps, "slot": [0, 1] * STEPS, "task": tasks, "query": rows, "positive": rows}
    return columns | {"negatives": [[5 - row] for row in rows]}


def _learnt(layout: Layout) -> None:
    sizes = dict(zip(TASKS, (300, 100), strict=True))
    for mixture, share in (("uniform", 0.5), (MIXTURE, 0.8)):
        path = Path(layout.weights(MODEL, SEED, mixture))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_weights(path, Weights(dict(zip(TASKS, (share, 1 - share), strict=True)), sizes))
    mixed = plan(mixed=True)
    write_table(layout.run(MODEL, SEED, "tdro/plan.parquet"), mixed, schemas.PLAN)
    losses = {key: mixed[key] for key in ("step", "slot", "task")} | {"loss": np.linspace(0.1, 2.4, 2 * STEPS)}
    write_table(layout.run(MODEL, SEED, "tdro/reference.parquet"), losses, schemas.REFERENCE)
    write_table(layout.run(MODEL, SEED, "tdro/trajectory.parquet"), course(), schemas.TRAJECTORY)
    heaviest = {"task": ["code", "code", "news"], "query": [0, 1, 2], "positive": [0, 1, 2], "draws": [4, 4, 4]}
    heaviest |= {"reference_loss": [1.0, 0.5, 0.2], "share": [0.6, 0.3, 0.9], "rows": [3, 3, 3]}
    write_table(layout.run(MODEL, SEED, "tdro/heaviest_rows.parquet"), heaviest, schemas.HEAVIEST)


def course(rising: np.ndarray = RISING) -> dict:
    """A trajectory in which the first task's weight goes as given, and its measurement lies above the other's."""
    weights = np.stack([rising, 1 - rising], axis=1).ravel()
    columns = {"step": np.repeat(np.arange(len(rising)), 2), "task": list(TASKS) * len(rising)}
    both = {
        "size": (300, 100),
        "rows": (1, 1),
        "proxy_loss": (0.9, 0.4),
        "reference_loss": (0.6, 0.5),
        "measurement": (0.3, 0.1),
        "gradient": (0.3, 0.1),
        "effective_rows": (1.0, 0.2),
    }
    columns |= {key: list(values) * len(rising) for key, values in both.items()}
    return columns | dict.fromkeys(("weight", "mean", "ema"), weights)


def _trained(layout: Layout) -> None:
    for mixture in ("uniform", MIXTURE):
        write_table(layout.run(MODEL, SEED, f"{mixture}/plan.parquet"), plan(mixed=False), schemas.PLAN)
        model(Path(layout.run(MODEL, SEED, f"{mixture}/model")))
    model(Path(layout.base(MODEL)))
    Path(layout.package(MODEL, SEED, MIXTURE)).parent.mkdir()
    with tarfile.open(layout.package(MODEL, SEED, MIXTURE), "w:gz") as packed:
        packed.add(layout.run(MODEL, SEED, f"{MIXTURE}/model"), arcname="tiny.seed1.curr")
    for folder in (layout.evaluation(MODEL, SEED, MIXTURE), layout.untrained_evaluation("bm25")):
        _evaluation(Path(folder))
    ranked = {"dataset": [BENCHMARK], "dimension": [4], "query_id": ["0"], "rows": [[0, 5]], "scores": [[0.9, 0.1]]}
    for path in (layout.rankings(MODEL, SEED, MIXTURE, BENCHMARK), layout.untrained_rankings("bm25", BENCHMARK)):
        write_table(path, ranked, schemas.RANKINGS)
        write_table(layout.part(path, "1of2"), ranked, schemas.RANKINGS)


def model(folder: Path) -> None:
    """A SentenceTransformer folder of a static embedding, as far as it can be looked at without loading it."""
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    write_foreign(folder / "modules.json", modules)
    write_foreign(folder / "config_sentence_transformers.json", {"prompts": {"query": "query: ", "document": ""}})
    settings = {"encoding": {"query_length": 8, "passage_length": 16}, "seed": SEED}
    settings["tasks"] = {task: {"instruction": ["Find it.", "Look it up."], "symmetric": False} for task in TASKS}
    settings["model"] = {"base": "base", "prompts": {"query": "Do: {instruction}\n", "passage": "", "tasks": {}}}
    settings["training"] = {"steps": STEPS, "batch_size": 2, "negatives": 1, "learning_rate": 0.1, "temperature": 0.05}
    write_foreign(folder / "training_settings.json", settings)
    (folder / "README.md").write_text("---\ntags: [x]\n---\n\n# Retriever tiny\n\nIts card.\n", encoding="utf-8")
    save_file({"embedding.weight": np.zeros((7, 4), np.float32)}, folder / "model.safetensors")
    write_sums(folder)


def _evaluation(folder: Path) -> None:
    for name in (BENCHMARK, "in_domain"):
        datasets = TASKS if name == "in_domain" else (name,)
        figures = {"ndcg_at_10": 0.5, "mrr_at_10": 0.4, "recall_at_100": 1.0, "queries": 2, "passages": 6}
        write_json(folder / f"{name}.json", {"benchmark": name, "datasets": dict.fromkeys(datasets, figures)})
        rows = [(dataset, query) for dataset in datasets for query in ("0", "1")]
        columns: dict = dict.fromkeys(schemas.METRICS, [None] * len(rows))
        columns |= dict.fromkeys(schemas.RELEVANCE_METRICS, [0.75, 0.25] * len(datasets))
        columns |= {"dataset": [row[0] for row in rows], "query_id": [row[1] for row in rows]}
        columns["first"] = [[0, 1]] * len(rows)
        write_table(folder / f"{name}.queries.parquet", columns, schemas.QUERY_SCORES)
        runs = folder / f"{name}.runs/{datasets[0]}.trec"
        runs.parent.mkdir()
        runs.write_text("0 Q0 3 1 0.9 tdro\n0 Q0 5 2 0.8 tdro\n")


def _chosen(layout: Layout) -> None:
    scores = {"dataset": ["code", "news"], "query": [0, 1], "loss": [0.2, 1.5], "reciprocal_rank": [1.0, 0.25]}
    write_table(layout.dev_scores(MODEL, SEED, MIXTURE), scores, schemas.DEV_SCORES)
    ratios = [[{"task": "code", "weight": 1.0}], [{"task": "news", "weight": 1.0}]]
    merged = scores | {"candidate": ["expert-code", "expert-news"], "ratio": ratios, "dataset": ["code"] * 2}
    write_table(layout.experts(MODEL, SEED, "dev.parquet"), merged, schemas.EXPERT_SCORES)
    both = dict.fromkeys(TASKS, 0.5)
    law = {"tasks": list(TASKS), "rho": 1.0, "floors": {"code": 0.1}, "slopes": {"code": both}, "untold": ["news"]}
    law |= {"ranking": {"code": 0.9}, "transfer": {"code": {"code": 0.2, "news": -0.1}}}
    law["candidates"] = {"uniform": {"ratio": both, "measured": {"code": 0.7}, "foretold": {"code": 0.7}}}
    write_json(layout.experts(MODEL, SEED, "law.json"), law)
    added = {task: {"mean": 0.01, "low": -0.01, "high": 0.03, "p": 0.4} for task in TASKS}
    write_json(layout.experts(MODEL, SEED, "candidates.json"), {"tasks": TASKS, "merged": added, "asked": ["news"]})
    told = {"news": added["news"] | {"holm": 0.4}}
    pruned = {"merged": added, "trained": told, "dropped": [], "kept": list(TASKS)}
    write_json(layout.experts(MODEL, SEED, "prune.json"), pruned)
    mean = {"loss": 0.5, "reciprocal_rank": 0.6}
    soup = {"datasets": ["code"], "ingredients": {"uniform": mean, "base": mean}, "chosen": 0.5}
    soup["soups"] = [{"share": 0.5, "loss": 0.4, "reciprocal_rank": 0.7}]
    write_json(layout.soup_scores(MODEL, SEED, MIXTURE), soup)
    _recommended(layout)


def _recommended(layout: Layout) -> None:
    gained = {"score": 0.6, "difference": 0.1, "low": 0.05, "high": 0.15, "p": 0.001, "p_holm": 0.002}
    gained |= {"effect": 0.4, "verdict": "gain"}
    of = {"uniform": {"score": 0.5}, MIXTURE: gained}
    mixtures = {name: {"trainings": 1.0, "reciprocal_rank": {"dev": one}} for name, one in of.items()}
    choice = {"sentence": "Train on curr.", "recommended": MIXTURE, "queries": 40, "mixtures": mixtures}
    content: dict = {"settings": {"dev": {"dev_rows": ["code"]}}, "models": {MODEL: choice}}
    write_json(layout.recommendation, content)
    for name, one in of.items():
        mixtures[name]["reported"] = {"in_domain": one}
    write_json(layout.study.json, content)
    Path(layout.study.text).write_text("the study\n")


def _notes(layout: Layout) -> None:
    write_json(layout.project, {"registry": "tasks.yaml", "datasets": {"code": {"reader": "jsonl", "path": "c.jsonl"}}})
    request = {"kind": "package", "name": "data==1", "revision": None, "sha256": "f" * 64, "patterns": []}
    file = {"path": "data.whl", "size": 12345, "sha256": "f" * 64}
    write_json(layout.fetched("package/data==1.abc"), {"request": request, "folder": "cache", "files": [file]})
    version = Path(layout.versions) / "train/0123456789ab"
    write_json(version / "version.json", {"code": "c0de", "libraries": {"torch": "2.0", "faiss": None}})
    (version / "made/results").mkdir(parents=True)
    (version / "made/results/model").touch()
    Path(layout.passed("prepared")).parent.mkdir()
    for gate in ("prepared", "deduplicated"):
        Path(layout.passed(gate)).touch()
    rows = Path(layout.rows("flagembedding"))
    rows.mkdir(parents=True)
    (rows / "about.yaml").write_text("form: flagembedding\ntasks:\n  code: {rows: 3, instruction: Find it.}\n")
    (rows / "code.jsonl").write_text("{}\n")
    Path(layout.report.html).write_text("<h1>The report</h1><p>text</p><h2>Weights</h2>")
    header = "model,mixture,seed,benchmark,dataset,metric,score,difference,verdict"
    lines = ("uniform,all,in_domain,(mean),ndcg_at_10,0.5,,", "curr,all,in_domain,(mean),ndcg_at_10,0.6,0.1,gain")
    Path(layout.report.csv).write_text("\n".join([header, *(f"{MODEL},{line}" for line in lines)]) + "\n")
    Path(layout.paper_tables).write_text("# Table 3\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")


def as_json(view) -> dict:
    """The content of a view as a program gets it."""
    from tdro.report.show.output import _plain_values

    return json.loads(json.dumps(_plain_values(view.content)))
