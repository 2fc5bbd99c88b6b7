def test_time_and_memory_of_a_rules_jobs(built):
    assert "train 2 2 min 10 s 1 min 40 s 2.0 GB tiny/seed1/curr" in built.text
