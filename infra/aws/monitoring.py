"""The topic of the alarms, the alarms and the dashboard."""

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.aws.alarms import Alarms, Monitored
from infra.aws.dashboard import Dashboard
from infra.aws.outputs import output
from infra.settings import Stage

CLOUDWATCH = iam.ServicePrincipal("cloudwatch.amazonaws.com")


class Monitoring(Construct):
    """Notifies the people who subscribe to the topic."""

    def __init__(self, scope: Construct, stage: Stage, monitored: Monitored) -> None:
        super().__init__(scope, "Monitoring")
        topic = self._topic()
        Alarms(self, "Alarms", monitored, topic)
        Dashboard(self, "Dashboard", monitored, stage.name)
        output(self, "AlarmTopic", topic.topic_arn)

    def _topic(self) -> sns.Topic:
        """Make the topic and let CloudWatch publish to it.

        A topic with a policy of its own has lost the default one, which would let the account
        publish (Amazon SNS Developer Guide, "Example cases for Amazon SNS access control").
        """
        topic = sns.Topic(self, "Topic", master_key=self._key(), enforce_ssl=True)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[CLOUDWATCH],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        return topic

    def _key(self) -> kms.Key:
        """Make the topic's key: CloudWatch may not use the one that AWS manages for SNS.

        Nothing that must be read later is encrypted with it, so it goes with its stack.
        """
        key = kms.Key(
            self,
            "Key",
            enable_key_rotation=True,
            pending_window=Duration.days(7),
            removal_policy=RemovalPolicy.DESTROY,
        )
        key.grant_encrypt_decrypt(CLOUDWATCH)
        return key
