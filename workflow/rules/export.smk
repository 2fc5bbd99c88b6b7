# A trained retriever with its model card, weights and results, in one archive to hand on.


rule export:
    input:
        model=rules.train.output.model,
        seen=past("deduplicated"),
        weights=trained_with,
        scores=lambda wildcards: [
            PATHS.scores(*wildcards, dataset) for dataset in TESTS.evaluated
        ],
    output:
        package=PATHS.package("{model}", "{seed}", "{mixture}"),
    log:
        "logs/export/{model}.seed{seed}.{mixture}.log",
    benchmark:
        "logs/export/{model}.seed{seed}.{mixture}.tsv"
    conda:
        "../../envs/training.yaml"
    params:
        **settings(lambda wildcards: JOBS.export(wildcards.model)),
    message:
        "Packing {wildcards.model} ({wildcards.mixture}, seed {wildcards.seed})"
    shell:
        stage(
            "export --model {input.model} --weights {input.weights} --scores {input.scores}"
            " --output {output.package}",
        )


# snakemake --cores all packages
rule packages:
    input:
        [
            PATHS.package(model.name, seed, mixture)
            for model in JOBS.config.models
            for seed in JOBS.config.seeds
            for mixture in JOBS.config.mixtures
        ],
    localrule: True
