"""A cross-encoder's scores: from ``rescored.parquet`` through selection and deduplication to the rows of a plan."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tdro.artifacts.files import read_table, write_table
from tdro.artifacts.schemas import CANDIDATES, CORPUS, NEGATIVES, PLAN, QUERIES, SCORED_TRAIN, TRAIN
from tdro.config.commands import TrainJob
from tdro.config.data import Dedup
from tdro.config.mining import Select
from tdro.config.models import Encoding, Model
from tdro.config.registry import Prompted
from tdro.config.training import Distill, Training
from tdro.data.dedup import dedup
from tdro.errors import UserError
from tdro.mining.select import select_negatives
from tdro.mixtures.plan import TrainingFiles, make_plan
from tdro.training import train as train_stage
from tdro.training.learner import Places
from tdro.training.teacher import plan_scores, scored_files
from tdro.training.train import train

#: Two tasks of mined negatives and one whose source provides them.
TASKS = ("faq", "code", "given")
ROWS = 24
SELECT = Select(ranks=(0, 12), samples=6, min_score=0.0)


def write_texts(folder, task):
    """Passages and queries; each query has two positives, of which one serves the next query, too."""
    ids = [str(i) for i in range(ROWS)]
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    texts = [f"{words[i % 8]} {words[i // 8]} {task} {i}" for i in range(ROWS)]
    write_table(folder / "corpus.parquet", {"passage_id": ids, "title": [""] * ROWS, "text": texts}, CORPUS)
    asked = {
        "query_id": ids,
        "query": [f"which {words[i // 8]} of {words[i % 8]} {i * 977}" for i in range(ROWS)],
        "positives": [[i, (i + 1) % ROWS] for i in range(ROWS)],
        "negatives": [[(i + 9) % ROWS, (i + 5) % ROWS, (i + 7) % ROWS] for i in range(ROWS)],
    }
    write_table(folder / "queries.parquet", asked, QUERIES)


def write_rescored(folder, rng):
    """Candidates of each query as a cross-encoder ranks them; the score of every pair, by query and passage."""
    pairs, columns = {}, {name: [] for name in CANDIDATES.names}
    for query in range(ROWS):
        positives = [query, (query + 1) % ROWS]
        scores = {int(p): float(np.float32(rng.normal(0, 3))) for p in rng.permutation(ROWS)[:12]}
        scores |= {p: float(np.float32(rng.normal(6, 1))) for p in positives}
        ranked = sorted(scores, key=lambda p: -scores[p])
        columns["query"].append(query)
        columns["candidates"].append(ranked)
        columns["scores"].append([scores[p] for p in ranked])
        columns["positive_scores"].append([scores[p] for p in positives])
        pairs |= {(query, passage): score for passage, score in scores.items()}
    write_table(folder / "rescored.parquet", columns, CANDIDATES)
    return pairs


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The stages up to ``train.parquet``; and the scores of each task's pairs."""
    root, known = tmp_path_factory.mktemp("results"), {}
    for number, task in enumerate(TASKS):
        folder = root / "data" / task
        write_texts(folder, task)
        queries, mined = folder / "queries.parquet", None
        if task != "given":
            known[task] = write_rescored(folder, np.random.default_rng(number))
            mined = folder / "negatives.parquet"
            select_negatives(folder / "rescored.parquet", folder / "corpus.parquet", queries, mined, SELECT)
        outputs = (folder / "train.parquet", folder / "duplicates.parquet")
        dedup(queries, mined, {}, *outputs, Dedup(distance=0), scores=True)
    return root, known


def planned(root, tmp_path, negatives=4, steps=9):
    tasks = TrainingFiles(root, TASKS)
    shape = {"layout": "homogeneous", "steps": steps, "batch_size": 8, "negatives": negatives, "seed": 5}
    plan = make_plan(tasks, dict.fromkeys(TASKS, 1 / 3), **shape)
    write_table(tmp_path / "plan.parquet", plan, PLAN)
    return plan


