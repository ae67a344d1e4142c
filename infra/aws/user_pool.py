"""The user pool: people and pipelines sign in there, and it signs the API's tokens."""

from aws_cdk import Aws, Duration
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.aws.logs import kept
from infra.aws.outputs import output
from infra.settings import Stage
from shared.domain.roles import ROLES

PASSWORDS = cognito.PasswordPolicy(
    min_length=12,
    require_digits=True,
    require_lowercase=True,
    require_symbols=True,
    require_uppercase=True,
    temp_password_validity=Duration.days(3),
)
PASSWORD_SIGN_IN = cognito.AuthFlow(user_srp=True, custom=False)
"""The sign-in page offers what the client allows: Amazon Cognito Developer Guide, "Configure
authentication methods for managed login". SRP sends no password over the network.
"""

NO_USERS = cognito.AuthFlow(user_srp=False, custom=False)
"""Without this Cognito would allow SRP and custom sign-in: Amazon Cognito API Reference,
`CreateUserPoolClient`, `ExplicitAuthFlows`. Refresh tokens are always allowed.
"""


class UserPool(Construct):
    """People send an ID token, whose groups are their roles. A pipeline sends an access token,
    whose scope is its role.
    """

    def __init__(self, scope: Construct, stage: Stage, api: str, console: str) -> None:
        """`api` and `console` are the origins at which they are seen."""
        super().__init__(scope, "UserPool")
        self.pool = self._pool(stage)
        for name in ROLES:
            cognito.CfnUserPoolGroup(
                self, name, user_pool_id=self.pool.user_pool_id, group_name=name
            )
        domain = self.pool.add_domain(
            "Domain",
            # The classic pages need nothing else. Those of managed login are shown only for
            # clients with a style, and are not in every plan. Amazon Cognito Developer Guide,
            # "User pool managed login".
            managed_login_version=cognito.ManagedLoginVersion.CLASSIC_HOSTED_UI,
            cognito_domain=cognito.CognitoDomainOptions(
                # Domain prefixes are unique in a region; the account makes this one so.
                domain_prefix=f"kiloclaw-{stage.name}-{Aws.ACCOUNT_ID}"
            ),
        )
        self.sign_out_url = f"{domain.base_url()}/logout"
        self.people = self._people(stage, api)
        self.console = self._console(console)
        self.pipeline = self._pipeline()
        self.api_clients = [self.people, self.pipeline]
        output(self, "UserPoolId", self.pool.user_pool_id)
        output(self, "SignInUrl", domain.base_url())
        output(self, "PeopleClientId", self.people.user_pool_client_id)
        output(self, "PipelineClientId", self.pipeline.user_pool_client_id)

    def _pool(self, stage: Stage) -> cognito.UserPool:
        pool = cognito.UserPool(
            self,
            "Pool",
            user_pool_name=f"kiloclaw-{stage.name}",
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,
            # The audit log names people by their e-mail address, so it must not change.
            standard_attributes=cognito.StandardAttributes(
                email=cognito.StandardAttribute(required=True, mutable=False)
            ),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            password_policy=PASSWORDS,
            mfa=cognito.Mfa.REQUIRED if stage.require_mfa else cognito.Mfa.OPTIONAL,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            deletion_protection=stage.protected,
            removal_policy=kept(stage),
        )
        acknowledge(
            pool,
            {"COG8": "Administrators create the few people who sign in."},
        )
        if not stage.require_mfa:
            acknowledge(pool, {"COG2": "This stage holds nothing to protect."})
        return pool

    def _people(self, stage: Stage, api: str) -> cognito.UserPoolClient:
        """The client of people at the command line: code with PKCE, and no secret."""
        return self.pool.add_client(
            "People",
            generate_secret=False,
            auth_flows=PASSWORD_SIGN_IN,
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            id_token_validity=Duration.hours(1),
            access_token_validity=Duration.hours(1),
            refresh_token_validity=Duration.hours(12),
            supported_identity_providers=[cognito.UserPoolClientIdentityProvider.COGNITO],
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(authorization_code_grant=True),
                scopes=[cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL],
                callback_urls=[f"{api}/console/signed-in", *stage.callback_urls],
            ),
        )

    def _console(self, origin: str) -> cognito.UserPoolClient:
        """The client of the console: code with PKCE, and no secret.

        The API accepts none of its tokens, which `sign_in` reads once and throws away. Why it
        has no secret: docs/decisions/0007-sessions-of-the-console.md.
        """
        return self.pool.add_client(
            "Console",
            generate_secret=False,
            auth_flows=PASSWORD_SIGN_IN,
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            id_token_validity=Duration.minutes(5),
            access_token_validity=Duration.minutes(5),
            refresh_token_validity=Duration.hours(1),
            supported_identity_providers=[cognito.UserPoolClientIdentityProvider.COGNITO],
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(authorization_code_grant=True),
                scopes=[cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL],
                callback_urls=[f"{origin}/console/signed-in"],
                logout_urls=[f"{origin}/console/sign-out"],
            ),
        )

    def _pipeline(self) -> cognito.UserPoolClient:
        """The client of pipelines: a secret, and the one scope that lets them publish."""
        publisher = cognito.ResourceServerScope(
            scope_name="publisher", scope_description="Publish versions"
        )
        server = self.pool.add_resource_server("Api", identifier="kiloclaw", scopes=[publisher])
        return self.pool.add_client(
            "Pipeline",
            generate_secret=True,
            auth_flows=NO_USERS,
            enable_token_revocation=True,
            access_token_validity=Duration.minutes(15),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(client_credentials=True),
                scopes=[cognito.OAuthScope.resource_server(server, publisher)],
            ),
        )
