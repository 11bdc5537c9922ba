"""Kubeflow Pipelines' v2beta1 API: where the server is, how it is asked, what its answers mean."""
