# Retrievers to their scores: a job a retriever and test set, so that a cluster runs them side by side.


rule evaluate:
    input:
        model=rules.train.output.model,
        datasets=test_files,
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
        runs=keep_runs,
        settings=lambda wildcards: settings(JOBS.evaluate(wildcards.dataset, PATHS)),
    message:
        "Evaluating {wildcards.model} ({wildcards.mixture}, seed {wildcards.seed}) on {wildcards.dataset}"
    shell:
        "python -m tdro evaluate --model {input.model} --benchmark {wildcards.dataset} --scores {output.scores}"
        " --query-scores {output.query_scores} {params.runs} --threads {threads}"
        " --settings {params.settings:q} 2>&1 | tee {log}"


rule evaluate_untrained:
    input:
        datasets=test_files,
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
    conda:
        "../../envs/evaluation.yaml"
    resources:
        gpu=0,
    params:
        runs=keep_runs,
        settings=lambda wildcards: settings(
            JOBS.evaluate(wildcards.dataset, PATHS, wildcards.untrained)
        ),
    message:
        "Evaluating {wildcards.untrained}, for which nothing was trained, on {wildcards.dataset}"
    shell:
        "python -m tdro evaluate --benchmark {wildcards.dataset} --scores {output.scores}"
        " --query-scores {output.query_scores} {params.runs} --threads {threads}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
