"""The weight update written a second time, in NumPy and float64, from the formulas of docs/algorithm.md alone."""

import numpy as np


def measurement(measure, tasks, proxy, reference, k, floor):
    """M_g of one micro-batch, and what each row adds to it."""
    found, parts, values = np.zeros(k), np.zeros(len(tasks)), np.zeros(len(tasks))
    shares = reference / reference.sum()
    shares = np.where(shares < floor, 1.0, shares)
    for g in set(tasks.tolist()):
        rows = np.flatnonzero(tasks == g)
        means = proxy[rows].mean(), reference[rows].mean()
        if measure == "released":
            values[rows] = proxy[rows] / shares[rows]
        elif measure == "difference":
            values[rows] = proxy[rows] - reference[rows]
        elif measure == "excess":
            values[rows] = np.maximum(proxy[rows] - reference[rows], 0)
        else:
            values[rows] = proxy[rows]
        found[g], parts[rows] = values[rows].mean(), values[rows] / len(rows)
        if measure == "ratio":  # 0 where the reference makes no mistake
            found[g], parts[rows] = (found[g] / means[1], parts[rows] / means[1]) if means[1] else (0, 0)
    return found, parts, values


def replay(batches, k, *, measure, step_size, ema, limit=1.0, floor=1e-4):
    """What every step makes of its micro-batches.

    Args:
        batches: A list a step of (tasks, proxy losses, reference losses) a micro-batch.
        k: Number of tasks.
        measure: As ``tdro.measure``.
        step_size: Eta.
        ema: Beta.
        limit: c, of the l2 norm.
        floor: As ``tdro.floor``.

    Returns:
        A dictionary a step: the columns of the trajectory, and ``parts``, what each row adds to the clipped
        measurement.
    """
    alpha = np.full(k, 1 / k)
    total, average, steps = np.zeros(k), alpha.copy(), []
    for number, window in enumerate(batches, start=1):
        seen = [measurement(measure, *micro, k, floor) for micro in window]
        mean = np.mean([m for m, _, _ in seen], axis=0)
        scale = min(1.0, limit / (np.sqrt((mean**2).sum()) + 1e-6))
        raised = np.exp(np.log(alpha) + step_size * scale * mean)
        alpha = raised / raised.sum()
        total, average = total + alpha, ema * alpha + (1 - ema) * average
        tasks, values = np.concatenate([micro[0] for micro in window]), np.concatenate([v for _, _, v in seen])
        sums, squares = (np.bincount(tasks, np.abs(values) ** power, k) for power in (1, 2))
        steps.append(
            {
                "measurement": mean,
                "gradient": scale * mean,
                "effective_rows": np.divide(sums**2, squares, out=np.zeros(k), where=squares > 0),
                "weight": alpha,
                "mean": total / number,
                "ema": average,
                "parts": np.abs(np.concatenate([p for _, p, _ in seen])) * scale / len(window),
            }
        )
    return steps
