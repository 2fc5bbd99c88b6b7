"""What a choice may have seen, by the files of the real DAG: of a configuration with dev rows and a dev benchmark."""

import shutil

import pytest
from daggraph import jobs, reached

pytestmark = pytest.mark.workflow

CONFIG = """registry: registry.yaml
benchmarks: [in_domain, web]
dev: [dev_rows, wiki]
models: [{name: tiny, base: ./base, prompts: none}]
proxy: tiny
mixtures: [uniform, curr, loss, top70@ratio-0.05, proportional]
sweep: {measure: [ratio], step_size: [0.05]}
mining: {encode: {model: ./base, max_length: 32}}
"""
ENTRY = "language: en, instruction: Find it., source: {reader: jsonl, path: %s.jsonl}"
TASK = (
    "  {0}: {{category: web, held_out: 3, dev: 4, " + ENTRY.replace("{r", "{{r").replace("l}", "l}}") % "{0}" + "}}\n"
)
REGISTRY = "tasks:\n" + TASK.format("faq") + TASK.format("code")
REGISTRY += "benchmarks:\n" + "".join(f"  {name}: {{{ENTRY % name}}}\n" for name in ("web", "wiki"))
#: What may depend on a reported benchmark: scores, what the page says of them and of leaks, and a retriever packed with
#: its scores.
REPORTED = ("/eval/", "/rankings/", "results/report/", "results/leaks.parquet")
#: The choice is made by dev scores alone; the last table of a study shows it beside what is reported.
CHOICE, TABLE = "results/dev/recommendation.json", {"results/report/study.json", "results/report/study.txt"}
#: Marks of a point that a run has passed; they hold nothing.
GATES = ("prepared", "deduplicated")


@pytest.fixture(scope="module")
def files(tmp_path_factory, tiny_base):
    """Makes the DAG of everything there is, of the configuration with another setting of ``tdro.rows``."""
    folder = tmp_path_factory.mktemp("choices")
    (folder / "base").symlink_to(tiny_base)
    shutil.copytree(tiny_base, folder / "embedder")
    (folder / "embedder/modules.json").write_text("[]")
    for name in ("faq", "code", "web", "wiki"):
        (folder / f"{name}.jsonl").write_text('["a question", "its answer"]\n')
    (folder / "registry.yaml").write_text(REGISTRY)

    def made(rows, config=CONFIG):
        (folder / "config.yaml").write_text(f"{config}tdro: {{rows: {rows}}}\n")
        return jobs(folder, "all", "dev", "study")

    return made


def of(found, *parts):
    """Files of the DAG whose paths have one of these parts."""
    everything = {file for job in found for file in (*job.inputs, *job.outputs)}
    return {file for file in everything if any(part in file for part in parts)}


@pytest.mark.parametrize("rows", ["fresh", "dev"])
def test_no_weight_plan_model_or_choice_has_seen_what_is_reported(files, rows):
    found = files(rows)
    reported = of(found, "results/benchmarks/web/", "/heldout/")
    # Deduplication takes training rows out that nearly equal a reported query. Nothing else may know them.
    behind = reached(found, reported, without={"dedup", *GATES}) - reported
    assert {file for file in behind if not any(part in file for part in REPORTED)} == set()
    assert of(found, "/uniform/eval/") <= behind
    assert CHOICE in of(found, "results/dev/") - behind
    assert "results/report/index.html" in behind
    # The search would find such a way: this one goes through deduplication, to all that is trained and chosen.
    through = reached(found, reported)
    for part in ("train.parquet", "weights/curr.json", "tdro/plan.parquet", "curr/model", "curr/dev.parquet", CHOICE):
        assert {file for file in through if file.endswith(part)}, part


def test_a_share_is_chosen_on_dev_rows_and_has_not_seen_what_is_reported(files):
    config = CONFIG.replace("mixtures: [", "mixtures: [soup-half, ") + "soups: {half: {of: [curr], base: dev}}\n"
    found = files("fresh", config.replace("./base, prompts", "./embedder, prompts"))
    chosen = "results/tiny/seed42/soup-half/"
    assert {f"{chosen}model", f"{chosen}eval/web.json"} <= reached(found, of(found, "results/dev/wiki.parquet"))
    reported = of(found, "results/benchmarks/web/", "/heldout/")
    behind = reached(found, reported, without={"dedup", *GATES})
    assert f"{chosen}eval/web.json" in behind
    assert not {f"{chosen}model", f"{chosen}soup.json"} & behind
    assert {f"{chosen}model", f"{chosen}soup.json"} <= reached(found, reported)


def test_the_report_has_not_seen_what_choices_are_made_on(files):
    found = files("fresh")
    dev = of(found, "results/benchmarks/wiki/", "results/dev/", "/dev/", "dev.parquet", "dev.digest")
    assert len(of(found, "results/dev/")) == 4
    assert reached(found, dev, without={"dedup", *GATES}) == dev | TABLE
    # And from there no further.
    assert not [job for job in found if job.rule not in ("overview", "study") and {CHOICE, *TABLE} & set(job.inputs)]
    (report,) = [job for job in found if job.rule == "report"]
    assert not dev.intersection(report.inputs)


def test_rows_of_tdro_are_dev_rows_where_that_is_chosen(files):
    rows = {job.rule: job.inputs for job in files("dev") if job.rule in ("plan", "plan_tdro", "optimize")}
    assert {f"results/data/{task}/dev.parquet" for task in ("faq", "code")} <= set(rows["plan_tdro"])
    for rule, file in (("plan_tdro", "train.parquet"), ("plan", "dev.parquet"), ("optimize", "dev.parquet")):
        assert not [path for path in rows[rule] if path.endswith(file)]
