#!/usr/bin/python3
"""The API of ECR Public in front of a real registry.

usage: ecr_public.py DIR

Every request's signature is computed again by botocore from the bytes that
came in, as AWS does it; who signs wrongly is refused in AWS's own words.

DIR/ecr_config.json   registry, user, password, alias, account
DIR/credentials.json  { access key: { secret, session_token?, expired?, deny? } },
                      read anew for each request; `deny` lists operations
                      ("CreateRepository") or actions ("sts:GetServiceBearerToken")
DIR/ecr.json          the repositories; written by this program
DIR/run/ecr.port      the port; written when it listens
"""

import base64
import calendar
import hashlib
import hmac
import json
import os
import re
import sys
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
import uuid

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from endpoint import Endpoint, Handler

REGION = "us-east-1"
SERVICE = "ecr-public"
TARGET = "SpencerFrontendService."
BODY_MAX = 1 << 20
SKEW_SECONDS = 300
TOKEN_SECONDS = 12 * 3600
MANIFESTS = ", ".join((
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
))
NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")

# What the front door says, before the service itself has seen the request.
# Its status is 403: a client must go by the type, for AWS answers 400 or 403.
FRONT_DOOR = {
    "AccessDeniedException": 400,
    "ExpiredTokenException": 403,
    "IncompleteSignatureException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "SerializationException": 400,
    "UnknownOperationException": 400,
    "UnrecognizedClientException": 403,
}


class Refusal(Exception):
    """An error answered in AWS's shape."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind

    @property
    def status(self):
        if self.kind == "ServerException":
            return 500
        return FRONT_DOOR.get(self.kind, 400)

    @property
    def body(self):
        space = ("com.amazon.coral.service" if self.kind in FRONT_DOOR
                 else "com.amazonaws.ecrpublic")
        return {"__type": "%s#%s" % (space, self.kind), "message": str(self)}


class Verifier(SigV4Auth):
    """botocore's signer, signing exactly the headers the client says it signed."""

    def headers_to_sign(self, request):
        return request.headers

    def expected(self, request):
        canonical = self.canonical_request(request)
        text = self.string_to_sign(request, canonical)
        return self.signature(text, request), canonical, text


def text_of(value):
    """http.server reads headers as Latin-1; on the wire they are bytes."""
    return value.encode("latin-1").decode("utf-8", "replace")


def parse_authorization(header):
    scheme, _, rest = header.partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        raise Refusal("IncompleteSignatureException",
                      "Unsupported AWS 'algorithm': '%s'." % scheme)
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    for key in ("Credential", "Signature", "SignedHeaders"):
        if not parts.get(key):
            raise Refusal("IncompleteSignatureException",
                          "Authorization header requires '%s' parameter." % key)
    scope = parts["Credential"].split("/")
    if len(scope) != 5:
        raise Refusal("IncompleteSignatureException",
                      "Credential must have exactly 5 slash-delimited elements, e.g. "
                      "keyid/date/region/service/term, got '%s'" % parts["Credential"])
    return scope, parts["SignedHeaders"].split(";"), parts["Signature"]


def check_scope(scope, stamp):
    _, date, region, service, term = scope
    if region != REGION:
        wrong = "Credential should be scoped to a valid region, not '%s'." % region
    elif service != SERVICE:
        wrong = "Credential should be scoped to correct service: '%s'." % SERVICE
    elif term != "aws4_request":
        wrong = ("Credential should be scoped with a valid terminator: "
                 "'aws4_request', not '%s'." % term)
    elif date != stamp[:8]:
        wrong = ("Date in Credential scope does not match YYYYMMDD from ISO-8601 "
                 "version of date from HTTP: '%s' != '%s', from '%s'."
                 % (date, stamp[:8], stamp))
    else:
        return
    raise Refusal("InvalidSignatureException", wrong)


