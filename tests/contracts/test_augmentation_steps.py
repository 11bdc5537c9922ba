"""Laws that every augmentation step found in the folder keeps."""

from __future__ import annotations

import doctest
import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from ruamel.yaml import YAML
from sklearn import datasets

from components import catalog
from components.augmentation.config import STEPS, AugmentationConfig
from components.augmentation.draws import Draws
from components.augmentation.step import AugmentationStep, Batch, Facts
from components.features import ModelInput

NAMES = catalog.names(STEPS)
WRITTEN = {
    "back_translation": "back_translation: {translator: translator.py}",
    "cut_mix": "cut_mix: 1",
    "cutout": "cutout: 0.5",
    "feature_dropout": "feature_dropout: {rate: 0.5, inputs: [fare, hour]}",
    "jitter": "jitter: 0.1",
    "mix_up": "mix_up: 1",
    "noise": "noise: {inputs: [fare], stddev: 0.05}",
    "rand_augment": "rand_augment: {magnitude: 9, operations: 2}",
    "random_brightness": "random_brightness: 0.3",
    "random_contrast": "random_contrast: 0.5",
    "random_crop": "random_crop: 0.5",
    "random_deletion": "random_deletion: 0.3",
    "random_flip": "random_flip: horizontal",
    "random_hue": "random_hue: 0.5",
    "random_insertion": "random_insertion: {share: 0.3}",
    "random_rotation": "random_rotation: 0.1",
    "random_saturation": "random_saturation: 0.5",
    "random_shift": "random_shift: {factor: 0.2, fill_mode: nearest}",
    "random_swap": "random_swap: 0.3",
    "random_zoom": "random_zoom: 0.3",
    "scaling": "scaling: 0.1",
    "synonym_replacement": "synonym_replacement: {thesaurus: synonyms.tsv, share: 0.3}",
    "window_slicing": "window_slicing: 0.7",
}
INPUTS = (
    ModelInput("picture", "float32", (24, 20, 3)),
    ModelInput("text", "int64", (12,), 40),
    ModelInput("series", "float32", (16,)),
    ModelInput("fare", "float32"),
    ModelInput("hour", "int64", (1,), 24),
)
WORDS = [None, *(f"w{number}" for number in range(1, 30)), *[None] * 10]
PAIRS = (f"w{number}\tw{number + 1}, w{number + 2}\n" for number in range(1, 30, 2))
THESAURUS = "# word TAB synonyms\n" + "".join(PAIRS)
TRANSLATOR = """
def translate(texts):
    return [" ".join(reversed(text.split())) + " w30 w1" for text in texts]
"""
FILES = {"synonyms.tsv": THESAURUS, "translator.py": TRANSLATOR}
READS = {"back_translation": ("translator.py",), "synonym_replacement": ("synonyms.tsv",)}
CLASSES = 5
ROWS = 512
names = pytest.mark.parametrize("name", NAMES)


def step_of(name: str, **parameters: Any) -> AugmentationStep:
    assert name in WRITTEN, f"write a line for {name} into WRITTEN, so that the laws are tried on it"
    step = AugmentationConfig.model_validate([YAML(typ="safe").load(WRITTEN[name])]).steps[0]
    return type(step).model_validate({**step.model_dump(mode="json")[name], **parameters})


def inputs_of(step: AugmentationStep) -> tuple[ModelInput, ...]:
    """Return the inputs that the law is tried on: all, except for steps that mix whole rows."""
    return tuple(each for each in INPUTS if not step.mixes or each.name == "picture")


def facts_of(step: AugmentationStep, task: Any = "multiclass_classification") -> Facts:
    facts = Facts(inputs_of(step), task, CLASSES, lambda name: WORDS, FILES)
    rows = {name: values.numpy() for name, values in batch_of(step).features.items()}
    return replace(facts, prepared={step: step.prepare(lambda: iter([rows]), facts, lambda done, total: None)})


