"""What lies on disk: the edges of the DAG, and how files are written and read.

``schemas`` says which columns each Parquet file has, ``files`` writes and reads them (and JSON), ``layout`` says where
they lie. ``lists`` holds a column of lists as two arrays. ``strictyaml`` reads YAML and JSON that people write.
``versions`` notes which code made a result, ``digests`` tell whether data that were made again have another content,
and ``filestates`` tells one state of local files from another. ``fulldisk`` says in a sentence that a disk is full,
``folders`` puts a written folder in its place as a whole, and ``packed`` writes archives to hand on.
"""
