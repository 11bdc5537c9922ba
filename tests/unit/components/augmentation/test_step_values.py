"""What single augmentation steps make of real pictures, of texts and of series, next to other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from scipy import ndimage
from sklearn import datasets

from components.augmentation import policy
from components.augmentation.config import AugmentationConfig
from components.augmentation.draws import Draws
from components.augmentation.step import Batch, Facts
from components.augmentation.synonyms import Synonyms
from components.augmentation.thesaurus import parsed
from components.errors import ComponentError
from components.features import ModelInput

PHOTOGRAPHS = np.stack([image[100:164, 200:264] for image in datasets.load_sample_images().images])
IMAGES = PHOTOGRAPHS.astype("float32") / 255
ROWS = 200


def step_of(written: Any) -> Any:
    return AugmentationConfig.model_validate([written]).steps[0]


def draws(seed: int = 0) -> Draws:
    return Draws(tf.constant([seed, 0], tf.int64))


def changed(written: Any, values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return what a step makes of one input."""
    model_input = ModelInput("x", str(values.dtype), values.shape[1:], None if values.dtype.kind == "f" else 50)
    facts = Facts((model_input,), "binary_classification", 2, lambda name: [], {})
    batch = Batch({"x": tf.constant(values)}, tf.zeros([len(values), 1], tf.int64))
    step = step_of(written)
    assert step.refuses([model_input]) is None
    return step.apply(batch, draws(seed), facts).features["x"].numpy()  # type: ignore[no-any-return]


# -- images -----------------------------------------------------------------------------------------------------------


def test_a_horizontal_flip_mirrors_half_of_the_images():
    images = np.repeat(IMAGES[:1], ROWS, 0)
    found = changed("random_flip", images)
    mirrored = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (found == images).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 0.4 < mirrored.mean() < 0.6
    both = changed({"random_flip": "both"}, images)
    assert len(np.unique(both.reshape(ROWS, -1), axis=0)) == 4


def test_a_shift_moves_by_whole_pixels_and_fills_with_the_value():
    images = np.repeat(IMAGES[:1], ROWS, 0)
    found = changed({"random_shift": {"factor": 0.05, "fill_mode": "constant", "fill_value": 0.25}}, images)
    expected = {
        (down, right): ndimage.shift(images[0], (down, right, 0), order=0, cval=0.25)
        for down in range(-3, 4)
        for right in range(-3, 4)
    }
    matches = [[place for place, image in expected.items() if np.allclose(image, one, atol=1e-5)] for one in found]
    assert all(len(each) == 1 for each in matches)
    assert len({each[0] for each in matches}) > 40


def test_a_rotation_turns_about_the_centre_and_keeps_to_its_factor():
    image = np.zeros((1, 65, 65, 1), "float32")
    image[0, 32, 52] = 1
    found = changed({"random_rotation": {"factor": 0.1, "fill_mode": "constant"}}, np.repeat(image, ROWS, 0))
    centres = np.array([ndimage.center_of_mass(each[:, :, 0]) for each in found]) - 32
    np.testing.assert_allclose(np.hypot(*centres.T), 20, atol=0.6)
    angles = np.degrees(np.arctan2(*centres.T))
    assert np.abs(angles).max() < 37
    assert angles.max() > 25
    assert angles.min() < -25


def test_a_zoom_keeps_the_centre_and_its_sizes_lie_around_one():
    image = np.zeros((1, 65, 65, 1), "float32")
    image[0, 22:43, 22:43] = 1
    found = changed({"random_zoom": {"factor": 0.3, "fill_mode": "constant"}}, np.repeat(image, ROWS, 0))
    sizes = np.sqrt(found.sum(axis=(1, 2, 3))) / 21
    assert 0.68 < sizes.min() < 0.8
    assert 1.2 < sizes.max() < 1.32
    centres = np.array([ndimage.center_of_mass(each[:, :, 0]) for each in found])
    np.testing.assert_allclose(centres, 32, atol=0.1)


def test_a_crop_shows_a_part_of_the_image_that_is_as_large_as_it_says():
    rows, columns = np.mgrid[0:64, 0:64].astype("float32")
    image = np.stack([rows, columns], axis=-1)[None]
    found = changed({"random_crop": {"min_area": 0.5}}, np.repeat(image, ROWS, 0))
    tall, broad = (np.ptp(found[..., axis], axis=(1, 2)) / 63 for axis in (0, 1))
    assert 0.45 < (tall * broad).min() < 0.6
    assert (tall * broad).max() > 0.9
    assert 1.1 < (tall / broad).max() < 4 / 3 + 0.01
    assert found.min() >= 0
    assert found.max() <= 63


