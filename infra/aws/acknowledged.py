"""Findings of cdk-nag that are accepted, each with its reason, where the resource is made."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accept findings of the rule set AwsSolutions for a construct and its children."""
    for rule, reason in reasons.items():
        Validations.of(construct).acknowledge(
            Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
        )


def acknowledge_snap_start(construct: IConstruct) -> None:
    """Accept CDK's reminder that only published versions start from a snapshot."""
    warning = "Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish"
    reason = "The alias `live` names a version, and callers name the alias."
    Validations.of(construct).acknowledge(Acknowledgment(id=warning, reason=reason))


RUNTIME = {"L1": "The packages' wheels and bytecode are made for Python 3.13."}