def batch_of(step: AugmentationStep, rows: int = ROWS, *, weighted: bool = False) -> Batch:
    random = np.random.default_rng(3)
    photographs = np.stack(datasets.load_sample_images().images).astype("float32") / 255
    corners = random.integers(0, [2, 380, 600], (rows, 3))
    pictures = np.stack([photographs[which, y : y + 24, x : x + 20] for which, y, x in corners]) if rows else None
    lengths = random.integers(2, 11, (rows, 1))
    values = {
        "picture": np.zeros((0, 24, 20, 3), "float32") if pictures is None else pictures,
        "text": np.where(np.arange(12) < lengths, random.integers(1, 40, (rows, 12)), 0),
        "series": np.cumsum(random.normal(size=(rows, 16)), axis=1).astype("float32"),
        "fare": random.normal(size=(rows, 1)).astype("float32"),
        "hour": random.integers(0, 23, (rows, 1)),
    }
    label = random.integers(0, CLASSES, (rows, 1))
    weight = tf.constant(random.uniform(0.5, 2, rows).astype("float32")) if weighted else None
    features = {each.name: tf.constant(values[each.name]) for each in inputs_of(step)}
    return Batch(features, tf.constant(label), weight)


def applied(step: AugmentationStep, batch: Batch | None = None, seed: int = 1, facts: Facts | None = None) -> Batch:
    return step.apply(batch or batch_of(step), Draws(tf.constant([seed, 0], tf.int64)), facts or facts_of(step))


def changed_rows(step: AugmentationStep, before: Batch, after: Batch) -> np.ndarray:
    differs = np.zeros(ROWS, bool)
    for each in step.chosen(inputs_of(step)):
        old, new = before.features[each.name].numpy(), after.features[each.name].numpy()
        differs |= (np.abs(old - new) > 1e-5).reshape(ROWS, -1).any(axis=1)
    return differs


@names
def test_a_step_says_what_it_is_when_to_use_it_and_where_it_comes_from(name: str) -> None:
    plugin = catalog.load(STEPS, name, AugmentationStep)
    written = " ".join((plugin.__doc__ or "").split())
    for part in ("Use it", "Do not use", "Args:", "Shapes:", "Reference:", "Example:", "fraction:"):
        assert part in written, part
    assert all(f"{field}:" in written for field in plugin.model_fields)


@names
def test_the_example_in_a_steps_docstring_is_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"{STEPS}.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


@names
def test_a_step_comes_back_from_its_own_dump(name: str) -> None:
    config = AugmentationConfig.model_validate([step_of(name).model_dump(mode="json")])
    assert config.steps[0] == step_of(name)