def test_a_crop_keeps_proportions_or_squeezes_as_far_as_it_may():
    rows, columns = np.mgrid[0:64, 0:64].astype("float32")
    images = np.repeat(np.stack([rows, columns], axis=-1)[None], ROWS, 0)

    def squeezed(ratio: float) -> np.ndarray:
        found = changed({"random_crop": {"min_area": 0.3, "max_aspect_ratio": ratio}}, images)
        tall, broad = (np.ptp(found[..., axis], axis=(1, 2)) for axis in (0, 1))
        return np.exp(np.abs(np.log(tall / broad)))

    assert squeezed(1.0).max() == pytest.approx(1.0, abs=0.01)
    assert 1.6 < squeezed(2.0).max() < 2.01


@pytest.mark.parametrize(
    ("written", "reference", "middle"),
    [("random_contrast", tf.image.adjust_contrast, 1.0), ("random_hue", tf.image.adjust_hue, 0.0)],
)
def test_colours_change_as_in_tf_image_with_some_factor(written: str, reference: Any, middle: float):
    factor = 0.2
    found = changed({written: factor}, IMAGES, seed=3)
    steps = np.linspace(middle - factor, middle + factor, 801)
    for image, after in zip(IMAGES, found, strict=True):
        errors = [np.abs(np.clip(reference(image, step), 0, 1) - after).max() for step in steps]
        assert min(errors) < 0.01
        assert np.abs(image - after).max() > 0.02


def test_saturation_moves_colours_from_grey_and_leaves_brightness():
    found = changed({"random_saturation": 0.2}, IMAGES * 0.4 + 0.3, seed=1)
    weights = np.float32([0.299, 0.587, 0.114])
    np.testing.assert_allclose(found @ weights, (IMAGES * 0.4 + 0.3) @ weights, atol=1e-5)
    with_grey = np.repeat((IMAGES @ weights)[..., None], 3, -1)
    np.testing.assert_allclose(changed({"random_saturation": 1}, with_grey), with_grey, atol=1e-5)


def test_brightness_is_a_share_of_the_range_and_is_cut_off_there():
    whole = changed({"random_brightness": {"factor": 0.5, "value_range": [0, 255]}}, PHOTOGRAPHS.astype("float32"))
    part = changed({"random_brightness": 0.5}, IMAGES)
    np.testing.assert_allclose(whole / 255, part, atol=1e-5)
    assert (part.min(), part.max()) >= (0, 0)
    assert part.max() <= 1


def test_cutout_covers_a_box_of_its_size():
    found = changed({"cutout": {"size": 0.5, "fill_value": -1}}, np.repeat(IMAGES[:1], ROWS, 0))
    covered = (found == -1).all(axis=-1).sum(axis=(1, 2))
    assert covered.max() == 32 * 32
    assert covered.min() >= 15 * 15
    assert (np.delete(found.reshape(-1, 3), np.flatnonzero((found == -1).all(-1)), 0) >= 0).all()


@pytest.mark.parametrize(
    ("operation", "strength", "reference"),
    [
        (policy.auto_contrast, 1.0, ImageOps.autocontrast),
        (policy.posterize, 1.0, lambda image: ImageOps.posterize(image, 4)),
        (policy.solarize, 0.5, lambda image: ImageOps.solarize(image, 128)),
    ],
)
def test_operations_of_rand_augment_do_what_pillow_does(operation: Any, strength: float, reference: Any):
    found = operation(tf.constant(IMAGES), tf.constant([strength, -strength])).numpy() * 255
    expected = np.stack([np.asarray(reference(Image.fromarray(each))) for each in PHOTOGRAPHS])
    assert np.abs(found - expected).max() <= 1.01


def test_equalize_spreads_the_values_of_a_dark_picture():
    dark = tf.constant(IMAGES * 0.19)
    found = policy.equalize(dark, tf.zeros([2])).numpy()
    # as many in each fifth of the range
    shares = np.histogram(found, bins=5, range=(0, 1))[0] / found.size
    assert shares.min() > 0.1
    assert np.histogram(dark, bins=5, range=(0, 1))[0][1:].sum() == 0
    flat = tf.fill([2, 4, 4, 3], 0.3)
    np.testing.assert_array_equal(policy.equalize(flat, tf.zeros([2])), flat)


@pytest.mark.parametrize("operation", policy.OPERATIONS)
def test_an_operation_of_rand_augment_keeps_to_the_range_and_grows_with_its_strength(operation: Any):
    images = tf.constant(IMAGES)
    near, far = (operation(images, tf.fill([2], strength)).numpy() for strength in (0.2, 1.0))
    assert min(near.min(), far.min()) >= 0
    assert max(near.max(), far.max()) <= 1 + 1e-6
    moved = [float(np.abs(each - IMAGES).mean()) for each in (near, far)]
    fixed = {policy.identity, policy.auto_contrast, policy.equalize}
    assert moved[0] < moved[1] if operation not in fixed else moved[0] == moved[1]