def check_clock(stamp, now):
    def basic(seconds):
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))

    try:
        sent = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise Refusal("IncompleteSignatureException",
                      "Date must be in ISO-8601 'basic format'. Got '%s'. "
                      "See http://en.wikipedia.org/wiki/ISO_8601" % stamp)
    if sent < now - SKEW_SECONDS:
        raise Refusal("InvalidSignatureException",
                      "Signature expired: %s is now earlier than %s (%s - 5 min.)"
                      % (stamp, basic(now - SKEW_SECONDS), basic(now)))
    if sent > now + SKEW_SECONDS:
        raise Refusal("InvalidSignatureException",
                      "Signature not yet current: %s is still later than %s "
                      "(%s + 5 min.)" % (stamp, basic(now + SKEW_SECONDS), basic(now)))


def check_signed(present, signed):
    """What a request must cover: its host, its date, its type, all x-amz-*."""
    must = {"host", "x-amz-date"}
    must |= {name for name in present
             if name == "content-type" or name.startswith("x-amz-")}
    for name in sorted(must - set(signed)):
        shown = "Host' or ':authority" if name == "host" else name
        raise Refusal("InvalidSignatureException",
                      "'%s' must be a 'SignedHeader' in the AWS Authorization." % shown)
    for name in signed:
        if name not in present:
            raise Refusal("InvalidSignatureException",
                          "'%s' is a 'SignedHeader' but not in the request." % name)


def canonical_url(path):
    """The request's target as a server reads it: decoded, encoded anew."""
    path, _, query = path.partition("?")
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    query = urllib.parse.urlencode(
        pairs, quote_via=lambda text, *_: urllib.parse.quote(text, safe="-_.~"))
    return "http://any" + path + ("?" + query if query else "")


def find_credential(known, key, token):
    mine = known.get(key)
    if mine is None or token != mine.get("session_token"):
        raise Refusal("UnrecognizedClientException",
                      "The security token included in the request is invalid.")
    if mine.get("expired"):
        raise Refusal("ExpiredTokenException",
                      "The security token included in the request is expired")
    return mine


def authenticate(method, path, headers, body, known, now):
    """Returns the access key and the credential that signed, or refuses."""
    present = {name.lower() for name, _ in headers}
    single = {name.lower(): text_of(value).strip() for name, value in headers}
    if "authorization" not in present:
        raise Refusal("MissingAuthenticationTokenException",
                      "Missing Authentication Token")
    scope, signed, signature = parse_authorization(single["authorization"])
    stamp = single.get("x-amz-date")
    if stamp is None:
        raise Refusal("IncompleteSignatureException",
                      "Authorization header requires existence of either a "
                      "'X-Amz-Date' or a 'Date' header.")
    mine = find_credential(known, scope[0], single.get("x-amz-security-token"))
    check_scope(scope, stamp)
    check_clock(stamp, now)
    check_signed(present, signed)

    request = AWSRequest(method=method, url=canonical_url(path), data=body)
    request.headers = HTTPHeaders()
    for name, value in headers:
        if name.lower() in signed and name.lower() != "x-amz-content-sha256":
            request.headers[name.lower()] = text_of(value)
    verifier = Verifier(Credentials(scope[0], mine["secret"]), SERVICE, REGION)
    if "x-amz-content-sha256" in present:
        claimed = single["x-amz-content-sha256"]
        if claimed != hashlib.sha256(body).hexdigest():
            raise Refusal("InvalidSignatureException",
                          "The value passed in as x-amz-content-sha256 does not "
                          "match the body that was received.")
        request.headers["x-amz-content-sha256"] = claimed
    request.context["timestamp"] = stamp
    expected, canonical, text = verifier.expected(request)
    if signed != sorted(signed) or not hmac.compare_digest(
            expected.encode(), signature.encode()):
        print("expected\n%s\n\n%s" % (canonical, text), file=sys.stderr)
        raise Refusal("InvalidSignatureException",
                      "The request signature we calculated does not match the "
                      "signature you provided. Check your AWS Secret Access Key and "
                      "signing method. Consult the service documentation for details.")
    return scope[0], mine


