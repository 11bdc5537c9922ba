"""The local server answers as TF Serving does, over REST and over gRPC."""

from __future__ import annotations

import base64
import json
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.integration.served_models import FEATURES, Server, example, publish_model, running_server

ROWS: list[dict[str, Any]] = [
    {"company": "Flash", "fare": 10.0, "trip_miles": 2.5},
    {"company": "", "fare": 7, "trip_miles": 0.25},
    {"company": "Zürich Cabs", "fare": 100.5, "trip_miles": 31},
]
COLUMNS = {name: [row[name] for row in ROWS] for name in FEATURES}
EXPECTED = [0.135, 0.6095, 0.5105]
LIMIT = 200_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base_path = tmp_path_factory.mktemp("taxi")
    publish_model(base_path, 3, bias=0.1)
    with running_server(base_path, "--max-request-bytes", str(LIMIT)) as running:
        running.wait_for(3)
        yield running


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


def ask(channel: grpc.Channel, inputs: dict[str, Any], signature: str = "raw", **spec: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = spec.get("name", "taxi"), signature
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    request.output_filter.extend(spec.get("output_filter", ()))
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)


def typed(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name == "company" else np.array(value, np.float32) for name, value in columns.items()}


def test_row_form_and_column_form_agree(server: Server) -> None:
    by_row = server.predict({"signature_name": "raw", "instances": ROWS})
    by_column = server.predict({"signature_name": "raw", "inputs": COLUMNS})
    assert by_row.status_code == by_column.status_code == 200
    assert by_row.headers["content-type"] == "application/json"
    assert by_row.json()["predictions"] == pytest.approx(EXPECTED)
    assert by_row.json() == {"predictions": by_column.json()["outputs"]}


def test_the_default_signature_takes_base64_examples_named_or_not(server: Server) -> None:
    encoded = [{"b64": base64.b64encode(example(**row)).decode()} for row in ROWS if row["company"]]
    plain = server.predict({"instances": encoded}).json()["predictions"]
    named = server.predict({"instances": [{"examples": one} for one in encoded]}).json()["predictions"]
    column = server.predict({"inputs": {"examples": encoded}}).json()["outputs"]
    assert plain == named == column == pytest.approx([EXPECTED[0], EXPECTED[2]])


def test_null_nan_and_empty_text_all_mean_missing(server: Server) -> None:
    rows = [{"company": None, "fare": None, "trip_miles": 2}, {"company": "", "fare": math.nan, "trip_miles": 2}]
    body = json.dumps({"signature_name": "raw", "instances": rows}).encode()
    assert b"NaN" in body
    first, second = server.predict(body).json()["predictions"]
    assert first == second == pytest.approx(0.62)


def test_several_outputs_are_named_in_both_forms(server: Server) -> None:
    inputs = {"ids": [[1, 2], [30, 4]], "flag": [False, False]}
    assert server.predict({"signature_name": "typed", "inputs": inputs}).json()["outputs"] == {
        "name": ["1", "30"],
        "raw_bytes": [{"b64": "MQ=="}, {"b64": "MzA="}],
        "total": [3, 34],
        "undefined": [0.5, 0.5],
    }
    rows = [{"ids": [1, 2], "flag": False}, {"ids": [30, 4], "flag": True}]
    first, second = server.predict({"signature_name": "typed", "instances": rows}).json()["predictions"]
    assert first == {"name": "1", "raw_bytes": {"b64": "MQ=="}, "total": 3, "undefined": 0.5}
    assert (second["total"], math.isnan(second["undefined"])) == (34, True)


def test_a_version_can_be_named(server: Server) -> None:
    body = {"signature_name": "raw", "instances": ROWS}
    assert server.predict(body, "/v1/models/taxi/versions/3:predict").json() == server.predict(body).json()
    other = server.predict(body, "/v1/models/taxi/versions/4:predict")
    assert other.status_code == 404
    assert other.json() == {"error": "version 4 of model taxi is not loaded; loaded: 3"}


