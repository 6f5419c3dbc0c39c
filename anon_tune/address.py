"""Refuses addresses that carry a password or a key, because addresses are written into studies and logs."""

from __future__ import annotations

import re

from anon_tune.errors import UsageError

_PASSWORD = re.compile(r"^([^/?#@:]*):.*@")  # of a database, it may hold slashes and begin with digits
_PASSWORD_OF_HOST = re.compile(r"^([^/?#@:]*):(?!\d+/).*@")  # here a slash ends the host, so digits are its port
_KEY = re.compile(r"^([^?#@:]*):.*@")  # an S3 key may hold slashes and begin with digits; a bucket has no port
_USER = re.compile(r"^([^/?#@:]+)@")  # in an HTTP address, a user without a password is a token
_PARAMETER = re.compile(
    r"([?&;][^=&;#]*(?:passw\w*|pwd|secret\w*|token|credentials?|access_?key|account_?key|api_?key|sig(?:nature)?|sas)=)[^&;#]+",
    re.IGNORECASE,
)
OBJECT_STORES = ("s3", "gs", "gcs", "abfs", "abfss")
"""URI schemes of the object stores that pyarrow can open."""
_HOSTS = ("http", "hdfs", "viewfs")  # schemes whose paths may hold an @

_REMEDIES = {
    "postgres": "Put the password into PGPASSWORD or ~/.pgpass",
    "mysql": "Put the password into ~/.my.cnf",
    "s3": "Put the key into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "Put the key into the file that GOOGLE_APPLICATION_CREDENTIALS names",
    "http": "Put the password into an environment variable such as MLFLOW_TRACKING_PASSWORD",
}


def refuse_secret(where: str, address: str | None) -> None:
    """Refuse an address that carries a password or a key.

    Args:
        where: The option or setting that holds the address.
        address: A URL, a path or a name; None is accepted.

    Raises:
        UsageError: The address carries a secret. The message shows stars instead of it.
    """
    scheme, sign, rest = (address or "").partition("://")
    secret = _KEY if scheme in OBJECT_STORES else _PASSWORD_OF_HOST if scheme.startswith(_HOSTS) else _PASSWORD
    shown = secret.sub(r"\1:***@", rest)
    if scheme.startswith("http"):
        shown = _USER.sub("***@", shown)
    shown = _PARAMETER.sub(r"\1***", shown)
    if sign and shown != rest:
        remedy = next((words for kind, words in _REMEDIES.items() if scheme.startswith(kind)), "Remove the secret")
        rule = "must not carry a password or key, because the address is stored with the study"
        raise UsageError(where, rule, f"{scheme}://{shown}", remedy)
