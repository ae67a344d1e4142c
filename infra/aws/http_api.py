"""The HTTP API. Paths below `/v1` need a token of the user pool."""

import json
from collections.abc import Mapping

from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk.aws_apigatewayv2_authorizers import HttpUserPoolAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.aws.function import LambdaFunction
from infra.aws.logs import log_group
from infra.aws.outputs import output
from infra.aws.user_pool import UserPool
from infra.routes import DEFAULT, ROUTES, Route
from infra.settings import Stage

WITHOUT_TOKEN = {
    "admin_api": "Without a token the function answers with documentation only.",
    "console": "The function shows pages to sessions that it finds in its table.",
    "sign_in": "Whoever signs in has no session yet.",
}
"""Why routes of these functions need no authorizer."""

LOGGED = {
    "route": "$context.routeKey",
    "status": "$context.status",
    "request_id": "$context.requestId",
}
"""Without the path, which may hold a user id."""


class HttpApi(Construct):
    """The API and its user pool. Its address is known before the functions, which need it."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "HttpApi")
        self.api = apigateway.HttpApi(
            self, "Api", api_name=f"kiloclaw-{stage.name}", create_default_stage=False
        )
        self.console_origin = stage.console_origin or self.api.api_endpoint
        self.users = UserPool(self, stage, self.api.api_endpoint, self.console_origin)
        self._add_stage(stage)
        output(self, "ApiUrl", self.api.api_endpoint)
        output(self, "ConsoleUrl", f"{self.console_origin}/console")

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

    def lead_to(self, functions: Mapping[str, LambdaFunction]) -> None:
        """Add all routes, each to its function."""
        authorizer = HttpUserPoolAuthorizer(
            "Tokens", self.users.pool, user_pool_clients=self.users.api_clients
        )
        integrations = {
            name: HttpLambdaIntegration(name.title().replace("_", ""), functions[name])
            for name in {route.function: None for route in (*ROUTES, DEFAULT)}
        }
        for route in (*ROUTES, DEFAULT):
            made = apigateway.HttpRoute(
                self,
                route.key,
                http_api=self.api,
                route_key=_key(route),
                integration=integrations[route.function],
                authorizer=authorizer if route.guarded else None,
            )
            if not route.guarded:
                acknowledge(made, {"APIG4": WITHOUT_TOKEN[route.function]})


def _key(route: Route) -> apigateway.HttpRouteKey:
    if route is DEFAULT:
        return apigateway.HttpRouteKey.DEFAULT
    return apigateway.HttpRouteKey.with_(route.path, apigateway.HttpMethod[route.method])