def raw(**changes: Any) -> dict[str, Any]:
    row = {**ROWS[0], **changes}
    return {"signature_name": "raw", "instances": [{key: value for key, value in row.items() if value != "absent"}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (raw(fare="ten"), 'input "fare", row 0: got the string "ten", expected a number (float32)'),
        (raw(company=7), 'input "company", row 0: got 7, expected a string'),
        (raw(fares=1), 'row 0: inputs of signature "raw": unknown fares (did you mean "fare"?)'),
        (raw(fare="absent"), 'row 0: inputs of signature "raw": lacking fare; write null where a value is missing'),
        (raw(fare=[1.0]), 'input "fare": got shape [1, 1], expected [batch]'),
        ({"instances": ROWS}, 'To send features by name, add "signature_name": "raw"'),
        ({"signature_name": "raw", "inputs": {**COLUMNS, "fare": [1.0]}}, "got company 3, fare 1, trip_miles 3"),
        ({"signature_name": "raw", "inputs": {**COLUMNS, "tip": [1.0]}}, 'inputs of signature "raw": unknown tip'),
        ({"signature_name": "raw", "inputs": [1.0]}, '"inputs": signature "raw" takes several named inputs'),
        ({"signature_name": "rwa", "instances": ROWS}, 'signature "rwa" is unknown; the model has raw'),
        ({"signature_name": 1, "instances": ROWS}, '"signature_name": got 1, expected a string'),
        ({"instances": [{"b64": "/////w=="}]}, "the model cannot use this input"),
        ({"instances": ROWS, "inputs": COLUMNS}, 'expected either "instances" (rows) or "inputs" (columns)'),
        ({"rows": ROWS}, "got keys ['rows'], expected either"),
        ({"instances": []}, '"instances": expected a list of at least one row'),
        (b'{"instances": [', "the request is not JSON"),
        (b'{"instances": ' + b"[" * 50_000, "the request is not JSON"),
        (b"\xff\xfe", "the request is not JSON"),
        (b"[]", "got a JSON list, expected an object"),
        (b"", "the request is empty"),
    ],
)
def test_bad_input_is_400_with_what_was_wrong(server: Server, body: Any, message: str) -> None:
    answer = server.predict(body)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models/taxy", 404),
        ("GET", "/v1/models/taxi/versions/9", 404),
        ("GET", "/v1/models/taxi/versions/9/metadata", 404),
        ("POST", "/v1/models/taxy:predict", 404),
        ("POST", "/v1/models/taxi:classify", 501),
        ("POST", "/v1/models/taxi:explain", 400),
        ("POST", "/v1/models/taxi/versions/x:predict", 400),
        ("GET", "/v1/models/taxi:predict", 400),
        ("DELETE", "/v1/models/taxi", 400),
        ("GET", "/", 400),
    ],
)
def test_wrong_addresses_say_so(server: Server, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, f"{server.url}{path}", timeout=30)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


def test_too_large_requests_are_413_announced_or_not(server: Server) -> None:
    body = json.dumps({"signature_name": "raw", "instances": ROWS * 2000}).encode()
    assert len(body) > LIMIT
    announced = server.predict(body)
    chunked = httpx.post(f"{server.url}/v1/models/taxi:predict", content=iter([body[:1000], body[1000:]]), timeout=30)
    assert announced.status_code == chunked.status_code == 413
    assert announced.json() == {"error": f"the request is larger than {LIMIT} bytes; send fewer rows at a time"}
    smaller = server.predict({"signature_name": "raw", "instances": ROWS * 500})
    assert len(smaller.json()["predictions"]) == 1500


def test_status_has_tf_servings_shape(server: Server) -> None:
    entry = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/taxi", "/v1/models/taxi/versions/3"):
        answer = server.get(path)
        assert answer.status_code == 200
        assert answer.json() == {"model_version_status": [entry]}


def test_metadata_has_tf_servings_shape(server: Server) -> None:
    answer = server.get("/v1/models/taxi/metadata").json()
    assert answer["model_spec"] == {"name": "taxi", "signature_name": "", "version": "3"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "raw", "transform_features"} <= set(signatures)
    assert signatures["raw"]["inputs"]["fare"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "raw_fare:0",
    }
    assert signatures["raw"]["method_name"] == "tensorflow/serving/predict"
    assert set(signatures["raw"]["outputs"]) == {"probability"}
    parsed = json_format.ParseDict(answer["metadata"]["signature_def"], get_model_metadata_pb2.SignatureDefMap())
    assert set(parsed.signature_def["raw"].inputs) == set(FEATURES)


