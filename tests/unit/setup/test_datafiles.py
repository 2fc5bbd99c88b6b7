import pytest

from tdro.setup.datafiles import datasets


@pytest.fixture
def folder(tmp_path):
    """Files as people have them."""
    for name in (
        *("faq.jsonl", "tickets.csv", "notes.pdf", ".hidden.jsonl"),
        *("posts-00000-of-00002.parquet", "posts-00001-of-00002.parquet", "2024.jsonl"),
        *("quora/train.jsonl.gz", "quora/test.jsonl.gz", "quora/dev.jsonl.gz", "faq_test.jsonl"),
        *("scifact/corpus.jsonl", "scifact/queries.jsonl", "scifact/qrels/test.tsv"),
        *("nq/corpus.jsonl.gz", "nq/queries.jsonl.gz", "nq/qrels/train.tsv"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_parts_and_folders_are_datasets_named_and_sorted_by_what_they_are_for(folder):
    found, others = datasets(folder)
    assert {(one.path.removeprefix(f"{folder}/"), one.name, one.use) for one in found} == {
        ("2024.jsonl", "2024", "train"),
        ("faq.jsonl", "faq", "train"),
        ("tickets.csv", "tickets", "train"),
        ("posts*.parquet", "posts", "train"),
        ("quora/train.jsonl.gz", "quora", "train"),
        ("quora/test.jsonl.gz", "quora-test", "test"),
        ("quora/dev.jsonl.gz", "quora-dev", "dev"),
        ("faq_test.jsonl", "faq_test", "test"),
        ("scifact", "scifact", "test"),
        ("nq", "nq", "train"),
    }
    assert [path.name for path in others] == ["notes.pdf"]


def test_a_folder_in_beirs_layout_is_one_dataset(folder):
    ((one,), others) = datasets(folder / "nq")
    assert (one.path, one.name, one.use, others) == (str(folder / "nq"), "nq", "train", [])
