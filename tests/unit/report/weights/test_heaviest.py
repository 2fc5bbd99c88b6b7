import pytest
from finished import Finished, content

from tdro.errors import UserError


def test_rows_that_carry_a_weight_are_shown_with_their_texts(tmp_path):
    tree = Finished(tmp_path)
    tree.carried_by_few("code")
    tree.heaviest(1, shares=[0.4, 0.1], rows=[3, 0])
    page = tree.report().text
    shown = page.partition("Rows that carry a weight")[2].partition("The heaviest rows of the other tasks")
    assert (
        "code 40% 40 0.5 code question 3 code QUESTION 3! (says the same as the query) "
        "code 10% 10 0.5 code question 0 code answer 0" in shown[0]
    )
    assert "news" not in shown[0]
    assert "news 40% 40 0.5 news question 3" in shown[2]
    assert "Among the heaviest rows of code, forum, medical and news are some whose positive repeats the query" in page
    assert "data.drop_echoes: same leaves them out" in page


def test_shares_of_rows_are_means_over_the_seeds(tmp_path):
    tree = Finished(tmp_path, content(seeds=[1, 2]))
    tree.carried_by_few("code")
    tree.heaviest(1, shares=[0.4], rows=[0])
    tree.heaviest(2, shares=[0.2, 0.1], rows=[1, 0])
    page = tree.report().text
    assert "code 25% 25 0.5 code question 0 code answer 0 code 10% 10 0.5 code question 1 code answer 1" in page
    assert "says the same as the query" not in page and "drop_echoes" not in page


def test_heaviest_rows_of_other_data_are_refused(tmp_path):
    tree = Finished(tmp_path)
    tree.heaviest(1, shares=[0.4], rows=[7])
    with pytest.raises(UserError, match=r"code/queries.parquet has no row 7"):
        tree.report()
