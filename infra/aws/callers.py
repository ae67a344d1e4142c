"""Callers from outside the stack: the control plane, and a pipeline that writes the KV."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.aws.function import LambdaFunction
from infra.aws.kv_table import KvTable
from infra.aws.outputs import output
from infra.settings import PipelineRights, Stage


class ControlPlane(Construct):
    """May invoke the alias `live` of `provisioning`, and nothing else."""

    def __init__(self, scope: Construct, stage: Stage, function: LambdaFunction) -> None:
        super().__init__(scope, "ControlPlane")
        self.live = lambda_.Alias(
            self,
            "Live",
            alias_name="live",
            version=function.current_version,
            provisioned_concurrent_executions=stage.provisioned_concurrency or None,
        )
        if stage.caller_role:
            self.live.add_permission(
                "Caller", principal=iam.ArnPrincipal(self._arn(stage.caller_role))
            )
        output(self, "Provisioning", self.live.function_arn)

    def _arn(self, role: str) -> str:
        if role.startswith("arn:"):
            return role
        return Stack.of(self).format_arn(
            service="iam", region="", resource="role", resource_name=role
        )


class Pipeline(Construct):
    """A role that may put image entries and, if the stage says so, read and move pointers."""

    def __init__(
        self, scope: Construct, stage: Stage, kv: KvTable, rights: PipelineRights
    ) -> None:
        super().__init__(scope, "Pipeline")
        role = iam.Role(
            self,
            "Role",
            role_name=f"kiloclaw-{stage.name}-pipeline",
            assumed_by=iam.ArnPrincipal(rights.principal),
        )
        if rights.may_move_pointers:
            kv.grant(role, {"PutItem": ("IMAGE", "POINTER"), "GetItem": ("POINTER",)})
        else:
            kv.grant(role, {"PutItem": ("IMAGE",)})
        output(self, "PipelineRole", role.role_arn)
