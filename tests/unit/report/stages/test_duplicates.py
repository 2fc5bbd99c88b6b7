def test_duplicates_by_source_and_task(built):
    assert "source code medical forum all nfcorpus 1 1 1 3 scifact 1 1 1 3 all 2 2 2 6" in built.text
