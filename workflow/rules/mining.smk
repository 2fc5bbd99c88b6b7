# Hard negatives: encode, search, rescore (where it is asked for), select.


# What names the log of a job.
ENCODED_AS = "tasks" if ONE else "{task}"


rule encode:
    input:
        corpus=[PATHS.task(task, "corpus.parquet") for task in ENCODED],
        queries=[PATHS.task(task, "queries.parquet") for task in ENCODED],
        fetched=manifest("mining", "encode"),
    output:
        embeddings=directory([PATHS.task(task, "embeddings") for task in ENCODED]),
    log:
        f"logs/encode/{ENCODED_AS}.log",
    benchmark:
        f"logs/encode/{ENCODED_AS}.tsv"
    conda:
        "../../envs/mining.yaml"
    threads: ENCODING_THREADS
    resources:
        gpu=0,
        nodes=1,
    params:
        model=states(miner_data),
        folders=[PATHS.task_folder(task) for task in ENCODED],
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/embeddings",
        fetched=option("fetched"),
        settings=settings(JOBS.config.mining.encode),
    message:
        f"Encoding corpus and queries of {'all tasks' if ONE else '{wildcards.task}'}"
    shell:
        launch(
            "encode {params.folders} --checkpoints {params.checkpoints} {params.fetched}",
            "auto",
        )


rule search:
    input:
        embeddings=PATHS.task("{task}", "embeddings"),
        corpus=PATHS.task("{task}", "corpus.parquet"),
        queries=PATHS.task("{task}", "queries.parquet"),
    output:
        candidates=ensure(PATHS.task("{task}", "candidates.parquet"), non_empty=True),
    log:
        "logs/search/{task}.log",
    benchmark:
        "logs/search/{task}.tsv"
    conda:
        "../../envs/mining.yaml"
    threads: ENCODING_THREADS
    resources:
        gpu=0,
    params:
        settings=settings(JOBS.config.mining.search),
    message:
        "Searching the passages nearest to the queries of {wildcards.task}"
    shell:
        stage(
            "search --embeddings {input.embeddings} --corpus {input.corpus} --queries {input.queries}"
            " --output {output.candidates}"
        )


if JOBS.config.mining.rescore:

    rule rescore:
        input:
            candidates=rules.search.output.candidates,
            corpus=PATHS.task("{task}", "corpus.parquet"),
            queries=PATHS.task("{task}", "queries.parquet"),
            fetched=manifest("mining", "rescore"),
        output:
            candidates=ensure(PATHS.task("{task}", "rescored.parquet"), non_empty=True),
        log:
            "logs/rescore/{task}.log",
        benchmark:
            "logs/rescore/{task}.tsv"
        conda:
            "../../envs/mining.yaml"
        threads: ENCODING_THREADS
        resources:
            gpu=0,
        params:
            model=states(rescorer_data),
            fetched=option("fetched"),
            settings=settings(JOBS.config.mining.rescore),
        message:
            "Rescoring the candidates of {wildcards.task}"
        shell:
            stage(
                "rescore --candidates {input.candidates} --corpus {input.corpus} --queries {input.queries}"
                " --output {output.candidates} {params.fetched}"
            )


rule select:
    input:
        candidates=PATHS.task("{task}", CANDIDATES),
        corpus=PATHS.task("{task}", "corpus.parquet"),
        queries=PATHS.task("{task}", "queries.parquet"),
    output:
        negatives=ensure(PATHS.task("{task}", "negatives.parquet"), non_empty=True),
    log:
        "logs/select/{task}.log",
    benchmark:
        "logs/select/{task}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        settings=settings(JOBS.config.mining.select),
    message:
        "Selecting hard negatives of {wildcards.task}"
    shell:
        stage(
            "select --candidates {input.candidates} --corpus {input.corpus} --queries {input.queries}"
            " --output {output.negatives}"
        )
