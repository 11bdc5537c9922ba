"""Starting the workers of a training, following them, and taking what they made; see `launch`."""

from components.training.launch.launch import launch

__all__ = ["launch"]
