"""What each step asks of a cluster: node pools, the spec's section `resources`, and both resolved for each step."""

from pipelines.resources.config import ResourcesConfig
from pipelines.resources.steps import StepResources, step_resources, worker_resources

__all__ = ["ResourcesConfig", "StepResources", "step_resources", "worker_resources"]
