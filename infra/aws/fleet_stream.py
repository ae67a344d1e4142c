"""The table's stream feeds `fleet`; batches that fail for a day end in a dead-letter queue."""

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_lambda_event_sources import DynamoEventSource, SqsDlq
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.aws.function import LambdaFunction
from infra.functions import STREAM_BATCH, STREAM_PARTITION

ONLY_INSTANCES = {"dynamodb": {"Keys": {"pk": {"S": [{"prefix": STREAM_PARTITION}]}}}}
RETENTION = Duration.hours(24)
"""As long as DynamoDB keeps a stream's records."""


class FleetStream(Construct):
    """Lambda polls the stream from its side, so the function needs no way to it."""

    def __init__(
        self, scope: Construct, table: dynamodb.ITable, function: LambdaFunction
    ) -> None:
        super().__init__(scope, "FleetStream")
        self.failed = sqs.Queue(
            self,
            "Failed",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        acknowledge(self.failed, {"SQS3": "It is a dead-letter queue."})
        function.add_event_source(
            DynamoEventSource(
                table,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=STREAM_BATCH,
                max_batching_window=Duration.seconds(1),
                bisect_batch_on_error=True,
                max_record_age=RETENTION,
                on_failure=SqsDlq(self.failed),
                filters=[lambda_.FilterCriteria.filter(ONLY_INSTANCES)],
            )
        )
