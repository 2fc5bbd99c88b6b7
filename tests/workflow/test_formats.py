"""A task of every source format, from its file to training rows, by the real DAG."""

import csv
import gzip
import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from running import snakemake

from tdro.artifacts.files import read_counts, read_table
from tdro.artifacts.schemas import CORPUS, QUERIES, TRAIN
from tdro.config.models import Encoding, Model
from tdro.models.bases import load_retriever

pytestmark = pytest.mark.workflow

ROWS = 24
WORDS = """oak elm ash fir yew box bay fig rye oat pea leek kale dill mint sage thyme clove mace cumin""".split()  # noqa: SIM905 (a list of twenty strings reads worse)


def pairs(name):
    """Queries and answers of one task, each its own."""
    rng = np.random.default_rng(len(name))
    return [
        (
            f"{name} question {n} about {' '.join(rng.choice(WORDS, 4))}",
            f"{name} answer {n}: {' '.join(rng.choice(WORDS, 8))}",
        )
        for n in range(ROWS)
    ]


def json_lines(values):
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def tevatron(name, negatives):
    return [
        {
            "query_id": f"{name}-{n}",
            "query": query,
            "positive_passages": [{"docid": f"{name}-p{n}", "title": "Title", "text": answer}],
            "negative_passages": [
                {"docid": f"{name}-n{n}-{k}", "title": "", "text": f"{name} wrong {n} {k}"} for k in range(negatives)
            ],
        }
        for n, (query, answer) in enumerate(pairs(name))
    ]


def write_pair_list(folder):
    (folder / "pair_list.jsonl.gz").write_bytes(gzip.compress(json_lines([list(pair) for pair in pairs("pair_list")])))
    return {"reader": "jsonl", "path": "pair_list.jsonl.gz"}


def write_query_pos(folder):
    rows = [{"query": query, "pos": [answer, f"another {answer}"]} for query, answer in pairs("query_pos")]
    (folder / "query_pos.jsonl").write_bytes(json_lines(rows))
    return {"reader": "jsonl", "path": "query_pos.jsonl"}


def write_sets(folder):
    rows = [{"set": [query, answer, f"{query} or {answer}"]} for query, answer in pairs("sets")]
    (folder / "sets.jsonl").write_bytes(json_lines(rows))
    return {"reader": "jsonl", "path": "sets.jsonl"}


def write_triplets(folder):
    rows = [[query, answer, f"not {answer}"] for query, answer in pairs("triplets")]
    (folder / "triplets.jsonl.gz").write_bytes(gzip.compress(json_lines(rows)))
    return {"reader": "jsonl", "path": "triplets.jsonl.gz"}


def write_tevatron(folder):
    (folder / "tevatron.jsonl").write_bytes(json_lines(tevatron("tevatron", 0)))
    return {"reader": "jsonl", "path": "tevatron.jsonl"}


def write_released(folder):
    content = json_lines(tevatron("released", 5))
    with tarfile.open(folder / "released.jsonl.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("released.jsonl")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return {"reader": "released", "path": "released.jsonl.tar.gz"}


def write_beir(folder):
    beir = folder / "beir"
    (beir / "qrels").mkdir(parents=True)
    rows = pairs("beir")
    corpus = [{"_id": f"d{n}", "title": f"T{n}", "text": answer} for n, (_, answer) in enumerate(rows)]
    corpus += [{"_id": f"x{n}", "title": "", "text": f"beir passage {n} that nobody asks for"} for n in range(ROWS)]
    (beir / "corpus.jsonl").write_bytes(json_lines(corpus))
    (beir / "queries.jsonl").write_bytes(json_lines([{"_id": f"q{n}", "text": q} for n, (q, _) in enumerate(rows)]))
    qrels = "query-id\tcorpus-id\tscore\n" + "".join(f"q{n}\td{n}\t1\n" for n in range(ROWS))
    (beir / "qrels" / "train.tsv").write_text(qrels)
    return {"reader": "beir", "path": "beir"}


def write_medmcqa(folder):
    rows = pairs("medmcqa")
    columns = {
        "id": [f"m{n}" for n in range(ROWS)],
        "question": [query for query, _ in rows],
        **{f"op{letter}": [f"option {letter}"] * ROWS for letter in "abcd"},
        "cop": [0] * ROWS,
        "choice_type": ["single"] * ROWS,
        "exp": [answer for _, answer in rows[:-2]] + [None, ""],
        "subject_name": ["Anatomy"] * ROWS,
        "topic_name": [None] * ROWS,
    }
    pq.write_table(pa.table(columns), folder / "medmcqa.parquet")
    return {"reader": "table", "path": "medmcqa.parquet", "columns": {"query": "question", "positive": "exp"}}


def write_csv(folder):
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("asked", "answered"), *pairs("csv")])
    return {"reader": "table", "path": "table.csv", "columns": {"query": "asked", "positive": "answered"}}


