"""Training: a plan and a base become a retriever.

In: ``plan.parquet`` and the Parquet files of the tasks. Out: a folder ``model/`` that sentence-transformers loads.

``train`` is the stage. ``learner`` reads the plan and opens the base, ``checkpoints`` says whether a killed one goes
on, ``kepttexts`` decodes the texts of the plan into files that all processes map, ``trainer`` runs
sentence-transformers' trainer; these four serve tDRO, too. A step: ``batches`` looks up the texts of a plan's rows,
``collate`` tokenises them and puts them in groups of like length, beside a GPU in ``workers`` ahead of the step.
``forward`` embeds each text once, ``masks`` says which passages are no negatives of a query, ``losses`` are the two
contrastive losses, ``distill`` and ``teacher`` add what a cross-encoder said. ``meter`` counts tokens, padding and the
loss of each task, ``finite`` stops where a loss is not finite. ``card`` writes the model's card.

``merge`` is the stage that averages trained retrievers, maybe with the base that ``base`` has written. ``batchsampler``
gives a mixture to trainings that are not ours.
"""
