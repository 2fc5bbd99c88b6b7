import pytest
from testsets import ENCODING, one_hot, random_dataset, save_dataset
from tinymodels import save_words

from tdro.artifacts.files import read_table
from tdro.artifacts.schemas import QUERY_SCORES
from tdro.evaluation.evaluate import evaluate


def test_run_files_hold_the_ranking_and_score_the_same(tmp_path):
    import pytrec_eval

    model, dataset, _, _, positives = random_dataset(tmp_path)
    out = tmp_path / "out"
    evaluate(model, {"b": {"random": dataset}}, ENCODING, out, runs=True)
    lines = [line.split() for line in (out / "b.runs" / "random.trec").read_text().splitlines()]
    assert {(len(line), line[1], line[5]) for line in lines} == {(6, "Q0", "tdro")}
    run_of, ranks = {}, {}
    for query, _, passage, rank, score, _ in lines:
        run_of.setdefault(query, {})[passage] = float(score)
        ranks.setdefault(query, []).append(int(rank))
    assert all(found == list(range(1, 101)) for found in ranks.values())
    qrels = {f"q{i}": {f"d{row}": 1 for row in rows} for i, rows in enumerate(positives)}
    official = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(run_of)
    ours = read_table(out / "b.queries.parquet", QUERY_SCORES)
    for query, value in zip(ours["query_id"].to_pylist(), ours["ndcg_at_10"].to_pylist(), strict=True):
        assert value == pytest.approx(official[query]["ndcg_cut_10"], abs=1e-6)


def test_the_first_three_passages_stand_beside_the_scores(tmp_path):
    model, dataset, *_ = random_dataset(tmp_path)
    out = tmp_path / "out"
    evaluate(model, {"b": {"random": dataset}}, ENCODING, out, runs=True)
    ranked = [line.split() for line in (out / "b.runs" / "random.trec").read_text().splitlines()]
    best: dict[str, list[int]] = {}
    for query, _, passage, rank, *_ in ranked:
        if int(rank) <= 3:
            best.setdefault(query, []).append(int(passage.removeprefix("d")))
    table = read_table(out / "b.queries.parquet", QUERY_SCORES)
    assert dict(zip(table["query_id"].to_pylist(), table["first"].to_pylist(), strict=True)) == best
    assert len(best) == 40


def test_a_corpus_of_two_passages_has_no_third(tmp_path):
    model = save_words(tmp_path / "model", one_hot(2))
    dataset = save_dataset(tmp_path / "ds", ["t0", "t1"], ["t1"], [[1]])
    evaluate(model, {"b": {"b": dataset}}, ENCODING, tmp_path / "out")
    assert read_table(tmp_path / "out/b.queries.parquet", QUERY_SCORES)["first"].to_pylist() == [[1, 0]]
