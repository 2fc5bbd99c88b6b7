# Raw datasets to training rows: fetch, prepare, dedup.


# Downloads want a network, which compute nodes may lack.
rule fetch_all:
    input:
        [PATHS.fetched(key) for key in FETCHED],
    localrule: True


rule fetch:
    output:
        manifest=ensure(PATHS.fetched("{fetched}"), non_empty=True),
    log:
        "logs/fetch/{fetched}.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: FETCHED[wildcards.fetched]),
    message:
        "Fetching {wildcards.fetched}"
    shell:
        stage("fetch {wildcards.fetched} --output {output.manifest}", variables=ONLINE)


rule prepare_task:
    input:
        data=inputs(task_data),
        fetched=lambda wildcards: manifest("dataset", wildcards.task),
    output:
        corpus=ensure(PATHS.task("{task}", "corpus.parquet"), non_empty=True),
        queries=ensure(PATHS.task("{task}", "queries.parquet"), non_empty=True),
        heldout_corpus=ensure(
            PATHS.held_out("{task}", "corpus.parquet"), non_empty=True
        ),
        heldout_queries=ensure(
            PATHS.held_out("{task}", "queries.parquet"), non_empty=True
        ),
        dev_queries=ensure(PATHS.dev_queries("{task}"), non_empty=True),
        digests=[
            *(
                PATHS.digest(place("{task}", file))
                for place in (PATHS.task, PATHS.held_out)
                for file in TEXTS
            ),
            PATHS.digest(PATHS.dev_queries("{task}")),
        ],
    log:
        "logs/prepare_task/{task}.log",
    benchmark:
        "logs/prepare_task/{task}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: JOBS.prepare(wildcards.task)),
        data=states(task_data),
        folder=lambda wildcards, output: Path(output.corpus).parent,
        fetched=option("fetched"),
    message:
        "Preparing task {wildcards.task}"
    shell:
        stage("prepare {wildcards.task} --output {params.folder} {params.fetched}")


rule prepare_benchmark:
    input:
        data=inputs(benchmark_data),
        fetched=lambda wildcards: manifest("dataset", wildcards.benchmark),
    output:
        corpus=ensure(PATHS.benchmark("{benchmark}", "corpus.parquet"), non_empty=True),
        queries=ensure(
            PATHS.benchmark("{benchmark}", "queries.parquet"), non_empty=True
        ),
        digests=[PATHS.digest(PATHS.benchmark("{benchmark}", file)) for file in TEXTS],
    log:
        "logs/prepare_benchmark/{benchmark}.log",
    benchmark:
        "logs/prepare_benchmark/{benchmark}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: JOBS.prepare(wildcards.benchmark)),
        data=states(benchmark_data),
        folder=lambda wildcards, output: Path(output.corpus).parent,
        fetched=option("fetched"),
    message:
        "Preparing benchmark {wildcards.benchmark}"
    shell:
        stage("prepare {wildcards.benchmark} --output {params.folder} {params.fetched}")


# These two may ask the hub, as fetch does: the reader mteb leaves it to mteb.
rule prepare_corpus:
    input:
        data=inputs(corpus_data),
    output:
        corpus=ensure(PATHS.benchmark("{corpus}", "corpus.parquet"), non_empty=True),
        digest=PATHS.digest(PATHS.benchmark("{corpus}", "corpus.parquet")),
    log:
        "logs/prepare_corpus/{corpus}.log",
    benchmark:
        "logs/prepare_corpus/{corpus}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: JOBS.prepare_corpus(wildcards.corpus)),
        data=states(corpus_data),
    message:
        "Preparing the corpus of {wildcards.corpus}"
    shell:
        stage(
            "prepare-corpus {wildcards.corpus} --output {output.corpus}",
            variables=ONLINE,
        )


rule prepare_queries:
    input:
        data=inputs(queries_data),
        corpus=lambda wildcards: PATHS.benchmark(
            TESTS.chosen[wildcards.dataset].corpus, "corpus.parquet"
        ),
    output:
        queries=ensure(PATHS.benchmark("{dataset}", "queries.parquet"), non_empty=True),
        digest=PATHS.digest(PATHS.benchmark("{dataset}", "queries.parquet")),
    log:
        "logs/prepare_queries/{dataset}.log",
    benchmark:
        "logs/prepare_queries/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(n for n, t in TESTS.chosen.items() if is_testset(t.entry.source)),
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: JOBS.prepare_queries(wildcards.dataset)),
        data=states(queries_data),
    message:
        "Preparing the queries of {wildcards.dataset}"
    shell:
        stage(
            "prepare-queries {wildcards.dataset} --corpus {input.corpus} --output {output.queries}",
            variables=ONLINE,
        )


