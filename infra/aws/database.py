"""PostgreSQL behind its proxy."""

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.aws.function import LambdaFunction
from infra.aws.logs import log_group
from infra.aws.network import POSTGRES, Network
from infra.functions import FUNCTIONS, Function
from infra.settings import Stage

DATABASE = "kiloclaw"
MASTER = "kiloclaw_master"

PARAMETERS = {
    "rds.force_ssl": "1",
    # Details and statements of an error may hold what users wrote.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


class CatalogDatabase(Construct):
    """PostgreSQL and the proxy before it: everyone connects through that, by IAM.

    The proxy signs in to the database by IAM too, as the master as well: no password is
    anywhere. (Since PostgreSQL 16 who makes a role belongs to it, and RDS lets nobody sign in
    with a password who belongs to rds_iam, by whatever way: a master would shut itself out.)
    """

    def __init__(self, scope: Construct, stage: Stage, network: Network) -> None:
        super().__init__(scope, "Catalog")
        self.database = self._database(stage, network)
        self.proxy = self._proxy(stage, network, self._proxy_role())

    def conninfo(self, function: Function) -> str:
        """The connection string of a function, which adds password and root certificates."""
        return (
            f"host={self.proxy.endpoint} port={POSTGRES} dbname={DATABASE}"
            f" user={function.database_role} sslmode=verify-full"
        )

    def admit(self, function: LambdaFunction, user: str) -> None:
        """Let a function connect to the proxy as this user of the database."""
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
            database, {"RDS11": "The proxy alone reaches it; another port would hide nothing."}
        )
        if not stage.protected:
            acknowledge(
                database,
                {
                    "RDS3": "Nobody waits for this stage while its one instance restarts.",
                    "RDS10": "This stage is made to be thrown away.",
                },
            )
        return database

    def _proxy_role(self) -> iam.Role:
        """Signs in to the database as whom it was asked for, if that is one of these."""
        role = iam.Role(self, "ProxyRole", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        users = [
            Stack.of(self).format_arn(
                service="rds-db",
                resource="dbuser",
                resource_name=f"{self.database.instance_resource_id}/{user}",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for user in (MASTER, *(function.database_role for function in FUNCTIONS.values()))
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
            # A start waits at most 3 s for the catalog: time to hear that it is down.
            borrow_timeout=Duration.seconds(1),
            max_connections_percent=90,
            max_idle_connections_percent=50,
        )
        # Else the proxy would make a log that is kept for ever.
        proxy.node.add_dependency(log)
        return proxy


def _sign_in_master_by_iam(database: rds.DatabaseInstance) -> None:
    """CDK's construct knows passwords only, RDS's among them."""
    resource = database.node.default_child
    if not isinstance(resource, rds.CfnDBInstance):
        raise TypeError("an instance is made of an instance")
    resource.manage_master_user_password = None
    resource.master_user_authentication_type = "iam-db-auth"
