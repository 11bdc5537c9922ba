"""Data, model and checkpoints between Trainer and workers: on a shared folder, and on a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import ComponentError
from components.training.checkpoint import FILE
from components.training.exchange import Exchange
from components.training.job import Job
from tests.factories.s3_server import CREDENTIALS, S3Server
from tests.factories.training_pods import untrained_job


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "shared" / "exchange")
        return
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    server = S3Server(tmp_path / "s3.log")
    yield f"s3://bucket/taxi/multi-worker/key?endpoint_override=127.0.0.1:{server.port}&scheme=http&region=us-east-1"
    server.stop()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return untrained_job(tmp_path)


def content(folder: str | Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in Path(folder).rglob("*") if path.is_file()}


def train(job: Job, text: str) -> None:
    """Write what a chief writes."""
    assert job.checkpoint_folder is not None
    job.checkpoint_folder.mkdir(parents=True, exist_ok=True)
    (job.checkpoint_folder / FILE).write_text(f"checkpoint of {text}")
    job.serving_folder.mkdir(parents=True)
    (job.serving_folder / "saved_model.pb").write_text(text)
    job.run_folder.mkdir()
    (job.run_folder / "history.json").write_text(f"history of {text}")


def test_a_training_goes_there_and_back(job: Job, place: str, tmp_path: Path):
    trainer, chief, other = Exchange(place), Exchange(place), Exchange(place)
    trainer.offer(job)
    received = [each.receive(tmp_path / str(index)) for index, each in enumerate((chief, other))]
    for each in received:
        assert each.config == job.config
        assert each.runtime == {**job.runtime, "progress": "-"}
        for name in ("train_folder", "eval_folder", "transform_graph", "raw_folder"):
            assert content(getattr(each, name)) == content(getattr(job, name)) == {"part": name}
    train(received[0], "first")
    chief.keep_checkpoint(received[0].checkpoint_folder or Path())
    chief.give(received[0])
    trainer.take(job)
    assert content(job.model_folder) == {"Format-Serving/saved_model.pb": "first"}
    assert content(job.run_folder) == {"history.json": "history of first"}
    trainer.clear(keep_checkpoint=False)
    with pytest.raises(ComponentError, match=r"There is no job.json in .*reachable from every worker"):
        other.receive(tmp_path / "later")


def test_the_checkpoint_of_a_training_that_failed_is_what_every_worker_of_the_next_one_finds(
    job: Job, place: str, tmp_path: Path
):
    exchange = Exchange(place)
    exchange.offer(job)
    first = exchange.receive(tmp_path / "first")
    train(first, "first")
    exchange.keep_checkpoint(first.checkpoint_folder or Path())
    exchange.clear(keep_checkpoint=True)
    # Other data by the next attempt: nothing of the one before may be left among them.
    (Path(job.train_folder) / "part").unlink()
    (Path(job.train_folder) / "another").write_text("new")
    exchange.offer(job)
    for index in range(2):
        again = exchange.receive(tmp_path / f"again-{index}")
        assert content(again.checkpoint_folder or Path()) == {FILE: "checkpoint of first"}
        assert content(again.train_folder) == {"another": "new"}
        assert not again.serving_folder.exists()


def test_workers_that_wrote_elsewhere_are_noticed(job: Job, place: str):
    exchange = Exchange(place)
    exchange.offer(job)
    with pytest.raises(ComponentError, match="ended without an error, and there is no model in .*the same storage"):
        exchange.take(job)


def test_workers_beside_the_trainer_use_its_own_folders(job: Job, tmp_path: Path):
    exchange = Exchange(str(tmp_path / "job"))
    exchange.offer_in_place(job)
    received = exchange.receive(tmp_path / "unused")
    assert received.train_folder == job.train_folder
    assert received.model_folder == job.model_folder
    assert received.checkpoint_folder == Path(job.runtime["root"], "checkpoints", job.runtime["trainer_key"])
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["job.json"]
