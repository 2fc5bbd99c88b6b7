"""The DAG on a real SLURM of two nodes with stand-in GPUs (slurm.sh); every test prints what it saw."""

import json
import re
import signal
import subprocess
import time

import pytest
import yaml
from slurmproject import RESOURCES, RUN, make_project, sacct
from waits import waiting

WEIGHTS = f"{RUN}/weights/curr.json"


def slurm(*command):
    return subprocess.check_output(command, text=True).strip()


def gpus(job):
    found = re.search(r"gres/gpu=(\d+)", job["AllocTRES"])
    return int(found[1]) if found else 0


def assert_same_weights(project, whole):
    assert (project.folder / WEIGHTS).read_bytes() == (whole.folder / WEIGHTS).read_bytes()


def test_the_whole_workflow_runs_and_each_job_gets_its_gpus(whole):
    assert (whole.folder / "results/report/index.html").stat().st_size
    jobs = whole.jobs()
    assert {job["State"] for job in jobs} == {"COMPLETED"}
    for rule, asked in RESOURCES.items():
        of_rule = whole.jobs(rule)
        assert of_rule
        assert {gpus(job) for job in of_rule} == {int(re.search(r"gpu=(\d+)", asked)[1])}
    print(f"{len(jobs)} jobs completed; GPUs by sacct: { ({j['Comment']: gpus(j) for j in jobs if gpus(j)}) }")


def test_a_job_runs_its_command_exactly_once(whole):
    for rule in RESOURCES:
        for job in whole.jobs(rule):
            steps = [row for row in sacct("--jobs", job["JobID"], "--format=JobID,NTasks") if "." in row[0]]
            tasks = {name.partition(".")[2]: int(count) for name, count in steps}
            assert tasks == {"batch": 1, "0": 1}
    for log in (whole.folder / "logs/train").glob("*.log"):
        assert log.read_text().count("tdro.training.train: wrote") == 1
    assert list((whole.folder / "logs/slurm").glob("efficiency_report_*.csv"))


def test_light_rules_take_no_place_in_the_queue(whole):
    assert not whole.jobs("derive")
    assert not whole.jobs("uniform_weights")


def test_a_job_preempted_by_a_higher_partition_resumes(learning, whole):
    snakemake = learning.start_and_wait(WEIGHTS)
    job = learning.running("optimize")
    slurm("srun", "--partition=urgent", "--nodes=2", "--gpus=4", "--mem=1000", "true")
    assert snakemake.wait() == 0, learning.output
    states = [(entry["JobID"], entry["State"]) for entry in learning.jobs("optimize")]
    assert states == [(job, "PREEMPTED"), (job, "COMPLETED")]
    assert "resuming from" in (learning.folder / "logs/optimize/tiny.seed1.tdro.log").read_text()
    assert_same_weights(learning, whole)
    print(f"sacct: {states}; same weights as undisturbed")


def test_a_job_told_to_stop_before_its_limit_is_queued_again(learning, whole):
    snakemake = learning.start_and_wait(WEIGHTS)
    job = learning.running("optimize")
    slurm("scancel", "--signal=TERM", job)
    assert snakemake.wait() == 0, learning.output
    states = [(entry["JobID"], entry["State"]) for entry in learning.jobs("optimize")]
    assert states == [(job, "REQUEUED"), (job, "COMPLETED")]
    assert "resuming from" in (learning.folder / "logs/optimize/tiny.seed1.tdro.log").read_text()
    assert_same_weights(learning, whole)
    print(f"sacct: {states}; same weights as undisturbed")


def test_a_cancelled_job_is_not_queued_again(learning):
    snakemake = learning.start_and_wait(WEIGHTS, "--retries", "0")
    slurm("scancel", learning.running("optimize"))
    assert snakemake.wait() != 0
    assert "SLURM status is: 'CANCELLED'" in learning.output
    assert [entry["State"].split()[0] for entry in learning.jobs("optimize")] == ["CANCELLED"]


def test_a_training_longer_than_its_time_limit_finishes_over_several_jobs(whole, tmp_path):
    """The first two jobs wait in their third step until their minute is over; the third may last."""
    project = whole.copy(tmp_path / "project")
    waits = waiting(tmp_path / "waits", "tdro.training.losses:ContrastiveLoss.forward", 3, 3)
    change = "training={steps: 9, save_steps: 1}"
    limit = {"train": "gpu=2 runtime=1+599*(attempt//3)"}
    project.run(f"{RUN}/uniform/model", "--retries", "2", "--config", change, resources=limit, waits=waits)
    states = [entry["State"] for entry in project.jobs("train")]
    assert states == ["TIMEOUT", "TIMEOUT", "COMPLETED"]
    assert "resuming from" in (project.folder / "logs/train/tiny.seed1.uniform.log").read_text()
    assert (project.folder / RUN / "uniform/model/modules.json").is_file()
    print(f"sacct: {states}")


