import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdro.artifacts.files import write_json
from tdro.errors import UserError
from tdro.evaluation.soups import SoupScores, Tried, choose, read


def tried(*pairs):
    return [Tried(share=share, loss=1.0, reciprocal_rank=rank) for share, rank in pairs]


def test_the_best_share_ranks_best_and_of_equal_ones_the_largest_is_taken():
    assert choose(tried((0.25, 0.5), (0.5, 0.75), (1, 0.5))) == 0.5
    assert choose(tried((0.25, 0.75), (0.5, 0.75), (1, 0.5))) == 0.5
    assert choose(tried((0.5, 0.1 + 0.2), (1, 0.3))) == 1  # equal but for rounding
    assert choose(tried((None, 0.5))) is None


@given(
    st.lists(st.tuples(st.integers(1, 100), st.integers(0, 20)), min_size=1, max_size=6, unique_by=lambda pair: pair[0])
)
def test_nothing_beats_what_is_chosen_whatever_the_order(pairs):
    soups = tried(*((share / 100, rank / 20) for share, rank in pairs))
    chosen = next(soup for soup in soups if soup.share == choose(soups))
    beaten = [(soup.reciprocal_rank, soup.share) for soup in soups]
    assert (chosen.reciprocal_rank, chosen.share) == max(beaten)
    assert choose(soups[::-1]) == chosen.share


def scores(soup_loss, *losses):
    ingredients = {f"m{n}": {"loss": loss, "reciprocal_rank": 0.5} for n, loss in enumerate(losses)}
    soup = {"share": None, "loss": soup_loss, "reciprocal_rank": 0.5}
    return {"datasets": ["faq"], "ingredients": ingredients, "soups": [soup], "chosen": None}


@pytest.mark.parametrize(("loss", "between"), [(0.5, False), (1.0, False), (2.0, False), (2.1, True)])
def test_a_soup_worse_than_its_worst_ingredient_lies_between_basins(loss, between):
    found = SoupScores(**scores(loss, 1.0, 2.0))
    assert found.between_basins is between
    assert found.worst == "m1"


def test_a_file_that_contradicts_itself_is_refused(tmp_path):
    file = tmp_path / "soup.json"
    write_json(file, scores(1.0, 2.0))
    assert read(file).best.loss == 1.0
    for changed in ({"chosen": 0.5}, {"ingredients": {}}, {"datasets": 3}):
        write_json(file, scores(1.0, 2.0) | changed)
        with pytest.raises(UserError, match=r"soup\.json"):
            read(file)
