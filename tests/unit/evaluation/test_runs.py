import pytest
from testsets import ENCODING, random_dataset

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
