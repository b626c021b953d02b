"""Signs as botocore does: one JSON request a line on stdin, one JSON answer a line on stdout."""
import datetime
import json
import sys
from urllib.parse import quote, unquote, unquote_to_bytes

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def at(seconds):
    class Clock(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)
    return Clock


def answer(given):
    fake = type("datetime", (), {"datetime": at(given["time"])})
    botocore.auth.datetime = fake
    signer = botocore.auth.S3SigV4Auth if given["s3"] else botocore.auth.SigV4Auth
    # botocore takes a query in a URL as it is; a list of decoded parameters it encodes and sorts.
    # Only text can be a parameter, so a query that decodes to odd bytes is encoded here.
    url, _, query = given["url"].partition("#")[0].partition("?")
    params = [piece.partition("=") for piece in query.split("&") if piece]
    try:
        params = [(unquote(k, errors="strict"), unquote(v, errors="strict")) for k, _, v in params]
    except UnicodeDecodeError:
        params = [[quote(unquote_to_bytes(part), safe="-_.~") for part in (k, v)] for k, _, v in params]
        url, params = url + "?" + "&".join(map("=".join, params)), []
    request = AWSRequest(method=given["method"], url=url, data=given["body"].encode())
    request.params = params
    for name, value in given["headers"]:
        request.headers.add_header(name, value)
    credentials = Credentials(given["access_key"], given["secret_key"], given.get("session_token"))
    auth = signer(credentials, given["service"], given["region"])
    auth.add_auth(request)
    authorization = request.headers["Authorization"]
    del request.headers["Authorization"]
    return {"authorization": authorization, "canonical_request": auth.canonical_request(request)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))))
