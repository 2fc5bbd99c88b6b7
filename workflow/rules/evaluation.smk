# Retrievers to their scores: a job a retriever and test set, so that a cluster runs them side by side.


rule encode_corpus:
    input:
        model=rules.train.output.model,
        corpus=PATHS.benchmark("{shared}", "corpus.parquet"),
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
        accelerate=inference_config,
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/embeddings/{model}/seed{seed}/{mixture}/{shared}",
        settings=settings(JOBS.encode_corpus()),
    message:
        "Encoding {wildcards.shared} with {wildcards.model} ({wildcards.mixture}, seed {wildcards.seed})"
    shell:
        launch(
            "encode-corpus --model {input.model} --corpus {input.corpus} --output {output.embeddings}"
            " --checkpoints {params.checkpoints}",
        )


rule encode_corpus_untrained:
    input:
        corpus=PATHS.benchmark("{shared}", "corpus.parquet"),
        fetched=untrained_manifest,
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
        accelerate=inference_config,
        model=states(untrained_data),
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/embeddings/untrained/{untrained}/{shared}",
        fetched=fetched_option,
        settings=lambda wildcards: settings(JOBS.encode_corpus(wildcards.untrained)),
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
        datasets=test_files,
        embeddings=stored_embeddings,
    output:
        **run_files(PATHS.runs("{model}", "{seed}", "{mixture}", "{dataset}")),
        scores=ensure(
            PATHS.scores("{model}", "{seed}", "{mixture}", "{dataset}"), non_empty=True
        ),
        query_scores=ensure(
            PATHS.query_scores("{model}", "{seed}", "{mixture}", "{dataset}"),
            non_empty=True,
        ),
    log:
        "logs/evaluate/{model}.seed{seed}.{mixture}.{dataset}.log",
    benchmark:
        "logs/evaluate/{model}.seed{seed}.{mixture}.{dataset}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    resources:
        gpu=0,
    params:
        device=device_variables,
        runs=keep_runs,
        embeddings=use_embeddings,
        settings=lambda wildcards: settings(JOBS.evaluate(wildcards.dataset, PATHS)),
    message:
        "Evaluating {wildcards.model} ({wildcards.mixture}, seed {wildcards.seed}) on {wildcards.dataset}"
    shell:
        stage(
            "evaluate --model {input.model} --benchmark {wildcards.dataset} --scores {output.scores}"
            " --query-scores {output.query_scores} {params.runs} {params.embeddings}",
            variables="{params.device}",
        )


rule evaluate_untrained:
    input:
        datasets=test_files,
        embeddings=stored_embeddings,
        fetched=untrained_manifest,
    output:
        **run_files(PATHS.untrained_runs("{untrained}", "{dataset}")),
        scores=ensure(
            PATHS.untrained_scores("{untrained}", "{dataset}"), non_empty=True
        ),
        query_scores=ensure(
            PATHS.untrained_query_scores("{untrained}", "{dataset}"), non_empty=True
        ),
    log:
        "logs/evaluate_untrained/{untrained}.{dataset}.log",
    benchmark:
        "logs/evaluate_untrained/{untrained}.{dataset}.tsv"
    wildcard_constraints:
        untrained=one_of(set(JOBS.untrained) - {"bm25"}),
    conda:
        "../../envs/evaluation.yaml"
    resources:
        gpu=0,
    params:
        device=device_variables,
        model=states(untrained_data),
        runs=keep_runs,
        embeddings=use_embeddings,
        fetched=fetched_option,
        settings=lambda wildcards: settings(
            JOBS.evaluate(wildcards.dataset, PATHS, wildcards.untrained)
        ),
    message:
        "Evaluating {wildcards.untrained}, for which nothing was trained, on {wildcards.dataset}"
    shell:
        stage(
            "evaluate --benchmark {wildcards.dataset} --scores {output.scores}"
            " --query-scores {output.query_scores} {params.runs} {params.embeddings} {params.fetched}",
            variables="{params.device}",
        )


# A rule of its own, so that no profile asks for a GPU for it.
use rule evaluate_untrained as evaluate_bm25 with:
    wildcard_constraints:
        untrained="bm25",
