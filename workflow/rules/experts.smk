# What short trainings tell of many: experts of the tasks, added up and measured on dev queries; a law of that, and which
# tasks a training is better off without. The experts themselves are planned and trained as every mixture is.


rule expert_scores:
    input:
        warmup=PATHS.run("{model}", "{seed}", f"{experts.WARMUP}/model"),
        experts=expert_models,
        weights=PATHS.weights("{model}", "{seed}", "uniform"),
        pools=dev_pools,
        texts=kept(dev_scores_files),
        seen=past("prepared", files=dev_scores_files),
    output:
        scores=ensure(PATHS.experts("{model}", "{seed}", "dev.parquet"), non_empty=True),
    log:
        "logs/expert_scores/{model}.seed{seed}.log",
    benchmark:
        "logs/expert_scores/{model}.seed{seed}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: ENCODING_THREADS
    resources:
        gpu=0,
    params:
        **settings(lambda wildcards: JOBS.expert_scores(wildcards.seed, PATHS)),
        device=device_variables,
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/{model}/seed{seed}/experts",
    message:
        "Measuring merged experts of {wildcards.model} on dev queries, seed {wildcards.seed}"
    shell:
        stage(
            "expert-scores {input.experts} --warmup {input.warmup} --weights {input.weights}"
            " --output {output.scores} --checkpoints {params.checkpoints}",
            variables="{params.device}",
        )


rule fit_law:
    input:
        scores=rules.expert_scores.output.scores,
        weights=PATHS.weights("{model}", "{seed}", "uniform"),
    output:
        law=ensure(PATHS.experts("{model}", "{seed}", "law.json"), non_empty=True),
    log:
        "logs/fit_law/{model}.seed{seed}.log",
    benchmark:
        "logs/fit_law/{model}.seed{seed}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: JOBS.fit_law(wildcards.seed)),
    message:
        "Fitting a law of the mixture, seed {wildcards.seed}"
    shell:
        stage(
            "fit-law --scores {input.scores} --weights {input.weights} --output {output.law}"
        )


# A checkpoint: which trainings confirm that a task harms is known only then.
checkpoint prune_candidates:
    input:
        scores=rules.expert_scores.output.scores,
    output:
        candidates=ensure(
            PATHS.experts("{model}", "{seed}", "candidates.json"), non_empty=True
        ),
    log:
        "logs/prune_candidates/{model}.seed{seed}.log",
    benchmark:
        "logs/prune_candidates/{model}.seed{seed}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: JOBS.prune(wildcards.seed)),
    message:
        "Looking for tasks that may harm, seed {wildcards.seed}"
    shell:
        stage("prune-candidates --scores {input.scores} --output {output.candidates}")


rule prune:
    input:
        candidates=PATHS.experts("{model}", "{seed}", "candidates.json"),
        whole=PATHS.dev_scores("{model}", "{seed}", "uniform"),
        without=confirming,
    output:
        decided=ensure(PATHS.experts("{model}", "{seed}", "prune.json"), non_empty=True),
    log:
        "logs/prune/{model}.seed{seed}.log",
    benchmark:
        "logs/prune/{model}.seed{seed}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: JOBS.prune(wildcards.seed)),
    message:
        "Deciding which tasks to train without, seed {wildcards.seed}"
    shell:
        stage(
            "prune {input.without} --candidates {input.candidates} --whole {input.whole} --output {output.decided}"
        )
