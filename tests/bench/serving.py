"""Load on the local server: `python -m tests.bench.serving`; every answer must be right, or the bench fails.

The model is tiny, so the figures are what the server itself costs. Clients share the machine with it.
"""

from __future__ import annotations

import http.client
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import psutil
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.integration.served_models import Server, publish_model, running_server

ROW = {"company": "Flash", "fare": 10.0, "trip_miles": 2.5}
PROBABILITY = 0.135
ROUNDS = 3


def rest_call(server: Server, rows: int) -> Callable[[], Callable[[], float]]:
    """Return what gives each client its own connection and a call that returns the first answer."""
    body = json.dumps({"signature_name": "raw", "instances": [ROW] * rows}).encode()

    def connect() -> Callable[[], float]:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))

        def call() -> float:
            connection.request("POST", "/v1/models/taxi:predict", body)
            return json.loads(connection.getresponse().read())["predictions"][0]

        return call

    return connect


def grpc_call(server: Server, rows: int) -> Callable[[], Callable[[], float]]:
    """Do the same over gRPC."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "taxi", "raw"
    columns = {name: [value] * rows for name, value in ROW.items()}
    for name, column in columns.items():
        array = column if name == "company" else np.array(column, np.float32)
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))

    def connect() -> Callable[[], float]:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(server.grpc_address))
        return lambda: float(tf.make_ndarray(stub.Predict(request, timeout=60).outputs["probability"])[0])

    return connect


def load(connect: Callable[[], Callable[[], float]], clients: int, calls: int) -> tuple[float, list[float]]:
    """Return requests per second, and the latencies in ms."""
    latencies: list[float] = []

    def work() -> None:
        call = connect()
        for _ in range(calls // clients):
            began = time.perf_counter()
            answer = call()
            latencies.append((time.perf_counter() - began) * 1000)
            if abs(answer - PROBABILITY) > 1e-6:
                raise AssertionError(f"wrong answer {answer}")

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(latencies) != calls // clients * clients:
        raise AssertionError("a client failed")
    return len(latencies) / (time.perf_counter() - began), sorted(latencies)


def main() -> None:
    """Measure and print a Markdown table: medians of the rounds."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        publish_model(Path(folder), 1, bias=0.1)
        began = time.perf_counter()
        with running_server(Path(folder)) as server:
            server.wait_for(1)
            print(f"start to first answer: {time.perf_counter() - began:.1f} s")
            print("| | rows | clients | requests/s | p50 ms | p99 ms |\n|---|--:|--:|--:|--:|--:|")
            for name, make in (("REST", rest_call), ("gRPC", grpc_call)):
                for rows, clients in ((1, 1), (1, 8), (1, 32), (100, 8)):
                    connect = make(server, rows)
                    load(connect, clients, 200)
                    rounds = [load(connect, clients, 1600) for _ in range(ROUNDS)]
                    rate = statistics.median(rate for rate, _ in rounds)
                    p50, p99 = (
                        statistics.median(found[int(len(found) * part)] for _, found in rounds) for part in (0.5, 0.99)
                    )
                    print(f"| {name} | {rows} | {clients} | {rate:,.0f} | {p50:.1f} | {p99:.1f} |", flush=True)
            memory = psutil.Process(server.process.pid).memory_info().rss / 1e6
            print(f"memory of the server: {memory:.0f} MB")


if __name__ == "__main__":
    main()
