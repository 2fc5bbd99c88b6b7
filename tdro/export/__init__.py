"""A trained retriever handed on: in the formats that servers read, each compared with the model it was made of.

In: a model's folder, the weights it was trained with, its scores. Out: a folder or an archive, a hub repository, and in
it ``export.json``, which holds what was compared.

``package`` is the stage. ``served`` writes the folder's files as servers read them, ``graphs`` the network as ONNX and
OpenVINO, ``gguf`` the whole model for llama.cpp. ``texts`` are the 64 that each of them embeds, ``checks`` compares
embeddings with those of the trained model. ``shrunk`` scores embeddings of 8 bits and of 1 bit beside whole ones.

``push`` sends packages, or the models, weights and report of results, to the hub.

``server`` embeds the same texts by a running server, and ``losses`` says what it lost on the way, if it did.
"""
