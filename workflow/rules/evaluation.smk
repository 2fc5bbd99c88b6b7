# Retrievers to their scores: a job a retriever and test set, so that a cluster runs them side by side, or a job a
# retriever, which loads it once (`jobs`).


# What names a job's log and stands in its message.
OF_DATASET, ON_DATASET = (
    ("", "all benchmarks") if ONE else (".{dataset}", "{wildcards.dataset}")
)
# A single test set is soon done with one.
EVALUATION_THREADS = ENCODING_THREADS if ONE else 1


# A corpus that several test sets search.
SHARED = PATHS.benchmark("{shared}", "corpus.parquet")


rule encode_corpus:
    input:
        model=rules.train.output.model,
        corpus=ancient(SHARED),
        seen=past("prepared", "deduplicated", files=[SHARED]),
    output:
        # Large, and of no use once every test set is evaluated.
        embeddings=temp(
            directory(PATHS.embeddings("{model}", "{seed}", "{mixture}", "{shared}"))
        ),
    log:
        "logs/encode_corpus/{model}.seed{seed}.{mixture}.{shared}.log",
    benchmark:
        "logs/encode_corpus/{model}.seed{seed}.{mixture}.{shared}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: ENCODING_THREADS
    resources:
        gpu=0,
        nodes=1,
    params:
        **settings(JOBS.encode_corpus()),
        accelerate=inference_config,
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/embeddings/{model}/seed{seed}/{mixture}/{shared}",
    message:
        "Encoding {wildcards.shared} with {wildcards.model} ({wildcards.mixture}, seed {wildcards.seed})"
    shell:
        launch(
            "encode-corpus --model {input.model} --corpus {input.corpus} --output {output.embeddings}"
            " --checkpoints {params.checkpoints}",
        )


rule encode_corpus_untrained:
    input:
        corpus=ancient(SHARED),
        seen=past("prepared", files=[SHARED]),
        fetched=lambda wildcards: manifest("untrained", wildcards.untrained),
    output:
        # Large, and of no use once every test set is evaluated.
        embeddings=temp(
            directory(PATHS.untrained_embeddings("{untrained}", "{shared}"))
        ),
    log:
        "logs/encode_corpus_untrained/{untrained}.{shared}.log",
    benchmark:
        "logs/encode_corpus_untrained/{untrained}.{shared}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: ENCODING_THREADS
    resources:
        gpu=0,
        nodes=1,
    params:
        **settings(lambda wildcards: JOBS.encode_corpus(wildcards.untrained)),
        accelerate=inference_config,
        model=states(untrained_data),
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/embeddings/untrained/{untrained}/{shared}",
        fetched=option("fetched"),
    message:
        "Encoding {wildcards.shared} with {wildcards.untrained}"
    shell:
        launch(
            "encode-corpus --corpus {input.corpus} --output {output.embeddings}"
            " --checkpoints {params.checkpoints} {params.fetched}",
        )


rule evaluate:
    input:
        model=rules.train.output.model,
        datasets=kept(test_files),
        seen=past("prepared", "deduplicated", files=test_files),
        embeddings=stored_embeddings,
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
    conda:
        "../../envs/evaluation.yaml"
    threads: EVALUATION_THREADS
    resources:
        gpu=0,
    params:
        **settings(evaluation),
        device=device_variables,
        folder=PATHS.evaluation("{model}", "{seed}", "{mixture}"),
    message:
        f"Evaluating {{wildcards.model}} ({{wildcards.mixture}}, seed {{wildcards.seed}}) on {ON_DATASET}"
    shell:
        stage(
            f"evaluate --model {{input.model}} --output {{params.folder}} {KEEP_RUNS}",
            variables="{params.device}",
        )


rule evaluate_untrained:
    input:
        datasets=kept(test_files),
        seen=past("prepared", files=test_files),
        embeddings=stored_embeddings,
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
    conda:
        "../../envs/evaluation.yaml"
    threads: EVALUATION_THREADS
    resources:
        gpu=0,
    params:
        **settings(evaluation),
        device=device_variables,
        folder=PATHS.untrained_evaluation("{untrained}"),
        model=states(untrained_data),
        fetched=option("fetched"),
    message:
        f"Evaluating {{wildcards.untrained}}, for which nothing was trained, on {ON_DATASET}"
    shell:
        stage(
            f"evaluate --output {{params.folder}} {KEEP_RUNS} {{params.fetched}}",
            variables="{params.device}",
        )


# A rule of its own, so that no profile asks for a GPU for it.
use rule evaluate_untrained as evaluate_bm25 with:
    wildcard_constraints:
        untrained="bm25",
