"""The README's table of which example spec uses which technique, made from the specs."""

from __future__ import annotations

from collections.abc import Iterator

from components.cleaning.filtering import describe
from pipelines.spec import LoadedSpec, load_spec

SPECS = ("taxi", "penguins", "heart", "digits", "reuters", "co2")
NUMBERS = "z_score min_max robust_scale log1p yeo_johnson quantile_normal clip_outliers bucketize pca"
ROWS: dict[str, frozenset[str]] = {
    "missing values": frozenset(["fill_missing", "fill_knn", "missing_indicator"]),
    "numbers": frozenset(NUMBERS.split()),
    "categories": frozenset(["vocabulary", "one_hot", "hash", "cross", "target_encode", "ordinal", "multi_hot"]),
    "new columns": frozenset(["compute", "date_parts", "geo_distance", "column"]),
    "text": frozenset(["normalize_text", "tokenize", "ngrams", "tf_idf", "bag_of_words", "token_ids", "word_pieces"]),
    "images": frozenset(["decode_image", "resize", "grayscale", "sobel", "hog", "rescale", "z_score_channels"]),
}


def table() -> str:
    """Return the table as Markdown; a cell names the steps, – where a spec has none of them."""
    specs = {name: load_spec(name) for name in SPECS}
    head = f"| | {' | '.join(f'`{name}`' for name in SPECS)} |\n|---|{'---|' * len(SPECS)}\n"
    cells = {name: _cells(spec) for name, spec in specs.items()}
    rows = list(cells[SPECS[0]])
    return head + "\n".join(f"| {row} | {' | '.join(cells[name][row] for name in SPECS)} |" for row in rows) + "\n"


def _cells(loaded: LoadedSpec) -> dict[str, str]:
    spec = loaded.spec
    used = list(dict.fromkeys(step_name(step) for chain in spec.transform.chains.values() for step in chain))
    found = {"`cleaning`": [step_name(step) for step in spec.cleaning.steps]}
    found |= {row: [name for name in used if name in names] for row, names in ROWS.items()}
    found["series windows"] = ["series"] if spec.data.series else []
    found["`balancing`"] = [step_name(step) for step in (spec.balancing.steps if spec.balancing else ())]
    found["`augmentation`"] = [step_name(step) for step in (spec.augmentation.steps if spec.augmentation else ())]
    found["model family"] = [loaded.source.content["model"]["family"]]
    return {row: ", ".join(_quoted(names)) or "–" for row, names in found.items()}


def step_name(step: object) -> str:
    """Return the name of a step as the YAML has it."""
    return describe(step).split(":")[0].strip()  # type: ignore[arg-type]


def _quoted(names: list[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        yield f"`{name}`"
