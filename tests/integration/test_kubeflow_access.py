"""Reaching a Kubeflow server and being let in: addresses, tokens, rights, namespaces, certificates."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components.errors import SpecError
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


def test_a_login_page_is_not_taken_for_the_api(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault("page", times=None)]
    with pytest.raises(SpecError, match="healthz with a web page: '<!DOCTYPE html>.*login page"):
        runner(server, tmp_path).run(written_pipeline())
    server.faults = [Fault(302, times=None, headers={"Location": "/dex/auth"}, message="Found")]
    with pytest.raises(SpecError, match="healthz with 302.*sends elsewhere, as to a login page"):
        runner(server, tmp_path).run(written_pipeline())
    assert len(server.seen) == 2


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


@pytest.mark.parametrize(("version", "fits"), [("2.0.5", False), ("2.4.0", True), ("2.17.0", True), ("unknown", True)])
def test_a_server_that_is_too_old_for_what_is_compiled_is_refused_first(
    server: KubeflowServer, tmp_path: Path, version: str, fits: bool
) -> None:
    server.version = version
    if fits:
        assert runner(server, tmp_path).run(written_pipeline()).exit_code == 0
        return
    with pytest.raises(SpecError, match="Kubeflow Pipelines 2.0.5; expected version 2.4 or later"):
        runner(server, tmp_path).run(written_pipeline())
    assert len(server.seen) == 1


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
