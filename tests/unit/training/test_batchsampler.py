"""A mixture in sentence-transformers' own trainer: shares, batches of one dataset each, and going on."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset, DatasetDict
from scipy.stats import chisquare
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.training_args import BatchSamplers
from tinymodels import WORDS, save_words
from torch.utils.data import ConcatDataset, RandomSampler
from trainings import GREEK
from transformers import TrainerCallback

import tdro
from tdro.cli.main import main
from tdro.errors import UserError
from tdro.mixtures.weights import Weights, write_weights

SHARES = {"news": 0.6, "code": 0.3, "faq": 0.1}
ROWS = {"news": 24, "code": 40, "faq": 16}
BATCH = 4


@pytest.fixture
def weights(tmp_path):
    """A weights file, whose order is not that of the datasets."""
    write_weights(tmp_path / "curr.json", Weights(SHARES, ROWS))
    return tmp_path / "curr.json"


def rows(name, number):
    """A dataset that says what it is called; no two rows have a text in common."""
    texts = {
        "anchor": [f"{name} {n} red" for n in range(number)],
        "positive": [f"{name} {n} dog" for n in range(number)],
    }
    dataset = Dataset.from_dict(texts)
    dataset.info.dataset_name = name
    return dataset


@pytest.fixture
def datasets():
    return DatasetDict({name: rows(name, ROWS[name]) for name in ("code", "faq", "news")})


def sampler(make, datasets, seed=1, drop_last=False):
    """The sampler as the trainer makes it, without a trainer."""
    generator = torch.Generator()
    children = [
        DefaultBatchSampler(RandomSampler(part, generator=generator), BATCH, drop_last, generator=generator, seed=seed)
        for part in datasets.values()
    ]
    joined = ConcatDataset(datasets.values())
    return make(joined, batch_samplers=children, generator=generator, seed=seed), joined


def drawn(sampler, joined):
    """Name of the dataset of each batch, and the texts of all rows, in their order."""
    batches = [[joined[row]["anchor"] for row in batch] for batch in sampler]
    names = [{text.split()[0] for text in batch} for batch in batches]
    assert {len(found) for found in names} == {1}
    return [found.pop() for found in names], [text for batch in batches for text in batch]


def test_each_dataset_has_its_share_of_the_batches_of_an_epoch_and_exactly_over_many(weights, datasets):
    one, joined = sampler(tdro.weighted_batch_sampler(weights), datasets)
    assert len(one) == sum(ROWS.values()) // BATCH
    counts = dict.fromkeys(SHARES, 0)
    for epoch in range(200):
        one.set_epoch(epoch)
        names, _ = drawn(one, joined)
        assert len(names) == len(one)
        for name, share in SHARES.items():
            assert abs(names.count(name) - share * len(one)) < 1
            counts[name] += names.count(name)
    expected = [share * 200 * len(one) for share in SHARES.values()]
    assert chisquare([counts[name] for name in SHARES], expected).pvalue > 0.99


def test_a_row_comes_again_when_all_rows_of_its_dataset_have_come_and_in_another_order(weights, datasets):
    one, joined = sampler(tdro.weighted_batch_sampler(weights, batches=50), datasets)
    names, texts = drawn(one, joined)
    assert len(names) == 50
    for name, number in ROWS.items():
        own = [text for text in texts if text.startswith(name)]
        passes = [own[start : start + number] for start in range(0, len(own) - number + 1, number)]
        assert all(sorted(once) == sorted(joined_texts(name)) for once in passes)
        assert len({tuple(once) for once in passes}) == len(passes)
    assert len(texts) // 24 > 1 and names.count("news") == 30  # five passes


def joined_texts(name):
    return [f"{name} {n} red" for n in range(ROWS[name])]


def test_seed_and_epoch_decide_the_order_alone(weights, datasets):
    make = tdro.weighted_batch_sampler(weights)
    orders = {}
    for seed, epoch in ((1, 0), (1, 1), (2, 0)):
        for _ in range(2):
            one, joined = sampler(make, datasets, seed)
            one.set_epoch(epoch)
            orders.setdefault((seed, epoch), []).append(drawn(one, joined))
        one.set_epoch(epoch)
        assert drawn(one, joined) == orders[seed, epoch][0]  # nor what was drawn before
    assert all(first == second for first, second in orders.values())
    assert len({str(found[0]) for found in orders.values()}) == 3


class Reading(SentenceTransformerDataCollator):
    """Keeps the queries of each batch that was made."""

    def __call__(self, features):
        self.seen.append([row["anchor"] for row in features])
        return super().__call__(features)


class Ends(TrainerCallback):
    """Stops as a killed training does: without a word to anybody."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **_):
        control.should_training_stop = state.global_step == self.step


def train(folder, base, datasets, make, *, stop=None, resume=None, **options):
    """Train, and return the queries of each batch and the weights."""
    model = SentenceTransformer(str(base), device="cpu")
    collator = Reading(preprocess_fn=model.preprocess)
    collator.seen = []
    args = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=BATCH,
        num_train_epochs=2,
        learning_rate=0.1,
        multi_dataset_batch_sampler=make,
        save_strategy="steps",
        save_steps=5,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **options,
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=args,
        train_dataset=datasets,
        loss=MultipleNegativesRankingLoss(model),
        data_collator=collator,
        callbacks=[Ends(stop)] if stop else [],
    )
    trainer.train(resume_from_checkpoint=resume)
    return collator.seen, model[0].embedding.weight.detach().clone()


