"""The configuration: what people write in YAML, checked. Loads no model library.

``sections`` is what every part has in common: YAML comes in, a frozen section goes out, or a ``UserError`` with a line
for each wrong key (``complaints``, ``nearest``). ``registry`` describes datasets (``config/tasks/*.yaml``). Everything
else stands in ``config/config.yaml``: ``models``, ``data``, ``mining`` and ``training``, each with the rules of its
sections, and ``schema``, the whole. In these ``mixturenames`` takes the name of a mixture apart, ``prompts`` says
what stands before a text, ``dimensions`` where embeddings may be cut, ``localpaths`` what a path may be;
``launchfiles`` reads ``config/accelerate/*.yaml``.
``commands`` are the pieces that the rules cut out of the whole, one a command.
``keytables`` writes what all keys mean into config/README.md.
"""
