"""Benchmarks as their publishers lay them out, and what is read and prepared of them."""

from reading import written

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import CORPUS, TEST_QUERIES
from tdro.config.data import Data
from tdro.config.registry import Source
from tdro.data.prepare_corpus import prepare_corpus
from tdro.data.prepare_queries import prepare_queries
from tdro.readers.testsets.base import open_testset


def beir(folder, suffix=""):
    """BEIR as its archives unpack: ids of any form, white space kept, a query twice, one nobody judged."""
    documents = [
        {"_id": "MED-10", "title": "Statins", "text": "Lower  cholesterol.\n", "metadata": {}},
        {"_id": "MED-14", "title": "", "text": "Statin use after diagnosis"},
        {"_id": "4983", "title": "Statins", "text": "Lower  cholesterol.\n"},
    ]
    queries = [
        {"_id": q, "text": text, "metadata": {}}
        for q, text in (("PLAIN-2", "Do statins help?"), ("unjudged", "?"), ("PLAIN-3", "Do statins help?"))
    ]
    written(folder / f"corpus.jsonl{suffix}", documents)
    written(folder / f"queries.jsonl{suffix}", queries)
    header = "query-id\tcorpus-id\tscore\n"
    written(
        folder / "qrels/test.tsv",
        f"{header}PLAIN-2\tMED-10\t2\nPLAIN-2\tMED-14\t1\nPLAIN-3\t4983\t1\nPLAIN-3\tMED-14\t0\n",
    )
    written(folder / "qrels/dev.tsv", f"{header}unjudged\tMED-14\t1\n")
    return folder


def miracl(folder, language="sw", flat=False):
    """MIRACL as the hub's two repositories hold it, or its files in one folder."""
    topics, qrels, docs = (
        (folder, folder, folder)
        if flat
        else (
            folder / f"miracl-v1.0-{language}/topics",
            folder / f"miracl-v1.0-{language}/qrels",
            folder / f"miracl-corpus-v1.0-{language}",
        )
    )
    written(topics / f"topics.miracl-v1.0-{language}-dev.tsv", f"0#0\tJe, {language}?\n12#1\tNani?\n")
    written(qrels / f"qrels.miracl-v1.0-{language}-dev.tsv", "0#0\tQ0\t100#0\t1\n0#0\tQ0\t100#1\t0\n12#1\tQ0\t9#2\t1\n")
    written(topics / f"topics.miracl-v1.0-{language}-train.tsv", "7#0\tTrain\n")
    passages = [{"docid": f"{i}#0", "title": f"T{i}", "text": f"{language} {i}"} for i in range(100, 102)]
    written(docs / "docs-0.jsonl.gz", [*passages, {"docid": "100#1", "title": "T100", "text": "b"}])
    written(docs / "docs-10.jsonl.gz", [{"docid": "last", "title": "", "text": "last"}])
    written(docs / "docs-2.jsonl.gz", [{"docid": "9#2", "title": "Tisa", "text": "tisa"}])
    return folder


def answer(kind, text, *aliases):
    return {"type": kind, "entity": None, "text": text, **({"aliases": list(aliases)} if aliases else {})}


def mkqa(folder, suffix=".gz", passages="psgs_w100.tsv"):
    """MKQA as its repository holds it: every type of answer, among them those that no passage could contain."""
    rows = [
        (563260143484355911, "who sings?", [answer("entity", "Dave Edmunds", "Edmunds")], "кто поет?"),
        (-1, "how many?", [answer("number", "26.0", "26", "twenty six")], "сколько?"),
        (2, "is it?", [answer("binary", "yes")], "да?"),
        (3, "why?", [answer("long_answer", None)], "почему?"),
        (4, "what?", [answer("unanswerable", None)], "что?"),
        (5, "when?", [answer("unanswerable", None), answer("date", "2017-11-20", "20 November 2017")], "когда?"),
    ]
    written(
        folder / f"mkqa.jsonl{suffix}",
        [
            {
                "query": query,
                "answers": {"en": answers, "ru": [answer("entity", "Эдмундс, Дэйв")]},
                "queries": {"en": query, "ru": russian},
                "example_id": example,
            }
            for example, query, answers, russian in rows
        ],
    )
    if passages == "psgs_w100.tsv":
        text = 'id\ttext\ttitle\n1\t"Aaron is a ""prophet"", he said"\tAaron\n2\tDave Edmunds sang it\t"I Hear You"\n'
        written(folder / f"psgs_w100.tsv{suffix}", text)
    return folder


def read(reader, path, part=None):
    opened = open_testset(Source(reader=reader, path=str(path)), part)
    return list(opened.documents()), list(opened.queries())


def prepared(tmp_path, reader, path, part=None, *, data=None, limit=None):
    source, data = Source(reader=reader, path=str(path)), data or Data()
    prepare_corpus("b", source, part, data, tmp_path / "out/corpus.parquet")
    prepare_queries("b", source, part, limit, data, tmp_path / "out/corpus.parquet", tmp_path / "out/queries.parquet")
    corpus = read_table(tmp_path / "out/corpus.parquet", CORPUS).to_pydict()
    return corpus, read_table(tmp_path / "out/queries.parquet", TEST_QUERIES).to_pydict()
