"""The DynamoDB tables, and the rights on their items."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.aws.logs import kept
from infra.aws.network import Network
from infra.functions import FUNCTIONS, Items, Operation, PartOf, SessionItems
from infra.settings import Stage

RECOVERY_DAYS = 35


class KvTable(Construct):
    """The table: one of the stack's own, or a restored one."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "KV")
        self.table = self._existing(stage) if stage.table_name else self._new(stage)

    def grant(
        self, grantee: iam.IGrantable, rights: Mapping[Operation, Iterable[Items | PartOf]]
    ) -> None:
        """Allow operations, each only on items with the given partition keys, if any."""
        _grant(self.table, grantee, rights)

    def through(self, network: Network) -> None:
        """Allow through the network's endpoint what functions may do with this table."""
        _lead(network, self.table, (function.rights for function in FUNCTIONS.values()))

    def _existing(self, stage: Stage) -> dynamodb.ITable:
        return dynamodb.Table.from_table_attributes(
            self,
            "Table",
            table_name=stage.table_name,
            table_stream_arn=stage.table_stream_arn,
        )

    def _new(self, stage: Stage) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            "Table",
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            time_to_live_attribute="expires_at",
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True, recovery_period_in_days=RECOVERY_DAYS
            ),
            deletion_protection=stage.protected,
            removal_policy=kept(stage),
        )


class SessionTable(Construct):
    """The table of sessions. Whoever finds it gone signs in again, so nothing backs it up."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Sessions")
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=_text("id"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(
            self.table,
            {"DDB3": "A backup would keep sessions that people have ended."},
        )

    def grant(
        self, grantee: iam.IGrantable, rights: Mapping[Operation, Iterable[SessionItems]]
    ) -> None:
        """Allow operations, each only on items with the given partition keys."""
        _grant(self.table, grantee, rights)

    def through(self, network: Network) -> None:
        """Let the network's endpoint lead to this table, for what functions there may do."""
        inside = (function for function in FUNCTIONS.values() if function.database_role)
        _lead(network, self.table, (function.session_rights for function in inside))


def _grant(
    table: dynamodb.ITable,
    grantee: iam.IGrantable,
    rights: Mapping[Operation, Iterable[str | PartOf]],
) -> None:
    for operation, items in rights.items():
        for limits in _limits(list(items)):
            grantee.grant_principal.add_to_principal_policy(
                iam.PolicyStatement(
                    actions=[f"dynamodb:{operation}"],
                    resources=[table.table_arn],
                    conditions=limits,
                )
            )


def _limits(items: Sequence[str | PartOf]) -> Iterator[dict[str, dict[str, list[str]]] | None]:
    """Yield the conditions of each statement: one for all whole items, one for each part."""
    whole = [item for item in items if isinstance(item, str)]
    if whole:
        yield _leading(whole)
    for part in items:
        if isinstance(part, PartOf):
            attributes = sorted({"pk", "sk", *part.attributes})
            named = {"ForAllValues:StringEquals": {"dynamodb:Attributes": attributes}}
            yield _leading([part.items]) | named
    if not items:
        yield None


def _leading(keys: list[str]) -> dict[str, dict[str, list[str]]]:
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}


def _lead(
    network: Network, table: dynamodb.ITable, rights: Iterable[Mapping[Operation, object]]
) -> None:
    operations = sorted({operation for each in rights for operation in each})
    network.dynamodb.add_to_policy(
        iam.PolicyStatement(
            principals=[iam.AnyPrincipal()],
            actions=[f"dynamodb:{operation}" for operation in operations],
            resources=[table.table_arn],
        )
    )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