@names
def test_a_step_refuses_an_unknown_parameter_and_impossible_shares(name: str) -> None:
    for wrong in ({"no_such_parameter": 1}, {"fraction": 0}, {"fraction": 1.5}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            step_of(name, **wrong)


@names
def test_shapes_and_types_stay_and_all_values_are_finite(name: str) -> None:
    step = step_of(name)
    before = batch_of(step)
    after = applied(step, before)
    assert list(after.features) == list(before.features)
    for each, old in before.features.items():
        assert (after.features[each].shape, after.features[each].dtype) == (old.shape, old.dtype)
        assert np.isfinite(after.features[each].numpy()).all()


@names
def test_ids_stay_in_their_range_and_padding_stays_behind_the_words(name: str) -> None:
    after = applied(step_of(name)).features
    for each in inputs_of(step_of(name)):
        if each.cardinality is not None:
            assert after[each.name].numpy().min() >= 0
            assert after[each.name].numpy().max() < each.cardinality
    if "text" in after:
        is_word = after["text"].numpy() != 0
        assert (np.diff(is_word.astype(int), axis=1) <= 0).all()
        assert is_word.any(axis=1).all()


@names
def test_a_step_really_changes_what_it_chooses_and_nothing_else(name: str) -> None:
    step = step_of(name)
    before = batch_of(step)
    after = applied(step, before)
    assert changed_rows(step, before, after).mean() > 0.4
    chosen = {each.name for each in step.chosen(inputs_of(step))}
    for each in set(before.features) - chosen:
        np.testing.assert_array_equal(before.features[each], after.features[each])


@pytest.mark.parametrize("name", [name for name in NAMES if not step_of(name).mixes])
def test_each_row_changes_in_a_way_of_its_own(name: str) -> None:
    step = step_of(name)
    first = batch_of(step)
    same = replace(first, features={each: tf.repeat(values[:1], ROWS, 0) for each, values in first.features.items()})
    for each in step.chosen(INPUTS):
        rows = applied(step, same).features[each.name].numpy().reshape(ROWS, -1)
        assert len(np.unique(rows, axis=0)) > 1, each.name


@names
def test_a_seed_gives_the_same_batch_again_and_another_one_gives_another(name: str) -> None:
    step = step_of(name)
    first, again, other = applied(step, seed=1), applied(step, seed=1), applied(step, seed=2)
    for each in first.features:
        np.testing.assert_array_equal(first.features[each], again.features[each])
    np.testing.assert_array_equal(first.label, again.label)
    assert changed_rows(step, first, other).any()


@names
def test_a_step_does_in_a_graph_what_it_does_outside(name: str) -> None:
    step = step_of(name)
    before, facts = batch_of(step), facts_of(step)
    shapes = {each: (values.shape[1:], values.dtype) for each, values in before.features.items()}
    signature = {each: tf.TensorSpec([None, *shape], dtype) for each, (shape, dtype) in shapes.items()}

    @tf.function(autograph=False, input_signature=[signature, tf.TensorSpec([None, 1], tf.int64)])
    def traced(features: Any, label: Any) -> Any:
        found = step.apply(Batch(features, label), Draws(tf.constant([1, 0], tf.int64)), facts)
        return found.features, found.label

    features, label = traced(before.features, before.label)
    after = applied(step, before)
    for each, values in after.features.items():
        # not all: where a value is rounded to a level, the last bit decides
        assert np.isclose(features[each], values, atol=1e-5).mean() > 0.999
    np.testing.assert_allclose(label, after.label, atol=1e-6)


@names
def test_the_fraction_is_obeyed(name: str) -> None:
    before = batch_of(step_of(name))
    whole = changed_rows(step_of(name), before, applied(step_of(name), before))
    part = changed_rows(step_of(name), before, applied(step_of(name, fraction=0.3), before))
    assert part.mean() == pytest.approx(0.3 / step_of(name).fraction * whole.mean(), abs=0.08)


@names
def test_a_label_stays_unless_the_step_mixes(name: str) -> None:
    step = step_of(name)
    before = batch_of(step, weighted=True)
    after = applied(step, before)
    if not step.mixes:
        assert after.label is before.label
        assert after.weight is before.weight
        return
    label = after.label.numpy()
    assert label.shape == (ROWS, CLASSES)
    np.testing.assert_allclose(label.sum(axis=1), 1, atol=1e-5)
    assert ((label > 0.01).sum(axis=1) == 2).mean() > 0.4
    assert after.weight is not None
    assert after.weight.shape == (ROWS,)


@names
def test_a_batch_of_one_row_and_one_without_rows_pass_through(name: str) -> None:
    for rows in (0, 1):
        after = applied(step_of(name), batch_of(step_of(name), rows))
        assert {len(values) for values in after.features.values()} == {rows}
        assert len(after.label) == rows


@names
def test_a_step_refuses_inputs_that_it_cannot_change(name: str) -> None:
    step = step_of(name)
    assert step.refuses(inputs_of(step)) is None
    if step.mixes:
        received, expected, _ = step.refuses(INPUTS) or ("", "", "")
        assert received == f"{name} with input 'text', which holds ids of words"
        assert "since whole rows are mixed" in expected
        return
    fitting = step_of(name, inputs=None).chosen(INPUTS)
    others = [each for each in INPUTS if each not in fitting]
    received, expected, _ = step_of(name, inputs=None).refuses(others) or ("", "", "")
    assert received == f"{name} without an input for it"
    assert expected.startswith(f"{name} takes ")
    wrong = next(each for each in others if step_of(name, inputs=[each.name]).refuses([each]))
    received, _, remedy = step_of(name, inputs=[wrong.name]).refuses(INPUTS) or ("", "", "")
    assert f"{name} on {wrong.name!r}, which holds " in received
    assert remedy.startswith("Name one of ")
    misspelt = fitting[0].name + "s"
    received, _, remedy = step_of(name, inputs=[misspelt]).refuses(INPUTS) or ("", "", "")
    assert (received, remedy) == (f"input {misspelt!r}", f"Did you mean {fitting[0].name!r}?")


@names
def test_a_step_names_the_files_it_reads(name: str) -> None:
    assert step_of(name).files() == READS.get(name, ())
    for file in step_of(name).files():
        assert step_of(name).check_file(file, FILES[file]) is None
        received, expected, remedy = step_of(name).check_file(file, "no such thing = (") or ("", "", "")
        assert file in received
        assert expected
        assert remedy
