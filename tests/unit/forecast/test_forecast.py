"""Forecasts of whole configurations: jobs as Snakemake plans them, figures against arithmetic by hand, what is said."""

import json
import re
import shutil
from pathlib import Path

import pytest
from running import snakemake
from toyjobs import ROOT, read_in

from tdro.artifacts.layout import Layout
from tdro.cli.main import main
from tdro.evaluation.dev_pool import HARD, POOL
from tdro.evaluation.power import Design, least_gain
from tdro.forecast import cost, models
from tdro.forecast.choosing import OWN, SHARED
from tdro.forecast.forecast import of_jobs, scoring_jobs
from tdro.forecast.machine import this_machine
from tdro.forecast.rates import ROWS as ROWS_A_SECOND
from tdro.forecast.rates import Asked, rates
from tdro.forecast.sizes import Sizes
from tdro.forecast.table import as_json, line, short, spoken, table
from tdro.forecast.works import Works
from tdro.pipeline.start import read

#: A configuration with a rule of every kind; the hub's names are not asked for.
CONFIG = """registry: registry.yaml
benchmarks: [in_domain, web]
models:
  - {name: tiny, base: ./base, prompts: none}
  - {name: other, base: ./base, prompts: none, layers: 1}
proxy: tiny
seeds: [1, 2]
mixtures: [uniform, curr, proportional]
mining: {encode: {model: ./base, max_length: 32}}
encoding: {query_length: 16, passage_length: 32}
training: {steps: 10, batch_size: 8, negatives: 1}
tdro: {steps: 5, batch_size: 8, accumulation: 2, negatives: 3}
"""
ROWS = "expected_rows: {queries: 1000, passages: 500, query_words: 100, passage_words: 1000}"
ENTRY = "language: en, instruction: Find it., source: {reader: jsonl, path: a.jsonl}"
REGISTRY = f"""tasks:
  faq: {{category: web, held_out: 10, {ENTRY}, {ROWS}}}
  code: {{category: web, {ENTRY}, {ROWS}}}
benchmarks:
  web: {{{ENTRY}, {ROWS}}}
"""


@pytest.fixture
def made(tmp_path, monkeypatch, tiny_base):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path / "cache"))
    shutil.copytree(tiny_base, tmp_path / "base")
    shutil.copytree(tiny_base, tmp_path / "embedder")
    (tmp_path / "embedder/modules.json").write_text("[]")
    (tmp_path / "b.jsonl").write_text('["another question", "its answer"]\n')
    return read_in(tmp_path, monkeypatch, CONFIG, REGISTRY)


def forecast(jobs, device="H100", gpus=8, **keys):
    return of_jobs(jobs, Layout("results"), ROOT, Asked(device, gpus), **keys)


def by_rule(found):
    """Lines by rule; of a rule with several models the proxy's, which comes first."""
    return {one.rule: one for one in reversed(found.lines)}


#: The other ways to name mixtures and to group jobs, with a cross-encoder and runs of the sweep.
OTHERWISE = CONFIG.replace(
    "[uniform, curr, proportional]",
    "[uniform, doremi, loss, top70@ratio-0.05, shuffled-1@ratio-0.05, random50-1, longer]",
) + (
    "jobs: one\nsweep: {measure: [ratio], step_size: [0.05, 0.1]}\n"
    "evaluation: {untrained: [bm25, miner], scatter: 200}\n"
)
OTHERWISE = OTHERWISE.replace("mining: {", "mining: {rescore: {model: ./base}, ")


#: A corpus that is searched by five jobs a retriever, and one of which a sample is searched.
SCATTERED = CONFIG + "evaluation: {scatter: 120}\n"
SAMPLED = CONFIG + "evaluation: {scatter: 120, sample: {hard: 2, random: 100}}\n"


#: What needs the embeddings of three mined tasks.
EMBEDDED = CONFIG.replace("proportional]", "chameleon]")
THREE = REGISTRY.replace("benchmarks:", f"  more: {{category: web, {ENTRY}, {ROWS}}}\nbenchmarks:")


