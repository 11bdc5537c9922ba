"""What steps ask of a cluster is checked against the machines there are, and each refusal says why."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
import yaml

from components.errors import SpecError
from pipelines.build import pipeline_nodes
from pipelines.listing import catalogue, json_schema
from pipelines.resources import pools, step_resources, worker_resources
from pipelines.resources.config import STEPS, ResourcesConfig
from pipelines.resources.pools import NodePool, PoolsFile, load_pools
from pipelines.resources.quantity import amount, cores, mebibytes
from pipelines.spec import LoadedSpec, PipelineSpec, load_spec

SPEC = """\
name: trips
task: binary_classification
data:
  path: data.csv
  label: {big_tip: tips > 0.2 * fare}
  features: {miles: numeric}
model: {family: mlp, hidden_units: [8]}
"""
REPOSITORY = Path(__file__).parents[3]

OWN_POOLS = """\
pools:
  big:
    machine: {cpu: 4, memory: 16Gi}
  gpu-l4:
    accelerator: {resource: nvidia.com/gpu, count: 2}
    machine: {cpu: 24, memory: 96Gi}
    strategies: [mirrored]
"""


def load(folder: Path, resources: str, training: str = "{}") -> LoadedSpec:
    """Load a spec with these resources, written in YAML's flow style."""
    path = folder / "pipeline.yaml"
    path.write_text(f"{SPEC}training: {training}\nresources: {resources}\n")
    return load_spec(path)


def problems(folder: Path, resources: str, training: str = "{}") -> list[str]:
    """Return the problems of such a spec as they are printed."""
    with pytest.raises(SpecError) as caught:
        load(folder, resources, training)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_every_node_of_the_pipeline_and_each_step_around_it_has_its_resources(tmp_path):
    loaded = load(tmp_path, "{}")
    names = [node.name for node in pipeline_nodes(loaded)]
    assert set(names) | {"Resolve", "Report", "Notify"} <= set(step_resources(loaded))
    assert set(STEPS) == set(ResourcesConfig.model_fields) - {"pools", "default"}


def test_a_spec_without_the_section_runs_on_the_cpu_pool(tmp_path):
    for step in step_resources(load(tmp_path, "{}")).values():
        assert (step.pool_name, step.count, step.cpu, step.memory) == ("cpu", 0, "1", "4Gi")


def test_a_pools_name_stands_for_all_accelerators_of_one_of_its_machines(tmp_path):
    trainer = step_resources(load(tmp_path, "{trainer: gpu-a100x8}"))["Trainer"]
    assert (trainer.pool_name, trainer.count) == ("gpu-a100x8", 8)
    assert (trainer.cpu, trainer.memory, trainer.shared_memory) == ("88", "600Gi", "64Gi")


def test_a_part_of_the_accelerators_comes_with_its_share_of_cpu_and_memory(tmp_path):
    trainer = step_resources(load(tmp_path, "{trainer: {pool: gpu-a100x8, count: 2}}"))["Trainer"]
    assert (trainer.count, trainer.cpu, trainer.memory) == (2, "22", "150Gi")


def test_only_steps_that_compute_on_accelerators_take_them_from_a_default_pool(tmp_path):
    steps = step_resources(load(tmp_path, "{default: {pool: gpu-l4, count: 1}}"))
    assert {name for name, step in steps.items() if step.count} == {"Trainer", "Evaluator"}
    assert all(step.pool_name == "gpu-l4" for step in steps.values())
    assert (steps["Cleaner"].cpu, steps["Cleaner"].memory, steps["Cleaner"].shared_memory) == ("1", "4Gi", None)


def test_on_a_tpu_only_the_trainer_takes_chips(tmp_path):
    steps = step_resources(load(tmp_path, "{default: tpu-v5e-2x4}", "{strategy: tpu}"))
    assert {name: step.count for name, step in steps.items() if step.count} == {"Trainer": 8}


