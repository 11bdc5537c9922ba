"""The catalogue: specs, steps, families; and the JSON Schema of a spec that editors use for completion."""

from __future__ import annotations

import inspect
import json
from typing import Any, get_args

from pydantic import BaseModel

from components import catalog
from components.augmentation.config import STEPS as AUGMENTATION_STEPS
from components.augmentation.step import AugmentationStep
from components.balancing.config import STEPS as BALANCING_STEPS
from components.balancing.step import BalancingStep
from components.cleaning.config import STEPS as CLEANING_STEPS
from components.cleaning.step import CleaningStep
from components.config import Plugin
from components.ensemble.config import EnsembleConfig
from components.evaluation.config import METRICS
from components.model.config import FAMILIES
from components.model.family import ModelFamily
from components.training.config import OPTIMIZERS
from components.transform.config import STEPS as TRANSFORM_STEPS
from components.transform.step import TransformStep
from components.tuning.config import TuningConfig
from pipelines.resources.pools import load_pools
from pipelines.spec import SPECS_FOLDER, PipelineSpec

FOLDERS: tuple[tuple[str, str, type[Plugin]], ...] = (
    ("Cleaning steps", CLEANING_STEPS, CleaningStep),
    ("Transform steps", TRANSFORM_STEPS, TransformStep),
    ("Balancing steps", BALANCING_STEPS, BalancingStep),
    ("Augmentation steps", AUGMENTATION_STEPS, AugmentationStep),
    ("Model families", FAMILIES, ModelFamily),
)


def catalogue() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return heading and `(name, first line of its documentation)` rows; read from the files, so it cannot be stale."""
    specs = [(file.stem, file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")) for file in _specs()]
    found: list[tuple[str, list[tuple[str, str]]]] = [("Specs", specs)]
    for heading, folder, base in FOLDERS:
        plugins = [catalog.load(folder, name, base) for name in catalog.names(folder)]
        found.append((heading, [(plugin.plugin_name(), _first_line(plugin)) for plugin in plugins]))
    kinds = {name: get_args(field.annotation)[0] for name, field in EnsembleConfig.model_fields.items()}
    found.append(("Ensembles", [(name, _first_line(kind)) for name, kind in kinds.items()]))
    methods = get_args(TuningConfig.model_fields["method"].annotation)
    found.append(("Tuning methods", [(name, "KerasTuner") for name in methods]))
    found.append(("Metrics", [(task, ", ".join(names)) for task, names in METRICS.items()]))
    found.append(("Optimizers", [(name, "Keras") for name in OPTIMIZERS]))
    found.append(("Node pools", [(name, pool.summary()) for name, pool in load_pools().items()]))
    return found


def json_schema() -> str:
    """Return the JSON Schema of a spec, with every step and family and their parameters."""
    schema = PipelineSpec.model_json_schema(mode="validation")
    definitions = schema["$defs"]
    for _, folder, base in FOLDERS:
        plugins = [catalog.load(folder, name, base) for name in catalog.names(folder)]
        for plugin in plugins:
            definitions[plugin.__name__] = _definition(plugin, definitions)
        definitions[base.__name__] = {"anyOf": [_written(plugin, base) for plugin in plugins]}
    _allow_short_forms(definitions)
    return json.dumps(schema, indent=2) + "\n"


def _specs() -> list[Any]:
    return sorted(SPECS_FOLDER.glob("*.yaml"))


def _first_line(plugin: type[BaseModel]) -> str:
    return (inspect.getdoc(plugin) or "").partition("\n")[0]


def _definition(plugin: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = plugin.model_json_schema(mode="validation")
    definitions.update(schema.pop("$defs", {}))
    schema["description"] = _first_line(plugin)
    return schema


def _written(plugin: type[Plugin], base: type[Plugin]) -> dict[str, Any]:
    """Return the schema of the forms in which a plug-in may be written."""
    name, reference = plugin.plugin_name(), {"$ref": f"#/$defs/{plugin.__name__}"}
    if base is ModelFamily:
        own = plugin.model_json_schema(mode="validation")
        properties = {"family": {"const": name, "description": _first_line(plugin)}, **own.get("properties", {})}
        return {"type": "object", "properties": properties, "required": ["family"], "additionalProperties": False}
    value: dict[str, Any] = reference
    if plugin.shorthand:
        short = plugin.model_json_schema(mode="validation")["properties"][plugin.shorthand]
        value = {"anyOf": [reference, short]}
    long_form = {"type": "object", "properties": {name: value}, "required": [name], "additionalProperties": False}
    needs_nothing = not any(field.is_required() for field in plugin.model_fields.values())
    bare = {"const": name, "description": _first_line(plugin)}
    return {"anyOf": [bare, long_form]} if needs_nothing else long_form


def _allow_short_forms(definitions: dict[str, Any]) -> None:
    """Add the forms that a validator of the section turns into the long one."""
    text = {"type": "string"}
    single = {"type": "object", "minProperties": 1, "maxProperties": 1}
    short: dict[str, list[dict[str, Any]]] = {
        "BalancingConfig": [{"type": "array", "items": {"$ref": "#/$defs/BalancingStep"}, "minItems": 1}],
        "GateRule": [text],
        "LabelConfig": [text, single],
        "OptimizerConfig": [text, single],
        "RetriesConfig": [{"type": "integer", "minimum": 0}],
        "ScratchConfig": [text],
        "StepConfig": [text],
    }
    for name, forms in short.items():
        definitions[name] = {"anyOf": [*forms, definitions[name]]}
    rule = definitions["GateRule"]["anyOf"][-1]["properties"]["slice"]
    definitions["GateRule"]["anyOf"][-1]["properties"]["slice"] = {"anyOf": [text, rule]}
    slices = definitions["EvaluationConfig"]["properties"]["slices"]
    slices["items"] = {"anyOf": [text, slices["items"]]}