WRITERS = {
    "pair_list": write_pair_list,
    "query_pos": write_query_pos,
    "sets": write_sets,
    "triplets": write_triplets,
    "tevatron": write_tevatron,
    "released": write_released,
    "beir": write_beir,
    "medmcqa": write_medmcqa,
    "csv": write_csv,
}
PROVIDED = ("triplets", "released")


@pytest.fixture(scope="module")
def project(tiny_base, tmp_path_factory):
    """A folder with one task of each format, all of whose training rows the DAG has made."""
    folder = tmp_path_factory.mktemp("formats")
    miner = load_retriever(Model(name="tiny", base=str(tiny_base)), Encoding(query_length=32, passage_length=48))
    miner.save_pretrained(str(folder / "miner"))
    tasks = {}
    for name, write in WRITERS.items():
        source = write(folder)
        source["path"] = str(folder / source["path"])
        provided = {"negatives": "provided"} if name in PROVIDED else {}
        tasks[name] = dataset(source, category="toy", **provided)
    write_lines(folder / "web.jsonl", [{"query": query, "positive": answer} for query, answer in pairs("web")])
    # A question of every task is in the benchmark, so that each has something to remove.
    leaked = [{"query": pairs(name)[0][0], "positive": f"the answer to {name}"} for name in WRITERS]
    with (folder / "web.jsonl").open("ab") as file:
        file.write(json_lines(leaked))
    web = dataset({"reader": "jsonl", "path": str(folder / "web.jsonl")})
    (folder / "registry.yaml").write_text(yaml.safe_dump({"tasks": tasks, "benchmarks": {"web": web}}))
    config = {
        "registry": str(folder / "registry.yaml"),
        "benchmarks": ["web"],
        "models": [{"name": "tiny", "base": str(tiny_base)}],
        "proxy": "tiny",
        "jobs": "one",
        "mining": {
            "encode": {"model": str(folder / "miner"), "shard_size": 16},
            "search": {"depth": 12},
            "select": {"ranks": [0, 12], "samples": 8},
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    snakemake(folder, *(f"results/data/{name}/train.parquet" for name in WRITERS))
    return folder


def dataset(source, **keys):
    return {"source": source, "language": "en", "instruction": "Find the answer.", **keys}


def write_lines(path, values):
    path.write_bytes(json_lines(values))


@pytest.mark.parametrize("name", WRITERS)
def test_a_task_of_each_format_becomes_training_rows(project, name):
    folder = project / "results/data" / name
    corpus = [
        f"{row['title']} {row['text']}".strip() for row in read_table(folder / "corpus.parquet", CORPUS).to_pylist()
    ]
    queries = read_table(folder / "queries.parquet", QUERIES).to_pylist()
    rows = read_table(folder / "train.parquet", TRAIN).to_pylist()
    expected = dict(pairs(name)[: ROWS - 2] if name == "medmcqa" else pairs(name))
    leaked = pairs(name)[0][0]
    assert {queries[row["query"]]["query"] for row in rows} == set(expected) - {leaked}
    for row in rows:
        query = queries[row["query"]]["query"]
        positives = [corpus[p] for p in row["positives"]]
        assert positives[0].endswith(expected[query])
        assert row["negatives"]
        assert not set(row["negatives"]) & set(row["positives"])
        if name in PROVIDED:
            assert all(corpus[n].startswith(("not ", "released wrong")) for n in row["negatives"])
    assert read_counts(folder / "train.parquet")["near-duplicates of evaluation queries"] == 1


def test_what_is_mined_and_what_is_provided(project):
    for name in WRITERS:
        folder = project / "results/data" / name
        for file in ("embeddings/corpus/manifest.json", "candidates.parquet", "negatives.parquet"):
            assert (folder / file).exists() == (name not in PROVIDED), (name, file)


def test_a_corpus_of_its_own_is_searched_whole(project):
    folder = project / "results/data/beir"
    assert read_table(folder / "corpus.parquet", CORPUS).num_rows == 2 * ROWS
    mined = {n for row in read_table(folder / "train.parquet", TRAIN)["negatives"].to_pylist() for n in row}
    positives = {p for row in read_table(folder / "queries.parquet", QUERIES)["positives"].to_pylist() for p in row}
    assert mined - positives


def test_empty_answers_are_counted_not_malformed(project):
    counts = read_counts(project / "results/data/medmcqa/queries.parquet")
    assert counts["positive too short"] == 2
    assert "malformed" not in counts