def test_selection_and_deduplication_keep_each_passages_score(results):
    root, known = results
    for task in known:
        selected = read_table(root / "data" / task / "negatives.parquet", NEGATIVES).to_pylist()
        rows = read_table(root / "data" / task / "train.parquet", SCORED_TRAIN).to_pylist()
        assert len(selected) == len(rows) == ROWS
        filled = 0
        for row, before in zip(rows, selected, strict=True):
            assert row["positive_scores"] == before["positive_scores"]
            assert row["positive_scores"] == [known[task][row["query"], p] for p in row["positives"]]
            assert (row["negatives"], row["negative_scores"]) == (before["negatives"], before["scores"])
            for passage, score in zip(row["negatives"], row["negative_scores"], strict=True):
                assert score in (None, known[task].get((row["query"], passage)))
                filled += score is None
        assert filled, "random passages fill gaps, or this test shows less"


def test_a_task_with_provided_negatives_has_rows_without_scores(results):
    rows = read_table(results[0] / "data" / "given" / "train.parquet", SCORED_TRAIN)
    assert rows["positive_scores"].null_count == rows["negative_scores"].null_count == rows.num_rows


def test_without_being_asked_training_rows_have_no_scores(results, tmp_path):
    folder = results[0] / "data" / "faq"
    outputs = (tmp_path / "train.parquet", tmp_path / "duplicates.parquet")
    dedup(folder / "queries.parquet", folder / "negatives.parquet", {}, *outputs, Dedup(distance=0))
    plain = read_table(outputs[0], TRAIN)
    assert plain.equals(read_table(folder / "train.parquet", TRAIN))
    with pytest.raises(UserError, match=r"has no column 'positive_scores'.*Delete the file"):
        read_table(outputs[0], SCORED_TRAIN)


def test_the_scores_of_a_plan_are_those_of_its_pairs(results, tmp_path, caplog):
    caplog.set_level("INFO", "tdro")
    root, known = results
    plan = planned(root, tmp_path)
    scores = plan_scores(plan, scored_files(plan, root))
    # A random passage that filled a gap may be one that the cross-encoder scored but selection dropped.
    of_rows = {t: read_table(root / "data" / t / "train.parquet", SCORED_TRAIN).to_pylist() for t in known}
    kept = {
        (task, row["query"], passage): score
        for task, rows in of_rows.items()
        for row in rows
        for kind in ("positive", "negative")
        for passage, score in zip(row[f"{kind}s"], row[f"{kind}_scores"], strict=True)
        if score is not None
    }
    expected = [
        [kept.get((row["task"], row["query"], passage), math.nan) for passage in (row["positive"], *row["negatives"])]
        for row in plan.to_pylist()
    ]
    assert np.array_equal(scores, expected, equal_nan=True)
    lines = [message for message in caplog.messages if message.startswith("task ")]
    drawn = plan["task"].to_pylist()
    assert f"task given: 0 of {drawn.count('given')} rows" in "".join(lines)
    for task in known:
        rows = [found for found, of in zip(scores.tolist(), drawn, strict=True) if of == task]
        learning = [row for row in rows if any(not math.isnan(score) for score in row[1:])]
        lacking = sum(math.isnan(score) for row in learning for score in row[1:])
        said = f"task {task}: {len(learning)} of {len(rows)} rows learn the cross-encoder's scores; {lacking} of their"
        assert any(line.startswith(said) for line in lines), lines


@given(st.data())
def test_scores_are_looked_up_as_a_dictionary_would(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("rows")
    passages = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4, unique=True)
    said, columns = {}, {name: [] for name in SCORED_TRAIN.names}
    for query in data.draw(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=6, unique=True)):
        together = data.draw(passages)
        cut = data.draw(st.integers(0, len(together)))
        given_scores = data.draw(st.one_of(st.none(), st.lists(
            st.one_of(st.none(), st.floats(-9, 9, width=32)), min_size=len(together), max_size=len(together)
        )))  # fmt: skip
        columns["query"].append(query)
        for kind, part in (("positive", slice(cut)), ("negative", slice(cut, None))):
            columns[f"{kind}s"].append(together[part])
            columns[f"{kind}_scores"].append(given_scores and given_scores[part])
        said |= {(query, p): s for p, s in zip(together, given_scores or (), strict=False) if s is not None}
    write_table(folder / "train.parquet", columns, SCORED_TRAIN)
    queries = st.one_of(st.sampled_from(columns["query"]), st.integers(0, 9))
    known = sorted({p for lists in (columns["positives"], columns["negatives"]) for row in lists for p in row})
    passage = st.one_of(st.sampled_from(known), st.integers(0, 9))
    rows = data.draw(st.lists(st.tuples(queries, passage, passage, passage), min_size=1, max_size=9))
    content = {"step": [0] * len(rows), "slot": range(len(rows)), "task": ["faq"] * len(rows)}
    content |= {"query": [r[0] for r in rows], "positive": [r[1] for r in rows], "negatives": [r[2:] for r in rows]}
    found = plan_scores(pa.table(content, schema=PLAN), {"faq": folder / "train.parquet"})
    expected = [[said.get((query, p), math.nan) for p in own] for query, *own in rows]
    assert np.array_equal(found.numpy(), np.array(expected, np.float32), equal_nan=True)


