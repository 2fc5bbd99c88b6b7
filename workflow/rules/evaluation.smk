# Retrievers to their scores: a job a retriever and test set, so that a cluster runs them side by side, or a job a
# retriever, which loads it once (`jobs`).


# What names a job's log and stands in its message.
OF_DATASET, ON_DATASET = (
    ("", "all benchmarks") if ONE else (".{dataset}", "{wildcards.dataset}")
)
# A single test set is soon done with one.
EVALUATION_THREADS = ENCODING_THREADS if ONE else 1
# Test sets that need no model any more where each has a job of its own, as their corpus has been searched.
SEARCHED = set() if ONE else set(filter(TESTS.is_searched, TESTS.evaluated))


# Once for all retrievers: what they search of a large corpus in a preview (`evaluation.sample`).
rule sample_corpus:
    input:
        corpus=lambda wildcards: ancient(whole_files(wildcards)[0]),
        queries=lambda wildcards: [ancient(file) for file in whole_files(wildcards)[1:]],
        seen=past("prepared", files=whole_files),
    output:
        corpus=ensure(
            PATHS.benchmark(sampled("{sampled}"), "corpus.parquet"), non_empty=True
        ),
        digest=PATHS.digest(PATHS.benchmark(sampled("{sampled}"), "corpus.parquet")),
    log:
        "logs/sample_corpus/{sampled}.log",
    benchmark:
        "logs/sample_corpus/{sampled}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    params:
        **settings(lambda wildcards: JOBS.config.evaluation.sample),
    message:
        "Sampling {wildcards.sampled} for previews"
    shell:
        stage(
            "sample-corpus --corpus {input.corpus} --queries {input.queries} --output {output.corpus}"
        )


# A part of a corpus that is searched ahead of the evaluations, because it is large or several test sets search it: what is
# found for the queries of all of them. Any number of these jobs run side by side, and of GPUs in each.
rule search_corpus:
    input:
        model=rules.train.output.model,
        datasets=kept(searched_files),
        seen=past("prepared", "deduplicated", files=searched_files),
    output:
        rankings=temp(
            PATHS.part(
                PATHS.rankings("{model}", "{seed}", "{mixture}", "{searched}"),
                "{part}",
            )
        ),
    log:
        "logs/search_corpus/{model}.seed{seed}.{mixture}.{searched}.{part}.log",
    benchmark:
        "logs/search_corpus/{model}.seed{seed}.{mixture}.{searched}.{part}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: ENCODING_THREADS
    resources:
        gpu=0,
        nodes=1,
    params:
        **settings(searching),
        accelerate=inference_config,
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/rankings/{model}/seed{seed}/{mixture}/{searched}/{part}",
        costs="logs/costs/{model}/seed{seed}/{mixture}/search/{searched}",
    message:
        "Searching {wildcards.searched}, {wildcards.part}, with {wildcards.model} ({wildcards.mixture}, seed {wildcards.seed})"
    shell:
        launch(
            "search-corpus --model {input.model} --part {wildcards.part} --output {output.rankings}"
            " --checkpoints {params.checkpoints} --costs {params.costs}",
        )


rule search_corpus_untrained:
    input:
        datasets=kept(searched_files),
        seen=past("prepared", files=searched_files),
        fetched=lambda wildcards: manifest("untrained", wildcards.untrained),
    output:
        rankings=temp(
            PATHS.part(PATHS.untrained_rankings("{untrained}", "{searched}"), "{part}")
        ),
    log:
        "logs/search_corpus_untrained/{untrained}.{searched}.{part}.log",
    benchmark:
        "logs/search_corpus_untrained/{untrained}.{searched}.{part}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: ENCODING_THREADS
    resources:
        gpu=0,
        nodes=1,
    params:
        **settings(searching),
        accelerate=inference_config,
        model=states(untrained_data),
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/rankings/untrained/{untrained}/{searched}/{part}",
        costs="logs/costs/untrained/{untrained}/search/{searched}",
        fetched=option("fetched"),
    message:
        "Searching {wildcards.searched}, {wildcards.part}, with {wildcards.untrained}"
    shell:
        launch(
            "search-corpus --part {wildcards.part} --output {output.rankings}"
            " --checkpoints {params.checkpoints} --costs {params.costs} {params.fetched}",
        )


