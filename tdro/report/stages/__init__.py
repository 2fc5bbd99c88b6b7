"""What happened before the scores.

In: what the stages stored beside their results, and Snakemake's benchmark files. Out: tables on the page.

``counts`` are the rows kept and dropped, ``duplicates`` what deduplication removed, ``leaks`` what the leak check
found, ``jobs`` the time and memory of every rule, ``forecasts`` what that was expected to be.
"""
