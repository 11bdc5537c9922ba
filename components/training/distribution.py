"""On which devices, and by how many processes, the model is fitted."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components.errors import ComponentError
from components.training.cluster import Cluster
from components.training.shares import Share

STEPS_PER_EXECUTION = 50
"""Steps per call into TensorFlow that `auto` takes at most; at batch 40 that is 2.8 times as fast as single calls."""


@dataclass(frozen=True)
class Distribution:
    """Where the model is fitted.

    Args:
        strategy: a `tf.distribute.Strategy`, or None for one device.
        replicas: copies of the model, in all processes together.
        note: what the user should know about the choice; empty when there is nothing.
        share: the copies of this process, where `loop.SynchronousLoop` trains; None where Keras's `fit` does.
        is_chief: whether this process writes checkpoints and the model.
    """

    strategy: Any = None
    replicas: int = 1
    note: str = ""
    share: Share | None = None
    is_chief: bool = True

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the model must be built and compiled."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def steps_per_execution(self, wanted: int | Literal["auto"], steps: int) -> int:
        """Return how many training steps one call into TensorFlow does.

        Args:
            wanted: what the spec says.
            steps: steps per epoch.

        Example:
            >>> Distribution().steps_per_execution("auto", 1000), Distribution().steps_per_execution("auto", 7)
            (50, 7)
        """
        return max(1, min(steps, STEPS_PER_EXECUTION if wanted == "auto" else wanted))

    def wait_for_all(self) -> None:
        """Return when every process is here."""
        import tensorflow as tf

        def meet() -> Any:
            return tf.distribute.get_replica_context().all_reduce("SUM", tf.constant(1.0))

        if self.strategy is not None:
            tf.function(lambda: self.strategy.run(meet), autograph=False)()

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that the copies cannot share equally.

        Raises:
            ComponentError: it does not divide.
        """
        if self.share is not None and batch_size % self.replicas:
            lower, copies = batch_size - batch_size % self.replicas, self.replicas
            raise ComponentError(
                f"A batch of {batch_size} rows cannot be shared equally by {copies} copies of the model.",
                spec_path="training.batch_size",
                remedy=f"Set it to {lower or copies} or {lower + copies}.",
            )


def choose_distribution(strategy: Literal["auto", "none", "mirrored", "multi_worker", "tpu"]) -> Distribution:
    """Return where to fit: one device, a copy of the model on every local GPU, or a TPU slice.

    `auto` copies only when there are several GPUs, since copying to one device costs 20 to 80 % and brings nothing.

    Raises:
        ComponentError: the strategy needs what is not here: a TPU, or other workers.
    """
    import tensorflow as tf

    if strategy == "tpu":
        return _tpu()
    if strategy == "multi_worker":
        raise ComponentError(
            "Strategy multi_worker was asked for in a process that no launcher started as a worker.",
            spec_path="training.strategy",
            remedy="Set resources.trainer.workers to 2 or more, or training.strategy to auto.",
        )
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if strategy == "none" or (strategy == "auto" and len(gpus) < 2):
        return Distribution()
    note = ""
    if len(devices) == 1:
        note = f"strategy mirrored copies the model to one device only ({devices[0].name}); strategy none is faster"
    copies = len(devices)
    mirrored = tf.distribute.MirroredStrategy([device.name for device in devices])
    return Distribution(mirrored, copies, note, Share(0, copies, copies))


def join(cluster: Cluster) -> Distribution:
    """Join the other workers and return where to fit; must come before anything else that TensorFlow does.

    It waits until all workers are there. Each puts one copy of the model on each of its GPUs, or one on its CPU.
    """
    import os

    import tensorflow as tf

    os.environ["TF_CONFIG"] = cluster.tf_config()
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    copies = strategy.num_replicas_in_sync
    # MultiWorkerMirroredStrategy itself demands as many devices in each worker.
    local = copies // len(cluster.addresses)
    return Distribution(strategy, copies, share=Share(cluster.index * local, local, copies), is_chief=cluster.is_chief)


def tpu_is_here() -> bool:
    """Say whether this machine may have a TPU: whether its driver shows a device."""
    return any(Path("/dev").glob("accel[0-9]*")) or any(Path("/dev/vfio").glob("[0-9]*"))


def _tpu() -> Distribution:
    """Return the TPU slice that this machine drives, as TensorFlow's guide to TPUs connects to it.

    Not run by any test: that needs a TPU and TensorFlow's TPU build. What it shares with `multi_worker`, the loop and
    its static shapes, is tested there. A slice of several hosts is driven by its first one.
    """
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
    except (ValueError, KeyError, tf.errors.OpError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ComponentError(
            f"Strategy tpu found no TPU on this machine: {first}",
            spec_path="training.strategy",
            remedy="Give the trainer a TPU pool in resources and the image's tpu target, or set training.strategy to "
            "auto.",
        ) from error
    copies = strategy.num_replicas_in_sync
    return Distribution(strategy, copies, share=Share(0, copies, copies))
