"""What the open-source backend of Kubeflow Pipelines refuses, or quietly does wrong, in a compiled pipeline.

Parsing the IR with KFP's protobufs proves little: the API server, the compiler to Argo, Argo itself, the driver and the
launcher each have rules of their own, and most break a run only when it has begun. Each rule here is one function whose
docstring says why; they were read in the backend's source (2.15 to 2.17) and Argo's. Reference:
https://github.com/kubeflow/pipelines/tree/master/backend/src and
https://github.com/argoproj/argo-workflows/blob/main/workflow/validate/validate.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from components.errors import Problem
from pipelines.ir import container_rules, input_rules, pod_rules, shape_rules, trigger_rules
from pipelines.ir.document import Document

Rule = Callable[[Document], Iterator[Problem]]

SHAPE: tuple[Rule, ...] = (
    shape_rules.it_is_no_pipeline_job,
    shape_rules.both_documents_parse,
    shape_rules.the_schema_version_is_the_one_that_is_read,
)
"""Without these, the others have nothing to look at."""

RULES: tuple[Rule, ...] = (
    shape_rules.the_pipeline_has_a_dns_name,
    shape_rules.every_dag_has_a_task_that_is_no_exit_handler,
    shape_rules.names_are_names_in_argo,
    shape_rules.tasks_know_their_own_name,
    shape_rules.components_run_an_executor_or_tasks,
    shape_rules.artifacts_have_a_type,
    shape_rules.the_workflow_fits_into_etcd,
    input_rules.producers_are_in_the_same_dag,
    input_rules.tasks_do_not_wait_for_each_other,
    input_rules.outputs_that_are_read_exist,
    input_rules.inputs_of_a_group_are_declared,
    input_rules.inputs_are_all_given_and_all_declared,
    input_rules.types_match,
    trigger_rules.conditions_read_only_own_inputs,
    trigger_rules.exit_handlers_hang_on_one_task,
    trigger_rules.final_statuses_are_of_what_is_waited_for,
    trigger_rules.what_has_an_effect_is_not_cached,
    container_rules.executors_run_a_container,
    container_rules.equal_containers_have_equal_interfaces,
    container_rules.placeholders_are_known,
    container_rules.constants_hold_no_template,
    container_rules.inputs_fit_into_one_argument,
    pod_rules.the_platform_document_names_executors,
    pod_rules.quantities_are_quantities,
    pod_rules.labels_are_labels,
    pod_rules.tolerations_and_pull_policies_are_known,
    pod_rules.volumes_do_not_collide,
    pod_rules.retries_can_happen,
    pod_rules.timeouts_are_positive,
)


def check(pipeline_spec: Mapping[str, Any], platform_spec: Mapping[str, Any]) -> list[Problem]:
    """Return everything in a compiled pipeline that the open-source backend would stumble over.

    Args:
        pipeline_spec: JSON of a `PipelineSpec`, the first document.
        platform_spec: JSON of a `PlatformSpec`, the second document; may be empty.
    """
    document = Document(pipeline_spec, platform_spec)
    for rule in SHAPE:
        if found := list(rule(document)):
            return found
    return [problem for rule in RULES for problem in rule(document)]