def authorize(key, mine, operation, account):
    actions = ["ecr-public:" + operation]
    if operation == "GetAuthorizationToken":
        actions.append("sts:GetServiceBearerToken")
    for action in actions:
        if action in mine.get("deny", ()) or action.split(":")[1] in mine.get("deny", ()):
            raise Refusal(
                "AccessDeniedException",
                "User: arn:aws:iam::%s:user/%s is not authorized to perform: %s on "
                "resource: * because no identity-based policy allows the %s action"
                % (account, key, action, action))


class Store:
    """The repositories, on disk after every change."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.RLock()
        self.repositories = {}
        if os.path.exists(path):
            with open(path) as file:
                self.repositories = json.load(file)

    def save(self):
        with open(self.path + ".new", "w") as file:
            json.dump(self.repositories, file, indent=1)
        os.rename(self.path + ".new", self.path)


class Registry:
    """The registry's own API, asked with the password ECR gives out."""

    def __init__(self, config):
        self.root = "http://%s/v2/" % config["registry"]
        pair = "%s:%s" % (config["user"], config["password"])
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.basic = "Basic " + base64.b64encode(pair.encode()).decode()

    def ask(self, path, method="GET"):
        """Returns headers and body, or None for 404."""
        request = urllib.request.Request(self.root + path, method=method)
        request.add_header("Authorization", self.basic)
        request.add_header("Accept", MANIFESTS)
        try:
            with self.opener.open(request, timeout=10) as reply:
                return reply.headers, reply.read()
        except urllib.error.HTTPError as why:
            if why.code in (404, 405):
                return None
            raise Refusal("ServerException", "The registry says %d." % why.code)
        except OSError as why:
            raise Refusal("ServerException", "The registry does not answer: %s" % why)

    def tags(self, name):
        found = self.ask(name + "/tags/list")
        return sorted(json.loads(found[1]).get("tags") or ()) if found else []

    def image(self, name, reference):
        """Digest, type and size of an image, or None."""
        found = self.ask("%s/manifests/%s" % (name, urllib.parse.quote(reference)))
        if not found:
            return None
        headers, body = found
        manifest = json.loads(body)
        parts = [manifest.get("config", {})] + manifest.get("layers", [])
        return {
            "imageDigest": headers["Docker-Content-Digest"],
            "imageManifestMediaType": headers["Content-Type"],
            "artifactMediaType": manifest.get("config", {}).get("mediaType"),
            "imageSizeInBytes": sum(part.get("size", 0) for part in parts),
        }


