"""`sluice init` writes a spec that is right for the folder of images it saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import SpecError
from components.features import FeatureKind
from pipelines.spec import load_spec
from pipelines.starter import write_starter


def images(folder: Path, counts: dict[str, int], height: int = 20, width: int = 20, form: str = "colours") -> Path:
    """Write noise as PNG files of each class."""
    draw = np.random.default_rng(3)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = draw.integers(0, 255, (height, width, 3), dtype=np.uint8)
            if form == "grey":
                pixels = np.repeat(pixels[..., :1], 3, axis=2)
            Image.fromarray(pixels[..., 0] if form == "one channel" else pixels).save(folder / name / f"{number}.png")
    return folder


def started(tmp_path: Path, folder: Path, label: str | None = None):
    """Return the spec that was written for a folder, its text and the notes."""
    written = write_starter(tmp_path / "p", folder, label)
    return load_spec(written.path).spec, written.path.read_text(), "\n".join(written.notes)


def decoder(spec):
    return spec.transform.chains["image"][0]


def test_classes_become_the_label_and_files_the_split(tmp_path):
    spec, text, notes = started(tmp_path, images(tmp_path / "My Pets", {"cat": 5, "dog": 4, "eel": 3}))
    assert spec.name == "my_pets"
    assert spec.task == "multiclass_classification"
    assert spec.data.label.columns == ("label",)
    assert spec.data.features == {"image": FeatureKind.IMAGE}
    assert spec.data.split.columns == ("path",)
    assert type(spec.model.root).__name__ == "Cnn"
    assert [type(step).__name__ for step in spec.transform.chains["image"]] == ["DecodeImage", "Rescale"]
    assert "12 images of 3 classes" in notes
    assert "cat (5), dog (4), eel (3)" in text


def test_of_two_classes_the_rarer_one_is_predicted_even_where_folders_are_numbers(tmp_path):
    spec, _, _ = started(tmp_path, images(tmp_path / "d", {"0": 3, "1": 5}))
    assert spec.task == "binary_classification"
    assert spec.data.label.expression == "label == '0'"


def test_a_class_with_a_quote_in_its_name_is_written_as_one(tmp_path):
    spec, _, _ = started(tmp_path, images(tmp_path / "d", {"lion": 3, "lion's cub": 2}))
    assert spec.data.label.expression == 'label == "lion\'s cub"'


@pytest.mark.parametrize(("form", "channels"), [("colours", 3), ("grey", 1), ("one channel", 1)])
def test_colours_are_kept_where_there_are_some(tmp_path, form, channels):
    spec, text, _ = started(tmp_path, images(tmp_path / "d", {"a": 3, "b": 3}, form=form))
    assert decoder(spec).channels == channels
    assert ("random_hue" in text) == (channels == 3)


@pytest.mark.parametrize(
    ("height", "width", "size", "blocks"),
    [(8, 8, (8, 8), 2), (28, 28, (28, 28), 2), (30, 60, (30, 60), 3), (400, 200, (96, 48), 4)],
)
def test_images_keep_their_size_up_to_96_pixels(tmp_path, height, width, size, blocks):
    spec, _, _ = started(tmp_path, images(tmp_path / "d", {"a": 2, "b": 2}, height, width))
    assert tuple(decoder(spec).size) == size
    assert decoder(spec).fit == "stretch"
    assert len(spec.model.root.filters) == blocks


def test_images_of_several_sizes_keep_their_proportions(tmp_path):
    images(tmp_path / "d", {"a": 3}, 20, 20)
    spec, text, notes = started(tmp_path, images(tmp_path / "d", {"b": 2}, 10, 40))
    assert decoder(spec).fit == "pad"
    assert "20 x 20 at the median" in notes
    assert "20 x 20 at the median" in text


def test_the_augmentation_in_comments_is_right_without_its_comment_signs(tmp_path):
    written = write_starter(tmp_path / "p", images(tmp_path / "d", {"a": 3, "b": 3}))
    assert not load_spec(written.path).spec.augmentation.steps
    lines = written.path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("# augmentation:"))
    last = lines.index("", first)
    lines[first:last] = [line.removeprefix("#").removeprefix(" ") for line in lines[first:last]]
    written.path.write_text("\n".join(lines))
    names = [type(step).__name__ for step in load_spec(written.path).spec.augmentation.steps]
    assert names == ["RandomShift", "RandomRotation", "RandomZoom", "RandomFlip", "RandomHue"]


def test_a_file_that_is_no_image_is_left_to_the_run(tmp_path):
    folder = images(tmp_path / "d", {"a": 3, "b": 3})
    (folder / "a" / "0.png").write_bytes(b"no image")
    assert "6 images" in started(tmp_path, folder)[2]


def test_folders_that_cannot_be_a_data_set_are_refused(tmp_path):
    with pytest.raises(SpecError, match="all images are of class 'a'"):
        write_starter(tmp_path / "p", images(tmp_path / "one", {"a": 3}))
    with pytest.raises(SpecError, match="holds images themselves"):
        write_starter(tmp_path / "p", images(tmp_path / "one", {"a": 3}) / "a")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SpecError, match=r"a folder of csv files[\s\S]*--from .*rows\.csv"):
        write_starter(tmp_path / "p", tmp_path / "tables")
    broken = images(tmp_path / "broken", {"a": 1, "b": 1})
    for file in broken.glob("*/*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(SpecError, match="without an image that can be read"):
        write_starter(tmp_path / "p", broken)
    with pytest.raises(SpecError, match="the folder that an image lies in"):
        write_starter(tmp_path / "p", images(tmp_path / "two", {"a": 1, "b": 1}), "path")
    assert not (tmp_path / "p").exists()
