import pyarrow.parquet as pq
from finished import Finished

from tdro.artifacts.files import write_table
from tdro.artifacts.schemas import TEST_QUERIES


def test_counts_of_the_stages(built):
    assert "task rows too short news 4,321 21" in built.text
    assert "zero" not in built.text.split("Preparation")[1][:60]
    assert "all 2,331" in built.text, "three mined tasks of 777 candidates"


def test_what_benchmarks_lack_is_counted(tmp_path):
    tree = Finished(tmp_path)
    name = tree.settings.out_of_domain[0]
    counts = {"relevant passages that the corpus lacks": 1234, "queries": 60}
    path = tree.layout.benchmark(name, "queries.parquet")
    asked = pq.read_table(path).to_pydict() | {"grades": [None] * 60, "answers": [None] * 60}
    write_table(path, asked, TEST_QUERIES, counts)
    line = f"benchmark relevant passages that the corpus lacks queries {name} 1,234 60 all 1,234 60"
    assert line in tree.report().text