#: Averages of mixtures, of further seeds of one that is not listed, of bags, and with the base.
SOUPS = CONFIG.replace("curr, proportional", "soup-both, soup-five, soup-bags@0.25, averaged-bags")
SOUPS += (
    "soups: {both: {of: [uniform, curr]}, five: {of: [mean], seeds: 5}, bags: {of: [bag80-1, bag80-2], base: 0.5}}\n"
)
SOUPS = SOUPS.replace(", layers: 1", "").replace("./base", "./embedder")
#: Experts of three tasks, and what is chosen by them on dev rows and a benchmark.
EXPERTS = CONFIG.replace("curr, proportional]", "mergemix, transfer, prune, without-code, longer]")
EXPERTS += "dev: [dev_rows, wiki]\nexperts: {candidates: 50}\n"
WITH_DEV = THREE.replace("{category: web", "{dev: 20, category: web")
WITH_DEV += f"  wiki: {{{ENTRY}, {ROWS}}}\n".replace("a.jsonl", "b.jsonl")

#: Soups measured on dev queries of a task and of a benchmark, one of whose shares they choose.
CHOSEN = SOUPS.replace("[in_domain, web]", "[in_domain, web]\ndev: [dev_rows, wiki]")
CHOSEN = CHOSEN.replace("bags@0.25", "bags, soup-bags@0.25").replace("base: 0.5", "base: dev, shares: [0.2, 1]")
APART = REGISTRY.replace("held_out: 10", "held_out: 10, dev: 5")
APART += f"  wiki: {{{ENTRY.replace('a.jsonl', 'b.jsonl')}, {ROWS}}}\n"

#: Experts and soups, which are measured on the same dev queries.
BOTH = EXPERTS.replace("longer]", "soup-both]") + "soups: {both: {of: [uniform, mergemix]}}\n"
#: A study, which measures every retriever on the dev rows of three tasks and on a benchmark.
STUDIED = "jobs: one\n"
STUDY = CONFIG + "dev: [dev_rows, wiki]\n" + STUDIED