# -- rows mixed with other rows ---------------------------------------------------------------------------------------


def mixed(written: Any, task: Any, label: np.ndarray, weight: np.ndarray | None = None) -> tuple[Any, Batch]:
    # each image is of one value, its row's number, so that what a row is made of can be read from it
    images = np.broadcast_to(np.arange(ROWS, dtype="float32").reshape(-1, 1, 1, 1), (ROWS, 32, 32, 1))
    facts = Facts((ModelInput("x", "float32", (32, 32, 1)),), task, 4, lambda name: [], {})
    batch = Batch({"x": tf.constant(images)}, tf.constant(label), None if weight is None else tf.constant(weight))
    found = step_of(written).apply(batch, draws(), facts)
    return found.features["x"].numpy(), found


@pytest.mark.parametrize("written", [{"mix_up": 1}, {"cut_mix": 1}])
def test_a_label_is_mixed_as_the_image_is(written: Any):
    number = np.arange(ROWS, dtype="float32")[:, None]
    images, found = mixed(written, "regression", number)
    np.testing.assert_allclose(images.mean(axis=(1, 2)), found.label, atol=1e-3)
    assert np.abs(images.mean(axis=(1, 2)) - number).mean() > 10
    if "cut_mix" in written:
        assert max(len(np.unique(each)) for each in images) == 2


def test_classes_become_shares_and_two_steps_can_follow_each_other():
    label = (np.arange(ROWS) % 4)[:, None]
    _, first = mixed({"mix_up": 1}, "multiclass_classification", label)
    assert first.label.shape == (ROWS, 4)
    facts = Facts((ModelInput("x", "float32", (32, 32, 1)),), "multiclass_classification", 4, lambda name: [], {})
    second = step_of({"cut_mix": 1}).apply(first, draws(5), facts)
    np.testing.assert_allclose(second.label.numpy().sum(axis=1), 1, atol=1e-5)
    assert ((second.label.numpy() > 1e-3).sum(axis=1) > 2).any()
    _, binary = mixed({"mix_up": 1}, "binary_classification", label % 2)
    assert binary.label.shape == (ROWS, 1)
    assert ((binary.label.numpy() > 0.1) & (binary.label.numpy() < 0.9)).any()


def test_a_mixed_row_weighs_what_its_parts_weigh():
    label = np.arange(ROWS, dtype="float32")[:, None]
    weight = np.linspace(0, 2, ROWS, dtype="float32")
    images, found = mixed({"mix_up": 1}, "regression", label, weight)
    # weight and label times weight are linear in the row, as the gradient of the loss is
    np.testing.assert_allclose(found.weight, np.interp(images.mean(axis=(1, 2, 3)), label[:, 0], weight), atol=1e-3)
    nothing = mixed({"mix_up": 1}, "regression", label, np.zeros(ROWS, "float32"))[1]
    np.testing.assert_array_equal(nothing.label, label)
    np.testing.assert_array_equal(nothing.weight, np.zeros(ROWS))


def test_a_fraction_leaves_the_other_labels_whole():
    label = (np.arange(ROWS) % 4)[:, None]
    _, found = mixed({"mix_up": {"alpha": 1, "fraction": 0.5}}, "multiclass_classification", label)
    assert 0.5 < (found.label.numpy().max(axis=1) == 1).mean() < 0.75


# -- texts ------------------------------------------------------------------------------------------------------------

TEXT = np.tile(np.int64([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0]]), (ROWS, 1))
WORDS = [None, "the", "big", "cat", "sat", "on", "a", "red", "mat", "and", "slept", "large", "huge", "crimson", None]
THESAURUS = "big\tlarge, huge\nred\tcrimson, blood red\ndog\thound\n"


def of_text(written: Any, text: np.ndarray = TEXT, thesaurus: str = THESAURUS) -> np.ndarray:
    model_input = ModelInput("text", "int64", text.shape[1:], len(WORDS))
    facts = Facts((model_input,), "binary_classification", 2, lambda name: WORDS, {"words.tsv": thesaurus})
    return step_of(written).augment(tf.constant(text), draws(), model_input, facts).numpy()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("share", "moved"), [(0.05, 2), (0.2, 4), (0.9, 10)])
