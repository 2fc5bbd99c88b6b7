"""The configuration: what people write in YAML, checked. Loads no model library.

``sections`` is what every part has in common. ``registry`` describes datasets (``config/tasks/*.yaml``), ``schema``
everything else (``config/config.yaml``); ``mixturenames`` takes the name of a mixture apart, ``prompts`` what stands
before a text. ``commands`` are the pieces that the rules cut out of the whole, one a command. ``complaints`` and
``nearest`` word what is wrong with a key.
"""
