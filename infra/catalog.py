"""PostgreSQL behind its proxy."""

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.acknowledged import acknowledge
from infra.function import Function
from infra.logs import log_group
from infra.network import POSTGRES, Network
from infra.settings import FUNCTIONS, Stage

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


class Catalog(Construct):
    """PostgreSQL and the proxy before it: everyone connects through that, by IAM.

    The proxy signs in to the database by IAM too, but for the master, whose password RDS keeps:
    it makes the roles that may sign in by IAM.
    """

    def __init__(self, scope: Construct, stage: Stage, network: Network) -> None:
        super().__init__(scope, "Catalog")
        self.database = self._database(stage, network)
        self.proxy = self._proxy(stage, network, self._proxy_role())

    def conninfo(self, name: str) -> str:
        """For a function; the password and whom to trust are its own to add."""
        return (
            f"host={self.proxy.endpoint} port={POSTGRES} dbname={DATABASE}"
            f" user=kiloclaw_{name} sslmode=verify-full"
        )

    def admit(self, function: Function, *users: str) -> None:
        """Let a function connect to the proxy as these users of the database."""
        for user in users:
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
        """Signs in to the database as the functions' users, and reads the master's secret."""
        role = iam.Role(
            self, "ProxyRole", assumed_by=iam.ServicePrincipal("rds.amazonaws.com")
        )
        users = [
            Stack.of(self).format_arn(
                service="rds-db",
                resource="dbuser",
                resource_name=f"{self.database.instance_resource_id}/kiloclaw_{name}",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            for name in FUNCTIONS
        ]
        role.add_to_policy(
            iam.PolicyStatement(actions=["rds-db:connect"], resources=users)
        )
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
            secrets=[self._master_secret()],
            iam_auth=True,
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

    def _master_secret(self) -> secretsmanager.ISecret:
        if self.database.secret is None:
            raise TypeError("RDS manages the master's password, so there is a secret")
        return self.database.secret
