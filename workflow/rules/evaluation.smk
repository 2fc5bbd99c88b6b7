# A retriever to its scores on a benchmark.


rule evaluate:
    input:
        model=rules.train.output.model,
        datasets=benchmark_files,
    output:
        scores=ensure(
            PATHS.scores("{model}", "{seed}", "{mixture}", "{benchmark}"),
            non_empty=True,
        ),
        query_scores=ensure(
            PATHS.query_scores("{model}", "{seed}", "{mixture}", "{benchmark}"),
            non_empty=True,
        ),
    log:
        "logs/evaluate/{model}.seed{seed}.{mixture}.{benchmark}.log",
    benchmark:
        "logs/evaluate/{model}.seed{seed}.{mixture}.{benchmark}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    resources:
        gpu=0,
    params:
        settings=lambda wildcards: settings(JOBS.evaluate(wildcards.benchmark, PATHS)),
    message:
        "Evaluating {wildcards.model} ({wildcards.mixture}, seed {wildcards.seed}) on {wildcards.benchmark}"
    shell:
        "python -m tdro evaluate --model {input.model} --benchmark {wildcards.benchmark} --scores {output.scores}"
        " --query-scores {output.query_scores} --threads {threads} --settings {params.settings:q} 2>&1 | tee {log}"
