"""What the Snakefile asks for. It computes nothing and loads neither torch nor transformers.

``start`` takes what Snakemake has read, and gives the jobs of a checked configuration: ``project`` finds its files,
``checks`` refuses what only a job would find wrong, ``firstlook`` looks at local files. ``jobs`` has the settings that
each rule hands its command; it leaves to ``testsets`` what is evaluated, to ``untrained`` the rows that anchor the
table, to ``courses`` the runs of tDRO, to ``fetches`` what is downloaded. ``threads`` says how many a
job has. Before a run goes on, ``project`` guards its results against another project, ``killed`` finds what a killed
run left behind, ``mixedversions`` says which results other code has made. ``screen/`` shows a run.
"""