def test_bad_data_stops_its_own_branch_only(tiny_base, tmp_path):
    project = make_project(tmp_path, tiny_base)
    (tmp_path / "red.jsonl").write_text('{"query": "red", "positive": "green"}\n{"query": "blue"}\n')
    targets = [f"results/data/{task}/train.parquet" for task in ("red", "blue")]
    output = project.run(*targets, "--keep-going", "--retries", "0", check=False)
    assert "tdro prepare: error:" in output
    assert "red.jsonl, line 2" in output
    assert not [path for path in (tmp_path / "results/data/red").rglob("*") if path.is_file()]
    assert (tmp_path / "results/data/blue/train.parquet").is_file()
    assert [job["State"] for job in project.jobs("dedup")] == ["COMPLETED"]
    print("the other task was finished:", re.findall(r"tdro prepare: error:.*", output)[0])


def test_one_more_benchmark_trains_nothing(whole, tmp_path):
    """Near-duplicates apart, which the made rows of the new benchmark have none of."""
    project = whole.copy(tmp_path / "project")
    config = yaml.safe_load((project.folder / "config.yaml").read_text())
    rows = [{"query": f"who wrote opus {n * n} in which key?", "positive": f"a composer, in {n}"} for n in range(30)]
    (whole.folder / "news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (project.folder / "config.yaml").write_text(yaml.safe_dump(config | {"benchmarks": ["web", "news"]}))
    project.run()
    ran = {re.sub("^rule_|_.*", "", job["Comment"].removeprefix("rule_")) for job in project.jobs()}
    assert ran & {"train", "optimize", "reference", "plan"} == set()
    assert {"prepare", "dedup", "evaluate", "report"} <= ran
    assert "Nothing to be done" in project.run()
    print(f"jobs of {sorted(ran)}")


def test_a_killed_snakemake_neither_loses_nor_duplicates_work(learning, whole):
    snakemake = learning.start_and_wait(WEIGHTS)
    job = learning.running("optimize")
    snakemake.send_signal(signal.SIGKILL)
    snakemake.wait()
    learning.run("--unlock")
    refused = learning.run(WEIGHTS, check=False)
    learning.go_on()
    assert f"an earlier run in this folder has submitted: {job}" in refused
    assert "Traceback" not in refused
    while slurm("squeue", "--noheader", "--jobs", job, "--states=all", "--format=%T") in ("RUNNING", "COMPLETING"):
        time.sleep(1)
    learning.run(WEIGHTS)
    assert [(entry["JobID"], entry["State"]) for entry in learning.jobs("optimize")] == [(job, "COMPLETED")]
    assert_same_weights(learning, whole)
    assert "Nothing to be done" in learning.run(WEIGHTS)
    print(f"job {job} went on without Snakemake and was not submitted again")


def test_two_nodes_train_as_one(whole, tmp_path):
    """Two nodes with two processes each, on the loopback interface, by gloo."""
    project = whole.copy(tmp_path / "project")
    config = yaml.safe_load((project.folder / "config.yaml").read_text())
    config["models"][0]["accelerate"] = "ddp_cpu"
    (project.folder / "config.yaml").write_text(yaml.safe_dump(config))
    two_nodes = "nodes=2 gpu=4 mpi=srun tasks=2 tasks_per_gpu=0"
    project.run(WEIGHTS, "--forcerun", "optimize", "--rerun-triggers", "mtime", resources={"optimize": two_nodes})
    [job] = project.jobs("optimize")
    assert (job["NNodes"], gpus(job)) == ("2", 4)
    steps = [row for row in sacct("--jobs", job["JobID"], "--format=JobID,NTasks,NodeList") if row[0].endswith(".0")]
    assert [row[1:] for row in steps] == [["2", "tdro[1-2]"]]
    learnt, expected = (json.loads((p.folder / WEIGHTS).read_text())["domain_weights"] for p in (project, whole))
    assert learnt == pytest.approx(expected, abs=1e-4)
    print(f"sacct: one step of two launchers on {steps[0][2]}; weights {learnt}, of one process {expected}")
