"""Who gets which rows, what is refused, and what is said of workers that fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.engine.examples import ExampleWriter, encode_examples
from components.errors import ComponentError
from components.features import LABEL, WEIGHT, ModelInput
from components.training.check import check_before_run
from components.training.config import TrainingConfig
from components.training.distribution import Distribution, choose_distribution
from components.training.input_fn import EpochOrder, Split, open_split
from components.training.launch.follow import Ended, Heard, failure_of
from components.training.shares import Batches, Share, shared_evaluation_dataset, shared_training_dataset

REPOSITORY = Path(__file__).parents[4]
ROWS = 103
INPUTS = (ModelInput("row", "float32"), ModelInput("id", "int64", cardinality=ROWS))


# -- shares of a batch ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("split") / "Split-train"
    rows = np.arange(ROWS)
    columns = {"row": rows.astype("float32"), "id": rows, LABEL: rows % 2, WEIGHT: np.full(ROWS, 3.0, "float32")}
    with ExampleWriter(str(path)) as writer:
        writer.write(encode_examples(pa.RecordBatch.from_pydict(columns)))
    return str(path)


def split_of(folder: str, cache: str, *, weighted: bool = False) -> Split:
    return open_split(folder, INPUTS, "binary_classification", 2, weighted=weighted, cache=cache)  # type: ignore[arg-type]


def taken(dataset: Any, elements: int) -> list[dict[str, Any]]:
    return list(dataset.take(elements).as_numpy_iterator())


def counted(element: dict[str, Any]) -> list[int]:
    """Return the rows of an element that count."""
    rows = element["features"]["row"][:, 0]
    return rows[element["counts"] == 1].astype(int).tolist()


@pytest.mark.parametrize("cache", ["always", "never"])
@pytest.mark.parametrize("copies", [2, 3, 8])
def test_all_workers_together_make_the_batches_that_one_process_makes(folder: str, cache: str, copies: int):
    size = 24
    split, order = split_of(folder, cache), EpochOrder(seed=5)
    steps = split.steps(size)
    parts = [
        taken(shared_training_dataset(Batches(split, size, Share(copy, 1, copies)), order, 0), 2 * steps)
        for copy in range(copies)
    ]
    for epoch in (0, 1):
        expected = order.permutation(ROWS, epoch=epoch)
        for step in range(steps):
            elements = [part[epoch * steps + step] for part in parts]
            whole = expected[step * size : (step + 1) * size]
            assert sorted(row for each in elements for row in counted(each)) == sorted(whole.tolist())
            assert {float(each["rows"]) for each in elements} == {len(whole)}
            # Static shapes: no retracing for the last batch, which is smaller, and a copy without rows still has some.
            assert {each["label"].shape for each in elements} == {(size // copies, 1)}
            assert max(map(len, map(counted, elements))) - min(map(len, map(counted, elements))) <= 1


@pytest.mark.parametrize("cache", ["always", "never"])
def test_a_worker_with_two_devices_gets_their_rows_in_turn(folder: str, cache: str):
    split, order = split_of(folder, cache), EpochOrder(seed=5)
    both = taken(shared_training_dataset(Batches(split, 24, Share(2, 2, 4)), order, 0), 4)
    for index, copy in ((0, 2), (1, 3)):
        alone = taken(shared_training_dataset(Batches(split, 24, Share(copy, 1, 4)), order, 0), 2)
        assert [counted(each) for each in both[index::2]] == [counted(each) for each in alone]


def test_a_training_that_goes_on_begins_with_its_epoch_s_order(folder: str):
    split, order = split_of(folder, "always"), EpochOrder(seed=5)
    batches = Batches(split, 24, Share(0, 1, 2))
    whole = taken(shared_training_dataset(batches, order, 0), 4 * batches.steps)
    resumed = taken(shared_training_dataset(batches, order, 3), batches.steps)
    assert [counted(each) for each in resumed] == [counted(each) for each in whole[3 * batches.steps :]]


@pytest.mark.parametrize("cache", ["always", "never"])
def test_evaluation_counts_each_row_once_with_its_weight(folder: str, cache: str):
    split = split_of(folder, cache, weighted=True)
    found: list[int] = []
    for copy in range(2):
        batches = Batches(split, 64, Share(copy, 1, 2))
        for element in taken(shared_evaluation_dataset(batches), batches.steps):
            found += counted(element)
            assert set(element["weight"][element["counts"] == 1]) == {3.0}
            assert not element["weight"][element["counts"] == 0].any()
    assert sorted(found) == list(range(ROWS))


# -- strategies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "message", "remedy"),
    [
        ("tpu", "Strategy tpu found no TPU on this machine", "TPU pool in resources.*or set training.strategy"),
        ("multi_worker", "no launcher started as a worker", "resources.trainer.workers to 2 or more"),
    ],
)
def test_a_strategy_that_needs_what_is_not_here_is_refused(strategy: Any, message: str, remedy: str):
    with pytest.raises(ComponentError, match=f"{message}.*{remedy}") as error:
        choose_distribution(strategy)
    assert error.value.spec_path == "training.strategy"


def test_a_tpu_that_is_not_here_is_missed_before_the_first_component_runs():
    config = {"model": {"family": "mlp"}, "training": {"strategy": "tpu"}, "task": "regression"}
    (problem,) = check_before_run(config)
    assert str(problem).startswith("training.strategy: got tpu on a machine without a TPU; expected a TPU. Run it on")
    assert check_before_run({**config, "training": {"strategy": "multi_worker"}}) == []


def test_the_config_knows_both_new_strategies_and_no_others():
    for strategy in ("multi_worker", "tpu"):
        assert TrainingConfig.model_validate({"strategy": strategy}).strategy == strategy
    with pytest.raises(ValueError, match="strategy"):
        TrainingConfig.model_validate({"strategy": "multi-worker"})


def test_a_batch_that_the_copies_cannot_share_is_refused():
    distribution = Distribution(object(), 3, share=Share(0, 1, 3))
    distribution.check_batch(9)
    with pytest.raises(ComponentError, match="10 rows cannot be shared equally by 3 copies.*Set it to 9 or 12"):
        distribution.check_batch(10)
    Distribution().check_batch(10)


def test_the_loop_takes_several_steps_per_call_where_keras_cannot():
    assert Distribution(object(), 2, share=Share(0, 1, 2)).steps_per_execution("auto", 100) == 50


PROGRAM = """
import json, sys
import numpy as np
import tensorflow as tf

