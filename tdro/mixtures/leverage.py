"""`chameleon`: a task's share by how far its embeddings stand apart from those of the others.

Three of four tasks ask about medicine, one about code. The miner's mean embedding of the code lies alone, so that no
other task's says anything about it: its leverage is high, and it gets the largest share.
"""

import numpy as np

#: Of the softmax over the scores (Xie et al. 2025, their code for fine-tuning).
TEMPERATURE = 0.2


def leverage_shares(means: np.ndarray) -> np.ndarray:
    r"""Shares of tasks by the ridge leverage scores of their mean embeddings (Xie, Tonin, Cevher 2025, Chameleon).

    .. math:: K = E E^\top, \quad s_i = [K (K + \lambda I)^{-1}]_{ii}, \quad
              \alpha = \operatorname{softmax}\bigl(s / (0.2 \textstyle\sum_j s_j)\bigr)

    with the rows of :math:`E` centred. This is their form for fine-tuning, which raises tasks that stand apart; for
    pretraining they raise the common ones. Their ridge of 10 a task belongs to hidden states of a GPT-2, whose length
    is not that of our embeddings; ours is the mean of the diagonal of :math:`K`, so that the scale does not matter.

    Args:
        means: Shape (tasks, dimension).

    Returns:
        Shape (tasks,), sum 1. All alike where all means are the same, and for two tasks.
    """
    centred = means - means.mean(axis=0)
    kernel = centred @ centred.T
    ridge = np.trace(kernel) / len(kernel)
    if ridge <= np.finfo(float).eps * np.square(means).mean():
        return np.full(len(means), 1 / len(means))
    # K and (K + ridge I)^-1 commute.
    scores = np.diag(np.linalg.solve(kernel + ridge * np.eye(len(kernel)), kernel))
    scaled = np.exp(scores / scores.sum() / TEMPERATURE)
    return scaled / scaled.sum()
