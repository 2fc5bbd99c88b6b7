import gzip
import json

import pytest

from tdro.artifacts.files import read_counts, read_table
from tdro.artifacts.schemas import CORPUS, TEST_QUERIES
from tdro.config.data import Data
from tdro.config.registry import Source
from tdro.data.prepare_corpus import prepare_corpus
from tdro.data.prepare_queries import prepare_queries
from tdro.errors import UserError
from tdro.readers.testsets.base import open_testset


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")


def jsonl(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


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
    write(folder / f"corpus.jsonl{suffix}", jsonl(*documents))
    write(folder / f"queries.jsonl{suffix}", jsonl(*queries))
    header = "query-id\tcorpus-id\tscore\n"
    write(
        folder / "qrels/test.tsv",
        f"{header}PLAIN-2\tMED-10\t2\nPLAIN-2\tMED-14\t1\nPLAIN-3\t4983\t1\nPLAIN-3\tMED-14\t0\n",
    )
    write(folder / "qrels/dev.tsv", f"{header}unjudged\tMED-14\t1\n")
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
    write(topics / f"topics.miracl-v1.0-{language}-dev.tsv", f"0#0\tJe, {language}?\n12#1\tNani?\n")
    write(qrels / f"qrels.miracl-v1.0-{language}-dev.tsv", "0#0\tQ0\t100#0\t1\n0#0\tQ0\t100#1\t0\n12#1\tQ0\t9#2\t1\n")
    write(topics / f"topics.miracl-v1.0-{language}-train.tsv", "7#0\tTrain\n")
    passages = [{"docid": f"{i}#0", "title": f"T{i}", "text": f"{language} {i}"} for i in range(100, 102)]
    write(docs / "docs-0.jsonl.gz", jsonl(*passages, {"docid": "100#1", "title": "T100", "text": "b"}))
    write(docs / "docs-10.jsonl.gz", jsonl({"docid": "last", "title": "", "text": "last"}))
    write(docs / "docs-2.jsonl.gz", jsonl({"docid": "9#2", "title": "Tisa", "text": "tisa"}))
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
    write(
        folder / f"mkqa.jsonl{suffix}",
        jsonl(
            *(
                {
                    "query": query,
                    "answers": {"en": answers, "ru": [answer("entity", "Эдмундс, Дэйв")]},
                    "queries": {"en": query, "ru": russian},
                    "example_id": example,
                }
                for example, query, answers, russian in rows
            )
        ),
    )
    if passages == "psgs_w100.tsv":
        text = 'id\ttext\ttitle\n1\t"Aaron is a ""prophet"", he said"\tAaron\n2\tDave Edmunds sang it\t"I Hear You"\n'
        write(folder / f"psgs_w100.tsv{suffix}", text)
    return folder


def read(reader, path, part=None):
    opened = open_testset(Source(reader=reader, path=str(path)), part)
    return list(opened.documents()), list(opened.queries())


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_beir(tmp_path, suffix):
    documents, queries = read("beir", beir(tmp_path, suffix))
    assert documents[0] == ("Lower  cholesterol.\n", "Statins", "MED-10")
    assert [d.passage_id for d in documents] == ["MED-10", "MED-14", "4983"]
    assert [(q.query_id, q.text, q.grades) for q in queries] == [
        ("PLAIN-2", "Do statins help?", {"MED-10": 2, "MED-14": 1}),
        ("PLAIN-3", "Do statins help?", {"4983": 1}),
    ]


def test_beir_on_dev_by_name_and_where_there_is_no_test(tmp_path):
    folder = beir(tmp_path)
    by_name = read("beir", folder / "qrels/dev.tsv")[1]
    (folder / "qrels/test.tsv").unlink()
    assert by_name == read("beir", folder)[1]
    assert [q.query_id for q in by_name] == ["unjudged"]


def test_beir_parts_are_folders(tmp_path):
    for part in ("android", "gis"):
        beir(tmp_path / "cqadupstack" / part)
    assert len(read("beir", tmp_path / "cqadupstack/{part}", "gis")[1]) == 2


@pytest.mark.parametrize("flat", [False, True])
def test_miracl(tmp_path, flat):
    folder = tmp_path / "sw" if flat else tmp_path
    documents, queries = read("miracl", miracl(folder, flat=flat), "sw")
    assert [d.passage_id for d in documents] == ["100#0", "101#0", "100#1", "9#2", "last"]
    assert documents[3] == ("tisa", "Tisa", "9#2")
    assert [(q.query_id, q.text, q.grades) for q in queries] == [
        ("0#0", "Je, sw?", {"100#0": 1}),
        ("12#1", "Nani?", {"9#2": 1}),
    ]


def test_an_empty_part_of_miracl_is_told_and_passed_over(tmp_path, caplog):
    miracl(tmp_path)
    for name in ("docs-1.jsonl.gz", "docs-3.jsonl"):
        write(tmp_path / f"miracl-corpus-v1.0-sw/{name}", "")
    assert len(read("miracl", tmp_path, "sw")[0]) == 5
    assert "2 of 5 files hold no rows" in caplog.text
    for file in tmp_path.rglob("docs-*"):
        write(file, "")
    with pytest.raises(UserError, match="holds no rows"):
        read("miracl", tmp_path, "sw")


def test_miracl_languages_side_by_side(tmp_path):
    for language in ("sw", "yo"):
        miracl(tmp_path, language)
    documents, queries = read("miracl", tmp_path, "yo")
    assert documents[0].text == "yo 100" and len(documents) == 5 and queries[0].text == "Je, yo?"
    with pytest.raises(UserError, match=r"several files for one part.*parts"):
        read("miracl", tmp_path)
    with pytest.raises(UserError, match="no file of 'te'"):
        read("miracl", tmp_path, "te")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mkqa(tmp_path, suffix):
    documents, queries = read("mkqa", mkqa(tmp_path, suffix), "ru")
    assert len(queries) == 6
    queries = [query for query in queries if query.answers]
    assert documents == [('Aaron is a "prophet", he said', "Aaron", "1"), ("Dave Edmunds sang it", "I Hear You", "2")]
    assert [(q.query_id, q.text) for q in queries] == [
        ("563260143484355911", "кто поет?"),
        ("-1", "сколько?"),
        ("5", "когда?"),
    ]
    assert [q.answers for q in queries] == [
        ("Dave Edmunds", "Edmunds"),
        ("26.0", "26", "twenty six"),
        ("2017-11-20", "20 November 2017"),
    ]
    assert {q.grades for q in queries} == {None}


def test_mkqa_with_passages_as_in_beir_and_without_any(tmp_path):
    mkqa(tmp_path, passages=None)
    with pytest.raises(UserError, match=r"neither psgs_w100.tsv nor corpus.jsonl.*`corpus`"):
        read("mkqa", tmp_path, "ru")
    write(tmp_path / "corpus.jsonl", jsonl({"_id": "a", "title": "T", "text": "x"}))
    assert read("mkqa", tmp_path / "mkqa.jsonl.gz", "en")[0] == [("x", "T", "a")]
    with pytest.raises(UserError, match="no question in 'xx'; its languages are en, ru"):
        read("mkqa", tmp_path, "xx")


def test_answers_that_are_no_objects_are_named(tmp_path):
    row = {"example_id": 1, "queries": {"ru": "?"}, "answers": {"en": ["yes"]}}
    mkqa(tmp_path, suffix="")
    (tmp_path / "mkqa.jsonl").write_text(jsonl(row))
    with pytest.raises(UserError, match=r"mkqa.jsonl, line 1 has an `answers.en` that lists no objects"):
        read("mkqa", tmp_path, "ru")


def test_a_task_of_mteb(monkeypatch):
    """What mteb loads, without the hub: its task's own data in its own form."""
    import mteb
    from datasets import Dataset

    task = mteb.get_task("SciFact")
    data = {
        "corpus": Dataset.from_list([{"id": "d1", "title": "T", "text": "a"}, {"id": "d2", "title": "", "text": "b"}]),
        "queries": Dataset.from_list([{"id": "q1", "text": "x"}, {"id": "q2", "text": "y"}]),
        "relevant_docs": {"q1": {"d2": 2, "d1": 0}},
        "top_ranked": None,
    }
    task.dataset, task.data_loaded = {"default": {"test": data}}, True
    monkeypatch.setattr(mteb, "get_task", lambda name, hf_subsets=None: {"SciFact": task}[name])
    documents, queries = read("mteb", "SciFact")
    assert documents == [("a", "T", "d1"), ("b", "", "d2")]
    assert [(q.query_id, q.text, q.grades) for q in queries] == [("q1", "x", {"d2": 2})]
    with pytest.raises(UserError, match="no task 'Nope'"):
        read("mteb", "Nope")


MALFORMED = {
    "corpus is no JSON": ("corpus.jsonl", "{", "corpus.jsonl, line 1 is not JSON"),
    "corpus is empty": ("corpus.jsonl", "\n", "corpus.jsonl is empty"),
    "corpus without text": ("corpus.jsonl", '{"_id": "a"}\n', "corpus.jsonl, line 1 has no string `text`"),
    "null for a text": ("corpus.jsonl", '{"_id": "a", "text": null}\n', "corpus.jsonl, line 1 has no string `text`"),
    "list for a title": (
        "corpus.jsonl",
        '{"_id": "a", "title": ["b"], "text": "c"}\n',
        "line 1 has a list under `title`",
    ),
    "truth for a text": (
        "queries.jsonl",
        '{"_id": "PLAIN-2", "text": true}\n',
        "line 1 has true or false under `text`",
    ),
    "null for an identifier": ("queries.jsonl", '{"_id": null, "text": "a"}\n', "line 1 has no string `_id`"),
    "blank identifier": ("queries.jsonl", '{"_id": " ", "text": "a"}\n', "line 1 has an empty `_id`"),
    "list for an object": ("queries.jsonl", "[]\n", "queries.jsonl, line 1 is not a JSON object"),
    "qrels of five columns": ("qrels/test.tsv", "q\t0\td\t1\t2\n", "test.tsv, line 1 is neither"),
    "qrels of words": ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td\tyes\n", "line 2 has the grade 'yes'"),
    "a word where a header may be": ("qrels/test.tsv", "q\td\tyes\nq\td\t1\n", "line 1 has the grade 'yes'"),
    "half a grade": ("qrels/test.tsv", "q\td\t0.5\n", "line 1 has the grade '0.5'; expected a whole number"),
    "no grade at all": ("qrels/test.tsv", "q\td\tnan\n", "line 1 has the grade 'nan'"),
    "qrels of zeros": ("qrels/test.tsv", "PLAIN-2\tMED-10\t0\n", "grades no passage above 0"),
    "qrels of unknown queries": ("qrels/test.tsv", "who\tMED-10\t1\n", "names query 'who'"),
    "not UTF-8": ("queries.jsonl", b'{"_id": "\xff"}\n', "queries.jsonl, line 1 is not UTF-8"),
    "a broken archive": ("corpus.jsonl.gz", b"\x1f\x8b\x08\x00junk", "corpus.jsonl.gz cannot be read"),
}


@pytest.mark.parametrize(("file", "content", "complaint"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_files_are_named(tmp_path, file, content, complaint):
    folder = beir(tmp_path)
    if file.endswith(".gz"):
        (folder / file.removesuffix(".gz")).unlink()
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=complaint):
        read("beir", folder)


@pytest.mark.parametrize(
    ("source", "part", "complaint"),
    [
        ({"reader": "beir"}, None, "needs the key `path`"),
        ({"reader": "beir", "path": "data/{part}"}, None, "lists no `parts`"),
        ({"reader": "beir", "path": "data"}, "a", "need a {part} in the path"),
    ],
)
def test_wrong_sources_are_named(source, part, complaint):
    with pytest.raises(UserError, match=complaint.replace("{", r"\{")):
        open_testset(Source(**source), part)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"corpus\.jsonl \(or \.gz\) does not exist.*BEIR"):
        read("beir", tmp_path)
    with pytest.raises(UserError, match="holds no file named like docs"):
        read("miracl", tmp_path)


def prepared(tmp_path, reader, path, part=None, *, data=None, limit=None):
    source, data = Source(reader=reader, path=str(path)), data or Data()
    prepare_corpus("b", source, part, data, tmp_path / "out/corpus.parquet")
    prepare_queries("b", source, part, limit, data, tmp_path / "out/corpus.parquet", tmp_path / "out/queries.parquet")
    corpus = read_table(tmp_path / "out/corpus.parquet", CORPUS).to_pydict()
    return corpus, read_table(tmp_path / "out/queries.parquet", TEST_QUERIES).to_pydict()


def test_preparation_keeps_texts_grades_and_equal_queries(tmp_path):
    corpus, queries = prepared(tmp_path, "beir", beir(tmp_path / "beir"))
    assert corpus["text"][0] == "Lower  cholesterol.\n" and len(corpus["text"]) == 3
    assert queries == {
        "query_id": ["PLAIN-2", "PLAIN-3"],
        "query": ["Do statins help?"] * 2,
        "positives": [[0, 1], [2]],
        "negatives": [[], []],
        "grades": [[2, 1], [1]],
        "answers": [None, None],
    }


def test_preparation_of_answers(tmp_path):
    _, queries = prepared(tmp_path, "mkqa", mkqa(tmp_path / "mkqa"), "ru")
    assert queries["answers"][0] == ["Dave Edmunds", "Edmunds"]
    assert queries["positives"] == [[]] * 3 and queries["grades"] == [None] * 3


def test_preparation_in_blocks_is_the_same(tmp_path, monkeypatch):
    from tdro.data import prepare_corpus

    whole = prepared(tmp_path, "miracl", miracl(tmp_path / "miracl"))
    monkeypatch.setattr(prepare_corpus, "_BLOCK", 2)
    assert prepared(tmp_path, "miracl", tmp_path / "miracl") == whole
    assert whole[1]["positives"] == [[0], [3]]


def test_passages_that_the_corpus_lacks_stay_judged_and_are_counted(tmp_path, caplog):
    folder = beir(tmp_path / "beir")
    with (folder / "qrels/test.tsv").open("a") as file:
        file.write("PLAIN-2\tgone\t3\nunjudged\tgone\t1\nunjudged\tlost\t2\n")
    _, queries = prepared(tmp_path, "beir", folder)
    assert queries["query_id"] == ["PLAIN-2", "unjudged", "PLAIN-3"]
    assert queries["positives"] == [[0, 1], [], [2]]
    assert queries["grades"] == [[2, 1, 3], [1, 2], [1]]
    counts = read_counts(tmp_path / "out/queries.parquet")
    assert counts["relevant passages that the corpus lacks"] == 3
    assert counts["queries of which it lacks all relevant passages"] == 1
    assert "lacks 3 passages that are judged relevant, for 1 queries all of them" in caplog.text


def test_queries_without_a_relevant_passage_or_answer_are_counted(tmp_path):
    folder = beir(tmp_path / "beir")
    with (folder / "qrels/test.tsv").open("a") as file:
        file.write("unjudged\tMED-10\t0\nunjudged\tMED-14\t-1\n")
    assert prepared(tmp_path, "beir", folder)[1]["query_id"] == ["PLAIN-2", "PLAIN-3"]
    left_out = "queries without a relevant passage or answer"
    assert read_counts(tmp_path / "out/queries.parquet")[left_out] == 1
    prepared(tmp_path, "mkqa", mkqa(tmp_path / "mkqa"), "ru")
    assert read_counts(tmp_path / "out/queries.parquet")[left_out] == 3


def test_what_is_not_asked_may_be_missing_or_have_no_text(tmp_path):
    folder = beir(tmp_path)
    with (folder / "queries.jsonl").open("a") as file:
        file.write(jsonl({"_id": "of another split", "text": None}))
    with (folder / "qrels/test.tsv").open("a") as file:
        file.write("judged but unknown\tMED-10\t0\n")
    assert [query.query_id for query in read("beir", folder)[1]] == ["PLAIN-2", "PLAIN-3"]


def test_what_comes_twice_is_told(tmp_path, caplog):
    folder = beir(tmp_path)
    with (folder / "queries.jsonl").open("a") as file:
        file.write(jsonl({"_id": "PLAIN-2", "text": "another text"}))
    with (folder / "qrels/test.tsv").open("a") as file:
        file.write("PLAIN-3\tMED-14\t2\nPLAIN-3\t4983\t1\n")
    queries = read("beir", folder)[1]
    assert [(q.text, q.grades) for q in queries] == [
        ("Do statins help?", {"MED-10": 2, "MED-14": 1}),
        ("Do statins help?", {"4983": 1, "MED-14": 2}),
    ]
    assert "1 queries have the identifier of an earlier one" in caplog.text
    assert "judges 1 passages twice and differently" in caplog.text


def test_identifiers_that_come_twice_are_counted(tmp_path, caplog):
    folder = beir(tmp_path / "beir")
    with (folder / "corpus.jsonl").open("a") as file:
        file.write(jsonl({"_id": "MED-10", "title": "", "text": "again"}))
    assert prepared(tmp_path, "beir", folder)[1]["positives"] == [[0, 1], [2]]
    assert read_counts(tmp_path / "out/queries.parquet")["relevant passages whose identifier comes twice"] == 1
    assert "1 relevant passages twice" in caplog.text


def test_limits_of_queries_and_of_words(tmp_path):
    folder = beir(tmp_path / "beir")
    corpus, queries = prepared(tmp_path, "beir", folder, data=Data(max_words=1), limit=1)
    assert corpus["text"][0] == "Lower" and len(queries["query_id"]) == 1
    assert read_counts(tmp_path / "out/corpus.parquet") == {"passages": 3, "passage cut": 3}
    assert prepared(tmp_path, "beir", folder, data=Data(max_words=1), limit=1)[1] == queries


def test_a_corpus_of_another_benchmark_is_refused(tmp_path):
    beir(tmp_path / "beir"), miracl(tmp_path / "miracl")
    prepared(tmp_path, "miracl", tmp_path / "miracl")
    source = Source(reader="beir", path=str(tmp_path / "beir"))
    with pytest.raises(UserError, match="holds none of the relevant passages"):
        prepare_queries("b", source, None, None, Data(), tmp_path / "out/corpus.parquet", tmp_path / "q.parquet")
    assert not (tmp_path / "q.parquet").exists()


# --- what programs write in the place of texts


NUMBERS = {
    "beir": ({"_id": 7, "title": 1984, "text": 0}, ("7", "1984", "0")),
    "null title": ({"_id": "a", "title": None, "text": 2.5}, ("a", "", "2.5")),
    "title 0": ({"_id": 1, "title": 0, "text": ""}, ("1", "0", "")),
    "title that is not a number": ({"_id": 1, "title": float("nan"), "text": "x"}, ("1", "", "x")),
    "half a character": ({"_id": "\ud83d", "title": "\ud83d", "text": "\udc00"}, ("\ufffd", "\ufffd", "\ufffd")),
}


@pytest.mark.parametrize("reader", ["beir", "mkqa", "miracl"])
@pytest.mark.parametrize(("record", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_and_nulls_are_text_in_every_format(tmp_path, reader, record, expected):
    if reader == "miracl":
        record = {"docid" if key == "_id" else key: value for key, value in record.items()}
    write(tmp_path / ("docs-0.jsonl" if reader == "miracl" else "corpus.jsonl"), json.dumps(record) + "\n")
    prepare_corpus("b", Source(reader=reader, path=str(tmp_path)), None, Data(), tmp_path / "out.parquet")
    (row,) = read_table(tmp_path / "out.parquet", CORPUS).to_pylist()
    assert tuple(row.values()) == expected


def test_numbers_are_text_in_queries_and_answers_too(tmp_path):
    folder = beir(tmp_path / "beir")
    write(folder / "queries.jsonl", jsonl({"_id": 12, "text": 1984}))
    write(folder / "qrels/test.tsv", "12\t4983\t1\n")
    assert [(q.query_id, q.text) for q in read("beir", folder)[1]] == [("12", "1984")]
    answers = [{"type": "number", "text": 26, "aliases": "twenty six"}, {"type": "date", "text": None, "aliases": None}]
    row = {"example_id": 3, "queries": {"en": 911}, "answers": {"en": answers}}
    mkqa(tmp_path / "mkqa", suffix="")
    write(tmp_path / "mkqa/mkqa.jsonl", jsonl(row))
    (query,) = read("mkqa", tmp_path / "mkqa")[1]
    assert (query.query_id, query.text, query.answers) == ("3", "911", ("26", "twenty six"))


def test_a_task_of_mteb_with_numbers_is_read_and_with_lists_named(monkeypatch):
    import mteb

    task = mteb.get_task("SciFact")
    data = {
        "corpus": [{"id": 1, "title": None, "text": 5}],
        "queries": [{"id": 2, "text": "x"}],
        "relevant_docs": {2: {1: 1.0}, "gone": {1: 1}},
    }
    task.dataset, task.data_loaded = {"default": {"test": data}}, True
    monkeypatch.setattr(mteb, "get_task", lambda name, hf_subsets=None: task)
    documents, queries = read("mteb", "SciFact")
    assert documents == [("5", "", "1")] and [(q.query_id, q.grades) for q in queries] == [("2", {"1": 1})]
    data["corpus"].append({"id": 3, "title": [], "text": "x"})
    with pytest.raises(UserError, match="SciFact, row 1 of corpus has a list under `title`"):
        read("mteb", "SciFact")