@pytest.mark.parametrize(
    ("config", "registry"),
    [
        *[(CONFIG, REGISTRY), (OTHERWISE, REGISTRY), (SCATTERED, REGISTRY), (SAMPLED, REGISTRY), (EMBEDDED, THREE)],
        *[(SOUPS, REGISTRY), (EXPERTS, WITH_DEV), (CHOSEN, APART), (BOTH, WITH_DEV)],
        *[(STUDY, WITH_DEV), (EXPERTS + STUDIED, WITH_DEV), (CHOSEN + STUDIED, APART)],
    ],
    ids=[
        *("each", "one", "scattered", "sampled", "embedded", "soups", "experts", "chosen", "both"),
        *("study", "study of experts", "study of soups"),
    ],
)
def test_jobs_are_those_that_snakemake_plans(made, tmp_path, monkeypatch, config, registry):
    made = read_in(tmp_path, monkeypatch, config, registry)
    shutil.copy(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    target = ["study"] if config.endswith(STUDIED) else []
    said = snakemake(tmp_path, *target, "--dry-run")
    listed = re.search(r"^job +count\n-+ +-+\n(.*?)\n\n", said, re.MULTILINE | re.DOTALL)
    planned = {rule: int(number) for rule, number in map(str.split, listed[1].splitlines()) if rule != "total"}
    foretold = {}
    for one in forecast(made, study=bool(target)).lines:
        foretold[one.rule] = foretold.get(one.rule, 0) + one.jobs
    gates = ("all", "default", "study", "prepared", "deduplicated")  # they only gather, and take no time
    # Those whose benchmark files lie together are one line.
    planned["plan"] += planned.pop("plan_tdro", 0)
    planned["derive"] += planned.pop("uniform_weights")
    assert foretold == {rule: number for rule, number in planned.items() if rule not in gates}


def test_experts_count_as_short_trainings_and_their_sums_as_reading(made, tmp_path, monkeypatch):
    before = by_rule(forecast(read_in(tmp_path, monkeypatch, CONFIG, WITH_DEV)))
    config = CONFIG.replace("proportional]", "proportional, mergemix]") + "dev: [dev_rows]\nexperts: {steps: 0.5}\n"
    after = by_rule(forecast(read_in(tmp_path, monkeypatch, config, WITH_DEV)))
    # Of two seeds mergemix takes 10 steps, the warm-up 2 (15 % of 10), each of three experts 5.
    steps = 2 * (10 + 2 + 3 * 5)
    assert after["train"].tokens == pytest.approx(before["train"].tokens * (60 + steps) / 60)
    assert (after["expert_scores"].jobs, after["dev_scores"].jobs) == (2, 8)
    # The warm-up and forty candidates a seed, against four mixtures.
    assert after["expert_scores"].tokens == pytest.approx(after["dev_scores"].tokens * 41 / 4)
    assert (OWN, SHARED) == (1 + HARD, POOL)


def test_dev_queries_are_read_with_their_candidates(tmp_path, monkeypatch, made):
    found = by_rule(forecast(read_in(tmp_path, monkeypatch, STUDY, WITH_DEV), study=True))
    # Of each task 20 queries, cut at 16 tokens, and 20 x 8 + 255 passages, cut at 32; of the benchmark 1000 and 500.
    tokens = 3 * (20 * 16 + 415 * 32) + 1000 * 16 + 500 * 32
    assert found["dev_scores"].tokens == pytest.approx(6 * tokens, rel=0.08)
    assert "dev_scores" not in by_rule(forecast(made))


def test_a_study_says_what_gain_it_can_tell(tmp_path, monkeypatch, made):
    """Each of three tasks is a sixth of the mean over dev, the benchmark half of it."""
    as_sure = 1 / (3 * (1 / 6) ** 2 / 20 + (1 / 2) ** 2 / 1000)
    (said,) = (
        one
        for one in forecast(read_in(tmp_path, monkeypatch, STUDY, WITH_DEV), study=True).said
        if one.startswith("what it can tell")
    )
    assert f"a gain of {least_gain(Design(as_sure, seeds=2, comparisons=2)):.3f} in reciprocal rank on dev" in said
    assert "(1,060 queries, 2 seeds, 2 mixtures, " in said
    assert not [one for one in forecast(made).said if "can tell" in one]


def test_operations_and_times_are_those_of_arithmetic(made):
    found, tiny = by_rule(forecast(made)), models.read("./base", Path("base"))
    # Queries of 135 and passages of 1350 tokens are cut at 16 and 32: a row of a training has one and two of them.
    of_row = found["train"].tokens / (6 * 10 * 8)
    assert 16 + 2 * 32 - 2 < of_row <= 16 + 2 * 32
    assert found["optimize"].tokens / (2 * 5 * 8) == pytest.approx(of_row + 2 * 32, abs=1)
    plain = {"checkpointing": False, "cached": False, "adapters": 0}
    expected = cost.training(tiny, found["train"].tokens, of_row / 3, **plain)
    assert found["train"].flops == pytest.approx(expected)
    assert found["train"].seconds == pytest.approx(6 * 12 + expected / (0.3 * 989e12 * 8), rel=1e-6)
    assert found["train"].gpu_hours == pytest.approx(found["train"].seconds / 3600 * 8)
    assert found["search"].flops == 2 * 2 * 1000 * 500 * 32
    assert found["train"].disk == 6 * 4 * tiny.parameters
    # A forward pass of each planned row, a third of a training.
    assert found["reference"].flops * 3 == pytest.approx(found["optimize"].flops)


def test_every_ingredient_and_share_reads_the_dev_queries_and_their_candidates(made, tmp_path, monkeypatch):
    found = by_rule(forecast(read_in(tmp_path, monkeypatch, CHOSEN, APART)))["soup_scores"]
    # Of two seeds: uniform, curr and their soup; five and theirs; two bags and the base with one share and with two.
    averages = 2 * (3 + 6 + 4 + 5)
    # 5 queries with 7 hard negatives, a positive and the pool; 1000 queries of a benchmark with all of its passages.
    each = 5 * 16 + (255 + 5 * 8) * 32 + 1000 * 16 + 500 * 32
    assert found.tokens == pytest.approx(averages * each, rel=0.05)


def test_a_longer_training_counts_with_its_steps(made, tmp_path, monkeypatch):
    before = by_rule(forecast(made))["train"]
    # 5 steps of 8 rows of 5 texts, each 4: 800 units, of 8 x 3 x 3 a step: 10 steps become 22.
    longer = read_in(tmp_path, monkeypatch, CONFIG.replace("curr,", "curr, longer,"), REGISTRY)
    after = by_rule(forecast(longer))["train"]
    assert after.tokens == pytest.approx(before.tokens * (3 * 10 + 22) / (3 * 10))
    assert after.flops == pytest.approx(before.flops * (3 * 10 + 22) / (3 * 10))


def test_training_is_compared_with_the_queries_that_it_must_not_repeat(made, tmp_path, monkeypatch):
    everything = by_rule(forecast(made))["dedup"].seconds
    config = f"{CONFIG}dedup: {{against: [in_domain]}}\n"
    some = by_rule(forecast(read_in(tmp_path, monkeypatch, config, REGISTRY)))["dedup"].seconds
    apart = by_rule(
        forecast(read_in(tmp_path, monkeypatch, CONFIG, REGISTRY.replace("held_out: 10", "dev: 50, held_out: 10")))
    )["dedup"].seconds
    assert apart - everything == pytest.approx(2 * 50 / ROWS_A_SECOND["dedup"])
    assert everything - some == pytest.approx(2 * 1000 / ROWS_A_SECOND["dedup"])  # two tasks, the queries of `web`


def test_on_a_cpu_there_are_no_gpu_hours_and_a_process_has_its_libraries(made):
    found = forecast(made, "cpu", None)
    assert found.gpu_hours == 0
    assert by_rule(found)["train"].memory > cost.LIBRARIES
    assert found.seconds > 0


def test_what_nobody_knows_is_said_and_not_guessed(made, tmp_path, monkeypatch):
    twice = "SOMEBODY/model}\n  - {name: third, base: SOMEBODY/model}"
    config = CONFIG.replace("./base, prompts: none, layers: 1}", twice).replace("[in_domain, web]", "[web]")
    jobs = read_in(tmp_path, monkeypatch, config, REGISTRY.replace(f", {ROWS}", "", 1))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = forecast(jobs)
    unknown = {one.model for one in found.lines if one.seconds is None}
    assert unknown == {"SOMEBODY/model"}
    said = "\n".join(found.said)
    assert "the network of SOMEBODY/model is not known" in said
    assert len(set(found.said)) == len(found.said)  # two models have that base
    assert re.search(r"assumed: 100,000 queries and 100,000 passages, of faq;", said)
    assert "TFLOP/s, of which a training reaches 30%" in said
    assert "unknown" in table(found)
    assert "without evaluate, evaluate_untrained, train," in line(found)


def test_what_a_gpu_has_no_room_for_is_said(made, tmp_path, monkeypatch):
    config = CONFIG.replace("./base, prompts: none, layers: 1", "meta-llama/Meta-Llama-3-8B, accelerate: {}")
    said, memory = {}, {}
    for name in ("ddp", "fsdp_shard_grad_op", "fsdp_full_shard", "deepspeed_zero3"):
        found = forecast(read_in(tmp_path, monkeypatch, config.replace("{}", name), REGISTRY))
        said[name] = [sentence for sentence in found.said if "train of meta-llama" in sentence]
        memory[name] = max(one.memory for one in found.lines if one.rule == "train")
    assert memory["ddp"] > memory["fsdp_shard_grad_op"] > memory["fsdp_full_shard"] == memory["deepspeed_zero3"]
    assert re.fullmatch(r"train of meta-llama/Meta-Llama-3-8B needs 1\d\d GB of a GPU that has 80 .*", said["ddp"][0])
    assert said["fsdp_full_shard"] == []


def test_table_line_and_json_hold_the_same_figures(made, capsys, monkeypatch):
    found = forecast(made)
    lines = as_json(found)["lines"]
    assert [one["seconds"] for one in lines] == [one.seconds for one in found.lines]
    jobs = sum(one.jobs for one in found.lines)
    assert f"{jobs} jobs of {spoken(found.seconds)} together on H100 (8 GPUs a training)" in line(found)
    assert re.search(rf"\| all .*\| +{jobs} \|", table(found))
    main(["forecast", "--configfile", "config.yaml", "--device", "H100", "--gpus", "8", "--json"])
    assert json.loads(capsys.readouterr().out)["lines"] == json.loads(json.dumps(lines))
    main(["forecast", "--configfile", "config.yaml", "--device", "H100", "--gpus", "8"])
    assert capsys.readouterr().out.strip() == table(found).strip()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        *[(spoken(0.4), "0 s"), (spoken(70), "70 s"), (spoken(600), "10 min"), (spoken(9000), "2.5 h")],
        *[(short(0), ""), (short(999), "999"), (short(12_345), "12.3 k"), (short(2.5e9), "2.5 G")],
        (short(3e15), "3.0e+15"),
    ],
)
def test_numbers_are_short(said, expected):
    assert said == expected