def test_scores_of_other_passages_are_refused(results, tmp_path):
    row = {"query": [0], "positives": [[1]], "negatives": [[2, 3]], "positive_scores": [[1.0]]}
    write_table(tmp_path / "train.parquet", row | {"negative_scores": [[0.5]]}, SCORED_TRAIN)
    plan = planned(results[0], tmp_path).slice(0, 1)
    with pytest.raises(UserError, match=r"train\.parquet has other negatives than scores of negatives"):
        plan_scores(
            plan.set_column(3, PLAN.field("query"), pa.array([0], pa.int32())),
            {plan["task"][0].as_py(): tmp_path / "train.parquet"},
        )


@pytest.mark.parametrize(
    ("scale", "sentence"),
    [(None, "no row of the plan has scores"), (0.9, "`mining.rescore.activation: none` keeps"), (9.0, None)],
)
def test_scores_that_teach_nothing_are_pointed_out(tmp_path, caplog, scale, sentence):
    own, others = ([[scale]] * 2, [[0.1 * scale, None]] * 2) if scale else ([None] * 2, [None] * 2)
    content = {"query": [0, 1], "positives": [[0], [1]], "negatives": [[2, 3]] * 2}
    write_table(tmp_path / "train.parquet", content | {"positive_scores": own, "negative_scores": others}, SCORED_TRAIN)
    plan = {"step": [0] * 2, "slot": [0, 1], "task": ["faq"] * 2, "query": [0, 1], "positive": [0, 1]}
    plan_scores(pa.table(plan | {"negatives": [[2, 3]] * 2}, schema=PLAN), {"faq": tmp_path / "train.parquet"})
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == (sentence is not None)
    assert all(sentence in line for line in warned)


def test_a_training_distils_the_scores_of_its_plan_and_no_others(results, tiny_base, tmp_path, monkeypatch):
    """The scores of each batch as the loss has them, and what becomes of a task without in-batch negatives."""
    root, _ = results
    plan, seen = planned(root, tmp_path), []

    class Watched(train_stage.Distillation):
        def blended(self, contrastive, own, rows):
            blended = super().blended(contrastive, own, rows)
            seen.append((rows, self._scores[rows], own.detach(), contrastive.detach(), blended.detach()))
            return blended

    monkeypatch.setattr(train_stage, "Distillation", Watched)
    job = TrainJob(
        model=Model(name="tiny", base=str(tiny_base)),
        encoding=Encoding(query_length=64, passage_length=64, precision="fp32"),
        training=Training(
            steps=9, batch_size=8, negatives=4, learning_rate=1e-3, temperature=0.05, distill=Distill(temperature=2)
        ),
        tasks={task: Prompted(instruction="Find it.") for task in TASKS},
        own_negatives=["code"],
    )
    train(Places(tmp_path / "plan.parquet", root, *(tmp_path / name for name in ("model", "c", "tb"))), job)
    assert [row for rows, *_ in seen for row in rows] == list(range(plan.num_rows))
    scores, tasks = plan_scores(plan, scored_files(plan, root)), plan["task"].to_pylist()
    for rows, teacher, own, contrastive, blended in seen:
        assert np.array_equal(teacher, scores[rows], equal_nan=True)
        alone = torch.logsumexp(own, dim=1) - own[:, 0]
        task = tasks[rows[0]]
        assert torch.allclose(contrastive, alone, atol=1e-4) == (task == "code")
        assert torch.equal(blended, contrastive) == (task == "given")


def test_a_task_of_own_negatives_needs_some(tiny_base):
    with pytest.raises(ValueError, match=r"rows of 'code' would have no negative; raise training\.negatives"):
        TrainJob(
            model=Model(name="tiny", base=str(tiny_base)),
            training=Training(negatives=0),
            tasks={"code": Prompted(instruction="Find it.")},
            own_negatives=["code"],
        )
