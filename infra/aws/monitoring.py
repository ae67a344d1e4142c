"""Where alarms go, and what they watch."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.aws.alarms import Alarms, Monitored
from infra.aws.dashboard import Dashboard
from infra.aws.outputs import output
from infra.settings import Stage


class Monitoring(Construct):
    """The topic that people subscribe to, the alarms and the dashboard."""

    def __init__(self, scope: Construct, stage: Stage, monitored: Monitored) -> None:
        super().__init__(scope, "Watching")
        topic = sns.Topic(self, "Topic", master_key=self._key(), enforce_ssl=True)
        Alarms(self, "Alarms", monitored, topic)
        Dashboard(self, "Dashboard", monitored, stage.name)
        output(self, "AlarmTopic", topic.topic_arn)

    def _key(self) -> kms.Key:
        """One of ours: CloudWatch may not use the key that AWS keeps for topics."""
        key = kms.Key(self, "Key", enable_key_rotation=True)
        key.grant_encrypt_decrypt(iam.ServicePrincipal("cloudwatch.amazonaws.com"))
        return key
