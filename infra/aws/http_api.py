"""The HTTP API. Paths below `/v1` need a token of the user pool."""

import json

from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk.aws_apigatewayv2_authorizers import HttpUserPoolAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.aws.function import LambdaFunction
from infra.aws.logs import log_group
from infra.aws.outputs import output
from infra.aws.user_pool import UserPool
from infra.settings import Stage

GUARDED = ("/v1", "/v1/{proxy+}")
LOGGED = {
    "route": "$context.routeKey",
    "status": "$context.status",
    "request_id": "$context.requestId",
}
"""Without the path, which may hold a user id."""


class HttpApi(Construct):
    """All routes lead to one function, which has its own router."""

    def __init__(self, scope: Construct, stage: Stage, function: LambdaFunction) -> None:
        super().__init__(scope, "HttpApi")
        self.api = apigateway.HttpApi(
            self, "Api", api_name=f"kiloclaw-{stage.name}", create_default_stage=False
        )
        self.users = UserPool(self, stage, self.api.api_endpoint)
        self._add_stage(stage)
        self._add_routes(function)
        output(self, "ApiUrl", self.api.api_endpoint)

    def _add_stage(self, stage: Stage) -> None:
        log = log_group(self, stage, "Log", f"/aws/vendedlogs/kiloclaw-{stage.name}-api")
        apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=stage.throttling.rate,
                throttling_burst_limit=stage.throttling.burst,
            ),
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=log.log_group_arn, format=json.dumps(LOGGED)
            ),
        )

    def _add_routes(self, function: LambdaFunction) -> None:
        authorizer = HttpUserPoolAuthorizer(
            "Tokens", self.users.pool, user_pool_clients=self.users.clients
        )
        integration = HttpLambdaIntegration("AdminApi", function)
        for path in GUARDED:
            self.api.add_routes(path=path, integration=integration, authorizer=authorizer)
        open_to_all = apigateway.HttpRoute(
            self,
            "Default",
            http_api=self.api,
            route_key=apigateway.HttpRouteKey.DEFAULT,
            integration=integration,
        )
        acknowledge(
            open_to_all,
            {"APIG4": "Without a token the function answers with documentation only."},
        )
