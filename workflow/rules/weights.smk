# tDRO: reference losses to a trajectory of weights to mixtures.


rule uniform_weights:
    input:
        train=kept(train_files),
        seen=past("deduplicated", files=train_files),
    output:
        weights=report(
            ensure(PATHS.weights("{model}", "{seed}", "uniform"), non_empty=True),
            caption="../report/uniform.rst",
            category="Weights",
            subcategory="{model}",
            labels={"mixture": "uniform", "seed": "{seed}"},
        ),
    log:
        "logs/derive/{model}.seed{seed}.uniform.log",
    benchmark:
        "logs/derive/{model}.seed{seed}.uniform.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    message:
        "Weighting every task alike"
    shell:
        stage(
            "derive {input.train} --mixture uniform --output {output.weights}",
            settings=False,
        )


rule plan_tdro:
    input:
        weights=tdro_weights("sampling"),
        rows=kept(measured_files),
        seen=past("deduplicated", files=measured_files),
        baseline=PATHS.run("{model}", "{seed}", "uniform/plan.parquet"),
    output:
        plan=ensure(PATHS.run("{model}", "{seed}", "tdro/plan.parquet"), non_empty=True),
    log:
        "logs/plan/{model}.seed{seed}.tdro.log",
    benchmark:
        "logs/plan/{model}.seed{seed}.tdro.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        **settings(lambda wildcards: JOBS.plan(None, wildcards.seed)),
    message:
        "Planning tDRO of {wildcards.model}, seed {wildcards.seed}"
    shell:
        stage(
            "plan --weights {input.weights} --baseline {input.baseline} --output {output.plan}"
        )


rule reference:
    input:
        plan=rules.plan_tdro.output.plan,
        model=PATHS.run("{model}", "{seed}", "uniform/model"),
        texts=kept(task_texts),
        seen=past("prepared", "deduplicated", files=task_texts),
    output:
        losses=ensure(
            PATHS.run("{model}", "{seed}", "tdro/reference.parquet"), non_empty=True
        ),
    log:
        "logs/reference/{model}.seed{seed}.log",
    benchmark:
        "logs/reference/{model}.seed{seed}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=0,
        nodes=1,
    params:
        **settings(lambda wildcards: JOBS.reference(wildcards.seed)),
        accelerate=inference_config,
        # No rule's output, so that Snakemake leaves it alone and a killed job resumes.
        checkpoints="checkpoints/{model}/seed{seed}/reference",
    message:
        "Computing reference losses of {wildcards.model}, seed {wildcards.seed}"
    shell:
        launch(
            "reference --plan {input.plan} --model {input.model} --output {output.losses}"
            " --checkpoints {params.checkpoints}",
        )


rule optimize:
    input:
        plan=rules.plan_tdro.output.plan,
        reference=rules.reference.output.losses,
        initial=tdro_weights("initial"),
        texts=kept(task_texts),
        seen=past("prepared", "deduplicated", files=task_texts),
        fetched=lambda wildcards: manifest("model", wildcards.model),
    output:
        trajectory=ensure(
            PATHS.run("{model}", "{seed}", "{course}/trajectory.parquet"),
            non_empty=True,
        ),
        heaviest=ensure(
            PATHS.run("{model}", "{seed}", "{course}/heaviest_rows.parquet"),
            non_empty=True,
        ),
    log:
        "logs/optimize/{model}.seed{seed}.{course}.log",
    benchmark:
        "logs/optimize/{model}.seed{seed}.{course}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=0,
        nodes=1,
    params:
        **settings(
            lambda wildcards: JOBS.optimize(
                wildcards.model, wildcards.seed, wildcards.course
            )
        ),
        base=states(base_data),
        accelerate=accelerate_config,
        fetched=option("fetched"),
        # No rule's output, so that Snakemake leaves it alone and a killed run resumes.
        checkpoints="checkpoints/{model}/seed{seed}/{course}",
        tensorboard="logs/tensorboard/{model}/seed{seed}/{course}",
    message:
        "Learning weights ({wildcards.course}) with {wildcards.model}, seed {wildcards.seed}"
    shell:
        launch(
            "optimize --plan {input.plan} --reference {input.reference} --initial {input.initial}"
            " --output {output.trajectory} --checkpoints {params.checkpoints} --tensorboard {params.tensorboard} {params.fetched}"
        )


rule derive:
    input:
        source=mixture_source,
        seen=past("deduplicated"),
    output:
        weights=report(
            ensure(PATHS.weights("{model}", "{seed}", "{mixture}"), non_empty=True),
            caption="../report/weights.rst",
            category="Weights",
            subcategory="{model}",
            labels={"mixture": "{mixture}", "seed": "{seed}"},
        ),
    log:
        "logs/derive/{model}.seed{seed}.{mixture}.log",
    benchmark:
        "logs/derive/{model}.seed{seed}.{mixture}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        file=states(mixture_data),
        options=mixture_options,
    message:
        "Deriving the weights {wildcards.mixture}"
    shell:
        stage(
            "derive {input.source:q} --mixture {wildcards.mixture} {params.options} --output {output.weights}",
            settings=False,
        )


ruleorder: uniform_weights > derive