class Service:
    """The operations. Each takes the checked parameters and returns the answer."""

    def __init__(self, folder):
        self.folder = folder
        self.store = Store(os.path.join(folder, "ecr.json"))
        model = Loader().load_service_model(SERVICE, "service-2")
        self.model = ServiceModel(model)
        self.seen = {}

    def load(self, name):
        with open(os.path.join(self.folder, name)) as file:
            return json.load(file)

    def operation(self, target):
        name = target[len(TARGET):] if target.startswith(TARGET) else ""
        method = getattr(self, "do_" + name, None)
        if method is None:
            raise Refusal("UnknownOperationException", "")
        return name, method

    def parameters(self, operation, body):
        try:
            given = json.loads(body)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise Refusal("SerializationException", "The body is not a JSON object.")
        shape = self.model.operation_model(operation).input_shape
        report = ParamValidator().validate(given, shape)
        if report.has_errors():
            raise Refusal("InvalidParameterException", report.generate_report())
        name = given.get("repositoryName")
        if name is not None and not NAME.fullmatch(name):
            raise Refusal(
                "InvalidParameterException",
                "Invalid parameter at 'repositoryName' failed to satisfy constraint: "
                "'must satisfy regular expression '%s''" % NAME.pattern)
        return given

    def call(self, operation, method, given):
        config = self.load("ecr_config.json")
        account = given.get("registryId", config["account"])
        if account != config["account"]:
            raise Refusal("RepositoryNotFoundException" if "repositoryName" in given
                          else "RegistryNotFoundException",
                          "The registry with id '%s' does not exist." % account)
        with self.store.lock:
            return method(given, config)

    def repository(self, name, config):
        found = self.store.repositories.get(name)
        if found is None:
            raise Refusal("RepositoryNotFoundException",
                          "The repository with name '%s' does not exist in the "
                          "registry with id '%s'" % (name, config["account"]))
        shown = {key: found[key] for key in
                 ("repositoryArn", "registryId", "repositoryName", "createdAt")}
        shown["repositoryUri"] = "%s/%s/%s" % (
            config["registry"], config["alias"], name)
        return shown

    def page(self, items, given, default):
        start = 0
        if "nextToken" in given:
            try:
                start = int(base64.b64decode(given["nextToken"], validate=True))
            except ValueError:
                raise Refusal("InvalidParameterException",
                              "Invalid parameter at 'nextToken'")
        end = start + given.get("maxResults", default)
        token = base64.b64encode(b"%d" % end).decode() if end < len(items) else None
        return items[start:end], token

    def do_GetAuthorizationToken(self, given, config):
        pair = "%s:%s" % (config["user"], config["password"])
        return {"authorizationData": {
            "authorizationToken": base64.b64encode(pair.encode()).decode(),
            "expiresAt": round(time.time() + TOKEN_SECONDS, 3),
        }}

    def do_CreateRepository(self, given, config):
        name = given["repositoryName"]
        if name in self.store.repositories:
            raise Refusal("RepositoryAlreadyExistsException",
                          "The repository with name '%s' already exists in the "
                          "registry with id '%s'" % (name, config["account"]))
        catalog = dict(given.get("catalogData", {}))
        catalog.pop("logoImageBlob", None)
        self.store.repositories[name] = {
            "repositoryArn": "arn:aws:ecr-public::%s:repository/%s"
                             % (config["account"], name),
            "registryId": config["account"],
            "repositoryName": name,
            "createdAt": round(time.time(), 3),
            "catalogData": catalog,
            "tags": given.get("tags", []),
        }
        self.store.save()
        return {"repository": self.repository(name, config), "catalogData": catalog}

    def do_DescribeRepositories(self, given, config):
        names = given.get("repositoryNames")
        if names and ("nextToken" in given or "maxResults" in given):
            raise Refusal("InvalidParameterException",
                          "Parameters 'nextToken' and 'maxResults' cannot be used "
                          "with 'repositoryNames'")
        if names:
            return {"repositories": [self.repository(n, config) for n in names]}
        names, token = self.page(sorted(self.store.repositories), given, 100)
        answer = {"repositories": [self.repository(n, config) for n in names]}
        if token:
            answer["nextToken"] = token
        return answer

    def do_DeleteRepository(self, given, config):
        name = given["repositoryName"]
        gone = self.repository(name, config)
        registry, path = Registry(config), "%s/%s" % (config["alias"], name)
        digests = {image["imageDigest"] for image in
                   (registry.image(path, tag) for tag in registry.tags(path)) if image}
        if digests and not given.get("force"):
            raise Refusal("RepositoryNotEmptyException",
                          "The repository with name '%s' in registry with id '%s' "
                          "cannot be deleted because it still contains images"
                          % (name, config["account"]))
        for digest in digests:
            registry.ask("%s/manifests/%s" % (path, digest), "DELETE")
        del self.store.repositories[name]
        self.store.save()
        return {"repository": gone}

    def do_DescribeRegistries(self, given, config):
        return {"registries": [{
            "registryId": config["account"],
            "registryArn": "arn:aws:ecr-public::%s:registry/%s"
                           % (config["account"], config["account"]),
            "registryUri": "%s/%s" % (config["registry"], config["alias"]),
            "verified": False,
            "aliases": [{"name": config["alias"], "status": "ACTIVE",
                         "primaryRegistryAlias": True,
                         "defaultRegistryAlias": True}],
        }]}

    def do_DescribeImages(self, given, config):
        name = given["repositoryName"]
        self.repository(name, config)
        path, registry = "%s/%s" % (config["alias"], name), Registry(config)
        images = {}
        for tag in registry.tags(path):
            image = registry.image(path, tag)
            if image:
                image = images.setdefault(image["imageDigest"], image)
                image.setdefault("imageTags", []).append(tag)
        wanted = given.get("imageIds")
        if wanted is None:
            chosen, token = self.page(sorted(images), given, 100)
        else:
            chosen, token = [], None
            for wish in wanted:
                digest = self.wanted(wish, images, registry, name, path, config)
                if digest not in chosen:
                    chosen.append(digest)
        details = [self.detail(images[digest], name, config) for digest in chosen]
        return {"imageDetails": details, **({"nextToken": token} if token else {})}

    def wanted(self, wish, images, registry, name, path, config):
        """The digest of an image asked for by tag, digest or both."""
        tag, digest = wish.get("imageTag"), wish.get("imageDigest")
        if digest and digest not in images and not tag:
            image = registry.image(path, digest)
            if image:
                images[digest] = image
        for candidate, image in images.items():
            if ((tag is None or tag in image.get("imageTags", ()))
                    and (digest is None or digest == candidate)):
                return candidate
        raise Refusal("ImageNotFoundException",
                      "The image with imageId {imageDigest:'%s', imageTag:'%s'} does "
                      "not exist within the repository with name '%s' in the registry "
                      "with id '%s'" % (digest or "null", tag or "null", name,
                                        config["account"]))

    def detail(self, image, name, config):
        # The registry keeps no time of the push: the first sight stands for it.
        seen = self.seen.setdefault((name, image["imageDigest"]), round(time.time(), 3))
        detail = {"registryId": config["account"], "repositoryName": name,
                  "imagePushedAt": seen, **image}
        return {key: value for key, value in detail.items() if value is not None}


