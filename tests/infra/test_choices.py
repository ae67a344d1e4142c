"""Optional settings of a stage in `cdk.json`, and their effects on the template."""

from collections.abc import Callable

import pytest

from tests.infra.test_rights import ACCOUNT, Right, rights
from tests.support.templates import Template, changed, statements, synthesise, text

BUILDER = "arn:aws:iam::123456789012:role/builder"
TABLE = f"arn:${{AWS::Partition}}:dynamodb:{ACCOUNT}:table/kiloclaw-restored"
STREAM = "arn:aws:dynamodb:eu-central-1:123456789012:table/kiloclaw-restored/stream/1"
CALLER = "arn:aws:iam::210987654321:role/control-plane"


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A stage with every setting that `dev` and `prod` leave out."""
    choices = changed(
        "dev",
        provisioned_concurrency=3,
        caller_role=CALLER,
        pipeline={"principal": BUILDER, "may_move_pointers": True},
        callback_urls=["http://localhost:8080/console/signed-in"],
        console_origin="https://kiloclaw.example.com",
        publisher_may_promote=False,
        table_name="kiloclaw-restored",
        table_stream_arn=STREAM,
        restored_database="db-RESTORED0123456789ABCDEFGHI",
    )
    return synthesise(tmp_path_factory.mktemp("chosen"), release="v7", **choices)


def test_provisioned_concurrency_takes_the_place_of_snapshots(
    chosen: Template, template_of: Callable[[str], Template]
) -> None:
    """Lambda allows only one of the two for a function."""
    alias = chosen.only("AWS::Lambda::Alias")
    warm = {"ProvisionedConcurrentExecutions": 3}
    assert alias["ProvisionedConcurrencyConfig"] == warm
    assert "SnapStart" not in chosen.functions()["provisioning"]
    prod = template_of("prod")
    assert "ProvisionedConcurrencyConfig" not in prod.only("AWS::Lambda::Alias")
    snap_start = {"ApplyOn": "PublishedVersions"}
    assert prod.functions()["provisioning"]["SnapStart"] == snap_start


def test_a_pipeline_puts_entries_and_moves_pointers_if_it_may(chosen: Template) -> None:
    """The named principal may assume the role, which has no other right."""
    expected: set[Right] = {
        ("dynamodb:PutItem", TABLE, ("IMAGE", "POINTER")),
        ("dynamodb:GetItem", TABLE, ("POINTER",)),
    }
    assert rights(chosen)["PipelineRole"] == expected
    role = chosen.of("AWS::IAM::Role")["PipelineRole"]
    [statement] = statements(role["AssumeRolePolicyDocument"])
    assert statement["Principal"] == {"AWS": BUILDER}


def test_a_caller_of_another_account_is_named_by_its_arn(chosen: Template) -> None:
    """The alias has a permission for exactly this ARN."""
    [permission] = [
        permission
        for permission in chosen.of("AWS::Lambda::Permission").values()
        if permission["Principal"] == CALLER
    ]
    assert text(permission["FunctionName"]) == "${ControlPlaneLive}"
    assert permission["Action"] == "lambda:InvokeFunction"


def test_settings_reach_their_resources(chosen: Template) -> None:
    """Release, callback address and switch are where they take effect."""
    assert chosen.only("Custom::Migrated")["Release"] == "v7"
    environment = chosen.functions()["admin_api"]["Environment"]["Variables"]
    assert environment["PUBLISHER_MAY_PROMOTE"] == "off"
    people = chosen.of("AWS::Cognito::UserPoolClient")["HttpApiUserPoolPeople"]
    assert "http://localhost:8080/console/signed-in" in people["CallbackURLs"]
    console = chosen.of("AWS::Cognito::UserPoolClient")["HttpApiUserPoolConsole"]
    assert console["CallbackURLs"] == ["https://kiloclaw.example.com/console/signed-in"]
    assert console["LogoutURLs"] == ["https://kiloclaw.example.com/console/sign-out"]
    for name in ("console", "sign_in"):
        environment = chosen.functions()[name]["Environment"]["Variables"]
        assert environment["CONSOLE_ORIGIN"] == "https://kiloclaw.example.com"


def test_the_proxy_may_connect_to_a_restored_database(chosen: Template) -> None:
    """Its resource id is another; the rights on the stack's own instance stay."""
    granted = {resource for _, resource, _ in rights(chosen)["CatalogProxyRole"]}
    instances = {resource.split(":dbuser:")[1].split("/")[0] for resource in granted}
    own = "${CatalogDatabase.DbiResourceId}"
    assert instances == {own, "db-RESTORED0123456789ABCDEFGHI"}
    users = {resource.rpartition("/")[2] for resource in granted}
    assert len(granted) == 2 * len(users)


def test_publishers_may_promote_in_dev_only(template: Template) -> None:
    """In production a person with the role `admin` makes a version the latest."""
    variables = template.functions()["admin_api"]["Environment"]["Variables"]
    expected = {"dev": "on", "prod": "off"}[template.stage]
    assert variables["PUBLISHER_MAY_PROMOTE"] == expected


def test_a_restored_table_takes_the_place_of_ours(chosen: Template) -> None:
    """The stack makes no table; functions use the restored one and have rights on it."""
    assert set(chosen.of("AWS::DynamoDB::Table")) == {"SessionsTable"}
    variables = {
        name: function["Environment"]["Variables"].get("TABLE_NAME")
        for name, function in chosen.functions().items()
    }
    users = ("admin_api", "console", "provisioning", "sync")
    others = dict.fromkeys(("fleet", "migrate", "sign_in"))
    assert variables == others | dict.fromkeys(users, "kiloclaw-restored")
    mapping = chosen.only("AWS::Lambda::EventSourceMapping")
    assert mapping["EventSourceArn"] == STREAM
    granted = rights(chosen)["provisioningrole"]
    assert {right[1] for right in granted if right[0].startswith("dynamodb:")} == {TABLE}
