"""Small test sets, retrievers that know them, and their evaluation."""

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tinymodels import save_words
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

from tdro.artifacts.files import read_json, read_table, write_table
from tdro.artifacts.schemas import CORPUS, QUERIES, QUERY_SCORES
from tdro.config.commands import EvalDataset
from tdro.config.models import Encoding
from tdro.evaluation.evaluate import evaluate

ENCODING = Encoding(precision="fp32")
INSTRUCTION = "Find the passage"


def save_letters(folder, texts):
    """A retriever that reads letter by letter, so that its tokens spell the text it was given."""
    letters = {letter: i for i, letter in enumerate(sorted(set("".join(texts)) | {"\0"}))}
    tokenizer = Tokenizer(WordLevel(letters, unk_token="\0"))
    tokenizer.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    weights = np.random.default_rng(0).normal(size=(len(letters), 8)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu").save(str(folder))
    return folder


def save_dataset(folder, passages, queries, positives, passage_ids=None, query_ids=None, titles=None):
    corpus = {
        "passage_id": passage_ids or [f"d{i}" for i in range(len(passages))],
        "title": titles or [""] * len(passages),
        "text": passages,
    }
    write_table(folder / "corpus.parquet", corpus, CORPUS)
    asked = {
        "query_id": query_ids or [f"q{i}" for i in range(len(queries))],
        "query": queries,
        "positives": positives,
        "negatives": [[] for _ in queries],
    }
    write_table(folder / "queries.parquet", asked, QUERIES)
    paths = {"corpus": str(folder / "corpus.parquet"), "queries": str(folder / "queries.parquet")}
    return EvalDataset(**paths, instruction=INSTRUCTION)


def run(tmp_path, model, datasets, encoding=ENCODING, out="out"):
    evaluate(model, {"b": datasets}, encoding, tmp_path / out)
    return scores_of(tmp_path / out), read_table(tmp_path / out / "b.queries.parquet", QUERY_SCORES).to_pydict()


def scores_of(folder, benchmark="b"):
    return read_json(folder / f"{benchmark}.json")


def one_hot(count):
    return {f"t{i}": row for i, row in enumerate(np.eye(count))}


def planted(tmp_path, count=30):
    """Query i and passage i share a word of their own: a perfect retriever and its dataset."""
    texts = [f"t{i}" for i in range(count)]
    model = save_words(tmp_path / "model", one_hot(count))
    return model, save_dataset(tmp_path / "planted", texts, texts[:20], [[i] for i in range(20)])


def random_dataset(tmp_path, seed=3):
    """150 passages, 40 queries with 1 to 15 positives each, near enough to their query to be found sometimes."""
    rng = np.random.default_rng(seed)
    passages = rng.normal(size=(150, 16))
    positives = [sorted(rng.choice(150, size=rng.integers(1, 16), replace=False).tolist()) for _ in range(40)]
    asked = np.array([passages[rows].mean(axis=0) * 0.5 + rng.normal(size=16) for rows in positives])
    model = save_words(
        tmp_path / "model",
        {f"p{i}": v for i, v in enumerate(passages)} | {f"a{i}": v for i, v in enumerate(asked)},
    )
    texts = [f"p{i}" for i in range(150)], [f"a{i}" for i in range(40)]
    return model, save_dataset(tmp_path / "ds", *texts, positives), passages, asked, positives


def searched(tmp_path, model, tests, parts=1, name="rankings", **more):
    """The test sets with the rankings of their corpus, as the rule makes them, in so many parts."""
    from tdro.evaluation.metrics import RANKED
    from tdro.evaluation.search_corpus import Portion, search_corpus
    from tdro.retrieval.rankings import merge_rankings

    whole = tmp_path / f"{name}.parquet"
    files = [tmp_path / name / f"{n}of{parts}.parquet" for n in range(1, parts + 1)]
    more = {"costs": tmp_path / "costs"} | more
    for number, file in enumerate(files, 1):
        folder = tmp_path / "checkpoints" / name / file.stem
        search_corpus(model, ENCODING, tests, Portion(number, parts), file, folder, **more)
    merge_rankings(files[::-1], whole, RANKED)  # in any order
    return {test: dataset.model_copy(update={"rankings": str(whole)}) for test, dataset in tests.items()}
