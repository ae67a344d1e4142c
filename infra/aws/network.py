"""Private subnets without a way out: what the functions call is inside, or has an endpoint."""

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.aws.acknowledged import acknowledge
from infra.settings import Stage

POSTGRES = 5432
HTTPS = 443


class Network(Construct):
    """The network, and who in it may talk to whom.

    No interface endpoint is needed: tokens for the database are signed in the function, and
    Lambda itself carries logs, traces and events.
    """

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "Network")
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(stage.network),
            max_azs=2,
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
        acknowledge(self.vpc, {"VPC7": "No route leads in or out: there is little to watch."})

    def _group(self, name: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, name, vpc=self.vpc, description=f"KiloClaw: {name}", allow_all_outbound=False
        )

    def _connect(self) -> None:
        """Functions → proxy (which lets itself into the database), and → DynamoDB."""
        postgres = ec2.Port.tcp(POSTGRES)
        self.functions.connections.allow_to(self.proxy, postgres, "PostgreSQL")
        # The routes lead to the gateway endpoint alone, whose list of addresses only a look-up
        # in an account would name.
        self.functions.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS), "DynamoDB")
