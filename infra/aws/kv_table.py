"""The DynamoDB table, and the rights on its items."""

from collections.abc import Iterable, Mapping

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.aws.logs import kept
from infra.aws.network import Network
from infra.functions import FUNCTIONS, Items, Operation
from infra.settings import Stage

INDEX = "instances_by_image"
RECOVERY_DAYS = 35


class KvTable(Construct):
    """The table: one of the stack's own, or a restored one."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "KV")
        self.table = self._existing(stage) if stage.table_name else self._new(stage)
        self.index_arn = f"{self.table.table_arn}/index/{INDEX}"

    def grant(
        self, grantee: iam.IGrantable, rights: Mapping[Operation, Iterable[Items]]
    ) -> None:
        """Allow operations, each only on items with the given partition keys, if any."""
        for operation, items in rights.items():
            keys = list(items)
            limits = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}
            self._allow(grantee, operation, self.table.table_arn, limits if keys else None)

    def grant_index(self, grantee: iam.IGrantable, operations: Iterable[Operation]) -> None:
        """Allow operations on the index, which holds instances only."""
        for operation in operations:
            self._allow(grantee, operation, self.index_arn)

    def through(self, network: Network) -> None:
        """Let the network's endpoint lead to this table only."""
        network.dynamodb.add_to_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=[f"dynamodb:{operation}" for operation in sorted(_operations())],
                resources=[self.table.table_arn, self.index_arn],
            )
        )

    def _allow(
        self,
        grantee: iam.IGrantable,
        operation: Operation,
        arn: str,
        conditions: Mapping[str, object] | None = None,
    ) -> None:
        grantee.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[f"dynamodb:{operation}"], resources=[arn], conditions=conditions
            )
        )

    def _existing(self, stage: Stage) -> dynamodb.ITable:
        return dynamodb.Table.from_table_attributes(
            self,
            "Table",
            table_name=stage.table_name,
            table_stream_arn=stage.table_stream_arn,
        )

    def _new(self, stage: Stage) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True, recovery_period_in_days=RECOVERY_DAYS
            ),
            deletion_protection=stage.protected,
            removal_policy=kept(stage),
        )
        table.add_global_secondary_index(
            index_name=INDEX,
            partition_key=_text("running_tag"),
            sort_key=_text("user_id"),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        return table


def _operations() -> set[Operation]:
    """Every operation that some function may call."""
    functions = FUNCTIONS.values()
    return {
        operation
        for function in functions
        for operation in (*function.rights, *function.index_rights)
    }


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
