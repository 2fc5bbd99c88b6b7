# A mixture to a retriever: plan, train.


rule plan:
    input:
        weights=mixture_weights,
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
    message:
        "Planning {wildcards.mixture} training of {wildcards.model}, seed {wildcards.seed}"
    shell:
        stage("plan --weights {input.weights} --output {output.plan}")


rule train:
    input:
        plan=rules.plan.output.plan,
        texts=kept(task_texts),
        scores=kept(scored_files),
        seen=past("prepared", "deduplicated", files=trained_files),
        fetched=lambda wildcards: manifest("model", wildcards.model),
        loss_weights=loss_weights,
    output:
        # The model of an earlier training stays until the new one takes its place; what tells Snakemake that a training
        # has ended is the mark beside it.
        model=update(directory(PATHS.run("{model}", "{seed}", "{mixture}/model"))),
        trained=touch(PATHS.run("{model}", "{seed}", "{mixture}/trained")),
    log:
        "logs/train/{model}.seed{seed}.{mixture}.log",
    benchmark:
        "logs/train/{model}.seed{seed}.{mixture}.tsv"
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
        # No rule's output, so that Snakemake leaves it alone and a killed training resumes.
        checkpoints="checkpoints/{model}/seed{seed}/{mixture}",
        tensorboard="logs/tensorboard/{model}/seed{seed}/{mixture}",
    message:
        "Training {wildcards.model} on {wildcards.mixture}, seed {wildcards.seed}"
    shell:
        launch(
            "train --plan {input.plan} --output {output.model}"
            " --checkpoints {params.checkpoints} --tensorboard {params.tensorboard} {params.fetched}"
            " {params.loss_weights}"
        )
