"""Sign in to the catalog with IAM tokens, over TLS that verifies the server.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
"""

from functools import cached_property

import botocore.session
from botocore.awsrequest import prepare_request_dict
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.model import ServiceId
from botocore.signers import RequestSigner
from certifi import where
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.catalog.connection import Database
from shared.domain.errors import CatalogUnavailable

SERVICE = "rds-db"
TOKEN_SECONDS = 900
DEFAULT_PORT = "5432"


def connect_database(conninfo: str, *, iam: bool) -> Database:
    """Return the database, not connected yet. With `iam` each connection gets its own token."""
    return Database(IamLogin(conninfo).conninfo if iam else lambda: conninfo)


class IamLogin:
    """Makes a token for each new connection. None is kept: a token expires in 15 minutes.

    Only botocore's signer is needed, not an RDS client with all its operations.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def conninfo(self) -> str:
        """The connection string with a new token as the password. Raises CatalogUnavailable.

        RDS Proxy presents certificates of Amazon Trust Services, so the public authorities are
        trusted unless the connection string names other root certificates.
        """
        parts = conninfo_to_dict(self._conninfo)
        return make_conninfo(
            self._conninfo,
            sslrootcert=parts.get("sslrootcert", where()),
            password=self._token(
                str(parts["host"]), str(parts.get("port", DEFAULT_PORT)), str(parts["user"])
            ),
        )

    def _token(self, host: str, port: str, user: str) -> str:
        """A presigned request to connect, without its scheme."""
        scheme = "https://"
        request = {
            "method": "GET",
            "url_path": "/",
            "query_string": "",
            "headers": {},
            "body": {"Action": "connect", "DBUser": user},
        }
        prepare_request_dict(request, f"{scheme}{host}:{port}")
        try:
            url = self._signer.generate_presigned_url(
                request, "connect", expires_in=TOKEN_SECONDS, signing_name=SERVICE
            )
        except BotoCoreError as error:
            name = type(error).__name__
            raise CatalogUnavailable(f"there is no token for the catalog ({name})") from None
        return str(url).removeprefix(scheme)

    @cached_property
    def _session(self) -> botocore.session.Session:
        # Kept, because a signer holds only weak references to what it needs of the session.
        return botocore.session.get_session()

    @cached_property
    def _signer(self) -> RequestSigner:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return RequestSigner(
            ServiceId(SERVICE),
            self._session.get_config_variable("region"),
            SERVICE,
            "v4",
            credentials,
            self._session.get_component("event_emitter"),
        )
