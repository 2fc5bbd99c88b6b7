"""A toy whose answer is known: three tasks, one learnable, one pure noise, one easy, through the real loss and weights.

A text is a vector; the retriever is one linear map, scaled to unit length. Queries and passages of `learnable` lie in
two blocks of the vector, the same content in either, so that the map must learn to lay the blocks on each other. A
query of `easy` is its positive, which any map finds. Query and positive of `noise` have nothing in common.
"""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from tdro.artifacts.schemas import TRAIN
from tdro.config.training import Tdro
from tdro.dro.loss import RobustLoss
from tdro.dro.update import TaskWeights
from tdro.mixtures.plan import make_plan
from tdro.mixtures.weights import Weights, write_weights
from tdro.training.collate import batch_of
from tdro.training.losses import ContrastiveLoss, own_negatives_loss
from tdro.training.meter import Meter
from tdro.training.train import _factors as loss_factors

TASKS = ["learnable", "noise", "easy"]
TEMPERATURE = 0.3
WIDTH, NEGATIVES, STEPS, ROWS = 16, 3, 60, 16


class Linear(nn.Module):
    """Token i of a fixed table of vectors, times a matrix that is learnt."""

    def __init__(self, table, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.table = nn.Embedding.from_pretrained(table, freeze=True)
        self.map = nn.Linear(table.shape[1], WIDTH, bias=False)

    def forward(self, features):
        embeddings = self.map(self.table(features["input_ids"][:, 0]))
        return {"sentence_embedding": nn.functional.normalize(embeddings, dim=-1)}


class World:
    """Rows of a mixed plan, `ROWS` of each task a step: token numbers of query, positive and negatives."""

    def __init__(self, steps, seed):
        rng = np.random.default_rng(seed)
        self.tasks = torch.arange(3).repeat_interleave(ROWS).repeat(steps)
        vectors, self.rows = [], []
        for task in self.tasks.tolist():
            blocks = [(0, 1), (2, 2), (3, 3)][task]
            query, *passages = rng.normal(size=(2 + NEGATIVES, WIDTH))
            if TASKS[task] != "noise":
                passages[0] = query
            self.rows.append(range(len(vectors), len(vectors) + 2 + NEGATIVES))
            for block, content in zip([blocks[0]] + [blocks[1]] * (1 + NEGATIVES), [query, *passages], strict=True):
                vector = np.zeros((4, WIDTH))
                vector[block] = content
                vectors.append(vector.ravel())
        self.rows = torch.tensor([list(row) for row in self.rows])
        self.table = torch.tensor(np.array(vectors), dtype=torch.float32)

    def features(self, rows):
        """As the collator has them: a dictionary a column."""
        tokens = self.rows[rows]
        return [{"input_ids": t[:, None], "attention_mask": torch.ones(len(t), 1).long()} for t in tokens.T]

    def losses(self, model, rows):
        model.table = nn.Embedding.from_pretrained(self.table, freeze=True)
        queries, *passages = [model(column)["sentence_embedding"] for column in self.features(rows)]
        return own_negatives_loss(queries, torch.stack(passages, dim=1), TEMPERATURE)


def step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.fixture(scope="module")
def reference():
    """Trained on all tasks alike, on rows of its own, to the end."""
    world = World(150, seed=1)
    model = Linear(world.table)
    optimizer = torch.optim.Adam(model.map.parameters(), lr=0.02)
    for rows in torch.arange(len(world.rows)).split(3 * ROWS):
        step(optimizer, world.losses(model, rows).mean())
    return model


@pytest.fixture(scope="module")
def learn(reference):
    """What `tdro optimize` records of every step under a measure, as arrays of shape (steps, tasks); made once each."""

    @cache
    def run(measure):
        world = World(STEPS, seed=2)
        every = torch.arange(len(world.rows))
        with torch.no_grad():
            losses = world.losses(reference, every)
        model = Linear(world.table)
        settings = Tdro(temperature=TEMPERATURE, accumulation=1, measure=measure, step_size=0.05)
        weights = TaskWeights(torch.ones(3), settings)
        loss = RobustLoss(model, weights, world.tasks, losses, settings, Meter([TASKS[t] for t in world.tasks]))
        optimizer = torch.optim.Adam(model.map.parameters(), lr=0.005)
        for rows in every.split(3 * ROWS):
            step(optimizer, loss(batch_of(world.features(rows)), rows.tolist()))
        return {name: np.array([record[name] for record in loss.history]) for name in loss.history[0]}

    return run


MEASURES = ["released", "ratio", "difference", "excess", "proxy"]
LEARNABLE, NOISE, EASY = range(3)
# The proxy has caught up with the reference by then.
CAUGHT_UP = 20


@pytest.mark.parametrize("measure", MEASURES)
def test_the_toy_is_what_it_says(learn, measure):
    """The reference has learnt what can be learnt, the proxy follows, and neither foretells noise."""
    course = learn(measure)
    proxy, reference = course["proxy_loss"], course["reference_loss"]
    assert proxy[0, LEARNABLE] > 5 * reference[:, LEARNABLE].mean()
    assert proxy[CAUGHT_UP:, LEARNABLE].mean() == pytest.approx(reference[CAUGHT_UP:, LEARNABLE].mean(), rel=0.4)
    guess = np.log(1 + NEGATIVES)
    assert min(proxy[:, NOISE].mean(), reference[:, NOISE].mean()) > guess
    assert proxy[:, NOISE].mean() == pytest.approx(reference[:, NOISE].mean(), rel=0.1)
    assert max(proxy[0, EASY], reference[:, EASY].mean()) < 0.2 * guess


@pytest.mark.parametrize("measure", MEASURES)
def test_a_step_gives_weight_to_tasks_that_measure_more_than_the_weighted_mean(learn, measure):
    """Exactly: more than the log of the weighted mean of exp(eta G), over eta."""
    course = learn(measure)
    before = np.vstack([np.full(3, 1 / 3), course["weight"][:-1]])
    gained = np.log(course["weight"]) - np.log(before)
    gradient = 0.05 * course["gradient"]
    common = np.log((before * np.exp(gradient)).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(gained, gradient - common, atol=2e-6)


def gains(course, start, stop):
    """How much the log weight of each task grew against the mean of all."""
    weights = np.log(np.vstack([np.full(3, 1 / 3), course["weight"]]))
    moved = weights[stop] - weights[start]
    return moved - moved.mean()


@pytest.mark.parametrize("measure", ["released", "ratio", "difference", "excess"])
def test_set_against_the_reference_what_lags_and_can_be_learnt_gains(learn, measure):
    course = learn(measure)
    learnable, noise, easy = gains(course, 0, CAUGHT_UP // 2)
    assert learnable > 0.1
    assert learnable > max(noise, easy) + 0.1
    assert np.argmax(course["weight"][CAUGHT_UP // 2]) == LEARNABLE


@pytest.mark.parametrize("measure", ["released", "ratio", "difference"])
def test_noise_and_what_is_easy_gain_nothing_where_the_reference_fails_or_succeeds_as_well(learn, measure):
    course = learn(measure)
    assert np.argmax(course["weight"][-1]) == LEARNABLE
    assert max(course["weight"][-1, [NOISE, EASY]]) < 1 / 3
    assert abs(np.log(course["weight"][-1, NOISE] / course["weight"][-1, EASY])) < 0.3


def test_once_the_proxy_has_caught_up_a_difference_moves_nothing(learn):
    course = learn("difference")
    early, late = gains(course, 0, CAUGHT_UP), gains(course, CAUGHT_UP, STEPS)
    assert np.abs(late).max() < 0.25 * np.abs(early).max()


def test_excess_rewards_noise_by_its_scatter_once_the_proxy_has_caught_up(learn):
    """Two retrievers that guess guess differently: the mean of what is above 0 is above 0, that of all is 0."""
    course, plain = learn("excess"), learn("difference")
    assert abs(plain["measurement"][CAUGHT_UP:, NOISE].mean()) < 0.1
    assert course["measurement"][CAUGHT_UP:, NOISE].mean() > 0.2
    assert np.argmax(gains(course, CAUGHT_UP, STEPS)) == NOISE


def test_without_a_reference_noise_takes_all(learn):
    weights = learn("proxy")["weight"]
    assert np.argmax(weights[-1]) == NOISE
    assert weights[-1, NOISE] > 0.8
    assert weights[CAUGHT_UP // 2, LEARNABLE] > weights[CAUGHT_UP // 2, EASY]  # as long as it is not learnt


SIZE = 4
# Queries, positives, and two negatives a row.
TEXTS = 4 * SIZE


class Tables(nn.Module):
    """A vector a text, all of them learnt."""

    def __init__(self, texts):
        super().__init__()
        torch.manual_seed(4)
        self.vectors = nn.Embedding(texts, 5)

    def forward(self, features):
        embeddings = self.vectors(features["input_ids"][:, 0])
        return {"sentence_embedding": nn.functional.normalize(embeddings, dim=-1)}


def planned(weights, steps, seed):
    """A homogeneous plan of three tasks of four rows, as columns of text numbers and the task of each row."""
    rows = range(SIZE)
    columns = {
        "query": rows,
        "positives": [[row] for row in rows],
        "negatives": [[SIZE + 2 * row, SIZE + 2 * row + 1] for row in rows],  # nobody's positives
    }
    tasks = dict.fromkeys(TASKS, pa.table(columns, schema=TRAIN))
    plan = make_plan(tasks, weights, layout="homogeneous", steps=steps, batch_size=SIZE, negatives=2, seed=seed)
    first = {name: number * TEXTS for number, name in enumerate(TASKS)}
    tokens = [
        [first[row["task"]] + row["query"]]
        + [first[row["task"]] + SIZE + passage for passage in (row["positive"], *row["negatives"])]
        for row in plan.to_pylist()
    ]
    return plan, torch.tensor(tokens)


def mean_gradient(plan, tokens, factors):
    """Of the contrastive loss over all steps of a plan, at one and the same model."""
    model = Tables(TEXTS * len(TASKS))
    loss = ContrastiveLoss(model, TEMPERATURE, factors=factors)
    steps = torch.arange(len(tokens)).split(SIZE)
    for rows in steps:
        columns = [{"input_ids": t[:, None], "attention_mask": torch.ones(SIZE, 1).long()} for t in tokens[rows].T]
        (loss(batch_of(columns), rows.tolist()) / len(steps)).backward()
    return model.vectors.weight.grad


@pytest.mark.parametrize("weights", [(6, 3, 3), (10, 1, 1), (4, 4, 4), (3, 7, 2)])
def test_sampling_by_weight_and_scaling_the_loss_are_the_same_in_expectation(tmp_path, weights):
    """Twelve steps hold every task its whole number of times, every batch a whole pass: nothing is left to chance."""
    shares = {name: part / 12 for name, part in zip(TASKS, weights, strict=True)}
    write_weights(tmp_path / "loss.json", Weights(shares, dict.fromkeys(TASKS, SIZE)))
    sampled, of_sampled = planned(shares, 12, seed=1)
    uniform, of_uniform = planned(dict.fromkeys(TASKS, 1 / 3), 12, seed=2)
    counts = [sampled["task"].to_pylist().count(name) // SIZE for name in TASKS]
    assert counts == list(weights)
    by_sampling = mean_gradient(sampled, of_sampled, None)
    by_factor = mean_gradient(uniform, of_uniform, loss_factors(uniform, tmp_path / "loss.json"))
    torch.testing.assert_close(by_factor, by_sampling, atol=1e-6, rtol=1e-5)
    if weights != (4, 4, 4):
        assert (mean_gradient(uniform, of_uniform, None) - by_sampling).abs().max() > 1e-3
