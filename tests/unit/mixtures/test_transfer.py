"""Who helps whom, by hand."""

import numpy as np
import pytest

from tdro.mixtures.transfer import transfer_shares, transfer_table

WARM = np.array([2.0, 1.0, 4.0])
#: Rows: the dev queries of task 0, of task 1, of a benchmark. Columns: the experts of both tasks.
EXPERTS = np.array([[1.0, 1.8], [0.5, 0.2], [4.4, 3.6]])


def test_a_table_is_what_each_expert_takes_off_each_loss():
    np.testing.assert_allclose(transfer_table(EXPERTS, WARM), [[0.5, 0.1], [0.5, 0.8], [-0.1, 0.1]])


def test_shares_leave_out_what_a_task_does_for_itself():
    # Of others the first expert takes off 0.5 and -0.1, the second 0.1 and 0.1: 0.2 and 0.1, of the largest 1 and 1/2.
    shares = transfer_shares(transfer_table(EXPERTS, WARM), [0, 1, None])
    expected = np.exp([2.0, 1.0])
    np.testing.assert_allclose(shares, expected / expected.sum())
    np.testing.assert_allclose(transfer_shares(transfer_table(EXPERTS, WARM), [0, 1, None], eta=0), 0.5)


def test_a_task_that_harms_all_others_gets_least_and_no_effect_means_alike():
    table = np.array([[0.9, 0.1, -0.3], [0.2, 0.9, -0.3], [0.1, 0.1, 0.9]])
    shares = transfer_shares(table, [0, 1, 2])
    assert np.argsort(shares).tolist() == [2, 1, 0]
    assert shares[0] / shares[2] == pytest.approx(np.exp(2 * (0.15 / 0.3 + 1)))
    np.testing.assert_allclose(transfer_shares(np.eye(3), [0, 1, 2]), 1 / 3)


def test_a_task_needs_the_dev_queries_of_another():
    with pytest.raises(ValueError, match="add dev queries of others"):
        transfer_shares(np.array([[0.5, 0.1]]), [0])
