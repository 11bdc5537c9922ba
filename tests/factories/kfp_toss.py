"""A pipeline in the DSL of KFP's own SDK, with a condition, an exit handler, retries and a node selector.

No `from __future__ import annotations` here: the SDK looks at the types themselves.
"""

from kfp import dsl, kubernetes


@dsl.container_component
def draw(threshold: int, coin: dsl.OutputPath(str), log: dsl.Output[dsl.Artifact]):
    return dsl.ContainerSpec(
        image="registry.example/draw:1", command=["draw"], args=["--min", threshold, "--to", coin, "--log", log.path]
    )


@dsl.container_component
def win(coin: str):
    return dsl.ContainerSpec(image="registry.example/win:1", command=["win"], args=[coin])


@dsl.container_component
def tell():
    return dsl.ContainerSpec(image="registry.example/tell:1", command=["tell"])


@dsl.pipeline(name="toss")
def toss(threshold: int = 3):
    last = tell()
    last.set_caching_options(False)
    with dsl.ExitHandler(last):
        drawn = draw(threshold=threshold).set_retry(2, backoff_duration="10s", backoff_factor=2).set_cpu_request("500m")
        kubernetes.add_node_selector(drawn, "example.com/pool", "cpu")
        with dsl.If(drawn.outputs["coin"] == "heads"):
            win(coin=drawn.outputs["coin"])