# A job of its own: the test sets of a corpus read what is found, not every part each.
rule merge_rankings:
    input:
        parts=parts_of_corpus,
    output:
        # Of no use once every test set is evaluated.
        rankings=temp(f"{PATHS.results}/{{retriever}}/rankings/{{searched}}.parquet"),
    log:
        "logs/merge_rankings/{retriever}/{searched}.log",
    benchmark:
        "logs/merge_rankings/{retriever}/{searched}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    message:
        "Merging what {wildcards.retriever} has found in the parts of {wildcards.searched}"
    shell:
        stage("merge-rankings {input.parts} --output {output.rankings}", settings=False)


rule evaluate:
    input:
        model=rules.train.output.model,
        datasets=kept(test_files),
        seen=past("prepared", "deduplicated", files=test_files),
        rankings=found_ahead,
    output:
        **run_files(lambda d: PATHS.runs("{model}", "{seed}", "{mixture}", d)),
        scores=ensure(
            of_datasets(lambda d: PATHS.scores("{model}", "{seed}", "{mixture}", d)),
            non_empty=True,
        ),
        query_scores=ensure(
            of_datasets(
                lambda d: PATHS.query_scores("{model}", "{seed}", "{mixture}", d)
            ),
            non_empty=True,
        ),
    log:
        f"logs/evaluate/{{model}}.seed{{seed}}.{{mixture}}{OF_DATASET}.log",
    benchmark:
        f"logs/evaluate/{{model}}.seed{{seed}}.{{mixture}}{OF_DATASET}.tsv"
    wildcard_constraints:
        dataset=one_of(set(TESTS.evaluated) - SEARCHED),
    conda:
        "../../envs/evaluation.yaml"
    threads: EVALUATION_THREADS
    resources:
        gpu=0,
    params:
        **settings(evaluation),
        device=device_variables,
        folder=PATHS.evaluation("{model}", "{seed}", "{mixture}"),
        costs="logs/costs/{model}/seed{seed}/{mixture}/evaluate",
    message:
        f"Evaluating {{wildcards.model}} ({{wildcards.mixture}}, seed {{wildcards.seed}}) on {ON_DATASET}"
    shell:
        stage(
            f"evaluate --model {{input.model}} --output {{params.folder}} --costs {{params.costs}} {KEEP_RUNS}",
            variables="{params.device}",
        )


rule evaluate_untrained:
    input:
        datasets=kept(test_files),
        seen=past("prepared", files=test_files),
        rankings=found_ahead,
        fetched=lambda wildcards: manifest("untrained", wildcards.untrained),
    output:
        **run_files(lambda d: PATHS.untrained_runs("{untrained}", d)),
        scores=ensure(
            of_datasets(lambda d: PATHS.untrained_scores("{untrained}", d)),
            non_empty=True,
        ),
        query_scores=ensure(
            of_datasets(lambda d: PATHS.untrained_query_scores("{untrained}", d)),
            non_empty=True,
        ),
    log:
        f"logs/evaluate_untrained/{{untrained}}{OF_DATASET}.log",
    benchmark:
        f"logs/evaluate_untrained/{{untrained}}{OF_DATASET}.tsv"
    wildcard_constraints:
        untrained=one_of(set(JOBS.untrained) - {"bm25"}),
        dataset=one_of(set(TESTS.evaluated) - SEARCHED),
    conda:
        "../../envs/evaluation.yaml"
    threads: EVALUATION_THREADS
    resources:
        gpu=0,
    params:
        **settings(evaluation),
        device=device_variables,
        folder=PATHS.untrained_evaluation("{untrained}"),
        costs="logs/costs/untrained/{untrained}/evaluate",
        model=states(untrained_data),
        fetched=option("fetched"),
    message:
        f"Evaluating {{wildcards.untrained}}, for which nothing was trained, on {ON_DATASET}"
    shell:
        stage(
            f"evaluate --output {{params.folder}} --costs {{params.costs}} {KEEP_RUNS} {{params.fetched}}",
            variables="{params.device}",
        )


# Rules of their own, so that no profile asks for a GPU for them.
use rule evaluate_untrained as evaluate_bm25 with:
    wildcard_constraints:
        untrained="bm25",


if not ONE:

    use rule evaluate as score with:
        log:
            "logs/score/{model}.seed{seed}.{mixture}.{dataset}.log",
        benchmark:
            "logs/score/{model}.seed{seed}.{mixture}.{dataset}.tsv"
        wildcard_constraints:
            dataset=one_of(SEARCHED),

    use rule evaluate_untrained as score_untrained with:
        log:
            "logs/score_untrained/{untrained}.{dataset}.log",
        benchmark:
            "logs/score_untrained/{untrained}.{dataset}.tsv"
        wildcard_constraints:
            untrained=one_of(set(JOBS.untrained) - {"bm25"}),
            dataset=one_of(SEARCHED),
