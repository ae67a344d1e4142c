"""Outputs of the stack: the names and addresses that docs/deploy.md uses."""

from aws_cdk import CfnOutput
from constructs import Construct


def output(scope: Construct, name: str, value: str) -> None:
    """Add an output with exactly this name."""
    CfnOutput(scope, name, value=value).override_logical_id(name)
