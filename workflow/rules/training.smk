# A mixture to a retriever: plan, train; and several retrievers to their average: merge.


rule plan:
    input:
        weights=mixture_weights,
        baseline=drawn_before,
        train=kept(train_files),
        seen=past("deduplicated", files=train_files),
    output:
        plan=ensure(
            PATHS.run("{model}", "{seed}", "{mixture}/plan.parquet"), non_empty=True
        ),
    log:
        "logs/plan/{model}.seed{seed}.{mixture}.log",
    benchmark:
        "logs/plan/{model}.seed{seed}.{mixture}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: JOBS.plan(wildcards.mixture, wildcards.seed)),
        baseline=option("baseline"),
    message:
        "Planning {wildcards.mixture} training of {wildcards.model}, seed {wildcards.seed}"
    shell:
        stage("plan --weights {input.weights} {params.baseline} --output {output.plan}")


rule train:
    input:
        plan=rules.plan.output.plan,
        texts=kept(task_texts),
        scores=kept(scored_files),
        seen=past("prepared", "deduplicated", files=trained_files),
        fetched=lambda wildcards: manifest("model", wildcards.model),
        loss_weights=loss_weights,
        start=going_on_from,
    output:
        # The model of an earlier training stays until the new one takes its place; what tells Snakemake that a training
        # has ended is the mark beside it.
        model=update(directory(PATHS.run("{model}", "{seed}", "{mixture}/model"))),
        trained=touch(PATHS.run("{model}", "{seed}", "{mixture}/trained")),
    log:
        "logs/train/{model}.seed{seed}.{mixture}.log",
    benchmark:
        "logs/train/{model}.seed{seed}.{mixture}.tsv"
    wildcard_constraints:
        mixture=mixturenames.TRAINED,
    conda:
        "../../envs/training.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=0,
        nodes=1,
    params:
        **settings(
            lambda wildcards: JOBS.train(
                wildcards.model, wildcards.seed, wildcards.mixture
            )
        ),
        base=states(base_data),
        accelerate=accelerate_config,
        fetched=option("fetched"),
        loss_weights=option("loss_weights"),
        start=option("start"),
        # No rule's output, so that Snakemake leaves it alone and a killed training resumes.
        checkpoints="checkpoints/{model}/seed{seed}/{mixture}",
        tensorboard="logs/tensorboard/{model}/seed{seed}/{mixture}",
    message:
        "Training {wildcards.model} on {wildcards.mixture}, seed {wildcards.seed}"
    shell:
        launch(
            "train --plan {input.plan} --output {output.model}"
            " --checkpoints {params.checkpoints} --tensorboard {params.tensorboard} {params.fetched}"
            " {params.loss_weights} {params.start}"
        )


rule base:
    input:
        fetched=lambda wildcards: manifest("model", wildcards.model),
    output:
        # Of no use once every soup with it is made.
        model=temp(directory(PATHS.base("{model}"))),
    log:
        "logs/base/{model}.log",
    benchmark:
        "logs/base/{model}.tsv"
    conda:
        "../../envs/training.yaml"
    params:
        **settings(lambda wildcards: JOBS.base(wildcards.model)),
        base=states(base_data),
        fetched=option("fetched"),
    message:
        "Writing the base of {wildcards.model}, to average trained models with it"
    shell:
        stage(
            "base --output {output.model} {params.fetched}",
            variables="ACCELERATE_USE_CPU=true",
        )


rule merge:
    input:
        models=averaged_models,
        base=averaged_base,
        chosen=chosen_share,
    output:
        # As of a training.
        model=update(directory(PATHS.run("{model}", "{seed}", "{mixture}/model"))),
        trained=touch(PATHS.run("{model}", "{seed}", "{mixture}/trained")),
    log:
        "logs/merge/{model}.seed{seed}.{mixture}.log",
    benchmark:
        "logs/merge/{model}.seed{seed}.{mixture}.tsv"
    wildcard_constraints:
        mixture=mixturenames.SOUPS,
    conda:
        "../../envs/training.yaml"
    params:
        base=option("base"),
        chosen=option("chosen"),
        averaged=lambda wildcards: JOBS.soups.options(wildcards.mixture),
    message:
        "Averaging models of {wildcards.model} to {wildcards.mixture}, seed {wildcards.seed}"
    shell:
        stage(
            "merge {input.models} {params.base} {params.chosen} {params.averaged} --output {output.model}",
            settings=False,
        )
