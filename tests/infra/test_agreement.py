"""The deployed system and the local one agree: routes, events, settings, table."""

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from functions.sign_in.settings import SignInSettings
from infra.functions import STREAM_BATCH, VERIFICATION
from infra.local.aws.dynamodb import create_session_table, create_table
from infra.local.aws.scheduler import Scheduler
from infra.local.aws.stream import is_wanted
from infra.routes import DEFAULT, ROUTES
from shared.runtime.settings import (
    CatalogSettings,
    ConsoleSettings,
    MigrateSettings,
    Settings,
)
from tests.support.templates import Template, text

READERS = {
    "admin_api": Settings.admin_api,
    "console": ConsoleSettings.read,
    "fleet": CatalogSettings.read,
    "migrate": MigrateSettings.read,
    "provisioning": Settings.stores,
    "sign_in": SignInSettings.read,
    "sync": Settings.sync,
}
BY_POWERTOOLS = {"POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}


class Recording(Mapping[str, str]):
    """An environment that remembers which variables were read."""

    def __init__(self, content: Mapping[str, str]) -> None:
        self.content = content
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self.content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)


@pytest.mark.parametrize("name", READERS)
def test_a_function_has_the_variables_that_it_reads_and_no_others(
    template: Template, name: str
) -> None:
    """Its settings read every variable that the template sets, and no other."""
    variables = template.functions()[name]["Environment"]["Variables"]
    content = {key: text(value) for key, value in variables.items()}
    origin = {"CONSOLE_ORIGIN": "https://example.com"}
    environ = Recording({key: origin.get(key, value) for key, value in content.items()})
    READERS[name](environ)
    assert environ.read | BY_POWERTOOLS == set(variables)


def test_nothing_but_settings_looks_into_the_environment() -> None:
    """Each handler passes the environment to its settings and reads nothing else of it."""
    folders = [path for root in ("functions", "shared") for path in Path(root).rglob("*.py")]
    users = {str(path) for path in folders if "import environ" in path.read_text()}
    assert users == {f"functions/{name}/handler.py" for name in READERS}
    for path in folders:
        source = path.read_text()
        assert "os.environ" not in source
        assert "getenv" not in source
    for name, reader in READERS.items():
        source = Path(f"functions/{name}/handler.py").read_text()
        # The import, and one use by the settings; one more where events are traced.
        uses = 1 + source.count("traced(app.resolve, environ)")
        assert source.count("environ)") == source.count("environ") - 1 == uses
        assert f"{reader.__qualname__}(environ)" in source


@pytest.mark.parametrize("name", sorted(READERS.keys() - {"sign_in"}))
def test_a_function_connects_as_itself(template: Template, name: str) -> None:
    """It connects through the proxy, by IAM, and verifies the server."""
    function = template.functions()[name]
    variables = function["Environment"]["Variables"]
    assert text(variables["DATABASE_CONNINFO"]) == (
        "host=${CatalogProxy.Endpoint} port=5432 dbname=kiloclaw"
        f" user=kiloclaw_{name} sslmode=verify-full"
    )
    assert variables["DATABASE_IAM"] == "on"
    assert function["Handler"] == f"functions.{name}.handler.handler"


def test_who_signs_people_in_is_outside_the_network(template: Template) -> None:
    """Managed login cannot be reached from inside; so this function has no database."""
    functions = template.functions()
    outside = {name for name, function in functions.items() if "VpcConfig" not in function}
    assert outside == {"sign_in"}
    assert "DATABASE_CONNINFO" not in functions["sign_in"]["Environment"]["Variables"]


def test_routes_are_the_same(template: Template) -> None:
    """The authorizer guards the routes that the local gateway guards, and no others."""
    integrations = {
        f"integrations/${{{name}}}": text(integration["IntegrationUri"])
        for name, integration in template.of("AWS::ApiGatewayV2::Integration").items()
    }
    routes = {
        route["RouteKey"]: (route["AuthorizationType"], integrations[text(route["Target"])])
        for route in template.of("AWS::ApiGatewayV2::Route").values()
    }
    assert routes == {
        route.key: (
            "JWT" if route.guarded else "NONE",
            f"${{{route.function.replace('_', '')}.Arn}}",
        )
        for route in (*ROUTES, DEFAULT)
    }
    authorizer = template.only("AWS::ApiGatewayV2::Authorizer")
    assert [text(client) for client in authorizer["JwtConfiguration"]["Audience"]] == [
        "${HttpApiUserPoolPeople}",
        "${HttpApiUserPoolPipeline}",
    ]
    for integration in template.of("AWS::ApiGatewayV2::Integration").values():
        assert integration["PayloadFormatVersion"] == "2.0"