@pytest.mark.parametrize("children", [BatchSamplers.BATCH_SAMPLER, BatchSamplers.NO_DUPLICATES])
def test_the_trainer_draws_by_it_and_a_training_that_goes_on_reads_what_it_would_have_read(
    weights, datasets, tmp_path, children
):
    base = save_words(tmp_path / "base", {word: torch.randn(8).tolist() for word in ["news", "code", "faq", *WORDS]})
    make = tdro.weighted_batch_sampler(weights)
    batches, whole = train(tmp_path / "whole", base, datasets, make, batch_sampler=children)
    assert len(batches) == 40  # two epochs
    names = [{text.split()[0] for text in batch} for batch in batches]
    assert {len(found) for found in names} == {1}
    for epoch in (names[:20], names[20:]):
        assert {name: epoch.count({name}) for name in SHARES} == {"news": 12, "code": 6, "faq": 2}
    assert batches[:20] != batches[20:]
    for stop, checkpoint in ((12, 10), (33, 30)):
        folder = tmp_path / f"stopped-{stop}"
        train(folder, base, datasets, make, stop=stop, batch_sampler=children)
        resume = str(folder / f"checkpoint-{checkpoint}")
        left, again = train(folder, base, datasets, make, resume=resume, batch_sampler=children)
        assert left == batches[checkpoint:]
        assert torch.equal(again, whole)


def test_names_may_be_given_and_datasets_without_a_weight_are_left_out(weights, datasets, caplog):
    other = DatasetDict({name: part.select(range(8)) for name, part in datasets.items()} | {"extra": rows("code", 8)})
    one, joined = sampler(tdro.weighted_batch_sampler(weights, names=other), other)
    names, _ = drawn(one, joined)
    assert len(one) == 6 and set(names) == {"news", "code"} | ({"faq"} if "faq" in names else set())
    assert "no weight for extra" in caplog.text


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"news": "newz"}, {}, r"gives weight to 'news' \(did you mean 'newz'\?\), and the datasets are called"),
        ({"faq": None}, {}, r'do not say what they are called; write weighted_batch_sampler\(".*curr.json", names='),
        ({"faq": "news"}, {}, "gives weight to 'faq'"),
        ({}, {"names": ["news", "code"]}, "2 names of 3 datasets"),
        ({}, {"names": ["news", "code", "faq", "faq"]}, "4 names of 3 datasets"),
    ],
)
def test_a_mistake_in_the_names_is_one_sentence(weights, datasets, change, options, message):
    for name, other in change.items():
        datasets[name].info.dataset_name = other
    with pytest.raises(UserError, match=message):
        sampler(tdro.weighted_batch_sampler(weights, **options), datasets)


def test_a_dataset_without_a_batch_and_a_file_without_weights_are_refused(weights, datasets, tmp_path):
    with pytest.raises(UserError, match="at least 1"):
        tdro.weighted_batch_sampler(weights, batches=0)
    (tmp_path / "other.json").write_text(json.dumps({"domain_weights": {"news": 0.5}}))
    with pytest.raises(UserError, match=r"sum to 0\.5"):
        tdro.weighted_batch_sampler(tmp_path / "other.json")
    datasets["faq"] = datasets["faq"].select(range(3))
    with pytest.raises(UserError, match="'faq' gives no batch of 4 rows"):
        drawn(*sampler(tdro.weighted_batch_sampler(weights, names=datasets), datasets, drop_last=True))


def test_two_datasets_of_one_name_are_refused(weights, datasets):
    names = ["news", "code", "faq", "faq"]
    more = DatasetDict({**datasets, "again": rows("faq", 8)})
    with pytest.raises(UserError, match="two datasets are called 'faq'"):
        sampler(tdro.weighted_batch_sampler(weights, names=names), more)


def test_the_script_of_the_documents_trains_on_exported_rows(project, tmp_path, monkeypatch):
    """The whole of it, with a small base; a prompt for each dataset makes the trainer wrap the datasets."""
    monkeypatch.chdir(tmp_path)
    save_words(tmp_path / "base", {word: torch.randn(8).tolist() for word in GREEK})
    write_weights("curr.json", Weights({"plain": 0.75, "twin": 0.25}, {"plain": 30, "twin": 30}))
    main(["export-data", "--results", str(project.folder), "--form", "sentence-transformers", "--output", "rows"])
    page = (Path(__file__).parents[3] / "docs/elsewhere.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    changes = {'"sentence-transformers/all-MiniLM-L6-v2"': '"base"', "batch_size=32": "batch_size=2"}
    changes["num_train_epochs=1,"] = 'num_train_epochs=1, use_cpu=True, prompts={"plain": {"anchor": "alpha "}},'
    for before, after in changes.items():
        assert before in script
        script = script.replace(before, after)
    exec(script, found := {})
    assert found["trainer"].state.global_step == len(found["trainer"].get_train_dataloader()) == 30
    assert SentenceTransformer("trained/final", device="cpu").encode("alpha").shape == (8,)


def test_the_package_loads_no_model_library_before_it_is_asked_for():
    code = "import tdro, sys; print('torch' in sys.modules); tdro.weighted_batch_sampler; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'weighted'"):
        tdro.weighted  # noqa: B018
