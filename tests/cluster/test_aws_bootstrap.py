"""What `ray up cluster/aws.yaml` creates in AWS, by Ray's own code against simulated EC2 and IAM."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws import config as aws_config
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config, validate_config

AWS = Path(__file__).parents[2] / "cluster" / "aws.yaml"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def cloud(home: Path) -> Iterator[dict[str, Any]]:
    """The file, filled in and bootstrapped as `ray up` does it; nodes that a test starts are ended by it."""
    with pytest.MonkeyPatch.context() as patch, mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        patch.setenv("HOME", str(home))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.delenv("AWS_PROFILE", raising=False)
        patch.setattr(aws_config.time, "sleep", lambda seconds: None)  # for IAM to become consistent
        ec2 = boto3.client("ec2", "us-west-2")
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        config = prepare_config(yaml.safe_load(AWS.read_text().replace("ami-REPLACE-ME", image)))
        validate_config(config)
        bootstrapped = bootstrap_aws(config)
        assert isinstance(bootstrapped, dict)
        yield bootstrapped


def test_one_key_pair_which_only_its_owner_reads(cloud: dict[str, Any], home: Path) -> None:
    (pair,) = boto3.client("ec2", "us-west-2").describe_key_pairs()["KeyPairs"]
    assert {kind["node_config"]["KeyName"] for kind in cloud["available_node_types"].values()} == {pair["KeyName"]}
    key = Path(cloud["auth"]["ssh_private_key"])
    assert key.is_relative_to(home) and stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "PRIVATE KEY" in key.read_text()


def test_the_world_reaches_ssh_and_the_nodes_each_other(cloud: dict[str, Any]) -> None:
    groups = {tuple(kind["node_config"]["SecurityGroupIds"]) for kind in cloud["available_node_types"].values()}
    ((group,),) = groups
    (found,) = boto3.client("ec2", "us-west-2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    from_outside = [rule for rule in found["IpPermissions"] if rule["IpRanges"] or rule["Ipv6Ranges"]]
    assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in from_outside] == [("tcp", 22, 22)]
    (inside,) = [rule for rule in found["IpPermissions"] if rule not in from_outside]
    assert inside["IpProtocol"] == "-1" and [pair["GroupId"] for pair in inside["UserIdGroupPairs"]] == [group]


def test_only_the_head_may_ask_for_nodes(cloud: dict[str, Any]) -> None:
    iam = boto3.client("iam")
    (profile,) = iam.list_instance_profiles()["InstanceProfiles"]
    assert cloud["head_node"]["IamInstanceProfile"] == {"Arn": profile["Arn"]}
    (role,) = profile["Roles"]
    policies = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    assert {policy["PolicyName"] for policy in policies} == {"AmazonEC2FullAccess", "AmazonS3FullAccess"}
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert not any("IamInstanceProfile" in kind["node_config"] for kind in cloud["available_node_types"].values())


def test_nodes_are_spread_over_the_zones_of_the_file(cloud: dict[str, Any]) -> None:
    subnets = boto3.client("ec2", "us-west-2").describe_subnets()["Subnets"]
    zones = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}
    for kind in cloud["available_node_types"].values():
        wanted = cloud["provider"]["availability_zone"].split(",")
        assert [zones[subnet] for subnet in kind["node_config"]["SubnetIds"]] == wanted


@pytest.mark.parametrize(("name", "is_spot"), [("head", False), ("gpu-spot", True), ("gpu-on-demand", False)])
def test_a_node_is_started_as_written_and_ended(cloud: dict[str, Any], name: str, is_spot: bool) -> None:
    written = yaml.safe_load(AWS.read_text())["available_node_types"][name]["node_config"]
    kind = "head" if name == "head" else "worker"
    launch = cloud["available_node_types"][name]["node_config"] | (cloud["head_node"] if kind == "head" else {})
    provider = AWSNodeProvider(cloud["provider"], cloud["cluster_name"])
    provider.create_node(launch, {"ray-node-type": kind, "ray-user-node-type": name}, 1)
    (node,) = provider.non_terminated_nodes({"ray-user-node-type": name})
    ec2 = boto3.client("ec2", "us-west-2")
    (instance,) = ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"]
    assert instance["InstanceType"] == written["InstanceType"]
    assert (instance.get("InstanceLifecycle") == "spot") is is_spot
    assert ("IamInstanceProfile" in instance) is (kind == "head")
    assert instance["KeyName"] == launch["KeyName"]
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == launch["SecurityGroupIds"]
    assert {"Key": "ray-cluster-name", "Value": "anon-tune"} in instance["Tags"]
    (disk,) = ec2.describe_volumes(VolumeIds=[instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"]
    assert disk["Size"] == 100 and disk["VolumeType"] == "gp3"
    assert instance["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is True
    # Nodes are terminated, not stopped, because the disk of a stopped node still costs money.
    provider.terminate_node(node)
    (instance,) = ec2.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"]
    assert instance["State"]["Name"] == "terminated" and not provider.non_terminated_nodes({})
