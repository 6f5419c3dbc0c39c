from __future__ import annotations

import pytest

from anon_tune.address import refuse_secret
from anon_tune.errors import AnonTuneError
from anon_tune.study.settings import StudySettings

SECRET = "S3cr3t"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"postgresql://ann:{SECRET}@db/study", "postgresql://ann:***@db/study"),
        (f"postgresql+psycopg2://ann:{SECRET}@x{SECRET}@db:5432/study", "postgresql+psycopg2://ann:***@db:5432/study"),
        (f"postgresql://db/study?user=ann&password={SECRET}", "postgresql://db/study?user=ann&password=***"),
        (f"mysql://ann:{SECRET}@db/study", "mysql://ann:***@db/study"),
        (f"postgresql://ann:12345/{SECRET}@db/study", "postgresql://ann:***@db/study"),
        (f"mysql://ann:1/2{SECRET}@db/study", "mysql://ann:***@db/study"),
        (f"s3://AKIA:ab/{SECRET}@bucket/clips", "s3://AKIA:***@bucket/clips"),
        (f"s3://AKIA:7/{SECRET}@bucket/clips", "s3://AKIA:***@bucket/clips"),
        (f"https://{SECRET}@host/mlflow", "https://***@host/mlflow"),
        (f"s3://bucket/clips?region=x&secret_key={SECRET}", "s3://bucket/clips?region=x&secret_key=***"),
        (f"https://:{SECRET}@host/mlflow", "https://:***@host/mlflow"),
        (f"abfs://box@host/clips?sig={SECRET}", "abfs://box@host/clips?sig=***"),
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(address: str, shown: str) -> None:
    with pytest.raises(AnonTuneError) as told:
        refuse_secret("--storage", address)
    assert (
        f"--storage: must not carry a password or key, because the address is stored with the study, got {shown}. "
        in str(told.value)
    )
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "avatars",
        "/data/a:b@c",
        "sqlite:////tmp/study.db",
        "postgresql://ann@db:5432/study?sslkey=/home/ann/key",
        "s3://bucket/clips?region=eu-west-1&endpoint_override=http%3A%2F%2F127.0.0.1%3A9000",
        "http://host:5000/a@b",
        "hdfs://namenode:8020/user/a@b",
        "postgresql://ann@db:5432/study?application_name=a@b",
    ],
)
def test_other_addresses_are_none_of_its_business(address: str | None) -> None:
    refuse_secret("--storage", address)
    if address and "://" in address:  # it was looked at: a secret beside all that is told from it
        with pytest.raises(AnonTuneError, match="must not carry a password or key"):
            refuse_secret("--storage", f"{address}{'&' if '?' in address else '?'}password={SECRET}")


@pytest.mark.parametrize("name", ["storage", "clips", "stills", "mlflow", "warm_start"])
def test_no_setting_takes_a_secret(name: str) -> None:
    with pytest.raises(AnonTuneError, match=f"^--{name.replace('_', '-')}: must not carry a password"):
        StudySettings.model_validate({name: f"postgresql://ann:{SECRET}@db/study"})