class ApiHandler(Handler):
    json_type = "application/x-amz-json-1.1"

    def subject(self):
        target = self.headers.get("X-Amz-Target", "")
        return target[len(TARGET):] if target.startswith(TARGET) else target

    def answer(self):
        self.entry["target"] = self.headers.get("X-Amz-Target")
        body = self.body(BODY_MAX)
        try:
            if body is None:
                raise Refusal("SerializationException", "The body is too large.")
            status, answer = 200, self.call(body)
        except Refusal as why:
            self.entry["error"] = why.kind
            status, answer = why.status, why.body
        except Exception:
            traceback.print_exc()
            self.entry["error"] = "InternalFailure"
            status, answer = 500, {"__type": "InternalFailure"}
        self.reply(status, answer, {"x-amzn-RequestId": str(uuid.uuid4())})

    def call(self, body):
        service = self.server.service
        if self.headers.get_content_type() != self.json_type or self.command != "POST":
            raise Refusal("UnknownOperationException", "")
        operation, method = service.operation(self.headers.get("X-Amz-Target", ""))
        key, mine = authenticate(
            self.command, self.path, self.headers.items(), body,
            service.load("credentials.json"), self.server.now())
        authorize(key, mine, operation, service.load("ecr_config.json")["account"])
        given = service.parameters(operation, body)
        return service.call(operation, method, given)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: ecr_public.py DIR")
    server = Endpoint(ApiHandler)
    server.service = Service(sys.argv[1])
    server.announce(os.path.join(sys.argv[1], "run", "ecr.port"))
    server.serve_forever()


if __name__ == "__main__":
    main()
