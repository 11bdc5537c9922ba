"""Parameters of model families that make tests quick."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "linear": {},
    "mlp": {"hidden_units": [8, 4]},
    "wide_and_deep": {"hidden_units": [8, 4]},
    "cnn": {"filters": [4, 6], "hidden_units": [8]},
    "resnet": {"filters": [4, 6], "blocks": 1},
    "text_cnn": {"filters": 8, "kernel_sizes": [2, 4], "hidden_units": [8]},
    "lstm": {"units": [8]},
    "bi_lstm": {"units": [8]},
    "gru": {"units": [8, 6]},
    "temporal_cnn": {"filters": [8, 6]},
    "transformer": {"width": 8, "heads": 2, "feedforward_units": 16},
}
"""Parameters that make a family quick; one that is not here is built as it is."""

LEARNERS: dict[str, dict[str, Any]] = {
    "mlp": {"hidden_units": [32]},
    "wide_and_deep": {"hidden_units": [32]},
    "cnn": {"filters": [8, 16], "hidden_units": [32]},
    "resnet": {"filters": [8, 16], "blocks": 1},
    "text_cnn": {"filters": 24, "kernel_sizes": [2, 4]},
    "lstm": {"units": [24]},
    "bi_lstm": {"units": [24]},
    "gru": {"units": [24]},
    "temporal_cnn": {"filters": [16, 16, 16]},
    "transformer": {"width": 16, "heads": 2, "layers": 1, "feedforward_units": 32},
}
"""Parameters large enough to learn something in a few seconds."""