from components.features import ModelInput
from components.model.families.mlp import Mlp
from components.training.config import TrainingConfig
from components.training.distribution import Distribution
from components.training.fit import fit
from components.training.places import Places
from components.training.input_fn import open_split
from components.training.launch.processes import free_ports
from components.training.shares import Share

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
inputs = (ModelInput("row", "float32"), ModelInput("id", "int64", cardinality=103))
split = open_split(sys.argv[1], inputs, "binary_classification", 2, weighted=True)
found = []
for copies in (1, 2):
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(copies)])
    together = Distribution(strategy, copies, share=Share(0, copies, copies)) if copies > 1 else Distribution()
    config = TrainingConfig.model_validate({"epochs": 3, "batch_size": 24, "strategy": "none"})
    build = lambda: Mlp(hidden_units=(8,)).build(inputs, "binary_classification", 2)
    result = fit(build, config, "binary_classification", split, split, Places(distribution=together))
    weights = [weight.ravel().tolist() for weight in result.model.get_weights()]
    found.append({"weights": weights, "epochs": result.epochs})
print("RESULT", json.dumps(found))
"""


def test_two_devices_of_one_worker_learn_what_keras_learns_on_one_with_weighted_rows(folder: str):
    command = [sys.executable, "-c", PROGRAM, folder]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240)
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stderr[-3000:]
    one, two = json.loads(results[0].removeprefix("RESULT "))
    for left, right in zip(one["weights"], two["weights"], strict=True):
        assert right == pytest.approx(left, abs=1e-5)
    for left, right in zip(one["epochs"], two["epochs"], strict=True):
        for name in left.keys() - {"seconds"}:
            assert right[name] == pytest.approx(left[name], rel=1e-4), name


# -- what the Trainer says of workers that fail -----------------------------------------------------------------------


def ended(index: int, code: int, failure: dict[str, Any] | None = None, reason: str = "") -> Ended:
    heard = Heard(index, f"process {index}", {})
    if failure:
        heard.take(json.dumps({"failure": failure}))
    return Ended(heard, code, reason)


LOST = {"message": "UnavailableError: no peer", "spec_path": None, "remedy": "", "peer": True}


def test_the_worker_that_died_is_blamed_not_the_ones_that_lost_it():
    error = failure_of([ended(0, 1, LOST), ended(2, 1, LOST), ended(1, -9)], 3)
    assert error.message.startswith("Worker 1 of 3 (process 1) was killed by SIGKILL. The others were stopped.")
    assert "memory" in error.remedy


def test_a_failure_with_a_place_keeps_it():
    told = {"message": "The loss became nan.", "spec_path": "training.optimizer", "remedy": "Lower it.", "peer": False}
    error = failure_of([ended(0, 1, LOST), ended(1, 4, told)], 2)
    assert error.message == "Worker 1 of 2 (process 1) failed: The loss became nan. The others were stopped."
    assert (error.spec_path, error.remedy) == ("training.optimizer", "Lower it.")


def test_when_all_lost_each_other_that_is_said():
    error = failure_of([ended(0, 1, LOST)], 2)
    assert "lost contact with the others: UnavailableError: no peer" in error.message


def test_the_last_line_of_a_worker_that_only_ended_is_quoted(capsys: pytest.CaptureFixture[str]):
    heard = Heard(1, "process 7", {})
    heard.take("ImportError: libcuda\n")
    error = failure_of([Ended(heard, 1)], 2)
    assert "ended with exit code 1. The others were stopped. It said last: ImportError: libcuda" in error.message
    assert capsys.readouterr().out == "worker 1: ImportError: libcuda\n"


def test_progress_of_a_worker_is_the_trainers(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    heard = Heard(0, "process 7", {"progress": str(tmp_path / "progress")})
    event = {"component": "Trainer", "text": "epoch 1/2", "done": 1, "total": 2}
    heard.take(json.dumps({"progress": event}))
    heard.take('{"not an event": 1}')
    assert json.loads((tmp_path / "progress").read_text()) == event
    assert capsys.readouterr().out == 'worker 0: {"not an event": 1}\n'
