# What choices are made on: candidates of each dev query, decided once, how a retriever ranks them, and which mixture that
# speaks for. Nothing that is reported reads any of it, but where a mixture or the share of a soup is chosen by it, where a
# soup is compared, and in the last table of a study.


rule dev_pool:
    input:
        files=kept(dev_pool_files),
        seen=past("prepared", "deduplicated", files=dev_pool_files),
    output:
        pool=ensure(PATHS.dev_pool("{chosen_on}"), non_empty=True),
    log:
        "logs/dev_pool/{chosen_on}.log",
    benchmark:
        "logs/dev_pool/{chosen_on}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    params:
        **settings(JOBS.dev_pool()),
        files=lambda wildcards: " ".join(
            f"--{option} {file}"
            for option, file in zip(
                ("corpus", "queries", "rows"), dev_pool_files(wildcards)
            )
        ),
    message:
        "Choosing what dev queries of {wildcards.chosen_on} are ranked among"
    shell:
        stage("dev-pool {wildcards.chosen_on} {params.files} --output {output.pool}")


rule dev_scores:
    input:
        model=rules.train.output.model,
        pools=dev_pools,
        texts=kept(dev_scores_files),
        seen=past("prepared", files=dev_scores_files),
    output:
        scores=ensure(
            PATHS.dev_scores("{model}", "{seed}", "{mixture}"), non_empty=True
        ),
    log:
        "logs/dev_scores/{model}.seed{seed}.{mixture}.log",
    benchmark:
        "logs/dev_scores/{model}.seed{seed}.{mixture}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: ENCODING_THREADS
    resources:
        gpu=0,
    params:
        **settings(lambda wildcards: JOBS.dev_scores(PATHS)),
        device=device_variables,
    message:
        "Measuring {wildcards.model} ({wildcards.mixture}, seed {wildcards.seed}) on dev queries"
    shell:
        stage(
            "dev-scores --model {input.model} --output {output.scores}",
            variables="{params.device}",
        )


# A job a soup, though soups of the same models measure these anew: one for all would choose again, and so merge and
# evaluate again, whenever a mixture is added.
rule soup_scores:
    input:
        models=averaged_models,
        base=averaged_base,
        pools=dev_pools,
        texts=kept(dev_scores_files),
        seen=past("prepared", files=dev_scores_files),
    output:
        scores=ensure(
            PATHS.soup_scores("{model}", "{seed}", "{mixture}"), non_empty=True
        ),
    log:
        "logs/soup_scores/{model}.seed{seed}.{mixture}.log",
    benchmark:
        "logs/soup_scores/{model}.seed{seed}.{mixture}.tsv"
    wildcard_constraints:
        mixture=mixturenames.SOUPS,
    conda:
        "../../envs/evaluation.yaml"
    threads: ENCODING_THREADS
    resources:
        gpu=0,
    params:
        **settings(lambda wildcards: JOBS.soup_scores(wildcards.mixture, PATHS)),
        base=option("base"),
        device=device_variables,
    message:
        "Measuring averages of {wildcards.model} for {wildcards.mixture} on dev queries, seed {wildcards.seed}"
    shell:
        stage(
            "soup-scores {input.models} {params.base} --output {output.scores}",
            variables="{params.device}",
        )


rule recommend:
    input:
        scores=all_dev_scores,
    output:
        choice=PATHS.recommendation,
    log:
        "logs/recommend/recommend.log",
    benchmark:
        "logs/recommend/recommend.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        **settings(lambda wildcards: JOBS.recommend()),
    message:
        "Choosing a mixture on dev queries"
    shell:
        stage("recommend --output {output.choice}")


# snakemake --cores all dev
rule dev:
    input:
        all_dev_scores,
    localrule: True
