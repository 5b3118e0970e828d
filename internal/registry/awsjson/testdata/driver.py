"""Makes the calls that stand on its input with boto3, and prints what each
returned: a line of JSON in, a line of JSON out. Before them it prints what this
version of boto3 knows: operations, and members of errors as ERROR.MEMBER."""

import json
import sys

import boto3
import botocore.config
import botocore.exceptions
from botocore import xform_name

client = boto3.client(
    "servicediscovery",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="local",
    aws_secret_access_key="local",
    config=botocore.config.Config(inject_host_prefix=False, retries={"total_max_attempts": 1}),
)
model = client.meta.service_model
known = [f"{error.name}.{member}" for error in model.error_shapes for member in error.members]
print(json.dumps([*model.operation_names, *known]), flush=True)

for line in sys.stdin:
    call = json.loads(line)
    try:
        out = getattr(client, xform_name(call["op"]))(**call["in"])
        out.pop("ResponseMetadata")
        answer = {"out": out}
    except botocore.exceptions.ClientError as e:
        code = e.response["Error"]["Code"]
        members = {k: v for k, v in e.response.items() if k not in ("Error", "ResponseMetadata")}
        typed = type(e) is getattr(client.exceptions, code, None)
        answer = {"error": {**members, "code": code, "typed": typed, "Message": e.response["Error"]["Message"]}}
    print(json.dumps(answer, default=lambda t: t.isoformat()), flush=True)