def test_a_step_has_the_defaults_under_its_own_words(tmp_path):
    default = "{retries: 2, env: {A: 1, B: x}, labels: {team: ml}, image_pull_secrets: [one]}"
    own = "{env: {B: y, C: true}, timeout_seconds: 60, image_pull_secrets: [two]}"
    steps = step_resources(load(tmp_path, f"{{default: {default}, cleaner: {own}}}"))
    cleaner = steps["Cleaner"]
    assert cleaner.config.env == {"A": "1", "B": "y", "C": "true"}
    assert cleaner.config.labels == {"team": "ml"}
    assert cleaner.config.image_pull_secrets == ("one", "two")
    assert cleaner.config.timeout_seconds == 60
    assert cleaner.retries.count == 2
    assert steps["Pusher"].config.env == {"A": "1", "B": "x"}
    assert steps["Pusher"].config.timeout_seconds is None


def test_what_is_measured_for_the_default_pool_is_not_inherited_on_another_one(tmp_path):
    steps = step_resources(load(tmp_path, "{default: {pool: cpu, cpu: 3, memory: 6Gi, retries: 1}, trainer: gpu-l4}"))
    assert (steps["Transform"].cpu, steps["Transform"].memory) == ("3", "6Gi")
    assert (steps["Trainer"].cpu, steps["Trainer"].memory, steps["Trainer"].retries.count) == ("8", "32Gi", 1)


def test_a_step_on_spot_machines_is_tried_again_twice_unless_the_spec_says_otherwise(tmp_path):
    steps = step_resources(load(tmp_path, "{default: cpu-spot, cleaner: {retries: 0}}"))
    assert steps["Transform"].retries.count == 2
    assert steps["Cleaner"].retries.count == 0
    assert step_resources(load(tmp_path, "{default: cpu}"))["Transform"].retries is None


def test_with_workers_the_trainers_own_pod_is_small_and_each_worker_gets_the_machine(tmp_path):
    text = "{trainer: {pool: gpu-l4, workers: 4, retries: 1, env: {A: b}, volumes: {cache: /cache}, cpu_limit: 10}}"
    loaded = load(tmp_path, text, "{strategy: multi_worker}")
    starter, worker = step_resources(loaded)["Trainer"], worker_resources(loaded)
    assert (starter.pool_name, starter.count, starter.cpu, starter.memory) == ("cpu", 0, "1", "4Gi")
    assert loaded.spec.resources.workers == 4
    assert (starter.workers, starter.retries.count, starter.config.env) == (4, 1, {"A": "b"})
    assert (starter.config.volumes, starter.config.cpu_limit) == ({"cache": "/cache"}, None)
    assert (worker.pool_name, worker.count, worker.workers, worker.cpu) == ("gpu-l4", 1, 4, "8")
    assert worker.config.volumes == {"cache": "/cache"}


def test_a_trainer_alone_has_no_workers(tmp_path):
    loaded = load(tmp_path, "{trainer: gpu-l4}")
    assert worker_resources(loaded) is None
    assert loaded.spec.resources.workers == load(tmp_path, "{}").spec.resources.workers == 1


def test_the_section_survives_a_round_trip_through_json(tmp_path):
    text = "{default: {retries: 2, scratch: 5Gi}, trainer: gpu-l4, cleaner: {secrets: {s: {env: {A: b}, mount: /s}}}}"
    loaded = load(tmp_path, text)
    again = PipelineSpec.model_validate_json(loaded.spec.model_dump_json())
    assert again == loaded.spec
    before = step_resources(loaded)
    assert step_resources(LoadedSpec(again, loaded.path, loaded.source)) == before


