"""What the image steps make of real pictures, against numpy and Pillow: at training and from bytes at serving."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn import datasets

from components.features import FeatureKind
from components.transform.config import TransformConfig
from tests.factories import transforms

SIDE = 24
CHAINS: dict[str, list[Any]] = {
    "pixels": [{"decode_image": {"size": [40, 64]}}],
    "grey": [{"decode_image": {"size": [40, 64], "channels": 1}}],
    "grey_later": [{"decode_image": {"size": [40, 64]}}, "grayscale"],
    "cropped": [{"decode_image": {"size": SIDE, "fit": "crop"}}],
    "padded": [{"decode_image": {"size": SIDE, "fit": "pad"}}],
    "smaller": [{"decode_image": {"size": [40, 64]}}, {"resize": [20, 32]}],
    "unit": [{"decode_image": [40, 64]}, {"rescale": {"min": -1}}],
    "standard": [{"decode_image": [40, 64]}, "z_score_channels"],
    "edges": [{"decode_image": {"size": [40, 64], "channels": 1}}, "sobel"],
    "gradients": [{"decode_image": [40, 64]}, {"sobel": "gradients"}],
    "hog": [{"decode_image": [40, 64]}, {"hog": {"cell": 8, "block": 2}}],
}
WIDE = 20  # rows before that are 40 x 64 pixels in colour, those behind it are of other sizes and kinds


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def tiles() -> list[np.ndarray]:
    """Parts of the two photographs that scikit-learn ships, 40 x 64 pixels in colour."""
    photos = datasets.load_sample_images().images
    random = np.random.default_rng(0)
    places = [(photos[i % 2], *random.integers(0, (380, 570))) for i in range(WIDE)]
    return [photo[top : top + 40, left : left + 64] for photo, top, left in places]


def odd_files(tile: Image.Image) -> dict[str, bytes | None]:
    whole = encoded(tile)
    return {
        "jpeg": encoded(tile, "JPEG", quality=95),
        "grey png": encoded(tile.convert("L")),
        "opaque png": encoded(tile.convert("RGBA")),
        "palette png": encoded(tile.quantize(200)),
        "gif": encoded(tile, "GIF"),
        "bmp": encoded(tile, "BMP"),
        "large": encoded(tile.resize((300, 250))),
        "one pixel": encoded(tile.resize((1, 1))),
        "cut off": whole[: len(whole) // 2],
        "text": b"GIF of a cat, they said",
        "missing": None,
    }


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return tiles()


@pytest.fixture(scope="module")
def odd(pictures: list[np.ndarray]) -> dict[str, bytes | None]:
    return odd_files(Image.fromarray(pictures[0]))


@pytest.fixture(scope="module")
def rows(pictures: list[np.ndarray], odd: dict[str, bytes | None]) -> pa.RecordBatch:
    files = pa.array([*(encoded(Image.fromarray(one)) for one in pictures), *odd.values()], pa.binary())
    target = pa.array(np.arange(len(files), dtype=np.float32))
    return pa.record_batch({**dict.fromkeys(CHAINS, files), "target": target})


@pytest.fixture(scope="module")
def made(rows: pa.RecordBatch, tmp_path_factory: pytest.TempPathFactory) -> transforms.Made:
    config = transforms.config_of(dict.fromkeys(CHAINS, "image"), CHAINS)
    splits = {"train": rows.slice(0, WIDE), "eval": rows}
    return transforms.run_in_process(tmp_path_factory.mktemp("images"), config, splits)


@pytest.fixture(scope="module")
def values(made: transforms.Made) -> dict[str, np.ndarray]:
    """The eval split, all rows, in the shape that the model receives."""
    from components.transform.outputs import model_inputs

    found = made.values("eval")
    return {each.name: found[each.name].reshape(-1, *each.shape) for each in model_inputs(made.graph)}


def test_a_png_of_the_right_size_comes_out_pixel_by_pixel(
    values: dict[str, np.ndarray], pictures: list[np.ndarray]
) -> None:
    np.testing.assert_allclose(values["pixels"][:WIDE], np.stack(pictures).astype(np.float32), atol=1e-3)


def test_every_kind_of_file_shows_the_same_picture(
    values: dict[str, np.ndarray], pictures: list[np.ndarray], odd: dict[str, bytes | None]
) -> None:
    found = dict(zip(odd, values["pixels"][WIDE:], strict=True))
    for name in ("opaque png", "bmp"):
        np.testing.assert_allclose(found[name], pictures[0], atol=1e-3, err_msg=name)
    for name in ("jpeg", "gif", "palette png"):
        assert np.abs(found[name] - pictures[0]).mean() < 12, name
    assert np.abs(found["large"] - pictures[0]).mean() < 12
    assert np.ptp(found["one pixel"], axis=(0, 1)).max() < 1e-3
    assert np.abs(found["one pixel"][0, 0] - pictures[0].mean((0, 1))).max() < 40


def test_grey_is_the_brightness_also_of_files_that_are_grey(
    values: dict[str, np.ndarray], pictures: list[np.ndarray], odd: dict[str, bytes | None]
) -> None:
    expected = np.stack(pictures).astype(np.float64) @ [0.2989, 0.5870, 0.1140]
    np.testing.assert_allclose(values["grey"][:WIDE, ..., 0], expected, atol=0.05)
    np.testing.assert_allclose(values["grey_later"], values["grey"], atol=0.05)
    grey_png = WIDE + list(odd).index("grey png")
    image = np.asarray(Image.fromarray(pictures[0]).convert("L"), np.float32)
    np.testing.assert_allclose(values["grey"][grey_png, ..., 0], image, atol=1e-3)


@pytest.mark.parametrize("name", ["cut off", "text", "missing"])
def test_what_is_no_image_is_all_zeros_and_spares_the_other_rows(
    values: dict[str, np.ndarray], odd: dict[str, bytes | None], name: str
) -> None:
    row = WIDE + list(odd).index(name)
    for chain, found in values.items():
        assert not found[row].any(), chain
    assert values["pixels"][: row - 1].any(axis=(1, 2, 3)).all() or name != "cut off"


def test_an_image_is_cut_or_padded_to_the_aspect_ratio(
    values: dict[str, np.ndarray], pictures: list[np.ndarray]
) -> None:
    picture = Image.fromarray(pictures[3])
    middle = np.asarray(picture.crop((12, 0, 52, 40)).resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    assert np.abs(values["cropped"][3] - middle).mean() < 1.5
    assert not values["padded"][3][:4].any()
    assert not values["padded"][3][-4:].any()
    whole = np.asarray(picture.resize((SIDE, 15), Image.Resampling.BILINEAR), np.float32)
    assert np.abs(values["padded"][3][4:19] - whole).mean() < 3


def test_all_pixels_count_when_an_image_shrinks(values: dict[str, np.ndarray], pictures: list[np.ndarray]) -> None:
    expected = [np.asarray(Image.fromarray(one).resize((32, 20), Image.Resampling.BILINEAR)) for one in pictures]
    assert np.abs(values["smaller"][:WIDE] - np.stack(expected)).max() < 1.5  # Pillow rounds twice


def test_black_and_white_come_to_the_ends_of_the_range(
    values: dict[str, np.ndarray], pictures: list[np.ndarray]
) -> None:
    expected = np.stack(pictures).astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(values["unit"][:WIDE], expected, atol=1e-4)


def test_channels_are_standardised_over_all_training_pixels(
    made: transforms.Made, values: dict[str, np.ndarray], pictures: list[np.ndarray]
) -> None:
    pixels = np.stack(pictures).astype(np.float64)
    learned = made.summary["chains"]["standard"]["learned"]
    np.testing.assert_allclose(learned["mean"], pixels.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(learned["standard_deviation"], pixels.std((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(values["standard"][:WIDE].mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(values["standard"][:WIDE].std((0, 1, 2)), 1, atol=1e-3)


def sobel(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sobel's masks, one pixel at a time."""
    padded = np.pad(image, 1, mode="reflect")
    mask = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    height, width = image.shape
    found = np.zeros((2, height, width))
    for row in range(height):
        for column in range(width):
            part = padded[row : row + 3, column : column + 3]
            found[:, row, column] = (part * mask).sum(), (part * mask.T).sum()
    return found[0], found[1]


