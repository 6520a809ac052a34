"""PostgreSQL, an S3 store and MLflow's server on loopback, for tests: started from nothing, ended with the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.operations.servers import Server, mlflow_server, start, stop

S3_ACCESS = {
    "AWS_ACCESS_KEY_ID": "lookout",
    "AWS_SECRET_ACCESS_KEY": "lookout-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "lookout"


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a registry of its own can be reached; s3: the store behind it."""

    tracking_uri: str
    database: str
    s3: str

    def empty(self) -> None:
        """Forgets every run, version and experiment."""
        import psycopg2

        with psycopg2.connect(self.database) as connection, connection.cursor() as cursor:
            cursor.execute("select tablename from pg_tables where schemaname = 'public'")
            kept = {"alembic_version", "experiments", "workspaces"}
            names = [name for (name,) in cursor.fetchall() if name not in kept]
            cursor.execute(f"truncate {', '.join(names)} cascade")
            cursor.execute("delete from experiments where name <> 'Default'")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a cluster of its own, with nothing in it. It will not run as root: then it runs as `postgres`."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    who = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    folder, port = Path(tempfile.mkdtemp(prefix="lookout-pg-")), free_port()
    if who:
        shutil.chown(folder, "postgres", "postgres")
    common = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **who}
    subprocess.run([binaries[-1], "-D", folder / "data", "-U", "lookout", "-A", "trust"], check=True, **common)
    command = [binaries[-1].with_name("postgres"), "-D", folder / "data", "-p", str(port), "-k", str(folder),
               "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]  # fmt: skip
    server = subprocess.Popen(command, **common)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run([binaries[-1].with_name("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)],
                             check=False).returncode and time.monotonic() < deadline:  # fmt: skip
            time.sleep(0.1)
        yield f"postgresql://lookout@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The URL of an S3 store with one empty bucket."""
    import boto3

    port = free_port()
    server = Server(
        "s3", ("moto.server", "-H", "127.0.0.1", "-p", str(port)), port, f"http://127.0.0.1:{port}/moto-api/"
    )
    start(server, folder)
    try:
        boto3.client("s3", endpoint_url=server.url).create_bucket(Bucket=BUCKET)
        yield server.url
    finally:
        stop("s3", folder)


@contextmanager
def real_backend(folder: Path) -> Iterator[Backend]:
    """MLflow's server on PostgreSQL and S3."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in S3_ACCESS.items():
            patch.setenv(name, value)
        database = stack.enter_context(postgres())
        store = stack.enter_context(s3(folder))
        patch.setenv("MLFLOW_S3_ENDPOINT_URL", store)
        server = mlflow_server(free_port(), database, f"s3://{BUCKET}/mlflow")
        start(server, folder)
        stack.callback(stop, "mlflow", folder)
        yield Backend(server.url, database, store)


@contextmanager
def team_servers(folder: Path) -> Iterator[dict[str, str]]:
    """What deploy/compose.yaml starts, without containers; the variables that name Prefect's database and MLflow."""
    import psycopg2

    with real_backend(folder) as backend:
        connection = psycopg2.connect(backend.database)
        connection.autocommit = True  # a database is not made within a transaction
        connection.cursor().execute("create database prefect")
        connection.close()
        database = backend.database.replace("postgresql:", "postgresql+asyncpg:").replace("/postgres", "/prefect")
        yield {"PREFECT_API_DATABASE_CONNECTION_URL": database, "MLFLOW_TRACKING_URI": backend.tracking_uri}


def run_python(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m ...` with the code that lies in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"} | environment,
    )  # fmt: skip
