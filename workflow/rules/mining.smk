# Hard negatives: encode, search, rescore (where it is asked for), select.


# What names the log of a job.
ENCODED_AS = "tasks" if ONE else "{task}"


# Corpus and queries of a task that is mined.
TASK_TEXTS = [PATHS.task("{task}", file) for file in TEXTS]
MINED_TEXTS = [file.replace("{task}", task) for task in ENCODED for file in TASK_TEXTS]


rule encode:
    input:
        texts=ancient(MINED_TEXTS),
        seen=past("prepared", files=MINED_TEXTS),
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
        **settings(JOBS.config.mining.encode),
        model=states(miner_data),
        folders=[PATHS.task_folder(task) for task in ENCODED],
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/embeddings",
        fetched=option("fetched"),
    message:
        f"Encoding corpus and queries of {'all tasks' if ONE else '{wildcards.task}'}"
    shell:
        launch(
            "encode {params.folders} --checkpoints {params.checkpoints} {params.fetched}",
            "auto",
        )


rule task_means:
    input:
        embeddings=[PATHS.task(task, "embeddings") for task in JOBS.mined],
    output:
        means=ensure(PATHS.task_means, non_empty=True),
    log:
        "logs/task_means/task_means.log",
    benchmark:
        "logs/task_means/task_means.tsv"
    conda:
        "../../envs/mining.yaml"
    params:
        folders=[PATHS.task_folder(task) for task in JOBS.mined],
    message:
        "Averaging the embeddings of each task"
    shell:
        stage("task-means {params.folders} --output {output.means}", settings=False)


rule search:
    input:
        embeddings=PATHS.task("{task}", "embeddings"),
        corpus=ancient(TASK_TEXTS[0]),
        queries=ancient(TASK_TEXTS[1]),
        seen=past("prepared", files=TASK_TEXTS),
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
        **settings(JOBS.config.mining.search),
        # As in `encode`.
        checkpoints="checkpoints/candidates/{task}",
    message:
        "Searching the passages nearest to the queries of {wildcards.task}"
    shell:
        stage(
            "search --embeddings {input.embeddings} --corpus {input.corpus} --queries {input.queries}"
            " --output {output.candidates} --checkpoints {params.checkpoints}"
        )


if JOBS.config.mining.rescore:

    rule rescore:
        input:
            candidates=rules.search.output.candidates,
            corpus=ancient(TASK_TEXTS[0]),
            queries=ancient(TASK_TEXTS[1]),
            seen=past("prepared", files=TASK_TEXTS),
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
            **settings(JOBS.config.mining.rescore),
            model=states(rescorer_data),
            fetched=option("fetched"),
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
        corpus=ancient(TASK_TEXTS[0]),
        queries=ancient(TASK_TEXTS[1]),
        seen=past("prepared", files=TASK_TEXTS),
    output:
        negatives=ensure(PATHS.task("{task}", "negatives.parquet"), non_empty=True),
    log:
        "logs/select/{task}.log",
    benchmark:
        "logs/select/{task}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        **settings(JOBS.config.mining.select),
    message:
        "Selecting hard negatives of {wildcards.task}"
    shell:
        stage(
            "select --candidates {input.candidates} --corpus {input.corpus} --queries {input.queries}"
            " --output {output.negatives}"
        )
