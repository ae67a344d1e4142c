"""Private subnets without a route to the internet; DynamoDB is reached by an endpoint."""

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.settings import Stage

POSTGRES = 5432
HTTPS = 443


class Network(Construct):
    """The network and its security groups.

    No interface endpoint is needed: functions sign the tokens for the database themselves, and
    Lambda delivers logs, traces and events.
    """

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "Network")
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(stage.network),
            # RDS Proxy is not offered in every zone: Amazon RDS User Guide, "Amazon RDS Proxy",
            # quotas and limitations.
            availability_zones=list(stage.availability_zones),
            nat_gateways=0,
            create_internet_gateway=False,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24
                )
            ],
        )
        self.dynamodb = self.vpc.add_gateway_endpoint(
            "DynamoDB", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB
        )
        self.functions = self._group("Functions")
        self.proxy = self._group("Proxy")
        self.database = self._group("Database")
        self._connect()
        acknowledge(
            self.vpc, {"VPC7": "No route leads in or out, so flow logs would show little."}
        )

    def _group(self, name: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, name, vpc=self.vpc, description=f"KiloClaw: {name}", allow_all_outbound=False
        )

    def _connect(self) -> None:
        """Let functions reach the proxy and DynamoDB. CDK lets the proxy reach the database."""
        postgres = ec2.Port.tcp(POSTGRES)
        self.functions.connections.allow_to(self.proxy, postgres, "PostgreSQL")
        # Any address, because the endpoint's own are known only from a look-up in an account.
        # The routes lead to the endpoint and nowhere else.
        self.functions.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS), "DynamoDB")
