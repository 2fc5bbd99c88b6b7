# All results to one page and one table.


rule report:
    input:
        report_inputs,
    output:
        html=report(REPORT.html, caption="../report/page.rst", category="Report"),
        csv=report(REPORT.csv, caption="../report/results.rst", category="Report"),
    log:
        "logs/report/report.log",
    benchmark:
        "logs/report/report.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        settings=settings(JOBS.report()),
    message:
        "Writing the report"
    shell:
        "python -m tdro report --logs logs --html {output.html} --csv {output.csv} --threads {threads}"
        " --settings {params.settings:q} 2>&1 | tee {log}"
