"""What whoever deployed needs to know next."""

from aws_cdk import CfnOutput
from constructs import Construct


def output(scope: Construct, name: str, value: str) -> None:
    """An output of the stack, called `name` and nothing else."""
    CfnOutput(scope, name, value=value).override_logical_id(name)