@pytest.mark.parametrize(
    ("resources", "training", "place", "texts"),
    [
        ("{trainer: gpu-l5}", "{}", "trainer.pool", ["one of cpu, ", "Did you mean 'gpu-l4'?"]),
        ("{trainer: zzz}", "{}", "trainer.pool", ["resources.pools"]),
        ("{trainr: gpu-l4}", "{}", "trainr", ["Did you mean 'trainer'?"]),
        ("{trainer: {pol: gpu-l4}}", "{}", "trainer.pol", ["Did you mean 'pool'?"]),
        ("{cleaner: {secrets: {s: {enf: {A: b}}}}}", "{}", "cleaner.secrets.s.enf", ["Did you mean 'env'?"]),
        ("{trainer: {pool: gpu-l4, count: 8}}", "{}", "trainer.count", ["at most 1", "1 × nvidia.com/gpu"]),
        ("{evaluator: {pool: highmem, count: 1}}", "{}", "evaluator.count", ["no accelerators", "Remove it."]),
        ("{cleaner: {pool: gpu-l4, count: 1}}", "{}", "cleaner.count", ["the trainer and the evaluator only"]),
        ("{cleaner: gpu-l4}", "{}", "cleaner.pool", ["does not use its accelerators", "set count: 0 to share"]),
        ("{evaluator: tpu-v5e-2x4}", "{}", "evaluator.pool", ["does not use its accelerators"]),
        ("{default: {pool: gpu-l4, memory: 6Gi}}", "{}", "default.shared_memory", ["8Gi in a step with 6Gi"]),
        ("{default: {pool: gpu-l4, count: 3}}", "{}", "default.count", ["at most 1"]),
        ("{default: {workers: 3}}", "{strategy: multi_worker, batch_size: 3}", "default.workers", ["trainer only"]),
        ("{evaluator: {pool: tpu-v5e-2x4, count: 8}}", "{}", "evaluator.count", ["for the trainer only"]),
        (
            "{trainer: {pool: tpu-v5e-2x4, count: 4}}",
            "{strategy: tpu}",
            "trainer.count",
            ["all chips of topology 2x4", "Remove count"],
        ),
        ("{cleaner: {cpu: 8}}", "{}", "cleaner.cpu", ["at most 7: a machine has 8, and 1 of it is reserved"]),
        ("{cleaner: {memory: 30Gi}}", "{}", "cleaner.memory", ["at most 27Gi: a machine has 32Gi, and 5Gi"]),
        ("{cleaner: {cpu: 2, cpu_limit: 500m}}", "{}", "cleaner.cpu_limit", ["at least the 2 that is requested"]),
        ("{cleaner: {memory_limit: 1Gi}}", "{}", "cleaner.memory_limit", ["at least the 4Gi that is requested"]),
        ("{trainer: {shared_memory: 4Gi}}", "{}", "trainer.shared_memory", ["less than its memory"]),
        ("{cleaner: {workers: 2}}", "{}", "cleaner.workers", ["for the trainer only"]),
        ("{trainer: {workers: 2}}", "{}", "trainer.workers", ["training.strategy auto", "multi_worker"]),
        ("{cleaner: {priority_class: high}}", "{}", "cleaner.priority_class", ["a queue too", "priorityClassName"]),
        ("{decider: cpu}", "{}", "decider", ["needs the section 'retraining'"]),
        ("{notify: cpu}", "{}", "notify", ["needs the section 'notify'"]),
        ("{trainer: gpu-l4}", "{strategy: tpu}", "trainer", ["pool 'gpu-l4'", "auto, none, mirrored", "tpu-v5e-2x4"]),
        ("{trainer: highmem}", "{strategy: tpu}", "trainer", ["no accelerators", "tpu-v5e-2x4"]),
        ("{default: cpu}", "{strategy: mirrored}", "default", ["auto, none, multi_worker", "gpu-l4"]),
        ("{trainer: tpu-v5e-2x4}", "{strategy: mirrored}", "trainer", ["a strategy that works there: tpu."]),
        ("{trainer: tpu-v5e-2x4}", "{}", "trainer", ["training.strategy auto", "Set training.strategy to tpu"]),
        ("{trainer: {pool: gpu-l4, count: 0}}", "{strategy: mirrored}", "trainer", ["at least one accelerator"]),
        ("{trainer: {cpu: 4Gi}}", "{}", "trainer.cpu", ["not a number of cores"]),
        ("{trainer: {cpu: lots}}", "{}", "trainer.cpu", ["not a Kubernetes quantity"]),
        ("{trainer: {cpu: 0}}", "{}", "trainer.cpu", ["less than a thousandth"]),
        ("{trainer: {cpu: true}}", "{}", "trainer.cpu", ["not a Kubernetes quantity"]),
        ("{trainer: {memory: 4}}", "{}", "trainer.memory", ["4 bytes", "write the unit"]),
        ("{trainer: {memory: 512m}}", "{}", "trainer.memory", ["thousandths of a byte; write 512Mi"]),
        ("{trainer: {memory: -1Gi}}", "{}", "trainer.memory", ["not a Kubernetes quantity"]),
        ("{trainer: {env: {my-var: x}}}", "{}", "trainer.env.my-var", ["letters, digits and '_', no digit first"]),
        ("{trainer: {env: {A: x}, secrets: {s: {env: {A: k}}}}}", "{}", "trainer", ["variable A is given twice"]),
        ("{trainer: {secrets: {s: {}}}}", "{}", "trainer.secrets.s", ["takes nothing"]),
        ("{trainer: {secrets: {s.x: {mount: /s}}}}", "{}", "trainer", ["has a dot"]),
        ("{trainer: {secrets: {s: {mount: s}}}}", "{}", "trainer.secrets.s.mount", ["starts with /"]),
        ("{trainer: {volumes: {a: /x, b: /x/}}}", "{}", "trainer", ["mount path /x is given twice"]),
        ("{trainer: {volumes: {a: /dev/shm}}}", "{}", "trainer", ["/dev/shm has a volume already"]),
        ("{trainer: {scratch: {size: 1Gi, mount: /s3/}}}", "{}", "trainer", ["/s3 has a volume already"]),
        ("{trainer: {volumes: {a: /x}, secrets: {a: {mount: /y}}}}", "{}", "trainer", ["would be named a"]),
        ("{trainer: {volumes: {scratch: /x}}}", "{}", "trainer", ["would be named scratch"]),
        ("{trainer: {retries: {count: -1}}}", "{}", "trainer.retries.count", ["greater than or equal to 0"]),
        ("{trainer: {retries: {count: 1, factor: 1.5}}}", "{}", "trainer.retries.factor", ["integer"]),
        ("{trainer: {timeout_seconds: 0}}", "{}", "trainer.timeout_seconds", ["greater than or equal to 1"]),
        ("{trainer: {labels: {'a b': c}}}", "{}", "trainer.labels.a b", ["a label's key"]),
        (
            "{trainer: {service_account: me}}",
            "{}",
            "trainer",
            ["service_account is not set here", "give --service-account"],
        ),
        ("{service_account: me}", "{}", "", ["give --service-account"]),
        ("{trainer: {node_selector: {a: b}}}", "{}", "trainer", ["belongs to a node pool", "resources.pools"]),
        (
            "{trainer: {security_context: {run_as_non_root: true}}}",
            "{}",
            "trainer.security_context",
            ["needs run_as_user"],
        ),
        ("{pools: mine.yaml}", "{}", "pools", ["which is not there"]),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line_and_the_reason(tmp_path, resources, training, place, texts):
    (problem,) = problems(tmp_path, resources, training)
    assert problem.startswith(f"pipeline.yaml:9: {f'resources.{place}'.rstrip('.')}: got ")
    for text in texts:
        assert text in problem


@pytest.mark.parametrize(
    ("resources", "training", "copies"),
    [
        ("{trainer: gpu-a100x8}", "{strategy: mirrored, batch_size: 100}", "8 copies of the model (one on each"),
        ("{trainer: gpu-a100x8}", "{batch_size: 100}", "8 copies"),
        ("{trainer: tpu-v5e-2x4}", "{strategy: tpu, batch_size: 100}", "8 copies"),
        (
            "{trainer: {workers: 3}}",
            "{strategy: multi_worker, batch_size: 100}",
            "3 copies of the model (3 workers × 1",
        ),
        (
            "{trainer: {pool: gpu-a100x8, count: 4, workers: 3}}",
            "{strategy: multi_worker, batch_size: 100}",
            "12 copies of the model (3 workers × 4 each)",
        ),
    ],
)
def test_a_batch_that_the_copies_of_the_model_cannot_share_is_refused(tmp_path, resources, training, copies):
    (problem,) = problems(tmp_path, resources, training)
    assert problem.startswith("pipeline.yaml:8: training.batch_size: got batch_size: 100 for ")
    assert copies in problem
    number = int(copies.split()[0])
    assert f"Set it to {100 // number * number} or {(100 // number + 1) * number}" in problem


@pytest.mark.parametrize(
    ("resources", "training"),
    [
        ("{trainer: gpu-l4}", "{strategy: mirrored}"),
        ("{trainer: {pool: gpu-a100x8, count: 1}}", "{strategy: mirrored, batch_size: 7}"),
        ("{trainer: gpu-a100x8}", "{strategy: none, batch_size: 7}"),
        ("{trainer: {workers: 2}}", "{strategy: multi_worker}"),
        ("{trainer: tpu-v5e-2x4}", "{strategy: tpu}"),
        ("{trainer: gpu-l40s, evaluator: {pool: gpu-l40s, count: 1}}", "{}"),
        ("{cleaner: {pool: gpu-l4, count: 0}}", "{}"),
        ("{default: {pool: cpu, retries: 2}, trainer: {pool: gpu-l4-spot, memory_limit: 40Gi}}", "{}"),
    ],
)
def test_what_fits_is_accepted(tmp_path, resources, training):
    assert step_resources(load(tmp_path, resources, training))


def test_multi_worker_without_workers_is_refused(tmp_path):
    (problem,) = problems(tmp_path, "{}", "{strategy: multi_worker}")
    assert "pipeline.yaml:8: training.strategy: got multi_worker with one worker" in problem


@pytest.mark.parametrize("strategy", ["mirrored", "tpu"])
def test_a_strategy_that_needs_a_pool_is_refused_on_the_cluster_only_when_the_spec_names_none(tmp_path, strategy):
    loaded = load(tmp_path, "{}", f"{{strategy: {strategy}}}")
    with pytest.raises(SpecError, match="pool 'cpu' .no accelerators. with training.strategy") as caught:
        step_resources(loaded)
    assert caught.value.problems[0].line == 8


def test_what_clashes_only_together_with_the_defaults_is_refused(tmp_path):
    (problem,) = problems(tmp_path, "{default: {env: {A: x}}, trainer: {secrets: {s: {env: {A: k}}}}}")
    assert "resources.trainer: got environment variable A is given twice" in problem
    assert "no clash with resources.default" in problem


def test_own_pools_are_added_and_replace_those_of_the_same_name(tmp_path):
    (tmp_path / "mine.yaml").write_text(OWN_POOLS)
    loaded = load(tmp_path, "{pools: mine.yaml, default: big, trainer: gpu-l4}", "{strategy: mirrored}")
    steps = step_resources(loaded)
    assert (steps["Cleaner"].pool_name, steps["Cleaner"].cpu) == ("big", "1")
    assert steps["Trainer"].count == 2


@pytest.mark.parametrize(
    ("wrong", "line", "texts"),
    [
        ("machine: {cpu: 4}", 3, ["pools.big.machine.memory", "Add memory"]),
        ("machin: {cpu: 4, memory: 16Gi}", 3, ["pools.big.machin", "Did you mean 'machine'?"]),
        ("machine: {cpu: 1, memory: 16Gi}", 2, ["requests are more than machine minus reserved"]),
        ("{cpu: 4, memory: 16Gi}, priority_class: high", 2, ["priority_class needs queue", "priorityClassName"]),
        ("{cpu: 4, memory: 16Gi}, accelerator: {resource: google.com/tpu, count: 4}", 2, ["needs its topology"]),
        (
            "{cpu: 4, memory: 16Gi}, accelerator: {resource: google.com/tpu, count: 4, topology: 4x4}",
            2,
            ["topology 4x4 is not 4 chips"],
        ),
        (
            "{cpu: 4, memory: 16Gi}, accelerator: {resource: nvidia.com/gpu, count: 4, topology: 2x2}",
            2,
            ["has no topology"],
        ),
        ("{cpu: 4, memory: 16Gi}, strategies: [miror]", 2, ["strategies.0", "Did you mean 'mirrored'?"]),
    ],
)
def test_a_wrong_pool_is_refused_in_its_own_file(tmp_path, wrong, line, texts):
    if "machine" not in wrong and "machin" not in wrong:
        body = f"  big: {{machine: {wrong}}}\n"
    else:
        body = f"  big:\n    {wrong}\n"
    (tmp_path / "mine.yaml").write_text(f"pools:\n{body}")
    found = problems(tmp_path, "{pools: mine.yaml}")
    (problem,) = [problem for problem in found if all(text in problem for text in texts)]
    assert problem.startswith(f"mine.yaml:{line}: pools.big")


def test_the_shipped_pools_name_the_machines_that_the_clouds_have():
    shipped = load_pools()
    assert list(shipped) == [
        "cpu",
        "cpu-spot",
        "highmem",
        "gpu-l4",
        "gpu-l4-spot",
        "gpu-a100x8",
        "tpu-v5e-2x4",
        "gpu-l40s",
    ]
    for name, pool in shipped.items():
        selector = pool.node_selector
        assert pool.description, name
        assert ("cloud.google.com/gke-spot" in selector) == pool.spot == name.endswith("-spot"), name
        assert pool.is_tpu == ("cloud.google.com/gke-tpu-topology" in selector), name
        if pool.is_tpu:
            assert selector["cloud.google.com/gke-tpu-topology"] == pool.accelerator.topology
        tolerated = {toleration.key for toleration in pool.tolerations}
        assert pool.accelerator is None or pool.accelerator.resource in tolerated, name


def test_a_list_of_the_catalogue_shows_the_pools():
    rows = dict(catalogue())["Node pools"]
    assert [name for name, _ in rows] == list(load_pools())
    assert dict(rows)["gpu-l4"] == "1 × nvidia.com/gpu, 12 CPU, 48Gi: one NVIDIA L4 (24 GB) on GKE"


@pytest.mark.parametrize(
    ("resources", "right"),
    [
        ("{trainer: gpu-l4, default: {retries: 2, scratch: 5Gi}}", True),
        ("{cleaner: {cpu: 0.5, memory: 2Gi, env: {A: 1}, secrets: {s: {mount: /s}}}}", True),
        ("{trainer: {pol: gpu-l4}}", False),
        ("{trainr: gpu-l4}", False),
        ("{trainer: {count: -1}}", False),
    ],
)
def test_the_json_schema_knows_the_section(resources, right):
    schema = json.loads(json_schema())
    section = {**schema["$defs"]["ResourcesConfig"], "$defs": schema["$defs"]}
    assert schema["properties"]["resources"]["$ref"] == "#/$defs/ResourcesConfig"
    assert jsonschema.Draft202012Validator(section).is_valid(yaml.safe_load(resources)) is right


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("2", 2), ("500m", Decimal("0.5")), ("1.5", Decimal("1.5")), ("1Ki", 1024), ("2G", 2 * 10**9), ("1Ti", 1024**4)],
)
def test_a_quantity_is_the_number_that_kubernetes_reads(quantity, number):
    assert amount(quantity) == number


@pytest.mark.parametrize("wrong", ["", "1 Gi", "Gi", "1gi", "1e3", "-1", "1.2.3", "½"])
def test_what_kubernetes_does_not_read_is_no_quantity(wrong):
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        amount(wrong)


def test_amounts_are_rounded_down_to_what_can_be_written():
    assert cores(Decimal("1.99999")) == "1999m"
    assert mebibytes(Decimal(5 * 1024**3 - 1)) == "5119Mi"


def test_the_wheel_has_the_pools_where_they_are_looked_for():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    inside = {REPOSITORY / source: REPOSITORY / target for source, target in wheel.items()}
    assert inside[pools.IN_CHECKOUT] == pools.IN_WHEEL


def test_the_pools_are_those_of_the_file_that_a_platform_engineer_edits():
    written = PoolsFile.model_validate(yaml.safe_load((REPOSITORY / "k8s" / "node_pools.yaml").read_text()))
    assert written.pools == load_pools()
    assert all(isinstance(pool, NodePool) for pool in written.pools.values())
