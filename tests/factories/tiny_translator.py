"""A real CTranslate2 model, made by hand, that translates word by word with a dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

PLACES = 300
"""More than the 256 words that a translation has at most."""
SHARP = 200.0


def write_translator(folder: Path, dictionary: Mapping[str, str]) -> Path:
    """Write a Transformer of one layer whose decoder looks at the word of its own place and says the one it stands for.

    Args:
        folder: where to.
        dictionary: word to its translation; words that it does not know stay.
    """
    from ctranslate2.specs import transformer_spec

    tokens = ["<unk>", "<s>", "</s>", *sorted({*dictionary, *dictionary.values()})]
    spec = transformer_spec.TransformerSpec.from_config(1, 1, pre_norm=True)
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.config.add_source_eos = True
    says = np.zeros((len(tokens), len(tokens)), np.float32)
    for number, token in enumerate(tokens):
        says[tokens.index(dictionary.get(token, token)), number] = 1
    _fill(spec, says)
    folder.mkdir(parents=True)
    spec.validate()
    spec.save(str(folder))
    return folder


def _fill(spec: Any, says: np.ndarray) -> None:
    """Give a place the first numbers of a state, the word read the next ones, and the word to say the last ones."""
    words = len(says)
    width = PLACES + 2 * words
    place, read, said = slice(0, PLACES), slice(PLACES, PLACES + words), slice(PLACES + words, width)
    positions, embeddings = np.zeros((PLACES, width), np.float32), np.zeros((words, width), np.float32)
    positions[:, place] = np.eye(PLACES)
    embeddings[:, read] = np.eye(words)
    for half in (spec.encoder, spec.decoder):
        half.scale_embeddings = False
        half.position_encodings.encodings = positions
        _normal(half.layer_norm, width)
        for layer in half.layer:
            _nothing(layer, width)
    spec.encoder.embeddings[0].weight = embeddings
    spec.decoder.embeddings.weight = np.zeros_like(embeddings)
    attention = spec.decoder.layer[0].attention
    keys_and_values, queries, output = (np.zeros((rows, width), np.float32) for rows in (2 * width, width, width))
    queries[place, place] = keys_and_values[place, place] = SHARP * np.eye(PLACES)
    keys_and_values[width:][said, read] = says
    output[said, said] = SHARP * np.eye(words)
    for linear, weight in zip(attention.linear, (queries, keys_and_values, output), strict=True):
        _linear(linear, weight)
    projection = np.zeros((words, width), np.float32)
    projection[:, said] = SHARP * np.eye(words)
    _linear(spec.decoder.projection, projection)


def _nothing(layer: Any, width: int) -> None:
    """Let the parts of a layer add nothing to a state."""
    for attention in filter(None, (layer.self_attention, getattr(layer, "attention", None))):
        _normal(attention.layer_norm, width)
        for linear in attention.linear:
            parts = 3 if len(attention.linear) == 2 and linear is attention.linear[0] else 1
            _linear(linear, np.zeros((parts * width, width), np.float32))
    _normal(layer.ffn.layer_norm, width)
    for linear in (layer.ffn.linear_0, layer.ffn.linear_1):
        _linear(linear, np.zeros((width, width), np.float32))


def _normal(norm: Any, width: int) -> None:
    norm.gamma, norm.beta = np.ones(width, np.float32), np.zeros(width, np.float32)


def _linear(linear: Any, weight: np.ndarray) -> None:
    linear.weight, linear.bias = weight, np.zeros(len(weight), np.float32)
