"""The whole system, started in order and stopped in the opposite one."""

import errno
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from uuid import uuid4

from infra.functions import VERIFICATION
from infra.local import demo, processes
from infra.local.aws.dynamodb import DynamoDB, create_session_table, create_table
from infra.local.aws.environments import LocalFunction
from infra.local.aws.gateway import Gateway, unavailable
from infra.local.aws.invoke_api import InvokeApi
from infra.local.aws.issuer import Issuer
from infra.local.aws.scheduler import DAY_SECONDS, Scheduler
from infra.local.aws.stream import EventSourceMapping
from infra.local.endpoints import Endpoints
from infra.local.functions import LocalStores, deploy
from infra.local.options import Options, as_typed
from infra.local.postgres import Postgres
from infra.local.processes import HOST, NotStarted
from infra.local.roles import create_database
from infra.local.server import Server

WATCH_SECONDS = 0.5


class Stopped(Exception):
    """The user asked to stop while parts were still being started."""


class StopSignal:
    """A request to stop. Signal handlers set it: a queue is safe there, locks are not."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[None] = SimpleQueue()

    def set(self, *_: object) -> None:
        self._asked.put(None)

    def wait(self) -> None:
        self._asked.get()

    def check(self) -> None:
        """Raises Stopped if it has been set."""
        if not self._asked.empty():
            raise Stopped


@dataclass(frozen=True, slots=True)
class System:
    """The running parts and their places."""

    url: str
    server: Server
    endpoints: Endpoints
    logs: Path


@contextmanager
def running(options: Options, stop: StopSignal) -> Generator[System]:
    """Start everything, and stop it at the end. Raises NotStarted, Stopped."""
    with ExitStack() as stack:
        server = _server(options.port)
        stack.callback(server.stop)
        logs = _log_folder(options.logs, stack)
        url = f"http://{HOST}:{server.port}"
        stores, issuer = _start_stores(url, stack)
        stop.check()
        functions = deploy(
            stores, logs, url, environments=options.environments, max_new=options.max_new
        )
        for function in functions.values():
            stack.callback(function.stop)
        _start_functions(options, functions)
        stop.check()
        gateway = Gateway(functions, issuer)
        endpoints = Endpoints(stores, issuer, gateway, InvokeApi(functions))
        server.answer = endpoints.answer
        server.start()
        stack.callback(server.stop)
        if not options.empty:
            demo.load(url, stores.dynamodb, stop.check)
            # These load while a person opens the address.
            for name in ("console", "sign_in"):
                functions[name].warm(1)
        mapping = EventSourceMapping.start(stores.dynamodb.stream(), functions["fleet"])
        stack.callback(mapping.stop)
        if options.schedule:
            sync = functions["sync"]
            stack.callback(Scheduler.start(sync).stop)
            stack.callback(Scheduler.start(sync, DAY_SECONDS, VERIFICATION).stop)
        stack.callback(_watch(stores).set)
        endpoints.ready = True
        yield System(url, server, endpoints, logs)


def _log_folder(chosen: Path | None, stack: ExitStack) -> Path:
    """The chosen folder, made if need be, or a temporary one that is deleted at the end."""
    if chosen is None:
        folder = processes.make_folder("logs")
        stack.callback(processes.delete, folder)
        return folder
    try:
        chosen.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        option = as_typed(f"--logs {chosen}")
        raise NotStarted(f"{option}: cannot make this folder: {error.strerror}") from None
    return chosen.resolve()


def _watch(stores: LocalStores) -> Event:
    """Print a line when a store's process ends, until the returned event is set."""
    stopped = Event()

    def watch() -> None:
        reported: set[str] = set()
        while not stopped.wait(WATCH_SECONDS):
            for name in set(stores.down()) - reported:
                reported.add(name)
                print(f"{name} has died and stays down", file=sys.stderr, flush=True)

    Thread(target=watch, daemon=True).start()
    return stopped


def _start_functions(options: Options, functions: dict[str, LocalFunction]) -> None:
    """Migrate the database by one function, while others start that the demo data will use."""
    if not options.empty:
        # These load while the database is migrated; the demo data keeps as many busy.
        for name in ("admin_api", "provisioning"):
            functions[name].warm(min(demo.AT_ONCE, options.environments))
    invocation = functions["migrate"].invoke(b"{}", str(uuid4()))
    if invocation.error:
        raise NotStarted(f"the migrations failed: {invocation.payload.decode()}")


def _server(port: int) -> Server:
    """Take the port before anything else is started."""
    try:
        return Server(unavailable, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            option = as_typed("--port 8081" if port == 8080 else "--port 8080")  # noqa: PLR2004
            raise NotStarted(f"port {port} is taken: choose another with {option}") from None
        raise NotStarted(f"port {port} cannot be used: {error.strerror}") from None


def _start_stores(url: str, stack: ExitStack) -> tuple[LocalStores, Issuer]:
    """Start both stores and make the issuer's key, all at the same time."""

    def postgres() -> tuple[Postgres, dict[str, str]]:
        server = Postgres.start()
        stack.callback(server.stop)
        return server, create_database(server)

    def dynamodb() -> DynamoDB:
        server = DynamoDB.start()
        stack.callback(server.stop)
        create_table(server.client(), server.table)
        create_session_table(server.client(), server.session_table)
        return server

    with ThreadPoolExecutor() as pool:
        issuer = pool.submit(Issuer, url)
        relational, key_value = pool.submit(postgres), pool.submit(dynamodb)
    server, passwords = relational.result()
    return LocalStores(server, passwords, key_value.result()), issuer.result()
