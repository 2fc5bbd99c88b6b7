# All results to one page and one table.


rule report:
    input:
        report_inputs,
        texts=kept(shown_texts),
        seen=past("prepared", "deduplicated", files=shown_texts),
        passed=[PATHS.passed("prepared"), PATHS.passed("deduplicated")],
    output:
        html=report(
            REPORT.html,
            caption="../report/page.rst",
            category="Report",
            labels={"what": "page"},
        ),
        csv=report(
            REPORT.csv,
            caption="../report/results.rst",
            category="Report",
            labels={"what": "all scores and differences"},
        ),
    log:
        "logs/report/report.log",
    benchmark:
        "logs/report/report.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        **settings(JOBS.report()),
    message:
        "Writing the report"
    shell:
        stage("report --logs logs --html {output.html} --csv {output.csv}")


# snakemake --cores all tables
rule tables:
    input:
        csv=rules.report.output.csv,
        paper=ROOT / "resources" / "paper_results.csv",
    output:
        tables=report(
            PATHS.paper_tables,
            caption="../report/tables.rst",
            category="Report",
            labels={"what": "the paper's tables with our figures"},
        ),
    log:
        "logs/tables/tables.log",
    conda:
        "../../envs/report.yaml"
    params:
        **settings(JOBS.tables()),
    message:
        "Printing the paper's tables with our figures"
    shell:
        stage(
            "tables --results-csv {input.csv} --paper {input.paper:q} --output {output.tables}"
        )


rule overview:
    input:
        choice=rules.recommend.output.choice,
        csv=rules.report.output.csv,
    output:
        json=PATHS.study.json,
        text=report(
            PATHS.study.text,
            caption="../report/study.rst",
            category="Choice",
            labels={"what": "which mixture to train on"},
        ),
    log:
        "logs/overview/overview.log",
    benchmark:
        "logs/overview/overview.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    message:
        "Setting the choice beside what is reported"
    shell:
        stage(
            "overview --choice {input.choice} --results-csv {input.csv} --json {output.json} --text {output.text}",
            settings=False,
        )


# tdro study CONFIG, or: snakemake --cores all study
rule study:
    input:
        rules.overview.output,
        rules.report.output,
    localrule: True