def test_the_clock_is_the_same(template: Template) -> None:
    """`sync` runs every minute, with the event that the Scheduler makes by itself.

    Once a day it verifies the audit log instead.
    """
    schedules = template.of("AWS::Scheduler::Schedule").values()
    expected: dict[str, dict[str, str] | None] = {
        "rate(1 minute)": None,
        "rate(1 day)": VERIFICATION,
    }
    assert {
        one["ScheduleExpression"]: json.loads(one["Target"].get("Input", "null"))
        for one in schedules
    } == expected
    assert inspect.signature(Scheduler.start).parameters["seconds"].default == 60
    for schedule in schedules:
        assert text(schedule["Target"]["Arn"]) == "${sync.Arn}"
        dead_letters = schedule["Target"]["DeadLetterConfig"]
        assert text(dead_letters["Arn"]) == "${SchedulesUndelivered.Arn}"
    failed = template.only("AWS::Lambda::EventInvokeConfig")["DestinationConfig"]
    assert text(failed["OnFailure"]["Destination"]) == "${SchedulesFailed.Arn}"


@pytest.mark.parametrize(
    ("name", "create"),
    [("KVTable", create_table), ("SessionsTable", create_session_table)],
)
def test_the_tables_are_the_same(
    template: Template, name: str, create: Callable[[Any, str], None]
) -> None:
    """Keys, attributes and streams equal those of the local tables."""
    made: dict[str, Any] = {}

    class TableClient:
        def create_table(self, **table: Any) -> None:
            made.update(table)

    create(TableClient(), "kiloclaw")
    table = template.of("AWS::DynamoDB::Table")[name]
    for property_ in ("KeySchema", "BillingMode"):
        assert table[property_] == made[property_]
    stream = made.get("StreamSpecification", {}).get("StreamViewType")
    assert table.get("StreamSpecification", {}).get("StreamViewType") == stream
    by_name = {item["AttributeName"]: item for item in made["AttributeDefinitions"]}
    assert {item["AttributeName"]: item for item in table["AttributeDefinitions"]} == by_name


def test_the_stream_is_handed_over_in_the_same_way(template: Template) -> None:
    """From its oldest record on, instances alone, in batches that wait a second at most."""
    mapping = template.only("AWS::Lambda::EventSourceMapping")
    assert text(mapping["FunctionName"]) == "${fleet}"
    assert mapping["BatchSize"] == STREAM_BATCH
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["MaximumBatchingWindowInSeconds"] == 1
    [pattern] = mapping["FilterCriteria"]["Filters"]
    keys = {"pk": {"S": [{"prefix": "INSTANCE#"}]}}
    assert json.loads(pattern["Pattern"]) == {"dynamodb": {"Keys": keys}}
    user, entry = ({"dynamodb": {"Keys": {"pk": {"S": pk}}}} for pk in ("INSTANCE#u", "IMAGE"))
    assert (is_wanted(user), is_wanted(entry)) == (True, False)


def test_a_failed_batch_is_split_and_tried_for_a_day(template: Template) -> None:
    """Then the records' positions are in a dead-letter queue; the others go on."""
    mapping = template.only("AWS::Lambda::EventSourceMapping")
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRecordAgeInSeconds"] == 24 * 3600
    assert "MaximumRetryAttempts" not in mapping
    failed = mapping["DestinationConfig"]["OnFailure"]["Destination"]
    assert text(failed) == "${FleetStreamFailed.Arn}"


def test_the_test_runs_where_the_sources_are() -> None:
    """Paths above are relative to the project."""
    assert (Path(os.curdir) / "functions").is_dir()