def test_a_swap_moves_pairs_of_words_and_loses_none(share: float, moved: int):
    found = of_text({"random_swap": share})
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(TEXT, axis=1))
    assert set((found != TEXT).sum(axis=1)) == {moved}
    np.testing.assert_array_equal(found[:, 10:], 0)
    single = np.int64([[7, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(of_text({"random_swap": 0.5}, single), single)


def test_a_deletion_keeps_the_order_and_at_least_one_word():
    found = of_text({"random_deletion": 0.3})
    left = (found != 0).sum(axis=1)
    assert left.mean() == pytest.approx(7, abs=0.3)
    assert all((np.diff(row[:count]) > 0).all() for row, count in zip(found, left, strict=True))
    assert ((of_text({"random_deletion": 0.99}) != 0).sum(axis=1) >= 1).all()


def test_an_insertion_adds_words_of_the_text_or_synonyms_of_them():
    found = of_text({"random_insertion": {"share": 0.2}})
    assert set((found != 0).sum(axis=1)) == {12}
    for row in found:
        values, counts = np.unique(row[row != 0], return_counts=True)
        assert (list(values), counts.max()) == (list(range(1, 11)), 2)
        assert (np.diff(row[np.sort(np.unique(row, return_index=True)[1])][:3]) > -10).all()
    synonyms = of_text({"random_insertion": {"share": 0.2, "thesaurus": "words.tsv"}})
    added = [sorted(set(row) - set(TEXT[0])) for row in synonyms]
    assert {each for row in added for each in row} == {11, 12, 13}
    assert all(np.isin(TEXT[0], row).all() for row in synonyms)
    full = np.tile(np.arange(1, 11)[None], (5, 1))
    assert (of_text({"random_insertion": {"share": 0.2}}, full) != 0).all()


def test_only_words_with_a_synonym_are_replaced_and_by_one_of_theirs():
    found = of_text({"synonym_replacement": {"thesaurus": "words.tsv", "share": 0.1}})
    assert set((found != TEXT).sum(axis=1)) == {1}
    both = of_text({"synonym_replacement": {"thesaurus": "words.tsv", "share": 0.5}})
    assert set(both[:, 1]) == {11, 12}
    assert set(both[:, 6]) == {13}
    np.testing.assert_array_equal(np.delete(both, [1, 6], axis=1), np.delete(TEXT, [1, 6], axis=1))


def test_a_thesaurus_that_cannot_be_used_is_refused():
    with pytest.raises(ComponentError, match="no word and synonym that are both in the vocabulary of 'text'"):
        of_text({"synonym_replacement": "words.tsv"}, thesaurus="dog\thound\n")
    with pytest.raises(ComponentError, match=r"words\.tsv: line 2 is 'red crimson'; expected a word, a tab"):
        of_text({"synonym_replacement": "words.tsv"}, thesaurus="big\tlarge\nred crimson\n")
    assert parsed("# words\n\nbig\tlarge,\nbig\thuge\n") == {"big": ("large", "huge")}
    assert Synonyms.of({"a": ("a", "b")}, [None, "a", "b"]).synonyms.tolist() == [2]


# -- tables and series ------------------------------------------------------------------------------------------------

SERIES = np.tile(np.sin(np.linspace(0, 9, 50, dtype="float32"))[None], (ROWS, 1))


def test_noise_and_jitter_have_their_standard_deviation():
    numbers = np.zeros((4000, 1), "float32")
    assert changed({"noise": 0.05}, numbers).std() == pytest.approx(0.05, rel=0.05)
    assert (changed({"jitter": 0.03}, SERIES) - SERIES).std() == pytest.approx(0.03, rel=0.05)


def test_scaling_multiplies_a_whole_series_and_each_feature_by_itself():
    factors = changed({"scaling": 0.1}, SERIES)[:, 1:] / SERIES[:, 1:]
    np.testing.assert_allclose(factors, factors[:, :1] * np.ones_like(factors), rtol=1e-3)
    assert factors[:, 0].std() == pytest.approx(0.1, rel=0.15)
    several = changed({"scaling": 0.1}, np.ones((ROWS, 7, 2), "float32"))
    assert (np.ptp(several, axis=1) == 0).all()
    assert (several[:, 0, 0] != several[:, 0, 1]).all()


def test_a_window_slice_is_a_stretched_part():
    line = np.tile(np.arange(50, dtype="float32")[None], (ROWS, 1))
    found = changed({"window_slicing": 0.8}, line)
    np.testing.assert_allclose(np.diff(found, axis=1), 0.8, atol=1e-3)
    assert found.min() >= 0
    assert found.max() <= 49
    assert np.ptp(found[:, 0]) > 8


def test_hidden_features_get_the_value_that_stands_for_nothing():
    numbers = np.full((4000, 1), 3, "float32")
    hidden = changed({"feature_dropout": 0.2}, numbers)
    assert set(np.unique(hidden)) == {0, 3}
    assert (hidden == 0).mean() == pytest.approx(0.2, abs=0.02)
    ids = changed({"feature_dropout": 0.2}, np.full((4000, 1), 3))
    assert set(np.unique(ids)) == {3, 49}
    vectors = changed({"feature_dropout": 0.2}, np.ones((4000, 5), "float32"))
    assert set(vectors.sum(axis=1)) == {0, 5}
