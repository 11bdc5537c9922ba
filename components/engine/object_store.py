"""Connections to S3 and Google Cloud Storage through Arrow, and what their errors mean to a user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from components.errors import ComponentError

SCHEMES = ("s3", "gs")
OPTIONS = {"s3": ("region", "scheme", "endpoint_override"), "gs": ("scheme", "endpoint_override", "anonymous")}
"""What may stand behind the `?` of a URL."""
CONNECT_SECONDS = 10.0
RETRY_SECONDS = 60.0
TRIES = 4


class StorageError(ComponentError):
    """A remote folder could not be read or written."""


def connect(scheme: str, path: str, options: dict[str, str]) -> Any:
    """Return Arrow's file system for a bucket.

    Args:
        scheme: one of `SCHEMES`.
        path: the bucket and what is below it.
        options: of the URL, out of `OPTIONS`.

    Raises:
        StorageError: the region of a bucket on S3 cannot be found.
    """
    return _s3(path, options) if scheme == "s3" else _gcs(options)


def _s3(path: str, options: dict[str, str]) -> Any:
    from pyarrow import fs

    region = options.get("region")
    if region is None and "endpoint_override" not in options:
        with _region_errors(path):
            region = fs.resolve_s3_region(path.partition("/")[0])
    return fs.S3FileSystem(
        region=region,
        scheme=options.get("scheme"),
        endpoint_override=options.get("endpoint_override"),
        connect_timeout=CONNECT_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
    )


@contextmanager
def _region_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        bucket = path.partition("/")[0]
        raise StorageError(
            f"The region of bucket {bucket} could not be found: {first_line(error)}.",
            remedy="Name it, s3://…?region=eu-central-1, or the server: s3://…?endpoint_override=HOST:PORT&scheme=http.",
        ) from error


def _gcs(options: dict[str, str]) -> Any:
    from pyarrow import fs

    return fs.GcsFileSystem(
        anonymous=options.get("anonymous", "").lower() in {"1", "true"},
        scheme=options.get("scheme"),
        endpoint_override=options.get("endpoint_override"),
        retry_time_limit=timedelta(seconds=RETRY_SECONDS),
    )


def first_line(error: BaseException) -> str:
    """Return what an error says first; Arrow's go on for pages."""
    text = str(error).strip().splitlines()
    return text[0][:500].rstrip(".") if text else type(error).__name__


_REMEDIES = (
    (("NO_SUCH_BUCKET", "bucket does not exist"), "Make the bucket {bucket} first; Sluice makes none."),
    (
        ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "HTTP response code: 403", "Permanent"),
        "Check the credentials: they must be allowed to list, read, write and delete in bucket {bucket}.",
    ),
    (
        ("NETWORK_CONNECTION", "curlCode", "Couldn't", "timed out", "TimedOut", "retry policy", "Retry policy"),
        "Check that {server} answers, then run again: what was finished is kept.",
    ),
)


def remedy_of(text: str, bucket: str, options: dict[str, str], scheme: str) -> str:
    """Return what to do about what a store said."""
    server = options.get("endpoint_override") or {"s3": "S3", "gs": "Google Cloud Storage"}[scheme]
    for marks, remedy in _REMEDIES:
        if any(mark in text for mark in marks):
            return remedy.format(bucket=bucket, server=server)
    return f"Check the address, the access to bucket {bucket} and that {server} answers."
