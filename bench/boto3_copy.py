"""Copies a bucket from one endpoint to another with boto3, as one would write it by hand.

Both sides are listed; what is missing or has another size or ETag is copied. Threads share one client for each side,
since boto3's clients are made to be shared. A small object is read whole and put, so that boto3 can try again; a large
one streams from one GET into boto3's own managed upload.
"""

import argparse
import concurrent.futures
import sys

import boto3
import boto3.s3.transfer
import botocore.config


def connect(endpoint, ca, options):
    config = botocore.config.Config(
        max_pool_connections=max(options.streams, options.parts_side_by_side),
        s3={"addressing_style": "path"},
        retries={"mode": "standard"},
    )
    return boto3.client("s3", endpoint_url=endpoint, verify=ca, region_name="us-east-1", config=config)


def listing(client, bucket):
    """Yields (key, size, ETag), in the order of the keys."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for row in page.get("Contents", []):
            yield row["Key"], row["Size"], row["ETag"]


def differences(source, destination):
    """Merges the two listings, so that memory does not grow with them."""
    there = next(destination, None)
    for here in source:
        while there is not None and there[0] < here[0]:
            there = next(destination, None)
        if there != here:
            yield here[0], here[1]


def copy(source, destination, options, key, size):
    got = source.get_object(Bucket=options.source_bucket, Key=key)
    about = {"ContentType": got["ContentType"], "Metadata": got["Metadata"]}
    if size < options.part_bytes:
        destination.put_object(Bucket=options.destination_bucket, Key=key, Body=got["Body"].read(), **about)
        return
    transfer = boto3.s3.transfer.TransferConfig(
        multipart_threshold=options.part_bytes,
        multipart_chunksize=options.part_bytes,
        max_concurrency=options.parts_side_by_side,
    )
    destination.upload_fileobj(got["Body"], options.destination_bucket, key, ExtraArgs=about, Config=transfer)


def copy_all(options):
    source = connect(options.source, options.source_ca, options)
    destination = connect(options.destination, options.destination_ca, options)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.streams) as pool:
        found = differences(listing(source, options.source_bucket), listing(destination, options.destination_bucket))
        running = set()
        for key, size in found:
            running.add(pool.submit(copy, source, destination, options, key, size))
            # Only as many wait as keep the threads busy.
            if len(running) >= 2 * options.streams:
                done, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                failed += report(done)
        failed += report(concurrent.futures.wait(running).done)
    return failed


def report(done):
    failures = [error for error in (future.exception() for future in done) if error]
    for error in failures:
        print(f"error: {error}", file=sys.stderr)
    return len(failures)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", action="version", version=f"boto3 {boto3.__version__}")
    for name in ["source", "source-ca", "source-bucket", "destination", "destination-ca", "destination-bucket"]:
        parser.add_argument(f"--{name}", required=True)
    for name in ["streams", "parts-side-by-side", "part-bytes"]:
        parser.add_argument(f"--{name}", type=int, required=True)
    return 1 if copy_all(parser.parse_args()) else 0


if __name__ == "__main__":
    sys.exit(main())
