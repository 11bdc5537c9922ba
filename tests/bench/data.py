"""The taxi file that TFX ships, sampled up to any number of rows; and trips that are made up."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

TAXI = "examples/chicago_taxi_pipeline/data/simple/data.csv"
TIMESTAMP = 5

PLACES = {"pickup_latitude": 41.9, "pickup_longitude": -87.6, "dropoff_latitude": 41.9, "dropoff_longitude": -87.7}
SIZES = {"payment_type": 6, "company": 150, "vehicle": 12, "weather": 9, "pickup_area": 77, "dropoff_area": 77}
SIZES |= {"pickup_tract": 800, "driver": 5000}
FIRST = ("blue", "city", "star", "new", "old", "lake", "river")
SECOND = ("cab", "taxi", "ride", "line", "fleet", "service", "group", "union", "drive", "road", "car")
NUMBERS = ("fare", "trip_miles", "trip_seconds", "wait_seconds", "start_hour", "start_day", *PLACES)
CATEGORIES = tuple(SIZES)
DUPLICATES = 0.01
RARE = 0.03


def taxi_file() -> Path:
    """Return the CSV file inside the installed tfx package."""
    spec = importlib.util.find_spec("tfx")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("tfx is not installed")
    return Path(spec.submodule_search_locations[0]) / TAXI


def write_sample(rows: int, path: Path, seed: int = 0) -> Path:
    """Write `rows` rows drawn with replacement; the file as it is when it has that many.

    The time stamp, which no feature uses, is made unique, so that no row is another's duplicate.
    """
    lines = taxi_file().read_text().splitlines()
    header, body = lines[0], [line.split(",") for line in lines[1:]]
    picks = np.arange(rows) if rows == len(body) else np.random.default_rng(seed).integers(0, len(body), rows)
    with path.open("w") as file:
        file.write(header + "\n")
        for number, pick in enumerate(picks.tolist()):
            cells = list(body[pick])
            cells[TIMESTAMP] = str(1_400_000_000 + number)
            file.write(",".join(cells) + "\n")
    return path


def trips(rows: int, seed: int = 0) -> pd.DataFrame:
    """Return made-up taxi trips: ten numbers (float32) and eight categories (text), with gaps, outliers and repeats.

    Five percent of the values are missing, but for the places; a hundredth of the fares is far off and a hundredth
    of the rows are other rows again. `started` is a time as text, `big_tip` a label that 3 % of the rows have, and
    `row` a number of each row, which is in no list of features.
    """
    random = np.random.default_rng(seed)
    miles = random.lognormal(1.0, 0.8, rows)
    made: dict[str, np.ndarray] = {
        "trip_miles": miles,
        "trip_seconds": np.round(miles * random.lognormal(5.3, 0.3, rows)),
        "fare": 3.25 + 1.9 * miles + random.gamma(2.0, 1.0, rows),
        "wait_seconds": np.round(random.gamma(2.0, 90.0, rows)),
        "start_hour": random.integers(0, 24, rows),
        "start_day": random.integers(1, 8, rows),
    }
    made["fare"][random.random(rows) < 0.01] *= 40
    for name, centre in PLACES.items():
        made[name] = random.normal(centre, 0.05, rows)
    for name in NUMBERS:
        made[name] = made[name].astype(np.float32)
    for name, count in SIZES.items():
        words = np.array([f"{name.title()} {FIRST[at % 7]} {SECOND[at % 11]} {at}" for at in range(count)], object)
        made[name] = words[np.minimum(random.zipf(1.3, rows) - 1, random.integers(0, count, rows))]
    for name in (*NUMBERS[:6], *CATEGORIES):
        made[name][random.random(rows) < 0.05] = None if name in SIZES else np.nan
    times = np.datetime64("2025-01-01") + random.integers(0, 365 * 86400, rows).astype("timedelta64[s]")
    chance = np.where(np.nan_to_num(made["fare"]) > 12, 4.0, 0.5) * np.where(pd.isna(made["company"]), 1.5, 1)
    made |= {"started": times.astype(str).astype(object)}
    made |= {"big_tip": (random.random(rows) < RARE * chance / chance.mean()).astype(np.int64)}
    again = 1 + np.flatnonzero(random.random(rows - 1) < DUPLICATES)
    for values in made.values():
        values[again] = values[again - 1]
    order = (*NUMBERS, *CATEGORIES, "started", "big_tip")
    return pd.DataFrame({**{name: made[name] for name in order}, "row": np.arange(rows)})
