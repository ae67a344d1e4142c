"""Findings of cdk-nag that stand, each with its reason, said where the thing is made."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Let rules of AwsSolutions pass for a construct and what it is made of."""
    for rule, reason in reasons.items():
        Validations.of(construct).acknowledge(
            Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
        )


def acknowledge_snap_start(construct: IConstruct) -> None:
    """CDK reminds whoever takes snapshots that these are of versions."""
    warning = "Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish"
    reason = "The alias `live` names a version, and callers name the alias."
    Validations.of(construct).acknowledge(Acknowledgment(id=warning, reason=reason))


RUNTIME = {"L1": "The packages' wheels and bytecode are made for 3.13."}