def test_edges_are_those_of_sobels_masks(values: dict[str, np.ndarray]) -> None:
    down, across = sobel(values["grey"][5, ..., 0].astype(np.float64))
    np.testing.assert_allclose(values["edges"][5, ..., 0], np.hypot(down, across), atol=0.05)
    red_down, red_across = sobel(values["pixels"][5, ..., 0].astype(np.float64))
    np.testing.assert_allclose(values["gradients"][5, ..., 0], red_down, atol=0.05)
    np.testing.assert_allclose(values["gradients"][5, ..., 1], red_across, atol=0.05)


def histogram_of_oriented_gradients(image: np.ndarray, cell: int, block: int, bins: int) -> np.ndarray:
    """Dalal and Triggs as scikit-image computes it, one pixel at a time."""
    height, width, _ = image.shape
    cells = np.zeros((height // cell, width // cell, bins))
    for row in range(cells.shape[0] * cell):
        for column in range(cells.shape[1] * cell):
            inside_down, inside_across = 0 < row < height - 1, 0 < column < width - 1
            down = image[row + 1, column] - image[row - 1, column] if inside_down else np.zeros(3)
            across = image[row, column + 1] - image[row, column - 1] if inside_across else np.zeros(3)
            length = np.hypot(down, across)
            best = length.argmax()
            angle = np.degrees(np.arctan2(down[best], across[best])) % 180
            cells[row // cell, column // cell, min(int(angle * bins / 180), bins - 1)] += length[best] / cell**2
    found = []
    for row in range(cells.shape[0] - block + 1):
        for column in range(cells.shape[1] - block + 1):
            vector = cells[row : row + block, column : column + block].ravel()
            vector = np.minimum(vector / np.sqrt((vector**2).sum() + 1e-10), 0.2)
            found.append(vector / np.sqrt((vector**2).sum() + 1e-10))
    return np.concatenate(found)


def test_directions_are_counted_as_dalal_and_triggs_do(
    values: dict[str, np.ndarray], pictures: list[np.ndarray]
) -> None:
    for index in range(3):
        expected = histogram_of_oriented_gradients(pictures[index].astype(np.float64), cell=8, block=2, bins=9)
        assert values["hog"].shape[1] == len(expected) == 4 * 7 * 36
        # a direction on the border of two bins may fall into either
        assert np.abs(values["hog"][index] - expected).mean() < 2e-4


def test_directions_tell_digits_apart_where_few_pixels_would_not() -> None:
    """Nearest neighbours on 100 digits per method: what histograms are for."""
    import tensorflow as tf

    from components.transform.column import Column
    from components.transform.steps.hog import Hog

    images, target = datasets.load_digits(return_X_y=True)
    images = tf.image.resize(images.reshape(-1, 8, 8, 1).astype(np.float32), (32, 32))
    shifted = tf.roll(images, shift=(2, 2), axis=(1, 2)) * 0.3  # moved, and in worse light
    present = tf.ones((len(target), 1), tf.bool)

    def accuracy(known: np.ndarray, unknown: np.ndarray) -> float:
        distance = ((unknown[:, None, :] - known[None]) ** 2).sum(2)
        return float((target[:100][distance.argmin(1)] == target[100:600]).mean())

    def features(pixels: tf.Tensor) -> np.ndarray:
        return Hog(cell=8).apply(Column("digit", "image", pixels, present)).values.numpy()

    by_pixels = accuracy(images.numpy().reshape(-1, 1024)[:100], shifted.numpy().reshape(-1, 1024)[100:600])
    by_directions = accuracy(features(images)[:100], features(shifted)[100:600])
    assert by_directions > by_pixels + 0.2
    assert by_directions > 0.7


def test_a_request_of_bytes_gets_the_pixels_that_training_read(
    made: transforms.Made, rows: pa.RecordBatch, values: dict[str, np.ndarray]
) -> None:
    requests = [{k: v for k, v in row.items() if k != "target"} for row in rows.slice(WIDE - 2).to_pylist()]
    for index, answer in enumerate(made.served(requests), start=WIDE - 2):
        for chain, value in answer.items():
            np.testing.assert_allclose(value[0], values[chain][index], rtol=3e-7, atol=1e-5, err_msg=chain)


def test_both_engines_write_the_same(rows: pa.RecordBatch, tmp_path: Any) -> None:
    config = transforms.config_of({"standard": "image", "hog": "image"}, {k: CHAINS[k] for k in ("standard", "hog")})
    splits = {"train": rows.slice(0, WIDE), "eval": rows.slice(WIDE)}
    found = {}
    for engine in ("arrow", "beam"):
        (tmp_path / engine).mkdir()
        found[engine] = transforms.run_executor(tmp_path / engine, config, splits, engine)
    for chain in ("standard", "hog"):
        for split in splits:
            ours, beams = (np.sort(made.values(split)[chain], axis=0) for made in found.values())
            np.testing.assert_allclose(ours, beams, atol=1e-4)
    assert found["arrow"].summary["chains"]["hog"] == found["beam"].summary["chains"]["hog"]


IMAGE = {"photo": FeatureKind.IMAGE}


@pytest.mark.parametrize(
    ("chain", "received", "expected"),
    [
        (["z_score"], "z_score on the bytes of image files", "decode_image"),
        ([], "a chain without a step", "decode_image as its first step"),
        ([{"decode_image": 8}, "z_score"], "z_score on images", "sobel"),
        ([{"decode_image": 8}, "hog"], "hog orientations: 9, cell: 8, block: 2", "at least 16 x 16 pixels"),
        ([{"decode_image": {"size": 8, "channels": 1}}, "grayscale"], "grayscale without parameters", "3 channels"),
        ([{"decode_image": 1}, "sobel"], "sobel output: magnitude", "at least 2 x 2 pixels"),
    ],
)
def test_a_chain_that_cannot_be_is_refused_before_the_run(chain: list[Any], received: str, expected: str) -> None:
    (problem,) = TransformConfig.model_validate({"photo": chain}).problems(IMAGE)
    assert problem.received == received
    assert expected in problem.expected


def test_the_size_of_an_image_is_known_before_the_data() -> None:
    chains = {"photo": [{"decode_image": 30}, {"sobel": "gradients"}, {"resize": [10, 20]}]}
    (expected,) = TransformConfig.model_validate(chains).expected_inputs(IMAGE)
    assert expected.shape == (10, 20, 6)
    (default,) = TransformConfig.model_validate({}).with_defaults(IMAGE).expected_inputs(IMAGE)
    assert default.shape == (64, 64, 3)


def test_a_column_of_numbers_is_no_image(tmp_path: Any) -> None:
    from components.errors import ComponentError

    rows = pa.record_batch({"photo": pa.array([1.0, 2.0]), "target": pa.array([0.0, 1.0])})
    config = transforms.config_of({"photo": "image"}, {"photo": [{"decode_image": 8}]})
    with pytest.raises(ComponentError, match="'photo' is declared image, but the data hold numbers"):
        transforms.run_in_process(tmp_path, config, {"train": rows})
