"""Which mixture to train on: chosen on dev queries, then shown beside what is reported.

in   : the dev scores of every retriever; of the report its results.csv
out  : dev/recommendation.json, report/study.json and report/study.txt

devscores -> recommend, which asks advice for its sentence -> overview. agreement compares the choices of two studies.
"""