def test_grpc_and_rest_give_the_same_numbers(server: Server, channel: grpc.Channel) -> None:
    reply = ask(channel, typed(COLUMNS))
    assert (reply.model_spec.name, reply.model_spec.version.value, reply.model_spec.signature_name) == (
        "taxi",
        3,
        "raw",
    )
    by_grpc = tf.make_ndarray(reply.outputs["probability"])
    by_rest = server.predict({"signature_name": "raw", "instances": ROWS}).json()["predictions"]
    assert by_grpc.dtype == np.float32
    assert by_grpc.tolist() == np.array(by_rest, np.float32).tolist()
    serialized = [example(**row) for row in ROWS if row["company"]]
    by_example = tf.make_ndarray(ask(channel, {"examples": serialized}, "").outputs["probability"])
    assert by_example.tolist() == by_grpc[[0, 2]].tolist()


def test_grpc_gives_text_and_only_the_outputs_asked_for(channel: grpc.Channel) -> None:
    inputs = {"ids": np.array([[1, 2]], np.int64), "flag": np.array([False])}
    reply = ask(channel, inputs, "typed", output_filter=["name"], version=3)
    assert list(reply.outputs) == ["name"]
    assert tf.make_ndarray(reply.outputs["name"]).tolist() == [b"1"]


@pytest.mark.parametrize(
    ("changes", "spec", "code", "message"),
    [
        ({"fare": [1, 2, 3]}, {}, "INVALID_ARGUMENT", 'input "fare": got int32, expected float32'),
        ({"fare": np.ones(2, np.float32)}, {}, "INVALID_ARGUMENT", "same number of rows; got company 3, fare 2"),
        ({"fare": np.ones((3, 1), np.float32)}, {}, "INVALID_ARGUMENT", r"got shape [3, 1], expected [batch]"),
        ({"fares": [1.0]}, {}, "INVALID_ARGUMENT", 'Did you mean "fare"?'),
        ({}, {"output_filter": ["score"]}, "INVALID_ARGUMENT", "output score is unknown; known: probability"),
        ({}, {"version": 9}, "NOT_FOUND", "version 9 of model taxi is not loaded"),
        ({}, {"name": "taxy"}, "NOT_FOUND", 'model "taxy" is unknown'),
    ],
)
def test_grpc_refuses_with_a_code_and_a_reason(
    channel: grpc.Channel, changes: dict[str, Any], spec: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, {**typed(COLUMNS), **changes}, **spec)
    assert caught.value.code().name == code
    assert message in caught.value.details()


def test_grpc_lists_what_lacks(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError, match='signature "raw" lacks input fare, trip_miles'):
        ask(channel, {"company": ["Flash"]})


def test_grpc_status_and_metadata(channel: grpc.Channel) -> None:
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "taxi"
    (entry,) = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status, timeout=30).model_version_status
    assert (entry.version, entry.state) == (3, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "taxi"
    reply = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=30)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["raw"].inputs["fare"].dtype == tf.float32.as_datatype_enum
    assert reply.model_spec.version.value == 3


def test_answers_are_not_held_back_to_fill_packets(server: Server) -> None:
    body = json.dumps({"signature_name": "raw", "instances": ROWS}).encode()
    seconds = []
    with httpx.Client(timeout=30) as client:
        for _ in range(60):
            began = time.perf_counter()
            client.post(f"{server.url}/v1/models/taxi:predict", content=body)
            seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds[20:]) < 0.03, "Nagle's algorithm and delayed acknowledgements take 40 ms"


def test_a_second_server_on_the_same_port_says_which_option(server: Server, tmp_path: Path) -> None:
    for option, port in (("--rest-port", server.url), ("--grpc-port", server.grpc_address)):
        number = port.rsplit(":", 1)[1]
        with (
            pytest.raises(AssertionError, match=rf"{option}: got 127.0.0.1:{number} .* expected a free port"),
            running_server(tmp_path, option, number),
        ):
            pass


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="--base-path: got .*, which does not exist"),
        running_server(tmp_path, "--base-path", str(tmp_path / "nothing")),
    ):
        pass
