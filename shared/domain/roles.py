"""The roles of people and pipelines: the groups of the user pool, local and on AWS."""

from typing import Literal, get_args

Role = Literal["viewer", "publisher", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