checkpoint prepared:
    input:
        [PATHS.digest(file) for file in prepared_files()],
    output:
        touch(PATHS.passed("prepared")),
    localrule: True
    message:
        "All data are prepared"


rule dedup:
    input:
        queries=ancient(rules.prepare_task.output.queries),
        negatives=negatives,
        evaluation=kept(lambda wildcards: evaluation_queries(JOBS.compared).values()),
        dev=kept(lambda wildcards: dev_queries().values()),
        seen=past("prepared", files=compared_queries),
        files=inputs(dedup_data),
    output:
        train=ensure(PATHS.task("{task}", "train.parquet"), non_empty=True),
        digest=PATHS.digest(PATHS.task("{task}", "train.parquet")),
        dev_rows=ensure(PATHS.task("{task}", "dev.parquet"), non_empty=True),
        dev_digest=PATHS.digest(PATHS.task("{task}", "dev.parquet")),
        duplicates=ensure(PATHS.task("{task}", "duplicates.parquet"), non_empty=True),
    log:
        "logs/dedup/{task}.log",
    benchmark:
        "logs/dedup/{task}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        **settings(JOBS.dedup()),
        files=states(dedup_data),
        evaluation=[
            f"{name}={path}"
            for name, path in evaluation_queries(JOBS.compared).items()
        ],
        dev=[f"{name}={path}" for name, path in dev_queries().items()],
        own_dev=lambda wildcards: (
            f"--own-dev {dev_queries()[wildcards.task]}"
            if wildcards.task in dev_queries()
            else ""
        ),
        negatives=option("negatives"),
        scores="--scores" if JOBS.config.training.distill else "",
    message:
        "Removing near-duplicates from {wildcards.task}"
    shell:
        stage(
            "dedup --queries {input.queries} {params.negatives} --evaluation {params.evaluation}"
            " --dev {params.dev} {params.own_dev} --train {output.train} --dev-rows {output.dev_rows}"
            " --duplicates {output.duplicates} {params.scores}"
        )


# Behind `prepared` this runs whenever it may have to: what waits for it is decided when it has run.
checkpoint deduplicated:
    input:
        [PATHS.digest(file) for file in [*train_files(None), *dev_rows(None)]],
    output:
        touch(PATHS.passed("deduplicated")),
    localrule: True
    message:
        "All training rows are there"


rule leaks:
    input:
        train=kept(train_files),
        texts=kept(task_texts),
        evaluation=kept(
            lambda wildcards: evaluation_queries(JOBS.config.benchmarks).values()
        ),
        corpora=kept(lambda wildcards: dict.fromkeys(evaluation_corpora().values())),
        seen=past(
            "prepared",
            "deduplicated",
            files=lambda wildcards: [
                *trained_texts(wildcards),
                *reported_files(wildcards),
            ],
        ),
        files=inputs(dedup_data),
    output:
        leaks=ensure(PATHS.leaks, non_empty=True),
    log:
        "logs/leaks/leaks.log",
    benchmark:
        "logs/leaks/leaks.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        **settings(JOBS.dedup()),
        files=states(dedup_data),
        tasks=list(JOBS.tasks),
        evaluation=[
            f"{name}={path}"
            for name, path in evaluation_queries(JOBS.config.benchmarks).items()
        ],
        corpora=[f"{name}={path}" for name, path in evaluation_corpora().items()],
    message:
        "Looking for evaluation queries and their passages in the training data"
    shell:
        stage(
            "leaks --tasks {params.tasks} --evaluation {params.evaluation}"
            " --corpora {params.corpora} --output {output.leaks}"
        )


# snakemake --cores all results/rows/tevatron
rule export_data:
    input:
        train=kept(train_files),
        texts=kept(task_texts),
        negatives=mined_files,
        seen=past("prepared", "deduplicated", files=trained_texts),
    output:
        rows=directory(PATHS.rows("{form}")),
    log:
        "logs/export_data/{form}.log",
    benchmark:
        "logs/export_data/{form}.tsv"
    wildcard_constraints:
        form=one_of(ROW_FORMS),
    conda:
        "../../envs/training.yaml"
    params:
        **settings(JOBS.export_data()),
        tasks=list(JOBS.tasks),
    message:
        "Exporting training rows in the form of {wildcards.form}"
    shell:
        stage(
            "export-data --form {wildcards.form} --tasks {params.tasks} --output {output.rows}"
        )


# snakemake --cores all rows
rule rows:
    input:
        [PATHS.rows(form) for form in ROW_FORMS],
    localrule: True
