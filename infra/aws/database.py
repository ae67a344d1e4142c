"""PostgreSQL and the proxy before it."""

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.aws.function import LambdaFunction
from infra.aws.logs import log_group
from infra.aws.network import POSTGRES, Network
from infra.functions import database_roles
from infra.settings import Stage

DATABASE = "kiloclaw"
MASTER = "kiloclaw_master"

PARAMETERS = {
    "rds.force_ssl": "1",
    # Details and statements in an error's log entry may hold what users wrote.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


class CatalogDatabase(Construct):
    """The instance and its proxy. Functions connect to the proxy only, with tokens of IAM.

    The proxy connects to the instance with tokens as well, so there is no password. Why the
    master does so too: docs/decisions/0003-the-master-signs-in-by-iam.md.
    """

    def __init__(self, scope: Construct, stage: Stage, network: Network) -> None:
        super().__init__(scope, "Catalog")
        self.database = self._database(stage, network)
        self.proxy = self._proxy(stage, network, self._proxy_role(stage.restored_database))

    def conninfo(self, role: str) -> str:
        """The connection string of a role; its function adds password and root certificates."""
        return (
            f"host={self.proxy.endpoint} port={POSTGRES} dbname={DATABASE}"
            f" user={role} sslmode=verify-full"
        )

    def admit(self, function: LambdaFunction, user: str) -> None:
        """Let a function connect through the proxy as the given database user."""
        self.proxy.grant_connect(function, user)

    def _database(self, stage: Stage, network: Network) -> rds.DatabaseInstance:
        size = stage.database
        engine = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_17)
        database = rds.DatabaseInstance(
            self,
            "Database",
            engine=engine,
            instance_type=ec2.InstanceType(size.instance),
            credentials=rds.Credentials.from_username(MASTER),
            manage_master_user_password=True,
            database_name=DATABASE,
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[network.database],
            publicly_accessible=False,
            iam_authentication=True,
            multi_az=size.multi_az,
            storage_type=rds.StorageType.GP3,
            allocated_storage=size.storage_gib,
            max_allocated_storage=size.max_storage_gib,
            storage_encrypted=True,
            backup_retention=Duration.days(size.backup_days),
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,
            parameter_group=rds.ParameterGroup(
                self, "Parameters", engine=engine, parameters=PARAMETERS
            ),
            deletion_protection=stage.protected,
            delete_automated_backups=not stage.protected,
            removal_policy=RemovalPolicy.SNAPSHOT if stage.protected else RemovalPolicy.DESTROY,
        )
        _sign_in_master_by_iam(database)
        acknowledge(
            database,
            {"RDS11": "Only the proxy can reach it, so another port would hide nothing."},
        )
        if not stage.protected:
            acknowledge(
                database,
                {
                    "RDS3": "Nobody depends on this stage while its only instance restarts.",
                    "RDS10": "This stage is made to be thrown away.",
                },
            )
        return database

    def _proxy_role(self, restored: str | None) -> iam.Role:
        """The proxy's role: open a connection as the given database user, one of these."""
        role = iam.Role(self, "ProxyRole", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        instances = [self.database.instance_resource_id, *filter(None, [restored])]
        users = [
            Stack.of(self).format_arn(
                service="rds-db",
                resource="dbuser",
                resource_name=f"{instance}/{user}",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for instance in instances
            for user in (MASTER, *database_roles())
        ]
        role.add_to_policy(iam.PolicyStatement(actions=["rds-db:connect"], resources=users))
        return role

    def _proxy(self, stage: Stage, network: Network, role: iam.Role) -> rds.DatabaseProxy:
        name = f"kiloclaw-{stage.name}"
        log = log_group(self, stage, "ProxyLog", f"/aws/rds/proxy/{name}")
        proxy = rds.DatabaseProxy(
            self,
            "Proxy",
            db_proxy_name=name,
            proxy_target=rds.ProxyTarget.from_instance(self.database),
            default_auth_scheme=rds.DefaultAuthScheme.IAM_AUTH,
            role=role,
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[network.proxy],
            require_tls=True,
            # A start waits 3 s for the catalog at most, so the proxy must give up before that.
            borrow_timeout=Duration.seconds(1),
            max_connections_percent=90,
            max_idle_connections_percent=50,
        )
        # The proxy would make the log group itself, to be kept for ever.
        proxy.node.add_dependency(log)
        return proxy


def _sign_in_master_by_iam(database: rds.DatabaseInstance) -> None:
    """Set the property that CDK's construct does not know; it always asks for a password."""
    resource = database.node.default_child
    if not isinstance(resource, rds.CfnDBInstance):
        raise TypeError("expected a CfnDBInstance")
    resource.manage_master_user_password = None
    resource.master_user_authentication_type = "iam-db-auth"
