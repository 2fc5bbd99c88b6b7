"""What the Snakefile asks for. It computes nothing and loads neither torch nor transformers.

``jobs`` cuts a checked configuration into what each rule hands its command. ``firstlook`` looks at local files before
any job starts, ``project`` guards a folder of results against another project, ``killed`` finds what a killed run left
behind, ``mixedversions`` says which results other code has made. ``screen/`` shows a run.
"""
