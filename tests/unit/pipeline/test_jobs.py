"""Settings of the commands: what they say, and what they do not depend on."""

from hypothesis import given
from hypothesis import strategies as st
from toyjobs import jobs, registry_of

from tdro.artifacts.layout import Layout
from tdro.config.registry import Registry
from tdro.pipeline.jobs import Jobs

LAYOUT = Layout("results")


def test_dimensions_are_scored_of_everything_that_embeds():
    made = jobs(evaluation={"untrained": ["bm25", "miner"], "dimensions": [256, 64]})
    assert (
        made.evaluate(["web"], LAYOUT, {}).dimensions
        == made.evaluate(["web"], LAYOUT, {}, "miner").dimensions
        == [256, 64]
    )
    assert made.evaluate(["web"], LAYOUT, {}, "bm25").dimensions == []
    assert made.report().dimensions == [256, 64]


def test_the_report_knows_which_corpus_each_test_set_searched():
    corpora = jobs().report().corpora
    assert corpora["web"] == "web" and set(corpora.values()) >= {"mkqa"} and "in_domain" not in corpora
    sampled = jobs(evaluation={"untrained": ["bm25"], "sample": {"hard": 1, "random": 1}}).report()
    assert sampled.corpora == {name: f"{corpus}@sample" for name, corpus in corpora.items()}


def test_sizes_of_suites_count_benchmarks_or_the_parts_of_one():
    assert jobs().tables().evaluated == {"BEIR": 2, "MKQA": 2}


def test_a_card_is_told_what_the_registry_says_of_the_tasks_that_were_trained_on():
    made = jobs()
    said = made.export("tiny").tasks
    assert set(said) == set(made.tasks)
    assert all(said[name].language == task.language for name, task in made.tasks.items())
    assert all(said[name].licence == task.licence for name, task in made.tasks.items())


def test_what_a_source_takes_and_cleans_is_a_setting_of_its_preparation_alone():
    def settings(**keys):
        made = jobs()
        tasks = {
            name: task.model_copy(update={"source": task.source.model_copy(update=keys)})
            for name, task in made.tasks.items()
        }
        known = Jobs(made.config, registry_of(made).model_copy(update={"tasks": tasks}))
        return known.prepare("one").watched(), known.train("tiny", 1).watched()

    plain, cleaned, chosen = settings(), settings(clean="html"), settings(where={"locale": ["en"]})
    assert len({str(prepared) for prepared, _ in (plain, cleaned, chosen)}) == 3
    assert plain[1] == cleaned[1] == chosen[1]


def everything(made):
    """All that rules hand their commands as text, and what they read."""
    jobs = [made.train("tiny", 1), made.reference(1), made.optimize("tiny", 1), made.dedup(), made.plan("uniform", 1)]
    jobs.append(made.export("tiny"))
    jobs += [made.evaluate([name], LAYOUT, {}) for name in made.tests.evaluated] + [made.report(), made.tables()]
    jobs += [made.prepare(name) for name in made.tasks] + [made.prepare_corpus(name) for name in ("nq", "mkqa")]
    return [job.model_dump_json() for job in jobs], list(made.tasks), made.fetches


@given(st.data())
def test_the_order_in_which_files_list_tasks_and_datasets_means_nothing(data):
    first = jobs()
    names = ["a.txt", "b.txt"]
    expected = everything(_with(first, list(first.tasks), list(registry_of(first).benchmarks), names))
    tasks = data.draw(st.permutations(list(first.tasks)))
    known = data.draw(st.permutations(list(registry_of(first).benchmarks)))
    files = data.draw(st.permutations(names))
    assert everything(_with(first, tasks, known, files)) == expected
    assert everything(_with(first, tasks, known, files, listed=data.draw(st.permutations(tasks)))) == expected


def _with(made, tasks, benchmarks, files, listed=None):
    """The same jobs of a registry in another order, and of a configuration that lists its tasks in another."""
    registry = registry_of(made)
    changed = Registry(
        tasks={name: registry.tasks[name] for name in tasks},
        benchmarks={name: registry.benchmarks[name] for name in benchmarks},
    )
    dedup = made.config.dedup.model_copy(update={"queries": list(files)})
    return Jobs(made.config.model_copy(update={"tasks": listed, "dedup": dedup}), changed)
