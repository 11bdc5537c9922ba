"""The compiled pipeline: Kubeflow Pipelines v2 IR, and what runs inside each of its steps."""
