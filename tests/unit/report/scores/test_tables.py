def test_page_shows_the_figures_of_the_csv(built):
    for row in built.of(seed="all", metric="ndcg_at_10", mixture="curr"):
        low, high, difference = (float(row[key]) for key in ("low", "high", "difference"))
        p = "p <0.001" if float(row["p"]) < 0.001 else f"p {float(row['p']):.3f}"
        assert f"▲ {difference:+.3f} [{low:+.3f}, {high:+.3f}] {p}" in built.text
        assert f"{float(row['score']):.3f}" in built.text
    for row in built.of(seed="all", metric="ndcg_at_10", mixture="top50"):
        assert f"▼ {float(row['difference']):+.3f}" in built.text
