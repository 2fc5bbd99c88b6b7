"""Which runs of tDRO a configuration asks for."""

from toyjobs import jobs


def test_each_run_of_tdro_that_a_mixture_or_the_sweep_needs_is_made_once():
    made = jobs(
        mixtures=["uniform", "curr", "top50", "doremi", "mean@ratio-0.1"],
        sweep={"measure": ["ratio", "proxy"], "step_size": [0.1]},
    )
    assert made.run_courses == ["tdro", "tdro-doremi", "tdro-ratio-0.1", "tdro-proxy-0.1"]
    learnt = {course: made.optimize("tiny", 1, course).tdro for course in made.run_courses}
    assert (learnt["tdro-ratio-0.1"].measure, learnt["tdro-ratio-0.1"].step_size) == ("ratio", 0.1)
    assert (learnt["tdro-doremi"].measure, learnt["tdro-doremi"].weight_clip) == ("excess", "none")
    assert learnt["tdro"] == made.config.tdro
    # All of them read the same plan and reference losses.
    assert len({(tdro.steps, tdro.batch_size, tdro.negatives, tdro.temperature) for tdro in learnt.values()}) == 1


def test_mixtures_of_sizes_alone_run_no_tdro():
    assert jobs(mixtures=["uniform", "proportional"]).run_courses == []