def test_no_job_that_scores_a_retriever_of_the_paper_takes_a_working_day(tmp_path):
    """One by one, as one corpus or one part may be far above the mean: 3.9 h of a part with Llama 3 on one H100."""
    from tdro.artifacts import strictyaml

    file, gpus, nowhere = ROOT / "config/paper.yaml", 8, Layout(tmp_path)
    jobs = read(strictyaml.read_file(file).values, ROOT, [file])
    works = Works(jobs, Sizes(jobs, nowhere), nowhere, ROOT, gpus, local=False)
    stated = rates(Asked("H100", gpus), this_machine(), {"training": 8, "encoding": 8})
    speeds = {(model.base, False): stated for model in jobs.config.models}
    found = scoring_jobs(works, speeds, gpus)
    times = {(line.model, job.rule, job.name): line.seconds / 3600 for line, job in found}
    assert len(times) == 6 * (15 + 29)
    assert max(times.values()) < 8
    # By hand: of 2,681,468 passages half, at 79 words, and of 25 x 6,600 + 3,452 queries all, with Llama's layers.
    llama, nq = next(
        (line, job) for line, job in found if "Llama" in line.model and job.name == "beir-nq" and job.times == 2
    )
    assert nq.work.encoding == pytest.approx(2 * 6.98e9 * nq.work.tokens * cost.PADDING, rel=0.05)
    expected = nq.work.encoding / (0.2 * 989e12) + 2 * 168_452 * 2_681_468 / 2 * 4096 / 640e9 + 7
    assert llama.seconds == pytest.approx(expected, rel=1e-6)
    # And the lines of the forecast are the sums of these.
    whole = [
        one
        for one in of_jobs(jobs, nowhere, ROOT, Asked("H100", gpus), local=False).lines
        if "Llama" in (one.model or "")
    ]
    for rule in ("search_corpus", "evaluate"):
        each = sum(line.seconds * job.times for line, job in found if "Llama" in line.model and job.rule == rule)
        assert next(one.seconds for one in whole if one.rule == rule) == pytest.approx(3 * each)


@pytest.mark.parametrize("name", ["config", "llm", "study_wide", "study_deep", "study_gpu", "paper"])
def test_every_configuration_here_can_be_foretold(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TDRO_CACHE", str(tmp_path))
    from tdro.artifacts import strictyaml

    file = ROOT / f"config/{name}.yaml"
    jobs = read(strictyaml.read_file(file).values, ROOT, [file])
    found = of_jobs(jobs, Layout(tmp_path), ROOT, Asked("H100", 8))
    assert all(one.seconds is not None for one in found.lines)
    assert {one.rule for one in found.lines} >= {"train", "optimize", "evaluate", "report"}
