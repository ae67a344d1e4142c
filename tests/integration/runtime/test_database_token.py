"""Logging in to the catalog with IAM tokens, over TLS that verifies the server."""

import gc
import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import botocore.session
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from infra.local.postgres import Postgres
from infra.local.processes import HOST
from shared.deadline import Deadline
from shared.domain.errors import CatalogUnavailable
from shared.runtime.database_token import IamLogin, connect_database
from tests.setup import debian_programs

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
CLOCK = "botocore.auth.get_current_datetime"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "session",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the loopback address, with its key beside it."""
    folder = tmp_path_factory.mktemp("authority")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "catalog")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem, unencrypted = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted)
    )
    (folder / "authority.pem").write_bytes(certificate.public_bytes(pem))
    return folder / "authority.pem"


@pytest.fixture(scope="module")
def server(authority: Path) -> Iterator[Postgres]:
    """Debian's server, which speaks TLS, with a role that logs in."""
    server = Postgres.start(debian_programs(), fsync=False)
    try:
        with psycopg.connect(server.superuser(), autocommit=True) as connection:
            [(data,)] = connection.execute("SHOW data_directory").fetchall()
            _give(authority, Path(data) / "server.crt")
            _give(authority.with_name("key.pem"), Path(data) / "server.key")
            connection.execute("CREATE ROLE app LOGIN")
            connection.execute("ALTER SYSTEM SET ssl = on")
            connection.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def credentials() -> Iterator[None]:
    """The credentials that Lambda gives a function."""
    with patch.dict("os.environ", CREDENTIALS):
        yield


@pytest.fixture
def conninfo(server: Postgres, authority: Path) -> str:
    """A function's connection string, with a root certificate that no public bundle has."""
    return make_conninfo(
        server.conninfo(user="app"), sslmode="verify-full", sslrootcert=str(authority)
    )


def test_every_connection_has_a_token_of_its_own(server: Postgres, conninfo: str) -> None:
    """An hour later the first connection's token no longer opens one."""
    database = connect_database(conninfo, iam=True)
    for moment in (NOON, NOON + timedelta(hours=1)):
        with patch(CLOCK, return_value=moment):
            _accept(server, _password(IamLogin(conninfo).conninfo()))
            with database.transaction() as connection:
                [(pid, encrypted)] = connection.execute(
                    "SELECT pid, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                ).fetchall()
            assert encrypted
        _end(server, pid)
        gc.collect()  # nothing that signs may go with the garbage of an event
    database.deadline = Deadline(catalog_seconds=3)
    with patch(CLOCK, return_value=NOON), pytest.raises(CatalogUnavailable):
        database.read("SELECT 1", {})


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"sslrootcert": None}, id="signed by nobody whom the public trusts"),
        pytest.param({"host": "localhost"}, id="signed for another name"),
    ],
)
def test_a_server_that_is_not_verified_gets_no_token(
    server: Postgres, conninfo: str, changed: dict[str, Any]
) -> None:
    """The connection ends before the password is sent."""
    with patch(CLOCK, return_value=NOON):
        parts: dict[str, Any] = conninfo_to_dict(conninfo)
        other = make_conninfo(**(parts | changed))
        _accept(server, _password(IamLogin(other).conninfo()))
        with pytest.raises(CatalogUnavailable):
            connect_database(other, iam=True).read("SELECT 1", {})


def test_a_token_is_what_the_client_of_rds_makes() -> None:
    """The signature equals that of botocore's RDS client."""
    client: Any = botocore.session.get_session().create_client("rds")
    with patch(CLOCK, return_value=NOON):
        expected = client.generate_db_auth_token("db.example", 5432, "app")
        ours = IamLogin("host=db.example user=app sslmode=verify-full").conninfo()
    assert _password(ours) == expected


def test_amazons_own_roots_are_trusted() -> None:
    """The public bundle contains the roots of Amazon Trust Services."""
    bundle = conninfo_to_dict(IamLogin("host=db.example user=app").conninfo())["sslrootcert"]
    context = ssl.create_default_context(cafile=str(bundle))
    names = {
        value
        for known in context.get_ca_certs()
        for [(key, value)] in cast("Any", known["subject"])
        if key == "commonName"
    }
    assert {f"Amazon Root CA {number}" for number in (1, 2, 3, 4)} <= names


def test_without_credentials_the_catalog_is_unavailable(conninfo: str) -> None:
    """A start goes on as if Postgres were down, and the message holds no secret."""
    nothing = dict.fromkeys(CREDENTIALS, "") | {"AWS_EC2_METADATA_DISABLED": "true"}
    with patch.dict("os.environ", nothing), pytest.raises(CatalogUnavailable) as refused:
        connect_database(conninfo, iam=True).read("SELECT 1", {})
    assert str(refused.value) == "there is no token for the catalog (NoCredentialsError)"


def test_without_iam_the_conninfo_is_used_as_it_is(server: Postgres) -> None:
    """The local system logs in with passwords."""
    database = connect_database(server.superuser(), iam=False)
    assert database.read("SELECT 1", {}) == [(1,)]
    database.close()


def _give(source: Path, target: Path) -> None:
    """Copy a file so that only the server may read it, which it requires of keys."""
    target.touch(mode=0o600)
    target.write_bytes(source.read_bytes())
    owner = target.parent.stat()
    os.chown(target, owner.st_uid, owner.st_gid)


def _password(conninfo: str) -> str:
    return str(conninfo_to_dict(conninfo)["password"])


def _accept(server: Postgres, token: str) -> None:
    """Make this token the only password that opens connections."""
    with psycopg.connect(server.superuser(), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE app PASSWORD {}").format(sql.Literal(token)))


def _end(server: Postgres, pid: int) -> None:
    with psycopg.connect(server.superuser(), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%(pid)s, 5000)", {"pid": pid})
