"""The whole system, started in order and stopped in the opposite one."""

import errno
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from infra.local import demo, processes
from infra.local.aws.dynamodb import DynamoDB, create_table
from infra.local.aws.environments import LocalFunction
from infra.local.aws.gateway import UNAVAILABLE, Gateway
from infra.local.aws.invoke_api import InvokeApi
from infra.local.aws.issuer import Issuer
from infra.local.aws.scheduler import Schedule
from infra.local.endpoints import Endpoints
from infra.local.functions import Stores, deploy
from infra.local.postgres import Postgres
from infra.local.processes import HOST, NotStarted
from infra.local.roles import create_database
from infra.local.server import Server


@dataclass(frozen=True, slots=True)
class Options:
    """How to run; `max_new` is the sync's cap, its own default unless given."""

    port: int = 8080
    empty: bool = False
    schedule: bool = True
    max_new: int | None = None
    environments: int = 4


class Stopped(Exception):
    """Somebody asked for an end while things were still being started."""


class StopSignal:
    """Set from a signal handler, so it is a queue: locks are not safe there."""

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
    """What runs, and where."""

    url: str
    endpoints: Endpoints
    logs: Path


@contextmanager
def running(options: Options, stop: StopSignal) -> Generator[System]:
    """Start everything, and stop it at the end. Raises NotStarted, Stopped."""
    with ExitStack() as stack:
        server = _server(options.port)
        stack.callback(server.stop)
        url = f"http://{HOST}:{server.port}"
        stores, issuer = _start_stores(url, stack)
        stop.check()
        logs = processes.make_folder("logs")
        stack.callback(processes.delete, logs)
        functions = _start_functions(options, stores, logs, stack)
        stop.check()
        gateway = Gateway(functions["admin_api"], issuer, server.port)
        endpoints = Endpoints(stores, issuer, gateway, InvokeApi(functions), server.port)
        server.answer = endpoints.answer
        server.start()
        stack.callback(server.stop)
        if not options.empty:
            demo.load(url, stores.dynamodb, stop.check)
        if options.schedule:
            stack.callback(Schedule.start(functions["sync"]).stop)
        endpoints.ready = True
        yield System(url, endpoints, logs)


def _start_functions(
    options: Options, stores: Stores, logs: Path, stack: ExitStack
) -> dict[str, LocalFunction]:
    """All functions, with the database migrated by one of them."""
    functions = deploy(stores, logs, environments=options.environments, max_new=options.max_new)
    for function in functions.values():
        stack.callback(function.stop)
    if not options.empty:
        # They load while the database is migrated; the demo keeps that many busy.
        for name in ("admin_api", "provisioning"):
            functions[name].warm(min(demo.AT_ONCE, options.environments))
    invocation = functions["migrate"].invoke(b"{}")
    if invocation.error:
        raise NotStarted(f"the migrations failed: {invocation.payload.decode()}")
    return functions


def _server(port: int) -> Server:
    """Hold the port before anything else is started."""
    try:
        return Server(lambda _: UNAVAILABLE, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise NotStarted(f"port {port} is taken: choose another with --port") from None
        raise NotStarted(f"port {port} can't be had: {error.strerror}") from None


def _start_stores(url: str, stack: ExitStack) -> tuple[Stores, Issuer]:
    """Both stores at the same time, and the issuer's key, which takes a moment too."""

    def postgres() -> tuple[Postgres, dict[str, str]]:
        server = Postgres.start()
        stack.callback(server.stop)
        return server, create_database(server)

    def dynamodb() -> DynamoDB:
        server = DynamoDB.start()
        stack.callback(server.stop)
        create_table(server.client(), server.table)
        return server

    with ThreadPoolExecutor() as pool:
        issuer = pool.submit(Issuer, url)
        relational, key_value = pool.submit(postgres), pool.submit(dynamodb)
    server, passwords = relational.result()
    return Stores(server, passwords, key_value.result()), issuer.result()
