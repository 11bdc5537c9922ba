"""The kubeflow runner and a server that refuses, fails, is silent or breaks off: no run twice, plain words."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components.errors import ComponentError, SpecError
from pipelines.kubeflow.refusals import ApiError
from pipelines.kubeflow.settings import KubeflowSettings
from pipelines.runners.kubeflow import KubeflowRunner
from tests.factories.kubeflow_http import Fault, serving
from tests.factories.kubeflow_pipelines import written_pipeline
from tests.factories.kubeflow_runs import SimulatedRun
from tests.factories.kubeflow_server import KubeflowServer

simulate = partial(SimulatedRun, ends={"report-blocked": "SKIPPED"})


@pytest.fixture
def server() -> Iterator[KubeflowServer]:
    with serving(KubeflowServer(simulate=simulate)) as state:
        yield state


def runner(server: KubeflowServer, here: Path, **more: Any) -> KubeflowRunner:
    quick = {"timeout_seconds": 0.4, "backoff_seconds": 0.01, "poll_seconds": 0.01}
    return KubeflowRunner(KubeflowSettings(server.host, **{**quick, **more}), here)


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{free.getsockname()[1]}"
    settings = KubeflowSettings(host, attempts=2, backoff_seconds=0.01)
    with pytest.raises(SpecError, match="cannot be reached: .*[Cc]onnection refused") as refused:
        KubeflowRunner(settings, tmp_path).run(written_pipeline())
    assert refused.value.exit_code == 2
    assert "port-forward" in str(refused.value)


def test_a_host_that_is_no_name(tmp_path: Path) -> None:
    settings = KubeflowSettings("http://kubeflow.invalid", attempts=1)
    with pytest.raises(SpecError, match="http://kubeflow.invalid cannot be reached"):
        KubeflowRunner(settings, tmp_path).run(written_pipeline())


@pytest.mark.parametrize("host", ["localhost:8080", "ftp://kubeflow", "http://"])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(host: str) -> None:
    with pytest.raises(SpecError, match="expected an address that starts with http:// or https://"):
        KubeflowSettings(host)


def test_an_unknown_token_and_a_missing_right_are_told_apart(server: KubeflowServer, tmp_path: Path) -> None:
    server.token = "the-right-one"
    wrong, right = {"token": "a-wrong-one"}, {"token": "the-right-one"}
    with pytest.raises(ApiError, match="answered GET /apis/v2beta1/healthz with 401") as unknown:
        runner(server, tmp_path, **wrong).run(written_pipeline())
    assert unknown.value.problem.where == "--token-file"
    assert "kubectl create token" in unknown.value.problem.remedy
    assert "a-wrong-one" not in str(unknown.value)

    message = "User 'ann' is not authorized with reason: no create on pipelines (request: &ResourceAttributes{})"
    server.faults = [Fault(403, "POST", "/runs", times=None, message=message)]
    with pytest.raises(ApiError, match="403: User 'ann' is not authorized") as refused:
        runner(server, tmp_path, **right).run(written_pipeline())
    assert refused.value.problem.where == "--namespace"
    assert unknown.value.exit_code == refused.value.exit_code == 2
    assert len(server.asked("GET", "healthz")) == 2
    assert len(server.asked("POST", "/runs$")) == 1
    assert not server.runs


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ("Pipeline upload authentication failed. Authenticate the client and retry", "--token-file"),
        ('pipeline upload denied: permission to create pipelines in namespace "ann" is required', "--namespace"),
    ],
)
def test_uploads_that_are_refused_with_400_are_understood_all_the_same(
    server: KubeflowServer, tmp_path: Path, message: str, where: str
) -> None:
    server.faults = [Fault(400, "POST", "upload_version", times=None, message=message)]
    with pytest.raises(ApiError) as refused:
        runner(server, tmp_path).run(written_pipeline())
    assert refused.value.problem.where == where
    assert not server.runs


def test_tokens_come_from_the_option_the_file_or_the_environment(
    server: KubeflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    monkeypatch.setenv("KFP_TOKEN", "from-the-environment")
    mounted = tmp_path / "mounted"
    mounted.write_text("from-the-pod")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(mounted))
    for options in ({"token": "from-the-option"}, {"token_file": file}, {}):
        runner(server, tmp_path, **options).run(written_pipeline())
    monkeypatch.delenv("KFP_TOKEN")
    runner(server, tmp_path).run(written_pipeline())
    sent = list(dict.fromkeys(each.headers.get("Authorization") for each in server.seen))
    assert sent == [
        "Bearer from-the-option",
        "Bearer from-the-file",
        "Bearer from-the-environment",
        "Bearer from-the-pod",
    ]


def test_a_token_that_is_replaced_in_its_file_is_used_at_once(server: KubeflowServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    server.token = "first"

    def rotate(run_id: str) -> None:
        if len(server.asked("GET", "/runs/[^/]+$")) == 3:
            file.write_text("second")
            server.token = "second"

    server.on_look = rotate
    assert runner(server, tmp_path, token_file=file).run(written_pipeline()).exit_code == 0


def test_a_token_file_that_is_not_there_or_empty_is_named(server: KubeflowServer, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="--token-file: got .*missing"):
        runner(server, tmp_path, token_file=tmp_path / "missing").run(written_pipeline())
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SpecError, match="--token-file: got an empty text"):
        runner(server, tmp_path, token_file=tmp_path / "empty").run(written_pipeline())
    assert not server.seen


def test_too_many_requests_are_sent_again_when_the_server_says(server: KubeflowServer, tmp_path: Path) -> None:
    waits: list[float] = []
    started = runner(server, tmp_path)
    started.client.sleep = waits.append
    server.faults = [Fault(429, "POST", "/runs$", times=2, headers={"Retry-After": "7"})]
    assert started.run(written_pipeline()).exit_code == 0
    assert waits.count(7.0) == 2
    assert len(server.runs) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, "rate limit"),
        (403, 'pods "taxi" is forbidden: exceeded quota: gpu, requested: nvidia.com/gpu=8, limited: 4'),
        (500, "Failed to create a workflow: workflows.argoproj.io is forbidden: exceeded quota: compute"),
    ],
)
def test_a_quota_that_is_used_up_is_called_so(
    server: KubeflowServer, tmp_path: Path, status: int, message: str
) -> None:
    server.faults = [Fault(status, "POST", "/runs$", times=None, message=message)]
    with pytest.raises(ApiError, match="expected room in the quota") as refused:
        runner(server, tmp_path).run(written_pipeline())
    assert message in refused.value.problem.received
    assert refused.value.exit_code == 2
    assert not server.runs


@pytest.mark.parametrize("kind", [500, 503, "timeout", "cut", "half", "reset"])
def test_a_question_that_fails_once_is_asked_again(server: KubeflowServer, tmp_path: Path, kind: int | str) -> None:
    server.faults = [Fault(kind, "GET", path) for path in ("healthz", "experiments", "versions", "/runs/")]
    assert runner(server, tmp_path).run(written_pipeline()).exit_code == 0
    assert len(server.runs) == len(server.versions) == len(server.experiments) == 1
    assert len(server.asked("GET", "healthz")) == 2


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (500, "healthz with 500: told to fail"),
        ("timeout", "no answer to GET /apis/v2beta1/healthz from .* in 0.4 s"),
        ("cut", "broke off while it answered GET /apis/v2beta1/healthz"),
        ("half", "that are not whole JSON"),
        ("reset", "broke off while it answered"),
    ],
)
def test_a_question_that_always_fails_is_given_up_with_the_reason(
    server: KubeflowServer, tmp_path: Path, kind: int | str, words: str
) -> None:
    server.faults = [Fault(kind, "GET", "healthz", times=None)]
    with pytest.raises(SpecError, match=words) as refused:
        runner(server, tmp_path, attempts=3).run(written_pipeline())
    assert refused.value.exit_code == 2
    assert len(server.seen) == 3


def test_a_login_page_is_not_taken_for_the_api(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault("page", times=None)]
    with pytest.raises(SpecError, match="healthz with a web page: '<!DOCTYPE html>.*login page"):
        runner(server, tmp_path).run(written_pipeline())
    server.faults = [Fault(302, times=None, headers={"Location": "/dex/auth"}, message="Found")]
    with pytest.raises(SpecError, match="healthz with 302.*sends elsewhere, as to a login page"):
        runner(server, tmp_path).run(written_pipeline())
    assert len(server.seen) == 2


@pytest.mark.parametrize("kind", [500, "timeout", "cut", "half", "reset"])
def test_a_run_whose_start_was_not_confirmed_is_found_and_not_started_again(
    server: KubeflowServer, tmp_path: Path, kind: int | str
) -> None:
    server.faults = [Fault(kind, "POST", "/runs$", done=True)]
    result = runner(server, tmp_path).run(written_pipeline())
    assert len(server.asked("POST", "/runs$")) == len(server.runs) == 1
    assert result.run_id == server.runs[0].record["run_id"]
    assert result.exit_code == 0


@pytest.mark.parametrize("kind", [500, "timeout", "cut", "reset"])
def test_a_run_that_was_perhaps_not_started_is_not_started_again_but_told(
    server: KubeflowServer, tmp_path: Path, kind: int | str
) -> None:
    server.faults = [Fault(kind, "POST", "/runs$")]
    with pytest.raises(SpecError, match="There is no run 'taxi .*' now. Look once more before you start again"):
        runner(server, tmp_path).run(written_pipeline())
    assert len(server.asked("POST", "/runs$")) == 1
    name = server.asked("POST", "/runs$")[0].body["display_name"]
    looks = [each for each in server.asked("GET", "/runs$") if name in each.query["filter"]]
    assert len(looks) == 3


def test_a_run_that_cannot_be_looked_for_is_told_as_unknown(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault("cut", "POST", "/runs$", done=True), Fault(500, "GET", "/runs$", times=None)]
    with pytest.raises(SpecError, match="expected to learn whether the run was started"):
        runner(server, tmp_path).run(written_pipeline())
    assert len(server.runs) == 1


@pytest.mark.parametrize("kind", [500, "cut", "half"])
def test_what_was_made_though_the_answer_was_lost_is_used(
    server: KubeflowServer, tmp_path: Path, kind: int | str
) -> None:
    paths = ("/experiments$", "/pipelines$", "upload_version")
    server.faults = [Fault(kind, "POST", path, done=True) for path in paths]
    assert runner(server, tmp_path).run(written_pipeline()).exit_code == 0
    assert len(server.experiments) == len(server.pipelines) == len(server.versions) == 1


def test_somebody_who_was_faster_is_no_error(server: KubeflowServer, tmp_path: Path) -> None:
    """The name is free when it is looked for, and taken when it is used."""
    make = server.answer

    def race(request: Any) -> Any:
        if request.method == "POST" and request.path.endswith(("/experiments", "/pipelines", "upload_version")):
            make(request)
        return make(request)

    server.answer = race  # type: ignore[method-assign]
    assert runner(server, tmp_path).run(written_pipeline()).exit_code == 0
    assert len(server.experiments) == len(server.pipelines) == len(server.versions) == 1


def test_a_server_that_is_away_for_a_while_does_not_end_the_watch(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault(503, "GET", "/runs/", times=40)]
    result = runner(server, tmp_path, attempts=2).run(written_pipeline())
    assert result.exit_code == 0
    assert len(server.runs) == 1


def test_a_server_that_stays_away_ends_the_watch_and_not_the_run(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault(503, "GET", "/runs/", times=None)]
    with pytest.raises(ComponentError, match="was lost from sight") as lost:
        runner(server, tmp_path, attempts=1, patience_seconds=0.2).run(written_pipeline())
    run_id = server.runs[0].record["run_id"]
    assert lost.value.exit_code == 4
    assert f"--attach {run_id}" in lost.value.remedy
    assert not server.asked("POST", "terminate")


def test_a_token_that_expires_ends_the_watch_at_once_and_not_the_run(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault(401, "GET", "/runs/", times=None, message="token has expired")]
    with pytest.raises(ComponentError, match="token has expired") as lost:
        runner(server, tmp_path).run(written_pipeline())
    assert "--attach" in lost.value.remedy
    assert len(server.asked("GET", "/runs/")) == 1


def test_a_pipeline_that_the_server_does_not_accept_is_shown_with_its_words(
    server: KubeflowServer, tmp_path: Path
) -> None:
    old = written_pipeline()
    old.pipeline_spec["schemaVersion"] = "2.0.0"
    with pytest.raises(SpecError, match="with 400: KFP only supports schema version 2.1.0"):
        runner(server, tmp_path).run(old)
    assert not server.runs


def test_a_parameter_that_the_pipeline_has_not_is_refused_before_anything_is_sent(
    server: KubeflowServer, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="got 'epoch'; expected one of root, epochs. Did you mean 'epochs'?"):
        runner(server, tmp_path).run(written_pipeline(), {"epoch": 3})
    assert not server.seen


def test_a_server_for_several_users_needs_a_namespace(server: KubeflowServer, tmp_path: Path) -> None:
    server.multi_user = True
    with pytest.raises(SpecError, match="--namespace: got no namespace, and .* serves several users"):
        runner(server, tmp_path).run(written_pipeline())
    assert runner(server, tmp_path, namespace="ann").run(written_pipeline()).exit_code == 0
    assert server.experiments[0]["namespace"] == server.pipelines[0]["namespace"] == "ann"
    assert all(each.query["namespace"] == "ann" for each in server.asked("GET", "/(experiments|pipelines)$"))


def test_a_server_for_one_user_is_told_no_namespace(server: KubeflowServer, tmp_path: Path) -> None:
    assert runner(server, tmp_path, namespace="ann").run(written_pipeline()).exit_code == 0
    assert "namespace" not in server.experiments[0]


def test_lists_of_more_than_one_page_are_read_whole(server: KubeflowServer, tmp_path: Path) -> None:
    for number in range(230):
        server.experiments.append({"experiment_id": f"e{number}", "display_name": f"other {number}"})
    server.experiments.insert(0, {"experiment_id": "mine", "display_name": "taxi"})
    page = server._page
    # a server that does not know the filter answers with everything
    server._page = lambda key, items, request: page(  # type: ignore[method-assign]
        key, items, type(request)(request.method, request.path, request.query | {"filter": ""}, {}, None)
    )
    runner(server, tmp_path).run(written_pipeline())
    assert server.runs[0].record["experiment_id"] == "mine"


def test_a_certificate_that_nobody_here_trusts_is_said_and_can_be_given(server: KubeflowServer, tmp_path: Path) -> None:
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, tmp_path / "key.pem")
    with serving(KubeflowServer(simulate=simulate), context) as secure:
        with pytest.raises(SpecError, match="certificate that is not trusted here.*--ca-file"):
            runner(secure, tmp_path).run(written_pipeline())
        assert runner(secure, tmp_path, ca_file=certificate).run(written_pipeline()).exit_code == 0
    with pytest.raises(SpecError, match="--ca-file: got .*nowhere.pem"):
        runner(secure, tmp_path, ca_file=tmp_path / "nowhere.pem")


def _certificate(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
