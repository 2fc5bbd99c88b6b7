"""What a run will cost, told before it starts. Loads neither torch nor transformers, but for what a probe starts.

In: the jobs of a configuration, what is prepared of its data, the files of its models. Out: a row a rule, as a table
and as ``logs/forecast.json``, which the report compares with what was then measured.

1. ``sizes`` says how many texts each dataset has and how long they are: counted, expected by the registry, or assumed.
   ``tokens`` makes tokens of them.
2. ``models`` reads the shape of a network from its ``config.json``.
3. ``cost`` is arithmetic: floating-point operations, memory and disk of a piece of work.
4. ``machine`` says what this machine is, ``rates`` how fast a device computes: as a table states, or as ``probe`` has
   measured on this machine.
5. ``works`` puts together what each rule does, each a ``work``: ``readers`` are its models, ``learning`` is about
   trainings, ``evaluating`` about what scores retrievers. ``forecast`` says how long all of it takes, ``table`` prints
   it.
"""
