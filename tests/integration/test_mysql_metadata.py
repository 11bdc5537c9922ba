"""ML Metadata on a real MariaDB: shared by pipelines, restarted under them; what is wrong is named by its setting."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ml_metadata
import pytest
from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2

from components.errors import ComponentError, SpecError
from pipelines.api import Pipeline
from pipelines.metadata_store import MetadataConfig, connection_config
from pipelines.plan import Choices
from pipelines.runners import connection
from tests.factories.mariadb_server import DATABASE, PASSWORD, USER, MariaDbServer
from tests.factories.small_project import write_project

QUICK = Choices(to_node="StatisticsGen")
NEXT = Choices(to_node="SchemaGen")
# TFX calls what protobuf calls deprecated, so near to Sluice's own frames that it is taken for Sluice's
pytestmark = pytest.mark.filterwarnings("ignore:label:DeprecationWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDbServer]:
    with tempfile.TemporaryDirectory(prefix="db") as folder:  # pytest's own are too long for the path of a socket
        made = MariaDbServer(Path(folder))
        yield made
        made.stop()


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_MYSQL_PASSWORD", PASSWORD)


def url(server: MariaDbServer, database: str = DATABASE) -> str:
    return f"mysql://{USER}@127.0.0.1:{server.port}/{database}"


def empty_database(server: MariaDbServer, name: str) -> str:
    """Make a database of a test's own; return its URL."""
    server.sql(f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO '{USER}'@'%'")
    return url(server, name)


def store(server: MariaDbServer, database: str) -> ml_metadata.MetadataStore:
    return ml_metadata.MetadataStore(connection_config(MetadataConfig.model_validate(url(server, database)), ""))


def project(folder: Path, metadata: str, **options: object) -> Path:
    return write_project(folder, more=f"metadata: {metadata}", **options)


def statuses(run: dict) -> dict[str, str]:
    return {node["name"]: node["status"] for node in run["nodes"]}


def when_trainer_runs(root: Path, act: Callable[[], None]) -> threading.Thread:
    """Do something from another thread as soon as the Trainer of the newest run is at work, between two writes."""

    def watch() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for file in sorted(root.glob("runs/*/progress.jsonl"))[-1:]:
                if '"component": "Trainer"' in file.read_text():
                    act()
                    return
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_run_is_recorded_on_the_server_and_the_password_nowhere(server, tmp_path):
    spec = project(tmp_path / "p", empty_database(server, "recorded"))
    root = tmp_path / "root"
    result = Pipeline.load(spec, (), root).run()
    assert result.status == "pushed"
    assert not (root / "metadata.sqlite").exists()
    executions = store(server, "recorded").get_executions()
    assert len(executions) == len(result.record["nodes"])
    assert {each.last_known_state for each in executions} == {metadata_store_pb2.Execution.COMPLETE}
    written = [file for file in root.rglob("*") if file.is_file() and PASSWORD.encode() in file.read_bytes()]
    assert written == []
    again = Pipeline.load(spec, (), root).run()
    assert again.status == "cached"

    changed = Pipeline.load(spec, ["training.epochs=3"], root).run()
    assert statuses(changed.record)["Transform"] == "cached"
    assert statuses(changed.record)["Trainer"] == "done"
    # the cached ones are recorded as used again, so that the lineage of the new model is whole
    assert len(store(server, "recorded").get_executions()) == 2 * len(result.record["nodes"])

    moved = Pipeline.load(spec, [f"metadata={url(server, 'elsewhere')}"], root)
    whys = {step.node.name: step.why for step in moved.plan().steps}
    assert whys["ExampleGen"].startswith("its record is in another metadata store, mysql://127.0.0.1:")


def test_two_pipelines_of_one_name_run_at_once_on_one_database(server, tmp_path):
    spec = project(tmp_path / "p", empty_database(server, "together"))
    code = (
        "import sys\nfrom pipelines.api import Pipeline\nfrom pipelines.plan import Choices\n"
        "print(Pipeline.load(sys.argv[1], (), sys.argv[2]).run(Choices(to_node='Transform')).status)"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(spec), str(tmp_path / f"root{number}")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    answers = [run.communicate(timeout=280) for run in runs]
    assert [out.split()[-1:] for out, _ in answers] == [["partial"], ["partial"]], answers
    found = store(server, "together")
    contexts = found.get_contexts_by_type("pipeline_run")
    assert len({context.name for context in contexts}) == 2
    for context in contexts:
        uris = {artifact.uri for artifact in found.get_artifacts_by_context(context.id)}
        roots = {uri.split("/artifacts/")[0] for uri in uris}
        assert len(roots) == 1, "a run saw the other one's artifacts"
        assert len(found.get_executions_by_context(context.id)) == 7


def test_a_run_outlives_a_restart_of_the_server(server, tmp_path):
    spec = project(tmp_path / "p", empty_database(server, "restarted"))

    def restart() -> None:
        server.stop()
        time.sleep(3)
        server.start()

    watcher = when_trainer_runs(tmp_path / "root", restart)
    result = Pipeline.load(spec, ["training.epochs=40"], tmp_path / "root").run()
    watcher.join()
    assert result.status == "pushed", result.record["failure"]
    states = {each.last_known_state for each in store(server, "restarted").get_executions()}
    assert states == {metadata_store_pb2.Execution.COMPLETE}


def test_when_the_server_stays_away_the_run_fails_and_goes_on_later(server, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 2.0)
    spec = project(tmp_path / "p", empty_database(server, "away"))
    pipeline = Pipeline.load(spec, (), tmp_path / "root")
    watcher = when_trainer_runs(tmp_path / "root", server.stop)
    try:
        result = pipeline.run()
    finally:
        watcher.join()
        server.start()
    assert result.status == "failed"
    failure = result.record["failure"]
    assert failure["component"] == "Trainer"
    assert "has not answered for 2 s" in failure["message"]
    assert failure["spec_path"] == "metadata"
    assert "run again: what was finished is kept" in failure["remedy"]

    again = Pipeline.load(spec, (), tmp_path / "root").run()
    assert again.status == "pushed"
    assert statuses(again.record)["Transform"] == "cached"
    assert statuses(again.record)["Trainer"] == "done"
    states = [each.last_known_state for each in store(server, "away").get_executions()]
    assert metadata_store_pb2.Execution.RUNNING not in states


def test_the_dead_of_other_roots_are_left_alone(server, tmp_path):
    metadata = empty_database(server, "neighbours")
    spec = project(tmp_path / "p", metadata)
    Pipeline.load(spec, (), tmp_path / "one").run(QUICK)
    handle = store(server, "neighbours")
    (execution, *_) = handle.get_executions()
    execution.last_known_state = metadata_store_pb2.Execution.RUNNING
    handle.put_executions([execution])
    assert Pipeline.load(spec, (), tmp_path / "two").run(QUICK).status == "partial"
    (found,) = handle.get_executions_by_id([execution.id])
    assert found.last_known_state == metadata_store_pb2.Execution.RUNNING
    assert Pipeline.load(spec, (), tmp_path / "one").run(NEXT).status == "partial"
    (found,) = handle.get_executions_by_id([execution.id])
    assert found.last_known_state == metadata_store_pb2.Execution.FAILED


def test_an_emptied_database_is_told_with_the_remedy(server, tmp_path):
    spec = project(tmp_path / "p", empty_database(server, "emptied"))
    root = tmp_path / "root"
    Pipeline.load(spec, (), root).run(QUICK)
    server.sql(f"DROP DATABASE emptied; CREATE DATABASE emptied; GRANT ALL ON emptied.* TO '{USER}'@'%'")
    with pytest.raises(ComponentError, match=r"has no artifact \d+.*--no-cache"):
        Pipeline.load(spec, (), root).run(NEXT)
    assert Pipeline.load(spec, (), root).run(Choices(to_node="SchemaGen", use_cache=False)).status == "partial"


def test_what_a_lost_connection_cut_off_is_read_again_but_never_written_twice(server):
    empty_database(server, "cut")
    config = connection_config(MetadataConfig.model_validate(url(server, "cut")), "")
    with connection.PatientMetadata(config, 20.0) as handle:
        handle.store.put_artifact_type(metadata_store_pb2.ArtifactType(name="A"))
        server.stop()
        threading.Timer(1.0, server.start).start()
        assert [kind.name for kind in handle.store.get_artifact_types()] == ["A"]
        server.stop()
        server.start()
        with pytest.raises(ComponentError, match="not known whether that was written"):
            handle.store.put_artifact_type(metadata_store_pb2.ArtifactType(name="B"))
        assert [kind.name for kind in handle.store.get_artifact_types()] == ["A"]
        for _ in range(5):
            server.stop()
            server.start()
            # several queries in one call, so that the connection is found lost within a transaction
            assert handle.store.get_executions() == []
            assert handle.store.get_artifacts_by_id([1]) == []
            server.stop()
            server.start()
            assert handle.store.get_contexts() == []


def refusal(tmp_path: Path, mysql: dict) -> str:
    """Return what a run says that cannot use its metadata store."""
    spec = project(tmp_path / "p", json.dumps({"mysql": mysql}))
    pipeline = Pipeline.load(spec, (), tmp_path / "root")
    with pytest.raises(SpecError) as refused:
        pipeline.run()
    (problem,) = refused.value.problems
    assert problem.line, "the message names a line of the spec"
    assert PASSWORD not in str(problem)
    return str(problem)


@pytest.fixture
def settings(server: MariaDbServer) -> dict:
    return {"host": "127.0.0.1", "port": server.port, "database": DATABASE, "user": USER}


def test_a_wrong_password_names_the_variable(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("SLUICE_MYSQL_PASSWORD", "wrong")
    said = refusal(tmp_path, settings)
    assert "metadata.mysql.password_env: got a password in SLUICE_MYSQL_PASSWORD that does not open" in said
    assert "Access denied for user" in said


def test_a_variable_that_is_not_set_is_named(settings, tmp_path, monkeypatch):
    monkeypatch.delenv("SLUICE_MYSQL_PASSWORD")
    assert "metadata.mysql.password_env: got 'SLUICE_MYSQL_PASSWORD', which is not set" in refusal(tmp_path, settings)
    file = tmp_path / "secret"
    said = refusal(tmp_path, settings | {"password_file": str(file)})
    assert f"metadata.mysql.password_file: got '{file}' (No such file or directory)" in said
    file.write_text(PASSWORD + "\n")
    assert (
        MetadataConfig.model_validate({"mysql": settings | {"password_file": str(file)}}).mysql.password() == PASSWORD
    )


def test_a_server_that_does_not_answer_is_named_with_the_setting(settings, tmp_path):
    said = refusal(tmp_path, settings | {"port": 1})
    assert "metadata.mysql.host: got '127.0.0.1', port 1:" in said
    assert "Connection refused" in said
    said = refusal(tmp_path, settings | {"host": "no-such-host.invalid"})
    assert "metadata.mysql.host: got 'no-such-host.invalid'" in said


def test_a_database_that_is_not_there_and_may_not_be_made_is_named(settings, tmp_path):
    said = refusal(tmp_path, settings | {"database": "nowhere"})
    assert "metadata.mysql.database: got 'nowhere'" in said
    assert f"GRANT ALL ON nowhere.* TO '{USER}'@'%'" in said


def test_a_way_to_log_in_that_ml_metadata_does_not_know_is_named(server, settings, tmp_path):
    server.sql(
        "INSTALL SONAME 'auth_ed25519'; CREATE USER modern@'%' IDENTIFIED VIA ed25519 USING PASSWORD('x');"
        f"GRANT ALL ON {DATABASE}.* TO modern@'%'"
    )
    assert "mysql_native_password" in refusal(tmp_path, settings | {"user": "modern"})


def test_a_server_is_spoken_to_in_secret_and_only_if_it_is_the_right_one(tmp_path, monkeypatch):
    authority, other = make_certificates(tmp_path / "right"), make_certificates(tmp_path / "other")
    with tempfile.TemporaryDirectory(prefix="db") as folder:
        keys = authority.parent
        server = MariaDbServer(Path(folder), (f"--ssl-cert={keys / 'server.pem'}", f"--ssl-key={keys / 'server.key'}"))
        try:
            server.sql(f"ALTER USER '{USER}'@'%' REQUIRE SSL")
            settings = {"host": "127.0.0.1", "port": server.port, "database": DATABASE, "user": USER}
            secret = {"mysql": settings | {"ca_file": str(authority)}}
            spec = project(tmp_path / "p", json.dumps(secret))
            assert Pipeline.load(spec, (), tmp_path / "root").run(QUICK).status == "partial"
            assert "certificate verify failed" in refusal(tmp_path, settings | {"ca_file": str(other)})
            assert "name metadata.mysql.ca_file" in refusal(tmp_path, settings)
        finally:
            server.stop()


def make_certificates(folder: Path) -> Path:
    """Write an authority and a certificate that it gave to 127.0.0.1; return the authority's."""
    folder.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority of a test")
    openssl("req", *new[:3], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2")
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signed)
    return folder / "ca.pem"


def test_a_password_in_a_spec_is_refused(tmp_path):
    spec = project(tmp_path / "p", "mysql://ada:secret@db/sluice")
    with pytest.raises(SpecError, match="a spec holds no password") as refused:
        Pipeline.load(spec)
    assert "SLUICE_MYSQL_PASSWORD" in str(refused.value)
    with pytest.raises(SpecError, match="password"):
        Pipeline.load(project(tmp_path / "p", '{mysql: {host: h, database: d, user: u, password: "x"}}'))


def test_a_write_that_the_server_rolled_back_in_a_deadlock_is_sent_again_and_one_cut_off_is_not():
    """The messages are MariaDB's; deadlocks themselves come when two runs make the tables at once, now and then."""
    deadlock = errors.InternalError("mysql_query failed: errno: 1213, error: Deadlock found when trying to get lock")
    answers: list[Exception | None] = [deadlock, deadlock, None]

    def answer() -> None:
        if (error := answers.pop(0)) is not None:
            raise error

    connection._write(answer, "PutExecution")
    assert answers == []
    answers = [errors.InternalError("mysql_query failed: errno: 2013, error: Lost connection to server"), None]
    with pytest.raises(ComponentError, match="not known whether that was"):
        connection._write(answer, "PutExecution")
    assert answers == [None]


def test_many_runs_can_begin_on_an_empty_database_at_once(server, tmp_path):
    """Six processes make the tables at once: some lose a deadlock, and none of them minds."""
    empty_database(server, "crowded")
    code = (
        "import sys\nfrom pipelines import metadata_store\nfrom pipelines.runners import connection\n"
        "config = metadata_store.MetadataConfig.model_validate(sys.argv[1])\n"
        "metadata_store.check(config)\n"
        "made = connection.metadata_connection(metadata_store.connection_config(config, ''))\n"
        "with made as handle:\n"
        "    from ml_metadata.proto import metadata_store_pb2\n"
        "    kind = handle.store.put_context_type(metadata_store_pb2.ContextType(name='crowd'))\n"
        "    handle.store.put_contexts([metadata_store_pb2.Context(type_id=kind, name=sys.argv[2])])\n"
    )
    words = [sys.executable, "-c", code, url(server, "crowded")]
    many = [subprocess.Popen([*words, str(each)], stderr=subprocess.PIPE, text=True) for each in range(6)]
    errors_of = [(each.communicate(timeout=240)[1], each.returncode) for each in many]
    assert [code for _, code in errors_of] == [0] * 6, errors_of
    assert {each.name for each in store(server, "crowded").get_contexts_by_type("crowd")} == set("012345")
