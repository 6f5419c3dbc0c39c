"""Ray's Jobs API, with errors that a user can correct, and with token authentication unless the user turns it off."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from anon_tune.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_MODE = "RAY_AUTH_MODE"
_DASHBOARD = "RAY_API_SERVER_ADDRESS"
_STUDY = "anon_tune_study"  # key in a job's metadata
_POLL_S = 0.3
_ADDRESS = "--address http://HEAD:8265, or set RAY_API_SERVER_ADDRESS"


@dataclass(frozen=True, slots=True)
class JobState:
    """The state of a job.

    Attributes:
        name: Ray's name for the state: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        is_over: True for the last three.
        message: What Ray says about it.
        study: Directory of the study that the job runs; empty if it runs none.
    """

    name: str
    is_over: bool
    message: str
    study: str


def find_address(given: str | None, what: str) -> str:
    """Return the address of a head: the given one, or else the one in Ray's environment variables.

    Args:
        given: The address that the user gave. It overrides Ray's variables, although in Ray itself they would win.
        what: What needs an address; named in the error.

    Raises:
        UsageError: There is no address. A Ray cluster on this machine is not used: it may belong to another study.
    """
    address = given or os.environ.get(_DASHBOARD) or os.environ.get("RAY_ADDRESS")
    if not address:
        raise UsageError(what, "no address of a cluster", remedy=f"Give {_ADDRESS}")
    return address


class Head:
    """The head of a cluster, to which jobs are sent.

    A client without a token, and a head that asks for none, are refused unless ``RAY_AUTH_MODE`` says ``disabled``.
    The token is sent only in the header of requests.

    Args:
        address: ``http://HEAD:8265``, or any other address that ``RAY_ADDRESS`` may hold.

    Raises:
        UsageError: The token is missing.
        ClusterError: The head does not answer, refuses the token, or requires none.
    """

    def __init__(self, address: str) -> None:
        mode = os.environ.setdefault(_MODE, "token").lower()  # set before Ray is loaded, because Ray reads it only once
        if mode == "token":
            _check_token()
        from ray.job_submission import JobSubmissionClient

        for module in ("dashboard_sdk", "job.sdk"):  # they log each upload, and the end of a log
            logging.getLogger(f"ray.dashboard.modules.{module}").setLevel(logging.WARNING)
        self.address = address
        _keep_loopback_off_proxies()
        with self._answering(), _told_to_ray(address):
            self._client: JobSubmissionClient = JobSubmissionClient(address)
            self.address = self._client.get_address()
        if mode == "token" and self._is_open():
            rule = "takes jobs from anybody who reaches it, because token authentication is off there"
            remedy = f"Start it with {_MODE}=token, or set {_MODE}=disabled here if only you reach it"
            raise ClusterError(self.address, rule, remedy=remedy)

    def send(self, entrypoint: Sequence[str], parcel: Path, study: str = "") -> str:
        """Submit a job and return its id.

        Args:
            entrypoint: The command.
            parcel: Archive that is unpacked into the working directory of the command.
            study: Directory of the study that the job runs; empty if it runs none.
        """
        metadata = {_STUDY: study} if study else {}
        with self._answering():
            return self._client.submit_job(
                entrypoint=shlex.join(entrypoint), runtime_env={"working_dir": str(parcel)}, metadata=metadata
            )

    def state(self, job: str) -> JobState:
        """Return the state of a job.

        Raises:
            UsageError: There is no such job.
        """
        with self._answering(job):
            info = self._client.get_job_info(job)
        study = (info.metadata or {}).get(_STUDY) or _study_of(info.entrypoint or "")
        return JobState(info.status.value, info.status.is_terminal(), info.message or "", study)

    def wait(self, job: str) -> JobState:
        """Wait until a job is over."""
        while not (state := self.state(job)).is_over:
            time.sleep(_POLL_S)
        return state

    def stop(self, job: str) -> JobState:
        """Stop a job and wait for its end. A job that is over stays as it is."""
        with self._answering(job):
            self._client.stop_job(job)
        return self.wait(job)

    def log(self, job: str) -> str:
        """Return the whole log of a job."""
        with self._answering(job):
            return self._client.get_job_logs(job)

    def forget(self, job: str) -> None:
        """Remove a finished job from the head's list."""
        with self._answering(job):
            self._client.delete_job(job)

    def follow(self, job: str) -> Iterator[str]:
        """Yield the log of a job, from its beginning until the job is over."""
        self.state(job)  # raises if there is no such job
        pieces = self._client.tail_job_logs(job)

        async def next_piece() -> str | None:
            return await anext(pieces, None)

        with asyncio.Runner() as runner, self._answering(job):
            while (piece := runner.run(next_piece())) is not None:
                yield piece

    def _is_open(self) -> bool:
        from ray.exceptions import AuthenticationError
        from ray.job_submission import JobSubmissionClient

        try:
            with _told_to_ray(self.address):
                JobSubmissionClient(self.address, headers={"authorization": ""})  # instead of the token
        except AuthenticationError:
            return False
        return True

    @contextmanager
    def _answering(self, job: str = "") -> Iterator[None]:
        """Turn an exception from Ray into an error of one line."""
        from ray.exceptions import AuthenticationError, RayError

        try:
            yield
        except AuthenticationError:
            if os.environ[_MODE].lower() == "token":
                rule, remedy = "does not accept this token", "Use the token that the head was started with"
            else:
                rule, remedy = "asks for a token", f"Unset {_MODE}, or set it to token"
            raise ClusterError(self.address, rule, remedy=remedy) from None
        except ConnectionError:
            if proxy := _proxy_for(self.address):
                rule, remedy = (
                    f"does not answer through the proxy {proxy}",
                    "If it needs none, add its host to NO_PROXY",
                )
                raise ClusterError(self.address, rule, remedy=remedy) from None
            remedy = "Start the head, or let ssh forward its port: ssh -L 8265:127.0.0.1:8265 HEAD"
            raise ClusterError(self.address, "does not answer", remedy=remedy) from None
        except (RayError, RuntimeError, ValueError, OSError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            if job and "404" in lines[0]:
                remedy = "Give the id that submit printed"
                raise UsageError(job, f"no such job at {self.address}", remedy=remedy) from None
            proxy = _proxy_for(self.address)
            rule = f"the proxy {proxy} or Ray refuses the request" if proxy else "Ray refuses the request"
            remedy = "If the head needs no proxy, add its host to NO_PROXY" if proxy else ""
            raise ClusterError(self.address, rule, remedy=remedy, cause=lines[-1].rstrip(".")) from None


@contextmanager
def _told_to_ray(address: str) -> Iterator[None]:
    """Make an address override Ray's environment variables, which otherwise override any address that Ray is given."""
    before = os.environ.get(_DASHBOARD)
    os.environ[_DASHBOARD] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ[_DASHBOARD]
        else:
            os.environ[_DASHBOARD] = before


def _keep_loopback_off_proxies() -> None:
    """Make requests to this machine, where a head or an ssh tunnel may be, bypass the environment's proxies."""
    before = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")  # in the order in which requests reads them
    hosts = ",".join(filter(None, (before, "localhost", "127.0.0.1", "::1")))
    os.environ.update(no_proxy=hosts, NO_PROXY=hosts)


def _proxy_for(address: str) -> str:
    """Return host and port of the proxy through which an address is reached; empty if there is none."""
    there = urlsplit(address)
    proxy = getproxies().get(there.scheme, "")
    if not proxy or not there.hostname or proxy_bypass(there.hostname):
        return ""
    return urlsplit(proxy).netloc.rpartition("@")[2] or proxy.rpartition("@")[2]  # without a password


def _check_token() -> None:
    """Refuse to continue without a token; otherwise Ray's requests fail without a clear reason."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        missing = "" if file.read_text(encoding="utf-8").strip() else "the file is empty"
    except (OSError, UnicodeDecodeError) as error:
        missing = (error.strerror if isinstance(error, OSError) else None) or "the file is not text"
    if missing:
        remedy = f"Copy the head's token there, or set {_MODE}=disabled for a head that asks for none"
        raise UsageError(str(file), "no token for the head", remedy=remedy, cause=missing)


def _study_of(entrypoint: str) -> str:
    """Return the study directory of a job that `ray job submit` sent; empty if it names none."""
    with contextlib.suppress(ValueError):
        words = shlex.split(entrypoint)
        for word, after in zip(words, [*words[1:], ""], strict=True):
            if word == "--out":
                return after
            if word.startswith("--out="):
                return word.removeprefix("--out=")
    return ""
